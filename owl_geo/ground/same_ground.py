"""Windows of different scenes that show the same ground, found by where they lie on Earth.

A place is a square of ground. Two windows of different scenes show the same place if they share at
least half of the smaller one, whatever their CRSs, pixel sizes and alignment. Windows of one scene
never do: where a small stride makes them overlap, each of them is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.squares import HALF, ROUNDING, SOME, Pairs, Squares, share_of_larger, sharing
from owl_geo.ground.transformations import metres_from_earth_centre
from owl_geo.ground.windows import Points, PoolWindows
from owl_geo.types import BoolArray, IntArray

_PER_CELL = 16  # windows: what four scenes have in a cell; so many are compared at once
_FEWEST = 20_000  # windows that are compared at once, however few cells there are


class SharedGround:
    """Which windows of a pool show ground that others show too.

    Args:
        windows: the n windows.
    """

    def __init__(self, windows: PoolWindows) -> None:
        self.windows = windows

    @cached_property
    def crowded(self) -> IntArray:
        """Positions of the windows that lie among those of other scenes, ascending.

        All others show ground that no other scene shows.
        """
        if len(pd.unique(self.windows.scene)) < 2:
            return np.empty(0, np.int64)
        return np.flatnonzero(self._squares.cells_from_above.where_several(self.windows.scene))

    @cached_property
    def _squares(self) -> Squares:
        return Squares.of(self.windows)

    def once(self, rank: ArrayLike, stay: BoolArray | None = None) -> BoolArray:
        """Return which windows to take so that each place is there once, bool ``(n,)``.

        They are taken in the order of ``rank``, ``(n,)``, the lowest first, and equals in the order
        of the pool; a window that shows the place of one taken before is left out. Those that
        ``stay``, bool ``(n,)``, are taken before all others, whatever they show.
        """
        taken = np.ones(len(self.windows), dtype=bool)
        crowded = self.crowded
        if len(crowded):
            stays = np.zeros(len(crowded), dtype=bool) if stay is None else stay[crowded]
            order = crowded[np.lexsort((np.asarray(rank)[crowded], ~stays))]
            windows = self.windows.take(order)
            cell = self._squares.cells_from_above.of_points()[order]
            pool = _Ordered(self._squares, order, windows.scene, cell, have_gaps(windows))
            taken[order] = pool.taken(int(stays.sum()))
        return taken

    def shown_with(self, rows: IntArray) -> BoolArray:
        """Return which windows show the place of a window at ``rows``, of another scene ``(n,)``.

        Those at ``rows`` are among them if another of ``rows`` shows their place.
        """
        return self._touching(self.crowded, np.intersect1d(rows, self.crowded), HALF, others=True)

    def shown_as(self, rows: IntArray, among: IntArray) -> IntArray:
        """Return which of ``among`` shows the place of each of ``rows`` best, ``(k,)``.

        It is of another scene; -1 where there is none.
        """
        best, most = np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows))
        near, others = np.isin(rows, self.crowded), np.intersect1d(among, self.crowded)
        if len(others) and near.any():
            at, scene = np.flatnonzero(near), self.windows.scene
            one, other = self._squares.take(rows[at]), self._squares.take(others)
            for i, j in sharing(one, other, HALF):
                differ = scene[rows[at[i]]] != scene[others[j]]
                i, j = i[differ], j[differ]
                shared = share_of_larger(one.take(i), other.take(j))
                _keep_best(best, most, at[i], others[j], shared)
        return best

    def overlapping(self, rows: IntArray) -> BoolArray:
        """Return which windows share ground with another window at ``rows``, bool ``(n,)``."""
        among = np.arange(len(self.windows))
        if have_gaps(self.windows):
            among, rows = self.crowded, np.intersect1d(rows, self.crowded)
        return self._touching(among, rows, SOME, others=False)

    def overlaps(self) -> Pairs:
        """Return the pairs of windows that share any ground, of one scene or of two."""
        rows = self.crowded if have_gaps(self.windows) else np.arange(len(self.windows))
        if len(rows) == 0:
            return rows, rows
        first, second = zip(*sharing(self._squares.take(rows), None, SOME), strict=True)
        return rows[np.concatenate(first)], rows[np.concatenate(second)]

    def regions(self) -> IntArray:
        """Return a number for the region in which each window lies, from 0 on ``(n,)``.

        Scenes that lie on each other or side by side are one region, wherever the next one is.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        scene, names = pd.factorize(self.windows.scene)
        if len(names) < 2:
            return np.zeros(len(scene), dtype=np.int64)
        cells = self._squares.cells
        beside, here = cells.neighbours()
        of_window = cells.of_points() + len(names)
        links = np.concatenate([[scene, of_window], np.stack([beside, here]) + len(names)], axis=1)
        n = len(names) + len(cells)
        graph = coo_array((np.ones(links.shape[1], dtype=bool), tuple(links)), shape=(n, n))
        return np.asarray(connected_components(graph, directed=False)[1][scene], dtype=np.int64)

    def _touching(
        self, among: IntArray, rows: IntArray, least: float, *, others: bool
    ) -> BoolArray:
        found = np.zeros(len(self.windows), dtype=bool)
        if len(among) == 0 or len(rows) == 0:
            return found
        one, other, scene = self._squares.take(among), self._squares.take(rows), self.windows.scene
        for i, j in sharing(one, other, least):
            differ = among[i] != rows[j]
            if others:
                differ &= scene[among[i]] != scene[rows[j]]
            found[among[i[differ]]] = True
        return found


