"""A batch divided among several annotators: a part for each, and some patches for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np


def dealt(
    patches: Sequence[str],
    annotators: Sequence[str],
    overlap: float,
    rng: np.random.Generator,
    answered_by: Mapping[str, Set[str]] | None = None,
) -> dict[str, list[str]]:
    """Return each annotator's patches, in the order of ``patches``, which is that of their rank.

    Everybody gets the share ``overlap`` of the batch, at least one patch unless it is 0. These are
    drawn at random, so that agreement on them represents agreement on the batch. The rest is dealt
    in turn by rank, so that nobody gets only the best ones. ``answered_by`` has the annotators who
    have labelled a patch that must be labelled again: it goes to somebody else, or to everybody if
    all have labelled it.
    """
    earlier = answered_by or {}
    fresh = [patch for patch in patches if not earlier.get(patch)]
    drawn = rng.permutation(len(fresh))[: n_shared(len(patches), overlap)]
    shared = {fresh[number] for number in drawn}
    order = [annotators[number] for number in rng.permutation(len(annotators))]
    parts: dict[str, list[str]] = {name: [] for name in annotators}
    for patch in patches:
        able = [name for name in order if name not in earlier.get(patch, ())]
        if patch in shared or not able:
            takers: Sequence[str] = annotators
        else:
            takers = [min(able, key=lambda name: len(parts[name]))]  # the first of equals in order
        for name in takers:
            parts[name].append(patch)
    return parts


def n_shared(n: int, overlap: float) -> int:
    """Return how many of ``n`` patches go to everybody."""
    return max(round(overlap * n), int(overlap > 0))
