"""Where patches lie on the map: polygons and centres, made of windows when they are asked for.

A million polygons take more memory than all else that is known of a million patches, and follow
from two numbers and the scene's grid. So no index holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from owl_geo.ground import grid as grids_
from owl_geo.ground.projections import GEOGRAPHIC, crs_of, transformer
from owl_geo.types import BoolArray, IntArray, SceneGrid

_LATTICE = 33  # points along each edge of a scene that tell whether all of it is on Earth


def common_crs(grids: Mapping[str, SceneGrid]) -> CRS:
    """Return the CRS that the scenes share, or else EPSG:4326.

    Also where a GeoPackage has no words for theirs, as for one with a rotated pole.
    """
    names = {grid.crs for grid in grids.values()}
    found = {crs_of(name) for name in names}
    crs = found.pop() if len(found) == 1 else crs_of(GEOGRAPHIC)
    try:
        crs.to_wkt("WKT1_GDAL")
    except CRSError:
        return crs_of(GEOGRAPHIC)
    return crs


def footprints(
    patches: pd.DataFrame, grids: Mapping[str, SceneGrid], patch_size: int
) -> gpd.GeoSeries:
    """Return the polygons of rows of a patch index, by patch_id, in the CRS that all scenes share.

    Args:
        patches: rows with patch_id, scene, row_off, col_off.
        grids: of all scenes of the index, also of those that have no row here.
        patch_size: height and width of a patch in pixels.
    """
    crs = common_crs(grids)
    polygons = shapely.polygons(corners(patches, grids, patch_size, crs))
    return gpd.GeoSeries(polygons, index=pd.Index(patches["patch_id"], name="patch_id"), crs=crs)


def corners(
    patches: pd.DataFrame, grids: Mapping[str, SceneGrid], patch_size: int, crs: CRS
) -> NDArray[np.float64]:
    """Return the corners of rows of a patch index in ``crs``, ``(n, 4, 2)``, x before y."""
    points = np.empty((len(patches), 4, 2))
    for grid, rows, row_off, col_off in _scenes(patches, grids):
        own = grids_.corners(grid, row_off, col_off, patch_size)
        points[rows] = _reprojected(own, crs_of(grid.crs), crs)
    return points


def centres_on_earth(
    patches: pd.DataFrame, grids: Mapping[str, SceneGrid], patch_size: int
) -> NDArray[np.float64]:
    """Return the patches' centres in metres from the Earth's centre, ``(n, 3)``, whatever CRS."""
    on_ellipsoid = crs_of("EPSG:4979")
    to_metres = transformer(on_ellipsoid, crs_of("EPSG:4978"))
    points = np.empty((len(patches), 3))
    for grid, rows, row_off, col_off in _scenes(patches, grids):
        own = grids_.centres(grid, row_off, col_off, patch_size)
        to_degrees = transformer(crs_of(grid.crs), on_ellipsoid)
        degrees = to_degrees.transform(own[:, 0], own[:, 1])
        points[rows] = np.stack(to_metres.transform(*degrees, np.zeros(len(own))), axis=1)
    return points


def off_the_map(grid: SceneGrid) -> str:
    """Say why nothing of a grid can be found on Earth; empty where its middle or a corner can."""
    crs = crs_of(grid.crs)
    try:
        if crs.is_geocentric:
            return f"its CRS {crs.name!r} has no map, since it is geocentric; warp it first"
        to_degrees = transformer(crs, crs_of(GEOGRAPHIC))
    except ProjError:
        return f"its CRS {crs.name!r} is a local one, or of no place on Earth; assign another"
    row = np.array([0.5, 0.0, 0.0, 1.0, 1.0]) * grid.height
    col = np.array([0.5, 0.0, 1.0, 0.0, 1.0]) * grid.width
    if _are_places(to_degrees, grids_.to_xy(grid, row, col)).any():
        return ""
    x_min, y_min, x_max, y_max = grids_.bounds(grid)
    return (
        f"its coordinates, x {x_min:g} to {x_max:g} and y {y_min:g} to {y_max:g}, are beyond where "
        f"its CRS {crs.name!r} holds; correct the one or the other"
    )


def on_earth(grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int) -> BoolArray:
    """Return which windows of a grid lie on Earth, ``(n,)``.

    That is the centre, and corners that longitude and latitude can be told of. A row of cells
    around a pole, half of which is beyond it, and what a satellite sees beside the disc, do not.
    """
    to_degrees = transformer(crs_of(grid.crs), crs_of(GEOGRAPHIC))
    whole = np.arange(_LATTICE) / (_LATTICE - 1)
    row, col = np.meshgrid(whole * grid.height, whole * grid.width, indexing="ij")
    if _are_places(to_degrees, grids_.to_xy(grid, row, col)).all():
        return np.ones(len(row_off), dtype=bool)
    found = _are_places(to_degrees, grids_.centres(grid, row_off, col_off, size))
    ends = grids_.corners(grid, row_off, col_off, size)
    found &= _are_places(to_degrees, ends, most=np.inf).all(axis=1)
    return found


def _are_places(to_degrees: Transformer, xy: NDArray[np.float64], most: float = 90.0) -> BoolArray:
    lon, lat = to_degrees.transform(xy[..., 0], xy[..., 1])
    found: BoolArray = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= most)
    return found


def _scenes(
    patches: pd.DataFrame, grids: Mapping[str, SceneGrid]
) -> Iterator[tuple[SceneGrid, IntArray, IntArray, IntArray]]:
    """Yield each scene's grid with positions of its rows, their ``row_off`` and ``col_off``."""
    codes, names = pd.factorize(patches["scene"])
    row_off = patches["row_off"].to_numpy(dtype=np.int64)
    col_off = patches["col_off"].to_numpy(dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    for name, rows in zip(names, np.split(order, ends)[:-1], strict=True):
        yield grids[name], rows, row_off[rows], col_off[rows]


def _reprojected(points: NDArray[np.float64], source: CRS, target: CRS) -> NDArray[np.float64]:
    if source == target:
        return points
    to_target = transformer(source, target)
    return np.stack(to_target.transform(points[..., 0], points[..., 1]), axis=-1)
