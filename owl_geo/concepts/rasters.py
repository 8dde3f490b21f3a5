"""Statistics of another raster within each patch: majority class, mean, or shares of classes.

The other raster is sampled at the pixels of the scene; where its own pixels are smaller, at a grid
refined until each of them is sampled, so that the counts are those of the raster itself. For shares
of classes, which truth decides by, the grid is also refined to where the raster's pixels end.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import RasterioError

from owl_geo.concepts import UNKNOWN
from owl_geo.concepts.extents import Extent
from owl_geo.errors import LayerError
from owl_geo.ground.crs import crs_of
from owl_geo.ground.gathering import windows_at
from owl_geo.ground.grid import pixel_of, to_xy
from owl_geo.ground.netcdf_values import unheeded
from owl_geo.ground.raster import AlignedRaster
from owl_geo.ground.raster_files import band_names, nodata_among, open_layer, values_of
from owl_geo.ground.raster_files import extent as bounds_of
from owl_geo.ground.raster_view import Scaling, may_divide, usable_nodata
from owl_geo.ground.stand_ins import stand_in
from owl_geo.ground.tiling import strips
from owl_geo.ground.transformations import reproject
from owl_geo.ground.vrt_values import undeclared
from owl_geo.ground.windows import Windows
from owl_geo.types import AnyArray, BoolArray, IntArray, SceneGrid
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_PIXELS_AT_ONCE = 8_000_000
# For values that stand for missing data, of scenes, of windows in each, and of each part of these.
_SCENES_LOOKED_AT, _ROWS_LOOKED_AT, _PIXELS_LOOKED_AT = 4, 5, 100_000
_SHOWN = 20  # how many values of a raster a message lists
_NEARLY = 0.05  # of a scene's pixel, or a part of it: edges that lie so near to each other are one
_MOST_REFINED = 8  # at most 64 samples represent one pixel of the scene


def majority(
    path: str, windows: Windows, *, band: int = 1, names: Mapping[str, str] | None = None
) -> AnyArray:
    """Return the most frequent class in each window as text, object ``(n,)``.

    ``names`` maps codes, as text, to names; other codes stay as they are. The class is ``unknown``
    where the raster has no data; the smaller code wins a tie. Raises LayerError for a raster whose
    values are not whole numbers.
    """
    names = names or {}
    winner = np.full(len(windows), UNKNOWN, dtype=object)
    for members, values, valid in _pixels(path, windows, band):
        codes = np.unique(values[valid])
        if len(codes) == 0:
            continue
        if not np.array_equal(codes, np.trunc(codes)):
            raise LayerError(
                f"{path} holds fractions, not classes",
                remedy="set reduce to 'mean' in owl.toml",
            )
        texts = [names.get(str(int(code)), str(int(code))) for code in codes]
        counts = _counts(values, valid, codes)
        some = counts.any(axis=1)
        best = counts[some].argmax(axis=1)
        winner[members[some]] = np.array(texts, dtype=object)[best]
    return winner


def by_code(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of classes by their codes as ``majority`` has them: ``07`` is 7."""
    return {_as_code(text): name for text, name in names.items()}


