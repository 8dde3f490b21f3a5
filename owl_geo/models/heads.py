"""Small probabilistic classifiers on features: fitted anew from all answers, in a moment.

Each head is fitted on features, concepts and places side by side and returns the probabilities of
one or more members, whose mean is the prediction. ``settings.choices.HEADS`` gives each its name;
nothing heavy is imported before one is fitted, since the settings ask how many members it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from owl_geo.settings.choices import HEADS, chosen
from owl_geo.types import FloatArray, IntArray


class Head(Protocol):
    """A fitted head: maps features and concepts, ``(n, d)``, to members' probabilities."""

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return probabilities, float32 ``(members, n, classes)``."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a head's table are, from left to right."""

    features: int
    concepts: int = 0
    places: int = 0  # where the patch lies, in patches

    @property
    def width(self) -> int:
        """Of the table."""
        return self.features + self.concepts + self.places

    @property
    def without_places(self) -> int:
        """How many columns come before the places."""
        return self.features + self.concepts


# Given a table (n, width), labels, what its columns are and a seed, returns what maps (m, width) to
# (members, m, classes present).
Predict = Callable[[FloatArray], NDArray[np.floating[Any]]]
Fit = Callable[[FloatArray, IntArray, Columns, int], Predict]


@dataclass(frozen=True)
class HeadKind:
    """A way to make a head of answers of two classes or more, numbered from 0 without a gap."""

    fit: Fit
    members: int  # of the fitted head


def fit(
    kind: str,
    table: FloatArray,
    labels: IntArray,
    columns: Columns,
    *,
    n_classes: int,
    seed: int,
) -> Head:
    """Fit a head on the answered patches.

    While all answers are of one class there is nothing to tell apart: the head then gives every
    patch the same probabilities, by Laplace's rule of succession.

    Args:
        kind: a name of ``settings.choices.HEADS`` that is not fitted by gradient steps. Only the
            Gaussian process, alone or in the committee, looks at the places.
        table: scaled features, concepts and places, ``(n, columns.width)``.
        labels: class numbers, ``(n,)``.
        columns: of the table.
        n_classes: how many classes there are, answered or not.
        seed: of the trees, and of the draw where a Gaussian process takes not all answers.

    Raises ValueError for an unknown kind.
    """
    present, numbers = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return _Constant(np.bincount(labels, minlength=n_classes))
    head: HeadKind = chosen(HEADS, kind)
    predict = head.fit(table, numbers, columns, seed)
    return _Fitted(predict, head.members, present=present, n_classes=n_classes)


class _Constant:
    def __init__(self, counts: IntArray) -> None:
        self._probabilities = (counts + 1) / (counts.sum() + len(counts))

    def __call__(self, features: FloatArray) -> FloatArray:
        row = self._probabilities.astype(np.float32)
        return np.broadcast_to(row, (1, len(features), len(row))).copy()


class _Fitted:
    """Gives the classes that have no answer yet a probability of 0."""

    def __init__(
        self, predict: Predict, members: int, *, present: IntArray, n_classes: int
    ) -> None:
        self._predict = predict
        self._members = members
        self._present = present
        self._n_classes = n_classes

    def __call__(self, features: FloatArray) -> FloatArray:
        members = np.zeros((self._members, len(features), self._n_classes), dtype=np.float32)
        if len(features):
            members[:, :, self._present] = self._predict(features)
        return members
