"""The strategies that look for targets: a pursuit, and one that divides its batch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from owl_geo.acquisition.candidates import Candidates
from owl_geo.acquisition.spread import Spread
from owl_geo.acquisition.steered import DiscoverySampler, PursuitSampler, SteeredSampler
from owl_geo.acquisition.strategies import build_sampler, explore_at
from owl_geo.errors import ConfigError
from owl_geo.settings.acquisition import AcquisitionSettings

WEIGHTS = {"urban": 3.0}


def candidates(probability: Any, *, known: tuple[int, ...] = (0, 1), **more: Any) -> Candidates:
    """Candidates of these probabilities; every second is urban."""
    p = np.asarray(probability, dtype=np.float64)
    given: dict[str, Any] = {
        "concepts": pd.DataFrame({"urban": np.arange(len(p)) % 2 == 1}),
        "members": np.stack([1 - p, p], axis=1)[None],
        "positive": 1,
        "features": np.random.default_rng(0).normal(size=(len(p), 4)).astype(np.float32),
        "known_features": np.zeros((len(known), 4), dtype=np.float32),
        "known_labels": np.array(known, dtype=np.int64),
    }
    return Candidates(**(given | more))


def choose(sampler: SteeredSampler, given: Candidates, k: int = 10, seed: int = 0) -> list[int]:
    return sampler.choose(sampler.terms(given), given, k, seed).tolist()


def three_groups(n: int = 40) -> np.ndarray:
    """As many sure targets as uncertain patches and sure others."""
    noise = np.random.default_rng(1).random(n) * 0.01
    return np.concatenate([0.95 + noise, 0.495 + noise, 0.02 + noise])


@pytest.mark.parametrize(("explore", "least"), [(0.0, 0), (0.2, 2), (0.5, 5), (1.0, 10)])
def test_the_share_of_the_uncertain(explore: float, least: int) -> None:
    chosen = choose(DiscoverySampler(explore, 0.5), candidates(three_groups()))
    assert [position < 40 for position in chosen] == [True] * (10 - least) + [False] * least
    assert all(position < 80 for position in chosen)


def test_a_share_of_a_place_is_drawn_for() -> None:
    given = candidates(three_groups())
    explored = [
        sum(position >= 40 for position in choose(DiscoverySampler(0.2), given, k=4, seed=seed))
        for seed in range(400)
    ]
    assert set(explored) == {0, 1}
    assert np.mean(explored) == pytest.approx(0.8, abs=0.06)


def test_each_part_is_in_the_order_of_its_worth() -> None:
    p = np.linspace(0, 1, 101)
    relevance = np.ones(101)
    chosen = choose(DiscoverySampler(0.4), candidates(p, relevance=relevance))
    assert chosen[:6] == [100, 99, 98, 97, 96, 95]
    assert chosen[6] == 50
    assert set(chosen[7:]) <= {48, 49, 51, 52}


def test_what_is_not_promising_leaves_its_place_to_the_uncertain() -> None:
    p = np.full(50, 0.02)
    p[:3] = 0.9  # three targets are left
    p[10:20] = 0.45
    given = candidates(p)
    chosen = choose(DiscoverySampler(0.0, 0.5), given)
    assert sorted(chosen[:3]) == [0, 1, 2]
    assert set(chosen[3:]) <= set(range(10, 20))
    # a lower bar gives the places back
    p[30:40] = 0.3
    greedy = choose(DiscoverySampler(0.0, 0.0), candidates(p))
    assert set(greedy) <= {0, 1, 2, *range(10, 20)}
    none = choose(DiscoverySampler(0.0, 1.0), given)
    assert set(none) <= set(range(10, 20))


def test_relevance_steers_and_fades_as_the_search_is_spent() -> None:
    p = np.full(40, 0.6)
    p[0] = 0.7  # not urban
    sampler = DiscoverySampler(0.0, 0.5, WEIGHTS)
    for spent in (0.0, 0.5, 1.0):
        terms = sampler.terms(candidates(p, spent=spent))
        expected = p * np.where(np.arange(40) % 2, 3.0, 1.0) ** (1 - spent)
        np.testing.assert_allclose(terms.score, expected)
        np.testing.assert_allclose(terms.probability, p)
    assert all(position % 2 for position in choose(sampler, candidates(p, spent=0.0)))
    assert choose(sampler, candidates(p, spent=1.0))[0] == 0
    # the uncertain are weighed alike
    explorer = DiscoverySampler(1.0, 0.5, WEIGHTS)
    flat = np.full(40, 0.5)
    assert all(position % 2 for position in choose(explorer, candidates(flat, spent=0.0)))
    drawn = choose(explorer, candidates(flat, spent=1.0))
    assert 0 < sum(position % 2 for position in drawn) < 10


@pytest.mark.parametrize("kind", [DiscoverySampler, PursuitSampler])
@pytest.mark.parametrize("known", [(), (0, 0, 0), (1,)])
def test_while_one_class_only_is_answered_the_batch_covers_the_pool(known, kind) -> None:
    """Ten heaps in the pool; one of them is known. The model's word counts for nothing."""
    heap = np.arange(200) % 10
    centres = np.random.default_rng(2).normal(size=(10, 4)) * 100
    features = (centres[heap] + np.random.default_rng(3).normal(size=(200, 4))).astype(np.float32)
    p = np.where(heap == 0, 0.9, 0.1)
    seen = np.repeat(features[:1], len(known), axis=0)
    given = candidates(p, known=known, features=features, known_features=seen)
    chosen = choose(kind(), given, k=9)
    heaps = heap[chosen].tolist()
    assert len(set(heaps)) >= 8  # nine by chance are of six
    if known:
        assert 0 not in heaps
    assert len(set(choose(kind(), given, k=200))) == 200