def _as_code(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def mean(path: str, windows: Windows, *, band: int = 1) -> NDArray[np.float64]:
    """Return the mean of the valid pixels in each window, float64 ``(n,)``, NaN if there are none.

    Raises LayerError where the raster cannot be read.
    """
    means = np.full(len(windows), np.nan)
    for members, values, valid in _pixels(path, windows, band):
        counts = valid.sum(axis=1)
        sums = values.sum(axis=1, dtype=np.float64, where=valid)
        means[members] = np.divide(sums, counts, out=means[members], where=counts > 0)
    return means


def class_shares_of_raster(
    path: str, windows: Windows, values: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each value among a window's valid pixels, and the share of valid pixels.

    Values are those of the first band. The shares of values are float64 ``(n, len(values))``, with
    zeros where no pixel is valid, those of valid pixels ``(n,)``. Raises LayerError where the
    raster cannot be read.
    """
    shares = np.zeros((len(windows), len(values)))
    valid_share = np.zeros(len(windows))
    for members, pixels, valid in _pixels(path, windows, 1, to_edges=True):
        counts = valid.sum(axis=1)
        valid_share[members] = counts / valid.shape[1]
        for i, value in enumerate(values):
            shares[members, i] = ((pixels == value) & valid).sum(axis=1) / np.maximum(counts, 1)
    return shares, valid_share


def values_there(path: str) -> str:
    """Return which values a raster has, for a message; of a sample where it is large."""
    values = values_of(path)
    if len(values) == 0:
        return "it has no data"
    shown = [f"{value:.0f}" if value == np.trunc(value) else f"{value:g}" for value in values]
    if len(values) > _SHOWN:
        return f"it has {counted(len(values), 'value')}, {shown[0]} to {shown[-1]}"
    return f"it has {', '.join(shown)}"


def warn_of_no_data(path: str, values: Sequence[float]) -> None:
    """Warn where one of the values that mean classes is the one that a raster has for no data.

    Raises LayerError if the raster cannot be opened.
    """
    for value in nodata_among(path, values):
        _log.warning(
            "%s: %g is its value for no data, so no pixel counts as that; if it is a class, take "
            "the declaration out of the file, for example with gdal_edit.py -unsetnodata",
            path,
            value,
        )


def warn_of_absent(path: str, values: Sequence[float], is_there: BoolArray, correct: str) -> None:
    """Warn of values that were named and that no pixel has.

    Those that stand for no data are left out: ``warn_of_no_data`` has told of them.

    Args:
        path: a raster.
        values: those that were named, ``v`` of them.
        is_there: whether any pixel has each of them, boolean ``(v,)``.
        correct: what to correct, if they are a mistake.

    Raises LayerError where the raster cannot be opened.
    """
    told = nodata_among(path, values)
    absent = [v for v, there in zip(values, is_there, strict=True) if not there and v not in told]
    if absent:
        _log.warning(
            "%s: no pixel of any patch has %s; if that is a mistake, correct %s; %s",
            *(path, " or ".join(f"{value:g}" for value in absent), correct, values_there(path)),
        )


def is_scaled(path: str, band: int = 1) -> bool:
    """Return whether a raster's header makes other values of its pixels than they are.

    Raises LayerError if the raster cannot be opened.
    """
    with open_layer(path) as dataset:
        return band <= dataset.count and Scaling.of(dataset, band) != Scaling()


def warn_of_several_bands(path: str, what_to_do: str) -> None:
    """Warn where the first of several bands is read, which of a picture is the red.

    An alpha band does not count. Raises LayerError if the raster cannot be opened.
    """
    names = band_names(path)
    if len(names) > 1:
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        _log.warning(
            "%s has %d bands (%s), of which only the first counts; %s",
            path,
            len(names),
            shown,
            what_to_do,
        )


def warn_of_undeclared(path: str, scenes: Sequence[Windows], *, band: int = 1) -> None:
    """Warn where pixels that seem to be missing have a part in a mean, since no header says so.

    Some windows of the first scenes are looked at. Raises LayerError where the raster cannot be
    read.
    """
    looked_at: list[AnyArray] = []
    for windows in scenes[:_SCENES_LOOKED_AT]:
        rows = np.unique(windows.row_off)
        some = rows[np.linspace(0, len(rows) - 1, _ROWS_LOOKED_AT).astype(np.int64)]
        some_windows = windows.take(np.flatnonzero(np.isin(windows.row_off, some)))
        for _, values, valid in _pixels(path, some_windows, band):
            found = values[valid]
            looked_at.append(found[:: max(len(found) // _PIXELS_LOOKED_AT, 1)])
    odd = stand_in(np.concatenate(looked_at))
    if odd is not None:
        with open_layer(path) as dataset:
            declared = usable_nodata(dataset.dtypes[band - 1], dataset.nodatavals[band - 1])
        _log.warning(
            "%s: of the pixels that were looked at, %s, and count in the mean; if data are missing "
            "there, declare %s",
            *(path, odd, odd.remedy(declared)),
        )


def warn_of_doubtful_values(path: str, band: int = 1) -> None:
    """Warn where pixels are multiplied by a scale that they were probably to be divided by.

    And where NetCDF, or a part of a VRT, says more of missing pixels than GDAL heeds. Raises
    LayerError if the raster cannot be opened.
    """
    with open_layer(path) as dataset:
        if band > dataset.count:  # which is told where it is read
            return
        scale, dtype = Scaling.of(dataset, band).scale, dataset.dtypes[band - 1]
        with suppress(RasterioError):  # which is told where it is read
            against = unheeded(dataset, band)
            if against:
                _log.warning(
                    "%s: by %s in the file, pixels may be missing, or others than GDAL reads; "
                    "correct that first, for example with xarray",
                    *(path, against),
                )
            if missing := undeclared(dataset, band):
                _log.warning(
                    "%s: pixels are 0, and count, where a part of the VRT has its no-data value, "
                    "%s; declare that, for example with gdal_edit.py -a_nodata %s %s",
                    *(path, missing, missing, path),
                )
    if may_divide(scale, dtype):
        _log.warning(
            "%s: pixels are multiplied by %g, as the file's scale says; if they are to be divided "
            "by it, as those of MODIS' vegetation indices are, correct it, for example with "
            "gdal_edit.py -scale %g",
            *(path, scale, 1 / scale),
        )


def extent(path: str) -> Extent:
    """Return the rectangle that a raster spans; raises LayerError if it is not georeferenced."""
    with open_layer(path) as dataset:
        return Extent(CRS.from_user_input(dataset.crs), bounds_of(dataset))


def _pixels(
    path: str, windows: Windows, band: int, *, to_edges: bool = False
) -> Iterator[tuple[IntArray, AnyArray, BoolArray]]:
    """Yield positions of windows ``(k,)`` with values and validity, each ``(k, pixels)``.

    Values are scaled and offset as the raster's header says. With ``to_edges``, the scene's pixels
    are split where the edges of the raster's run through them, if few parts suffice.
    """
    order = np.argsort(windows.row_off, kind="stable")
    factor = _up_to_edges(path, windows.grid) if to_edges else None
    windows = windows.take(order).refined(factor or _refinement(path, windows.grid))
    size = windows.patch_size
    rows_per_strip = max(_PIXELS_AT_ONCE // windows.grid.width, 1)
    at_once = max(_PIXELS_AT_ONCE // size**2, 1)
    with AlignedRaster(path, windows.grid, band=band) as raster:
        for strip in strips(windows, rows_per_strip):
            pixels, valid = raster.rows(strip.start, strip.stop)
            values = raster.scaling.values(pixels)
            for first in range(strip.first, strip.last, at_once):
                part = slice(first, min(first + at_once, strip.last))
                row, col = windows.row_off[part] - strip.start, windows.col_off[part]
                within, are_valid = (
                    windows_at(each[None], row, col, size).reshape(len(row), -1)
                    for each in (values, valid)
                )
                yield order[part], within, are_valid


def _refinement(path: str, grid: SceneGrid) -> int:
    """Return how many pixels, along an edge, a scene's pixel splits into to match the raster."""
    with open_layer(path) as dataset:
        crs, (a, b, _, d, e, *_) = CRS.from_user_input(dataset.crs), dataset.transform
    row, col = grid.height / 2, grid.width / 2
    corners = to_xy(grid, np.array([row, row, row + 1]), np.array([col, col + 1, col]))
    corners = reproject(corners, crs_of(grid.crs), crs)
    edges = np.linalg.solve([[a, b], [d, e]], (corners[1:] - corners[0]).T)  # in its pixels
    if not np.isfinite(edges).all():
        return 1
    # pixels in degrees are narrow far from the equator: what counts is where most of them pass;
    # the tolerance absorbs differences in a datum's last digits
    longest = float(np.linalg.norm(edges, 2))
    return int(np.clip(math.ceil(longest - 0.05), 1, _MOST_REFINED))


def _up_to_edges(path: str, grid: SceneGrid) -> int | None:
    """Return into how many pixels, along an edge, a scene's pixel splits so that none is crossed.

    That is by an edge of the raster's pixels; shares are then exact. None where the raster has
    another CRS, is turned against the scene, or is not met by a few splits.
    """
    with open_layer(path) as dataset:
        if CRS.from_user_input(dataset.crs) != crs_of(grid.crs):
            return None
        a, b, c, d, e, f, *_ = dataset.transform
    # three corners of the raster's first pixel, in the scene's pixels
    origin, right, below = pixel_of(grid, np.array([[c, f], [a + c, d + f], [b + c, e + f]]))
    extent = max(grid.height, grid.width)
    length = np.array([below[0] - origin[0], right[1] - origin[1]])
    askew = np.array([right[0] - origin[0], below[1] - origin[1]])
    if not length.all() or (np.abs(askew / length[::-1]) * extent > _NEARLY).any():
        return None
    first = origin % length  # the edge nearest to the scene's first
    for factor in range(1, _MOST_REFINED + 1):
        # what a pixel is too long or too short adds up across the scene
        drift = _off_whole(length * factor) * extent / np.abs(length)
        if (_off_whole(first * factor) + drift <= _NEARLY).all():
            return factor
    return None


def _off_whole(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far positions are from whole numbers."""
    return np.abs(positions - np.rint(positions))


def _counts(values: AnyArray, valid: BoolArray, codes: AnyArray) -> IntArray:
    """Count each code in each patch, ``(k, len(codes))``."""
    patch = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[valid]
    code = np.searchsorted(codes, values[valid])
    counts = np.bincount(patch * len(codes) + code, minlength=len(values) * len(codes))
    return counts.reshape(len(values), len(codes))
