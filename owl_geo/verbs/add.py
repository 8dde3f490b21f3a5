"""Scenes that are added to a run: tiled and computed for themselves, put behind those it has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.table import describe
from owl_geo.errors import RunError, SourceError
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.paths import LAYERS
from owl_geo.settings import owl_toml
from owl_geo.settings.config import GeoTiffSettings, SceneSettings
from owl_geo.sources.base import windows_of
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.places import Found, find_scenes
from owl_geo.sources.scenes import NoSceneLeft
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import FailedScene
from owl_geo.verbs import init as making
from owl_geo.verbs.init import OnError
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers


@dataclass(frozen=True)
class Added:
    """What became of the scenes that were to be added."""

    run: Run
    done: tuple[str, ...]  # names of the scenes that are new
    skipped: tuple[str, ...]  # of those that the run had already
    failed: tuple[FailedScene, ...]
    patches: int  # that are new
    scenes: list[str]  # a line per new scene
    concepts: list[str]  # a line per concept, of the new patches


def add(
    path: str | os.PathLike[str],
    scenes: Sequence[str],
    *,
    masks: Sequence[str] = (),
    on_error: OnError = "fail",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Added:
    """Add scenes to a run, named as ``find_scenes`` has it; those it has already are skipped.

    Patches, concepts, and with an oracle the truth and the held-out part, are computed for the new
    scenes alone and put behind the others. What the run has stays: patches, band statistics,
    answers, rounds, a batch that waits. The next query sees all patches. Either all new files are
    in place or none: a process that is killed leaves the run as it was, or the next command that
    opens it puts the rest in place.

    With ``on_error="skip"`` scenes that cannot be read, lack a band or lie outside every layer are
    left out and named. ``workers`` compute the concepts; threads of this process if none are
    named.

    Raises RunError where the run is no run on scenes, or its owl.toml was edited since; SourceError
    where a scene cannot be added, or all fail; LayerError, ConfigError. Then nothing is changed.
    """
    run = Run(path)
    with run.locked():
        return _add(Run(path), scenes, masks, on_error, workers, report)


def _add(
    run: Run,
    words: Sequence[str],
    masks: Sequence[str],
    on_error: OnError,
    workers: Workers | None,
    report: Reporter,
) -> Added:
    source = run.settings_here.source
    if not isinstance(source, GeoTiffSettings):
        raise RunError(
            f"{run.path} has a {source.kind} source; only to a run on scenes can scenes be added"
        )
    patches = run.patches  # says so where owl.toml was edited since
    found = find_scenes(
        words,
        bands=source.bands,
        masks=masks,
        mask_bad=source.mask_bad,
        item_masks=_fits_masks(source),
        known=source.scenes,
        on_error=on_error,
    )
    _check_masks(run, source, found)
    if not found.scenes:
        return _nothing(run, found, found.failed)
    try:
        fresh = _Fresh.of(run, source, found.scenes, on_error, workers, report)
    except NoSceneLeft as error:
        if on_error == "fail":
            raise
        return _nothing(run, found, (*found.failed, *error.failed))
    text = owl_toml.with_scenes(
        (run.path / owl_toml.FILE_NAME).read_text(encoding="utf-8-sig"), fresh.scenes
    )
    settings = owl_toml.parse_text(text, str(run.path / owl_toml.FILE_NAME))
    whole = pd.concat([patches, fresh.patches], ignore_index=True)
    truth = run.truth
    if truth is not None and fresh.truth is not None:
        truth = pd.concat([truth, fresh.truth], ignore_index=True)
    grids = {**run.grids, **fresh.source.grids}
    extended = run_setup.extend(run, settings, text, whole, grids, truth)
    return Added(
        run=extended,
        done=tuple(scene.name for scene in fresh.scenes),
        skipped=found.known,
        failed=(*found.failed, *fresh.source.failed),
        patches=len(fresh.patches),
        scenes=[str(scene) for scene in fresh.source.summary],
        concepts=describe(fresh.patches[list(settings.concepts)]) if len(fresh.patches) else [],
    )


def _nothing(run: Run, found: Found, failed: tuple[FailedScene, ...]) -> Added:
    """Return that nothing was added; raises SourceError where that is since all failed."""
    if failed and not found.known:
        raise NoSceneLeft(failed)
    return Added(run, (), found.known, failed, 0, [], [])


def _fits_masks(source: GeoTiffSettings) -> bool:
    """Whether a scene with a mask of its own may join, see ``_check_masks``."""
    return bool(source.mask_bad) and any(scene.mask for scene in source.scenes)


def _check_masks(run: Run, source: GeoTiffSettings, found: Found) -> None:
    if not any(scene.mask for scene in found.scenes) or _fits_masks(source):
        return
    if not source.mask_bad:
        raise RunError(
            f"{run.path} was made without mask_bad, the list of a mask's bad values; put it into "
            f"owl.toml under [source] and run `owl-geo init {run.path} --update` first"
        )
    raise RunError(
        f"{run.path}: mask_bad speaks of the masks that came with its scenes; to add a scene with "
        "a mask of its own would change these, make another run"
    )


@dataclass(frozen=True)
class _Fresh:
    """New scenes, computed for themselves."""

    source: GeoTiffSource
    scenes: tuple[SceneSettings, ...]
    patches: pd.DataFrame
    truth: pd.DataFrame | None

    @classmethod
    def of(
        cls,
        run: Run,
        known: GeoTiffSettings,
        scenes: tuple[SceneSettings, ...],
        on_error: OnError,
        workers: Workers | None,
        report: Reporter,
    ) -> _Fresh:
        """Raises SourceError, LayerError."""
        settings = run.settings_here.model_copy(
            update={"source": known.model_copy(update={"scenes": scenes})}
        )
        source = making.open_for(settings, report, on_error, beside=known.scenes)
        assert isinstance(source, GeoTiffSource)
        if source.bands != run.index.statistics.bands:
            raise SourceError(
                f"the new scenes give the bands {', '.join(source.bands)}, the run has "
                f"{', '.join(run.index.statistics.bands)}"
            )
        if len(source.index):
            layers = KeptLayers(run.path / LAYERS)
            table = making.concepts_of(
                settings, source, report, workers, layers, skip=True, a_part=True
            )
            if table.outside and on_error == "fail":
                raise SourceError(f"scene {table.outside[0]!r} lies outside every layer")
            patches = making.with_concepts(source.index, table.columns)
        else:
            patches = run.patches[:0]
        truth = None
        if settings.oracle is not None and len(patches):
            before = len(run.patches)
            held = making.held_out_later(settings, windows_of(source), before)
            labels = truth_labels(settings, source, a_part=True)
            truth = making.truth_table(source.index, labels, [held])
        left_out = {scene.name for scene in source.failed}
        kept = tuple(scene for scene in scenes if scene.name not in left_out)
        return cls(source, kept, patches, truth)
