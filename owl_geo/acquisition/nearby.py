"""Fewer candidates in a large pool: what lies near the answers, and a random share of the rest."""

from __future__ import annotations

import numpy as np

from owl_geo.types import FloatArray, IntArray


def near_known(
    features: FloatArray, known: IntArray, pool: IntArray, count: int, rng: np.random.Generator
) -> IntArray:
    """Return about ``count`` positions of a pool that are worth scoring, ascending.

    Half are the nearest neighbours, in features, of each answered patch: what is rare lies near
    what was found of it, so a search loses little by looking there (SEALS, Coleman et al. 2022,
    arXiv 2007.00077). The other half are drawn uniformly, so that nothing stays out of sight for
    ever.

    Args:
        features: of all patches, ``(N, d)`` with few dimensions.
        known: positions of the answered patches, ``(k,)``.
        pool: ascending positions that may be asked, ``(n,)``.
        count: how many; not below n returns the pool.
        rng: draws the random half.
    """
    from scipy.spatial import KDTree

    if count >= len(pool):
        return pool
    drawn = pool[np.sort(rng.permutation(len(pool))[: count - count // 2])]
    if len(known) == 0:
        return drawn
    each = max(count // 2 // len(known), 1)
    found = KDTree(features[pool]).query(features[known], k=[*range(1, each + 1)], workers=-1)[1]
    return np.union1d(drawn, pool[found.ravel()])
