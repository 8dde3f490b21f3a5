"""Where windows lie on the map: their polygons in one CRS, and which of them are on Earth."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from owl_geo.errors import Fault
from owl_geo.ground.crs import GEOGRAPHIC, crs_of, is_in_degrees, leads_nowhere, turned
from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.transformations import transformer
from owl_geo.ground.windows import Points, PoolWindows, Windows
from owl_geo.types import BoolArray, SceneGrid

_LATTICE = 33  # points along each edge of a scene, tested to see whether all of it is on Earth


def common_crs(grids: Mapping[str, SceneGrid]) -> CRS:
    """Return the CRS that the scenes share, or else EPSG:4326.

    EPSG:4326 also replaces a CRS that GeoPackage cannot express, such as one with a rotated pole.
    """
    names = {grid.crs for grid in grids.values()}
    systems = {crs_of(name) for name in names}
    crs = systems.pop() if len(systems) == 1 else crs_of(GEOGRAPHIC)
    try:
        crs.to_wkt("WKT1_GDAL")
    except CRSError:
        return crs_of(GEOGRAPHIC)
    return crs


def footprints(windows: PoolWindows) -> gpd.GeoSeries:
    """Return the polygon of each window by patch_id, ``(n,)``, in the CRS that all scenes share."""
    crs = common_crs(windows.grids)
    polygons = shapely.polygons(corners_in(windows, crs))
    return gpd.GeoSeries(polygons, index=pd.Index(windows.ids, name="patch_id"), crs=crs)


def corners_in(windows: PoolWindows, crs: CRS) -> Points:
    """Return the corners of each window in the CRS of their polygons, ``(n, 4, 2)``.

    Windows on the antimeridian stay in one piece: their longitudes go on beyond 180.
    """
    corners = windows.corners_in(crs)
    if is_in_degrees(crs) and any(crs_of(grid.crs) != crs for grid in windows.grids.values()):
        for positions, of_scene in windows.by_scene():
            corners[positions] = _in_one_piece(corners[positions], of_scene)
    return corners


def _in_one_piece(corners: Points, windows: Windows) -> Points:
    """Return corners in degrees, ``(n, 4, 2)``, around centres from -180 to 180."""
    lon = corners[..., 0]
    if not is_in_degrees(windows.crs):  # else they are as the scene has them, however wide
        lon = turned(lon, lon[:, :1])
    middle = lon.mean(axis=1, keepdims=True)
    return np.stack([lon + turned(middle, 0.0) - middle, corners[..., 1]], axis=-1)


def off_the_map(grid: SceneGrid) -> Fault | None:
    """Return why no part of a grid is on Earth; None if its centre or one of its corners is."""
    crs = crs_of(grid.crs)
    nowhere = leads_nowhere(crs)
    if nowhere:
        return Fault(nowhere, "warp it first" if crs.is_geocentric else "assign another")
    to_degrees = transformer(crs, crs_of(GEOGRAPHIC))
    row = np.array([0.5, 0.0, 0.0, 1.0, 1.0]) * grid.height
    col = np.array([0.5, 0.0, 1.0, 0.0, 1.0]) * grid.width
    if _have_degrees(to_degrees, to_xy(grid, row, col)).any():
        return None
    x_min, y_min, x_max, y_max = bounds(grid)
    return Fault(
        f"its coordinates, x {x_min:g} to {x_max:g} and y {y_min:g} to {y_max:g}, are beyond the "
        f"area where its CRS {crs.name!r} is valid",
        "correct the coordinates or the CRS",
    )


def on_earth(windows: Windows) -> BoolArray:
    """Return which windows of a scene lie on Earth, ``(n,)``.

    The centre must have a longitude and latitude on Earth, while the corners may have any: a cell
    at a pole may reach beyond the pole. Points that a satellite sees beside the disc have neither.
    """
    grid = windows.grid
    to_degrees = transformer(windows.crs, crs_of(GEOGRAPHIC))
    whole = np.arange(_LATTICE) / (_LATTICE - 1)
    row, col = np.meshgrid(whole * grid.height, whole * grid.width, indexing="ij")
    if _have_degrees(to_degrees, to_xy(grid, row, col)).all():
        return np.ones(len(windows), dtype=bool)
    centres = _have_degrees(to_degrees, windows.centres())
    corners = _have_degrees(to_degrees, windows.corners(), most=np.inf)
    return centres & np.asarray(corners.all(axis=1))


def _have_degrees(to_degrees: Transformer, xy: Points, most: float = 90.0) -> BoolArray:
    """Return which points ``(..., 2)`` have a longitude, and a latitude of ``most`` or less."""
    lon, lat = to_degrees.transform(xy[..., 0], xy[..., 1])
    on_earth: BoolArray = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= most)
    return on_earth
