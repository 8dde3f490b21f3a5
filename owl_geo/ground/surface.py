"""Where the windows of a scene lie in space, by polynomials in place of projections.

Over one scene the position on Earth is so smooth a function of row and column that a polynomial
tells it, which is much quicker than a projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.ground.grid import to_xy
from owl_geo.ground.projections import metres_from_earth_centre
from owl_geo.ground.windows import Windows
from owl_geo.types import IntArray

_NODES = 8  # rows, and as many columns, that the polynomials of a scene pass through
_CHEBYSHEV = -np.cos((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_BARYCENTRIC = (-1.0) ** np.arange(_NODES) * np.sin((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_TRIED = np.array([(-1.0, 1.0, -0.55, 0.1, 0.65), (-0.9, 0.95, 0.6, -0.15, -0.7)])  # in between
_SMOOTH = 1e-6  # of a window: so near to the ground polynomials must be

Vectors = NDArray[np.float64]  # (..., 3), metres from the Earth's centre, or between two points


def squares_in_space(windows: Windows) -> Vectors:
    """Return centres and edges, ``(3, n, 3)``, in metres from the Earth's centre.

    Where polynomials miss the ground, all windows are projected.
    """
    if len(windows) > _NODES**2:
        surface = _Surface.under(windows)
        if surface is not None:
            return surface.squares()
    half = windows.patch_size / 2
    row, col = windows.row_off + half, windows.col_off + half
    points = ((row, col), (row, col + half), (row + half, col))
    metres = np.stack([_metres(windows, *point) for point in points])
    with np.errstate(invalid="ignore"):  # infinite ones, beyond a pole
        metres[1:] = 2 * (metres[1:] - metres[0])
    return metres


def _metres(
    windows: Windows, row: NDArray[np.floating], col: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return pixels ``(k,)`` of a scene in metres from the Earth's centre, ``(k, 3)``."""
    return metres_from_earth_centre(to_xy(windows.grid, row, col), windows.crs, windows.place)


@dataclass(frozen=True)
class _Surface:
    """The ground under the windows of a scene, as polynomials of row and column.

    They pass through the ground at ``_NODES`` rows and as many columns, by barycentric
    interpolation (Berrut and Trefethen 2004, SIAM Review 46: 501-517).
    """

    windows: Windows
    rows: NDArray[np.float64]  # of the nodes, (k,), pixels
    cols: NDArray[np.float64]
    metres: NDArray[np.float64]  # of the nodes from the first one, by axis, (3, k, k)
    first: NDArray[np.float64]  # of the nodes, (3,), metres from the Earth's centre

    @classmethod
    def under(cls, windows: Windows) -> _Surface | None:
        """Return the polynomials, or None where they miss the ground between their nodes."""
        both = windows.row_off, windows.col_off
        rows, cols = (_between(offsets, windows.patch_size, _CHEBYSHEV) for offsets in both)
        row, col = (
            _between(offsets, windows.patch_size, at)
            for offsets, at in zip(both, _TRIED, strict=True)
        )
        metres = _metres(
            windows,
            np.concatenate([np.repeat(rows, _NODES), row]),
            np.concatenate([np.tile(cols, _NODES), col]),
        )
        if not np.isfinite(metres).all():  # beyond a pole
            return None
        first = metres[0].copy()
        nodes, tried = np.split((metres - first).T, [_NODES**2], axis=1)
        surface = cls(windows, rows, cols, nodes.reshape(3, _NODES, _NODES), first)
        by_row, by_col = _weights(rows, row), _weights(cols, col)
        found = (by_row @ surface.metres * by_col).sum(axis=2)
        edges = np.linalg.norm(nodes[:, [1, _NODES]], axis=0)  # to the next nodes
        edges *= windows.patch_size / np.array([cols[1] - cols[0], rows[1] - rows[0]])
        return surface if np.abs(tried - found).max() <= _SMOOTH * edges.min() else None

    def squares(self) -> Vectors:
        """Return centres and edges of the windows, ``(3, n, 3)``."""
        half = self.windows.patch_size / 2
        row_offs, row = np.unique(self.windows.row_off, return_inverse=True)
        col_offs, col = np.unique(self.windows.col_off, return_inverse=True)
        by_row, by_col = _weights(self.rows, row_offs + half), _weights(self.cols, col_offs + half)
        right = 2 * (_weights(self.cols, col_offs + 2 * half) - by_col)
        down = 2 * (_weights(self.rows, row_offs + 2 * half) - by_row)
        place = row * len(col_offs) + col
        squares = np.empty((3, len(place), 3))
        pairs = ((by_row, by_col), (by_row, right), (down, by_col))
        for of_all, (rows, cols) in zip(squares, pairs, strict=True):
            of_all.T[:] = (rows @ self.metres @ cols.T).reshape(3, -1).take(place, axis=1)
        squares[0] += self.first
        return squares


def _between(offsets: IntArray, size: int, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pixels that lie at -1 to 1 from the first to the last pixel of windows."""
    first, end = float(offsets.min()), float(offsets.max() + size)
    return first + (end - first) * (at + 1) / 2


def _weights(nodes: NDArray[np.float64], at: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what each Chebyshev node counts at each of r positions, ``(r, k)``."""
    away = at[:, None] - nodes
    hits = away == 0
    counts = _BARYCENTRIC / np.where(hits, 1.0, away)
    counts = np.where(hits.any(axis=1, keepdims=True), hits, counts)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))
