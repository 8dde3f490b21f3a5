"""Divides answers into the tasks of a meta-update, so that the tasks differ in their concepts."""

from __future__ import annotations

import numpy as np

from owl_geo.learners.training import MetaBatch, halves
from owl_geo.types import BoolArray, FloatArray, IntArray

_MAX_GROUPS = 4


def concept_groups(concepts: FloatArray, seed: int) -> IntArray:
    """Return a group number per patch, ``(n,)``: at most 4 groups with similar concepts.

    ``concepts`` is float32 ``(n, k)``, encoded and scaled. Up to 4 distinct rows are
    groups of their own; more are grouped by k-means. Without concepts there is one group.
    """
    if concepts.shape[1] == 0 or len(concepts) == 0:
        return np.zeros(len(concepts), dtype=np.int64)
    rows, group = np.unique(concepts, axis=0, return_inverse=True)
    if len(rows) > _MAX_GROUPS:
        from sklearn.cluster import KMeans  # a second to import; most runs never need it

        means = KMeans(n_clusters=_MAX_GROUPS, n_init=4, random_state=seed % 2**32)
        group = means.fit_predict(concepts)
    return np.asarray(group, dtype=np.int64).reshape(-1)


def diverse(
    fresh: BoolArray, labels: IntArray, groups: IntArray, replay: float, seed: int
) -> MetaBatch:
    """Return one task per group of concepts, with replayed earlier answers in each support set.

    A random half of the fresh answers is split by group into the support sets; the other half is
    the query set. ``replay``, from 0 to below 1, is the share of earlier answers in a support set.
    They are drawn from each class in turn, so that the rare class is not forgotten; if there are
    too few for the share, all are used. One group without replay is plain Reptile.

    After Khan et al., 2026, arXiv 2602.17605, who make meta-batches diverse in concepts and replay
    answers from a core and a reservoir. This is a simplification: a search has few earlier answers,
    so all of them form the core to draw from, and there is no reservoir.

    Args:
        fresh: whether each answer is new, ``(n,)``.
        labels: class numbers, ``(n,)``.
        groups: group numbers, ``(n,)``, as returned by ``concept_groups``.
        replay: see above.
        seed: the seed of the draws.

    Raises ValueError if ``replay`` is below 0, or 1 or more.
    """
    if not 0 <= replay < 1:
        raise ValueError(f"replay is {replay:g}, but it must be at least 0 and below 1")
    plain = halves(np.flatnonzero(fresh), seed)
    (support,) = plain.supports
    earlier = np.flatnonzero(~fresh)
    rng = np.random.default_rng([seed, 1])
    supports = []
    for group in np.unique(groups[support]):
        new = support[groups[support] == group]
        wanted = round(len(new) * replay / (1 - replay))
        supports.append(np.concatenate([new, _balanced(earlier, labels, wanted, rng)]))
    return MetaBatch(supports, plain.query)


def _balanced(
    positions: IntArray, labels: IntArray, count: int, rng: np.random.Generator
) -> IntArray:
    """Draw ``count`` of the positions, one of each class in turn until a class is used up."""
    order = rng.permutation(positions)
    turn = np.empty(len(order), dtype=np.int64)
    for label in np.unique(labels[order]):
        own = labels[order] == label
        turn[own] = np.arange(own.sum())
    return order[np.argsort(turn, kind="stable")][:count]
