"""Windows of different scenes that show the same ground, found by where they lie on Earth.

A place is a square of ground. Two windows of different scenes show the same place if they share at
least half of the smaller one, whatever their CRSs, pixel sizes and alignment. Windows of one scene
never do: where a small stride makes them overlap, each of them is wanted.

Scenes in one projected CRS are compared in its plane. All others are compared in metres from the
Earth's centre, where there are no zones, no antimeridian and no poles; a window is then a
parallelogram in space, and the other one is laid into its plane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.projections import GEOGRAPHIC, crs_of, metres_from_earth_centre
from owl_geo.ground.windows import Points, PoolWindows, Windows
from owl_geo.types import BoolArray, IntArray

_HALF = 0.5  # of the smaller window: from here on two windows show the same place
_SOME = 1e-3  # of the smaller window: less than that is rounding
_ROUNDING = 1e-6  # of a window

_WIDEST_PLANE = 1e7  # metres: in a wider plane a place may have two positions
_NODES = 8  # a side, of the polynomials that stand for the ground under a scene
_CHEBYSHEV = -np.cos((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_BARYCENTRIC = (-1.0) ** np.arange(_NODES) * np.sin((np.arange(_NODES) + 0.5) * np.pi / _NODES)
_TRIED = np.array([(-1.0, 1.0, -0.55, 0.1, 0.65), (-0.9, 0.95, 0.6, -0.15, -0.7)])  # in between
_SMOOTH = 1e-6  # of a window: so near to the ground polynomials must be

_CELL = 2.0  # edges of the largest window
_PER_CELL = 16  # windows: what four scenes have in a cell; so many are compared at once
_FEWEST = 20_000  # windows that are compared at once, however few cells there are

Vectors = NDArray[np.float64]  # (n, 2) in a plane, or (n, 3) in metres from the Earth's centre
Pairs = tuple[IntArray, IntArray]  # positions of the first and of the second of each pair, (k,)


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
        return np.flatnonzero(self._squares.cells.where_several(self.windows.scene))

    @cached_property
    def _squares(self) -> _Squares:
        return _Squares.of(self.windows)

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
            pool = _Ordered(self._squares.take(order), windows.scene, _have_gaps(windows))
            taken[order] = pool.taken(int(stays.sum()))
        return taken

    def shown_with(self, rows: IntArray) -> BoolArray:
        """Return which windows show the place of a window at ``rows``, of another scene ``(n,)``.

        Those at ``rows`` are among them if another of ``rows`` shows their place.
        """
        return self._touching(self.crowded, np.intersect1d(rows, self.crowded), _HALF, others=True)

    def shown_as(self, rows: IntArray, among: IntArray) -> IntArray:
        """Return which of ``among`` shows the place of each of ``rows`` best, ``(k,)``.

        It is of another scene; -1 where there is none.
        """
        best, most = np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows))
        near, others = np.isin(rows, self.crowded), np.intersect1d(among, self.crowded)
        if len(others) and near.any():
            at, scene = np.flatnonzero(near), self.windows.scene
            one, other = self._squares.take(rows[at]), self._squares.take(others)
            for i, j in _pairs(one, other, _HALF):
                differ = scene[rows[at[i]]] != scene[others[j]]
                i, j = i[differ], j[differ]
                shared = _share_of_larger(one.take(i), other.take(j))
                _keep_best(best, most, at[i], others[j], shared)
        return best

    def overlapping(self, rows: IntArray) -> BoolArray:
        """Return which windows share ground with another window at ``rows``, bool ``(n,)``."""
        among = np.arange(len(self.windows))
        if _have_gaps(self.windows):
            among, rows = self.crowded, np.intersect1d(rows, self.crowded)
        return self._touching(among, rows, _SOME, others=False)

    def overlaps(self) -> Pairs:
        """Return the pairs of windows that share any ground, of one scene or of two."""
        rows = self.crowded if _have_gaps(self.windows) else np.arange(len(self.windows))
        if len(rows) == 0:
            return rows, rows
        first, second = zip(*_pairs(self._squares.take(rows), None, _SOME), strict=True)
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
        for i, j in _pairs(one, other, least):
            differ = among[i] != rows[j]
            if others:
                differ &= scene[among[i]] != scene[rows[j]]
            found[among[i[differ]]] = True
        return found


def _have_gaps(windows: PoolWindows) -> bool:
    """Return whether no two windows of one scene overlap; True only if that is certain."""
    size = windows.patch_size
    return all(
        np.diff(np.unique(offsets)).min(initial=size) >= size
        for _, of_scene in windows.by_scene()
        for offsets in (of_scene.row_off, of_scene.col_off)
    )


@dataclass(frozen=True)
class _Squares:
    """Windows as centres, and the vectors along their upper and left edges, each ``(n, d)``."""

    centre: Vectors
    right: Vectors
    down: Vectors

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def of(cls, windows: PoolWindows, *, in_space: bool = False) -> _Squares:
        """Lay windows into the plane that their scenes share, or else into space."""
        parts = list(windows.by_scene())
        in_plane = not in_space and share_a_plane([part for _, part in parts])
        d = 2 if in_plane else 3
        vectors = np.empty((3, len(windows), d))
        for positions, part in parts:
            vectors[:, positions] = _in_plane(part) if in_plane else _in_space(part)
        with np.errstate(invalid="ignore"):
            total = sum(vectors[k, :, i] for k in range(3) for i in range(d))
        vectors[:, ~np.isfinite(total)] = np.nan  # reaches beyond a pole
        return cls(*vectors)

    @classmethod
    def on_earth(cls, corners: Points) -> _Squares:
        """Lay squares with corners in degrees into space."""
        metres = metres_from_earth_centre(corners.reshape(-1, 2), crs_of(GEOGRAPHIC))
        a, b, c, d = np.moveaxis(metres.reshape(-1, 4, 3), 1, 0)  # upper left, upper right, ...
        return cls((a + b + c + d) / 4, (b + c - a - d) / 2, (c + d - a - b) / 2)

    def take(self, rows: IntArray) -> _Squares:
        return _Squares(*(each.take(rows, axis=0) for each in (self.centre, self.right, self.down)))

    @cached_property
    def edge(self) -> NDArray[np.float64]:
        """The longer edge of each, ``(n,)``."""
        squared = (np.einsum("ni,ni->n", side, side) for side in (self.right, self.down))
        return np.asarray(np.sqrt(np.maximum(*squared)))

    @cached_property
    def width(self) -> NDArray[np.float64]:
        """How wide each is across its longer edge, ``(n,)``."""
        rr, rd, dd = (
            np.einsum("ni,ni->n", *pair)
            for pair in ((self.right,) * 2, (self.right, self.down), (self.down,) * 2)
        )
        return np.asarray(np.sqrt(rr * dd - rd * rd) / self.edge)

    @cached_property
    def cells(self) -> _Cells:
        """The cells, a few windows wide, in which the centres lie."""
        return _Cells.of(self.centre, _CELL * float(np.nanmax(self.edge, initial=0.0)))


@dataclass(frozen=True)
class _Cells:
    """Where n points lie in a regular lattice, of which only the cells that have any are kept."""

    keys: IntArray  # of the cells, (c,), ascending
    order: IntArray  # the points, (n,), cell by cell
    starts: IntArray  # of each cell in ``order``, (c,)
    steps: IntArray  # from the key of a cell to those of the cells around it and itself

    @classmethod
    def of(cls, points: Vectors, width: float) -> _Cells:
        """Lay points ``(n, d)`` into cells of a width."""
        bounds = [(np.nanmin(column), np.nanmax(column)) for column in points.T]
        width = max(width, *((high - low) / 2**20 for low, high in bounds), 1e-9)
        scale = 2 ** (21 * np.arange(points.shape[1], dtype=np.int64))  # a key fits in 64 bits
        keys = np.zeros(len(points), dtype=np.int64)
        for column, (low, _), times in zip(points.T, bounds, scale, strict=True):
            keys += times * (1 + np.nan_to_num((column - low) / width).astype(np.int64))
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        around = np.array(list(product((-1, 0, 1), repeat=points.shape[1])), dtype=np.int64)
        return cls(keys[order[starts]], order, starts, around @ scale)

    def __len__(self) -> int:
        return len(self.keys)

    def of_points(self) -> IntArray:
        """Return the position in ``keys`` of each point's cell, ``(n,)``."""
        cell = np.empty(len(self.order), dtype=np.int64)
        cell[self.order] = np.repeat(np.arange(len(self)), self.counts)
        return cell

    def neighbours(self) -> Pairs:
        """Return the pairs of cells that lie beside each other, each in both orders."""
        pairs = []
        for step in self.steps.tolist():
            at = np.searchsorted(self.keys, self.keys + step) % len(self)
            there = np.flatnonzero(self.keys[at] == self.keys + step)
            pairs.append((at[there], there))
        beside, here = zip(*pairs, strict=True)
        return np.concatenate(beside), np.concatenate(here)

    @cached_property
    def counts(self) -> IntArray:
        """How many points lie in each cell, ``(c,)``."""
        return np.diff(self.starts, append=len(self.order))

    def where_several(self, kinds: IntArray) -> BoolArray:
        """Return which points have points of several kinds in their cell or beside it, ``(n,)``."""
        least = np.minimum.reduceat(kinds[self.order], self.starts)
        most = np.maximum.reduceat(kinds[self.order], self.starts)
        several = np.zeros(len(self), dtype=bool)
        beside, here = self.neighbours()
        np.logical_or.at(
            several, here, (least[beside] != least[here]) | (most[beside] != most[here])
        )
        return np.asarray((several | (least != most))[self.of_points()])


