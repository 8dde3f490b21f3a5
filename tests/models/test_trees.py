"""Compiled trees say what scikit-learn's say, to the last bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from owl_geo.models import forest
from owl_geo.models.heads import Columns

pytest.importorskip("numba")

from owl_geo.models.trees import Trees


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n", [1, 64, 200])  # rows are asked in blocks of 64
@pytest.mark.parametrize("learnt", [4, 33, 90, 700])  # leaves lie in words of 32
def test_groups_of_trees_vote_as_they_do_one_by_one(n_classes: int, n: int, learnt: int) -> None:
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(learnt, 7)).astype(np.float32).round(1)
    labels = rng.permutation(np.arange(learnt) % n_classes)
    fitted = ExtraTreesClassifier(20, random_state=0).fit(rows, labels)
    asked = rng.normal(size=(n, 7)).astype(np.float32).round(1)
    each = np.array([tree.tree_.predict(asked) for tree in fitted.estimators_])
    votes = each.reshape(5, 4, n, n_classes).mean(axis=1)
    np.testing.assert_array_equal(
        Trees.of([tree.tree_ for tree in fitted.estimators_]).groups(asked, 5), votes
    )


def test_a_tree_of_one_leaf_and_leaves_of_several_classes_vote_too() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(3, size=(60, 2)).astype(np.float32)  # many alike, of both classes
    labels = (np.arange(60) < 1).astype(np.int64)  # a bag without the one has nothing to ask
    forest = ExtraTreesClassifier(20, bootstrap=True, random_state=0).fit(rows, labels)
    counts = [tree.tree_.node_count for tree in forest.estimators_]
    assert min(counts) == 1 < max(counts)
    each = np.array([tree.tree_.predict(rows) for tree in forest.estimators_])
    assert ((each > 0) & (each < 1)).any()
    np.testing.assert_array_equal(
        Trees.of([tree.tree_ for tree in forest.estimators_]).groups(rows, 20), each
    )


def test_a_value_between_two_numbers_of_float32_falls_as_in_float64() -> None:
    rows = np.array([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], dtype=np.float32)
    fitted = ExtraTreesClassifier(20, random_state=0).fit(rows, [0, 1])
    each = np.array([tree.tree_.predict(rows) for tree in fitted.estimators_])
    np.testing.assert_array_equal(
        Trees.of([tree.tree_ for tree in fitted.estimators_]).groups(rows, 20), each
    )


def test_many_candidates_are_asked_by_compiled_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 3)).astype(np.float32)
    predict = forest.FOREST.fit(rows, (rows[:, 0] > 0).astype(np.int64), Columns(3), 0)
    before = predict(rows)
    calls = []
    groups = Trees.groups
    monkeypatch.setattr(
        Trees, "groups", lambda *given: calls.append(len(given[1])) or groups(*given)
    )
    monkeypatch.setattr(forest, "_WORTH_IT_ONCE_LOADED", 100)
    for _ in range(3):
        np.testing.assert_array_equal(predict(rows), before)
    assert calls == [40]  # the last, after 40, 80 and 120
    there = pickle.loads(pickle.dumps(predict))
    assert there._compiled is None
    np.testing.assert_array_equal(there(rows), before)


def test_without_numba_the_trees_of_scikit_learn_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "find_spec", lambda name: None)
    monkeypatch.setattr(forest, "_WORTH_IT_ONCE_LOADED", 0)
    monkeypatch.setattr(forest, "_WORTH_IT", 0)
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    predict = forest.FOREST.fit(rows, (rows[:, 0] > 0).astype(np.int64), Columns(3), 0)
    assert predict(rows).shape == (5, 40, 2)
    assert predict._compiled is None
