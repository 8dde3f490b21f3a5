"""A Gaussian process and a forest whose odds are averaged, and then calibrated.

Averaged odds rank as well as averaged probabilities or better, and are less timid about what is
clearly no target: far from all answers the process says a half, which the mean would follow.

What a search asks is chosen because it is probable, so a model that has learnt from it is too bold
about the rest. Both parts can say about each answer what they would have said without it: a
bagged forest by the trees that have not seen it, the process by taking it out of its approximation.
These foreseen probabilities are compared with the answers, and one factor and one shift of the
log-odds are learned from them (Platt 1999), drawn towards no change while there are few. No part is
fitted again for it. For two classes, the order of the patches stays. The bagged forest is a second
one: the first, whose trees see all answers, finds a little more. Where answers are so many that
these trees take long, the bagged one serves for both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.forest import FOREST, MOST_IN_A_BAG, bagged_forest
from owl_geo.models.gaussian_process import fit_process
from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_SUREST = 1e-3  # probabilities nearer to 0 or 1 are not told apart: a forest has a hundred votes
_FACTOR_SPREAD = 0.5  # standard deviation of the factor's logarithm before any answer
_SHIFT_SPREAD = 1.0  # of the difference between two classes' shifts, in log-odds

Floats = NDArray[np.float64]


def _blend(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    process = fit_process(table, labels, columns, seed)
    bagged, unseen = bagged_forest(table, labels, columns, seed)
    many = len(labels) > MOST_IN_A_BAG
    forest = bagged if many else FOREST.fit(table, labels, columns, seed)
    unseen, taught = unseen[process.taken], labels[process.taken]
    known = unseen.sum(axis=1) > 0
    foreseen = np.stack([process.foreseen()[known], unseen[known]])
    # the process takes as many of each class as it can, not as many as there are
    share = np.bincount(labels) / np.bincount(taught)
    factor, shift = calibration(averaged(foreseen), taught[known], share[taught[known]])

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        parts = [part(candidates).mean(axis=0) for part in (process.predict, forest)]
        members = np.stack(parts).astype(np.float64)
        return around(members, _softmax(factor * averaged(members) + shift))

    return predict


def averaged(members: Floats) -> Floats:
    """Return the mean log-probability over members ``(members, n, classes)``, ``(n, classes)``."""
    mean: Floats = np.log(members.clip(_SUREST, 1 - _SUREST)).mean(axis=0)
    return mean


def calibration(logs: Floats, labels: IntArray, weights: Floats) -> tuple[float, Floats]:
    """Return the factor and the shifts ``(classes,)`` that make foreseen probabilities true.

    That is the mode of the posterior of a logistic model of the answers, in which the factor is
    about 1 and the shifts about 0.

    Args:
        logs: foreseen log-probabilities, up to a constant, ``(n, classes)``.
        labels: the numbers of the answered classes, ``(n,)``.
        weights: how many answers each stands for, ``(n,)``.
    """
    from scipy.optimize import minimize

    classes = logs.shape[1]
    is_answer = np.eye(classes)[labels]
    # the difference of two shifts has twice the variance of one
    spread = np.append(_FACTOR_SPREAD, np.full(classes, _SHIFT_SPREAD / np.sqrt(2)))

    def loss(at: Floats) -> tuple[float, Floats]:
        factor = np.exp(at[0])
        probability = _softmax(factor * logs + at[1:])
        error = weights[:, None] * (probability - is_answer)
        likely = np.maximum((probability * is_answer).sum(axis=1), np.finfo(float).tiny)
        value = -(weights * np.log(likely)).sum() + 0.5 * ((at / spread) ** 2).sum()
        slope = np.append(factor * (error * logs).sum(), error.sum(axis=0))
        return float(value), slope + at / spread**2

    found = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B").x
    return float(np.exp(found[0])), found[1:]


def around(members: Floats, mean: Floats) -> Floats:
    """Move members ``(members, n, classes)`` so that their mean is ``mean``, ``(n, classes)``.

    They differ as much as before, or as much as fits between 0 and 1.
    """
    apart = members - members.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(apart > 0, (1 - mean) / apart, np.where(apart < 0, mean / -apart, 1.0))
    fits = np.minimum(room.min(axis=(0, 2)), 1.0)[None, :, None]
    moved: Floats = (mean + fits * apart).clip(0.0, 1.0)
    return moved


def _softmax(logs: Floats) -> Floats:
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    result: Floats = odds / odds.sum(axis=1, keepdims=True)
    return result


BLEND = HeadKind(_blend, members=2)