def have_gaps(windows: PoolWindows) -> bool:
    """Return whether no two windows of one scene overlap; True only if that is certain."""
    size = windows.patch_size
    return all(
        np.diff(np.unique(windows.scene * (offsets.max(initial=0) + size) + offsets)).min(
            initial=size
        )
        >= size
        for offsets in (windows.row_off, windows.col_off)
    )


def matching(windows: PoolWindows, corners: Points) -> IntArray:
    """Return the window that shows the ground of each of k squares best, -1 for none, ``(k,)``.

    ``corners`` are those of the squares in degrees, longitude first, ``(k, 4, 2)``, in the order of
    ``Windows.corners``. A square and its window share at least half of the larger of both: what is
    known of a square is known of a window of another size no longer.
    """
    best = np.full(len(corners), -1, dtype=np.int64)
    squares, pool = Squares.on_earth(corners), Squares.of(windows, in_space=True)
    most = np.zeros(len(corners))
    for i, j in sharing(squares, pool, HALF):
        shared = share_of_larger(squares.take(i), pool.take(j))
        enough = shared >= HALF - ROUNDING
        _keep_best(best, most, i[enough], j[enough], shared[enough])
    return best


def _keep_best(
    best: IntArray, most: NDArray[np.float64], i: IntArray, j: IntArray, shared: NDArray[np.float64]
) -> None:
    """Let ``j`` be the best of each ``i`` with which it shares more than ``most`` so far."""
    order = np.lexsort((j, -shared))
    i, j, shared = i[order], j[order], shared[order]
    first = np.unique(i, return_index=True)[1]
    better = first[shared[first] > most[i[first]]]
    best[i[better]], most[i[better]] = j[better], shared[better]


def are_shown(windows: PoolWindows, corners: Points) -> BoolArray:
    """Return whether each window shows the square with these corners, as ``matching`` has it."""
    squares, pool = Squares.on_earth(corners), Squares.of(windows, in_space=True)
    return np.asarray(share_of_larger(squares, pool) >= HALF - ROUNDING)


def hold(windows: PoolWindows, points: Points) -> BoolArray:
    """Return whether each window holds its point, in degrees, ``(n, 2)``; ``(n,)``."""
    squares = Squares.of(windows, in_space=True)
    beside = metres_from_earth_centre(points, crs_of(GEOGRAPHIC)) - squares.centre
    edges = np.stack([squares.right, squares.down], axis=-1)  # (n, 3, 2)
    along = np.einsum("nki,ni->nk", np.linalg.pinv(edges), beside)  # in edges
    return np.asarray((np.abs(along) <= HALF + ROUNDING).all(axis=1))


