"""Uncertainty, relevance, scores and the choice; one template over every strategy."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from owl_geo import ConceptWeightedSampler, RandomSampler, UncertaintySampler, entropy
from owl_geo.acquisition.candidates import Candidates, Terms
from owl_geo.acquisition.samplers import (
    GreedySampler,
    PowerSampler,
    concept_relevance,
    unit_range,
)
from owl_geo.acquisition.selection import top
from owl_geo.acquisition.steered import DiscoverySampler
from owl_geo.acquisition.strategies import alpha_at, build_sampler
from owl_geo.errors import ConfigError
from owl_geo.schema import WHY_COLUMNS
from owl_geo.settings.acquisition import AcquisitionSettings

WEIGHTS = {"urban": 2.0, "near_industrial": 3.0}
SAMPLERS = [
    RandomSampler(WEIGHTS),
    UncertaintySampler(WEIGHTS),
    ConceptWeightedSampler(0.0, WEIGHTS),
    ConceptWeightedSampler(0.5, WEIGHTS),
    ConceptWeightedSampler(1.0, WEIGHTS),
    PowerSampler(1.0, 2.0, 0.5, WEIGHTS),
    GreedySampler(WEIGHTS),
    DiscoverySampler(0.2, 0.5, WEIGHTS),
]


def test_a_batch_can_show_each_term_of_a_score() -> None:
    assert [column.name for column in WHY_COLUMNS] == [term.name for term in fields(Terms)]


def pool(n: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n)
    concepts = pd.DataFrame(
        {
            "land_cover": rng.choice(["urban", "water"], n).astype(object),
            "urban": rng.random(n) < 0.4,
            "near_industrial": rng.random(n) < 0.3,
        }
    )
    return np.stack([1 - positive, positive], axis=1), concepts


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: f"{type(s).__name__}")
class TestEveryStrategy:
    def test_ranks_without_repeats(self, sampler) -> None:
        probabilities, concepts = pool(50)
        chosen = sampler.query(probabilities, concepts, batch_size=12, random_state=0)
        assert len(set(chosen.tolist())) == 12
        assert chosen.min() >= 0
        assert chosen.max() < 50

    def test_a_budget_above_the_pool_takes_the_whole_pool(self, sampler) -> None:
        probabilities, concepts = pool(5)
        chosen = sampler.query(probabilities, concepts, batch_size=99, random_state=0)
        assert sorted(chosen.tolist()) == [0, 1, 2, 3, 4]

    def test_a_negative_budget_is_refused(self, sampler) -> None:
        with pytest.raises(ValueError, match="batch_size is -1, but it must not be negative"):
            sampler.query(*pool(20), batch_size=-1, random_state=0)

    def test_an_empty_pool_gives_an_empty_batch(self, sampler) -> None:
        probabilities, concepts = pool(0)
        assert len(sampler.query(probabilities, concepts, batch_size=3)) == 0

    def test_one_seed_one_choice(self, sampler) -> None:
        probabilities, concepts = pool(40)
        probabilities[:] = 0.5  # all equal: only the seed decides
        concepts[["urban", "near_industrial"]] = False
        choices = [
            tuple(sampler.query(probabilities, concepts, batch_size=6, random_state=seed))
            for seed in (3, 3, 4, np.random.default_rng(3))
        ]
        assert choices[0] == choices[1] == choices[3]
        assert choices[0] != choices[2]

    def test_the_order_of_the_pool_does_not_matter(self, sampler) -> None:
        if isinstance(sampler, RandomSampler):
            return  # a draw by position is a draw by position
        probabilities, concepts = pool(60)
        concepts["urban"] = np.arange(60) % 2 == 0
        order = np.random.default_rng(1).permutation(60)
        scores = sampler.terms(Candidates(concepts, probabilities[None])).score
        there = Candidates(concepts.iloc[order], probabilities[order][None])
        shuffled = sampler.terms(there).score
        np.testing.assert_allclose(scores[order], shuffled)


def test_the_rule_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    concepts = pd.DataFrame({"urban": [False, True, True], "near_industrial": [False, True, False]})
    terms = ConceptWeightedSampler(0.5, WEIGHTS).terms(Candidates(concepts, probabilities[None]))
    doubt = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(terms.uncertainty, [np.log(2), 0, doubt])
    np.testing.assert_allclose(terms.relevance, [1, 6, 2])
    np.testing.assert_allclose(terms.score, [0.5, 0.5, 0.5 * doubt / np.log(2) + 0.5 * 0.2])


def test_alpha_one_is_uncertainty_and_alpha_zero_relevance() -> None:
    probabilities, concepts = pool(30)
    sure = ConceptWeightedSampler(1.0, WEIGHTS).query(probabilities, concepts, batch_size=30)
    assert (
        sure.tolist() == UncertaintySampler().query(probabilities, concepts, batch_size=30).tolist()
    )
    relevant = ConceptWeightedSampler(0.0, WEIGHTS)
    chosen = relevant.query(None, concepts, batch_size=5, random_state=0)
    relevance = concept_relevance(concepts, WEIGHTS)
    assert relevance[chosen].min() >= np.sort(relevance)[-5]
    assert not relevant.needs_model


def test_the_random_strategy_ignores_scores() -> None:
    probabilities, concepts = pool(1000)
    probabilities[:10] = 0.5
    first = [
        RandomSampler().query(probabilities, concepts, batch_size=10, random_state=seed)
        for seed in range(200)
    ]
    share = np.mean([(chosen < 100).mean() for chosen in first])
    assert share == pytest.approx(0.1, abs=0.03)
    assert not RandomSampler().needs_model


def test_return_utilities_as_scikit_activeml_does() -> None:
    probabilities, concepts = pool(9)
    chosen, utilities = UncertaintySampler().query(
        probabilities, concepts, batch_size=2, random_state=0, return_utilities=True
    )
    assert utilities.shape == (9,)
    assert set(chosen) == set(np.argsort(utilities)[-2:])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 40))
def test_top_takes_the_best(values: list[float], k: int) -> None:
    scores = np.array(values)
    chosen = top(scores, k, 0)
    assert len(chosen) == min(k, len(values))
    rest = np.delete(scores, chosen)
    if len(chosen) and len(rest):
        assert scores[chosen].min() >= rest.max()
    assert (np.diff(scores[chosen]) <= 0).all()


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 3 scores"):
        top(np.array([0.0, np.nan, 1.0]), 1)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_unit_range(values: list[float]) -> None:
    scaled = unit_range(np.array(values))
    assert scaled.min() == 0
    assert scaled.max() == (1 if max(values) > min(values) else 0)


def test_a_constant_uncertainty_leaves_the_choice_to_relevance() -> None:
    _, concepts = pool(20)
    flat = np.full((20, 2), 0.5)
    chosen = ConceptWeightedSampler(0.5, WEIGHTS).query(flat, concepts, batch_size=3)
    relevance = concept_relevance(concepts, WEIGHTS)
    assert relevance[chosen].min() >= np.sort(relevance)[-3]


@given(st.integers(2, 6), st.integers(1, 20), st.integers(0, 2**31))
def test_entropy_lies_between_nothing_and_log_classes(classes: int, n: int, seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(classes), n)
    h = entropy(p)
    assert ((h >= 0) & (h <= np.log(classes) + 1e-9)).all()


@pytest.mark.parametrize("bad", [[[0.5, 0.6]], [[-0.1, 1.1]], [[np.nan, 1.0]], [0.5, 0.5]])
def test_entropy_refuses_what_is_no_distribution(bad) -> None:
    with pytest.raises(ValueError, match="probabilities must"):
        entropy(np.array(bad))


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf])
def test_a_weight_is_a_finite_number(weight: float) -> None:
    with pytest.raises(ConfigError, match=f"the weight of 'urban' is {weight:g}, but it must be"):
        ConceptWeightedSampler(weights={"urban": weight})


def test_probabilities_without_classes_are_refused() -> None:
    concepts = pd.DataFrame({"urban": [True, False]})
    with pytest.raises(ValueError, match=r"have the shape \(2,\), not \(members, candidates"):
        ConceptWeightedSampler().query(np.array([0.1, 0.9]), concepts)


@pytest.mark.parametrize(
    ("round_number", "wanted"), [(0, 0.3), (1, 0.4), (5, 0.8), (7, 1.0), (10, 1.0), (99, 1.0)]
)
def test_the_ramp(round_number: int, wanted: float) -> None:
    assert alpha_at("ramp", round_number, 10) == pytest.approx(wanted)
    assert alpha_at(0.25, round_number, 10) == 0.25


def test_build_sampler_takes_the_ramp_of_the_round() -> None:
    settings = AcquisitionSettings(strategy="concept", alpha="ramp", weights={"urban": 2.0})
    sampler = build_sampler(settings, "entropy", 4, 10)
    assert isinstance(sampler, ConceptWeightedSampler)
    assert sampler.alpha == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("weights", "text"),
    [({"urbann": 2.0}, "did you mean 'urban'"), ({"land_cover": 2.0}, "not a yes/no concept")],
)
def test_weights_name_yes_no_concepts(weights: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        concept_relevance(pool(4)[1], weights)


def test_alpha_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"alpha is 1\.5"):
        ConceptWeightedSampler(1.5)


def test_one_member_cannot_be_compared_with_others() -> None:
    sampler = UncertaintySampler(measure="mutual_information")
    concepts = pd.DataFrame(index=range(3))
    alone = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match="mutual_information compares 2 members or more, not 1"):
        sampler.query(alone, concepts)
    several = np.array([alone, [[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]]])
    assert sampler.query(several, concepts).tolist() == [0]
