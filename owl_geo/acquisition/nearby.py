"""Reduces a large pool to the patches near the answers and a random share of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.workers import Threads

_IN_TREE = 500_000  # patches; a tree of more takes longer to build than all distances take
_SHUFFLED = 4_000_000  # patches; of more, some are drawn without putting all in random order
_AT_ONCE = 16_384  # patches whose distances are computed together
_SPARE = 1.25  # times as many neighbours are kept as are asked for, since some will be answered
_GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly
_ROUNDING = 1e-5  # of squared lengths; more than float32 loses in a product


def near_known(
    features: FloatArray,
    answered: IntArray,
    pool: IntArray,
    count: int,
    rng: np.random.Generator,
    neighbours: Neighbours | None = None,
) -> IntArray:
    """Return about ``count`` positions of a pool that are worth scoring, ascending.

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
        return pool
    drawn = pool[np.sort(some_of(len(pool), lambda: count - count // 2, rng))]
    if len(answered) == 0:
        return drawn
    each = max(count // 2 // len(answered), 1)
    if len(pool) > _IN_TREE:
        near = (neighbours or Neighbours(features)).of(answered, pool, each)
    else:
        from scipy.spatial import KDTree

        wanted = [*range(1, each + 1)]
        near = pool[KDTree(features[pool]).query(features[answered], k=wanted, workers=-1)[1]]
    return np.union1d(drawn, near.ravel())


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
    """Patches near another, and how far away they are."""

    positions: IntArray
    distances: NDArray[np.float64]  # squared


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
        if (here & ~self._among).any() or self._lacking(names, here, each, look=True):
            self._found, self._among = {}, here
            self._lacking(names, here, each, look=True)
        return np.stack([self._left(name, here)[:each] for name in names])

    def _lacking(self, names: list[int], here: BoolArray, each: int, *, look: bool) -> list[int]:
        """Return which patches have too few neighbours that are ``here``, after a ``look``."""
        lacking = [name for name in names if len(self._left(name, here)) < each]
        if not look or not lacking:
            return lacking
        count = min(int(each * _SPARE) + 1, int(np.count_nonzero(self._among)))
        self._found |= self._looked_for(lacking, count)
        return self._lacking(lacking, here, each, look=False)

    def _left(self, name: int, here: BoolArray) -> IntArray:
        positions = self._found.get(name, np.empty(0, dtype=np.int64))
        return positions[here[positions]]

    def _looked_for(self, names: list[int], count: int) -> dict[int, IntArray]:
        among = np.flatnonzero(self._among)
        wanted = self._features[names]
        reach = np.full(len(names), np.inf)
        parts: list[list[_Found]] = [[] for _ in names]
        sizes = [0] * len(names)
        starts = np.arange(0, len(among), _AT_ONCE)
        # neighbours in the index are often alike; from all over it, reach shrinks sooner
        starts = starts[np.argsort(np.arange(len(starts)) * _GOLDEN % 1)]

        def within_reach(start: int) -> list[tuple[int, _Found]]:
            return list(self._within(wanted, among[start : start + _AT_ONCE], reach, count))

        for of_part in Threads().map(within_reach, starts.tolist()):
            for number, found in of_part:
                parts[number].append(found)
                sizes[number] += len(found.positions)
                if sizes[number] > 4 * count:
                    parts[number], sizes[number] = [_nearest(parts[number], count)], count
                    reach[number] = parts[number][0].distances[-1]
        return {
            name: _nearest(of_name, count).positions
            for name, of_name in zip(names, parts, strict=True)
        }

    def _within(
        self, wanted: FloatArray, part: IntArray, reach: NDArray[np.float64], count: int
    ) -> Iterator[tuple[int, _Found]]:
        """Yield which of ``part`` lie within ``reach`` of each, by distances in float64.

        Of more than ``count``, some that cannot be among the nearest are left out. Products in
        float32 leave out what is surely farther.
        """
        rows = self._features[part]
        lengths, own = (rows * rows).sum(axis=1), (wanted * wanted).sum(axis=1)
        slack = _ROUNDING * (own + lengths.max(initial=0))
        limit = (reach - own + slack).astype(np.float32)
        # |x - a|^2 - |a|^2, by one product
        rough = np.concatenate([-2 * wanted, np.ones_like(wanted[:, :1])], axis=1) @ (
            np.concatenate([rows, lengths[:, None]], axis=1).T
        )
        if len(part) > count:
            many = np.flatnonzero((rough <= limit[:, None]).sum(axis=1) > count)
            nearest = np.partition(rough[many], count - 1, axis=1)[:, count - 1]
            limit[many] = np.minimum(limit[many], nearest + 2 * slack[many].astype(np.float32))
        which, near = np.nonzero(rough <= limit[:, None])
        apart = rows[near].astype(np.float64) - wanted[which].astype(np.float64)
        exact = (apart**2).sum(axis=1)
        kept = exact <= reach[which]
        which, near, exact = which[kept], near[kept], exact[kept]
        ends = np.searchsorted(which, np.arange(len(wanted) + 1))
        for number in np.unique(which).tolist():
            own_part = slice(ends[number], ends[number + 1])
            yield number, _Found(part[near[own_part]], exact[own_part])


def _nearest(parts: list[_Found], count: int) -> _Found:
    """Return the ``count`` nearest of all parts; of equals, those that come first in the index."""
    positions = np.concatenate([part.positions for part in parts])
    distances = np.concatenate([part.distances for part in parts])
    order = np.lexsort((positions, distances))[:count]
    return _Found(positions[order], distances[order])
