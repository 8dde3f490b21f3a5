"""What the model says of every patch, as maps: a scene at a time, and the whole at the end.

The model is the one that the next round would learn from the answers of this moment, so the maps
and the next batch say the same. Nothing of it is kept, and no round is written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd

from owl_geo.disk.atomic import disk_errors, locked
from owl_geo.disk.file_names import file_names
from owl_geo.errors import ConfigError, OwlError, RunError, SourceError, did_you_mean
from owl_geo.labels import consensus
from owl_geo.maps.arrays import read_maps
from owl_geo.maps.cells import cells_of
from owl_geo.maps.cog import write_maps, write_text
from owl_geo.maps.mosaic import write_mosaic
from owl_geo.maps.patches import most_probable, read_table, write_patches, write_table
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import INDEX, PATCHES
from owl_geo.run_folder.records import DAMAGE
from owl_geo.search import Answers, Search
from owl_geo.sources import unopened_source
from owl_geo.sources.base import PoolSource, positions_of
from owl_geo.types import IntArray
from owl_geo.work.progress import Progress, Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    import xarray

    from owl_geo.learners.base import Learner

log = logging.getLogger("owl_geo")

FOLDER = "predictions"
RECORD = "predictions.json"
_PATCHES = "patches.gpkg"
_FEWEST_FRAMES, _MOST_FRAMES = 20, 1000  # that patches.gpkg has where nobody says how many
_VERSION = 1  # of what is computed here; a change makes finished scenes stale

OnError = Literal["fail", "skip"]


@dataclass(frozen=True)
class Summary:
    """What became of each scene, and where the maps are."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]  # were up to date
    failed: Mapping[str, str]  # scene: why
    folder: Path

    @property
    def mosaic(self) -> Path:
        """The probability over all scenes, a VRT."""
        return self.folder / "probability.vrt"

    @property
    def patches(self) -> Path:
        """The most probable patches, a GeoPackage."""
        return self.folder / _PATCHES


