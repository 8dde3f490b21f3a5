"""Windows as squares on a plane or in space: which lie near each other, and what they share.

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
from numpy.typing import NDArray

from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.grid import bounds
from owl_geo.ground.surface import squares_in_space
from owl_geo.ground.transformations import metres_from_earth_centre
from owl_geo.ground.windows import Points, PoolWindows, Rows, Windows
from owl_geo.types import BoolArray, IntArray

HALF = 0.5  # of the smaller window: from here on two windows show the same place
SOME = 1e-3  # of the smaller window: less than that is rounding
ROUNDING = 1e-6  # of a window

_WIDEST_PLANE = 1e7  # metres: in a wider plane a place may have two positions
_HIGH = 5e6  # metres above the Earth's centre: what is seen from above lies no more than 38° around
_CELL = 2.0  # edges of the largest window

Vectors = NDArray[np.float64]  # (n, 2) in a plane, or (n, 3) in metres from the Earth's centre
Pairs = tuple[IntArray, IntArray]  # positions of the first and of the second of each pair, (k,)


@dataclass(frozen=True)
class Squares:
    """Windows as centres, and the vectors along their upper and left edges, each ``(n, d)``."""

    centre: Vectors
    right: Vectors
    down: Vectors

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def of(cls, windows: PoolWindows, *, in_space: bool = False) -> Squares:
        """Lay windows into the plane that their scenes share, or else into space."""
        positions, scenes = [], []
        for of_scene, part in windows.by_scene():
            positions.append(of_scene)
            scenes.append(part)
        in_plane = not in_space and share_a_plane(scenes)
        d = 2 if in_plane else 3
        vectors = np.empty((3, len(windows), d))
        laid = map(_in_plane, scenes) if in_plane else squares_in_space(scenes)
        for of_scene, squares in zip(positions, laid, strict=True):
            vectors[:, _as_slice(of_scene)] = squares
        return cls(*vectors)

    @classmethod
    def on_earth(cls, corners: Points) -> Squares:
        """Lay squares with corners in degrees into space."""
        metres = metres_from_earth_centre(corners.reshape(-1, 2), crs_of(GEOGRAPHIC))
        a, b, c, d = np.moveaxis(metres.reshape(-1, 4, 3), 1, 0)  # upper left, upper right, ...
        return cls((a + b + c + d) / 4, (b + c - a - d) / 2, (c + d - a - b) / 2)

    def take(self, rows: IntArray) -> Squares:
        return Squares(*(each.take(rows, axis=0) for each in (self.centre, self.right, self.down)))

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
        with np.errstate(invalid="ignore"):  # beyond a pole
            return np.asarray(np.sqrt(rr * dd - rd * rd) / self.edge)

    @cached_property
    def cells(self) -> Cells:
        """The cells, a few windows wide, in which the centres lie."""
        return Cells.of(self.centre, self._cell)

    @cached_property
    def cells_from_above(self) -> Cells:
        """The same for the centres as ``seen_from_above``, where each has fewer around it."""
        (points,) = seen_from_above(self.centre)
        return Cells.of(points, self._cell)

    @property
    def _cell(self) -> float:
        return _CELL * float(np.nanmax(self.edge, initial=0.0))


@dataclass(frozen=True)
class Cells:
    """Where n points lie in a regular lattice, of which only the cells that have any are kept."""

    keys: IntArray  # of the cells, (c,), ascending
    order: IntArray  # the points, (n,), cell by cell
    starts: IntArray  # of each cell in ``order``, (c,)
    rows: IntArray  # from the key of a cell to the middle ones of the rows of three around it

    @classmethod
    def of(cls, points: Vectors, width: float) -> Cells:
        """Lay points ``(n, d)`` into cells of a width."""
        bounds = [(np.nanmin(column), np.nanmax(column)) for column in points.T]
        width = max(width, *((high - low) / 2**20 for low, high in bounds), 1e-9)
        scale = 2 ** (21 * np.arange(points.shape[1], dtype=np.int64))  # a key fits in 64 bits
        keys = np.zeros(len(points), dtype=np.int64)
        for column, (low, _), times in zip(points.T, bounds, scale, strict=True):
            keys += times * (1 + np.nan_to_num((column - low) / width).astype(np.int64))
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        around = np.array(list(product((-1, 0, 1), repeat=points.shape[1] - 1)), dtype=np.int64)
        return cls(keys[order[starts]], order, starts, around @ scale[1:])

    def __len__(self) -> int:
        return len(self.keys)

    def of_points(self) -> IntArray:
        """Return the position in ``keys`` of each point's cell, ``(n,)``."""
        cell = np.empty(len(self.order), dtype=np.int64)
        cell[self.order] = np.repeat(np.arange(len(self)), self.counts)
        return cell

    def neighbours(self) -> Pairs:
        """Return the pairs of cells that lie beside each other, each in both orders.

        Each cell is beside itself.
        """
        pairs = []
        ends = np.concatenate([self.keys, np.full(3, np.iinfo(np.int64).max)])
        for row in self.rows.tolist():
            first = self.keys + row - 1
            at = np.searchsorted(self.keys, first)
            for step in range(3):  # the keys of a row of cells follow each other
                here = np.flatnonzero(ends[at + step] <= first + 2)
                pairs.append(np.stack([at[here] + step, here]))
        beside, here = np.concatenate(pairs, axis=1)
        return beside, here

    @cached_property
    def counts(self) -> IntArray:
        """How many points lie in each cell, ``(c,)``."""
        return np.diff(self.starts, append=len(self.order))

    def where_several(self, kinds: IntArray) -> BoolArray:
        """Return which points have points of several kinds in their cell or beside it, ``(n,)``."""
        least = np.minimum.reduceat(kinds[self.order], self.starts)
        most = np.maximum.reduceat(kinds[self.order], self.starts)
        beside, here = self.neighbours()
        several = np.zeros(len(self), dtype=bool)
        several[here[(least[beside] != least[here]) | (most[beside] != most[here])]] = True
        return np.asarray((several | (least != most))[self.of_points()])


