"""Batches that do not repeat themselves: different in features, and apart on the ground.

The best by score often resemble each other, so that the second answer teaches little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Scores
from owl_geo.acquisition.clusters import k_means
from owl_geo.acquisition.selection import top
from owl_geo.types import FloatArray, IntArray

Diversity = Literal["none", "cluster", "kmeans++", "sample"]

_SHORTLIST = 5  # times the batch: what clusters are made of


@dataclass(frozen=True)
class Spread:
    """How a batch is kept from repeating itself."""

    diversity: Diversity = "none"
    min_distance: float = 0.0  # metres

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

        ``none`` takes the best. ``sample`` draws without replacement in proportion to the score
        (Kirsch et al. 2021, arXiv 2106.12059, by Gumbel's trick). ``kmeans++`` draws each next one
        in proportion to score times squared distance to the nearest so far, as BADGE does (Ash et
        al. 2020, arXiv 1906.03671) in the space of gradients. ``cluster`` makes ``count`` clusters
        of the five times as many best and takes the best of each.

        With a ``min_distance``, those too near to a better one wait until no others are left.

        Args:
            scores: 0 or more, ``(n,)``.
            count: how many; above n returns all n.
            rng: breaks ties and draws.
            features: ``(n, d)``; not needed for ``none`` and ``sample``.
            places: in metres, ``(n, dimensions)``.
            taken: positions that are chosen already; they are not chosen again.
            known: features of answered patches, ``(k, d)``, from which ``kmeans++`` keeps away.
        """
        taken = np.empty(0, np.int64) if taken is None else taken
        free = np.delete(np.arange(len(scores)), taken)
        count = min(count, len(free))
        if count <= 0:
            return np.empty(0, np.int64)

        def order(among: IntArray, wanted: int) -> IntArray:
            rows = features[among] if len(features) else features
            return among[self._order(scores[among], wanted, rng, rows, known)]

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
        """Choose again and again among those that are far enough from all chosen so far."""
        chosen: list[int] = []
        near = np.zeros(len(places), dtype=bool)
        for position in taken:
            near |= self._around(places, int(position))
        while len(chosen) < count:
            left = free[~np.isin(free, chosen)]
            far = left[~near[left]]
            pool = far if len(far) else left
            for position in order(pool, count - len(chosen)):
                if len(far) and near[position]:
                    continue
                chosen.append(int(position))
                near |= self._around(places, int(position))
        return np.array(chosen, dtype=np.int64)

    def _around(self, places: Scores, position: int) -> NDArray[np.bool_]:
        apart = np.linalg.norm(places - places[position], axis=1)
        return np.asarray(apart < self.min_distance)

    def _order(
        self,
        scores: Scores,
        count: int,
        rng: np.random.Generator,
        features: FloatArray,
        known: FloatArray | None,
    ) -> IntArray:
        if self.diversity == "none" or count >= len(scores):
            return top(scores, count, rng)
        if self.diversity == "sample":
            with np.errstate(divide="ignore"):  # a score of 0 comes last
                keys = np.log(scores) + rng.gumbel(size=len(scores))
            return top(np.where(np.isneginf(keys), -np.finfo(float).max, keys), count, rng)
        if self.diversity == "kmeans++":
            return plus_plus(scores, features, count, rng, known)
        return _best_of_clusters(scores, features, count, rng)


def plus_plus(
    weights: Scores,
    features: FloatArray,
    count: int,
    rng: np.random.Generator,
    known: FloatArray | None = None,
) -> IntArray:
    """Draw ``count`` rows, each in proportion to weight times squared distance to the nearest.

    k-means++ (Arthur, Vassilvitskii 2007), weighted. Distances count from ``known`` rows too; where
    there are none, the first is drawn by weight alone. Returns positions, ``(count,)``.
    """
    nearest = np.full(len(weights), np.inf)
    for row in known if known is not None else ():
        nearest = np.minimum(nearest, ((features - row) ** 2).sum(axis=1))
    chosen: list[int] = []
    free = np.ones(len(weights), dtype=bool)
    for _ in range(min(count, len(weights))):
        chances = np.where(free, weights * np.where(np.isinf(nearest), 1.0, nearest), 0.0)
        if chances.sum() <= 0:  # all that is left has no weight, or a twin
            chances = free.astype(np.float64)
        drawn = int(rng.choice(len(weights), p=chances / chances.sum()))
        chosen.append(drawn)
        free[drawn] = False
        nearest = np.minimum(nearest, ((features - features[drawn]) ** 2).sum(axis=1))
    return np.array(chosen, dtype=np.int64)


def _best_of_clusters(
    scores: Scores, features: FloatArray, count: int, rng: np.random.Generator
) -> IntArray:
    shortlist = top(scores, _SHORTLIST * count, rng)
    cluster = k_means(features[shortlist], count, 2, rng)
    # the shortlist is ordered by score, so the first of a cluster is its best
    _, first = np.unique(cluster, return_index=True)
    missing = np.setdiff1d(np.arange(len(shortlist)), first)[: count - len(first)]
    order: IntArray = np.sort(np.concatenate([first, missing])).astype(np.int64)
    return np.asarray(shortlist[order])