def predict(
    run: AnyRun,
    *,
    out: str | os.PathLike[str] | None = None,
    top: int | None = None,
    scenes: Sequence[str] = (),
    on_error: OnError = "fail",
    overwrite: bool = False,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Summary:
    """Write the probability, uncertainty and class of every patch of a run as maps.

    A scene that was finished before, from the same answers, settings and patches, is left alone.
    The mosaics and the GeoPackage hold the scenes that were made from the same.

    Args:
        run: the run, or its folder.
        out: where the maps go; None = ``predictions`` in the run's folder.
        top: patches in the GeoPackage, the most probable ones; None = a tenth of all, 20 at least
            and 1,000 at most.
        scenes: names of the scenes to do; empty = all.
        on_error: what a scene that cannot be read does: ``fail`` raises, ``skip`` goes on and
            reports it. What is finished stays.
        overwrite: do finished scenes again.
        device: where a network works.
        workers: who does the pool's work; threads of this process if none are named.
        report: given the name of each piece of long work, returns what is told how far it is.

    Raises RunError while there is no answer to learn from, where another process writes there, or
    the disk is full; SourceError where pixels cannot be read that the model is to learn from.
    """
    if top is not None and top < 1:
        raise ConfigError(f"--top is {top}, but one patch is the least")
    run = Run.of(run)
    lesson = CurrentModel.of(run)
    if top is None:
        top = min(max(len(run.patches) // 10, _FEWEST_FRAMES), _MOST_FRAMES)
    known = list(run.patches["scene"].unique())
    for name in scenes:
        if name not in known:
            raise ConfigError(
                f"no patch of a scene {name!r} in {run.path}{did_you_mean(name, known)}"
            )
    folder = Path(out) if out is not None else run.path / FOLDER
    with _only_one(folder):
        record = _Record.read(folder / RECORD)
        work = _Work(run, lesson, folder, record, file_names(known))
        work.forget(set(record.scenes) - set(known))
        wanted = [name for name in known if not scenes or name in scenes]
        todo = [name for name in wanted if overwrite or not work.is_current(name)]
        failed = work.predict(todo, on_error, device, workers, report) if todo else {}
        work.finish([name for name in known if work.is_current(name)], top, changed=bool(todo))
    return Summary(
        done=tuple(name for name in todo if name not in failed),
        skipped=tuple(name for name in wanted if name not in todo),
        failed=failed,
        folder=folder,
    )


def predictions(
    run: AnyRun, out: str | os.PathLike[str] | None = None
) -> dict[str, xarray.Dataset]:
    """Read the maps that ``predict`` wrote, by scene.

    Each has the DataArrays ``probability``, ``uncertainty`` and ``class`` over y and x, with the
    coordinates of the cells' centres and the CRS. A scene that was left out of the last call is as
    an earlier one made it. Raises RunError where there are none, or a file is damaged.
    """
    run = Run.of(run)
    folder = Path(out) if out is not None else run.path / FOLDER
    record = _Record.read(folder / RECORD)
    if not record.scenes:
        raise RunError(f"no predictions in {folder}; make them with `owl-geo predict {run.path}`")
    found = {}
    for name, entry in record.scenes.items():
        maps = read_maps(
            *_maps(folder, entry["file"]),
            classes=run.settings.classes,
            positive=run.settings.positive,
        )
        found[name] = maps.assign_attrs(scene=name)
    return found


def finished_tables(run: Run, lesson: CurrentModel) -> dict[str, pd.DataFrame]:
    """Return what ``predict`` keeps in the run's folder of each scene that is up to date, by scene.

    Columns are those of ``maps.patches.read_table``; ``lesson`` is what the model would learn now.
    Empty where nothing was predicted, or all of it from other answers. Raises RunError where a file
    is damaged.
    """
    folder = run.path / FOLDER
    known = list(run.patches["scene"].unique())
    work = _Work(run, lesson, folder, _Record.read(folder / RECORD), file_names(known))
    return {
        name: read_table(_table(folder, work.files[name]))
        for name in known
        if work.is_current(name)
    }


# --- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CurrentModel:
    """Which model is meant, without having learnt it yet."""

    number: int  # of the round whose model it is: the next, or the last where no answer is new
    is_new: bool  # has not been learnt by any round
    answers: Answers
    labels: pd.Series  # the newest label of each answered patch, by patch_id
    digest: str  # of all that the maps depend on

    @classmethod
    def of(cls, run: Run) -> CurrentModel:
        """Raises RunError while there is nothing to learn from."""
        rounds = run.rounds()
        history = run.labels.history()
        current = consensus(history)
        newest = int(history["seq"].max()) if len(history) else 0
        is_new = bool(rounds) and newest > rounds[-1].answers_seen
        number = len(rounds) if is_new else len(rounds) - 1
        answers = run.answers(history, rounds[number - 1].answers_seen if number > 0 else 0)
        if number < 1 or len(answers.labels) == 0:
            raise RunError(
                f"{run.path} has no answer to learn from yet; label a batch, "
                "then `owl-geo ingest` it"
            )
        if len(np.unique(answers.labels)) == 1:
            only = run.settings.classes[answers.labels[0]]
            log.warning("every answer so far is %s: the maps can tell nothing apart", only)
        return cls(
            number,
            is_new,
            answers,
            current.set_index("patch_id")["label"],
            _digest(run, current, answers, number),
        )

    def learner(self, run: Run, search: Search) -> Learner:
        """Learn it as the round would, or take over what the round has learnt."""
        learner = search.learner()
        if learner.goes_on and not self.is_new:
            learner.restore(run.files.model(self.number))
            return learner
        learner = search.resumed(run.files.model(self.number - 1))
        search.learn(learner, self.answers, self.number)
        return learner


def _digest(run: Run, current: pd.DataFrame, answers: Answers, number: int) -> str:
    """Digest answers, settings, patches, the model before, and what changed of the pixels that are
    learnt from; a round that is written since then and learnt from the same changes nothing.
    """
    digest = hashlib.sha256(f"{_VERSION} {number}\n".encode())
    decisive = {"positive", "model", "uncertainty", "training", "reptile", "classes", "seed"}
    digest.update(run.settings.model_dump_json(include=decisive).encode())
    digest.update(current[["patch_id", "label", "seq"]].to_json(orient="values").encode())
    for path in (run.path / PATCHES, run.path / INDEX, run.files.model(number - 1)):
        if path.exists():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    learnt_from = set(run.patches["scene"].iloc[answers.positions])
    changed = {name: now for name, now in run.scenes.changed.items() if name in learnt_from}
    if changed:
        digest.update(json.dumps(changed, sort_keys=True).encode())
    return digest.hexdigest()[:16]


# --- the folder -----------------------------------------------------------------------------------


@dataclass
class _Record:
    """What predictions.json says: of each finished scene its file and what it was made from."""

    path: Path
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    whole: str = ""  # what the mosaics and the GeoPackage were made from

    @classmethod
    def read(cls, path: Path) -> _Record:
        """Read it; a damaged one is none, and its scenes are done again."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            scenes = {
                str(name): {key: str(entry[key]) for key in ("file", "made_from")}
                for name, entry in values["scenes"].items()
            }
            if any(not _is_own(entry["file"]) for entry in scenes.values()):
                raise ValueError("a file lies elsewhere")  # and must not be deleted
            return cls(path, scenes, str(values["whole"]))
        except DAMAGE:
            return cls(path)

    def write(self) -> None:
        """Write it whole; raises RunError."""
        values = {"whole": self.whole, "scenes": self.scenes}
        write_text(self.path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _is_own(file: str) -> bool:
    """Whether a file's name leads to nothing outside the folder of predictions."""
    return bool(file) and file.isprintable() and not set(file) & set("/\\:") and file[0] != "."


def _maps(folder: Path, file: str) -> tuple[Path, Path]:
    return folder / "probability" / f"{file}.tif", folder / "class" / f"{file}.tif"


def _table(folder: Path, file: str) -> Path:
    return folder / "patches" / f"{file}.parquet"


@dataclass(frozen=True)
class _Work:
    """The folder of predictions while it is written."""

    run: Run
    lesson: CurrentModel
    folder: Path
    record: _Record
    files: Mapping[str, str]  # scene: name of its files

    def is_current(self, scene: str) -> bool:
        """Whether the scene was finished from what is meant now, and its files are there."""
        entry = self.record.scenes.get(scene)
        return (
            entry is not None
            and entry == {"file": self.files[scene], "made_from": self.made_from(scene)}
            and all(path.exists() for path in self._files(scene))
        )

    def made_from(self, scene: str) -> str:
        """Return a digest of all that the scene's maps depend on, also of pixels that changed."""
        return self.lesson.digest + self.run.scenes.changed.get(scene, "")

    def forget(self, scenes: set[str]) -> None:
        """Delete the maps of scenes that they are no longer true of."""
        for name in scenes & set(self.record.scenes):
            file = self.record.scenes.pop(name)["file"]
            self.record.write()
            with disk_errors(self.folder):
                for path in _maps(self.folder, file):
                    for suffix in (".tif", ".tif.aux.xml", ".qml", ".vrt"):
                        path.with_name(file + suffix).unlink(missing_ok=True)
                _table(self.folder, file).unlink(missing_ok=True)

    def predict(
        self,
        scenes: Sequence[str],
        on_error: OnError,
        device: str,
        workers: Workers | None,
        report: Reporter,
    ) -> dict[str, str]:
        """Do the scenes one after the other and return those that failed, with the reasons."""
        from owl_geo.learners.scoring import pick_device

        with disk_errors(self.folder):
            for name in ("probability.vrt", "class.vrt", _PATCHES):
                (self.folder / name).unlink(missing_ok=True)  # a mixture of old and new
        source, missing = self._source(on_error)
        failed = {name: missing[name] for name in scenes if name in missing}
        todo = [name for name in scenes if name not in failed]
        if todo:
            search = self.run.search(pick_device(device), workers, report, source)
            try:
                learner = self.lesson.learner(self.run, search)
            except SourceError as error:  # left out or not, it holds what the model learns from
                raise SourceError(f"the model cannot be learnt: {error}") from error
            where = self.run.patches.groupby("scene", sort=False).indices  # sorted positions
            total, done = sum(len(where[name]) for name in todo), 0
            progress = report("Predicting")
            for name in todo:
                told = None if progress is None else partial(_tell, progress, done, total)
                try:
                    self._predict(name, search, learner, where[name], told)
                except SourceError as error:
                    if on_error == "fail":
                        raise
                    failed[name] = str(error)
                done += len(where[name])
        self.forget(set(failed))
        return failed

    def _predict(
        self,
        scene: str,
        search: Search,
        learner: Learner,
        positions: IntArray,
        progress: Progress | None,
    ) -> None:
        settings = self.run.settings
        members = search.members(learner, positions, self.lesson.number, progress)
        doubt = uncertainty(members, settings.uncertainty.measure).astype(np.float32)
        probabilities = members.mean(axis=0)
        rows = self.run.patches.iloc[positions]
        cells = cells_of(self.run.index.windows.take(positions).of_scene(scene))
        file = self.files[scene]
        write_table(
            _table(self.folder, file),
            rows["patch_id"].tolist(),
            probabilities,
            doubt,
            classes=settings.classes,
            positive=settings.positive,
        )
        write_maps(
            *_maps(self.folder, file),
            cells,
            probabilities,
            doubt,
            classes=settings.classes,
            positive=settings.positive,
            tags={"uncertainty": settings.uncertainty.measure, "run": settings.run_id},
        )
        self.record.scenes[scene] = {"file": file, "made_from": self.made_from(scene)}
        self.record.write()

    def _source(self, on_error: OnError) -> tuple[PoolSource, Mapping[str, str]]:
        """Open the run's scenes; with ``skip`` those that there are, and why not the others."""
        return (self.run.source, {}) if on_error == "fail" else present_source(self.run)

    def finish(self, scenes: Sequence[str], top: int, *, changed: bool) -> None:
        """Write the mosaics and the GeoPackage over the finished scenes, unless they are there."""
        made_from = hashlib.sha256(
            json.dumps([[*map(self.made_from, scenes)], top, list(scenes)]).encode()
        ).hexdigest()[:16]
        whole = [self.folder / name for name in ("probability.vrt", "class.vrt", _PATCHES)]
        up_to_date = self.record.whole == made_from and all(path.exists() for path in whole)
        if not scenes or (up_to_date and not changed):
            return
        of_scenes = [_maps(self.folder, self.files[name]) for name in scenes]
        write_mosaic(whole[0], [probability for probability, _ in of_scenes])
        write_mosaic(whole[1], [best for _, best in of_scenes], self.run.settings.classes)
        self._write_patches(whole[2], scenes, top)
        self.record.whole = made_from
        self.record.write()

    def _write_patches(self, path: Path, scenes: Sequence[str], top: int) -> None:
        run = self.run
        tables = [
            most_probable(read_table(_table(self.folder, self.files[name])), top) for name in scenes
        ]
        best = most_probable(pd.concat(tables, ignore_index=True), top)
        rows = run.patches.iloc[positions_of(run.patches, best["patch_id"].tolist())]
        polygons = run.footprints(best["patch_id"].tolist()).array
        patches = gpd.GeoDataFrame(rows.reset_index(drop=True), geometry=polygons, crs=run.crs)
        for name in ("probability", "uncertainty", "class"):
            patches[name] = best[name].to_numpy()
        patches["label"] = self.lesson.labels.reindex(best["patch_id"]).to_numpy(dtype=object)
        patches["scene_crs"] = [run.grids[scene].crs for scene in patches["scene"]]
        write_patches(
            path,
            patches,
            positive=run.settings.positive,
            concepts=list(run.settings.concepts),
        )

    def _files(self, scene: str) -> tuple[Path, ...]:
        file = self.files[scene]
        return (*_maps(self.folder, file), _table(self.folder, file))


def present_source(run: Run) -> tuple[PoolSource, Mapping[str, str]]:
    """Open those of a run's scenes that there are; return the source and why not the others, by
    scene. Raises OwlError where the source as a whole cannot be opened."""
    try:
        return run.source, {}
    except OwlError:
        part = unopened_source(run.settings_here.source).open_in_part(
            run.patches, run.grids, run.index.statistics.bands
        )
        if part is None:
            raise
        return part


def _tell(progress: Progress, before: int, total: int, done: int, _of_scene: int) -> None:
    progress(before + done, total)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep other processes from writing maps there; labelling goes on meanwhile.

    What a killed process left half-made is cleared away.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    busy = f"another owl-geo writes predictions into {folder}; wait until it is done"
    with locked(folder / ".lock", busy):
        for left_over in [*folder.glob("*/.scratch-*"), *folder.glob("..patches.partial-*")]:
            shutil.rmtree(left_over, ignore_errors=True)
        yield
