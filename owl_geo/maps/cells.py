"""From patches to the cells of a raster: one cell per patch, or as many as their overlap needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.ground.windows import Windows
from owl_geo.types import FloatArray, IntArray, SceneGrid

_STRIP_VALUES = 2**22  # numbers that are summed at once; strips are cut to it
_STRIP_ROWS = 256  # a strip is a multiple of it, so that a tile is written once


@dataclass(frozen=True)
class Cells:
    """The raster that the patches of one scene fill."""

    grid: SceneGrid  # of the cells: the scene's own, coarser
    edge: int  # of a cell, in pixels of the scene
    span: int  # cells along the edge of a patch; 1 where patches neither overlap nor leave gaps
    row: IntArray  # first row of each patch in cells, (n,)
    col: IntArray  # first column, (n,)


def cells_of(windows: Windows) -> Cells:
    """Lay the coarsest cells under windows, each of which they fill exactly.

    The edge of a cell is the greatest common divisor of the patch size and all offsets. Cells start
    where the scene starts and end with the last whole one. Raises ValueError without windows.
    """
    grid, size = windows.grid, windows.patch_size
    if len(windows) == 0:
        raise ValueError(f"scene {grid.name!r} has no patches")
    edge = int(np.gcd.reduce(np.concatenate([[size], windows.row_off, windows.col_off])))
    a, b, c, d, e, f = grid.transform
    cells = SceneGrid(
        name=grid.name,
        crs=grid.crs,
        transform=(a * edge, b * edge, c, d * edge, e * edge, f),
        height=grid.height // edge,
        width=grid.width // edge,
    )
    return Cells(cells, edge, size // edge, windows.row_off // edge, windows.col_off // edge)


def means(cells: Cells, values: FloatArray) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the raster from top to bottom: a first row, and ``(k, rows, width)`` from there on.

    A cell has the mean of ``values`` ``(n, k)`` over the patches that cover it, not-a-number where
    none does. Memory depends on the raster's width only, and a mean not on where a strip ends.
    """
    height, width, span = cells.grid.height, cells.grid.width, cells.span
    n_values = values.shape[1]
    rows = max(_STRIP_VALUES // (width * (n_values + 1)) // _STRIP_ROWS, 1) * _STRIP_ROWS
    order = np.argsort(cells.row, kind="stable")
    first_rows = cells.row[order]
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        # a patch that starts up to span - 1 rows above reaches into the strip
        above = max(start - span + 1, 0)
        mine = order[slice(*np.searchsorted(first_rows, [above, stop]))]
        sums = np.zeros((n_values + 1, stop - above, width))
        place = (cells.row[mine] - above, cells.col[mine])
        sums[(slice(None), *place)] = np.append(
            values[mine].T, np.ones((1, len(mine)), values.dtype), axis=0
        )
        sums = _spread(sums, span)[:, start - above :]
        with np.errstate(invalid="ignore"):  # 0 / 0 is what a cell without a patch shall be
            yield start, sums[:-1] / sums[-1]


def _spread(sums: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Add each value to the ``span`` x ``span`` cells that begin at its own, ``(k, h, w)``.

    One axis after the other, by additions only: a running difference would leave rounding behind.
    """
    for axis in (1, 2):
        before = sums.copy() if span > 1 else sums
        for shift in range(1, min(span, sums.shape[axis])):
            low, high = slice(shift, None), slice(None, -shift)
            if axis == 1:
                sums[:, low] += before[:, high]
            else:
                sums[:, :, low] += before[:, :, high]
    return sums
