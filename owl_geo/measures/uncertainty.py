"""How unsure a model is of a patch, from the class probabilities of its members.

A model has one member or several: passes with dropout on, or the models of an ensemble. Their mean
is the prediction; entropy, margin and least confidence look at it alone, mutual information at
where the members differ.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Measure = Literal["entropy", "margin", "least_confidence", "mutual_information"]


def uncertainty(members: NDArray[np.floating], measure: Measure = "entropy") -> NDArray[np.float64]:
    """Return how unsure the members are of each patch, ``(n,)``, each 0 or more.

    Args:
        members: probabilities ``(members, n, classes)``.
        measure: ``entropy`` and ``mutual_information`` in nats, ``margin`` as 1 - (the most
            probable class - the second), ``least_confidence`` as 1 - the most probable class.

    Raises ValueError for what is no distribution.
    """
    p = np.asarray(members, dtype=np.float64)
    if p.ndim != 3:
        raise ValueError(f"members must have the shape (members, n, classes), not {p.shape}")
    if measure == "mutual_information":
        return mutual_information(p)
    by_name = {"entropy": entropy, "margin": margin, "least_confidence": least_confidence}
    return by_name[measure](p.mean(axis=0))


def greatest(measure: Measure, n_classes: int) -> float:
    """Return the most that a measure can be among so many classes, 2 or more.

    For ``mutual_information`` that takes as many members as classes, each sure of another one.
    """
    if measure in ("entropy", "mutual_information"):
        return math.log(n_classes)
    return 1.0 if measure == "margin" else 1.0 - 1.0 / n_classes


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of each row in nats, ``(n,)``, from probabilities ``(n, classes)``.

    Shannon, 1948. 0 where the model is sure, log(classes) where it knows nothing. Raises ValueError
    for what is no distribution: negative, not finite, or not summing to 1.
    """
    p = _checked(probabilities)
    logarithm = np.log(np.where(p > 0, p, 1.0))  # 0 * log(0) counts as 0
    result: NDArray[np.float64] = np.maximum(-(p * logarithm).sum(axis=1), 0.0)
    return result


def margin(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 - (the most probable class - the second), ``(n,)``.

    Scheffer, Decomain, Wrobel, 2001. 1 where two classes are equally probable. Raises ValueError
    as ``entropy`` does.
    """
    p = np.sort(_checked(probabilities), axis=1)
    result: NDArray[np.float64] = 1.0 - (p[:, -1] - p[:, -2])
    return result


def least_confidence(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 - the probability of the most probable class, ``(n,)``.

    Lewis, Gale, 1994. Raises ValueError as ``entropy`` does.
    """
    result: NDArray[np.float64] = 1.0 - _checked(probabilities).max(axis=1)
    return result


def mutual_information(members: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of the mean minus the mean of the entropies, in nats, ``(n,)``.

    BALD (Houlsby et al. 2011): what an answer would teach about the model, 0 where the members
    agree, however unsure each may be. ``members`` is ``(members, n, classes)``; raises ValueError
    as ``entropy`` does.
    """
    p = np.asarray(members, dtype=np.float64)
    each = np.mean([entropy(member) for member in p], axis=0)
    result: NDArray[np.float64] = np.maximum(entropy(p.mean(axis=0)) - each, 0.0)
    return result


def _checked(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise ValueError(f"probabilities must have the shape (n, classes), not {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError("probabilities must be finite, not negative, and sum to 1 in each row")
    return p
