"""Scenes that are added to a run: tiled and computed for themselves, put behind those it has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.table import describe
from owl_geo.errors import RunError, SourceError
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.paths import LAYERS
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources import unopened_source
from owl_geo.sources.bands import known_bands
from owl_geo.sources.base import NoSceneLeft, PoolSource, windows_of
from owl_geo.sources.unopened import Addition, OnError
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import FailedScene
from owl_geo.verbs import init as making
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
    growth = unopened_source(run.settings_here.source).growth
    if growth is None:
        raise RunError(
            f"{run.path} has a {run.settings.source.kind} source",
            remedy="only to a run on scenes can scenes be added",
        )
    patches = run.patches  # says so where owl.toml was edited since
    addition = growth.addition(words, masks, on_error, run.path)
    if addition.settings is None:
        return _nothing(run, addition, addition.failed)
    settings = run.settings_here.model_copy(update={"source": addition.settings})
    try:
        source = growth.open(
            addition.settings, report("Tiling"), on_error, known_bands(run.index.statistics)
        )
        fresh = _Fresh.of(run, settings, source, on_error, workers, report)
    except NoSceneLeft as error:
        if on_error == "fail":
            raise
        return _nothing(run, addition, (*addition.failed, *error.failed))
    joined = unopened_source(addition.settings).without({scene.name for scene in source.failed})
    path = run.path / owl_toml.FILE_NAME
    text = growth.written(path.read_text(encoding="utf-8-sig"), joined)
    whole = pd.concat([patches, fresh.patches], ignore_index=True)
    truth = run.truth
    if truth is not None and fresh.truth is not None:
        truth = pd.concat([truth, fresh.truth], ignore_index=True)
    grids = {**run.grids, **source.grids}
    extended = run_setup.extend(
        run, owl_toml.parse_text(text, str(path)), text, whole, grids, truth
    )
    return Added(
        run=extended,
        done=tuple(unopened_source(joined).files),
        skipped=addition.present,
        failed=(*addition.failed, *source.failed),
        patches=len(fresh.patches),
        scenes=[str(scene) for scene in source.summary],
        concepts=describe(fresh.patches[list(settings.concepts)]) if len(fresh.patches) else [],
    )


def _nothing(run: Run, addition: Addition[Any], failed: tuple[FailedScene, ...]) -> Added:
    """Return that nothing was added; raises SourceError where that is since all failed."""
    if failed and not addition.present:
        raise NoSceneLeft(failed)
    return Added(run, (), addition.present, failed, 0, [], [])


@dataclass(frozen=True)
class _Fresh:
    """The patches of new scenes, computed for themselves."""

    patches: pd.DataFrame
    truth: pd.DataFrame | None

    @classmethod
    def of(
        cls,
        run: Run,
        settings: Settings,
        source: PoolSource,
        on_error: OnError,
        workers: Workers | None,
        report: Reporter,
    ) -> _Fresh:
        """Compute concepts and truth of a source of the new scenes alone, and of its settings.

        Raises SourceError, LayerError.
        """
        source.check_bands(settings.oracle.path if settings.oracle else None)
        if source.bands != run.index.statistics.bands:
            raise SourceError(
                f"the new scenes give the bands {', '.join(source.bands)}, the run has "
                f"{', '.join(run.index.statistics.bands)}"
            )
        if not len(source.index):
            return cls(run.patches[:0], None)
        layers = KeptLayers(run.path / LAYERS)
        table = making.concepts_of(
            settings, source, report, workers, layers, skip=True, a_part=True
        )
        if table.outside and on_error == "fail":
            raise SourceError(f"scene {table.outside[0]!r} lies outside every layer")
        patches = making.with_concepts(source.index, table.columns)
        if settings.oracle is None or not len(patches):
            return cls(patches, None)
        before = len(run.patches)
        held = making.held_out_later(settings, windows_of(source), before)
        labels = truth_labels(settings, source, a_part=True)
        return cls(patches, making.truth_table(source.index, labels, [held]))
