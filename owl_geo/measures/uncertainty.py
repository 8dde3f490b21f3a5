"""How unsure a model is about a patch, from the class probabilities of its members.

A model has one member or several: passes with dropout active, or the models of an ensemble. Their
mean is the prediction. Entropy, margin and least confidence depend on this mean alone, mutual
information on how the members differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.settings.choices import MEASURES, chosen

Members = NDArray[np.floating]  # probabilities (members, n, classes)
_AT_ONCE = 2**18  # patches: what a measure computes on its way to them takes little memory


@dataclass(frozen=True)
class Measure:
    """A measure of uncertainty; ``settings.choices.MEASURES`` gives each its name."""

    of: Callable[[Members], NDArray[np.float64]]  # of each patch, (n,), 0 or more
    greatest: Callable[[int], float]  # the maximum for a number of classes, 2 or more
    fewest_members: int = 1  # with fewer, it is 0 everywhere


def uncertainty(members: Members, measure: str = "entropy") -> NDArray[np.float64]:
    """Return how unsure the members are about each patch, ``(n,)``, 0 or more.

    Args:
        members: probabilities ``(members, n, classes)``.
        measure: ``entropy`` and ``mutual_information`` in nats, ``margin`` as 1 - (the most
            probable class - the second), ``least_confidence`` as 1 - the most probable class.

    Raises ValueError if a row is not a distribution, or for an unknown measure.
    """
    members = np.asarray(members)
    if members.ndim != 3:
        raise ValueError(f"members must have the shape (members, n, classes), not {members.shape}")
    implemented: Measure = chosen(MEASURES, measure)
    doubt = np.empty(members.shape[1])
    for start in range(0, len(doubt), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        doubt[part] = implemented.of(members[:, part].astype(np.float64))
    return doubt


def greatest(measure: str, n_classes: int) -> float:
    """Return the maximum of a measure for this number of classes, 2 or more.

    ``mutual_information`` reaches it if there are as many members as classes, each sure of another.
    """
    implemented: Measure = chosen(MEASURES, measure)
    return implemented.greatest(n_classes)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of each row in nats, ``(n,)``, from probabilities ``(n, classes)``.

    Shannon, 1948. 0 if the model is sure, log(classes) if it knows nothing. Raises ValueError if
    probabilities are negative, not finite, or do not sum to 1.
    """
    p = _checked(probabilities)
    logarithm = np.log(np.where(p > 0, p, 1.0))  # 0 * log(0) counts as 0
    result: NDArray[np.float64] = np.maximum(-(p * logarithm).sum(axis=1), 0.0)
    return result


def margin(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 - (the most probable class - the second), ``(n,)``.

    Scheffer, Decomain, Wrobel, 2001. 1 if two classes are equally probable. Raises ValueError
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

    BALD (Houlsby et al. 2011): what an answer would teach about the model. It is 0 if the members
    agree, however unsure each is. ``members`` is ``(members, n, classes)``; raises ValueError
    as ``entropy`` does.
    """
    p = np.asarray(members, dtype=np.float64)
    each = np.mean([entropy(member) for member in p], axis=0)
    result: NDArray[np.float64] = np.maximum(entropy(p.mean(axis=0)) - each, 0.0)
    return result


def _of_mean(
    measure: Callable[[NDArray[np.floating]], NDArray[np.float64]],
) -> Callable[[Members], NDArray[np.float64]]:
    """Return a measure of the members' mean, which is the prediction."""
    return lambda members: measure(members.mean(axis=0))


def _checked(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise ValueError(f"probabilities must have the shape (n, classes), not {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError("probabilities must be finite, not negative, and sum to 1 in each row")
    return p


ENTROPY = Measure(_of_mean(entropy), greatest=math.log)
MARGIN = Measure(_of_mean(margin), greatest=lambda n_classes: 1.0)
LEAST_CONFIDENCE = Measure(_of_mean(least_confidence), greatest=lambda n_classes: 1 - 1 / n_classes)
MUTUAL_INFORMATION = Measure(mutual_information, greatest=math.log, fewest_members=2)