def matching(windows: PoolWindows, corners: Points) -> IntArray:
    """Return the window that shows the ground of each of k squares best, -1 for none, ``(k,)``.

    ``corners`` are those of the squares in degrees, longitude first, ``(k, 4, 2)``, in the order of
    ``Windows.corners``. A square and its window share at least half of the larger of both: what is
    known of a square is known of a window of another size no longer.
    """
    best = np.full(len(corners), -1, dtype=np.int64)
    squares, pool = _Squares.on_earth(corners), _Squares.of(windows, in_space=True)
    most = np.zeros(len(corners))
    for i, j in _pairs(squares, pool, _HALF):
        shared = _share_of_larger(squares.take(i), pool.take(j))
        enough = shared >= _HALF - _ROUNDING
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
    squares, pool = _Squares.on_earth(corners), _Squares.of(windows, in_space=True)
    return np.asarray(_share_of_larger(squares, pool) >= _HALF - _ROUNDING)


def share_a_plane(parts: Sequence[Windows]) -> bool:
    """Return whether windows of several scenes can be compared by the coordinates that they have.

    Not in degrees, which are no squares, and not where a plane is as wide as the Earth.
    """
    if len({part.grid.crs for part in parts}) > 1 or not all(p.crs.is_projected for p in parts):
        return False
    unit = parts[0].crs.axis_info[0].unit_conversion_factor if parts[0].crs.axis_info else 1.0
    extents = np.array([bounds(part.grid) for part in parts])
    wide = extents[:, 2].max() - extents[:, 0].min()
    return bool(wide * (unit or 1.0) < _WIDEST_PLANE)


