"""A forest as a head: extremely randomised trees (Geurts et al. 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_TREES = 100
_GROVES = 5  # members of a forest: the groups in which the trees vote


def _forest(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    """Fit the trees; they ignore the places."""
    from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

    seen = columns.without_places
    forest = ExtraTreesClassifier(_TREES, random_state=seed % 2**32).fit(table[:, :seen], labels)

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        rows = np.ascontiguousarray(candidates[:, :seen], dtype=np.float32)
        # bypasses the checks that scikit-learn would repeat for each tree
        trees = np.array([tree.tree_.predict(rows) for tree in forest.estimators_])
        n, classes = trees.shape[1:]
        groves: NDArray[np.float64] = trees.reshape(_GROVES, -1, n, classes).mean(axis=1)
        return groves

    return predict


FOREST = HeadKind(_forest, members=_GROVES)
