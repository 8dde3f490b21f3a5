"""Trees are grown as scikit-learn's forest grows them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from owl_geo.models import growing
from owl_geo.models.growing import grow


@pytest.mark.parametrize("in_parts", [True, False])
@pytest.mark.parametrize("drawn", [None, 90, 40])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_trees_are_those_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, n_classes: int, drawn: int | None, in_parts: bool
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, 7)).astype(np.float32)
    labels = rng.permutation(np.arange(90) % n_classes)
    forest = ExtraTreesClassifier(
        12, bootstrap=drawn is not None, max_samples=drawn, random_state=2**32 - 1
    ).fit(rows, labels)
    if in_parts:
        monkeypatch.setattr(growing, "_forest", None)
    else:  # a version of scikit-learn that has other parts
        monkeypatch.setitem(sys.modules, "sklearn.tree._splitter", None)
    grown = grow(rows, labels, 12, seed=2**32 - 1, drawn=drawn)
    for number, (theirs, (ours, bag)) in enumerate(zip(forest.estimators_, grown, strict=True)):
        np.testing.assert_array_equal(ours.threshold, theirs.tree_.threshold)
        np.testing.assert_array_equal(ours.feature, theirs.tree_.feature)
        np.testing.assert_array_equal(ours.value, theirs.tree_.value)
        if drawn is not None:
            np.testing.assert_array_equal(bag, forest.estimators_samples_[number])
