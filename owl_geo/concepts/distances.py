"""Metres from points to the nearest feature, correct at any latitude.

The nearest feature is found in a plane, with one local azimuthal equidistant projection per group
of points, where distances near its centre are almost exact; the metres are then measured along the
geodesic on the ellipsoid between the two.

All of it in the points' own datum. Between two datums PROJ takes another transformation in every
country, and where they meet, positions jump by up to 200 metres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj

from owl_geo.concepts.pool import LON_LAT
from owl_geo.ground.crs import Ellipsoid, Place, ellipsoid_of, turned, turns_of
from owl_geo.ground.transformations import reproject
from owl_geo.ground.windows import Points
from owl_geo.types import AnyArray, BoolArray, IntArray
from owl_geo.work.workers import Threads, Workers

_CELL_DEGREES = 1.0
_METRES_PER_DEGREE = 111_700.0  # at most, along a meridian
_EARTH = 6_400_000.0  # metres; more than any radius of the Earth
_QUARTER = 1e7  # metres; beyond, the plane stretches edges, and their ends are near enough
# Edges are straight in the layer's own CRS; vertices this close keep their course elsewhere.
_EDGE_DEGREES, _EDGE_METRES = 0.01, 1000.0
_EDGES_TOGETHER = 256
_SAME_PLACE = 1e-6  # degrees


def metres_to_nearest(
    lonlat: Points,
    geometries: AnyArray,
    crs: CRS,
    workers: Workers | None = None,
    *,
    datum: CRS = LON_LAT,
    near: Place | None = None,
) -> NDArray[np.float64]:
    """Return metres from each point to the nearest of the geometries, float64 ``(n,)``.

    ``lonlat`` is ``(n, 2)`` in degrees of ``datum``, a geographic CRS; geometries may be points,
    lines and polygons, in any CRS, and are brought to that datum as is best for what is ``near``.
    The distance is 0 within a polygon, and NaN for points that are not on Earth, or for all points
    where there are no geometries.
    """
    metres = np.full(len(lonlat), np.nan)
    earth = ellipsoid_of(datum)
    unit = crs.axis_info[0].unit_conversion_factor  # metres, or radians
    edge = (np.radians(_EDGE_DEGREES) if crs.is_geographic else _EDGE_METRES) / unit
    edges = _edges(shapely.segmentize(geometries, edge), lambda xy: reproject(xy, crs, datum, near))
    if len(edges.start) == 0:
        return metres
    # centres beyond a pole, or beyond the disc that a satellite sees, are not on Earth
    on_earth = np.flatnonzero(np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) <= 90))
    cells = [(on_earth[members], lon, lat) for members, lon, lat in _cells(lonlat[on_earth])]

    def work() -> Iterator[_Cell]:
        for members, lon, lat in cells:
            far = _metres_from(lon, lat, edges.middles, earth)
            spread = _metres_from(lon, lat, lonlat[members], earth).max()
            # every point has some feature within this many metres of the cell's centre, or nearer
            reach = (far + edges.radii).min() + 2 * spread
            some = np.repeat(far - edges.radii <= reach, edges.counts)
            yield _Cell(lonlat[members], edges.start[some], edges.end[some], lon, lat, earth)

    of_cells = (workers or Threads()).map(_nearest_in_plane, work())
    for (members, _, _), of_cell in zip(cells, of_cells, strict=True):
        metres[members] = of_cell
    metres[on_earth[_within(lonlat[on_earth], geometries, crs, datum, near)]] = 0.0
    return metres


def _within(
    lonlat: Points, geometries: AnyArray, crs: CRS, datum: CRS, near: Place | None
) -> BoolArray:
    """Return which points lie within a polygon, in the polygons' own CRS, ``(n,)``.

    A plane around the points would turn polygons inside out that reach to the other side of the
    Earth.
    """
    inside = np.zeros(len(lonlat), dtype=bool)
    parts = _simple_parts(geometries)
    polygons = parts[shapely.get_dimensions(parts) == 2]
    if len(polygons) == 0:
        return inside
    local = reproject(lonlat, datum, crs, near)
    there = np.flatnonzero(np.isfinite(local).all(axis=1))
    # beyond its domain, a projection may lead to where other places are
    back = reproject(local[there], crs, datum, near)
    back[:, 0] = turned(back[:, 0], lonlat[there, 0])
    off = np.abs(back - lonlat[there])
    off[:, 0] *= np.cos(np.radians(lonlat[there, 1]))
    there = there[(off < _SAME_PLACE).all(axis=1)]
    for turn in turns_of(crs):
        points = shapely.points(local[there] + np.array([turn, 0.0]))
        inside[there[shapely.STRtree(points).query(polygons, predicate="intersects")[1]]] = True
    return inside


class _Cell(NamedTuple):
    """Points, the edges that may be nearest to one of them, and the centre of the cell."""

    lonlat: Points
    start: Points  # of each edge, (m, 2), degrees
    end: Points
    lon: float
    lat: float
    earth: Ellipsoid


class _Edges(NamedTuple):
    """All edges of a layer, in degrees, and circles around those that follow one another."""

    start: Points  # (m, 2)
    end: Points  # (m, 2)
    counts: IntArray  # edges in each circle, (k,)
    middles: Points  # (k, 2)
    radii: NDArray[np.float64]  # metres, (k,)


def _edges(geometries: AnyArray, to_lonlat: Callable[[Points], Points]) -> _Edges:
    """Return every edge of lines and of polygons' rings; a point is an edge of no length."""
    parts = _simple_parts(geometries)
    dimension = shapely.get_dimensions(parts)
    lines = np.concatenate([shapely.get_rings(parts[dimension == 2]), parts[dimension == 1]])
    vertices, line = shapely.get_coordinates(lines, return_index=True)
    vertices = to_lonlat(vertices)
    points = to_lonlat(shapely.get_coordinates(parts[dimension == 0]))
    joined = line[1:] == line[:-1]
    start = np.concatenate([vertices[:-1][joined], points])
    end = np.concatenate([vertices[1:][joined], points])
    owner = np.concatenate([line[1:][joined], len(lines) + np.arange(len(points))])
    latitudes = np.abs([start[:, 1], end[:, 1]]).max(axis=0)
    on_earth = np.isfinite(start[:, 0]) & np.isfinite(end[:, 0]) & (latitudes <= 90)  # nor is NaN
    start, end, owner = start[on_earth], end[on_earth], owner[on_earth]
    if len(start) == 0:
        return _Edges(start, end, np.empty(0, np.int64), start, np.empty(0))
    first = np.flatnonzero(np.diff(owner, prepend=-1))  # edges of one line
    number = np.arange(len(owner)) - np.repeat(first, np.diff(np.append(first, len(owner))))
    first = np.flatnonzero(number % _EDGES_TOGETHER == 0)
    low = np.minimum.reduceat(np.minimum(start, end), first)
    high = np.maximum.reduceat(np.maximum(start, end), first)
    counts = np.diff(np.append(first, len(owner)))
    return _Edges(start, end, counts, *_circles(low, high))


