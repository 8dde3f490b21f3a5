"""The places of pixels of a cube that is turned against its CRS.

Such a cube has no coordinates along its axes. rioxarray writes the centres of its pixels into
``xc`` and ``yc`` instead, and odc-geo counts them, as ``x`` and ``y`` in the unit "pixel". Both
write the transform of the whole raster into an attribute, which a part that is cut out keeps.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable

import numpy as np
import xarray as xr
from pyproj import CRS

from owl_geo.errors import SourceError
from owl_geo.sources.cube.axes import Axes, units_of
from owl_geo.sources.cube.transforms import SAME, SAME_STEP, Transform
from owl_geo.types import IntArray

_log = logging.getLogger("owl_geo")

_EASTINGS = {"xc", "projection_x_coordinate"}
_NORTHINGS = {"yc", "projection_y_coordinate"}
_PIXELS = {"pixel", "pixels"}
_LOOKED_AT = 33  # pixels of a row or column, as many as tell a regular grid


def coordinate_of_pixels(dataset: xr.Dataset, axes: Axes, names: set[str]) -> xr.DataArray | None:
    """Return the coordinate of all pixels with one of these names, None where there is none."""
    name: Hashable
    coordinate: xr.DataArray
    for name, coordinate in dataset.coords.items():
        words = {str(name).casefold(), str(coordinate.attrs.get("standard_name", ""))}
        if set(coordinate.dims) == {axes.y, axes.x} and words & names:
            return coordinate
    return None


def refuse_curvilinear(dataset: xr.Dataset, axes: Axes, where: str) -> None:
    """Raise SourceError if a coordinate has a value for each pixel."""
    for name, coordinate in dataset.coords.items():
        if coordinate.ndim == 2 and set(coordinate.dims) == {axes.y, axes.x}:
            raise SourceError(
                f"{where} is curvilinear: {name} differs along both {axes.y} and {axes.x}",
                remedy="resample the cube to a regular grid first",
            )


def transform_by_places(
    dataset: xr.Dataset, axes: Axes, crs: CRS, stated: Transform | None, where: str
) -> Transform | None:
    """Return the transform that puts each pixel at its own place, None where it has none.

    ``stated`` is what attributes say, to whose grid the pixels are taken to belong if whole pixels
    of it lie there. If not, a warning says so, and the places count. Raises SourceError where the
    places are on no regular grid.
    """
    x, y = (coordinate_of_pixels(dataset, axes, names) for names in (_EASTINGS, _NORTHINGS))
    if x is None or y is None or (crs.is_projected and "degree" in units_of(x)):
        return None
    terms = _regular(x, y, axes, where)
    if terms is None:
        refuse_curvilinear(dataset, axes, where)
    if terms is None or stated is None:
        return terms
    exact = _of_its_grid(terms, stated)
    if exact is None:
        _log.warning(
            "%s: its attributes put the pixels elsewhere than %s and %s; the latter are used, as "
            "pixel centres",
            *(where, x.name, y.name),
        )
    return exact or terms


def _regular(x: xr.DataArray, y: xr.DataArray, axes: Axes, where: str) -> Transform | None:
    """Return the transform of centres, None where they are on no regular grid."""
    rows, cols = (_spread(x.sizes[axis]) for axis in (axes.y, axes.x))
    at = {axes.y: rows, axes.x: cols}
    centres = np.stack(
        [c.isel(at).transpose(axes.y, axes.x).to_numpy().astype(np.float64) for c in (x, y)]
    )  # (2, rows, columns)
    if not np.isfinite(centres).all():
        raise SourceError(
            f"{where}: {x.name} and {y.name} do not place all of its pixels on the map",
            remedy="remove them, or the pixels without a place",
        )
    along = (centres[:, :, -1] - centres[:, :, 0]).mean(axis=1) / cols[-1]
    down = (centres[:, -1] - centres[:, 0]).mean(axis=1) / rows[-1]
    first = centres.mean(axis=(1, 2)) - along * cols.mean() - down * rows.mean()
    regular = (
        first[:, None, None] + along[:, None, None] * cols + down[:, None, None] * rows[:, None]
    )
    off = np.abs(centres - regular).max()
    edge = min(np.hypot(*along), np.hypot(*down))
    coarsest = max(np.finfo(c.dtype).eps if c.dtype.kind == "f" else 0.0 for c in (x, y))
    if edge == 0 or off > min(max(SAME_STEP * edge, coarsest * np.abs(centres).max()), edge / 4):
        return None
    corner = first - (along + down) / 2
    (a, d), (b, e), (c, f) = along.tolist(), down.tolist(), corner.tolist()
    return a, b, c, d, e, f


def _spread(n: int) -> IntArray:
    """Return some of n places in a row, with the first and the last."""
    return np.unique(np.linspace(0, n - 1, _LOOKED_AT).astype(np.int64))


def _of_its_grid(terms: Transform, stated: Transform) -> Transform | None:
    """Return ``stated``, moved by the whole pixels that are between them, None if there is more."""
    a, b, c, d, e, f = stated
    steps = np.array([[a, b], [d, e]])
    own = np.array([[terms[0], terms[1]], [terms[3], terms[4]]])
    if np.abs(np.linalg.solve(steps, own) - np.eye(2)).max() > SAME_STEP:
        return None
    apart = np.linalg.solve(steps, np.array([terms[2] - c, terms[5] - f]))
    whole = np.round(apart)
    if np.abs(apart - whole).max() > SAME:
        return None
    c, f = (np.array([c, f]) + steps @ whole).tolist()
    return a, b, c, d, e, f


def in_pixels(coordinate: xr.DataArray, stated: Transform | None = None) -> bool:
    """Return whether the values along an axis are numbers of pixels of the whole raster.

    So they are where they say it, and where they count by ones along an axis that ``stated`` turns
    against the CRS.
    """
    if units_of(coordinate) in _PIXELS:
        return True
    is_turned = stated is not None and (stated[1] != 0 or stated[3] != 0)
    values = coordinate.to_numpy().astype(np.float64)
    by_ones = (np.abs(np.diff(values)) == 1).all() and (values % 1 % 0.5 == 0).all()
    return bool(is_turned and by_ones)


def index_offset(coordinate: xr.DataArray) -> float:
    """Return what is to be added to numbers of pixels, so that a half is the first one's centre."""
    values = coordinate.to_numpy().astype(np.float64)
    return 0.5 if abs(values[1] - values[0]) == 1 and (values % 1 == 0).all() else 0.0


