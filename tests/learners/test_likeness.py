"""How like known targets patches are, while there is nothing else to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo.features.rows import FeatureTable
from owl_geo.learners.likeness import likeness
from owl_geo.measures.metrics import roc_auc

HEAPS = 4


def table(n: int = 80) -> tuple[FeatureTable, np.ndarray]:
    """Features of heaps far from each other, and the heap of each patch: the last one is rare."""
    rng = np.random.default_rng(0)
    heap = np.arange(n) % (HEAPS - 1)
    heap[rng.permutation(n)[: n // 10]] = HEAPS - 1
    values = np.eye(HEAPS)[heap] * 4 + rng.normal(size=(n, HEAPS)) * 0.5
    return FeatureTable(values.astype(np.float32), tuple("abcd")), heap


def no_concepts(n: int = 80) -> np.ndarray:
    return np.empty((n, 0), dtype=np.float32)


def test_the_rest_of_a_heap_is_like_one_of_it() -> None:
    features, heap = table()
    rare = np.flatnonzero(heap == HEAPS - 1)
    pool = np.setdiff1d(np.arange(80), rare[:1])
    alike = likeness(features, no_concepts(), rare[:1], pool, seed=0)
    assert alike.shape == (79,) and alike.dtype == np.float32
    assert ((alike >= 0) & (alike <= 1)).all()
    # those that were drawn as others among them
    assert roc_auc(np.isin(pool, rare), alike) > 0.97


def test_patches_like_either_of_two_unlike_targets_come_first() -> None:
    features, heap = table()
    known = np.array([np.flatnonzero(heap == number)[0] for number in (0, HEAPS - 1)])
    pool = np.setdiff1d(np.arange(80), known)
    alike = likeness(features, no_concepts(), known, pool, seed=0)
    means = [alike[heap[pool] == number].mean() for number in range(HEAPS)]
    assert min(means[0], means[3]) > 2 * max(means[1], means[2])


def test_concepts_count_as_well() -> None:
    _, heap = table()
    values = np.random.default_rng(1).normal(size=(80, 2))
    noise = FeatureTable(values.astype(np.float32), ("x", "y"))
    concepts = (heap == HEAPS - 1).astype(np.float32)[:, None] * 3
    rare = np.flatnonzero(heap == HEAPS - 1)
    pool = np.setdiff1d(np.arange(80), rare[:3])
    alike = likeness(noise, concepts, rare[:3], pool, seed=0)
    assert alike[np.isin(pool, rare)].mean() > 3 * alike[~np.isin(pool, rare)].mean()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_pool_of_almost_nothing(n: int) -> None:
    features, _ = table()
    alike = likeness(features, no_concepts(), np.array([9]), np.arange(n), seed=0)
    assert alike.shape == (n,) and np.isfinite(alike).all()


def test_one_seed_one_answer() -> None:
    features, _ = table()
    one, again = (
        likeness(features, no_concepts(), np.array([9]), np.arange(9), seed=4) for _ in "ab"
    )
    assert one.tolist() == again.tolist()


def test_what_is_known_to_be_unlike_comes_later() -> None:
    rng = np.random.default_rng(0)
    kind = np.array([0, 2, 1, 2, 2, 2] * 50)  # 1 is near 0, and 2 is what there is most of
    centres = np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, 0, 1.0]]) @ rng.normal(size=(3, 64)) / 8
    values = centres[kind] + 0.1 * rng.normal(size=(300, 64))
    values = (values - np.median(values, axis=0)) / values.std()
    features = FeatureTable(values.astype(np.float32), tuple(f"f{i}" for i in range(64)))
    pool = np.setdiff1d(np.arange(300), [0, 2])
    is_near = kind[pool] < 2
    is_meant = kind[pool][is_near] == 0

    def auc(unlike: np.ndarray | None) -> float:
        concepts = no_concepts(300)
        alike = likeness(features, concepts, np.array([0]), pool, seed=0, unlike=unlike)
        return roc_auc(is_meant, alike[is_near])

    assert auc(np.array([2])) > auc(None) + 0.08
