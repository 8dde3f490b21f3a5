"""The table of concepts: one column per declared concept, one row per patch of the index."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import shapely

from owl_geo.concepts import UNKNOWN, areas, derived, extents, rasters
from owl_geo.concepts.distances import metres_to_nearest
from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.selection import LayerConcept, Selection, select
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.settings.config import (
    Concept,
    GivenConcept,
    LayerSettings,
    RasterConcept,
)
from owl_geo.types import AnyArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers

_log = logging.getLogger("owl_geo")

_CLASSES_SHOWN = 12


@dataclass(frozen=True)
class ConceptTable:
    """Concepts of all patches, and how far the layers behind them reach."""

    columns: pd.DataFrame  # object (text), float64 or bool, in the order declared
    coverage: dict[str, float]  # layer, or path of a raster -> share of the patches' area, 0 to 1
    outside: tuple[str, ...] = ()  # scenes that no layer reaches, where that was asked


def concept_table(
    index: pd.DataFrame,
    windows: PoolWindows,
    concepts: Mapping[str, Concept],
    layers: Mapping[str, LayerSettings],
    progress: Progress | None = None,
    *,
    a_part: bool = False,
    skip: bool = False,
    workers: Workers | None = None,
    kept: KeptLayers | None = None,
) -> ConceptTable:
    """Compute the declared concepts for every row of a source's index, which has these windows.

    A layer is read once, however many concepts use it; ``progress`` counts concepts. The index may
    be ``a_part`` of a pool, and then lie beyond a layer. With ``skip``, scenes that lie outside
    every layer and raster are named in ``outside``; their rows are as if nothing was there.
    ``workers`` share the work; threads of this process if none are named. ``kept`` spares the
    reading of extracts that were read before.
    Raises ConfigError for concepts that do not fit together, and LayerError for a layer or raster
    that cannot be read, lacks what the concepts ask of it, or lies elsewhere.
    """
    derived.check(concepts, index)
    selections = {
        name: select(name, concept, layers)
        for name, concept in concepts.items()
        if isinstance(concept, LayerConcept)
    }
    work = _Work(
        Pool.of(windows),
        layers,
        selections.values(),
        a_part,
        workers or Threads(),
        kept or KeptLayers(),
    )
    columns: dict[str, AnyArray] = {}
    for done, (name, concept) in enumerate(concepts.items()):
        if progress is not None:
            progress(done, len(concepts))
        if isinstance(concept, derived.Derived):
            columns[name] = derived.derive(concept, columns[concept.of])
        elif isinstance(concept, GivenConcept):
            columns[name] = derived.given(name, index)
        elif isinstance(concept, RasterConcept):
            columns[name] = work.of_raster(concept)
        else:
            columns[name] = work.of_layer(concept, selections[name])
    if progress is not None:
        progress(len(concepts), len(concepts))
    series = {
        name: pd.Series(values, index=index.index, dtype=values.dtype)
        for name, values in columns.items()
    }
    outside = work.untouched() if skip else ()
    return ConceptTable(pd.DataFrame(series, index=index.index), work.coverage, outside)


class _Work:
    """Computes columns over the pool, and keeps the layers that it has read."""

    def __init__(
        self,
        pool: Pool,
        settings: Mapping[str, LayerSettings],
        selections: Iterable[Selection],
        a_part: bool,
        workers: Workers,
        kept: KeptLayers,
    ) -> None:
        self.coverage: dict[str, float] = {}
        self._a_part = a_part
        self._workers = workers
        self._kept = kept
        self._extents: list[extents.Extent] = []
        self._pool = pool
        self._settings = settings
        self._layers: dict[str, Layer] = {}
        self._keys: dict[str, dict[str, None]] = {}  # layer -> attributes wanted of it, in order
        self._selections = list(selections)
        for selection in self._selections:
            self._keys.setdefault(selection.layer, {}).update(dict.fromkeys(selection.keys))

    def of_layer(self, concept: LayerConcept, selection: Selection) -> AnyArray:
        """Return a category as object, a share or a distance as float64, ``(n,)``."""
        layer = self._layer(selection.layer)
        crs = layer.features.crs
        names, geometries, codes = selection.features(layer)
        if concept.kind == "distance":
            metres = metres_to_nearest(self._pool.centres_lonlat(), geometries, crs, self._workers)
            _warn_if_empty(
                geometries, selection, layer, "feature", "the distance is unknown everywhere"
            )
            return metres
        flat = shapely.get_dimensions(geometries) == 2
        polygons = areas.PolygonLayer(geometries[flat], crs, codes[flat])
        if concept.kind == "share":
            _warn_if_empty(
                geometries[flat], selection, layer, "polygon", "the share is 0 everywhere"
            )
            return self._pool.fill(0.0, partial(_share, polygons), self._workers, self._pool.parts)
        _warn_if_empty(geometries[flat], selection, layer, "polygon", f"every patch is {UNKNOWN!r}")
        largest = partial(_largest, polygons, tuple(names))
        return self._pool.fill(UNKNOWN, largest, self._workers, self._pool.parts)

    def of_raster(self, concept: RasterConcept) -> AnyArray:
        """Return the majority as object or the mean as float64, ``(n,)``."""
        path, band = concept.path, concept.band
        if path not in self.coverage:
            self.coverage[path] = self._check(f"raster {path}", rasters.extent(path))
        # scenes whole: a raster is read in strips as wide as the scene
        scenes = self._pool.scenes
        if concept.reduce == "mean":
            return self._pool.fill(np.nan, partial(_mean, path, band), self._workers, scenes)
        majority = partial(_majority, path, band, concept.names)
        return self._pool.fill(UNKNOWN, majority, self._workers, scenes)

    def _layer(self, name: str) -> Layer:
        if name not in self._layers:
            layer = self._kept.load(self._settings[name], tuple(self._keys[name]))
            self.coverage[name] = self._check(f"layer {name!r}", layer.extent)
            self._layers[name] = layer
            self._warn_of_missing(name, layer)
        return self._layers[name]

    def _warn_of_missing(self, name: str, layer: Layer) -> None:
        """Say once which of the attributes that concepts ask of a layer it has not."""
        asked = [one for one in self._selections if one.layer == name and one.missing(layer)]
        partly = [one for one in asked if len(one.missing(layer)) < len(one.keys)]
        if partly:
            missing = dict.fromkeys(key for one in partly for key in one.missing(layer))
            _log.warning(
                "layer %r has no column %s; filters of %s by them find nothing",
                name,
                ", ".join(map(repr, missing)),
                " and ".join(f"concepts.{one.concept}" for one in partly),
            )

    def _check(self, what: str, extent: extents.Extent) -> float:
        self._extents.append(extent)
        return extents.check(what, extent, self._pool, a_part=self._a_part)

    def untouched(self) -> tuple[str, ...]:
        """Return the scenes that no layer or raster reaches, none where there is no layer."""
        if not self._extents:
            return ()
        touched = set().union(*(extents.touched_scenes(e, self._pool) for e in self._extents))
        names = [scene.windows.grid.name for scene in self._pool.scenes]
        return tuple(name for name in names if name not in touched)


# What workers do with a part of the pool; functions of this module, so that they can travel.


def _share(polygons: areas.PolygonLayer, windows: Windows) -> AnyArray:
    return areas.shares(windows.footprints(), polygons.onto(windows)[0])


def _largest(polygons: areas.PolygonLayer, names: Sequence[str], windows: Windows) -> AnyArray:
    labels: AnyArray = np.array([*names, UNKNOWN], dtype=object)  # -1, for nothing, takes the last
    codes = areas.largest_class(windows.footprints(), *polygons.onto(windows), len(names))
    return np.asarray(labels[codes])


def _mean(path: str, band: int, windows: Windows) -> AnyArray:
    return rasters.mean(path, windows, band=band)


def _majority(path: str, band: int, names: Mapping[str, str], windows: Windows) -> AnyArray:
    return rasters.majority(path, windows, band=band, names=names)


def _warn_if_empty(
    geometries: AnyArray, selection: Selection, layer: Layer, kind: str, outcome: str
) -> None:
    if len(geometries) == 0:
        _log.warning(
            "concepts.%s: layer %r has no %s%s; %s%s",
            selection.concept,
            selection.layer,
            kind,
            f" with {selection}" if selection.keys else "",
            outcome,
            selection.meant(layer),
        )


def describe(columns: pd.DataFrame) -> list[str]:
    """Return one line per concept: classes with counts, the range of a number, the share of yes."""
    return [f"{name}: {_summary(columns[name])}" for name in columns]


def _summary(column: pd.Series) -> str:
    n = max(len(column), 1)
    if pd.api.types.is_bool_dtype(column):
        return f"yes {column.sum()} ({column.sum() / n:.1%})".replace("%", " %")
    if pd.api.types.is_numeric_dtype(column):
        missing = int(column.isna().sum())
        if missing == len(column):
            return "no patch has a value"
        ends = ", ".join(
            f"{word} {_number(value)}"
            for word, value in (
                ("min", column.min()),
                ("median", column.median()),
                ("max", column.max()),
            )
        )
        return f"{ends}, missing {missing}"
    counts = column.value_counts(sort=False)
    counts = counts.sort_values(ascending=False, kind="stable")
    shown = [counted(word, k, n) for word, k in counts.head(_CLASSES_SHOWN).items()]
    rest = len(counts) - len(shown)
    return ", ".join(shown + ([f"{rest} more classes"] if rest else []))


def counted(word: object, count: int, n: int) -> str:
    """Return a class with its count: ``forest: 148 (14.5 %)``; classes may be numbers too."""
    return f"{word}: {count} ({count / n:.1%})".replace("%", " %")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
