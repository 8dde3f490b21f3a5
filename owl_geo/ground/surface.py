"""Where the windows of scenes lie in space, by polynomials in place of projections.

Over one scene the position on Earth is so smooth a function of row and column that a polynomial
tells it, which is much quicker than a projection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.ground.grid import to_xy
from owl_geo.ground.transformations import all_from_earth_centre
from owl_geo.ground.windows import Windows
from owl_geo.types import IntArray

_NODES = 8  # rows, and as many columns, that the polynomials of a scene pass through
_SMOOTH = 1e-6  # of a window: so near to the ground polynomials must be
_AT_ONCE = 1024  # scenes whose pixels are projected together

# rows and columns run from -1 to 1 over a scene
_CHEBYSHEV = -np.cos((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_BARYCENTRIC = (-1.0) ** np.arange(_NODES) * np.sin((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_TRIED = np.array([(-1.0, 1.0, -0.55, 0.1, 0.65), (-0.9, 0.95, 0.6, -0.15, -0.7)])  # in between
_ROWS = np.concatenate([np.repeat(_CHEBYSHEV, _NODES), _TRIED[0]])  # of the nodes and what is tried
_COLUMNS = np.concatenate([np.tile(_CHEBYSHEV, _NODES), _TRIED[1]])

Vectors = NDArray[np.float64]  # (..., 3), metres from the Earth's centre, or between two points
Pixels = tuple[NDArray[np.float64], NDArray[np.float64]]  # rows and columns, each (k,)
Weights = NDArray[np.float64]  # what each node counts at each of r positions, (r, k)


def squares_in_space(scenes: Sequence[Windows]) -> Iterator[Vectors]:
    """Yield centres and edges of each scene's windows, ``(3, n, 3)``, in metres.

    Centres count from the Earth's centre. The pixels that many scenes need are projected together.
    """
    surface = None
    for start in range(0, len(scenes), _AT_ONCE):
        some = scenes[start : start + _AT_ONCE]
        for windows, metres in zip(some, _metres(some, map(_needed, some)), strict=True):
            if _are_few(windows):
                yield _squares_between(metres)
                continue
            if surface is None or not surface.is_under(windows):
                surface = _Surface(windows)
            squares = surface.squares(metres)
            if squares is None:
                squares = _squares_between(*_metres([windows], [_middles(windows)]))
            yield squares


def _are_few(windows: Windows) -> bool:
    """Return whether each window is projected, since polynomials would need as many points."""
    return len(windows) <= _NODES**2


def _needed(windows: Windows) -> Pixels:
    """Return the pixels of a scene that have to be projected."""
    if _are_few(windows):
        return _middles(windows)
    rows, columns = _spans(windows)
    return rows.pixels(_ROWS), columns.pixels(_COLUMNS)


def _middles(windows: Windows) -> Pixels:
    """Return the middle of each window, then those of their right and of their lower edges."""
    half = windows.patch_size / 2
    row, col = windows.row_off + half, windows.col_off + half
    return np.concatenate([row, row, row + half]), np.concatenate([col, col + half, col])


def _metres(scenes: Sequence[Windows], pixels: Iterable[Pixels]) -> list[Vectors]:
    """Return pixels of each scene in metres from the Earth's centre, each ``(k, 3)``."""
    return all_from_earth_centre(
        [
            (to_xy(windows.grid, *of_scene), windows.crs, windows.place)
            for windows, of_scene in zip(scenes, pixels, strict=True)
        ]
    )


def _squares_between(middles: Vectors) -> Vectors:
    """Return centres and edges of n windows, ``(3, n, 3)``, from ``_middles`` in space.

    Windows that reach beyond a pole are not a number.
    """
    centre, right, down = np.split(middles, 3)
    with np.errstate(invalid="ignore"):
        squares = np.stack([centre, 2 * (right - centre), 2 * (down - centre)])
    squares[:, ~np.isfinite(squares).all(axis=(0, 2))] = np.nan
    return squares


