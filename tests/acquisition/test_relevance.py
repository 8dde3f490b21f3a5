"""Concepts as numbers, and relevance that starts at the weights and follows the answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from owl_geo import SyntheticSource
from owl_geo.acquisition.relevance import LearnedRelevance, learn_relevance
from owl_geo.acquisition.samplers import concept_relevance
from owl_geo.concepts.encoding import encode, fit_encoding
from owl_geo.errors import ConfigError
from owl_geo.measures.metrics import roc_auc

RIGHT = {"urban": 2.0, "near_industrial": 3.0}
WRONG = {"water": 5.0}
NOBODY = np.array([], dtype=np.int64)


def pool(seed: int, n: int = 500) -> tuple[pd.DataFrame, np.ndarray]:
    """Concepts and truth of a synthetic pool."""
    source = SyntheticSource(n, image_size=4, n_bands=1, seed=seed)
    concepts = source.concepts.assign(
        urban=(source.concepts["land_cover"] == "urban").to_numpy(),
        water=(source.concepts["land_cover"] == "water").to_numpy(),
        near_industrial=(source.concepts["dist_industrial"] < 0.3).to_numpy(),
    )
    return concepts, source.labels == 1


def learned(
    concepts: pd.DataFrame,
    weights: Mapping[str, float],
    answered: np.ndarray = NOBODY,
    is_positive: np.ndarray | None = None,
) -> tuple[LearnedRelevance, np.ndarray]:
    """The model, and the relevance of the whole pool."""
    encoded = encode(concepts)
    answers = np.zeros(len(answered), dtype=bool) if is_positive is None else is_positive
    model = learn_relevance(concepts, encoded.matrix, encoded.names, weights, answered, answers)
    return model, model.relevance(concepts, encoded.matrix)


class TestEncoding:
    def test_a_column_for_each_class_yes_and_number_in_the_order_declared(self) -> None:
        table = pd.DataFrame(
            {
                "cover": np.array(["water", "unknown", "urban", "water"], dtype=object),
                "near": [True, False, False, True],
                "share": [0.0, 0.25, 1.0, 0.5],
                "nothing": [7.0, 7.0, 7.0, 7.0],
                "never": [False] * 4,
            }
        )
        encoded = encode(table)
        assert encoded.names == ("cover=unknown", "cover=urban", "cover=water", "near", "share")
        assert fit_encoding(table).conditions == {
            "cover=unknown": "cover is unknown",
            "cover=urban": "cover is urban",
            "cover=water": "cover is water",
            "near": "near is yes",
            "share": "share is 1 rather than 0",
        }
        assert encoded.matrix.dtype == np.float32
        assert encoded.matrix.tolist() == [
            [0, 0, 1, 1, 0.0],
            [1, 0, 0, 0, 0.25],
            [0, 1, 0, 0, 1.0],
            [0, 0, 1, 1, 0.5],
        ]

    def test_metres_are_taken_by_their_logarithm_to_a_robust_scale(self) -> None:
        metres = np.random.default_rng(0).lognormal(8, 1, 4000)
        column = encode(pd.DataFrame({"d": metres})).matrix[:, 0]
        assert np.median(column) == pytest.approx(0, abs=1e-6)
        assert np.quantile(column, 0.84) == pytest.approx(1, abs=0.1)
        assert np.corrcoef(column, np.log(metres))[0, 1] > 0.999

    def test_one_stray_value_neither_shifts_the_rest_nor_stands_far_out(self) -> None:
        metres = np.random.default_rng(0).lognormal(8, 1, 400)
        before = encode(pd.DataFrame({"d": metres})).matrix[1:, 0]
        metres[0] = 1e30
        after = encode(pd.DataFrame({"d": metres})).matrix[:, 0]
        assert after.max() <= 5
        np.testing.assert_allclose(after[1:], before, atol=0.02)

    def test_missing_numbers_are_nothing_plus_a_column_that_says_so(self) -> None:
        table = pd.DataFrame({"d": [100.0, np.nan, 900.0, np.inf], "e": [1.0, 3.0, 4.0, 8.0]})
        encoded = encode(table)
        assert encoded.names == ("d", "d missing", "e")
        told = fit_encoding(table).conditions
        assert told["d missing"] == "d is not known"
        assert told["d"] == "d is higher by one typical spread"
        assert encoded.matrix[:, 1].tolist() == [0, 1, 0, 1]
        assert encoded.matrix[[1, 3], 0].tolist() == [0, 0]
        assert np.isfinite(encoded.matrix).all()

    def test_a_category_without_a_value_is_unknown(self) -> None:
        cover = pd.Series(["water", None, np.nan], dtype=object)
        assert encode(pd.DataFrame({"cover": cover})).names == ("cover=unknown", "cover=water")

    def test_below_zero_there_is_no_logarithm(self) -> None:
        values = np.arange(-50.0, 51.0)
        column = encode(pd.DataFrame({"mean": values})).matrix[:, 0]
        assert np.corrcoef(column, values)[0, 1] == pytest.approx(1)

    def test_a_subset_has_the_rows_of_the_whole_pool(self) -> None:
        concepts, _ = pool(3)
        concepts["dist_industrial"] *= 5000
        encoding = fit_encoding(concepts)
        rows = np.array([400, 3, 77])
        some = encoding.encode(concepts.iloc[rows])
        np.testing.assert_array_equal(some.matrix, encode(concepts).matrix[rows])
        assert some.names == encoding.names

    def test_the_order_of_patches_does_not_matter(self) -> None:
        concepts, _ = pool(3)
        rows = np.random.default_rng(0).permutation(len(concepts))
        shuffled = encode(concepts.iloc[rows])
        assert shuffled.names == encode(concepts).names
        np.testing.assert_allclose(shuffled.matrix, encode(concepts).matrix[rows], atol=1e-6)

    def test_what_the_pool_did_not_have(self) -> None:
        encoding = fit_encoding(
            pd.DataFrame({"cover": ["a", "b"], "d": [5.0, 20.0]}).astype({"cover": object})
        )
        other = pd.DataFrame({"cover": ["c"], "d": [-3.0]}).astype({"cover": object})
        row = encoding.encode(other).matrix[0]
        assert row[:2].tolist() == [0, 0]
        assert np.isfinite(row).all()
        with pytest.raises(ConfigError, match="lacks concept 'd'"):
            encoding.encode(other[["cover"]])

    def test_without_patches_or_concepts_there_are_no_columns(self) -> None:
        assert encode(pd.DataFrame(index=range(3))).matrix.shape == (3, 0)
        assert encode(pool(1)[0].iloc[:0]).matrix.shape == (0, 0)
        assert encode(pool(1)[0].iloc[:1]).matrix.shape == (1, 0)


class TestWithoutAnswers:
    @pytest.mark.parametrize("weights", [RIGHT, WRONG, {"urban": 0.25, "water": 7.0}, {}])
    def test_the_ranks_are_those_of_the_weights(self, weights: dict[str, float]) -> None:
        concepts, _ = pool(1)
        relevance = learned(concepts, weights)[1]
        ratio = relevance / concept_relevance(concepts, weights)
        np.testing.assert_allclose(ratio, ratio[0])
        assert np.median(relevance) == pytest.approx(1)

    def test_explained_by_the_weights(self) -> None:
        factors = {f.name: f for f in learned(pool(1)[0], RIGHT)[0].explain()}
        assert factors["near_industrial"].factor == pytest.approx(3)
        assert factors["near_industrial"].prior == pytest.approx(np.log(3))
        assert factors["land_cover=water"].factor == 1


@pytest.fixture(scope="module")
def areas() -> dict[str, tuple[float, float]]:
    """Mean AUC on unanswered patches of (fixed, learned), after 110 random answers."""
    measured: dict[str, list[tuple[float, float]]] = {"right": [], "wrong": []}
    for seed in range(200, 216):
        concepts, positive = pool(seed)
        order = np.random.default_rng(seed).permutation(len(concepts))
        asked, rest = order[:110], order[110:]
        for word, weights in (("right", RIGHT), ("wrong", WRONG)):
            fixed = concept_relevance(concepts, weights)
            relevance = learned(concepts, weights, asked, positive[asked])[1]
            measured[word].append(
                (
                    roc_auc(positive[rest], fixed[rest]),
                    roc_auc(positive[rest], relevance[rest]),
                )
            )
    return {word: tuple(np.mean(pairs, axis=0)) for word, pairs in measured.items()}


class TestAnswers:
    def test_wrong_weights_are_unlearned(self, areas) -> None:
        fixed, taught = areas["wrong"]
        assert fixed < 0.5
        assert taught > 0.74

    def test_right_weights_are_kept(self, areas) -> None:
        fixed, taught = areas["right"]
        assert fixed > 0.75
        assert taught > fixed - 0.02

    def test_the_truth_of_the_rest_teaches_nothing(self) -> None:
        concepts, positive = pool(5)
        asked = np.arange(60)
        one = learned(concepts, RIGHT, asked, positive[asked])[1]
        elsewhere = concepts.sample(frac=1, random_state=0)  # the same pool, other neighbours
        where = np.array([elsewhere.index.get_loc(i) for i in asked])
        other = learned(elsewhere, RIGHT, where, positive[asked])[1]
        np.testing.assert_allclose(other, one[elsewhere.index], rtol=1e-4)

    def test_more_answers_weigh_more_than_the_prior(self) -> None:
        concepts, _ = pool(6)
        rows = np.arange(400)
        never = concepts["water"].to_numpy()[rows]
        factors = []
        for n in (0, 20, 100, 400):
            model = learned(concepts, WRONG, rows[:n], ~never[:n])[0]
            water = {f.name: f.coefficient for f in model.explain()}
            factors.append(water["water"] + water["land_cover=water"])
        assert factors == sorted(factors, reverse=True)
        assert factors[0] > 1
        assert factors[-1] < -1

    def test_it_is_the_maximum_of_likelihood_times_prior(self) -> None:
        from scipy.optimize import minimize

        concepts, positive = pool(7)
        asked = np.arange(50)
        encoded = encode(concepts)
        model = learn_relevance(
            concepts, encoded.matrix, encoded.names, RIGHT, asked, positive[asked], spread=0.8
        )
        x = encoded.matrix.astype(np.float64)
        centred = (x - x.mean(axis=0))[asked]
        offset = np.log(concept_relevance(concepts, RIGHT))[asked]
        y = positive[asked].astype(float)
        rate = (y.sum() + 0.5) / (len(y) + 1)
        start = np.log(rate / (1 - rate)) - offset.mean()

        def loss(c: np.ndarray) -> float:
            z = offset + c[0] + centred @ c[1:]
            penalty = (c[1:] ** 2).sum() / (2 * 0.8**2) + (c[0] - start) ** 2 / (2 * 2.5**2)
            return float(np.logaddexp(0, z).sum() - y @ z + penalty)

        best = minimize(loss, np.zeros(x.shape[1] + 1), tol=1e-10).x[1:]
        np.testing.assert_allclose(model.shift, best, atol=1e-4)

    def test_the_same_answers_the_same_relevance(self) -> None:
        concepts, positive = pool(8)
        asked = np.arange(110)
        one, other = (learned(concepts, RIGHT, asked, positive[asked])[1] for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_a_subset_of_the_pool_keeps_its_values(self) -> None:
        concepts, positive = pool(8)
        asked = np.arange(110)
        model, whole = learned(concepts, RIGHT, asked, positive[asked])
        rows = np.arange(300, 350)
        part = model.relevance(concepts.iloc[rows], encode(concepts).matrix[rows])
        np.testing.assert_allclose(part, whole[rows])


class TestEdges:
    def test_never_wanted_stays_never_wanted(self) -> None:
        concepts, _ = pool(9)
        asked = np.arange(200)
        water = concepts["water"].to_numpy()
        model, relevance = learned(concepts, {"water": 0.0, "urban": 2.0}, asked, water[asked])
        assert (relevance[water] == 0).all()
        assert (relevance[~water] > 0).all()
        assert model.n_answers == (~water[asked]).sum()
        assert {f.name: f.factor for f in model.explain()}["water"] == 0

    def test_everything_unwanted(self) -> None:
        concepts, positive = pool(9, 20)
        concepts["all"] = True
        asked = np.arange(10)
        assert (learned(concepts, {"all": 0.0}, asked, positive[asked])[1] == 0).all()

    @pytest.mark.parametrize("answer", [True, False])
    def test_one_class_only(self, answer: bool) -> None:
        concepts, _ = pool(10)
        asked = np.flatnonzero(concepts["near_industrial"])[:40]
        relevance = learned(concepts, {"urban": 2.0}, asked, np.full(40, answer))[1]
        near = concepts["near_industrial"].to_numpy()
        assert np.isfinite(relevance).all()
        # all that was seen is near: what it was is what nearness now stands for
        assert (relevance[near].mean() > relevance[~near].mean()) == answer

    def test_missing_values_do_not_stop_it(self) -> None:
        concepts, positive = pool(11)
        concepts["dist_industrial"] = concepts["dist_industrial"].mask(positive)
        asked = np.arange(110)
        model, relevance = learned(concepts, {}, asked, positive[asked])
        assert {f.name: f.factor for f in model.explain()}["dist_industrial missing"] > 3
        assert np.isfinite(relevance).all()
        assert roc_auc(positive[110:], relevance[110:]) > 0.95

    @pytest.mark.parametrize("n", [0, 1])
    def test_a_pool_of_one_patch_or_none(self, n: int) -> None:
        concepts, positive = pool(12, 5)
        concepts = concepts.iloc[:n]
        assert learned(concepts, RIGHT)[1].tolist() == [1.0] * n
        asked = np.arange(n)
        assert learned(concepts, RIGHT, asked, positive[:n])[1].tolist() == [1.0] * n

    def test_weights_far_apart_stay_finite(self) -> None:
        concepts, positive = pool(13)
        asked = np.arange(50)
        weights = {"urban": 1e200, "near_industrial": 1e-200}
        relevance = learned(concepts, weights, asked, positive[asked])[1]
        assert np.isfinite(relevance).all()
        assert (relevance >= 0).all()

    def test_a_weight_on_no_concept(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'urban'"):
            learned(pool(1)[0], {"urbann": 2.0})

    def test_shapes_that_do_not_agree(self) -> None:
        concepts, _ = pool(1)
        encoded = encode(concepts)
        with pytest.raises(ValueError, match="2 patches are answered, with 1"):
            learned(concepts, {}, np.arange(2), np.array([True]))
        with pytest.raises(ValueError, match="a row per patch"):
            learn_relevance(
                concepts.iloc[:3], encoded.matrix, encoded.names, {}, NOBODY, NOBODY.astype(bool)
            )
