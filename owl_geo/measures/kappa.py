"""Agreement beyond chance: Cohen's kappa for two raters, Fleiss' for any number."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from owl_geo.types import IntArray


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Return Cohen's kappa of two raters' labels of the same items, ``(n,)`` each.

    1 = always the same, 0 = no more agreement than by chance, given how often each rater uses each
    label (Cohen 1960, Educational and Psychological Measurement 20). Not-a-number without items,
    or if both raters give the same single label everywhere. Raises ValueError if the lengths
    differ.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} labels by one rater, {len(second)} by the other")
    if len(first) == 0:
        return math.nan
    numbers = {label: number for number, label in enumerate(dict.fromkeys([*first, *second]))}
    one, other = (np.array([numbers[label] for label in labels]) for labels in (first, second))
    shares = [np.bincount(part, minlength=len(numbers)) / len(one) for part in (one, other)]
    return _beyond_chance(float((one == other).mean()), float(shares[0] @ shares[1]))


def fleiss_kappa(votes: IntArray) -> float:
    """Return Fleiss' kappa of ``(items, labels)`` counts: how many raters gave which label.

    The raters and their number may differ between items: an item counts by the share of pairs of
    its raters that agree, as in Fleiss 1971, Psychological Bulletin 76; if every item has the same
    number of raters, this is exactly his kappa. Items with fewer than two raters are left out.
    Not-a-number if none are left, or if all votes are for one label.
    """
    votes = votes[votes.sum(axis=1) >= 2]
    if len(votes) == 0:
        return math.nan
    n = votes.sum(axis=1)
    agreed = float((((votes * (votes - 1)).sum(axis=1)) / (n * (n - 1))).mean())
    shares = votes.sum(axis=0) / votes.sum()
    return _beyond_chance(agreed, float(shares @ shares))


def _beyond_chance(agreed: float, by_chance: float) -> float:
    return math.nan if by_chance >= 1 else (agreed - by_chance) / (1 - by_chance)
