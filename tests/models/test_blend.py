"""The blend: what each part foresees of an answer, and the calibration that is learned from it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier

from owl_geo.measures.metrics import expected_calibration_error, roc_auc
from owl_geo.models import blend, heads
from owl_geo.models.blend import around, averaged, calibration
from owl_geo.models.forest import FOREST, bagged_forest
from owl_geo.models.gaussian_process import fit_process
from owl_geo.models.heads import Columns
from owl_geo.types import FloatArray, IntArray


def pool(n: int = 1500, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """One patch in five is a target, and two features tell most of them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 6)).astype(np.float32)
    told = features[:, 0] + 0.7 * features[:, 1] + rng.normal(size=n)
    return features, (told > np.quantile(told, 0.8)).astype(np.int64)


def fit(kind: str, features: FloatArray, labels: IntArray) -> heads.Head:
    return heads.fit(kind, features, labels, Columns(6), n_classes=2, seed=0)


def test_the_process_foresees_an_answer_as_a_fit_without_it_does() -> None:
    features, labels = pool(40)
    process = fit_process(features, labels, Columns(6), 0)
    kernel = process.binary[0].kernel_
    rows = features.astype(np.float64)
    without = []
    for out in range(20):
        rest = np.arange(40) != out
        one = GaussianProcessClassifier(kernel, optimizer=None).fit(rows[rest], labels[rest])
        without.append(one.predict_proba(rows[[out]])[0, 1])
    assert np.abs(process.foreseen()[:20, 1] - without).max() < 0.02
    seen = process.predict(features)[0, :20, 1]
    assert np.abs(seen - without).max() > 0.05


def test_three_classes_are_foreseen_too() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(45) % 3
    features = (np.eye(3)[labels] * 4 + rng.normal(size=(45, 3))).astype(np.float32)
    foreseen = fit_process(features, labels, Columns(3), 0).foreseen()
    np.testing.assert_allclose(foreseen.sum(axis=1), 1)
    assert (foreseen.argmax(axis=1) == labels).mean() > 0.9


def test_trees_that_have_not_seen_an_answer_do_not_know_it() -> None:
    features, _ = pool(80)
    chance = np.random.default_rng(1).integers(2, size=80)
    predict, unseen = bagged_forest(features, chance, Columns(6), 0)
    right = (unseen.argmax(axis=1) == chance).mean()
    assert right < 0.65 < (predict(features).mean(axis=0).argmax(axis=1) == chance).mean()
    np.testing.assert_allclose(unseen.sum(axis=1), 1)


def test_what_a_search_found_does_not_make_it_too_bold() -> None:
    """The answers are the most probable patches, as a search chooses them, and a few others."""
    errors: dict[str, list[float]] = {"committee": [], "blend": []}
    for seed in (1, 2):
        features, labels = pool(2500, seed)
        asked = np.arange(20)
        for number in range(5):
            drawn = np.arange(20 + 3 * number, 23 + 3 * number)
            left = np.setdiff1d(np.arange(1500), [*asked, *drawn])
            said = fit("logistic", features[asked], labels[asked])(features[left]).mean(axis=0)
            best = left[np.argsort(-said[:, 1])[:27]]
            asked = np.concatenate([asked, drawn, best])
        for kind, found in errors.items():
            said = fit(kind, features[asked], labels[asked])(features[1500:]).mean(axis=0)
            found.append(expected_calibration_error(said, labels[1500:]))
    assert np.mean(errors["blend"]) < 0.05
    assert np.mean(errors["blend"]) < 0.75 * np.mean(errors["committee"])


def test_a_calibration_finds_what_was_done_to_true_probabilities() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 1.5, size=4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    bold = 2 * odds + 1
    logs = np.stack([np.zeros(4000), bold], axis=1)
    factor, shift = calibration(logs, labels, np.ones(4000))
    assert factor == pytest.approx(0.5, abs=0.05)
    assert shift[1] - shift[0] == pytest.approx(-0.5, abs=0.15)
    few, small = calibration(logs[:2], labels[:2], np.ones(2))
    assert few == pytest.approx(1, abs=0.3)
    assert np.abs(small).max() < 0.5
    # an answer that stands for three is as good as three
    often = np.repeat(np.arange(50), 3)
    thrice = calibration(logs[:50], labels[:50], np.full(50, 3.0))
    again = calibration(logs[often], labels[often], np.ones(150))
    assert thrice[0] == pytest.approx(again[0], abs=1e-4)


def test_the_order_of_two_classes_is_that_of_the_mean_odds() -> None:
    features, labels = pool(300)
    head = heads.fit("blend", features[:60], labels[:60], Columns(6), n_classes=2, seed=3)
    parts = [
        fit_process(features[:60], labels[:60], Columns(6), 3).predict(features[60:])[0],
        FOREST.fit(features[:60], labels[:60], Columns(6), 3)(features[60:]).mean(axis=0),
    ]
    logs = averaged(np.stack(parts))
    order = np.argsort(logs[:, 1] - logs[:, 0], kind="stable")
    said = head(features[60:]).mean(axis=0)[order, 1]
    assert (np.diff(said) > -1e-6).all()


def test_members_are_moved_around_their_new_mean() -> None:
    members = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])
    mean = np.array([[0.95, 0.05], [0.2, 0.8]])
    moved = around(members, mean)
    np.testing.assert_allclose(moved.mean(axis=0), mean)
    np.testing.assert_allclose(moved[:, 0], [[1.0, 0.0], [0.9, 0.1]])
    np.testing.assert_allclose(moved[:, 1], [[0.2, 0.8], [0.2, 0.8]])


def test_many_answers_take_a_forest_that_judges_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tree then sees some of the answers, so that its time does not grow with them."""
    features, labels = pool(500)
    monkeypatch.setattr(blend, "MOST_IN_A_BAG", 300)
    monkeypatch.setattr(blend, "FOREST", None)  # whose fit would fail
    head = fit("blend", features[:400], labels[:400])
    said = head(features[400:]).mean(axis=0)
    assert roc_auc(labels[400:] == 1, said[:, 1]) > 0.75


@pytest.mark.filterwarnings("error")
def test_many_classes_of_few_answers_are_fitted_without_a_word() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    labels = np.arange(40) % 25
    FOREST.fit(rows, labels, Columns(3), 0)
    bagged_forest(rows, labels, Columns(3), 0)
