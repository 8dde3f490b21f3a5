"""Laying out the pool of a run: its patches, their concepts and truth, and how bands look."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.table import ConceptTable, concept_table
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.paths import LAYERS
from owl_geo.run_folder.setup import KeptPool
from owl_geo.run_folder.used import used_patches
from owl_geo.settings.concepts import Concept
from owl_geo.settings.config import Settings
from owl_geo.sources import unopened_source
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.unopened import OnError
from owl_geo.sources.views.measuring import ViewSummary, check_ground, with_views
from owl_geo.sources.views.opening import check_views, open_views
from owl_geo.types import FailedScene
from owl_geo.verbs.pool_truth import truth_of
from owl_geo.verbs.same_ground import take_each_place_once, take_places_again
from owl_geo.wording import per_cent
from owl_geo.work.progress import Reporter
from owl_geo.work.workers import Workers

_log = logging.getLogger("owl_geo")

_NEARLY_ALL = 0.8  # of the patches: a concept that holds for more says little


@dataclass(frozen=True)
class PoolIndex:
    """What a run keeps of its pool, what it was made from, and what there is to say of it."""

    source: PoolSource
    kept: KeptPool
    layers: KeptLayers
    coverage: Mapping[str, float]
    failed: tuple[FailedScene, ...]
    views: tuple[ViewSummary, ...]


def make_index(
    settings: Settings,
    report: Reporter,
    workers: Workers | None,
    *,
    on_error: OnError = "fail",
    before: Run | None = None,
) -> PoolIndex:
    """Tile the source and compute everything; ``before`` is the run whose index is replaced."""
    views = open_views(settings.views)
    check_views(views)
    unopened = unopened_source(settings.source)
    source = unopened.open(progress=report("Tiling"), on_error=on_error)
    source.check_bands(settings.oracle.path if settings.oracle else None)
    check_ground(views, source.grids)
    rule = unopened.same_ground
    if before is None:
        once = take_each_place_once(source, rule)
    else:
        once = take_places_again(source, rule, before, used_patches(before, source.grids))
    layers = KeptLayers(before.path / LAYERS if before is not None else None)
    table = concepts_of(settings, source, report, workers, layers, skip=on_error == "skip")
    _warn_of_concepts(table.columns, settings.concepts)
    patches = with_concepts(source.index, table.columns)
    progress = report("Views") if views else None
    source, levels, shown = with_views(source, views, settings.seed, progress)
    statistics = band_statistics(source, np.random.default_rng([settings.seed, 0]))
    grown = run_setup.growth_before(before, patches["patch_id"]) if before is not None else None
    truth = truth_of(settings, source, grown.parts if grown else ())
    kept = KeptPool(patches, source.grids, statistics, truth, levels, places_once=once)
    return PoolIndex(source, kept, layers, table.coverage, source.failed, shown)


def concepts_of(
    settings: Settings,
    source: PoolSource,
    report: Reporter,
    workers: Workers | None,
    layers: KeptLayers,
    *,
    skip: bool,
    a_part: bool = False,
) -> ConceptTable:
    """Compute the concepts; with ``skip``, scenes outside every layer leave the source."""
    table = concept_table(
        source.index,
        windows_of(source),
        settings.concepts,
        settings.layers,
        progress=report("Concepts"),
        a_part=a_part,
        skip=skip,
        workers=workers,
        kept=layers,
    )
    if not table.outside:
        return table
    kept = ~source.index["scene"].isin(table.outside).to_numpy()
    source.leave_out([FailedScene(name, beyond_layers(name)) for name in table.outside])
    return ConceptTable(table.columns[kept].reset_index(drop=True), table.coverage, table.outside)


def beyond_layers(scene: str) -> str:
    """Return why a scene that no layer reaches is left out, and what to do."""
    return (
        f"scene {scene!r} lies outside every layer; name layers in owl.toml that reach it, or make "
        "a run of its own"
    )


def with_concepts(index: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """Return the patch index in the form that the run keeps."""
    own = ["patch_id", "scene", "row_off", "col_off", "valid_fraction"]
    return pd.concat([index[own], columns], axis=1)


def _warn_of_concepts(columns: pd.DataFrame, concepts: Mapping[str, Concept]) -> None:
    """Warn of yes/no concepts that have the same value nearly everywhere."""
    for name in columns.select_dtypes(bool):
        share = float(columns[name].mean())
        of = getattr(concepts[str(name)], "of", None)
        if share == 0 and of is not None and columns[of].isna().all():
            continue  # the concept that it derives from is warned of instead
        if share > _NEARLY_ALL or share == 0:
            _log.warning(
                "concepts.%s holds for %s of the patches, so it says little; change it in "
                "owl.toml, or leave it out",
                name,
                per_cent(share) if share else "none",
            )
