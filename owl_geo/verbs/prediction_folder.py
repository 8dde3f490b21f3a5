"""The folder that ``predict`` writes: its finished scenes, and what is made from them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import pandas as pd

from owl_geo.disk.atomic import check_free, check_still_there, disk_errors, locked
from owl_geo.disk.file_names import file_names
from owl_geo.disk.presence import exists
from owl_geo.errors import BusyError, RunError
from owl_geo.maps.outputs import FinishedScenes, Legend, ScenePrediction, outputs
from owl_geo.maps.patches import most_probable, read_table, table_path, write_table
from owl_geo.run_folder.folder import Run
from owl_geo.types import IntArray
from owl_geo.verbs.current_model import CurrentModel
from owl_geo.verbs.prediction_record import FILE_NAME, PredictionRecord

FOLDER = "predictions"  # in the run's folder, unless another is named


def legend_of(run: Run) -> Legend:
    """Return what the numbers of a run's predictions mean."""
    settings = run.settings
    tags = {"uncertainty": settings.uncertainty.measure, "run": settings.run_id}
    return Legend(settings.classes, settings.positive, tags)


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of a run's predictions, compared with what the current model would predict."""

    path: Path
    run: Run
    model: CurrentModel
    record: PredictionRecord

    @classmethod
    def of(cls, run: Run, model: CurrentModel, path: Path | None = None) -> PredictionFolder:
        """Open the folder at ``path``, None = the run's own; it need not exist yet."""
        path = run.path / FOLDER if path is None else path
        return cls(path, run, model, PredictionRecord.read(path / FILE_NAME))

    @cached_property
    def scenes(self) -> list[str]:
        """The scenes that the run has patches of."""
        return list(self.run.patches["scene"].unique())

    @cached_property
    def files(self) -> dict[str, str]:
        """The name of each scene's files, without the suffix."""
        return file_names(self.scenes)

    @property
    def finished(self) -> list[str]:
        """The scenes that are finished; see ``is_finished``."""
        return [name for name in self.scenes if self.is_finished(name)]

    def is_finished(self, scene: str) -> bool:
        """Whether the scene was finished from the current model and pixels, and its files exist."""
        file, entry = self.files[scene], self.record.scenes.get(scene)
        if entry is None or entry != {"file": file, "made_from": self.made_from(scene)}:
            return False
        return all(exists(path) for path in self._files_of(scene))

    def _files_of(self, scene: str) -> list[Path]:
        file = self.files[scene]
        maps = [path for one in outputs().values() for path in one.scene_files(self.path, file)]
        return [*maps, table_path(self.path, file)]

    def made_from(self, scene: str) -> str:
        """Return a digest of all that the scene's maps depend on, including changed pixels."""
        return self.model.digest + self.run.scenes.changed.get(scene, "")

    @cached_property
    def positions(self) -> dict[str, IntArray]:
        """The ascending positions of each scene's patches in the index."""
        patches = self.run.patches.groupby("scene", sort=False, observed=True)
        return {str(name): at for name, at in patches.indices.items()}

    def write_scene(self, scene: str, prediction: ScenePrediction) -> None:
        """Write a scene's predictions and record that it is finished; raises RunError."""
        check_still_there(self.path)
        file, legend = self.files[scene], legend_of(self.run)
        if self.record.scenes.pop(scene, None) is not None:
            self.record.write()  # what it names may soon be of two models, if this is cut short
        write_table(
            table_path(self.path, file),
            self.run.patches["patch_id"],
            self.positions[scene],
            prediction.probabilities,
            prediction.uncertainty,
            classes=legend.classes,
            positive=legend.positive,
        )
        for output in outputs().values():
            output.write_scene(self.path, file, prediction, legend)
        self.record.scenes[scene] = {"file": file, "made_from": self.made_from(scene)}
        self.record.write()

    def forget(self, scenes: Collection[str]) -> None:
        """Delete predictions that are out of date; raises RunError."""
        for name in scenes:
            entry = self.record.scenes.pop(name, None)
            if entry is not None:
                self.record.write()
            # without an entry, there may be what was written before a process was killed
            file = self.files.get(name) if entry is None else entry["file"]
            if file is None:
                continue
            with disk_errors(self.path):
                for output in outputs().values():
                    output.forget_scene(self.path, file)
                table_path(self.path, file).unlink(missing_ok=True)

    def check_free(self, scenes: Sequence[str]) -> None:
        """Raise RunError where what is to be replaced cannot be; see ``disk.atomic.check_free``."""
        whole = [output.whole(self.path) for output in outputs().values()]
        check_free([*whole, *(file for scene in scenes for file in self._files_of(scene))])

    def forget_whole(self) -> None:
        """Delete what is made over all scenes, before it becomes a mixture of old and new."""
        with disk_errors(self.path):
            for output in outputs().values():
                output.whole(self.path).unlink(missing_ok=True)

    def write_whole(
        self, top: int, areas: gpd.GeoDataFrame, threshold: float, *, changed: bool
    ) -> None:
        """Write what is made over all finished scenes, unless it is up to date; raises RunError.

        ``top`` patches are listed as the most probable, ``areas`` is the ground of those with a
        probability of ``threshold`` or more, and ``changed`` is whether a scene was redone.
        """
        check_still_there(self.path)
        scenes = self.finished
        made_from = hashlib.sha256(
            json.dumps([[*map(self.made_from, scenes)], top, threshold, scenes]).encode()
        ).hexdigest()[:16]
        is_there = all(exists(output.whole(self.path)) for output in outputs().values())
        if not scenes or (self.record.whole == made_from and is_there and not changed):
            return
        finished = FinishedScenes(
            [self.files[name] for name in scenes],
            legend_of(self.run),
            lambda: self._most_probable(scenes, top),
            areas,
            list(self.run.settings.concepts),
        )
        if self.record.whole:
            self.record.whole = ""
            self.record.write()  # as for a scene
        for output in outputs().values():
            output.write_whole(self.path, finished)
        self.record.whole = made_from
        self.record.write()

    def parts(self, scene: str) -> Iterator[tuple[IntArray, pd.DataFrame]]:
        """Yield the predictions for some patches of a finished scene after others.

        Each part has positions in the index and the columns of ``maps.patches.read_table``. Raises
        RunError if the file is damaged.
        """
        return read_table(table_path(self.path, self.files[scene]), self.positions[scene])

    def scene_parts(self, scene: str) -> list[tuple[IntArray, pd.DataFrame]] | None:
        """Return the ``parts`` of a scene, None where it is not finished.

        It is not either where another process replaces it just now, since whoever only reads does
        not keep that out. Raises RunError if the file is damaged.
        """
        if not self.is_finished(scene):
            return None
        try:
            parts = list(self.parts(scene))
        except RunError:
            if self._is_as_recorded(scene):
                raise
            return None
        return parts if self._is_as_recorded(scene) else None

    def _is_as_recorded(self, scene: str) -> bool:
        now = PredictionRecord.read(self.path / FILE_NAME).scenes
        return now.get(scene) == self.record.scenes.get(scene)

    def _most_probable(self, scenes: Sequence[str], top: int) -> gpd.GeoDataFrame:
        run = self.run
        tables = [
            most_probable(part.assign(at=at), top)
            for name in scenes
            for at, part in self.parts(name)
        ]
        best = most_probable(pd.concat(tables, ignore_index=True), top)
        rows = run.patches.iloc[best["at"]].reset_index(drop=True)
        ids = rows["patch_id"].tolist()
        patches = gpd.GeoDataFrame(rows, geometry=run.footprints(ids).array, crs=run.crs)
        for name in ("probability", "uncertainty", "class"):
            patches[name] = best[name].to_numpy()
        patches["label"] = self.model.labels.reindex(ids).to_numpy(dtype=object)
        patches["scene_crs"] = [run.grids[scene].crs for scene in patches["scene"]]
        return patches


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other processes from writing predictions there; labelling can go on meanwhile.

    What a killed process left unfinished is removed. Raises RunError.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    busy = BusyError(
        f"another owl-geo is writing predictions into {folder}",
        remedy="wait until it has finished",
    )
    with locked(folder / ".lock", busy):
        for left_over in [*folder.glob("*/.scratch-*"), *folder.glob("..*.partial-*")]:
            shutil.rmtree(left_over, ignore_errors=True)
        yield
