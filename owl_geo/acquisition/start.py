"""The first batch, chosen while no model can help: before any answer, or by known targets alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Scores
from owl_geo.acquisition.clusters import k_means
from owl_geo.acquisition.selection import top
from owl_geo.acquisition.spread import Spread
from owl_geo.types import BoolArray, FloatArray, IntArray

_COMPONENTS = 8
_NEIGHBOURS = 20
_TYPICAL_SHARE = 0.2  # of a batch, where the rest is like known targets
_MOST = 50_000  # patches that clusters are made of; more would hardly change them


@dataclass(frozen=True)
class Unanswered:
    """The patches that the first batch is chosen from."""

    relevance: Scores  # (n,), 0 or more
    features: Callable[[IntArray], FloatArray]  # of patches at positions among these, (k, d)
    likeness: Scores | None = None  # to the known targets, 0 or more, (n,); None if none is known
    places: Scores | None = None  # (n, dimensions) in metres, for distances on the ground
    spread: Spread = field(default_factory=Spread)  # its diversity: of those like known targets

    def crowds(self, position: int) -> BoolArray:
        """Return which patches are too near to that at a position for one batch, ``(n,)``."""
        if self.places is None or self.spread.min_distance <= 0:
            return np.zeros(len(self.relevance), dtype=bool)
        return self.spread.around(self.places, position)


@dataclass(frozen=True)
class Start:
    """A way to choose the first batch; ``settings.choices.STARTS`` gives each its name."""

    choose: Callable[[Unanswered, int, np.random.Generator], IntArray]  # positions
    is_uniform: bool = False  # all patches are equally likely to be chosen
    compares: bool = False  # it wants to know how like the known targets patches are


def typical(
    features: Callable[[IntArray], FloatArray],
    relevance: Scores,
    count: int,
    rng: np.random.Generator,
    crowds: Callable[[int], BoolArray] | None = None,
    crowded: BoolArray | None = None,
) -> IntArray:
    """Return the most typical patch of each of ``count`` clusters, ``(count,)``.

    TypiClust (Hacohen et al. 2022, arXiv 2202.02794): k-means on the principal components, and
    from each cluster the patch whose 20 nearest neighbours in it are nearest. Typicality is
    multiplied by relevance.

    Args:
        features: returns those of patches at some positions, ``(k, d)``; of a large pool, only some
            are looked at.
        relevance: ``(n,)``, 0 or more.
        count: how many; a number above n returns all n.
        rng: draws the initial clusters.
        crowds: which patches are too near to the one at a position, ``(n,)``; a cluster's patch is
            too near to an earlier one only if all of the cluster are. None = none is too near.
        crowded: those that are too near to patches chosen before, ``(n,)``.
    """
    from sklearn.decomposition import PCA

    n = len(relevance)
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    if count >= n:
        return rng.permutation(n).astype(np.int64)
    among = np.sort(rng.permutation(n)[:_MOST])
    some = features(among)
    components = min(_COMPONENTS, *some.shape[::-1])
    with np.errstate(invalid="ignore"):  # where all are alike, none has a share of no variance
        flat = PCA(components, random_state=0).fit_transform(some)
    cluster = k_means(flat, count, 3, rng)
    chosen: list[int] = []
    crowded = np.zeros(n, dtype=bool) if crowded is None else crowded
    for number in np.unique(cluster):
        mine = among[cluster == number]
        scores = _typicality(flat[cluster == number]) * relevance[mine]
        may = np.flatnonzero(~crowded[mine])
        may = may if len(may) else np.arange(len(mine))
        chosen.append(int(mine[may[top(scores[may], 1, rng)[0]]]))
        if crowds is not None:
            crowded = crowded | crowds(chosen[-1])
    short = among[~np.isin(among, chosen)]  # equal patches can leave clusters empty
    missing = rng.permutation(short)[: count - len(chosen)]
    return rng.permutation(np.concatenate([chosen, missing])).astype(np.int64)


def _typicality(rows: NDArray[np.floating]) -> Scores:
    """Return the inverse mean distance from each row ``(n, d)`` to its nearest neighbours."""
    near = min(_NEIGHBOURS, len(rows) - 1)
    if near < 1:
        return np.ones(len(rows))
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=near + 1).fit(rows).kneighbors(rows)
    inverse: Scores = 1.0 / np.maximum(distances[:, 1:].mean(axis=1), 1e-9)  # the first is itself
    return inverse


def alike(pool: Unanswered, count: int, rng: np.random.Generator) -> IntArray:
    """Return the patches that are most like the known targets, and some typical ones, ``(count,)``.

    Relevance only excludes what it makes 0: likeness has seen the concepts, and multiplied by what
    was believed before any target was known, it found fewer on the sample. The typical ones come
    last; most of them are no targets, which the model needs too.
    """
    assert pool.likeness is not None
    count = min(count, len(pool.relevance))
    most = pool.spread.choose(
        np.where(pool.relevance > 0, pool.likeness, 0.0),
        count - round(_TYPICAL_SHARE * count),
        rng,
        features=pool.features(np.arange(len(pool.relevance))),
        places=pool.places,
    )
    rest = np.setdiff1d(np.arange(len(pool.relevance)), most)
    crowded = np.zeros(len(pool.relevance), dtype=bool)
    for position in most:
        crowded |= pool.crowds(int(position))
    others = typical(
        lambda at: pool.features(rest[at]),
        pool.relevance[rest],
        count - len(most),
        rng,
        lambda at: pool.crowds(int(rest[at]))[rest],
        crowded[rest],
    )
    return np.concatenate([most, rest[others]])


def _typical(pool: Unanswered, count: int, rng: np.random.Generator) -> IntArray:
    if pool.likeness is not None:
        return alike(pool, count, rng)
    return typical(pool.features, pool.relevance, count, rng, pool.crowds)


def _most_relevant(pool: Unanswered, count: int, rng: np.random.Generator) -> IntArray:
    apart = Spread(min_distance=pool.spread.min_distance)
    none = np.empty((0, 0), np.float32)
    return apart.choose(pool.relevance, count, rng, features=none, places=pool.places)


def _random(pool: Unanswered, count: int, rng: np.random.Generator) -> IntArray:
    return rng.permutation(len(pool.relevance))[:count]


TYPICAL = Start(_typical, compares=True)
RELEVANCE = Start(_most_relevant)
RANDOM = Start(_random, is_uniform=True)
