"""What the model predicts for every patch, as maps: scene by scene, then all scenes together.

``current_model`` defines which model that is, and ``maps.outputs`` what is written.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from owl_geo.errors import (
    BusyError,
    ConfigError,
    OwlError,
    RunError,
    SourceError,
    check_number,
    check_texts,
    suggestion,
)
from owl_geo.maps.arrays import read_maps
from owl_geo.maps.cells import cells_of
from owl_geo.maps.outputs import ScenePrediction, outputs
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.search.search import Search
from owl_geo.sources import unopened_source
from owl_geo.sources.band_choice import known_bands
from owl_geo.sources.base import PoolSource
from owl_geo.sources.left_out import failed_scene
from owl_geo.sources.unopened import OnError, check_on_error
from owl_geo.verbs.current_model import CurrentModel
from owl_geo.verbs.prediction_folder import FOLDER, PredictionFolder, legend_of, only_one
from owl_geo.verbs.prediction_record import FILE_NAME, PredictionRecord
from owl_geo.verbs.target_areas import THRESHOLD, TargetArea, Targets, check_threshold
from owl_geo.wording import as_typed, counted
from owl_geo.work.progress import Progress, Reporter, silent, stretch_of
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    import xarray

    from owl_geo.learners.base import Learner

_log = logging.getLogger("owl_geo")

_FEWEST_FRAMES, _MOST_FRAMES = 20, 1000  # patches that are listed by default


@dataclass(frozen=True)
class Summary:
    """What happened to each scene, and where the maps are."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]  # already up to date
    failed: Mapping[str, str]  # the reason by scene, which names it
    folder: Path
    area: TargetArea | None = None  # of the targets; None if no scene is finished

    @property
    def mosaic(self) -> Path:
        """The probability over all scenes, a VRT."""
        return outputs()["probability"].whole(self.folder)

    @property
    def patches(self) -> Path:
        """The most probable patches, a GeoPackage."""
        return outputs()["patches"].whole(self.folder)

    @property
    def areas(self) -> Path:
        """The ground of the targets as polygons, a GeoPackage."""
        return outputs()["areas"].whole(self.folder)

    @property
    def shown(self) -> list[Path]:
        """The files to look at first."""
        return [one.whole(self.folder) for one in outputs().values() if one.is_shown]