def test_coverage_prefers_what_is_relevant() -> None:
    p = np.full(300, 0.5)
    share = {}
    for weight in (0.0, 1.0, 30.0):
        sampler = DiscoverySampler(weights={"urban": weight})
        given = candidates(p, known=(0, 0))
        chosen = [x for seed in range(5) for x in choose(sampler, given, k=20, seed=seed)]
        share[weight] = np.mean([position % 2 for position in chosen])
    assert share[0.0] == 0
    assert 0.3 < share[1.0] < 0.7
    assert share[30.0] > 0.85


def test_the_batch_may_be_spread_on_the_ground() -> None:
    places = np.stack([np.arange(120) * 10.0, np.zeros(120)], axis=1)
    given = candidates(three_groups(), places=places)
    chosen = choose(DiscoverySampler(0.5, spread=Spread(min_distance=25.0)), given)
    gaps = np.diff(np.sort(places[chosen, 0]))
    assert gaps.min() >= 25


def test_it_needs_a_model_and_sensible_shares() -> None:
    given = candidates([0.5, 0.5], members=None)
    with pytest.raises(ValueError, match="needs probabilities"):
        DiscoverySampler().terms(given)
    with pytest.raises(ConfigError, match=r"explore is 1\.5, but it must be between 0 and 1"):
        DiscoverySampler(1.5)
    with pytest.raises(ConfigError, match="promising is -1"):
        DiscoverySampler(0.1, -1)


def test_it_has_the_settings_of_the_run() -> None:
    settings = AcquisitionSettings(
        strategy="discovery", explore=0.3, promising=0.6, min_distance=50.0
    )
    sampler = build_sampler(settings, "margin", 1, 10)
    assert isinstance(sampler, DiscoverySampler)
    assert (sampler.explore, sampler.promising, sampler.measure) == (0.3, 0.6, "margin")
    assert sampler.spread == Spread("none", 50.0)


def test_rows_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="3 candidates, but members have the shape"):
        candidates([0.5, 0.5, 0.5], members=np.full((1, 2, 2), 0.5))
    with pytest.raises(ValueError, match="3 candidates, but 2 rows of relevance"):
        candidates([0.5, 0.5, 0.5], relevance=np.ones(2))


def test_covering_the_pool_keeps_patches_apart_on_the_ground() -> None:
    """Also while no target is known, neighbours are not asked together."""
    n = 60
    rng = np.random.default_rng(0)
    places = np.stack([np.arange(n) * 10.0, np.zeros(n), np.zeros(n)], axis=1)
    candidates = Candidates(
        pd.DataFrame(index=range(n)),
        np.full((1, n, 2), 0.5, dtype=np.float32),
        features=rng.normal(size=(n, 3)).astype(np.float32),
        places=places,
        known_features=np.zeros((2, 3), dtype=np.float32),
        known_labels=np.zeros(2, dtype=np.int64),
    )
    sampler = DiscoverySampler(spread=Spread(min_distance=50.0))
    chosen = sampler.choose(sampler.terms(candidates), candidates, 8, 0)
    assert len(set(chosen.tolist())) == 8
    assert np.diff(np.sort(places[chosen, 0])).min() >= 50


def test_exploring_gives_way_to_finding_over_the_planned_rounds() -> None:
    shares = [explore_at("ramp", number, 10) for number in range(0, 13)]
    assert shares[0] == pytest.approx(0.6) and shares[10] == shares[12] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in itertools.pairwise(shares[:11]))
    assert explore_at(0.3, 9, 10) == 0.3
    sampler = build_sampler(AcquisitionSettings(strategy="discovery"), "entropy", 5, 10)
    assert isinstance(sampler, DiscoverySampler) and sampler.explore == pytest.approx(0.35)


def test_a_pursuit_is_the_default() -> None:
    sampler = build_sampler(AcquisitionSettings(min_distance=50.0), "margin", 1, 10)
    assert isinstance(sampler, PursuitSampler)
    assert (sampler.measure, sampler.spread) == ("margin", Spread("none", 50.0))


def test_a_pursuit_takes_the_most_probable_while_they_are_probable() -> None:
    p = np.linspace(0, 1, 101)
    chosen = choose(PursuitSampler(), candidates(p, relevance=np.ones(101)))
    assert chosen == [100, 99, 98, 97, 96, 95, 94, 93, 92, 91]


def test_relevance_steers_a_pursuit_too_and_fades_with_what_is_found() -> None:
    p = np.full(40, 0.6)
    p[0] = 0.7  # not urban
    sampler = PursuitSampler(WEIGHTS)
    few, many = (0, 1), (*([0] * 300), *([1] * 95))
    for known, left in (((0, 0), 1.0), (few, 5 / 6), ((0, *[1] * 5), 0.5), (many, 0.05)):
        terms = sampler.terms(candidates(p, known=known, spent=0.5))
        np.testing.assert_allclose(terms.score, p * np.where(np.arange(40) % 2, 3.0, 1.0) ** left)
    assert all(position % 2 for position in choose(sampler, candidates(p, known=few)))
    assert choose(sampler, candidates(p, known=many))[0] == 0
