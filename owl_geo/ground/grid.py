"""Patches as arithmetic: window <-> corners <-> patch_id, and which rows to read together.

Rows and columns are whole pixels counted from the scene's first row and column; corners and centres
are coordinates in the scene's CRS. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import IntArray, SceneGrid


@dataclass(frozen=True)
class Tiling:
    """The windows of one scene: first row and column of each patch, in row-major order."""

    row_off: IntArray  # (n,)
    col_off: IntArray  # (n,)
    n_partial: int  # windows that start inside the scene and end outside; they are left out


def tile(height: int, width: int, size: int, stride: int) -> Tiling:
    """Cut ``height`` x ``width`` pixels into ``size`` x ``size`` windows every ``stride`` pixels.

    Only whole windows count; windows that would hang over the right or lower edge are counted in
    ``n_partial``. A window that starts inside a previous overlapping one and reaches past the edge
    counts too.
    """
    rows = np.arange(0, height, stride, dtype=np.int64)
    cols = np.arange(0, width, stride, dtype=np.int64)
    whole_rows = rows[rows + size <= height]
    whole_cols = cols[cols + size <= width]
    row_off, col_off = np.meshgrid(whole_rows, whole_cols, indexing="ij")
    n_partial = len(rows) * len(cols) - row_off.size
    return Tiling(row_off.ravel(), col_off.ravel(), n_partial)


def patch_ids(scene: str, row_off: IntArray, col_off: IntArray) -> list[str]:
    """Return ``<scene>/<row_off>/<col_off>`` for each window, a list of n strings."""
    return [f"{scene}/{r}/{c}" for r, c in zip(row_off.tolist(), col_off.tolist(), strict=True)]


def parse_patch_id(patch_id: str) -> tuple[str, int, int]:
    """Split a patch_id into scene, first row and first column.

    Raises ValueError for a string that is no patch_id.
    """
    scene, row, col = patch_id.rsplit("/", 2)
    return scene, int(row), int(col)


def to_xy(
    grid: SceneGrid, row: NDArray[np.floating], col: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return pixel positions as coordinates of the scene's CRS: shape ``(..., 2)`` for x and y."""
    a, b, c, d, e, f = grid.transform
    return np.stack([a * col + b * row + c, d * col + e * row + f], axis=-1).astype(np.float64)


def corners(
    grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int
) -> NDArray[np.float64]:
    """Return the four corners of each window, float64 ``(n, 4, 2)`` in the scene's CRS.

    Upper left, upper right, lower right, lower left in pixel space, whatever way the map lies.
    """
    row = row_off[:, None] + np.array([0, 0, size, size])
    col = col_off[:, None] + np.array([0, size, size, 0])
    return to_xy(grid, row.astype(np.float64), col.astype(np.float64))


def centres(
    grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int
) -> NDArray[np.float64]:
    """Return the centre of each window, float64 ``(n, 2)`` in the scene's CRS."""
    return to_xy(grid, row_off + size / 2, col_off + size / 2)


def bounds(grid: SceneGrid) -> tuple[float, float, float, float]:
    """Return the scene's extent in its own CRS: least x, least y, greatest x, greatest y."""
    row = np.array([0.0, 0.0, grid.height, grid.height])
    col = np.array([0.0, grid.width, 0.0, grid.width])
    xy = to_xy(grid, row, col)
    (x_min, y_min), (x_max, y_max) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return x_min, y_min, x_max, y_max


@dataclass(frozen=True)
class Strip:
    """Pixel rows ``start`` to ``stop`` that are read at once, and the patches that lie in them."""

    start: int
    stop: int
    first: int  # position of the first patch of the strip in the given order
    last: int  # one past the last


def strips(row_off: IntArray, size: int, rows_per_strip: int) -> Iterator[Strip]:
    """Group windows in reading order into strips of about ``rows_per_strip`` pixel rows.

    A strip holds windows that start between two multiples of ``rows_per_strip``, so that with
    block-aligned windows every block is decoded once; a window that crosses a boundary belongs to
    the strip it starts in. Windows that come in another order are grouped right too, only in more
    strips.
    """
    for chunk in chunks(row_off, np.zeros_like(row_off), size, max(rows_per_strip, 1), 1):
        yield Strip(chunk.row, chunk.row + chunk.height, chunk.first, chunk.last)


@dataclass(frozen=True)
class Chunk:
    """A rectangle of pixels that is read at once, and the patches that lie in it."""

    row: int  # first pixel row
    col: int  # first pixel column
    height: int  # pixels
    width: int
    first: int  # position of the first patch of the chunk in the given order
    last: int  # one past the last


def reading_order(row_off: IntArray, col_off: IntArray, rows: int, cols: int) -> IntArray:
    """Return the order ``(n,)`` in which windows are read: by strip, chunk of columns, row, column.

    A strip is ``rows`` pixels high and a chunk of it ``cols`` pixels wide; a window belongs where
    it starts. Scenes narrower than ``cols`` come out row by row.
    """
    order = np.lexsort((col_off, row_off, col_off // cols, row_off // rows))
    return order.astype(np.int64)


def chunks(
    row_off: IntArray, col_off: IntArray, size: int, rows: int, cols: int
) -> Iterator[Chunk]:
    """Group windows in reading order into chunks, each cut down to the pixels that it needs."""
    if len(row_off) == 0:
        return
    changes = (np.diff(row_off // rows) != 0) | (np.diff(col_off // cols) != 0)
    firsts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lasts = np.append(firsts[1:], len(row_off))
    top, left = np.minimum.reduceat(row_off, firsts), np.minimum.reduceat(col_off, firsts)
    bottom = np.maximum.reduceat(row_off, firsts) + size
    right = np.maximum.reduceat(col_off, firsts) + size
    columns = (top, left, bottom - top, right - left, firsts, lasts)
    for values in zip(*(column.tolist() for column in columns), strict=True):
        yield Chunk(*values)
