"""Lattices on which places of one size lie: few of them, and each a scene with cells as pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.types import AnyArray, BoolArray, IntArray, SceneGrid

_SHIFTS = 4  # lattices a side among which places are shared out that lie on none
_BINS = 64  # of the positions within a cell, to find the most frequent
_EXACT = 0.02  # of a place's size: nearer than this, it lies on a lattice
_AT_ONCE = 1_000_000  # places that are computed together


@dataclass(frozen=True)
class Lattice:
    """A scene: its grid, and which rows of the table lie in which of its cells."""

    grid: SceneGrid
    rows: IntArray  # of the table, ascending (n,)
    row_off: IntArray
    col_off: IntArray

    def rows_at(self, row_off: IntArray, col_off: IntArray) -> IntArray:
        """Return the rows of the table that lie in some cells, -1 where none does."""
        every = (self.row_off, self.col_off)
        if all(map(np.array_equal, every, (row_off, col_off))):
            return self.rows
        keys = self.row_off * self.grid.width + self.col_off
        order = np.argsort(keys)
        wanted = row_off * self.grid.width + col_off
        at = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
        found = order[at]
        return np.where(keys[found] == wanted, self.rows[found], -1).astype(np.int64)


def lattices_of(
    xy: NDArray[np.float64],
    rows: IntArray,
    crs: CRS,
    width: float,
    height: float,
    preferred: BoolArray | None,
) -> tuple[list[Lattice], list[IntArray], float]:
    """Return lattices that hold places, the twins of each, and how far any place is moved.

    Of the rows of a place the first one is taken, or the first that is ``preferred``, ``(n,)``.
    """
    size = np.array([width, height])
    anchor = np.array([_usual_part(xy[:, axis], size[axis]) for axis in (0, 1)])
    at = np.empty(xy.shape, dtype=np.int64)
    which = np.empty(len(xy), dtype=np.int8)
    moved = 0.0
    for part in _parts(len(xy)):
        which[part], at[part], far = _on_lattices(xy[part] / size - anchor)
        moved = max(moved, float((far * size).max()))
    made, twins = [], []
    for number in np.unique(which).tolist():
        here = np.flatnonzero(which == number)
        own = taken(at, here)
        keys = _keys(own)
        first = _first_of_each(keys, None if preferred is None else taken(preferred, here))
        if len(first) < len(keys):
            twins.append(rows[here[_twins(keys, first)]])
        here, own = taken(here, first), taken(own, first)
        col, up = own.T
        begin = anchor + np.array([number // _SHIFTS, number % _SHIFTS]) / _SHIFTS
        left = (begin[0] + col.min() - 0.5) * width
        top = (begin[1] + up.max() + 0.5) * height
        grid = SceneGrid(
            name="",
            crs=":".join(crs.to_authority() or ()) or crs.to_wkt(),
            transform=(width, 0.0, float(left), 0.0, -height, float(top)),
            height=int(np.ptp(up)) + 1,
            width=int(np.ptp(col)) + 1,
        )
        made.append(Lattice(grid, taken(rows, here), up.max() - up, col - col.min()))
    return made, twins, moved


def named(lattices: Sequence[Lattice], name: str) -> list[Lattice]:
    """Give scenes names, that of the table to the largest; the same for the same places."""
    order = sorted(range(len(lattices)), key=lambda i: -len(lattices[i].rows))
    return [
        replace(
            lattices[i],
            grid=replace(lattices[i].grid, name=f"{name}_{number + 1}" if number else name),
        )
        for number, i in enumerate(order)
    ]


def _on_lattices(cells: NDArray[np.float64]) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return the lattice of each place, its cell there, and how many cells it is moved.

    Places are ``(n, 2)`` in cells of the first lattice.
    """
    apart = (cells + 0.5) % 1 - 0.5
    shift = np.where(np.abs(apart) <= _EXACT, 0, np.rint(apart * _SHIFTS) % _SHIFTS)
    at = np.rint(cells - shift / _SHIFTS).astype(np.int64)
    which = (shift[:, 0] * _SHIFTS + shift[:, 1]).astype(np.int64)
    return which, at, np.abs(cells - shift / _SHIFTS - at)


def _keys(at: IntArray) -> IntArray:
    """Return a number for each pair of whole numbers ``(n, 2)``, others for other pairs."""
    low, high = at.min(axis=0), at.max(axis=0)
    return np.asarray((at[:, 1] - low[1]) * (high[0] - low[0] + 1) + at[:, 0] - low[0])


def _first_of_each(keys: IntArray, preferred: BoolArray | None) -> IntArray:
    """Return the positions of keys, 0 or more, that no earlier one equals, ascending.

    Those that are ``preferred``, ``(n,)``, count as earlier than the others.
    """
    largest = int(keys.max())
    if largest <= 10 * len(keys):  # as on a grid that is full: sorting millions takes longer
        seen = np.zeros(largest + 1, dtype=bool)
        seen[keys] = True
        if np.count_nonzero(seen) == len(keys):
            return np.arange(len(keys), dtype=np.int64)
    if preferred is None:
        return np.sort(np.unique(keys, return_index=True)[1]).astype(np.int64)
    order = np.argsort(~preferred, kind="stable")
    return np.sort(order[np.unique(keys[order], return_index=True)[1]]).astype(np.int64)


def _twins(keys: IntArray, first: IntArray) -> IntArray:
    """Return positions of the first of equal keys, and of each of the others ``(n, 2)``."""
    others = np.delete(np.arange(len(keys)), first)
    order = first[np.argsort(keys[first])]
    return np.stack([order[np.searchsorted(keys[order], keys[others])], others], axis=1)


def _usual_part(x: NDArray[np.float64], size: float) -> float:
    """Return the most frequent fractional part, 0 to 1, of coordinates in cells of a size."""
    counts = np.zeros(_BINS, dtype=np.int64)
    for part in _parts(len(x)):
        bins = (x[part] / size % 1 * _BINS).astype(np.int64) % _BINS
        counts += np.bincount(bins, minlength=_BINS)
    most = (int(counts.argmax()) + 0.5) / _BINS
    near = []
    for part in _parts(len(x)):
        apart = (x[part] / size % 1 - most + 0.5) % 1 - 0.5
        near.append(apart[np.abs(apart) <= 1.5 / _BINS])
    return float((most + np.median(np.concatenate(near))) % 1)


def _parts(n: int) -> Iterator[slice]:
    """Yield the rows, of n, that are computed together; those of millions take much memory."""
    return (slice(start, start + _AT_ONCE) for start in range(0, n, _AT_ONCE))


def taken(rows: AnyArray, at: IntArray) -> AnyArray:
    """Return rows at ascending positions, each once; all of them without a copy."""
    return rows if len(at) == len(rows) else rows[at]
