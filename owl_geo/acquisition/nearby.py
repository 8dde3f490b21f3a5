"""Reduces a large pool to the patches near the answers and a random share of the rest."""

from __future__ import annotations

import numpy as np

from owl_geo.types import FloatArray, IntArray


def near_known(
    features: FloatArray, answered: IntArray, pool: IntArray, count: int, rng: np.random.Generator
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
    """
    from scipy.spatial import KDTree

    if count >= len(pool):
        return pool
    drawn = pool[np.sort(rng.permutation(len(pool))[: count - count // 2])]
    if len(answered) == 0:
        return drawn
    each = max(count // 2 // len(answered), 1)
    nearest = [*range(1, each + 1)]
    _, near = KDTree(features[pool]).query(features[answered], k=nearest, workers=-1)
    return np.union1d(drawn, pool[near.ravel()])
