"""What is measured once per round: a row of metrics.csv."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BoolArray, IntArray


@dataclass(frozen=True)
class RoundMetrics:
    """The state in which a round's batch was chosen; not-a-number where a value is undefined."""

    round: int
    n_labeled: int  # patches answered with a class when the model was fitted
    positives_found: int  # how many of these are of the positive class
    train_loss: float  # mean cross-entropy over the last epoch, nats
    test_auc: float  # ROC AUC of the positive class on the held-out patches
    meta_query_loss: float  # cross-entropy of the adapted weights on the query half, nats
    seconds: float  # wall time of the round, without labelling
    n_pool: int  # patches that could still be asked
    test_ap: float = math.nan  # average precision of the positive class on the held-out patches
    test_ece: float = math.nan  # expected calibration error on them
    cv_auc: float = math.nan  # without truth: ROC AUC over the answers, by blocked cross-validation
    stability: float = math.nan  # agreement with the previous model's predictions, Cohen's kappa

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with None for not-a-number, which JSON lacks."""
        return {name: None if _is_nan(value) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RoundMetrics:
        """Read what ``to_json`` returned; raises KeyError or TypeError for anything else."""
        return cls(**{f.name: _number(values[f.name]) for f in fields(cls)})


def to_csv(rows: Iterable[RoundMetrics]) -> str:
    """Return the rows as CSV with a header; not-a-number is written as ``nan``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(RoundMetrics)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def roc_auc(is_positive: BoolArray, probability: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve, or not-a-number if only one class is present."""
    if is_positive.all() or not is_positive.any():
        return math.nan
    from sklearn.metrics import roc_auc_score  # slow to import; many commands never need it

    return float(roc_auc_score(is_positive, probability))


def average_precision(is_positive: BoolArray, probability: NDArray[np.floating]) -> float:
    """Return the mean precision over the ranks of the positives, or not-a-number without any.

    For rare targets it tells more than the ROC AUC: an uninformed model scores the prevalence.
    """
    if not is_positive.any():
        return math.nan
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_positive, probability))


def expected_calibration_error(
    probabilities: NDArray[np.floating], labels: IntArray, bins: int = 10
) -> float:
    """Return how far the confidence of the likeliest class is from its accuracy, 0 to 1.

    ``probabilities`` is ``(n, classes)``, ``labels`` holds class numbers ``(n,)``. The gap between
    mean confidence and accuracy is averaged over bins of equal width, weighted by their number of
    patches (Guo et al. 2017, ICML). Not-a-number without patches; biased upwards in small samples.
    Raises ValueError if the lengths differ.
    """
    if len(probabilities) != len(labels):
        raise ValueError(f"{len(probabilities)} rows of probabilities for {len(labels)} labels")
    if len(labels) == 0:
        return math.nan
    confidence = np.asarray(probabilities.max(axis=1), dtype=np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    # bins are open to the left: a confidence of exactly 1 falls into the last one
    at = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(at, weights=confidence - is_right, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise TypeError(f"{str(value)[:80]!r} is not a number")
    return math.nan if value is None else value