def moved_to(windows: PoolWindows, points: Points) -> Points:
    """Return the corners of each window if its centre were at its point, in degrees."""
    corners = windows.corners_in(crs_of(GEOGRAPHIC))
    centres: Points = corners.mean(axis=1, keepdims=True)
    return corners - centres + points[:, None]


@dataclass(frozen=True)
class _Ordered:
    """Windows in the order in which they are taken, the first first."""

    squares: Squares  # of the whole pool
    order: IntArray  # positions in the pool, (n,)
    scene: IntArray
    cell: IntArray  # in which the centre lies
    have_gaps: bool  # no two of one scene overlap

    def taken(self, n_stay: int) -> BoolArray:
        """Return which are taken if the first ``n_stay`` are, whatever they show, bool ``(n,)``.

        Windows are compared with those that are taken already, and with the next ones in order: as
        many at once as there can be places in four scenes, so that no number of scenes of one place
        makes more pairs than memory holds.
        """
        n = len(self.order)
        taken = np.zeros(n, dtype=bool)
        taken[:n_stay] = True
        left = np.arange(n_stay, n)
        if self.have_gaps:
            left = left[~self._repeated()[n_stay:]]
        n_cells = int(np.count_nonzero(np.bincount(self.cell)))
        at_once = max(_FEWEST, _PER_CELL * n_cells)
        for start in range(0, len(left), at_once):
            part = left[start : start + at_once]
            if taken.any():
                part = part[~self._show_places_of(part, np.flatnonzero(taken))]
            taken[part] = self._first_in_order(part)
        return taken

    def _repeated(self) -> BoolArray:
        """Return which windows show exactly what one before them shows, where many lie, ``(n,)``.

        They could not be taken in any case: what keeps the first of them out keeps them out too.
        """
        repeated = np.zeros(len(self.order), dtype=bool)
        rows = np.flatnonzero(np.bincount(self.cell)[self.cell] > _PER_CELL)
        repeated[rows] = _repeat_another(self._squares_of(rows))
        return repeated

    def _squares_of(self, part: IntArray) -> Squares:
        return self.squares.take(self.order[part])

    def _show_places_of(self, part: IntArray, others: IntArray) -> BoolArray:
        found = np.zeros(len(part), dtype=bool)
        for i, j in sharing(self._squares_of(part), self._squares_of(others), HALF):
            found[i[self.scene[part[i]] != self.scene[others[j]]]] = True
        return found

    def _first_in_order(self, part: IntArray) -> BoolArray:
        """Return which of ``part`` are taken if nothing is yet, bool ``(k,)``."""
        pairs = [
            np.stack([np.minimum(i, j), np.maximum(i, j)])[
                :, self.scene[part[i]] != self.scene[part[j]]
            ]
            for i, j in sharing(self._squares_of(part), None, HALF)
        ]
        first, later = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
        taken = np.ones(len(part), dtype=bool)
        while len(first):  # the first of all its neighbours is taken, they are not, and so on
            has_earlier = np.zeros(len(part), dtype=bool)
            has_earlier[later] = True
            gone = np.zeros(len(part), dtype=bool)
            gone[later[~has_earlier[first]]] = True
            taken &= ~gone
            open_ = ~gone[first] & ~gone[later]
            first, later = first[open_], later[open_]
        return taken


def _repeat_another(squares: Squares) -> BoolArray:
    """Return which windows show exactly what one before them shows, bool ``(n,)``."""
    with np.errstate(invalid="ignore"):
        grain = np.nanmedian(squares.edge) * 1e-3 if len(squares) else 1.0
        corner = squares.centre - (squares.right + squares.down) / 2
        exact = np.concatenate([squares.centre, corner], axis=1) / grain
    codes = np.round(np.nan_to_num(exact, nan=-1.0)).astype(np.int64)
    mixed = np.zeros(len(codes), dtype=np.uint64)
    for column in codes.T:  # the hash only sorts them: whether they are alike is looked at below
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    group, _ = pd.factorize(mixed)
    first = np.full(group.max(initial=-1) + 1, len(codes))
    np.minimum.at(first, group, np.arange(len(codes)))
    before = first[group]
    alike = (codes[before] == codes).all(axis=1) & np.isfinite(exact).all(axis=1)
    return np.asarray(alike & (before != np.arange(len(codes))))