def part_of(whole: Transform, columns: tuple[float, float], rows: tuple[float, float]) -> Transform:
    """Return the transform of a part, whose steps and first edges are in pixels of the whole."""
    a, b, c, d, e, f = whole
    (across, col), (down, row) = columns, rows
    corner = c + a * col + b * row, f + d * col + e * row
    return a * across, b * down, corner[0], d * across, e * down, corner[1]


def by_straight_axes(whole: Transform, x: xr.DataArray, y: xr.DataArray) -> Transform | None:
    """Return the transform of pixels of a turned raster by coordinates that leave its turn out.

    As GDAL writes NetCDF: what a step along an axis adds to the other coordinate is missing. None
    where the coordinates are others.
    """
    a, b, c, d, e, f = whole
    reach = abs(b) * y.size > SAME * abs(a) or abs(d) * x.size > SAME * abs(e)
    if not reach or a == 0 or e == 0:
        return None
    ranges = []
    for coordinate, step, edge in ((x, a, c), (y, e, f)):
        numbers = (coordinate.to_numpy().astype(np.float64) - edge) / step - 0.5
        whole_numbers = np.round(numbers)
        by = np.unique(np.diff(whole_numbers))
        if np.abs(numbers - whole_numbers).max() > SAME or by.size != 1 or by[0] == 0:
            return None
        across = float(by[0])
        ranges.append((across, float(whole_numbers[0]) + 0.5 - across / 2))
    return part_of(whole, *ranges)
