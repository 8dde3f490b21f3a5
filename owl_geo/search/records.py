"""What goes into a round of a search, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Terms
from owl_geo.learners.base import Lesson
from owl_geo.types import BoolArray, IntArray


@dataclass(frozen=True)
class Answers:
    """The answers so far, as positions in the index."""

    positions: IntArray  # patches answered with a class, (n,)
    labels: IntArray  # numbers of their classes, (n,)
    fresh: BoolArray  # which are new since the learner last learnt, (n,)
    closed: IntArray  # all answered patches, including the unsure and skipped
    # patches that must be labelled again because annotators disagree; the most urgent first
    again: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def none(cls) -> Answers:
        """Return no answers, as before the first batch."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, np.empty(0, bool), nothing)

    def equals(self, other: Answers) -> bool:
        """Return whether all arrays are the same, as ``==`` cannot say of arrays."""
        return all(np.array_equal(mine, vars(other)[name]) for name, mine in vars(self).items())


@dataclass(frozen=True)
class Batch:
    """The patches to label in a round, most wanted first; the terms have one row per patch."""

    positions: IntArray  # in the index, (k,)
    terms: Terms
    audited: BoolArray  # which were drawn at random from all patches that may be labelled, (k,)
    # targets among all that may be labelled, by the model; NaN where it cannot tell
    expected: float = math.nan


@dataclass(frozen=True)
class TestScores:
    """How good the model is on held-out patches; NaN where that is not known."""

    auc: float  # ROC AUC of the positive class
    ap: float  # average precision of the positive class
    ece: float  # expected calibration error

    @classmethod
    def unknown(cls) -> TestScores:
        """Return the scores of a model that cannot be tested."""
        return cls(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Outcome:
    """The result of a round: what was learnt, the next batch, and how good the model is."""

    lesson: Lesson
    batch: Batch | None  # None if no batch was wanted
    test: TestScores | None  # None while there is no answer to learn from
    seconds: float  # spent on learning and choosing, without testing the model


def class_numbers(classes: Sequence[str], labels: pd.Series) -> IntArray:
    """Return the number of each label's class, ``(n,)``; KeyError if a label is not a class."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[label] for label in labels], dtype=np.int64)
