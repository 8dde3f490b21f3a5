"""Concepts computed from vector layers: a category, a share of the area, a distance."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from owl_geo.concepts import UNKNOWN, areas
from owl_geo.concepts.distances import metres_to_nearest
from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.outlines import warn_of_outlines
from owl_geo.concepts.pool import Part
from owl_geo.concepts.selection import Selection, select
from owl_geo.ground.crs import geodetic_of, same_datum
from owl_geo.ground.transformations import best_transformation
from owl_geo.ground.windows import Windows
from owl_geo.settings.concepts import CategoryConcept, DistanceConcept, ShareConcept
from owl_geo.types import AnyArray

_log = logging.getLogger("owl_geo")

# Metres: a layer that is all farther away than this from the patches is taken for a mistake.
_FAR = 100_000.0


class Category(ConceptKind[CategoryConcept]):
    """The class with the largest share of the patch's area, as text."""

    @cached_property
    def selection(self) -> Selection:
        """The filters of each class, or the column that holds the classes."""
        settings = self.settings
        return select(
            self.name, settings.layer, self.layers, settings.classes, column=settings.column
        )

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``category``."""
        return "category"

    def column(self, work: Work) -> AnyArray:
        """Return the classes, object ``(n,)``; ``unknown`` where there is no polygon."""
        layer = work.layer(self.selection.layer)
        names, geometries, codes = self.selection.features(layer)
        flat = shapely.get_dimensions(geometries) == 2
        polygons = areas.PolygonLayer(geometries[flat], layer.features.crs, codes[flat])
        outcome = f"every patch is {UNKNOWN!r}"
        _warn_if_empty(geometries[flat], self.selection, layer, "polygon", outcome)
        return work.fill(UNKNOWN, partial(_largest, polygons, tuple(names)))


class Share(ConceptKind[ShareConcept]):
    """The share of the patch's area that polygons cover, 0 to 1."""

    @cached_property
    def selection(self) -> Selection:
        """The filters that select the polygons."""
        return select(self.name, self.settings.layer, self.layers, {"": self.settings.where})

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``number``."""
        return "number"

    def column(self, work: Work) -> AnyArray:
        """Return the shares, float64 ``(n,)``."""
        layer = work.layer(self.selection.layer)
        _, geometries, codes = self.selection.features(layer)
        flat = shapely.get_dimensions(geometries) == 2
        polygons = areas.PolygonLayer(geometries[flat], layer.features.crs, codes[flat])
        outcome = "the share is 0 everywhere"
        _warn_if_empty(geometries[flat], self.selection, layer, "polygon", outcome)
        return work.fill(0.0, partial(_share, polygons))


class Distance(ConceptKind[DistanceConcept]):
    """Metres from the patch's centre to the nearest feature, which may lie outside the scenes."""

    @cached_property
    def selection(self) -> Selection:
        """The filters that select the features."""
        where = {"": self.settings.where}
        return replace(select(self.name, self.settings.layer, self.layers, where), reach=_FAR)

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``number``."""
        return "number"

    def column(self, work: Work) -> AnyArray:
        """Return the metres, float64 ``(n,)``; NaN if there is no feature."""
        layer = work.layer(self.selection.layer)
        _, geometries, _ = self.selection.features(layer)
        crs = layer.features.crs
        metres = np.full(len(work.pool), np.nan)
        for (datum, _), scenes in _by_datum(work.pool.scenes, crs).items():
            rows = np.concatenate([scene.positions for scene in scenes])
            centres = np.concatenate([scene.windows.centres_in(datum) for scene in scenes])
            near = scenes[0].windows.place
            metres[rows] = metres_to_nearest(
                centres, geometries, crs, work.workers, datum=datum, near=near
            )
        outcome = "the distance is unknown everywhere"
        _warn_if_empty(geometries, self.selection, layer, "feature", outcome)
        if not layer.is_osm:
            effect = "distances within it are those to the line"
            warn_of_outlines(f"concepts.{self.name}", geometries, effect)
        return metres


def _by_datum(scenes: Sequence[Part], crs: CRS) -> dict[tuple[CRS, str], list[Part]]:
    """Return the scenes to which features of a layer come by one change of datum."""
    groups: dict[tuple[CRS, str], list[Part]] = {}
    for scene in scenes:
        datum, near = geodetic_of(scene.windows.crs), scene.windows.place
        pipeline = ""
        if near is not None and not same_datum(crs, datum):
            pipeline = best_transformation(crs, datum, near).pipeline
        groups.setdefault((datum, pipeline), []).append(scene)
    return groups


# What workers do with a part of the pool; module-level functions, so that they can be pickled.


def _share(polygons: areas.PolygonLayer, windows: Windows) -> AnyArray:
    return areas.shares(windows.footprints(), polygons.onto(windows)[0])


def _largest(polygons: areas.PolygonLayer, names: Sequence[str], windows: Windows) -> AnyArray:
    labels: AnyArray = np.array([*names, UNKNOWN], dtype=object)  # -1, for none, takes the last
    codes = areas.largest_class(windows.footprints(), *polygons.onto(windows), len(names))
    return np.asarray(labels[codes])


def _warn_if_empty(
    geometries: AnyArray, selection: Selection, layer: Layer, kind: str, outcome: str
) -> None:
    """Log that a concept finds nothing, or that the layer lacks values, and which values it has."""
    if len(geometries) == 0:
        _log.warning(
            "concepts.%s: layer %r has no %s%s%s; %s%s",
            selection.concept,
            selection.layer,
            kind,
            f" with {selection}" if selection.keys else "",
            _instead(selection, layer),
            outcome,
            selection.meant(layer),
        )
        return
    _warn_of_other_spellings(selection, layer)
    absent = selection.absent(layer)
    if absent and not layer.is_osm:  # no extract has all the tags that filters for OSM allow for
        _log.warning(
            "concepts.%s: layer %r has no feature with %s (%s)%s",
            selection.concept,
            selection.layer,
            ", ".join(map(str, absent)),
            selection.existing(layer),
            selection.meant(layer),
        )


def _warn_of_other_spellings(selection: Selection, layer: Layer) -> None:
    """Log which values are those that a concept asks for in another case, and do not count."""
    nearly = [] if layer.is_osm else selection.nearly(layer)
    if nearly:
        _log.warning(
            "concepts.%s: features of layer %r with %s do not count, since they are spelled "
            "otherwise than those asked for, by case, blanks or accents; if they are meant, name "
            "them too, after |",
            *(selection.concept, selection.layer, ", ".join(repr(str(part)) for part in nearly)),
        )


def _instead(selection: Selection, layer: Layer) -> str:
    """Return, in brackets, what the layer has in place of what the concept needs."""
    if not selection.keys or selection.column is not None:
        return ""
    _, geometries, _ = selection.features(layer)
    if len(geometries):
        return " (those that it has are lines or points)"
    existing = selection.existing(layer)
    return f" ({existing})" if existing else ""
