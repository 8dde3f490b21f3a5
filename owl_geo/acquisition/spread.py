"""Diverse batches: patches that differ in features and lie apart on the ground.

The patches with the highest scores are often alike, so that the second answer teaches little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Scores
from owl_geo.acquisition.clusters import k_means
from owl_geo.acquisition.selection import top
from owl_geo.settings.choices import DIVERSITY, chosen
from owl_geo.types import FloatArray, IntArray

_SHORTLIST = 5  # clusters are made of this many times the batch


@dataclass(frozen=True)
class Ranked:
    """Candidates among which a batch is chosen."""

    scores: Scores  # 0 or more, (n,)
    features: FloatArray  # (n, d); may have no rows if the diversity needs no features
    known: FloatArray | None  # features of answered patches, (k, d)


@dataclass(frozen=True)
class Diversity:
    """A way to make a batch diverse; ``settings.choices.DIVERSITY`` gives each its name."""

    choose: Callable[[Ranked, int, np.random.Generator], IntArray]  # positions, most wanted first
    needs_features: bool = False


@dataclass(frozen=True)
class Spread:
    """How a batch is made diverse."""

    diversity: str = "none"
    min_distance: float = 0.0  # metres

    @property
    def needs_features(self) -> bool:
        """Whether it uses distances between features."""
        return self._diversity.needs_features

    @property
    def _diversity(self) -> Diversity:
        diversity: Diversity = chosen(DIVERSITY, self.diversity)
        return diversity

    def choose(
        self,
        scores: Scores,
        count: int,
        rng: np.random.Generator,
        *,
        features: FloatArray,
        places: Scores | None = None,
        taken: IntArray | None = None,
        known: FloatArray | None = None,
    ) -> IntArray:
        """Return the positions of ``count`` candidates, most wanted first.

        With a ``min_distance``, candidates too near to a better one are used only once no others
        are left.

        Args:
            scores: 0 or more, ``(n,)``.
            count: how many; a number above n returns all n.
            rng: breaks ties and draws.
            features: ``(n, d)``; not needed by ``none`` and ``sample``.
            places: positions in metres, ``(n, dimensions)``.
            taken: positions that are already chosen; they are not chosen again.
            known: features of answered patches, ``(k, d)``, which ``kmeans++`` keeps away from.
        """
        taken = np.empty(0, np.int64) if taken is None else taken
        free = np.delete(np.arange(len(scores)), taken)
        count = min(count, len(free))
        if count <= 0:
            return np.empty(0, np.int64)

        def order(among: IntArray, wanted: int) -> IntArray:
            rows = features[among] if len(features) else features
            ranked = Ranked(scores[among], rows, known)
            if wanted >= len(among):
                return among[_best(ranked, wanted, rng)]
            return among[self._diversity.choose(ranked, wanted, rng)]

        if self.min_distance <= 0 or places is None:
            return order(free, count)
        return self._apart(order, free, taken, count, places)

    def _apart(
        self,
        order: Callable[[IntArray, int], IntArray],
        free: IntArray,
        taken: IntArray,
        count: int,
        places: Scores,
    ) -> IntArray:
        """Choose repeatedly among the candidates that are far enough from all chosen so far."""
        chosen: list[int] = []
        near = np.zeros(len(places), dtype=bool)
        for position in taken:
            near |= self.around(places, int(position))
        while len(chosen) < count:
            left = free[~np.isin(free, chosen)]
            far = left[~near[left]]
            pool = far if len(far) else left
            for position in order(pool, count - len(chosen)):
                if len(far) and near[position]:
                    continue
                chosen.append(int(position))
                near |= self.around(places, int(position))
        return np.array(chosen, dtype=np.int64)

    def around(self, places: Scores, position: int) -> NDArray[np.bool_]:
        """Return which places are nearer than ``min_distance`` to that at a position, ``(n,)``."""
        apart = np.linalg.norm(places - places[position], axis=1)
        return np.asarray(apart < self.min_distance)


def _best(ranked: Ranked, count: int, rng: np.random.Generator) -> IntArray:
    """Take the best."""
    return top(ranked.scores, count, rng)


def _drawn(ranked: Ranked, count: int, rng: np.random.Generator) -> IntArray:
    """Draw without replacement, in proportion to the score.

    Kirsch et al. 2021, arXiv 2106.12059; by Gumbel's trick.
    """
    with np.errstate(divide="ignore"):  # a score of 0 comes last
        keys = np.log(ranked.scores) + rng.gumbel(size=len(ranked.scores))
    return top(np.where(np.isneginf(keys), -np.finfo(float).max, keys), count, rng)


def _far_apart(ranked: Ranked, count: int, rng: np.random.Generator) -> IntArray:
    """Draw in proportion to the score times the squared distance from the nearest one chosen.

    As BADGE does in gradient space (Ash et al. 2020, arXiv 1906.03671).
    """
    return plus_plus(ranked.scores, ranked.features, count, rng, ranked.known)


def plus_plus(
    weights: Scores,
    features: FloatArray,
    count: int,
    rng: np.random.Generator,
    known: FloatArray | None = None,
) -> IntArray:
    """Draw ``count`` rows, each in proportion to weight times squared distance to the nearest.

    k-means++ (Arthur, Vassilvitskii 2007), weighted. The nearest may also be a row of ``known``;
    without any, the first row is drawn by weight alone. Returns positions, ``(count,)``.
    """
    nearest = np.full(len(weights), np.inf)
    for row in known if known is not None else ():
        nearest = np.minimum(nearest, ((features - row) ** 2).sum(axis=1))
    chosen: list[int] = []
    free = np.ones(len(weights), dtype=bool)
    for _ in range(min(count, len(weights))):
        chances = np.where(free, weights * np.where(np.isinf(nearest), 1.0, nearest), 0.0)
        if chances.sum() <= 0:  # all remaining rows have no weight, or equal a chosen one
            chances = free.astype(np.float64)
        drawn = int(rng.choice(len(weights), p=chances / chances.sum()))
        chosen.append(drawn)
        free[drawn] = False
        nearest = np.minimum(nearest, ((features - features[drawn]) ** 2).sum(axis=1))
    return np.array(chosen, dtype=np.int64)


def _best_of_clusters(ranked: Ranked, count: int, rng: np.random.Generator) -> IntArray:
    """Divide the best ``5 * count`` into ``count`` clusters, and take the best of each."""
    shortlist = top(ranked.scores, _SHORTLIST * count, rng)
    cluster = k_means(ranked.features[shortlist], count, 2, rng)
    # the shortlist is ordered by score, so the first of a cluster is its best
    _, first = np.unique(cluster, return_index=True)
    missing = np.setdiff1d(np.arange(len(shortlist)), first)[: count - len(first)]
    order: IntArray = np.sort(np.concatenate([first, missing])).astype(np.int64)
    return np.asarray(shortlist[order])


NONE = Diversity(_best)
SAMPLE = Diversity(_drawn)
PLUS_PLUS = Diversity(_far_apart, needs_features=True)
CLUSTER = Diversity(_best_of_clusters, needs_features=True)
