"""The first batch, before any answer."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from owl_geo import init, query
from owl_geo.acquisition import start
from owl_geo.acquisition.clusters import k_means
from owl_geo.acquisition.spread import Spread
from owl_geo.acquisition.start import RANDOM, RELEVANCE, TYPICAL, Unanswered, typical


def heaps(seed: int = 0, sizes=(40, 40, 40, 40, 8)) -> tuple[np.ndarray, np.ndarray]:
    """Features of heaps far from each other, dense in their middle, and the heap of each."""
    rng = np.random.default_rng(seed)
    centres = np.eye(len(sizes)) * 50
    heap = np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(heap))
    features = centres[heap] + rng.normal(size=(len(heap), len(sizes)))
    return features[order].astype(np.float32), heap[order]


def choose(features, count: int, relevance=None, seed: int = 0) -> np.ndarray:
    relevance = np.ones(len(features)) if relevance is None else relevance
    return typical(lambda at: features[at], relevance, count, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_one_of_each_cluster_however_small(seed: int) -> None:
    features, heap = heaps(seed)
    chosen = choose(features, 5, seed=seed)
    assert sorted(heap[chosen].tolist()) == [0, 1, 2, 3, 4]


def test_the_most_typical_of_a_cluster_lies_in_its_middle() -> None:
    features, heap = heaps()
    for position in choose(features, 5):
        mine = features[heap == heap[position]]
        distance = np.linalg.norm(mine - mine.mean(axis=0), axis=1)
        own = np.linalg.norm(features[position] - mine.mean(axis=0))
        assert (distance < own).mean() < 0.25


def test_of_a_large_pool_only_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_MOST", 30)
    features, _ = heaps()
    asked = []

    def some(at: np.ndarray) -> np.ndarray:
        asked.append(len(at))
        return features[at]

    chosen = typical(some, np.ones(len(features)), 5, np.random.default_rng(0))
    assert asked == [30]
    assert len(set(chosen.tolist())) == 5


def test_relevance_weighs_within_a_cluster() -> None:
    features, heap = heaps()
    relevance = np.ones(len(features))
    wanted = [int(np.flatnonzero(heap == number)[-1]) for number in range(5)]
    relevance[wanted] = 100.0
    assert sorted(choose(features, 5, relevance).tolist()) == sorted(wanted)
    relevance[wanted] = 0.0  # what must not be relevant is not the one
    assert not set(choose(features, 5, relevance).tolist()) & set(wanted)


def test_one_seed_one_choice_and_the_order_tells_nothing() -> None:
    features, heap = heaps()
    first = choose(features, 5)
    assert first.tolist() == choose(features, 5).tolist()
    firsts = {int(heap[choose(features, 5, seed=seed)[0]]) for seed in range(12)}
    assert len(firsts) > 2


def test_a_budget_above_the_pool_takes_all_and_none_nothing() -> None:
    features, _ = heaps(sizes=(3, 3))
    assert sorted(choose(features, 9).tolist()) == [0, 1, 2, 3, 4, 5]
    assert choose(features, 0).tolist() == []
    assert choose(features[:0], 3).tolist() == []


@pytest.mark.filterwarnings("error")
def test_twins_leave_no_place_empty() -> None:
    features, _ = heaps(sizes=(3, 3))
    twins = np.repeat(features[:2], 20, axis=0)
    chosen = choose(twins, 7)
    assert len(set(chosen.tolist())) == 7
    assert {0, 1} == {int(position >= 20) for position in chosen}


@pytest.mark.filterwarnings("ignore:Conversion of an array")  # pyproj's own, before NumPy 2.4
@pytest.mark.filterwarnings("error")
def test_a_pool_of_one_patch_is_searched_without_a_warning(tmp_path) -> None:
    source = {"kind": "synthetic", "n_samples": 1, "image_size": 8}
    made = init(tmp_path / "run", {"source": source, "oracle": {}, "evaluation": {"test_share": 0}})
    assert query(made.run).patch_ids == ("synthetic/0/0",)


def unanswered(likeness, relevance=None, **more) -> Unanswered:
    features, _ = heaps()
    relevance = np.ones(len(features)) if relevance is None else relevance
    return Unanswered(relevance, lambda at: features[at], np.asarray(likeness), **more)


def test_known_targets_leave_a_fifth_to_the_typical() -> None:
    likeness = np.linspace(0, 1, 168)
    chosen = TYPICAL.choose(unanswered(likeness), 10, np.random.default_rng(0)).tolist()
    assert chosen[:8] == list(range(167, 159, -1))
    assert len(set(chosen)) == 10 and max(chosen[8:]) < 160
    few = TYPICAL.choose(unanswered(likeness), 2, np.random.default_rng(0)).tolist()
    assert few == [167, 166]
    assert len(set(TYPICAL.choose(unanswered(likeness), 500, np.random.default_rng(0)))) == 168


def test_what_must_not_be_relevant_is_not_like_a_target() -> None:
    relevance = np.where(np.arange(168) % 2, 0.0, 0.5)
    likeness = np.linspace(0, 1, 168)
    chosen = TYPICAL.choose(unanswered(likeness, relevance), 10, np.random.default_rng(0))
    assert chosen[:8].tolist() == list(range(166, 150, -2))


def test_the_settings_spread_what_is_like_a_target() -> None:
    places = np.arange(168, dtype=float)[:, None] * 10
    pool = unanswered(np.linspace(0, 1, 168), places=places, spread=Spread(min_distance=25))
    chosen = TYPICAL.choose(pool, 10, np.random.default_rng(0))
    assert chosen[:8].tolist() == list(range(167, 143, -3))


def test_other_starts_ignore_what_is_known() -> None:
    relevance = np.arange(168, dtype=float)
    pool = unanswered(-relevance, relevance)
    chosen = RELEVANCE.choose(pool, 3, np.random.default_rng(0)).tolist()
    assert chosen == [167, 166, 165] and not RELEVANCE.compares and not RANDOM.compares


def test_clusters_do_not_depend_on_the_number_of_processors() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(50_000, 8)) * np.arange(8, 0, -1)).astype(np.float32)

    def clusters(threads: int) -> np.ndarray:
        with threadpool_limits(threads):
            return k_means(rows, 20, 1, np.random.default_rng(5))

    np.testing.assert_array_equal(clusters(1), clusters(2))


@pytest.mark.parametrize("kind", [TYPICAL, RELEVANCE])
@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_distance_holds_in_the_first_batch(kind, seed: int) -> None:
    features = heaps(seed)[0]
    places = np.random.default_rng(seed).uniform(0, 1000, (len(features), 2))
    spread = Spread(min_distance=200)
    relevance = np.random.default_rng(seed).uniform(1, 2, len(features))
    pool = Unanswered(relevance, lambda at: features[at], places=places, spread=spread)
    chosen = places[kind.choose(pool, 5, np.random.default_rng(seed))]
    apart = np.linalg.norm(chosen[:, None] - chosen, axis=2)[np.triu_indices(5, 1)]
    assert apart.min() >= 200


@pytest.mark.parametrize("seed", range(5))
def test_typical_patches_keep_away_from_those_that_are_like_known_targets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    likeness, places = rng.uniform(1, 2, 168), rng.uniform(0, 1000, (168, 2))
    pool = unanswered(likeness, places=places, spread=Spread(min_distance=150))
    chosen = places[TYPICAL.choose(pool, 10, np.random.default_rng(seed))]
    apart = np.linalg.norm(chosen[:, None] - chosen, axis=2)[np.triu_indices(10, 1)]
    assert apart.min() >= 150
