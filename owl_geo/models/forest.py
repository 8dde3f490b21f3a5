"""A forest as a head: extremely randomised trees (Geurts et al. 2006)."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_TREES = 100
_MOST_SEEDS = np.iinfo(np.int32).max  # scikit-learn draws a tree's seed below this
_GROVES = 5  # members of a forest: the groups in which the trees vote


@cache
def _forest_class() -> Any:
    """Return scikit-learn's forest, which makes its trees in half the time; they are the same.

    On few answers, a tree grows faster than scikit-learn copies and checks its parameters.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

    class Forest(ExtraTreesClassifier):  # type: ignore[misc]
        def _make_estimator(self, append: bool = True, random_state: Any = None) -> Any:
            if append or random_state is None:
                return super()._make_estimator(append, random_state)
            if not hasattr(self, "_like"):
                self._like = super()._make_estimator(append=False)
            tree = copy.copy(self._like)
            tree.random_state = random_state.randint(_MOST_SEEDS)
            return tree

    return Forest


def _forest(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    """Fit the trees; they ignore the places."""
    seen = columns.without_places
    forest = _forest_class()(_TREES, random_state=seed % 2**32).fit(table[:, :seen], labels)

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        rows = np.ascontiguousarray(candidates[:, :seen], dtype=np.float32)
        # bypasses the checks that scikit-learn would repeat for each tree
        trees = np.array([tree.tree_.predict(rows) for tree in forest.estimators_])
        n, classes = trees.shape[1:]
        groves: NDArray[np.float64] = trees.reshape(_GROVES, -1, n, classes).mean(axis=1)
        return groves

    return predict


FOREST = HeadKind(_forest, members=_GROVES)
