"""Reduces a large pool to the patches near the answers and a random share of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.workers import Threads

_IN_TREE = 500_000  # patches; a tree of more takes longer to build than all distances take
_SHUFFLED = 4_000_000  # patches; of more, some are drawn without putting all in random order
_AT_ONCE = 2**20  # features, or distances, that are looked at together: 4 MB for each thread
_SPARE = 1.25  # times as many neighbours are kept as are asked for, since some will be answered
_GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly


@dataclass(frozen=True)
class Part:
    """The part of a pool that is worth scoring."""

    positions: IntArray  # ascending, (k,)
    is_drawn: BoolArray  # which were drawn uniformly from the pool, and lie near no answer, (k,)

    @classmethod
    def whole(cls, pool: IntArray) -> Part:
        """Take the whole pool."""
        return cls(pool, np.zeros(len(pool), dtype=bool))


def near_known(
    features: FloatArray,
    answered: IntArray,
    pool: IntArray,
    count: int,
    rng: np.random.Generator,
    neighbours: Neighbours | None = None,
) -> Part:
    """Return about ``count`` patches of a pool that are worth scoring.

    Half are the nearest neighbours, in features, of each answered patch: rare targets lie near
    those already found, so a search loses little by looking there (SEALS, Coleman et al. 2022,
    arXiv 2007.00077). The other half are drawn uniformly, so that no patch is ignored forever.

    Args:
        features: the features of all patches, ``(N, d)`` with few dimensions.
        answered: positions of the answered patches, ``(k,)``.
        pool: ascending positions of the patches that may be asked, ``(n,)``.
        count: how many; n or more returns the whole pool.
        rng: draws the random half.
        neighbours: what was found in these features before, and is not looked for again.
    """
    if count >= len(pool):
        return Part.whole(pool)
    drawn = pool[np.sort(some_of(len(pool), lambda: count - count // 2, rng))]
    if len(answered) == 0:
        return Part(drawn, np.ones(len(drawn), dtype=bool))
    each = max(count // 2 // len(answered), 1)
    if len(pool) > _IN_TREE:
        near = (neighbours or Neighbours(features)).of(answered, pool, each)
    else:
        from scipy.spatial import KDTree

        wanted = [*range(1, each + 1)]  # a list, or a single neighbour would have no axis
        near = pool[KDTree(features[pool]).query(features[answered], k=wanted, workers=-1)[1]]
    is_near = np.zeros(len(features), dtype=bool)
    is_near[near.ravel()] = True
    positions = marked(len(features), drawn, near.ravel())
    return Part(positions, ~is_near[positions])


def marked(n: int, *positions: IntArray) -> IntArray:
    """Return all of some positions below n, ascending and each once, without sorting them."""
    is_marked = np.zeros(n, dtype=bool)
    for some in positions:
        is_marked[some] = True
    return np.flatnonzero(is_marked)


def some_of(n: int, count: Callable[[], int], rng: np.random.Generator) -> IntArray:
    """Return some of the numbers below n, drawn uniformly, in random order.

    ``count`` is how many; it may draw from ``rng`` too, and does so after the numbers are put in
    order, or before some of very many are drawn.
    """
    if n <= _SHUFFLED:
        order = rng.permutation(n)
        return order[: count()].astype(np.int64)
    return rng.choice(n, size=min(count(), n), replace=False).astype(np.int64)


@dataclass(frozen=True)
class _Found:
    """Patches near another, and about how far away they are."""

    positions: IntArray
    rough: FloatArray  # squared distances less the squared length of the other, as float32 has them


class Neighbours:
    """The nearest neighbours of patches in a large pool, each looked for once.

    All distances are computed, so none is missed; of equals the first in the index comes first. A
    pool that shrinks, as answers make it, leaves what was found valid as far as it reaches.

    Args:
        features: the features of all patches, ``(N, d)`` with few dimensions.
    """

    def __init__(self, features: FloatArray) -> None:
        self._features = features
        self._among: BoolArray = np.zeros(len(features), dtype=bool)
        self._found: dict[int, IntArray] = {}  # positions, the nearest first

    def of(self, answered: IntArray, pool: IntArray, each: int) -> IntArray:
        """Return ``each`` neighbours in a pool of some patches, ``(k, each)``, the nearest first.

        ``pool`` has ascending positions, and at least ``each`` of them.
        """
        here = np.zeros(len(self._features), dtype=bool)
        here[pool] = True
        names = answered.tolist()
        if (here & ~self._among).any():
            self._found, self._among = {}, here
        self._look_for(self._lacking(names, here, each), each)
        if self._lacking(names, here, each):  # most that was near has left the pool since
            self._found, self._among = {}, here
            self._look_for(names, each)
        return np.stack([self._left(name, here)[:each] for name in names])

    def _lacking(self, names: list[int], here: BoolArray, each: int) -> list[int]:
        """Return which patches have fewer than ``each`` known neighbours that are ``here``."""
        return [name for name in names if len(self._left(name, here)) < each]

    def _look_for(self, names: list[int], each: int) -> None:
        """Find ``each`` neighbours of some patches, and a few to spare."""
        if names:
            count = min(int(each * _SPARE) + 1, int(np.count_nonzero(self._among)))
            self._found |= self._nearest_of(names, count)

    def _left(self, name: int, here: BoolArray) -> IntArray:
        positions = self._found.get(name, np.empty(0, dtype=np.int64))
        return positions[here[positions]]

    def _nearest_of(self, names: list[int], count: int) -> dict[int, IntArray]:
        """Return the nearest ``count`` of each patch.

        Products in float32 leave out what is surely farther than ``count`` others; the distances of
        what is left are computed in float64.
        """
        n, d = self._features.shape
        wanted = self._features[names]
        lengths, longest = _squares(wanted), 0.0
        reach = np.full(len(names), np.inf, dtype=np.float32)
        parts: list[list[_Found]] = [[] for _ in names]
        sizes = [0] * len(names)
        size = max(_AT_ONCE // max(d, len(names)), 1)
        starts = np.arange(0, n, size)
        # neighbours in the index are often alike; from all over it, reach shrinks sooner
        starts = starts[np.argsort(np.arange(len(starts)) * _GOLDEN % 1)]

        def within_reach(start: int) -> tuple[float, list[tuple[int, _Found]]]:
            return self._within(wanted, lengths, slice(start, start + size), reach, count)

        for longest_of_part, of_part in Threads().map(within_reach, starts.tolist()):
            longest = max(longest, longest_of_part)
            slack = _slack(lengths, longest, d)
            for number, found in of_part:
                parts[number].append(found)
                sizes[number] += len(found.positions)
                if sizes[number] > 2 * count:
                    nearest, reach[number] = _nearest(parts[number], count, slack[number])
                    parts[number], sizes[number] = [nearest], len(nearest.positions)
        exact = Threads().map(
            lambda number: self._exactly(
                wanted[number], parts[number], count, float(slack[number])
            ),
            range(len(names)),
        )
        return dict(zip(names, exact, strict=True))

    def _within(
        self,
        wanted: FloatArray,
        lengths: FloatArray,
        part: slice,
        reach: FloatArray,
        count: int,
    ) -> tuple[float, list[tuple[int, _Found]]]:
        """Return which of a ``part`` of the patches lie within ``reach`` of each.

        Of more than ``count``, some that cannot be among the nearest are left out. Also returns the
        largest squared length of the part, as ``lengths`` are those of the wanted patches.
        """
        rows, among = self._features[part], self._among[part]
        squares = _squares(rows)
        longest = float(squares.max())
        slack = _slack(lengths, longest, rows.shape[1])
        # |x - a|^2 - |a|^2; BLAS multiplies so in half the time of the other way round
        rough = rows @ (-2 * wanted).T
        rough += squares[:, None]
        if not among.all():
            rough[~among] = np.inf
        limit = reach + slack
        is_near = rough <= limit
        many = np.empty(0, dtype=np.int64)
        if np.count_nonzero(is_near) > count:
            many = np.flatnonzero(np.count_nonzero(is_near, axis=0) > count)
        if len(many):
            nearest = np.partition(rough.T[many], count - 1, axis=1)[:, count - 1]
            limit[many] = np.minimum(limit[many], nearest + 2 * slack[many])
            is_near = rough <= limit
        near, which = np.divmod(np.flatnonzero(is_near), len(wanted))
        kept = np.flatnonzero(among[near])
        kept = kept[np.argsort(which[kept], kind="stable")]
        near, which = near[kept], which[kept]
        found, ends = rough[near, which], np.searchsorted(which, np.arange(len(wanted) + 1))
        near += part.start
        return longest, [
            (number, _Found(near[start:end], found[start:end]))
            for number, (start, end) in enumerate(pairwise(ends.tolist()))
            if end > start
        ]

    def _exactly(
        self, wanted: FloatArray, parts: list[_Found], count: int, slack: float
    ) -> IntArray:
        """Return the nearest ``count`` in float64; of equals, those first in the index."""
        positions = _nearest(parts, count, slack)[0].positions
        apart = self._features[positions].astype(np.float64)
        apart -= wanted
        apart *= apart
        order = np.lexsort((positions, apart.sum(axis=1)))[:count]
        return positions[order]


def _squares(rows: FloatArray) -> FloatArray:
    """Return the squared length of each row, ``(n,)``."""
    lengths: FloatArray = np.einsum("ij,ij->i", rows, rows)
    return lengths


def _slack(lengths: FloatArray, longest: float, d: int) -> FloatArray:
    """Return what float32 loses at most in a product of d terms and the sums around it."""
    slack: FloatArray = (d + 8) * np.finfo(np.float32).eps * (lengths + np.float32(longest))
    return slack


def _nearest(parts: list[_Found], count: int, slack: float) -> tuple[_Found, float]:
    """Return what may be among the ``count`` nearest of all parts, and how far that reaches.

    What lies further by its own ``slack`` is not among them.
    """
    positions = np.concatenate([part.positions for part in parts])
    rough = np.concatenate([part.rough for part in parts])
    if len(rough) <= count:
        return _Found(positions, rough), np.inf
    reach = float(np.partition(rough, count - 1)[count - 1]) + slack
    near = rough <= reach + slack
    return _Found(positions[near], rough[near]), reach
