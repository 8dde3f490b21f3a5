"""What the model says of every patch, as maps: a scene at a time, and the whole at the end.

Which model that is, ``current_model`` says; what is written of it, ``maps.outputs``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from owl_geo.errors import ConfigError, OwlError, RunError, SourceError, suggestion
from owl_geo.maps.arrays import read_maps
from owl_geo.maps.cells import cells_of
from owl_geo.maps.outputs import ScenePrediction, outputs
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.search import Search
from owl_geo.sources import unopened_source
from owl_geo.sources.bands import known_bands
from owl_geo.sources.base import PoolSource
from owl_geo.types import IntArray
from owl_geo.verbs.current_model import CurrentModel
from owl_geo.verbs.prediction_folder import FOLDER, PredictionFolder, legend_of, only_one
from owl_geo.verbs.prediction_record import FILE_NAME, PredictionRecord
from owl_geo.work.progress import Progress, Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    import xarray

    from owl_geo.learners.base import Learner

_FEWEST_FRAMES, _MOST_FRAMES = 20, 1000  # patches that are listed where nobody says how many

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
        return outputs()["probability"].whole(self.folder)

    @property
    def patches(self) -> Path:
        """The most probable patches, a GeoPackage."""
        return outputs()["patches"].whole(self.folder)

    @property
    def shown(self) -> list[Path]:
        """The files to look at first."""
        return [one.whole(self.folder) for one in outputs().values() if one.is_shown]


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
    model = CurrentModel.of(run)
    if top is None:
        top = min(max(len(run.patches) // 10, _FEWEST_FRAMES), _MOST_FRAMES)
    path = Path(out) if out is not None else run.path / FOLDER
    known = list(run.patches["scene"].unique())
    for name in scenes:
        if name not in known:
            raise ConfigError(
                f"no patch of a scene {name!r} in {run.path}", remedy=suggestion(name, known)
            )
    with only_one(path):
        folder = PredictionFolder.of(run, model, path)
        folder.forget(set(folder.record.scenes) - set(known))
        wanted = [name for name in known if not scenes or name in scenes]
        todo = [name for name in wanted if overwrite or not folder.is_finished(name)]
        failed = _predict(folder, todo, on_error, device, workers, report) if todo else {}
        folder.write_whole(top, changed=bool(todo))
    return Summary(
        done=tuple(name for name in todo if name not in failed),
        skipped=tuple(name for name in wanted if name not in todo),
        failed=failed,
        folder=path,
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
    record = PredictionRecord.read(folder / FILE_NAME)
    if not record.scenes:
        raise RunError(
            f"no predictions in {folder}", remedy=f"make them with `owl-geo predict {run.path}`"
        )
    return {
        name: read_maps(folder, entry["file"], legend_of(run)).assign_attrs(scene=name)
        for name, entry in record.scenes.items()
    }


def _predict(
    folder: PredictionFolder,
    scenes: Sequence[str],
    on_error: OnError,
    device: str,
    workers: Workers | None,
    report: Reporter,
) -> dict[str, str]:
    """Do the scenes one after the other and return those that failed, with the reasons."""
    from owl_geo.learners.scoring import pick_device

    folder.forget_whole()
    run = folder.run
    source, missing = (run.source, {}) if on_error == "fail" else present_source(run)
    failed = {name: missing[name] for name in scenes if name in missing}
    todo = [name for name in scenes if name not in failed]
    if todo:
        search = run.search(pick_device(device), workers, report, source)
        try:
            learner = folder.model.learner(run, search)
        except SourceError as error:  # left out or not, it holds what the model learns from
            raise SourceError(f"the model cannot be learnt: {error}") from error
        where = run.patches.groupby("scene", sort=False).indices  # sorted positions
        total, done = sum(len(where[name]) for name in todo), 0
        progress = report("Predicting")
        for name in todo:
            told = None if progress is None else partial(_tell, progress, done, total)
            try:
                _predict_scene(folder, name, search, learner, where[name], told)
            except SourceError as error:
                if on_error == "fail":
                    raise
                failed[name] = str(error)
            done += len(where[name])
    folder.forget(failed)
    return failed


def _predict_scene(
    folder: PredictionFolder,
    scene: str,
    search: Search,
    learner: Learner,
    positions: IntArray,
    progress: Progress | None,
) -> None:
    run = folder.run
    members = search.members(learner, positions, folder.model.number, progress)
    doubt = uncertainty(members, run.settings.uncertainty.measure).astype(np.float32)
    rows = run.patches.iloc[positions]
    cells = cells_of(run.index.windows.take(positions).of_scene(scene))
    prediction = ScenePrediction(cells, members.mean(axis=0), doubt)
    folder.write_scene(scene, rows["patch_id"].tolist(), prediction)


def present_source(run: Run) -> tuple[PoolSource, Mapping[str, str]]:
    """Open those of a run's scenes that there are; return the source and why not the others, by
    scene. Raises OwlError where the source as a whole cannot be opened."""
    try:
        return run.source, {}
    except OwlError:
        part = unopened_source(run.settings_here.source).open_in_part(
            run.patches, run.grids, known_bands(run.index.statistics)
        )
        if part is None:
            raise
        return part


def _tell(progress: Progress, before: int, total: int, done: int, _of_scene: int) -> None:
    progress(before + done, total)
