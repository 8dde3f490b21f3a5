"""Small probabilistic classifiers on features, which are quickly refitted on all answers.

Each head is fitted on features, concepts and places side by side and returns the probabilities of
one or more members, whose mean is the prediction. ``settings.choices.HEADS`` gives each its name.
Nothing heavy is imported before one is fitted, since the settings look up how many members it has.
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
    places: int = 0  # where the patch lies, in units of a patch

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.features + self.concepts + self.places

    @property
    def without_places(self) -> int:
        """The number of columns before the places."""
        return self.features + self.concepts


# (table (n, width), labels, meaning of its columns, seed) -> function from (m, width) to
# (members, m, classes present)
Predict = Callable[[FloatArray], NDArray[np.floating[Any]]]
Fit = Callable[[FloatArray, IntArray, Columns, int], Predict]


@dataclass(frozen=True)
class HeadKind:
    """A way to fit a head on answers of two or more classes, numbered from 0 without gaps."""

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

    While all answers are of one class, there is nothing to separate: the head then gives every
    patch the same probabilities, by Laplace's rule of succession.

    Args:
        kind: a name of ``settings.choices.HEADS`` that is not fitted by gradient steps. Only the
            Gaussian process, alone or in the committee, uses the places.
        table: scaled features, concepts and places, ``(n, columns.width)``.
        labels: class numbers, ``(n,)``.
        columns: the meaning of the table's columns.
        n_classes: how many classes there are, answered or not.
        seed: the seed of the trees, and of the draw if a Gaussian process does not use all answers.

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
    """A head that gives the classes without an answer a probability of 0."""

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
