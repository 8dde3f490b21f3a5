"""How much of each patch polygons cover: exact areas in the CRS of the scene.

A patch that lies wholly within a polygon costs one test against the prepared polygon; only patches
on an outline are cut, and then only against a small piece of the polygon.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from owl_geo.ground.crs import TURNS, around_the_earth, is_in_degrees, same_datum, turned, turns_of
from owl_geo.ground.transformations import transformer
from owl_geo.ground.vector import made_valid
from owl_geo.ground.windows import Points, Windows
from owl_geo.types import AnyArray, IntArray

ROUNDING = 1e-9  # of a share: half a patch may come out as so much more or less than a half
DECIMALS = 9  # that are kept of a share, for the same reason
_VERTICES_PER_PIECE = 500
_VERTICES_ALONG, _MOST_NARROW = 100, 100  # of a scene; a narrow one has more along its length
_INWARDS = 1 - 1e-7  # two metres from the rim of the Earth
_LATTICE = 33  # points along each edge of a scene that tell whether it lies in one piece
_DATUMS_DEGREES, _DATUMS_METRES = 0.01, 1000.0  # no two datums are further apart

Coordinates = NDArray[np.float64]
Bounds = tuple[float, float, float, float]  # least x and y, greatest x and y


def shares(footprints: AnyArray, polygons: AnyArray) -> NDArray[np.float64]:
    """Return the share of each footprint that the polygons cover together, float64 ``(n,)``.

    Both are arrays of shapely geometries in one CRS; geometries other than polygons cover nothing.
    Shares are rounded, so that half a footprint is neither more nor less than 0.5.
    """
    return class_shares(footprints, polygons, np.zeros(len(polygons), dtype=np.int64), 1)[:, 0]


def class_shares(
    footprints: AnyArray, polygons: AnyArray, codes: IntArray, n_classes: int
) -> NDArray[np.float64]:
    """Return the share of each footprint that each class covers, float64 ``(n, n_classes)``.

    ``codes[i]`` is the class of ``polygons[i]``, from 0. Polygons of one class that overlap are
    counted once; polygons of different classes count for both. Shares are rounded as above.
    """
    table = np.zeros((len(footprints), n_classes))
    patch, code, share = _shares(footprints, polygons, codes, n_classes)
    table[patch, code] = share.round(DECIMALS)
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
    share = share.round(DECIMALS)
    order = np.lexsort((code, -share, patch))
    order = order[share[order] > 0]
    best = order[np.unique(patch[order], return_index=True)[1]]
    winner[patch[best]] = code[best]
    return winner


def shares_of_each(
    footprints: AnyArray, polygons: AnyArray, codes: IntArray, n_codes: int
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return position of the footprint, code and share wherever a code covers any, each ``(k,)``.

    As ``class_shares`` does, without the table, which has no room where every polygon has a code.
    """
    return _shares(footprints, polygons, codes, n_codes)


