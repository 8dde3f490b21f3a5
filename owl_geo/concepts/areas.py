"""How much of each patch polygons cover: exact areas in the CRS of the scene.

A patch that lies wholly within a polygon costs one test against the prepared polygon; only patches
on an outline are cut, and then only against a small piece of the polygon.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.ground.projections import transformer
from owl_geo.ground.windows import Windows
from owl_geo.types import AnyArray, IntArray

_VERTICES_PER_PIECE = 500
_FAR = 1e30  # beyond every coordinate


def shares(footprints: AnyArray, polygons: AnyArray) -> NDArray[np.float64]:
    """Return the share of each footprint that the polygons cover together, float64 ``(n,)``.

    Both are arrays of shapely geometries in one CRS; geometries other than polygons cover nothing.
    """
    return class_shares(footprints, polygons, np.zeros(len(polygons), dtype=np.int64), 1)[:, 0]


def class_shares(
    footprints: AnyArray, polygons: AnyArray, codes: IntArray, n_classes: int
) -> NDArray[np.float64]:
    """Return the share of each footprint that each class covers, float64 ``(n, n_classes)``.

    ``codes[i]`` is the class of ``polygons[i]``, from 0. Polygons of one class that overlap are
    counted once; polygons of different classes count for both.
    """
    table = np.zeros((len(footprints), n_classes))
    patch, code, share = _shares(footprints, polygons, codes, n_classes)
    table[patch, code] = share
    return table


def largest_class(
    footprints: AnyArray, polygons: AnyArray, codes: IntArray, n_classes: int
) -> IntArray:
    """Return the class with the largest share of each footprint, ``(n,)``, -1 where there is none.

    The smaller code wins a tie.
    """
    winner = np.full(len(footprints), -1, dtype=np.int64)
    patch, code, share = _shares(footprints, polygons, codes, n_classes)
    # the order of summing changes an area's last digits; rounding keeps a tie a tie
    order = np.lexsort((code, -share.round(9), patch))
    order = order[share[order] > 0]
    best = order[np.unique(patch[order], return_index=True)[1]]
    winner[patch[best]] = code[best]
    return winner


class PolygonLayer:
    """Coded polygons of a layer, brought to one scene after another.

    Args:
        polygons: shapely geometries ``(m,)``.
        crs: their CRS.
        codes: the class of each, ``(m,)``.
    """

    def __init__(self, polygons: AnyArray, crs: CRS, codes: IntArray) -> None:
        self._polygons = np.asarray(polygons, dtype=object)
        self._crs = crs
        self._codes = np.asarray(codes, dtype=np.int64)
        self._tree = shapely.STRtree(self._polygons)

    def onto(self, windows: Windows) -> tuple[AnyArray, IntArray]:
        """Return the polygons near the windows and their codes, each ``(k,)``.

        The polygons are in the CRS of the windows' scene and clipped to its surroundings. Edges
        keep the course that they have in their own CRS: long ones get extra vertices.
        """
        near, local = self.near(windows)
        return local, self._codes[near]

    def near(self, windows: Windows) -> tuple[IntArray, AnyArray]:
        """Return positions of polygons near windows, and these polygons in the scene's CRS."""
        to_layer = transformer(windows.crs, self._crs)
        west, south, east, north = to_layer.transform_bounds(*windows.bounds(), densify_pts=21)
        across = west > east  # the antimeridian runs through the scene
        reach = [(west, _FAR), (-_FAR, east)] if across else [(west, east)]
        near = np.unique(
            np.concatenate(
                [self._tree.query(shapely.box(low, south, high, north)) for low, high in reach]
            )
        ).astype(np.int64)
        local = self._polygons[near]
        length = max(north - south, 360 - west + east if across else east - west) / 100
        if not across:
            box = shapely.box(west - length, south - length, east + length, north + length)
            beyond = ~shapely.within(local, box)
            local[beyond] = shapely.intersection(local[beyond], box)
        if self._crs != windows.crs:
            to_scene = transformer(self._crs, windows.crs)
            dense = shapely.segmentize(local, length)
            local = shapely.transform(dense, to_scene.transform, interleaved=False)
        return near, local