def _in_plane(windows: Windows) -> Vectors:
    """Return centres and edges, ``(3, n, 2)``, in the windows' own CRS."""
    a, b, _, d, e, _ = windows.grid.transform
    vectors = np.empty((3, len(windows), 2))
    vectors[0] = windows.centres()
    vectors[1:] = np.array([[[a, d]], [[b, e]]]) * windows.patch_size
    return vectors


def _in_space(windows: Windows) -> Vectors:
    """Return centres and edges, ``(3, n, 3)``, in metres from the Earth's centre.

    Over one scene the position on Earth is so smooth a function of row and column that a polynomial
    tells it, which is much quicker than a projection. Where it is not, all windows are projected.
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


@dataclass(frozen=True)
class _Ordered:
    """Windows in the order in which they are taken, the first first."""

    squares: _Squares
    scene: IntArray
    have_gaps: bool  # no two of one scene overlap

    def taken(self, n_stay: int) -> BoolArray:
        """Return which are taken if the first ``n_stay`` are, whatever they show, bool ``(n,)``.

        Windows are compared with those that are taken already, and with the next ones in order: as
        many at once as there can be places in four scenes, so that no number of scenes of one place
        makes more pairs than memory holds.
        """
        n = len(self.squares)
        taken = np.zeros(n, dtype=bool)
        taken[:n_stay] = True
        left = np.arange(n_stay, n)
        if self.have_gaps:
            left = left[~self._repeated()[n_stay:]]
        at_once = max(_FEWEST, _PER_CELL * len(self.squares.cells))
        for start in range(0, len(left), at_once):
            part = left[start : start + at_once]
            fresh = part[~self._show_places_of(part, np.flatnonzero(taken))]
            taken[fresh] = self._first_in_order(fresh)
        return taken

    def _repeated(self) -> BoolArray:
        """Return which windows show exactly what one before them shows, where many lie, ``(n,)``.

        They could not be taken in any case: what keeps the first of them out keeps them out too.
        """
        repeated = np.zeros(len(self.squares), dtype=bool)
        rows = np.flatnonzero(self.squares.cells.counts[self.squares.cells.of_points()] > _PER_CELL)
        repeated[rows] = _repeat_another(self.squares.take(rows))
        return repeated

    def _show_places_of(self, part: IntArray, others: IntArray) -> BoolArray:
        found = np.zeros(len(part), dtype=bool)
        for i, j in _pairs(self.squares.take(part), self.squares.take(others), _HALF):
            found[i[self.scene[part[i]] != self.scene[others[j]]]] = True
        return found

    def _first_in_order(self, part: IntArray) -> BoolArray:
        """Return which of ``part`` are taken if nothing is yet, bool ``(k,)``."""
        pairs = [
            np.stack([np.minimum(i, j), np.maximum(i, j)])[
                :, self.scene[part[i]] != self.scene[part[j]]
            ]
            for i, j in _pairs(self.squares.take(part), None, _HALF)
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


def _repeat_another(squares: _Squares) -> BoolArray:
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


def _pairs(one: _Squares, other: _Squares | None, least: float) -> Iterator[Pairs]:
    """Yield pairs of windows that share at least ``least`` of the smaller, among ``one`` if alone.

    Windows of about one size are searched together, so that small ones beside large ones are not
    all neighbours of each other.
    """
    from scipy.spatial import KDTree

    alone = other is None
    second = one if other is None else other
    ones, others = _by_size(one), _by_size(second)
    for (a, rows), (b, columns) in product(ones.items(), others.items()):
        if alone and b < a:
            continue
        edges = one.edge[rows].max(), second.edge[columns].max()
        narrowest = min(one.width[rows].min(), second.width[columns].min())
        reach = _farthest(narrowest, max(edges)) if least >= _HALF else 0.71 * sum(edges)
        tree = KDTree(one.centre[rows], balanced_tree=False, compact_nodes=False)
        if alone and a == b:
            near = tree.query_pairs(reach, output_type="ndarray")
            i, j = rows[near[:, 0]], rows[near[:, 1]]
        else:
            beside = KDTree(second.centre[columns], balanced_tree=False, compact_nodes=False)
            near = tree.sparse_distance_matrix(beside, reach, output_type="ndarray")
            i, j = rows[near["i"]], columns[near["j"]]
        alike = _share_enough(one.take(i), second.take(j), least - _ROUNDING)
        yield i[alike], j[alike]


def _farthest(narrowest: float, widest: float) -> float:
    """Return how far apart the centres of windows that show the same place can be.

    Half an edge if the windows are squares of one size, and half the diagonal of the larger at
    most, since the centre of the smaller has to lie in it. In between this bound lies above what
    random rectangles came to.
    """
    return (0.5 + 0.21 * (1 - narrowest / widest) + _ROUNDING) * widest


def _by_size(squares: _Squares) -> dict[int, IntArray]:
    """Return the windows that lie on Earth wholly, by the power of 2 of their edge."""
    on_earth = np.flatnonzero(np.isfinite(squares.edge) & (squares.edge > 0))
    power = np.floor(np.log2(squares.edge[on_earth])).astype(np.int64)
    return {int(p): on_earth[power == p] for p in np.unique(power)}


def _share_enough(one: _Squares, other: _Squares, least: float) -> BoolArray:
    """Return which pairs of windows share at least ``least`` of the smaller, bool ``(k,)``."""
    offset, right, down = _laid_into(one, other)
    size = np.abs(_cross(right, down))
    wanted = least * np.minimum(size, 1.0)
    reach = (np.abs(right) + np.abs(down)) / 2
    sides = np.minimum(0.5, offset + reach) - np.maximum(-0.5, offset - reach)
    enough = (sides[:, 0] > 0) & (sides[:, 1] > 0) & (sides[:, 0] * sides[:, 1] >= wanted)
    # those boxes are what two windows share, unless one is turned against the other
    turned = np.minimum(*np.abs(right).T) + np.minimum(*np.abs(down).T) > _ROUNDING
    doubtful = np.flatnonzero(enough & turned)
    shared = _common_area(offset[doubtful], right[doubtful], down[doubtful])
    enough[doubtful] = shared >= wanted[doubtful]
    return np.asarray(enough)


def _share_of_larger(one: _Squares, other: _Squares) -> NDArray[np.float64]:
    """Return what two windows share, as a share of the larger of both, ``(k,)``."""
    offset, right, down = _laid_into(one, other)
    size = np.maximum(np.abs(_cross(right, down)), 1.0)
    return np.asarray(_common_area(offset, right, down) / size)


def _laid_into(one: _Squares, other: _Squares) -> tuple[Vectors, Vectors, Vectors]:
    """Return the centres and edges of ``other`` in units of the edges of ``one``, ``(k, 2)``."""
    to_unit = _unit(one)
    offset, right, down = (
        np.einsum("kij,kj->ki", to_unit, vector)
        for vector in (other.centre - one.centre, other.right, other.down)
    )
    return offset, right, down


def _unit(squares: _Squares) -> Vectors:
    """Return what takes a vector to units of each window's own edges, ``(k, 2, d)``."""
    right, down = squares.right, squares.down
    rr, rd, dd = (
        np.einsum("ki,ki->k", a, b)[:, None]
        for a, b in ((right, right), (right, down), (down, down))
    )
    both = np.stack([dd * right - rd * down, rr * down - rd * right], axis=1)
    return np.asarray(both / (rr * dd - rd * rd)[:, None])


