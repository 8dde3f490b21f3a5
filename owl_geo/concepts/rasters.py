"""What another raster says about each patch: majority class, mean, or shares of classes.

The other raster is sampled at the pixels of the scene; where its own are smaller, at a grid refined
until every one of them has its say, so that the counts are those of the raster itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.concepts import UNKNOWN
from owl_geo.concepts.extents import Extent
from owl_geo.concepts.pool import reproject
from owl_geo.errors import LayerError
from owl_geo.ground.grid import strips, to_xy
from owl_geo.ground.projections import crs_of
from owl_geo.ground.raster import AlignedRaster, open_layer
from owl_geo.ground.raster import extent as bounds_of
from owl_geo.types import AnyArray, BoolArray, IntArray, SceneGrid

_PIXELS_AT_ONCE = 8_000_000
_MOST_REFINED = 8  # 64 samples in a pixel of the scene speak for it, however many there are


def majority(
    path: str,
    grid: SceneGrid,
    row_off: IntArray,
    col_off: IntArray,
    size: int,
    *,
    band: int = 1,
    names: Mapping[str, str] | None = None,
) -> AnyArray:
    """Return the most frequent class in each patch as text, object ``(n,)``.

    ``names`` maps codes, as text, to names; other codes stay as they are. ``unknown`` where the
    raster has no data; the smaller code wins a tie. Raises LayerError for a raster of fractions.
    """
    names = names or {}
    winner = np.full(len(row_off), UNKNOWN, dtype=object)
    for members, values, valid in _windows(path, grid, row_off, col_off, size, band):
        codes = np.unique(values[valid])
        if len(codes) == 0:
            continue
        if not np.array_equal(codes, np.trunc(codes)):
            raise LayerError(f"{path} holds fractions, no classes; set reduce to 'mean'")
        texts = [names.get(str(int(code)), str(int(code))) for code in codes]
        counts = _counts(values, valid, codes)
        some = counts.any(axis=1)
        best = counts[some].argmax(axis=1)
        winner[members[some]] = np.array(texts, dtype=object)[best]
    return winner


def mean(
    path: str, grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int, *, band: int = 1
) -> NDArray[np.float64]:
    """Return the mean of the valid pixels in each patch, float64 ``(n,)``, NaN for none."""
    means = np.full(len(row_off), np.nan)
    for members, values, valid in _windows(path, grid, row_off, col_off, size, band):
        counts = valid.sum(axis=1)
        sums = values.sum(axis=1, dtype=np.float64, where=valid)
        means[members] = np.divide(sums, counts, out=means[members], where=counts > 0)
    return means


def class_shares_of_raster(
    path: str,
    grid: SceneGrid,
    row_off: IntArray,
    col_off: IntArray,
    size: int,
    values: Sequence[float],
    *,
    band: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each value among a patch's valid pixels, and the share of those.

    float64 ``(n, len(values))``, zeros where no pixel is valid, and ``(n,)``.
    """
    shares = np.zeros((len(row_off), len(values)))
    valid_share = np.zeros(len(row_off))
    for members, pixels, valid in _windows(path, grid, row_off, col_off, size, band):
        counts = valid.sum(axis=1)
        valid_share[members] = counts / valid.shape[1]
        for i, value in enumerate(values):
            shares[members, i] = ((pixels == value) & valid).sum(axis=1) / np.maximum(counts, 1)
    return shares, valid_share


def extent(path: str) -> Extent:
    """Return the rectangle that a raster spans; raises LayerError where it has no place."""
    with open_layer(path) as dataset:
        return Extent(CRS.from_user_input(dataset.crs), bounds_of(dataset))


def _windows(
    path: str, grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int, band: int
) -> Iterator[tuple[IntArray, AnyArray, BoolArray]]:
    """Yield positions of patches ``(k,)`` with their pixels and validity, each ``(k, pixels)``."""
    fine = _refinement(path, grid)
    grid = refined(grid, fine)
    order = np.argsort(row_off, kind="stable")
    rows, cols, size = row_off[order] * fine, col_off[order] * fine, size * fine
    rows_per_strip = max(_PIXELS_AT_ONCE // grid.width, 1)
    at_once = max(_PIXELS_AT_ONCE // size**2, 1)
    with AlignedRaster(path, grid, band=band) as raster:
        for strip in strips(rows, size, rows_per_strip):
            values, valid = raster.rows(strip.start, strip.stop)
            views = [sliding_window_view(a, (size, size)) for a in (values, valid)]
            for first in range(strip.first, strip.last, at_once):
                part = slice(first, min(first + at_once, strip.last))
                where = rows[part] - strip.start, cols[part]
                pixels, known = (view[where].reshape(len(where[0]), -1) for view in views)
                yield order[part], pixels, known


def refined(grid: SceneGrid, factor: int) -> SceneGrid:
    """Return the grid with each pixel cut into ``factor`` x ``factor``."""
    a, b, c, d, e, f = grid.transform
    return dataclasses.replace(
        grid,
        transform=(a / factor, b / factor, c, d / factor, e / factor, f),
        height=grid.height * factor,
        width=grid.width * factor,
    )


def _refinement(path: str, grid: SceneGrid) -> int:
    """Into how many pixels, along an edge, a scene's pixel must be cut to match the raster's."""
    with open_layer(path) as dataset:
        crs, pixel_area = CRS.from_user_input(dataset.crs), abs(dataset.transform.determinant)
    row, col = grid.height / 2, grid.width / 2
    corners = to_xy(grid, np.array([row, row, row + 1]), np.array([col, col + 1, col]))
    corners = reproject(corners, crs_of(grid.crs), crs)
    area = abs(np.linalg.det(corners[1:] - corners[0]))  # of a scene's pixel, in the raster's CRS
    if not np.isfinite(area):
        return 1
    # the slack keeps rasters that differ by a datum's last digits at their own size
    return int(np.clip(math.ceil(math.sqrt(area / pixel_area) - 0.05), 1, _MOST_REFINED))


def _counts(values: AnyArray, valid: BoolArray, codes: AnyArray) -> IntArray:
    """Count each code in each patch, ``(k, len(codes))``."""
    patch = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[valid]
    code = np.searchsorted(codes, values[valid])
    counts = np.bincount(patch * len(codes) + code, minlength=len(values) * len(codes))
    return counts.reshape(len(values), len(codes))