def _circles(low: Points, high: Points) -> tuple[Points, NDArray[np.float64]]:
    """Return a centre (lon, lat) per rectangle, and a radius in metres that encloses it."""
    (west, south), (east, north) = low.T, high.T
    nearest_equator = np.where(south * north < 0, 0, np.minimum(np.abs(south), np.abs(north)))
    half_width = (east - west) / 2 * np.cos(np.radians(nearest_equator))
    half_height = (north - south) / 2
    centres = np.stack([(west + east) / 2, (south + north) / 2], axis=-1)
    return centres, (half_width + half_height) * _METRES_PER_DEGREE


def _cells(lonlat: Points) -> Iterator[tuple[IntArray, float, float]]:
    """Group points into cells of a degree of latitude, about as wide as they are high.

    Yields the positions of a cell's points, and the longitude and latitude of the cell's centre.
    """
    band = np.clip(np.floor(lonlat[:, 1] / _CELL_DEGREES), -90, 89)
    centre_lat = (band + 0.5) * _CELL_DEGREES
    width = _CELL_DEGREES / np.cos(np.radians(centre_lat))
    column = np.floor(lonlat[:, 0] / width)
    centre_lon = (column + 0.5) * width
    cells = np.stack([band, column], axis=-1)
    inverse = np.unique(cells, axis=0, return_inverse=True)[1].ravel()  # NumPy 2.0.0 has (n, 1)
    order = np.argsort(inverse, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1):
        yield members, float(centre_lon[members[0]]), float(centre_lat[members[0]])


def _metres_from(lon: float, lat: float, points: Points, earth: Ellipsoid) -> NDArray[np.float64]:
    start = np.full(len(points), lon), np.full(len(points), lat)
    return np.asarray(Geod(**earth._asdict()).inv(*start, points[:, 0], points[:, 1])[2])


def _nearest_in_plane(cell: _Cell) -> NDArray[np.float64]:
    lonlat, start_lonlat, end_lonlat, lon, lat, earth = cell
    plane = Proj(proj="aeqd", lon_0=lon, lat_0=lat, **earth._asdict())
    centres, start, end = (
        np.stack(plane(points[:, 0], points[:, 1]), axis=-1)
        for points in (lonlat, start_lonlat, end_lonlat)
    )
    # distances from the cell's centre are true, so what is too far away can be left out; beyond a
    # quarter of the Earth the plane tears edges apart
    nearer = np.minimum(np.hypot(*start.T), np.hypot(*end.T))
    reach = nearer.min() + 2 * np.hypot(*centres.T).max()
    kept = nearer <= reach + _lengths(start_lonlat, end_lonlat)
    start, end, beyond = start[kept], end[kept], nearer[kept] > _QUARTER
    start = np.concatenate([start, end[beyond]])
    end = np.concatenate([np.where(beyond[:, None], start[: len(end)], end), end[beyond]])
    tree = shapely.STRtree(shapely.linestrings(np.stack([start, end], axis=1)))
    which = tree.query_nearest(shapely.points(centres), all_matches=False)[1]
    closest = _closest_on_segment(centres, start[which], end[which])
    nearest = plane(closest[:, 0], closest[:, 1], inverse=True)
    geodesics = Geod(**earth._asdict())
    return np.asarray(geodesics.inv(lonlat[:, 0], lonlat[:, 1], *nearest)[2])


def _lengths(start: Points, end: Points) -> NDArray[np.float64]:
    """Return metres that an edge is long at most, ``(m,)``; both ends are in degrees."""
    (lon_a, lat_a), (lon_b, lat_b) = np.radians(start).T, np.radians(end).T
    h = np.sin((lat_b - lat_a) / 2) ** 2
    h += np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return np.asarray(2 * _EARTH * np.arcsin(np.sqrt(h.clip(0, 1))))


def _simple_parts(geometries: AnyArray) -> AnyArray:
    """Take collections apart, which may hold multi-geometries, which hold simple ones."""
    return np.asarray(shapely.get_parts(shapely.get_parts(geometries)))


def _closest_on_segment(points: Points, start: Points, end: Points) -> Points:
    along = end - start
    length2 = (along**2).sum(axis=1)
    t = ((points - start) * along).sum(axis=1) / np.where(length2 > 0, length2, 1.0)
    return np.asarray(start + t.clip(0, 1)[:, None] * along)