class PolygonLayer:
    """Coded polygons of a layer, brought to one scene after another; ``near`` also takes others.

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
        """Return positions of the polygons near windows, and these in the scene's CRS, ``(k,)``.

        A position may come twice, where a polygon lies on both sides of the antimeridian.
        """
        positions, pieces = [], []
        for reach in self._reaches(windows):
            west, south, east, north = reach.box
            length = _spacing(west, south, east, north)
            for turn in turns_of(self._crs):
                low, high = west + turn - length, east + turn + length
                box = shapely.box(low, south - length, high, north + length)
                near = np.sort(self._tree.query(box))
                local = _cut(self._polygons[near], box)
                if turn:
                    local = shapely.transform(local, lambda xy, turn=turn: xy - [turn, 0.0])
                positions.append(near.astype(np.int64))
                pieces.append(self._in_scene(local, windows, length, reach))
        return np.concatenate(positions), np.concatenate(pieces)

    def _reaches(self, windows: Windows) -> list[_Reach]:
        """Return the rectangles of the layer's CRS in which windows lie: several at its rim.

        West is less than east: where longitudes come round between them, east is beyond 180.
        """
        apart = 0.0 if same_datum(self._crs, windows.crs) else 1.0
        if is_in_degrees(self._crs) and is_in_degrees(windows.crs):
            return [_Reach(_grown(windows.bounds(), apart * _DATUMS_DEGREES))]
        to_layer = transformer(windows.crs, self._crs)  # PROJ cannot bound a way by a third datum
        if is_in_degrees(self._crs):
            west, south, east, north = to_layer.transform_bounds(*windows.bounds(), densify_pts=21)
            whole = (west, south, east if west < east else east + 360.0, north)
            return [_Reach(_grown(whole, apart * _DATUMS_DEGREES))]
        unit = self._crs.axis_info[0].unit_conversion_factor if self._crs.is_projected else 1.0
        return [
            _Reach(_grown(side, apart * _DATUMS_METRES / unit), middle, turn)
            for box, middle, turn in _half_turns(windows)
            for side in _sides_of_rim(box, to_layer)
        ]

    def _in_scene(
        self, polygons: AnyArray, windows: Windows, length: float, reach: _Reach
    ) -> AnyArray:
        if self._crs == windows.crs or len(polygons) == 0:
            return polygons
        to_scene = transformer(self._crs, windows.crs, windows.place)
        dense = shapely.segmentize(polygons, length)

        def bring(points: Points) -> Points:
            x, y = to_scene.transform(points[:, 0], points[:, 1])
            beyond = ~(np.isfinite(x) & np.isfinite(y))
            if beyond.any():  # rounding puts what is on the rim of a map of the world beyond it
                x[beyond], y[beyond] = to_scene.transform(*(_INWARDS * points[beyond].T))
            if not is_in_degrees(windows.crs):
                return np.stack([self._beside(x, points, windows, reach), y], axis=-1)
            # by the turns of the layer where it counts degrees too, else by those of the scene
            near = points[:, 0] if is_in_degrees(self._crs) else reach.middle
            return np.stack([turned(x, near) - reach.turn, y], axis=-1)

        return np.asarray(shapely.transform(dense, bring))

    def _beside(
        self, x: Coordinates, points: Points, windows: Windows, reach: _Reach
    ) -> Coordinates:
        """Return x of a projected scene, moved by whole turns to where the scene has the points.

        PROJ leads to one map of the world, and a scene may go on beyond its rim.
        """
        whole = around_the_earth(windows.crs)
        if not whole:
            return x
        west, _, east, _ = windows.bounds()
        expected = np.full(len(x), (west + east) / 2)
        if is_in_degrees(self._crs) and windows.crs.is_projected:  # x grows with the longitude
            low, _, high, _ = reach.box
            expected += (points[:, 0] - (low + high) / 2) * whole / 360
        return turned(x, expected, whole)


class _Reach(NamedTuple):
    """A rectangle of a layer's CRS in which a scene, or a part of it, lies."""

    box: Bounds
    middle: float = 0.0  # longitude of a part of a scene in degrees, from -180 to 180
    turn: float = 0.0  # degrees by which this is more than the scene's own


def _half_turns(windows: Windows) -> Iterator[tuple[Bounds, float, float]]:
    """Yield the parts of a scene in degrees that lie from -180 to 180, or all of another scene.

    With each come the longitude of its middle, and by how much it was turned.
    """
    west, south, east, north = windows.bounds()
    if not is_in_degrees(windows.crs):
        yield (west, south, east, north), 0.0, 0.0
        return
    for turn in TURNS:
        low, high = max(west + turn, -180.0), min(east + turn, 180.0)
        if low < high:
            yield (low, south, high, north), (low + high) / 2, turn


def _grown(box: Bounds, margin: float) -> Bounds:
    west, south, east, north = box
    return west - margin, south - margin, east + margin, north + margin


def _cut(polygons: AnyArray, box: shapely.Polygon) -> AnyArray:
    beyond = ~shapely.within(polygons, box)
    polygons[beyond] = shapely.intersection(polygons[beyond], box)
    return polygons


def _spacing(west: float, south: float, east: float, north: float) -> float:
    """Return how far apart vertices may be, so that edges stay straight in another CRS."""
    narrow, wide = sorted((east - west, north - south))
    return max(narrow, wide / _MOST_NARROW) / _VERTICES_ALONG


def _sides_of_rim(box: Bounds, to_layer: Transformer) -> list[Bounds]:
    """Return the rectangles of the layer's CRS in which a rectangle of a scene lies.

    Two where the rim of a map of the world runs through it: it lies at both ends of the map.
    """
    west, south, east, north = box
    x, y = np.meshgrid(np.linspace(west, east, _LATTICE), np.linspace(south, north, _LATTICE))
    points = np.stack(to_layer.transform(x.ravel(), y.ravel()), axis=-1)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return []
    points = points[np.argsort(points[:, 0], kind="stable")]
    gaps = np.diff(points[:, 0])
    gap = int(gaps.argmax())
    if gaps[gap] < (points[-1, 0] - points[0, 0]) / 2:
        bounds = to_layer.transform_bounds(*box, densify_pts=21)
        if np.isfinite(bounds).all():
            return [bounds]
        halves = [points]  # a pole that the layer's CRS does not reach
    else:
        halves = [points[: gap + 1], points[gap + 1 :]]
    sides = []
    for half in halves:
        low, high = half.min(axis=0), half.max(axis=0)
        margin = (high - low).max() / 8
        sides.append((*(low - margin).tolist(), *(high + margin).tolist()))
    return sides


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
    geometries[broken] = made_valid(geometries[broken])
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
