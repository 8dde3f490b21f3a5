"""How good the model of a round is: on held-out patches, or on the answers that it was spared."""

from __future__ import annotations

import math

import numpy as np

from owl_geo.ground.same_ground import SharedGround
from owl_geo.learners.base import Learner
from owl_geo.measures.audit import FEW_OF_A_CLASS
from owl_geo.measures.metrics import average_precision, expected_calibration_error, roc_auc
from owl_geo.measures.validation import blocked_cv_auc
from owl_geo.search.pool import Purpose
from owl_geo.search.records import Answers, TestScores, class_numbers
from owl_geo.search.search import Search
from owl_geo.types import FloatArray, IntArray


def held_out_scores(search: Search, learner: Learner, number: int) -> TestScores:
    """Return how good the learner of round ``number`` is on the held-out patches."""
    if search.truth is None:
        return TestScores.unknown()
    has_truth = search.truth["tested"] & search.truth["label"].notna()
    positions = np.flatnonzero(has_truth.to_numpy())
    if len(positions) == 0:
        return TestScores.unknown()
    probabilities = search.members(learner, positions, number).mean(axis=0)
    labels = class_numbers(search.settings.classes, search.truth["label"].iloc[positions])
    is_positive = labels == search.positive
    of_positive = probabilities[:, search.positive]
    return TestScores(
        auc=roc_auc(is_positive, of_positive),
        ap=average_precision(is_positive, of_positive),
        ece=expected_calibration_error(probabilities, labels),
    )


def can_cross_validate(search: Search, answers: Answers) -> bool:
    """Return whether there are five answers of the positive class and five others.

    With fewer, it would be noise.
    """
    n_positive = int((answers.labels == search.positive).sum())
    return min(n_positive, len(answers.labels) - n_positive) >= FEW_OF_A_CLASS


def cross_validated_auc(search: Search, answers: Answers, number: int) -> float:
    """Return the ROC AUC from spatially blocked cross-validation over the answers.

    NaN where they are too few; see ``can_cross_validate``.
    """
    if not can_cross_validate(search, answers):
        return math.nan
    blocks = search.fold_blocks
    seed = search.seed(number, Purpose.FOLDS)

    def fit_predict(train: IntArray, labels: IntArray, test: IntArray) -> FloatArray:
        learner = search.learner()
        learner.learn(train, labels, np.ones(len(train), dtype=bool), seed)
        order = np.argsort(test)
        probabilities = learner.members(test[order], seed=seed).mean(axis=0)
        return np.asarray(probabilities[np.argsort(order)])

    return blocked_cv_auc(
        fit_predict,
        answers.positions,
        answers.labels,
        blocks[answers.positions],
        seed=seed,
        positive=search.positive,
        overlaps=SharedGround(search.windows.take(answers.positions)).overlaps(),
        progress=search.report("Cross-validation"),
    )
