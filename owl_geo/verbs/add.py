"""Adding scenes to a run: they are tiled and computed on their own, then appended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.errors import RunError, SceneError, SourceError, check_texts
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import LAYERS
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources import unopened_source
from owl_geo.sources.band_choice import known_bands
from owl_geo.sources.band_wording import in_short
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.left_out import NoSceneLeft
from owl_geo.sources.statistics import look_for_empty
from owl_geo.sources.unopened import Addition, OnError, check_on_error
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.measuring import ViewSummary
from owl_geo.truth.held_out import Before
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import BandStatistics, FailedScene
from owl_geo.verbs.init_summary import concept_lines
from owl_geo.verbs.measure import measure_rest
from owl_geo.verbs.older_runs import check_scales
from owl_geo.verbs.pool_index import beyond_layers, concepts_of, with_concepts
from owl_geo.verbs.pool_truth import held_out_later, truth_table
from owl_geo.verbs.run_views import with_views_of
from owl_geo.verbs.same_ground import leave_out_known_places
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers


@dataclass(frozen=True)
class Added:
    """What happened to each scene that was to be added."""

    run: Run
    done: tuple[str, ...]  # names of the new scenes
    skipped: tuple[str, ...]  # names of the scenes that the run already had
    failed: tuple[FailedScene, ...]
    patches: int  # number of new patches
    scenes: list[str]  # one line per new scene
    concepts: list[str]  # one line per concept, about the new patches
    views: tuple[ViewSummary, ...] = ()  # what each view shows of the new patches
    total: int = 0  # number of patches of the run


def add(
    run: AnyRun,
    scenes: Sequence[str],
    *,
    masks: Sequence[str] = (),
    on_error: OnError = "fail",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Added:
    """Add scenes to a run, named as for ``find_scenes``; scenes that it already has are skipped.

    Patches and concepts, and with an oracle the truth and the held-out part, are computed for the
    new scenes alone and appended. What the run already has stays: patches, band statistics,
    answers, rounds, a batch that is waiting for answers. The next query considers all patches.
    Either all new files are put in place or none: if the process is killed, the run is left as it
    was, or the next command that opens it completes the change.

    With ``on_error="skip"``, scenes that cannot be read, lack a band or lie outside every layer are
    left out and named. ``workers`` compute the concepts; the default is threads of this process.

    Raises RunError where the run is not on scenes, or its owl.toml has been edited since;
    SourceError where a scene cannot be added, or all fail; LayerError, ConfigError. The run is then
    unchanged.
    """
    check_on_error(on_error)
    check_texts("scenes", scenes)
    check_texts("masks", masks)
    run = Run.of(run)
    with run.locked():
        # while the pool is still the one that the last round has learnt from
        measure_rest(Run(run.path), workers=workers, report=report)
        return _add(Run(run.path), scenes, masks, on_error, workers, report)


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
            f"{run.path} has a {run.settings.source.kind} source, which cannot grow",
            remedy="make a new run on scenes with `owl-geo init --scene`",
        )
    patches = run.patches  # raises RunError where owl.toml has been edited since
    addition = growth.addition(words, masks, on_error, run.path)
    if addition.settings is None:
        return _nothing(run, addition, addition.failed)
    check_scales(run)
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
    whole = pd.concat([patches, fresh.patches], ignore_index=True).astype({"scene": str})
    truth = run.truth
    if truth is not None and fresh.truth is not None:
        truth = pd.concat([truth, fresh.truth], ignore_index=True)
    grids = {**run.grids, **source.grids}
    extended = run_setup.extend(
        run, owl_toml.parse_text(text, str(path)), text, whole, grids, truth, fresh.levels
    )
    return Added(
        run=extended,
        done=tuple(unopened_source(joined).files),
        skipped=addition.present,
        failed=(*addition.failed, *source.failed),
        patches=len(fresh.patches),
        scenes=[str(scene) for scene in source.summary],
        concepts=concept_lines(fresh.patches, settings) if len(fresh.patches) else [],
        views=fresh.views,
        total=len(whole),
    )


def _nothing(run: Run, addition: Addition[Any], failed: tuple[FailedScene, ...]) -> Added:
    """Return a result without new scenes; raises SourceError if every scene failed."""
    if failed and not addition.present:
        raise NoSceneLeft(failed)
    return Added(run, (), addition.present, failed, 0, [], [], total=len(run.patches))


@dataclass(frozen=True)
class _Fresh:
    """The patches of the new scenes, computed on their own."""

    patches: pd.DataFrame
    truth: pd.DataFrame | None
    levels: Mapping[str, ViewLevels] | None = None
    views: tuple[ViewSummary, ...] = ()

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
        """Compute concepts and truth for a source that holds only the new scenes.

        ``settings`` are the run's, with that source. Raises SourceError, LayerError.
        """
        source.check_bands(settings.oracle.path if settings.oracle else None)
        own = run.index.statistics.of_scene.bands
        if source.bands != own:
            raise SourceError(
                f"the new scenes have the bands {in_short(source.bands)}, but the run has "
                f"{in_short(own)}"
            )
        leave_out_known_places(
            source, unopened_source(settings.source).same_ground, run.index.windows
        )
        if not len(source.index):
            return cls(run.patches[:0], None)
        _look_for_empty(settings, source, run.index.statistics.of_scene, on_error)
        layers = KeptLayers(run.path / LAYERS, like_before=True)
        table = concepts_of(settings, source, report, workers, layers, skip=True, a_part=True)
        if table.outside and on_error == "fail":
            raise SceneError(beyond_layers(table.outside[0]))
        patches = with_concepts(source.index, table.columns)
        _, levels, views = with_views_of(run, source, report)
        if settings.oracle is None or not len(patches):
            return cls(patches, None, levels, views)
        assert run.truth is not None
        before = Before(
            run.index.windows,
            *(run.truth[name].to_numpy(dtype=bool) for name in ("held_out", "tested")),
        )
        held = held_out_later(settings, windows_of(source), before)
        labels = truth_labels(settings, source, a_part=True)
        return cls(patches, truth_table(source.index, labels, [held]), levels, views)


def _look_for_empty(
    settings: Settings, source: PoolSource, before: BandStatistics, on_error: OnError
) -> None:
    """Warn of new patches that look like missing data; raises SourceError for damaged files."""
    try:
        look_for_empty(source, before, np.random.default_rng([settings.seed, 0]))
    except SourceError:
        if on_error == "fail":
            raise  # else whatever needs these patches says so, and the other scenes are of use
