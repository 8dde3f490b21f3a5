"""From patches to the cells of a raster: one cell per patch, or more where patches overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.ground.windows import Windows
from owl_geo.types import FloatArray, IntArray, SceneGrid

_STRIP_VALUES = 2**22  # numbers that are summed at once, which limits the size of a strip
_STRIP_ROWS = 256  # the height of a strip is a multiple of this, so that each tile is written once


@dataclass(frozen=True)
class Cells:
    """The raster that the patches of one scene fill."""

    grid: SceneGrid  # the grid of the cells: the scene's own, but coarser
    edge: int  # edge of a cell, in pixels of the scene
    span: int  # cells along the edge of a patch; 1 where patches neither overlap nor leave gaps
    row: IntArray  # first row of each patch, in cells, (n,)
    col: IntArray  # first column of each patch, in cells, (n,)


def cells_of(windows: Windows) -> Cells:
    """Return the coarsest cells that fill each of the windows exactly.

    The edge of a cell is the greatest common divisor of the patch size and all offsets. The raster
    starts where the scene starts and ends with the last whole cell. Raises ValueError if there are
    no windows.
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
    row, col = windows.row_off, windows.col_off
    if edge > 1:  # else, of millions of patches of one pixel, nothing is copied
        row, col = row // edge, col // edge
    return Cells(cells, edge, size // edge, row, col)


def means(cells: Cells, values: FloatArray) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the raster in strips from top to bottom: a first row and values ``(k, rows, width)``.

    A cell has the mean of ``values`` ``(n, k)`` over the patches that cover it, or not-a-number if
    none does. Memory use depends only on the raster's width, and no mean depends on where a strip
    ends.
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
        in_strip = order[slice(*np.searchsorted(first_rows, [above, stop]))]
        sums = np.zeros((n_values + 1, stop - above, width))
        first_cells = (cells.row[in_strip] - above, cells.col[in_strip])
        sums[(slice(None), *first_cells)] = np.append(
            values[in_strip].T, np.ones((1, len(in_strip)), values.dtype), axis=0
        )
        sums = _spread(sums, span)[:, start - above :]
        with np.errstate(invalid="ignore"):  # 0 / 0 makes a cell without a patch not-a-number
            yield start, sums[:-1] / sums[-1]


def _spread(sums: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Add each value to the ``span`` x ``span`` cells that begin at its own, ``(k, h, w)``.

    It adds along one axis after the other; running differences would leave rounding errors behind.
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