def seen_from_above(*points: Vectors) -> list[Vectors]:
    """Return points in space as they lie on a plane, each ``(n, 2)``, to look for near ones there.

    No two of them are further apart than in space. Points come back as they are if they lie in a
    plane already, or so far around the Earth that they would crowd towards the plane's edge.
    """
    if points[0].shape[1] == 2:
        return list(points)
    up = sum((np.nansum(each, axis=0) for each in points), start=np.zeros(3))
    up = up / max(float(np.linalg.norm(up)), 1.0)
    heights = (np.einsum("ni,i->n", each, up) for each in points)
    if min(np.nanmin(each, initial=np.inf) for each in heights) < _HIGH:
        return list(points)
    across = np.linalg.svd(up[None])[2][1:]  # two directions, (2, 3)
    return [np.einsum("ni,ji->nj", each, across) for each in points]


def _as_slice(positions: IntArray) -> Rows:
    """Return ascending positions without gaps as a slice, which is filled several times faster."""
    first, last = int(positions[0]), int(positions[-1])
    return slice(first, last + 1) if last - first == len(positions) - 1 else positions


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


def sharing(one: Squares, other: Squares | None, least: float) -> Iterator[Pairs]:
    """Yield pairs of windows that share at least ``least`` of the smaller, among ``one`` if alone.

    Windows of about one size are searched together, so that small ones beside large ones are not
    all neighbours of each other.
    """
    from scipy.spatial import KDTree

    alone = other is None
    second = one if other is None else other
    ones = _by_size(one)
    others = ones if alone else _by_size(second)
    for (a, rows), (b, columns) in product(ones.items(), others.items()):
        if alone and b < a:
            continue
        edges = one.edge[rows].max(), second.edge[columns].max()
        narrowest = min(one.width[rows].min(), second.width[columns].min())
        reach = _farthest(narrowest, max(edges)) if least >= HALF else 0.71 * sum(edges)
        centres = [one.centre[rows], *([] if alone and a == b else [second.centre[columns]])]
        tree, *beside = (
            KDTree(each, balanced_tree=False, compact_nodes=False)
            for each in seen_from_above(*centres)
        )
        if beside:
            near = tree.sparse_distance_matrix(*beside, reach, output_type="ndarray")
            i, j = rows[near["i"]], columns[near["j"]]
        else:
            near = tree.query_pairs(reach, output_type="ndarray")
            i, j = rows[near[:, 0]], rows[near[:, 1]]
        alike = _share_enough(one.take(i), second.take(j), least - ROUNDING)
        yield i[alike], j[alike]


