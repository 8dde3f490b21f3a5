"""Models for scikit-activeml that were fitted elsewhere and look up given probabilities.

A strategy passes rows to a model and gets probabilities back. Here the last column of each row is
its number, and the model returns what is given for that number. So all strategies use the same
model, and none trains its own. Imported only if scikit-activeml is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skactiveml.base import SkactivemlClassifier
from skactiveml.classifier import MixtureModelClassifier, ParzenWindowClassifier
from sklearn.mixture import GaussianMixture

from owl_geo.types import IntArray

Matrix = NDArray[np.float64]

_COMPONENTS = 5


def numbered(features: Matrix) -> Matrix:
    """Append each row's number as the last column, ``(n, d)`` -> ``(n, d + 1)``."""
    return np.column_stack([features, np.arange(len(features), dtype=np.float64)])


class GivenProbabilities(SkactivemlClassifier):  # type: ignore[misc]  # untyped base
    """Returns the given probabilities ``(n, classes)`` of numbered rows.

    With ``embeddings`` it also returns the rows without their numbers, for the strategies that
    measure distances, which must not include the numbers.
    """

    def __init__(self, given: Matrix, embeddings: bool = False) -> None:
        super().__init__(classes=list(range(given.shape[1])))
        self.given = given
        self.embeddings = embeddings

    def fit(self, X: Matrix, y: Matrix, sample_weight: Matrix | None = None) -> GivenProbabilities:
        """Do nothing: the model was fitted elsewhere."""
        return self

    def predict_proba(self, X: Matrix, **_: Any) -> Matrix | tuple[Matrix, Matrix]:
        """Return ``(m, classes)``, and with embeddings ``(m, d)`` too."""
        probabilities = self.given[_numbers(X)]
        return (probabilities, X[:, :-1]) if self.embeddings else probabilities


class GivenFrequencies(ParzenWindowClassifier):  # type: ignore[misc]  # untyped base
    """Splits the evidence at each numbered row, a count of answers nearby, by given probabilities.

    A Parzen window (Chapelle 2005) tells how much evidence there is, and the given probabilities
    how it is divided among the classes. The epistemic strategy requires the base class.
    """

    def __init__(self, given: Matrix, evidence: Matrix) -> None:
        super().__init__(classes=list(range(given.shape[1])))
        self.given = given
        self.evidence = evidence

    def predict_freq(self, X: Matrix) -> Matrix:
        """Return ``(m, classes)``."""
        rows = _numbers(X)
        return self.given[rows] * self.evidence[rows, None]


class GivenMixture(MixtureModelClassifier):  # type: ignore[misc]  # untyped base
    """Returns the given probabilities of all candidates; a Gaussian mixture gives the density."""

    def __init__(self, given: Matrix, features: Matrix, seed: int) -> None:
        mixture = GaussianMixture(
            min(_COMPONENTS, len(features)), covariance_type="diag", random_state=seed
        )
        super().__init__(mixture_model=mixture, classes=list(range(given.shape[1])))
        self.given = given
        self.mixture_model_ = mixture.fit(features)

    def predict_proba(self, X: Matrix) -> Matrix:
        """Return ``(n, classes)``; raises ValueError unless called with all candidates at once."""
        if len(X) != len(self.given):
            raise ValueError(f"called with {len(X)} rows instead of all {len(self.given)}")
        return self.given


def evidence(features: Matrix, classes: Matrix, n_classes: int) -> Matrix:
    """Return the number of answers near each row, by a Parzen window of mean width, ``(n,)``."""
    window = ParzenWindowClassifier(
        classes=list(range(n_classes)), metric="rbf", metric_dict={"gamma": "mean"}
    )
    counts: Matrix = window.fit(features, classes).predict_freq(features).sum(axis=1)
    return counts


def _numbers(rows: Matrix) -> IntArray:
    return rows[:, -1].astype(np.int64)