def predict(
    run: AnyRun,
    *,
    out: str | os.PathLike[str] | None = None,
    top: int | None = None,
    threshold: float = THRESHOLD,
    scenes: Sequence[str] = (),
    on_error: OnError = "fail",
    overwrite: bool = False,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Summary:
    """Write the probability, uncertainty and class of every patch of a run as maps.

    A scene that was finished earlier from the same answers, settings and patches is left alone. The
    mosaics and the GeoPackage hold the scenes that were made from the current ones.

    Args:
        run: the run, or its folder.
        out: where the maps go; None = ``predictions`` in the run's folder.
        top: number of most probable patches in the GeoPackage; None = a tenth of all, but at least
            20 and at most 1,000.
        threshold: probability from which a patch that has no answer counts as a target, in the
            polygons and in their area.
        scenes: names of the scenes to predict; empty = all.
        on_error: what happens if a scene cannot be read: ``fail`` raises, ``skip`` continues and
            reports it. Finished scenes are kept.
        overwrite: redo finished scenes.
        device: where a network runs.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises RunError if there is no answer to learn from, another process is writing there, or the
    disk is full; SourceError if pixels that the model learns from cannot be read.
    """
    if top is not None:
        check_number("top", top, whole=True)
    if top is not None and top < 1:
        raise ConfigError(f"--top is {top}, but must be at least 1")
    check_threshold(threshold)
    check_on_error(on_error)
    check_texts("scenes", scenes)
    run = Run.of(run)
    if top is None:
        top = min(max(len(run.patches) // 10, _FEWEST_FRAMES), _MOST_FRAMES)
    path = Path(out) if out is not None else run.path / FOLDER
    check_output(path)
    with_patches = list(run.patches["scene"].unique())
    for name in scenes:
        if name not in with_patches:
            raise ConfigError(
                f"{run.path} has no patches in a scene {name!r}",
                remedy=suggestion(name, with_patches),
            )
    with ExitStack() as stack:
        stack.enter_context(run.at_one_moment())
        model = CurrentModel.of(run)
        stack.enter_context(only_one(path))  # last, since it makes the folder
        folder = PredictionFolder.of(run, model, path)
        folder.forget(set(folder.record.scenes) - set(with_patches))
        wanted = [name for name in with_patches if not scenes or name in scenes]
        todo = [name for name in wanted if overwrite or not folder.is_finished(name)]
        failed = _predict(folder, todo, on_error, device, workers, report) if todo else {}
        targets = Targets(folder, threshold)
        areas = targets.areas()
        folder.write_whole(top, areas, threshold, changed=bool(todo))
        area = targets.area(areas) if folder.finished else None
    return Summary(
        done=tuple(name for name in todo if name not in failed),
        skipped=tuple(name for name in wanted if name not in todo),
        failed=failed,
        folder=path,
        area=area,
    )


def predictions(
    run: AnyRun, out: str | os.PathLike[str] | None = None
) -> dict[str, xarray.Dataset]:
    """Read the maps that ``predict`` wrote, by scene.

    Each has the DataArrays ``probability``, ``uncertainty`` and ``class`` over y and x, with the
    coordinates of the cell centres and the CRS. A scene that the last call left out is as an
    earlier call wrote it. Raises RunError if there are none, or a file is damaged.
    """
    run = Run.of(run)
    folder = Path(out) if out is not None else run.path / FOLDER
    record = PredictionRecord.read(folder / FILE_NAME)
    if not record.scenes:
        raise RunError(
            f"there are no predictions in {folder}",
            remedy=f"make them with `owl-geo predict {as_typed(run.path)}`",
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
    """Predict the scenes one by one and return those that failed, with the reasons."""
    folder.check_free(scenes)
    folder.forget_whole()
    run = folder.run
    source, missing = (run.source, {}) if on_error == "fail" else present_source(run)
    failed = {name: missing[name] for name in scenes if name in missing}
    todo = [name for name in scenes if name not in failed]
    if todo:
        search = run.search(device, workers, report, source)
        try:
            learner = folder.model.learner(run, search)
        except SourceError as error:  # the model learns from the scene, so it cannot be skipped
            raise SourceError(f"the model cannot be learnt: {error}") from error
        total, done = sum(len(folder.positions[name]) for name in todo), 0
        progress = report("Predicting")
        for name in todo:
            patches, begun = len(folder.positions[name]), time.perf_counter()
            try:
                of_scene = stretch_of(progress, done, total)
                _predict_scene(folder, name, search, learner, of_scene)
                seconds = time.perf_counter() - begun
                _log.info("scene %s: %s, %.1f s", name, counted(patches, "patch"), seconds)
            except SourceError as error:
                if on_error == "fail":
                    raise
                failed[name] = failed_scene(name, error).reason
            done += patches
    folder.forget(failed)
    return failed


def _predict_scene(
    folder: PredictionFolder,
    scene: str,
    search: Search,
    learner: Learner,
    progress: Progress | None,
) -> None:
    run, at = folder.run, folder.positions[scene]
    members = search.members(learner, at, folder.model.number, progress)
    doubt = uncertainty(members, run.settings.uncertainty.measure).astype(np.float32)
    mean = members.mean(axis=0)
    del members  # of millions of patches, hundreds of megabytes
    cells = cells_of(run.index.windows.of_scene(scene))
    folder.write_scene(scene, ScenePrediction(cells, mean, doubt))


def present_source(run: Run) -> tuple[PoolSource, Mapping[str, str]]:
    """Open the scenes of a run that can be read.

    Returns the source, and for each scene that it lacks the reason. Raises OwlError where the
    source as a whole cannot be opened.
    """
    try:
        return run.source, {}
    except BusyError:
        raise
    except OwlError:
        part = unopened_source(run.settings_here.source).open_in_part(
            run.patches, run.grids, known_bands(run.index.statistics)
        )
        if part is None:
            raise
        source, missing = part
        if not missing:  # the scenes are not what is wrong, but perhaps a view
            raise
        return run.with_views(source), missing
