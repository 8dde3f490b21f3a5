"""Features of vector files, even with broken rings or invalid coordinates."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely.errors import ShapelyError

from owl_geo.ground.crs import is_in_degrees
from owl_geo.ground.incomplete import check_is_whole, what_is_missing, what_lies_elsewhere
from owl_geo.types import AnyArray, BoolArray
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

FARTHEST = 1e12  # no coordinate on Earth is larger, whatever the unit

# What GDAL, PROJ and GEOS raise for a file that is damaged or mislabelled; GDAL's own errors are
# RuntimeErrors, those for broken text and types are ValueErrors.
UNREADABLE = (RuntimeError, ValueError, OSError, ShapelyError)


def read_table(path: str, **options: Any) -> gpd.GeoDataFrame:
    """Read a layer as ``vector_files.read`` does; broken geometries become missing.

    A warning says what the file lacks. Raises one of ``UNREADABLE``.
    """
    check_is_whole(path)
    elsewhere = what_lies_elsewhere(path)
    table = _read_table(path, **options)
    for missing in (*elsewhere, *what_is_missing(path, len(table))):
        _log.warning("%s: %s", path, missing)
    if (count := _n_around_the_earth(table)) > 0:
        _log.warning(
            "%s: %s from one side of 180 degrees to the other the long way round the Earth; if %s "
            "meant to cross it there, cut the layer, for example with ogr2ogr -wrapdateline",
            path,
            counted(count, "feature goes", "features go"),
            "it is" if count == 1 else "they are",
        )
    return table


def _n_around_the_earth(table: gpd.GeoDataFrame) -> int:
    """Return how many features have an edge of more than half the Earth, far from longitude 0.

    It is the short way that most are meant to go: longitudes of 179 and -179 lie side by side.
    """
    crs = table.crs if isinstance(table, gpd.GeoDataFrame) else None
    if crs is None or not is_in_degrees(crs):
        return 0
    shapes = table.geometry.to_numpy()
    west, _, east, _ = shapely.bounds(shapes).T
    wide = np.flatnonzero((west < -90) & (east > 90))
    return sum(_goes_around_the_earth(shapes[i]) for i in wide.tolist())


def _goes_around_the_earth(shape: shapely.Geometry) -> bool:
    parts = shapely.get_parts(shapely.get_parts(shape))
    are_areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    lines = np.concatenate([shapely.get_rings(parts[are_areas]), parts[~are_areas]])
    xy, line = shapely.get_coordinates(lines, return_index=True)
    steps = np.abs(np.diff(xy[:, 0]))[np.diff(line) == 0]
    return bool(((steps > 180) & (steps < 360)).any() and np.abs(xy[:, 0]).min() > 90)


def _read_table(path: str, **options: Any) -> gpd.GeoDataFrame:
    from owl_geo.ground import vector_files  # loads GDAL, which is not needed to repair

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # measured shapes, several types, unclosed rings: either harmless or logged below
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            table = vector_files.read(path, **options)
        except ShapelyError:
            _log.warning(
                "%s has broken geometries, for example unclosed rings, or surfaces in space, of "
                "which ogr2ogr -nlt MULTIPOLYGON makes polygons; they are left out",
                path,
            )
            return vector_files.read(path, on_invalid="ignore", **options)
    if 0 < (count := n_without_place(table)) < len(table):
        _log.warning(
            "%s: %s of %s no geometry, left out",
            path,
            f"{count:,}",
            counted(len(table), "feature has", "features have"),
        )
    return table


def n_without_place(table: gpd.GeoDataFrame) -> int:
    """Return how many features have no geometry, or an empty one; 0 where none can have one."""
    shapes = getattr(table, "geometry", None)
    if shapes is None:
        return 0
    values = shapes.to_numpy()
    return int((shapely.is_missing(values) | shapely.is_empty(values)).sum())


def repaired(geometries: AnyArray) -> AnyArray:
    """Return valid geometries ``(n,)``, None for those that are missing or beyond repair.

    Geometries are beyond repair if they have coordinates that are not finite or not on Earth.
    """
    valid = np.array(geometries, dtype=object)
    broken = ~(shapely.is_valid(valid) | shapely.is_missing(valid))
    nowhere = np.flatnonzero(broken)[_have_no_place(valid[broken])]
    valid[nowhere], broken[nowhere] = None, False  # a repair would drop the coordinate alone
    try:
        valid[broken] = made_valid(valid[broken])
    except ShapelyError:  # one of them is beyond repair
        for position in np.flatnonzero(broken):
            valid[position] = _mended(valid[position])
    on_earth = (np.abs(shapely.bounds(valid)) < FARTHEST).all(axis=1)  # False for NaN
    valid[~(on_earth & shapely.is_valid(valid)) & ~shapely.is_empty(valid)] = None
    return valid


def _have_no_place(geometries: AnyArray) -> BoolArray:
    """Return which geometries have a coordinate that is not finite, ``(n,)``."""
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    lost = np.zeros(len(geometries), dtype=bool)
    lost[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    return lost


def made_valid(geometries: Any) -> Any:
    """Return geometries (one, or an array) that are valid: what any part covers stays covered.

    The other repair of GEOS, along the lines, takes what two parts cover for a hole.

    Raises ShapelyError for a geometry that is beyond repair.
    """
    return shapely.make_valid(geometries, method="structure")


def _mended(geometry: shapely.Geometry) -> shapely.Geometry | None:
    try:
        return made_valid(geometry)
    except ShapelyError:
        return None


def reason(error: Exception) -> str:
    """Return why a file cannot be read, without the advice for programmers that GDAL adds."""
    from pyogrio.errors import GeometryError  # loads GDAL

    if isinstance(error, GeometryError):  # of a type that pyogrio does not know
        return (
            "it has a layer of several kinds of geometry with heights or measures, which are not "
            "read: drop these, for example with ogr2ogr -dim XY"
        )
    return str(error).split("; ")[0].rstrip(".")
