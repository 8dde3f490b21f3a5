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
    """Cut a scene of ``height`` x ``width`` pixels into ``size`` x ``size`` windows every ``stride``.

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
    grid: SceneGrid, row: NDArray[np.float64], col: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return pixel positions as coordinates of the scene's CRS: shape ``(..., 2)`` for x and y."""
    a, b, c, d, e, f = grid.transform
    return np.stack([a * col + b * row + c, d * col + e * row + f], axis=-1)


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


@dataclass(frozen=True)
class Strip:
    """Pixel rows ``start`` to ``stop`` that are read at once, and the patches that lie in them."""

    start: int
    stop: int
    first: int  # position of the first patch of the strip in the given order
    last: int  # one past the last


def strips(row_off: IntArray, size: int, rows_per_strip: int) -> Iterator[Strip]:
    """Group windows, sorted by ``row_off``, into strips of about ``rows_per_strip`` pixel rows.

    A strip starts at a multiple of ``rows_per_strip``, so that with block-aligned windows every
    block is decoded once; a window that crosses a boundary belongs to the strip it starts in.
    """
    if len(row_off) == 0:
        return
    group = row_off // max(rows_per_strip, 1)
    edges = np.flatnonzero(np.diff(group)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(row_off)], strict=True):
        yield Strip(int(row_off[first]), int(row_off[last - 1]) + size, first, last)
