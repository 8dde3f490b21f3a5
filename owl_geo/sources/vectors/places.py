"""Where the rows of a table lie: squares of one size on as few lattices as fit.

A patch is a pixel of a scene, so the places of a table become scenes whose pixels are as large as
a place. Places that are cut from a grid, as most are, lie on one lattice, or one a UTM zone, and
keep their exact position. Others are moved to the nearest of several lattices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Proj
from scipy.spatial import cKDTree

from owl_geo.errors import SourceError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.transformations import transformer
from owl_geo.sources.vectors.lattices import Lattice, lattices_of, named, taken
from owl_geo.types import AnyArray, BoolArray, IntArray, SceneGrid

_EQUAL = 0.1  # of a size: places that differ less are of one size
_EVENLY = 0.05  # of a distance: points that differ less have one spacing
_MOST = 0.8  # of the places: as many have to agree
_SAMPLE = 10_000  # points whose nearest neighbours are looked at
_DIGITS = 6  # in units of the CRS; points that agree in them are one
_WEB_MERCATOR = "EPSG:3857"  # whose metre depends on the latitude
_INFLATED = 0.1  # of an area on the ground: a CRS that shows it larger has metres of its own


@dataclass(frozen=True)
class Placed:
    """All places of a table."""

    lattices: tuple[Lattice, ...]  # the largest first
    width: float  # of a place, in metres
    height: float
    nowhere: int  # rows without a geometry
    again: int  # rows of a place that another row has
    moved: float  # the largest distance that a place was moved, in metres
    twins: IntArray  # rows that count, and of the same place rows that do not, (again, 2)


def place(
    geometries: AnyArray,
    crs: Sequence[tuple[CRS, int]],
    name: str,
    where: str,
    footprint: float | None,
    size: tuple[float, float] | None = None,
    with_vector: BoolArray | None = None,
) -> Placed:
    """Return where places lie.

    Args:
        geometries: points ``(n, 2)``, or shapely points and polygons ``(n,)``.
        crs: their CRSs, each with the row up to which it holds.
        name: that the scenes' names begin with.
        where: what messages begin with.
        footprint: edge of a place in metres; None = that of the polygons, or the points' spacing.
        size: width and height of a place, where it was found before; see ``known_size``.
        with_vector: which rows go before others of their place, ``(n,)``; None = the first does.

    Raises SourceError where coordinates are not of the CRS, or the size of a place cannot be told.
    """
    first = _first_points(geometries)
    there = np.flatnonzero(np.isfinite(first).all(axis=1)).astype(np.int64)
    n = len(first)
    if len(there) == 0:
        raise SourceError(f"{where} has no geometries")
    shapes = _all_shapes(geometries, first, there, crs, where)
    del geometries, first
    shapes.sort(key=lambda group: -len(group[1]))
    metre = _units_per_metre(shapes[0][0])
    units = [_units_per_metre(to) / metre for to, _, _ in shapes]
    if size is None:
        all_sizes = [shape.sizes / unit for (_, _, shape), unit in zip(shapes, units, strict=True)]
        largest = shapes[0][2].centres
        size = _size(np.concatenate(all_sizes), largest, where, footprint, metre)
    width, height = size
    lattices: list[Lattice] = []
    moved = 0.0
    twins: list[IntArray] = []
    for (to, rows, shape), unit in zip(shapes, units, strict=True):
        preferred = None if with_vector is None else taken(with_vector, rows)
        edges = (width * unit, height * unit)
        made, of_lattices, shift = lattices_of(shape.centres, rows, to, *edges, preferred)
        lattices += made
        twins += of_lattices
        moved = max(moved, shift / unit)
    same = np.concatenate([np.empty((0, 2), dtype=np.int64), *twins])
    return Placed(
        tuple(named(lattices, name)),
        width / metre,
        height / metre,
        n - len(there),
        len(same),
        moved / metre,
        same,
    )


def known_size(grids: Iterable[SceneGrid]) -> tuple[float, float] | None:
    """Return the width and height of the places that are laid out in grids, in metres.

    None where a grid is in another unit, from which the exact size is not found again.
    """
    size = None
    for grid in grids:
        if _units_per_metre(crs_of(grid.crs)) != 1:
            return None
        size = grid.transform[0], -grid.transform[4]
    return size


def _all_shapes(
    geometries: AnyArray,
    first: NDArray[np.float64],
    there: IntArray,
    crs: Sequence[tuple[CRS, int]],
    where: str,
) -> list[tuple[CRS, IntArray, _Shapes]]:
    """Return CRSs in metres, and the rows of each, ascending, with their shapes in it."""
    found: list[tuple[CRS, list[tuple[IntArray, _Shapes]]]] = []  # equal CRSs may differ in words
    start = 0
    for own, end in crs:
        here = there[(there >= start) & (there < end)]
        start = end
        if len(here) == 0:
            continue
        _check_crs(taken(first, here), own, where)
        for to, rows in _by_crs(first, here, own):
            parts = next((parts for known, parts in found if known == to), None)
            if parts is None:
                parts = []
                found.append((to, parts))
            parts.append((rows, _Shapes.of(taken(geometries, rows), own, to)))
    return [
        (to, *parts[0])  # of millions, nothing is copied
        if len(parts) == 1
        else (to, np.concatenate([r for r, _ in parts]), _Shapes.joined([s for _, s in parts]))
        for to, parts in found
    ]


def _first_points(geometries: AnyArray) -> NDArray[np.float64]:
    """Return a point of each geometry, not-a-number where there is none, ``(n, 2)``."""
    if geometries.ndim == 2:
        return np.asarray(geometries, dtype=np.float64)
    bounds = shapely.bounds(geometries)
    return np.asarray(bounds[:, :2], dtype=np.float64)


def _check_crs(xy: NDArray[np.float64], crs: CRS, where: str) -> None:
    low, high = xy.min(axis=0), xy.max(axis=0)
    in_degrees = (low >= (-180, -90)).all() and (high <= (180, 90)).all()
    span = f"x {low[0]:.6g} to {high[0]:.6g}, y {low[1]:.6g} to {high[1]:.6g}"
    authority = crs.to_authority()
    called = ":".join(authority) if authority else crs.name
    if crs.is_projected and in_degrees:
        raise SourceError(
            f"{where}: its CRS is {called}, but its coordinates are degrees ({span})",
            remedy="name the right one: --crs EPSG:4326",
        )
    if crs.is_geographic and not ((low >= (-180, -90)).all() and (high <= (360, 90)).all()):
        raise SourceError(
            f"{where}: its CRS is {called}, but its coordinates are no degrees ({span})",
            remedy="name the right one with --crs",
        )


def _by_crs(xy: NDArray[np.float64], there: IntArray, crs: CRS) -> list[tuple[CRS, IntArray]]:
    """Return CRSs in metres, and the rows of each: the table's own, else UTM zones."""
    to_degrees = transformer(crs, crs_of(GEOGRAPHIC))
    if crs.is_projected and crs != crs_of(_WEB_MERCATOR):
        some = xy[there[:: -(-len(there) // _SAMPLE)]]
        if not _is_inflated(crs, *to_degrees.transform(some[:, 0], some[:, 1])):
            return [(crs, there)]
    lon, lat = to_degrees.transform(xy[there, 0], xy[there, 1])
    zone = (np.floor((lon + 180) / 6).astype(np.int64) % 60) + 1
    code = np.where(lat >= 0, 32600, 32700) + zone
    return [
        (crs_of(f"EPSG:{number}"), there[code == number]) for number in np.unique(code).tolist()
    ]


def _is_inflated(crs: CRS, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> bool:
    """Return whether a CRS shows areas in another size than they have, as Mercator's do."""
    scale = np.asarray(Proj(crs).get_factors(lon, lat, errcheck=False).areal_scale)
    return bool((np.abs(scale[np.isfinite(scale)] - 1) > _INFLATED).any())


@dataclass(frozen=True)
class _Shapes:
    """Places in a CRS in metres."""

    centres: NDArray[np.float64]  # (n, 2)
    sizes: NDArray[np.float64]  # width and height of polygons, (k, 2); none of points

    @classmethod
    def of(cls, geometries: AnyArray, crs: CRS, to: CRS) -> _Shapes:
        move = transformer(crs, to)
        if geometries.ndim == 2 and crs == to:
            return cls(geometries, np.empty((0, 2)))
        if geometries.ndim == 2:
            xy = np.stack(move.transform(geometries[:, 0], geometries[:, 1]), axis=1)
            return cls(xy, np.empty((0, 2)))
        there = shapely.transform(
            geometries, lambda xy: np.stack(move.transform(xy[:, 0], xy[:, 1]), axis=1)
        )
        bounds = shapely.bounds(there)
        span = bounds[:, 2:] - bounds[:, :2]
        area = shapely.area(there)
        polygons = area > 0
        # a square that is turned a little has a larger box than it has sides
        shrink = np.sqrt(area[polygons] / span[polygons].prod(axis=1))
        return cls((bounds[:, :2] + bounds[:, 2:]) / 2, span[polygons] * shrink[:, None])

    @classmethod
    def joined(cls, parts: Sequence[_Shapes]) -> _Shapes:
        """Return the places of several, which are in one CRS, one after the other."""
        return cls(
            np.concatenate([part.centres for part in parts]),
            np.concatenate([part.sizes for part in parts]),
        )


def _units_per_metre(crs: CRS) -> float:
    return 1 / (crs.axis_info[0].unit_conversion_factor or 1.0) if crs.axis_info else 1.0


def _size(
    sizes: NDArray[np.float64],
    centres: NDArray[np.float64],
    where: str,
    footprint: float | None,
    metre: float,
) -> tuple[float, float]:
    """Return width and height of a place, from polygons or else from points, in their unit."""
    if footprint is not None:
        return footprint * metre, footprint * metre
    if len(sizes):
        usual = np.median(sizes, axis=0)
        agree = (np.abs(sizes - usual) <= _EQUAL * usual).all(axis=1).mean()
        if agree < _MOST:
            low, high = sizes.min() / metre, sizes.max() / metre
            raise SourceError(
                f"{where}: its polygons differ in size, from {low:.3g} to {high:.3g} m, and "
                "patches are squares of one size",
                remedy="name it: --footprint METRES, around their centres",
            )
        return float(usual[0]), float(usual[1])
    spacing = _spacing(centres, where, metre)
    return spacing, spacing


def _spacing(xy: NDArray[np.float64], where: str, metre: float) -> float:
    """Return the distance from point to point; raises SourceError where there is not one."""
    remedy = "say how large a place is: --footprint METRES"
    points = xy[np.unique(xy.round(_DIGITS).view(np.complex128)[:, 0], return_index=True)[1]]
    if len(points) < 2:
        raise SourceError(f"{where} has a single point, which does not tell a size", remedy=remedy)
    step = -(-len(points) // _SAMPLE)
    nearest = cKDTree(points).query(points[::step], k=2)[0][:, 1]
    usual = float(np.median(nearest))
    if (np.abs(nearest - usual) <= _EVENLY * usual).mean() < _MOST:
        low, high = np.percentile(nearest, (5, 95)) / metre
        raise SourceError(
            f"{where}: its points do not tell the size of a place, since the next one is "
            f"{low:.3g} to {high:.3g} m away",
            remedy=remedy,
        )
    return usual