def _shares(
    footprints: AnyArray, polygons: AnyArray, codes: IntArray, n_classes: int
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return ``(patch, code, share)`` for every class that lies in a patch."""
    parts, owner = _polygon_parts(_repaired(polygons))
    wholes = _Coded(parts, np.asarray(codes, dtype=np.int64)[owner])
    small, owner = _subdivided(parts)
    pieces = _Coded(small, wholes.codes[owner])
    key, share = _shares_by_key(np.asarray(footprints), wholes, pieces, n_classes)
    return key // n_classes, key % n_classes, share


class _Coded(NamedTuple):
    """Simple polygons and their classes, each ``(m,)``."""

    polygons: AnyArray
    codes: IntArray


def _shares_by_key(
    footprints: AnyArray, wholes: _Coded, pieces: _Coded, n_classes: int
) -> tuple[IntArray, NDArray[np.float64]]:
    """Return ``patch * n_classes + code``, each once, and the share that goes with it.

    ``wholes`` show which patches lie within one polygon; other patches are cut against ``pieces``.
    """
    tree = shapely.STRtree(footprints)
    which, patch = tree.query(wholes.polygons, predicate="covers")
    covered = np.unique(patch * n_classes + wholes.codes[which])

    which, patch = tree.query(pieces.polygons, predicate="intersects")
    key = patch * n_classes + pieces.codes[which]
    cut = ~np.isin(key, covered)
    key, which, patch = key[cut], which[cut], patch[cut]
    order = np.argsort(key, kind="stable")
    key, which, patch = key[order], which[order], patch[order]

    inner = shapely.intersection(footprints[patch], pieces.polygons[which])
    partial, first = np.unique(key, return_index=True)
    areas = _areas_of_groups(inner, first)
    share = (areas / shapely.area(footprints[partial // n_classes])).clip(0, 1)
    return np.concatenate([covered, partial]), np.concatenate([np.ones(len(covered)), share])


def _areas_of_groups(geometries: AnyArray, first: IntArray) -> NDArray[np.float64]:
    """Return the area of each group's union; a group runs from ``first[i]`` to ``first[i + 1]``."""
    counts = np.diff(np.append(first, len(geometries)))
    areas = shapely.area(geometries[first])
    several = np.flatnonzero(counts > 1)
    member = np.repeat(counts > 1, counts)
    group = np.repeat(np.arange(len(several)), counts[several])
    if len(several):
        gathered = shapely.geometrycollections(geometries[member], indices=group)
        areas[several] = shapely.area(shapely.union_all(gathered[:, None], axis=1))
    return np.asarray(areas)


def _repaired(geometries: AnyArray) -> AnyArray:
    """Make geometries valid: a sliver may cross itself after reprojection."""
    geometries = np.array(geometries, dtype=object)
    broken = ~shapely.is_valid(geometries)
    geometries[broken] = shapely.make_valid(geometries[broken])
    return geometries


def _polygon_parts(geometries: AnyArray) -> tuple[AnyArray, IntArray]:
    """Extract simple polygons from any geometries, and the position that each came from."""
    parts, owner = shapely.get_parts(geometries, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # multipolygons in a collection
    owner = owner[inner]
    kept = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    return parts[kept], owner[kept]


def _subdivided(parts: AnyArray) -> tuple[AnyArray, IntArray]:
    """Halve polygons of many vertices until none is left; return the pieces and their owners."""
    owner = np.arange(len(parts))
    pieces, owners = [], []
    while len(parts):
        large = shapely.get_num_coordinates(parts) > _VERTICES_PER_PIECE
        pieces.append(parts[~large])
        owners.append(owner[~large])
        west, south, east, north = shapely.bounds(parts[large]).T
        wide = (east - west) > (north - south)
        x, y = np.where(wide, (west + east) / 2, east), np.where(wide, north, (south + north) / 2)
        halves = [
            shapely.box(west, south, x, y),
            shapely.box(np.where(wide, x, west), np.where(wide, south, y), east, north),
        ]
        cut = np.concatenate([shapely.intersection(parts[large], half) for half in halves])
        parts, inner = _polygon_parts(cut)
        owner = np.tile(owner[large], 2)[inner]
    return np.concatenate([np.empty(0, dtype=object), *pieces]), np.concatenate(
        [np.empty(0, dtype=np.int64), *owners]
    )