def _farthest(narrowest: float, widest: float) -> float:
    """Return how far apart the centres of windows that show the same place can be.

    Half an edge if the windows are squares of one size, and half the diagonal of the larger at
    most, since the centre of the smaller has to lie in it. In between this bound lies above what
    random rectangles came to.
    """
    return (0.5 + 0.21 * (1 - narrowest / widest) + ROUNDING) * widest


def _by_size(squares: Squares) -> dict[int, IntArray]:
    """Return the windows that lie on Earth wholly, by the power of 2 of their edge."""
    on_earth = np.flatnonzero(np.isfinite(squares.edge) & (squares.edge > 0))
    _, power = np.frexp(squares.edge[on_earth])
    return {p: on_earth[power == p] for p in np.unique(power).tolist()}


def _share_enough(one: Squares, other: Squares, least: float) -> BoolArray:
    """Return which pairs of windows share at least ``least`` of the smaller, bool ``(k,)``."""
    offset, right, down = _laid_into(one, other)
    size = np.abs(_cross(right, down))
    wanted = least * np.minimum(size, 1.0)
    reach = (np.abs(right) + np.abs(down)) / 2
    sides = np.minimum(0.5, offset + reach) - np.maximum(-0.5, offset - reach)
    enough = (sides[:, 0] > 0) & (sides[:, 1] > 0) & (sides[:, 0] * sides[:, 1] >= wanted)
    # those boxes are what two windows share, unless one is turned against the other
    turned = np.minimum(*np.abs(right).T) + np.minimum(*np.abs(down).T) > ROUNDING
    doubtful = np.flatnonzero(enough & turned)
    shared = _common_area(offset[doubtful], right[doubtful], down[doubtful])
    enough[doubtful] = shared >= wanted[doubtful]
    return np.asarray(enough)


def share_of_larger(one: Squares, other: Squares) -> NDArray[np.float64]:
    """Return what two windows share, as a share of the larger of both, ``(k,)``."""
    offset, right, down = _laid_into(one, other)
    size = np.maximum(np.abs(_cross(right, down)), 1.0)
    return np.asarray(_common_area(offset, right, down) / size)


def _laid_into(one: Squares, other: Squares) -> tuple[Vectors, Vectors, Vectors]:
    """Return the centres and edges of ``other`` in units of the edges of ``one``, ``(k, 2)``."""
    to_unit = _unit(one)
    offset, right, down = (
        np.einsum("kij,kj->ki", to_unit, vector)
        for vector in (other.centre - one.centre, other.right, other.down)
    )
    return offset, right, down


def _unit(squares: Squares) -> Vectors:
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
            one, other = (-0.5 - p) / step, (0.5 - p) / step
        low = np.maximum(low, np.minimum(one, other))
        high = np.minimum(high, np.maximum(one, other))
    return low, np.maximum(low, high)


def _green(
    start: Vectors, end: Vectors, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the area between 0 and the part of each line from ``low`` to ``high``, ``(k,)``."""
    # the part that is not there has no length, however far away it is
    return np.where(high > low, _cross(start, end) * (high - low) / 2, 0.0)


def _cross(one: Vectors, other: Vectors) -> NDArray[np.float64]:
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
