"""Batches that do not repeat themselves, in features and on the ground."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from owl_geo.acquisition.selection import top
from owl_geo.acquisition.spread import Spread, plus_plus
from owl_geo.settings.choices import DIVERSITY

DIVERSITIES = list(DIVERSITY)
K = 8


def groups(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and features of ten groups; the higher the group's number, the higher its scores."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 10
    features = rng.normal(size=(10, 3))[group] * 10 + rng.normal(size=(n, 3))
    scores = 0.05 * group + 0.5 + 0.01 * rng.random(n)
    return scores, features, group


def choose(spread: Spread, scores, features, k: int = K, seed: int = 0, **given) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return spread.choose(scores, k, rng, features=features, **given)


@pytest.mark.parametrize("diversity", DIVERSITIES)
@pytest.mark.parametrize("min_distance", [0.0, 3.0])
class TestEveryDiversity:
    def test_different_positions_and_one_seed_one_choice(self, diversity, min_distance) -> None:
        scores, features, _ = groups()
        spread = Spread(diversity, min_distance)
        chosen = choose(spread, scores, features, places=features)
        assert len(set(chosen.tolist())) == K
        assert chosen.dtype == np.int64
        assert set(chosen.tolist()) <= set(range(200))
        again = choose(spread, scores, features, places=features)
        assert again.tolist() == chosen.tolist()

    def test_a_budget_above_the_pool_takes_all(self, diversity, min_distance) -> None:
        scores, features, _ = groups(n=5)
        chosen = choose(Spread(diversity, min_distance), scores, features, places=features)
        assert sorted(chosen.tolist()) == [0, 1, 2, 3, 4]

    def test_no_candidate_and_no_budget(self, diversity, min_distance) -> None:
        scores, features, _ = groups()
        spread = Spread(diversity, min_distance)
        assert len(choose(spread, scores, features, k=0, places=features)) == 0
        none = np.empty((0, 3))
        assert len(choose(spread, np.empty(0), none, places=none)) == 0

    def test_what_is_taken_is_not_chosen_again(self, diversity, min_distance) -> None:
        scores, features, _ = groups(n=30)
        taken = np.arange(10)
        spread = Spread(diversity, min_distance)
        chosen = choose(spread, scores, features, k=25, places=features, taken=taken)
        assert sorted(chosen.tolist()) == list(range(10, 30))

    @pytest.mark.filterwarnings("error")
    def test_patches_that_are_all_alike(self, diversity, min_distance) -> None:
        alike = np.zeros((60, 3))
        chosen = choose(Spread(diversity, min_distance), np.zeros(60), alike, places=alike)
        assert len(set(chosen.tolist())) == K


def test_none_takes_the_best() -> None:
    scores, features, _ = groups()
    best = np.argsort(-scores)[:K]
    assert choose(Spread(), scores, features).tolist() == best.tolist()
    assert choose(Spread(), scores, np.empty((0, 0))).tolist() == best.tolist()


@pytest.mark.parametrize("diversity", ["cluster", "kmeans++", "sample"])
def test_the_batch_is_more_diverse_than_the_best(diversity: str) -> None:
    kinds, gaps = [], []
    for seed in range(8):
        scores, features, group = groups(seed)
        chosen = choose(Spread(diversity), scores, features, seed=seed)
        best = top(scores, K, 0)
        assert len(set(group[best].tolist())) == 1
        kinds.append(len(set(group[chosen].tolist())))
        gaps.append(pdist(features[chosen]).mean() / pdist(features[best]).mean())
    # 8 drawn from 10 equal groups by chance are of 5.7 on average
    assert np.mean(kinds) >= (2 if diversity == "cluster" else 4.5)
    assert np.mean(gaps) > 2


def test_clusters_take_the_best_of_each_among_the_best() -> None:
    """Forty of the highest scores stand in eight heaps of five: one of each heap, its best."""
    heap = np.repeat(np.arange(8), 5)
    features = np.concatenate([heap[:, None] * 100.0, np.full((160, 1), 9e9)])
    scores = np.concatenate([1 + np.arange(40) / 100, np.random.default_rng(0).random(160)])
    chosen = choose(Spread("cluster"), scores, features)
    assert chosen.tolist() == [39, 34, 29, 24, 19, 14, 9, 4]


def test_a_sample_is_in_proportion_to_the_score() -> None:
    scores = np.array([8.0, 4.0, 2.0, 1.0, 1.0, 0.0])
    none = np.empty((0, 0))
    first = [choose(Spread("sample"), scores, none, k=1, seed=seed)[0] for seed in range(3000)]
    share = np.bincount(first, minlength=6) / 3000
    np.testing.assert_allclose(share, scores / scores.sum(), atol=0.03)
    for seed in range(20):  # what has no score comes last
        assert 5 not in choose(Spread("sample"), scores, none, k=5, seed=seed)


def test_plus_plus_weighs_squared_distance_by_the_score() -> None:
    features = np.array([[0.0], [1.0], [2.0], [3.0]])
    weights = np.array([5.0, 4.0, 1.0, 1.0])
    known = np.array([[0.0]])
    drawn = [
        plus_plus(weights, features, 1, np.random.default_rng(seed), known)[0]
        for seed in range(3000)
    ]
    expected = np.array([0, 4 * 1, 1 * 4, 1 * 9]) / 17  # a twin of what is known has no chance
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 3000, expected, atol=0.03)


class TestOnTheGround:
    places = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 10.0

    @pytest.mark.parametrize("diversity", DIVERSITIES)
    def test_patches_keep_their_distance(self, diversity: str) -> None:
        # the best lie side by side in a corner
        scores = 1 / (1 + self.places.sum(axis=1))
        near = choose(Spread(diversity), scores, self.places, places=self.places)
        far = choose(Spread(diversity, 35.0), scores, self.places, places=self.places)
        assert pdist(self.places[far]).min() >= 35
        assert len(far) == K
        if diversity == "none":
            assert pdist(self.places[near]).min() == 10
            assert far[0] == near[0] == 0  # the best is still the first

    def test_what_is_taken_keeps_others_away(self) -> None:
        scores = 1 / (1 + self.places.sum(axis=1))
        taken = np.array([0, 5])
        chosen = choose(Spread("none", 35.0), scores, self.places, places=self.places, taken=taken)
        gaps = np.linalg.norm(self.places[chosen][:, None] - self.places[taken][None], axis=2)
        assert gaps.min() >= 35

    def test_a_pool_that_is_too_small_fills_up_with_those_nearby(self) -> None:
        places = self.places[:20]  # one row, 190 m long: room for two at 100 m
        scores = np.linspace(1, 0.5, 20)
        chosen = choose(Spread("none", 100.0), scores, places, k=6, places=places)
        assert chosen[:2].tolist() == [0, 10]
        assert chosen.tolist() == [0, 10, 1, 2, 3, 4]  # and then simply the best

    def test_without_places_there_is_no_distance(self) -> None:
        scores, features, _ = groups()
        chosen = choose(Spread("none", 1e9), scores, features)
        assert chosen.tolist() == top(scores, K, 0).tolist()
