"""Metres from points to the nearest feature, correct at any latitude.

The nearest feature is found in a plane, with one local azimuthal equidistant projection per group
of points, where distances near its centre are almost exact; the metres are then measured along the
geodesic on the ellipsoid between the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj

from owl_geo.concepts.pool import LON_LAT
from owl_geo.ground.projections import reproject
from owl_geo.ground.windows import Points
from owl_geo.types import AnyArray, IntArray
from owl_geo.work.workers import Threads, Workers

_GEOD = Geod(ellps="WGS84")
_CELL_DEGREES = 1.0
_METRES_PER_DEGREE = 111_700.0  # at most, along a meridian
# Edges are straight in the layer's own CRS; vertices this close keep their course elsewhere.
_EDGE_DEGREES, _EDGE_UNITS = 0.01, 1000.0


def metres_to_nearest(
    lonlat: Points, geometries: AnyArray, crs: CRS, workers: Workers | None = None
) -> NDArray[np.float64]:
    """Return metres from each point to the nearest of the geometries, float64 ``(n,)``.

    ``lonlat`` is ``(n, 2)`` in degrees; geometries may be points, lines and polygons, in any CRS.
    The distance is 0 within a polygon, and NaN for points that are not on Earth, or for all points
    where there are no geometries.
    """
    metres = np.full(len(lonlat), np.nan)
    edge = _EDGE_DEGREES if crs.is_geographic else _EDGE_UNITS
    world = shapely.transform(
        shapely.segmentize(geometries, edge), lambda points: reproject(points, crs, LON_LAT)
    )
    world = world[np.isfinite(shapely.bounds(world)).all(axis=1)]
    if len(world) == 0:
        return metres
    middles, radii = _circles(world)
    # centres beyond a pole, or beyond the disc that a satellite sees, are not on Earth
    on_earth = np.flatnonzero(np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) <= 90))
    cells = [(on_earth[members], lon, lat) for members, lon, lat in _cells(lonlat[on_earth])]

    def work() -> Iterator[_Cell]:
        for members, lon, lat in cells:
            far = _metres_from(lon, lat, middles)
            spread = _metres_from(lon, lat, lonlat[members]).max()
            # every point has some feature within this many metres of the cell's centre, or nearer
            reach = (far + radii).min() + 2 * spread
            yield _Cell(lonlat[members], world[far - radii <= reach], lon, lat)

    of_cells = (workers or Threads()).map(_nearest_in_plane, work())
    for (members, _, _), of_cell in zip(cells, of_cells, strict=True):
        metres[members] = of_cell
    return metres


class _Cell(NamedTuple):
    """Points, the geometries that may be nearest to one of them, and the centre of the cell."""

    lonlat: Points
    geometries: AnyArray
    lon: float
    lat: float


def _circles(geometries: AnyArray) -> tuple[Points, NDArray[np.float64]]:
    """Return a centre (lon, lat) per geometry, and a radius in metres that encloses it."""
    west, south, east, north = shapely.bounds(geometries).T
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
    inverse = np.unique(cells, axis=0, return_inverse=True)[1]
    order = np.argsort(inverse, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1):
        yield members, float(centre_lon[members[0]]), float(centre_lat[members[0]])


def _metres_from(lon: float, lat: float, points: Points) -> NDArray[np.float64]:
    start = np.full(len(points), lon), np.full(len(points), lat)
    return np.asarray(_GEOD.inv(*start, points[:, 0], points[:, 1])[2])


def _nearest_in_plane(cell: _Cell) -> NDArray[np.float64]:
    lonlat, geometries, lon, lat = cell
    plane = Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")
    centres = np.stack(plane(lonlat[:, 0], lonlat[:, 1]), axis=-1)
    parts = _simple_parts(shapely.transform(geometries, plane, interleaved=False))
    dimension = shapely.get_dimensions(parts)
    start, end = _segments(parts, dimension)
    tree = shapely.STRtree(shapely.linestrings(np.stack([start, end], axis=1)))
    points = shapely.points(centres)
    which = tree.query_nearest(points, all_matches=False)[1]
    closest = _closest_on_segment(centres, start[which], end[which])
    nearest = plane(closest[:, 0], closest[:, 1], inverse=True)
    metres = np.asarray(_GEOD.inv(lonlat[:, 0], lonlat[:, 1], *nearest)[2])
    inside = shapely.STRtree(points).query(parts[dimension == 2], predicate="intersects")[1]
    metres[inside] = 0.0
    return metres


def _simple_parts(geometries: AnyArray) -> AnyArray:
    """Split collections, which may hold multi-geometries, into simple geometries."""
    return np.asarray(shapely.get_parts(shapely.get_parts(geometries)))


def _segments(parts: AnyArray, dimension: IntArray) -> tuple[Points, Points]:
    """Return start and end of every edge, each ``(m, 2)``; a point is an edge of length 0."""
    rings = shapely.get_rings(parts[dimension == 2])
    lines = np.concatenate([rings, parts[dimension == 1]])
    vertices, line = shapely.get_coordinates(lines, return_index=True)
    joined = line[1:] == line[:-1]
    points = shapely.get_coordinates(parts[dimension == 0])
    start = np.concatenate([vertices[:-1][joined], points])
    end = np.concatenate([vertices[1:][joined], points])
    in_plane = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    return start[in_plane], end[in_plane]


def _closest_on_segment(points: Points, start: Points, end: Points) -> Points:
    along = end - start
    length2 = (along**2).sum(axis=1)
    t = ((points - start) * along).sum(axis=1) / np.where(length2 > 0, length2, 1.0)
    return np.asarray(start + t.clip(0, 1)[:, None] * along)
