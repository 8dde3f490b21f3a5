"""Logistic regression as a head, with a penalty on the squared weights."""

from __future__ import annotations

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_C = 0.1  # inverse strength of the penalty; features have scale 1


def _logistic(table: FloatArray, labels: IntArray, columns: Columns, _seed: int) -> Predict:
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    seen = columns.without_places
    model = LogisticRegression(C=_C, max_iter=1000).fit(table[:, :seen], labels)
    return lambda candidates: model.predict_proba(candidates[:, :seen])[None]


LOGISTIC = HeadKind(_logistic, members=1)
