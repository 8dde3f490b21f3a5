"""Relevance learned from the answers, starting from the given weights.

The fixed relevance multiplies the weights of the concepts that hold, whatever the answers are. Here
the same product is the prior of a logistic model of P(positive | concepts), and each answer updates
it: a weight that was a wrong guess is unlearned, and concepts without a weight, such as classes and
distances, gain influence. Images play no part.

Sources: relevance that follows the answers instead of fixed weights, Khan et al. 2026
(arXiv:2602.17605); logistic regression with a weakly informative prior, Gelman et al. 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Scores
from owl_geo.acquisition.samplers import concept_relevance
from owl_geo.types import BoolArray, FloatArray, IntArray

PRIOR_SPREAD = 0.5
"""Standard deviation of a coefficient around the log of its weight.

Chosen by the AUC on unanswered patches, over 30 synthetic pools of 500 patches (29 % positive) and
30 of 2,000 (2 %), after 20 to 300 random answers: below 0.4 a wrong weight is unlearned too slowly,
above 0.7 correct weights are lost to chance.
"""

_INTERCEPT_SPREAD = 2.5
_LARGEST_LOG_ODDS = 30.0  # e^30 is far beyond what answers can show, and products stay finite
_NEWTON_STEPS = 50
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """What relevance may be computed from."""

    concepts: pd.DataFrame  # the whole pool, one row per patch
    encoded: Callable[[], tuple[FloatArray, Sequence[str]]]  # matrix (n, k), names of its columns
    weights: Mapping[str, float]
    answered: IntArray  # positions in the pool, (a,)
    is_positive: BoolArray  # (a,)


@dataclass(frozen=True)
class RelevanceKind:
    """Where relevance comes from; ``settings.choices.RELEVANCE`` gives each its name."""

    of: Callable[[Evidence], Scores]  # of every patch, (n,)
    follows_answers: bool


@dataclass(frozen=True)
class Factor:
    """How one column of the encoded concepts changes the odds that a patch is positive."""

    name: str
    prior: float  # log of the given weight: 0 if there is none, -inf for a weight of 0
    coefficient: float  # change of the log-odds per unit of the column, after the answers
    factor: float  # exp(coefficient): 1 = no effect


@dataclass(frozen=True)
class LearnedRelevance:
    """A logistic model of P(positive | concepts), fitted on the answers so far.

    Attributes:
        names: the columns of the encoded concepts.
        weights: the given factors of the yes/no concepts.
        shift: what the answers added to each column's coefficient, float64 ``(k,)``.
        typical: median log-odds over the pool, without the intercept.
        n_answers: the number of answers it was fitted on.
    """

    names: tuple[str, ...]
    weights: Mapping[str, float]
    shift: NDArray[np.float64]
    typical: float
    n_answers: int

    def relevance(self, concepts: pd.DataFrame, matrix: FloatArray) -> Scores:
        """Return how many times higher the odds are than for the pool's median patch, ``(n,)``.

        ``concepts`` and ``matrix`` ``(n, k)`` are rows of the same patches, encoded like the pool.
        1 is neutral, all values are finite, and patches where a concept of weight 0 holds get 0.
        Raises ConfigError for a weight whose concept does not exist.
        """
        log_odds = _prior_log_odds(concepts, self.weights) + matrix @ self.shift - self.typical
        relevance = np.exp(log_odds.clip(-_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS))
        return np.where(np.isneginf(log_odds), 0.0, relevance)

    def explain(self) -> tuple[Factor, ...]:
        """Return how each column changes the odds, in the order of the columns.

        A concept that is the same everywhere has no column: its weight changes no rank.
        """
        factors = []
        for name, shift in zip(self.names, self.shift.tolist(), strict=True):
            weight = self.weights.get(name, 1.0)
            prior = float(np.log(weight)) if weight > 0 else -np.inf
            factors.append(Factor(name, prior, prior + shift, float(np.exp(prior + shift))))
        return tuple(factors)


def learn_relevance(
    concepts: pd.DataFrame,
    matrix: FloatArray,
    names: Sequence[str],
    weights: Mapping[str, float],
    answered: IntArray,
    is_positive: BoolArray,
    *,
    spread: float = PRIOR_SPREAD,
) -> LearnedRelevance:
    """Fit on the answers only; the rest of the pool only defines what is typical.

    The log-odds are an intercept, plus the log of the weight of each yes/no concept that holds,
    plus ``matrix @ shift``. A normal prior pulls ``shift`` towards 0, so that without answers the
    ranks are those of ``concept_relevance``; the more answers there are, the less the weights
    matter. Patches where a concept of weight 0 holds are never wanted; their answers are ignored.

    Args:
        concepts: the whole pool, one row per patch.
        matrix: the same patches encoded, float32 ``(n, k)``.
        names: the columns of ``matrix``.
        weights: factor of the odds where a yes/no concept holds, 0 or more.
        answered: positions in the pool, int64 ``(a,)``; a position may occur more than once.
        is_positive: whether each of these is of the positive class, ``(a,)``.
        spread: the standard deviation of a coefficient around the log of its weight.

    Raises:
        ConfigError: for a weight whose concept does not exist or is not yes/no.
        ValueError: if the shapes do not agree.
    """
    if matrix.shape != (len(concepts), len(names)):
        raise ValueError(
            f"matrix is {matrix.shape}, but it must be {(len(concepts), len(names))}: "
            "a row per patch and a column per name"
        )
    if answered.shape != is_positive.shape:
        raise ValueError(f"{len(answered)} patches are answered, with {len(is_positive)} answers")
    prior = _prior_log_odds(concepts, weights)
    wanted = np.isfinite(prior)
    taught = wanted[answered]
    rows, positive = answered[taught], is_positive[taught]
    shift = _maximum_a_posteriori(
        matrix[rows].astype(np.float64), prior[rows], positive, spread, _middle(matrix)
    )
    log_odds = (prior + matrix @ shift)[wanted]
    typical = float(np.median(log_odds)) if len(log_odds) else 0.0
    return LearnedRelevance(tuple(names), dict(weights), shift, typical, len(rows))


def _prior_log_odds(concepts: pd.DataFrame, weights: Mapping[str, float]) -> Scores:
    with np.errstate(divide="ignore"):  # a weight of 0: minus infinity, never wanted
        log_odds: Scores = np.log(concept_relevance(concepts, weights))
    return log_odds


def _middle(matrix: FloatArray) -> NDArray[np.float64]:
    if len(matrix) == 0:
        return np.zeros(matrix.shape[1])
    return np.asarray(matrix.mean(axis=0, dtype=np.float64))


def _maximum_a_posteriori(
    x: NDArray[np.float64],
    offset: Scores,
    positive: BoolArray,
    spread: float,
    middle: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the shift of each coefficient, ``(k,)``, by Newton's method with halved steps.

    The intercept applies to the pool's mean patch. It has a weak prior at the prevalence among the
    answers, so that answers of a single class cannot drive it to infinity.
    """
    if len(positive) == 0:
        return np.zeros(x.shape[1])
    design = np.column_stack([np.ones(len(x)), x - middle])
    target = positive.astype(np.float64)
    prevalence = (target.sum() + 0.5) / (len(target) + 1)
    centre = np.zeros(design.shape[1])
    centre[0] = np.log(prevalence / (1 - prevalence)) - offset.mean()
    precision = np.full(design.shape[1], spread**-2)
    precision[0] = _INTERCEPT_SPREAD**-2

    def loss(at: NDArray[np.float64]) -> float:
        log_odds = offset + design @ at
        fit = np.logaddexp(0.0, log_odds) - target * log_odds
        return float(fit.sum() + 0.5 * (precision * (at - centre) ** 2).sum())

    coefficients = centre
    now = loss(coefficients)
    for _ in range(_NEWTON_STEPS):
        probability = 0.5 * (1 + np.tanh(0.5 * (offset + design @ coefficients)))
        gradient = design.T @ (probability - target) + precision * (coefficients - centre)
        curvature = (design.T * (probability * (1 - probability))) @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (then := loss(coefficients - size * step)) > now and size > _TOLERANCE:
            size /= 2
        if then > now:
            break
        coefficients, improved, now = coefficients - size * step, now - then, then
        if improved < _TOLERANCE:
            break
    return coefficients[1:]


def _learned(evidence: Evidence) -> Scores:
    matrix, names = evidence.encoded()
    model = learn_relevance(
        evidence.concepts,
        matrix,
        names,
        evidence.weights,
        evidence.answered,
        evidence.is_positive,
    )
    return model.relevance(evidence.concepts, matrix)


def _fixed(evidence: Evidence) -> Scores:
    return concept_relevance(evidence.concepts, evidence.weights)


LEARNED = RelevanceKind(_learned, follows_answers=True)
FIXED = RelevanceKind(_fixed, follows_answers=False)
