"""What is measured once a round: one row of metrics.csv."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BoolArray


@dataclass(frozen=True)
class RoundMetrics:
    """The state in which a round's batch was chosen; not-a-number where nothing can be said."""

    round: int
    n_labeled: int  # patches answered with a class when the model was fitted
    positives_found: int  # of these, how many are of the positive class
    train_loss: float  # mean cross-entropy over the last epoch, nats
    test_auc: float  # ROC AUC of the positive class on the held-out patches
    meta_query_loss: float  # cross-entropy of the adapted weights on the query half, nats
    seconds: float  # wall time of the round, labelling not counted
    n_pool: int  # patches that could still be asked

    def to_json(self) -> dict[str, Any]:
        """Return plain values with None for not-a-number, which JSON does not know."""
        return {name: None if _is_nan(value) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RoundMetrics:
        """Read back what ``to_json`` gave; raises KeyError where a value is missing."""
        return cls(**{f.name: _number(values[f.name]) for f in fields(cls)})


def to_csv(rows: Iterable[RoundMetrics]) -> str:
    """Return the rows as CSV with a header; not-a-number is written as ``nan``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(RoundMetrics)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def roc_auc(is_positive: BoolArray, probability: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve, or not-a-number where only one class is present."""
    if is_positive.all() or not is_positive.any():
        return math.nan
    from sklearn.metrics import roc_auc_score  # a second to import; many commands never need it

    return float(roc_auc_score(is_positive, probability))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(value: float | None) -> Any:
    return math.nan if value is None else value