class _Surface:
    """The ground under the windows of a scene, as polynomials of row and column.

    They pass through the ground at ``_NODES`` rows and as many columns, by barycentric
    interpolation (Berrut and Trefethen 2004, SIAM Review 46: 501-517). What each node counts
    depends on rows and columns alone, so that scenes whose windows have the same share a surface.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._spans = _spans(windows)
        size = windows.patch_size
        row, self._by_row, self._down = self._spans[0].weights(windows.row_off, size)
        col, self._by_col, self._right = self._spans[1].weights(windows.col_off, size)
        self._place = row * len(self._by_col) + col

    def is_under(self, windows: Windows) -> bool:
        """Return whether windows have the same rows and columns as those it was made for."""
        one, other = self._windows, windows
        return (
            one.patch_size == other.patch_size
            and np.array_equal(one.row_off, other.row_off)
            and np.array_equal(one.col_off, other.col_off)
        )

    def squares(self, metres: Vectors) -> Vectors | None:
        """Return centres and edges of a scene's windows, ``(3, n, 3)``.

        ``metres`` are ``_needed`` pixels of the scene in space. None where the polynomials miss the
        ground between their nodes.
        """
        if not np.isfinite(metres).all():  # beyond a pole
            return None
        first = metres[0].copy()
        nodes, tried = np.split((metres - first).T, [_NODES**2], axis=1)
        nodes = nodes.reshape(3, _NODES, _NODES)
        if not self._meets(nodes, tried):
            return None
        squares = np.empty((3, len(self._place), 3))
        pairs = (
            (self._by_row, self._by_col),
            (self._by_row, self._right),
            (self._down, self._by_col),
        )
        for of_all, (rows, cols) in zip(squares, pairs, strict=True):
            of_all.T[:] = (rows @ nodes @ cols.T).reshape(3, -1).take(self._place, axis=1)
        squares[0] += first
        return squares

    def _meets(self, nodes: Vectors, tried: Vectors) -> bool:
        """Return whether polynomials through nodes ``(3, k, k)`` meet what is tried ``(3, t)``."""
        found = (_AT_TRIED[0] @ nodes * _AT_TRIED[1]).sum(axis=2)
        rows, columns = (span.length * (_CHEBYSHEV[1] - _CHEBYSHEV[0]) / 2 for span in self._spans)
        right, down = np.linalg.norm([nodes[:, 0, 1], nodes[:, 1, 0]], axis=1)  # to the next nodes
        edge = min(right / columns, down / rows) * self._windows.patch_size
        return bool(np.abs(tried - found).max() <= _SMOOTH * edge)


@dataclass(frozen=True)
class _Span:
    """The rows that the windows of a scene cover, or the columns."""

    first: float
    length: float

    @classmethod
    def of(cls, offsets: IntArray, size: int) -> _Span:
        return cls(float(offsets.min()), float(offsets.max() - offsets.min() + size))

    def pixels(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions from -1 to 1 as pixels."""
        return self.first + self.length * (unit + 1) / 2

    def weights(self, offsets: IntArray, size: int) -> tuple[IntArray, Weights, Weights]:
        """Return what each node counts in the middle of windows, and along their edge.

        Both for the r offsets that differ; the first of all is which of them each window has.
        """
        which, differing = pd.factorize(offsets)
        pixels = np.concatenate([differing + size / 2, differing + size])
        middle, end = np.split(_weights(2 * (pixels - self.first) / self.length - 1), 2)
        return which, middle, 2 * (end - middle)


def _spans(windows: Windows) -> tuple[_Span, _Span]:
    """Return the rows and the columns that windows cover."""
    rows, columns = (
        _Span.of(offsets, windows.patch_size) for offsets in (windows.row_off, windows.col_off)
    )
    return rows, columns


def _weights(at: NDArray[np.float64]) -> Weights:
    """Return what each Chebyshev node counts at each of r positions from -1 to 1."""
    away = at[:, None] - _CHEBYSHEV
    hits = away == 0
    counts = _BARYCENTRIC / np.where(hits, 1.0, away)
    counts = np.where(hits.any(axis=1, keepdims=True), hits, counts)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


_AT_TRIED = _weights(_TRIED[0]), _weights(_TRIED[1])
