"""How a scene is cut into windows, and which ones are read together; nothing here opens a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from owl_geo.ground.windows import Windows
from owl_geo.types import IntArray, SceneGrid


@dataclass(frozen=True)
class Tiling:
    """How one scene was cut into windows."""

    windows: Windows  # those wholly within the scene, in row-major order
    n_partial: int  # windows that start inside the scene and end outside; they are left out


def tile(grid: SceneGrid, patch_size: int, stride: int) -> Tiling:
    """Cut a scene into windows of ``patch_size`` pixels every ``stride`` pixels.

    Only whole windows are kept; those that would reach past the right or lower edge are counted in
    ``n_partial``, even if they start inside an overlapping window before them.
    """
    rows = np.arange(0, grid.height, stride, dtype=np.int64)
    cols = np.arange(0, grid.width, stride, dtype=np.int64)
    whole_rows = rows[rows + patch_size <= grid.height]
    whole_cols = cols[cols + patch_size <= grid.width]
    row_off, col_off = np.meshgrid(whole_rows, whole_cols, indexing="ij")
    windows = Windows(grid, row_off=row_off.ravel(), col_off=col_off.ravel(), patch_size=patch_size)
    return Tiling(windows, len(rows) * len(cols) - len(windows))


@dataclass(frozen=True)
class Strip:
    """Pixel rows ``start`` to ``stop``, read at once, and the patches that lie in them."""

    start: int
    stop: int
    first: int  # position of the first patch of the strip in the given order
    last: int  # one past the last


def strips(windows: Windows, rows_per_strip: int) -> Iterator[Strip]:
    """Group windows in reading order into strips of about ``rows_per_strip`` pixel rows.

    A strip holds windows that start between two multiples of ``rows_per_strip``, so that with
    block-aligned windows every block is decoded once; a window that crosses a boundary belongs to
    the strip in which it starts. Windows in another order are grouped correctly too, but into more
    strips.
    """
    in_one_column = replace(windows, col_off=np.zeros_like(windows.col_off))
    for chunk in chunks(in_one_column, max(rows_per_strip, 1), 1):
        yield Strip(chunk.row, chunk.row + chunk.height, chunk.first, chunk.last)


@dataclass(frozen=True)
class Chunk:
    """A rectangle of pixels, read at once, and the patches that lie in it."""

    row: int  # first pixel row
    col: int  # first pixel column
    height: int  # pixels
    width: int
    first: int  # position of the first patch of the chunk in the given order
    last: int  # one past the last


def reading_order(windows: Windows, rows: int, cols: int) -> IntArray:
    """Return the order ``(n,)`` in which windows are read: by strip, chunk of columns, row, column.

    A strip is ``rows`` pixels high and a chunk of it ``cols`` pixels wide; a window belongs to the
    chunk in which it starts. Scenes narrower than ``cols`` are read row by row.
    """
    row_off, col_off = windows.row_off, windows.col_off
    order = np.lexsort((col_off, row_off, col_off // cols, row_off // rows))
    return order.astype(np.int64)


def chunks(windows: Windows, rows: int, cols: int) -> Iterator[Chunk]:
    """Group windows in reading order into chunks, each cut down to the pixels that it needs."""
    if len(windows) == 0:
        return
    row_off, col_off, size = windows.row_off, windows.col_off, windows.patch_size
    changes = (np.diff(row_off // rows) != 0) | (np.diff(col_off // cols) != 0)
    firsts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lasts = np.append(firsts[1:], len(windows))
    top, left = np.minimum.reduceat(row_off, firsts), np.minimum.reduceat(col_off, firsts)
    bottom = np.maximum.reduceat(row_off, firsts) + size
    right = np.maximum.reduceat(col_off, firsts) + size
    columns = (top, left, bottom - top, right - left, firsts, lasts)
    for values in zip(*(column.tolist() for column in columns), strict=True):
        yield Chunk(*values)