def _common_area(centre: Vectors, right: Vectors, down: Vectors) -> NDArray[np.float64]:
    """Return what parallelograms share with the unit square around 0, ``(k,)``.

    Its outline is made of the edges of each within the other, and gives the area by Green's
    theorem. ``right`` and ``down`` are the edges of the parallelograms, each ``(k, 2)``.
    """
    centre = centre + np.array(
        [1.3e-9, 0.7e-9]
    )  # so that no two edges lie on each other and count twice
    turn = np.sign(_cross(right, down))[:, None]
    right = right * turn  # both outlines have to run the same way round
    size = _cross(right, down)
    area = np.zeros(len(centre))
    signs = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    for (a, b), (c, d) in zip(signs, np.roll(signs, -1, axis=0), strict=True):
        start, end = (centre + x * right + y * down for x, y in ((a, b), (c, d)))
        area += _green(start, end, *_within_unit(start, end))
        corners = np.broadcast_to([a, b], centre.shape), np.broadcast_to([c, d], centre.shape)
        inside = (
            np.stack([_cross(p - centre, down), _cross(right, p - centre)], axis=1) / size[:, None]
            for p in corners
        )
        area += _green(*corners, *_within_unit(*inside))
    return area


def _within_unit(start: Vectors, end: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the part of each line that lies in the unit square around 0, from 0 to 1."""
    low, high = np.zeros(len(start)), np.ones(len(start))
    for p, q in zip(start.T, end.T, strict=True):
        step = np.where(q == p, 1e-300, q - p)
        with np.errstate(over="ignore"):
            crossings = np.sort([(-0.5 - p) / step, (0.5 - p) / step], axis=0)
        low, high = np.maximum(low, crossings[0]), np.minimum(high, crossings[1])
    return low, np.maximum(low, high)


def _green(
    start: Vectors, end: Vectors, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the area between 0 and the part of each line from ``low`` to ``high``, ``(k,)``."""
    # the part that is not there has no length, however far away it is
    return np.where(high > low, _cross(start, end) * (high - low) / 2, 0.0)


def _cross(one: Vectors, other: Vectors) -> NDArray[np.float64]:
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
