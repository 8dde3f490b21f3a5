"""How unsure a model is: known values, and what holds for any probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from owl_geo.measures import uncertainty as uncertainty_module
from owl_geo.measures.uncertainty import (
    entropy,
    greatest,
    least_confidence,
    margin,
    mutual_information,
    uncertainty,
)
from owl_geo.settings.choices import MEASURES

LOG2 = np.log(2)


def entropy_of(*p: float) -> float:
    return float(-sum(x * np.log(x) for x in p if x > 0))


def test_margin_by_hand() -> None:
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8]])
    np.testing.assert_allclose(margin(p), [1.0, 0.0, 0.4])
    # only the two most probable count
    np.testing.assert_allclose(margin(np.array([[0.5, 0.3, 0.2], [0.3, 0.2, 0.5]])), [0.8, 0.8])


def test_least_confidence_by_hand() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(least_confidence(p), [0.5, 0.0, 2 / 3])


def test_the_measures_disagree_among_three_classes() -> None:
    """A close race of two, and one leader before two others: which of them is the more unsure?"""
    p = np.array([[0.49, 0.47, 0.04], [0.45, 0.28, 0.27]])
    assert margin(p).argmax() == 0
    assert least_confidence(p).argmax() == 1
    assert entropy(p).argmax() == 1


def test_mutual_information_by_hand() -> None:
    certain = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])  # each is sure, of another class
    np.testing.assert_allclose(mutual_information(certain), [LOG2])
    unsure = np.full((4, 1, 2), 0.5)  # all agree that nobody knows
    np.testing.assert_allclose(mutual_information(unsure), [0.0], atol=1e-12)
    mixed = np.array([[[0.9, 0.1]], [[0.3, 0.7]], [[0.6, 0.4]]])
    each = np.mean([entropy_of(0.9, 0.1), entropy_of(0.3, 0.7), entropy_of(0.6, 0.4)])
    np.testing.assert_allclose(mutual_information(mixed), [entropy_of(0.6, 0.4) - each])


@pytest.mark.parametrize("measure", MEASURES)
def test_many_patches_are_looked_at_in_parts(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    members = np.random.default_rng(0).dirichlet(np.ones(3), (5, 20)).astype(np.float32)
    whole = uncertainty(members, measure)
    monkeypatch.setattr(uncertainty_module, "_AT_ONCE", 6)
    assert np.array_equal(uncertainty(members, measure), whole)


def test_all_but_mutual_information_look_at_the_mean_of_the_members() -> None:
    members = np.random.default_rng(0).dirichlet(np.ones(3), (5, 20))
    mean = members.mean(axis=0)
    np.testing.assert_allclose(uncertainty(members), entropy(mean))
    np.testing.assert_allclose(uncertainty(members, "margin"), margin(mean))
    np.testing.assert_allclose(uncertainty(members, "least_confidence"), least_confidence(mean))
    said = uncertainty(members, "mutual_information")
    np.testing.assert_allclose(said, mutual_information(members))
    assert (said < entropy(mean)).all()


members_of = st.tuples(
    st.integers(1, 5), st.integers(1, 8), st.integers(2, 6), st.integers(0, 2**31)
)


@given(members_of, st.floats(0.05, 5))
def test_bounds(shape: tuple[int, int, int, int], sharpness: float) -> None:
    n_members, n, classes, seed = shape
    rng = np.random.default_rng(seed)
    members = rng.dirichlet(np.full(classes, sharpness), (n_members, n))
    for measure in MEASURES:
        said = uncertainty(members, measure)
        assert said.shape == (n,)
        assert ((said >= 0) & (said <= greatest(measure, classes) + 1e-9)).all()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_greatest_is_reached_where_nothing_is_known(classes: int) -> None:
    even = np.full((1, 1, classes), 1 / classes)
    apart = np.eye(classes)[:, None, :]  # each member is sure, of another class
    for measure in MEASURES:
        members = apart if measure == "mutual_information" else even
        assert uncertainty(members, measure) == pytest.approx(greatest(measure, classes))


@given(members_of)
def test_the_names_of_classes_and_members_do_not_matter(shape: tuple[int, int, int, int]) -> None:
    n_members, n, classes, seed = shape
    rng = np.random.default_rng(seed)
    members = rng.dirichlet(np.ones(classes), (n_members, n))
    shuffled = members[rng.permutation(n_members)][:, :, rng.permutation(classes)]
    for measure in MEASURES:
        expected = uncertainty(members, measure)
        np.testing.assert_allclose(uncertainty(shuffled, measure), expected, atol=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", [[[0.5, 0.6]], [[-0.1, 1.1]], [[np.nan, 1.0]]])
def test_what_is_no_distribution_is_refused(measure: str, bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="probabilities must be finite"):
        uncertainty(np.array([bad]), measure)


def test_a_single_table_is_no_set_of_members() -> None:
    with pytest.raises(ValueError, match=r"shape \(members, n, classes\)"):
        uncertainty(np.full((3, 2), 0.5))
