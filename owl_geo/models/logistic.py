"""Logistic regression as a head, with a penalty on the squared weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_C = 0.1  # inverse strength of the penalty; features have scale 1


def _logistic(table: FloatArray, labels: IntArray, columns: Columns, _seed: int) -> Predict:
    from scipy.special import expit, softmax
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    seen = columns.without_places
    model = LogisticRegression(C=_C, max_iter=1000).fit(table[:, :seen], labels)
    # as wide as the features, which would be copied otherwise
    weights, intercept = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        # without the checks that scikit-learn makes of the candidates
        odds = candidates[:, :seen] @ weights + intercept
        if odds.shape[1] > 1:
            members: NDArray[np.floating[Any]] = softmax(odds, axis=1)[None]
            return members
        target = expit(odds)
        return np.concatenate([1 - target, target], axis=1)[None]

    return predict


LOGISTIC = HeadKind(_logistic, members=1)
