"""Where a cube lies: the regular grid that its coordinates make."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from owl_geo.errors import SourceError
from owl_geo.ground.crs import geodetic_of, is_in_metres, turned
from owl_geo.ground.lengths import metres_in
from owl_geo.ground.transformations import transformer
from owl_geo.sources.cube.axes import (
    LATITUDE,
    LONGITUDE,
    Axes,
    are_in_degrees,
    axis_coordinate,
    is_counting,
    units_of,
)
from owl_geo.sources.cube.crs import crs_of_cube, grid_mapping
from owl_geo.sources.cube.opening import UNREADABLE
from owl_geo.sources.cube.places import (
    by_straight_axes,
    coordinate_of_pixels,
    in_pixels,
    index_offset,
    part_of,
    refuse_curvilinear,
    transform_by_places,
)
from owl_geo.sources.cube.transforms import (
    Transform,
    edge_by_bounds,
    first_edge,
    stated_shape,
    stated_transform,
)
from owl_geo.types import AnyArray, SceneGrid
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_METRE = ("m", "meter", "meters", "metre", "metres")
_TURN = 360.0  # degrees
_RADIANS = {"rad", "radian", "radians", "microradian", "microradians"}

_CENTRES = "add those of the pixels' centres, for example with assign_coords"
_OFF, _LEAST_DEGREES = 3.0, 1e-4  # pixels that places may be off, and a pixel in degrees
_IRREGULAR = 1e-3  # pixels that a coordinate may be off, over the whole axis


def grid_of(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    crs: str | None,
    name: str,
    where: str,
    given: xr.DataArray | xr.Dataset | None,
) -> SceneGrid:
    """Return the grid that all variables lie on; see ``describe_cube`` for the arguments.

    Raises SourceError where there is no regular grid or no CRS.
    """
    mappings = [grid_mapping(dataset, dataset[key], axes) for key in variables]
    mapping = next((entry for entry in mappings if entry is not None), None)
    own = crs_of_cube(dataset, variables, axes, crs, where, mapping, given)
    height, width = dataset.sizes[axes.y], dataset.sizes[axes.x]
    for dim, n in ((axes.y, height), (axes.x, width)):
        if n < 2:
            raise SourceError(
                f"{where}: the axis {dim} has {counted(n, 'value')}",
                remedy="patches need more pixels",
            )
    transform = _transform(dataset, variables, axes, mapping, own, where)
    _warn_of_other_places(dataset, axes, transform, own, where)
    if own.is_geographic:
        a, b, c, d, e, f = transform
        transform = (a, b, _western(a, c, width), d, e, f)
    authority = own.to_authority()
    code = ":".join(authority) if authority else own.to_wkt()
    return SceneGrid(name, code, transform, height, width)


def _transform(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    mapping: Mapping[str, Any] | None,
    crs: CRS,
    where: str,
) -> Transform:
    """Return the transform from coordinates and attributes; what is more explicit wins.

    Logs a warning where they disagree by more than centres and corners do.
    """
    stated = stated_transform(dataset, variables, axes, mapping)
    x, y = axis_coordinate(dataset, axes.x), axis_coordinate(dataset, axes.y)
    in_degrees = are_in_degrees(dataset, axes)
    if x is None or y is None or (_counts(x) and _counts(y)):
        placed = transform_by_places(dataset, axes, crs, stated, where)
        if placed is not None:
            return placed
        if stated is not None:
            _refuse_part(dataset, variables, axes, where)
            return stated
    if x is None or y is None:
        refuse_curvilinear(dataset, axes, where)
        raise SourceError(
            f"{where} has no coordinates along {axes.y} and {axes.x}",
            remedy=_CENTRES,
        )
    if stated and in_pixels(x, stated) and in_pixels(y, stated):
        across, col = _spacing(x, axes.x, crs, where, 1.0)
        down, row = _spacing(y, axes.y, crs, where, 1.0)
        return part_of(stated, (across, col + index_offset(x)), (down, row + index_offset(y)))
    if ((_counts(x) and _counts(y)) or in_pixels(x) or in_pixels(y)) and not in_degrees:
        raise SourceError(
            f"{where}: the coordinates along {axes.y} and {axes.x} only count its pixels, from "
            f"{float(x[0]):g}",
            remedy=_CENTRES,
        )
    if in_degrees and not crs.is_geographic:
        raise SourceError(
            f"{where}: its coordinates are longitudes and latitudes, and its CRS is {crs.name}",
            remedy="correct the CRS, for example with --crs EPSG:4326",
        )
    if stated and (terms := by_straight_axes(stated, x, y)):
        _log.warning(
            "%s: its attributes turn it against its CRS, and its coordinates do not, as where GDAL "
            "wrote the file; the attributes are used, while QGIS may show it straight",
            where,
        )
        return terms
    stated = stated or stated_transform(dataset, variables, axes, mapping, rounded=True)
    (a, c), (e, f) = (
        _placed_along(dataset, x, crs, where, (stated[0], stated[2]) if stated else None),
        _placed_along(dataset, y, crs, where, (stated[4], stated[5]) if stated else None),
    )
    return a, 0.0, c, 0.0, e, f


def _placed_along(
    dataset: xr.Dataset,
    coordinate: xr.DataArray,
    crs: CRS,
    where: str,
    stated: tuple[float, float] | None,
) -> tuple[float, float]:
    """Return the step from pixel to pixel along an axis and the outer edge of the first.

    Bounds decide whether coordinates are those of centres, or else ``stated``, the step and the
    edge that attributes give. Raises SourceError for coordinates in another unit than the CRS.
    """
    (dim,) = coordinate.dims
    metres = metres_in(units_of(coordinate)) if is_in_metres(crs) else 1.0
    units = "metres" if not is_in_metres(crs) and units_of(coordinate) in _METRE else ""
    if "degree" in units_of(coordinate) and np.abs(coordinate.to_numpy()).max() <= _TURN:
        units = "degrees"
    if crs.is_projected and units:
        raise SourceError(
            f"{where}: the coordinates along {dim} are in {units}, and the CRS {crs.name} in "
            f"{crs.axis_info[0].unit_name}",
            remedy="correct one of them: the units of the coordinates, or the CRS with --crs",
        )
    step, edge = _spacing(coordinate, dim, crs, where, metres)
    by_bounds = edge_by_bounds(dataset, coordinate, step, metres)
    if by_bounds is not None:
        return step, by_bounds
    if stated is None:
        return step, edge
    by_terms = first_edge(step, edge, coordinate.size, *stated)
    if by_terms is None:
        _log.warning(
            "%s: its attributes put the pixels along %s elsewhere than its coordinates, "
            "with steps of %.6g and %.6g; the coordinates are used, as pixel centres",
            where,
            dim,
            stated[0],
            step,
        )
    return step, edge if by_terms is None else by_terms


def _refuse_part(
    dataset: xr.Dataset, variables: Sequence[Hashable], axes: Axes, where: str
) -> None:
    """Raise SourceError if the attributes that place the pixels are those of another raster.

    Those of the whole stay with a part that is cut out of it, which nothing places then.
    """
    stated = stated_shape(dataset, variables)
    own = dataset.sizes[axes.y], dataset.sizes[axes.x]
    if stated is not None and stated != own:
        raise SourceError(
            f"{where}: its attributes place {stated[0]} x {stated[1]} pixels, and it has "
            f"{own[0]} x {own[1]}, with no coordinates along {axes.y} and {axes.x}",
            remedy=_CENTRES,
        )


def _counts(coordinate: xr.DataArray) -> bool:
    return is_counting(coordinate.to_numpy(), centres=True)


def _spacing(
    coordinate: xr.DataArray, dim: Hashable, crs: CRS, where: str, scale: float
) -> tuple[float, float]:
    """Return the step from pixel to pixel and the outer edge of the first, in units of the CRS.

    ``scale`` is how many of these a unit of the coordinate is. Longitudes may go on past 180 or 360
    as -179 or 1.
    """
    stored = coordinate.to_numpy()
    values = stored.astype(np.float64)
    if crs.is_geographic:
        values = np.unwrap(values, period=360.0)
    n = len(values)
    step = float(values[-1] - values[0]) / (n - 1)
    regular = np.linspace(values[0], values[-1], n)
    if not np.isfinite(values).all() or step == 0:
        raise SourceError(
            f"{where}: the coordinates along {dim} do not place its pixels on the map"
        )
    allowed = _IRREGULAR * abs(step)
    if stored.dtype.itemsize < 8 and np.issubdtype(stored.dtype, np.inexact):
        # what single precision cannot tell apart is not irregular
        rounding = float(np.finfo(stored.dtype).eps) * float(np.abs(values).max())
        allowed = max(allowed, min(rounding, 0.25 * abs(step)))
    off = float(np.abs(values - regular).max())
    if off > allowed:
        raise SourceError(
            f"{where}: pixels along {dim} are spaced irregularly, up to {off / abs(step):.3g} "
            "pixels off",
            remedy="resample the cube to a regular grid first",
        )
    units = units_of(coordinate)
    if units in _RADIANS or (not units and _are_scan_angles(values, crs)):
        raise SourceError(
            f"{where}: the coordinates along {dim} are angles in {units or 'radians'}",
            remedy="resample the cube to a map projection first",
        )
    return scale * step, scale * (float(values[0]) - step / 2)


def _are_scan_angles(values: AnyArray, crs: CRS) -> bool:
    """Return whether coordinates of what a geostationary satellite sees are angles, as CF has them.

    The Earth is 0.3 radians wide from there, and in metres no pixel is within one of the middle
    without its neighbours lying far beyond.
    """
    operation = crs.coordinate_operation
    is_geostationary = operation is not None and "geostationary" in operation.method_name.casefold()
    return is_geostationary and bool(np.abs(values).max() < 1)


def _western(step: float, edge: float, width: int) -> float:
    """Return the edge of longitudes that all lie beyond 180 where maps have them, below 0."""
    return edge - 360 if min(edge, edge + step * width) >= 180 else edge


def _warn_of_other_places(
    dataset: xr.Dataset, axes: Axes, transform: Transform, crs: CRS, where: str
) -> None:
    """Warn where longitudes and latitudes of pixels contradict the CRS, as a wrong one does."""
    lon, lat = (coordinate_of_pixels(dataset, axes, names) for names in (LONGITUDE, LATITUDE))
    if lon is None or lat is None:
        return
    a, b, c, d, e, f = transform
    to_degrees = transformer(crs, geodetic_of(crs))
    for row in (0, dataset.sizes[axes.y] - 1):
        for col in (0, dataset.sizes[axes.x] - 1):
            try:
                at = {axes.y: row, axes.x: col}
                stated = float(lon.isel(at)), float(lat.isel(at))
            except UNREADABLE:  # they are not needed
                return
            x, y = c + a * (col + 0.5) + b * (row + 0.5), f + d * (col + 0.5) + e * (row + 0.5)
            here, next_to_it = np.array(
                [to_degrees.transform(x, y), to_degrees.transform(x + a, y + e)]
            )
            pixel = max(np.abs(next_to_it - here).max(), _LEAST_DEGREES)
            off = np.abs([turned(here[0], stated[0]) - stated[0], here[1] - stated[1]]).max()
            if np.isfinite([*stated, off, pixel]).all() and off > _OFF * pixel:
                _log.warning(
                    "%s: %s and %s put a corner at %.4f, %.4f, and its coordinates with the CRS "
                    "%s at %.4f, %.4f; the latter count; is that the right CRS?",
                    *(where, lon.name, lat.name, *stated, crs.name, *here.tolist()),
                )
                return
