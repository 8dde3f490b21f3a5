"""A batch dealt to several annotators: a part for each, and some patches for all of them."""

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

    Everybody gets the share ``overlap`` of the batch, one patch at least unless it is 0; chance
    draws which, so that agreement on them stands for agreement on the batch. The rest is dealt in
    turn by rank, so that nobody gets the better ones. ``answered_by`` says who has labelled a patch
    that is asked again: it goes to somebody else, or to all where all have.
    """
    known = answered_by or {}
    fresh = [patch for patch in patches if not known.get(patch)]
    drawn = rng.permutation(len(fresh))[: n_shared(len(patches), overlap)]
    shared = {fresh[place] for place in drawn}
    order = [annotators[place] for place in rng.permutation(len(annotators))]
    parts: dict[str, list[str]] = {name: [] for name in annotators}
    for patch in patches:
        able = [name for name in order if name not in known.get(patch, ())]
        if patch in shared or not able:
            takers: Sequence[str] = annotators
        else:
            takers = [min(able, key=lambda name: len(parts[name]))]  # the first of equals in order
        for name in takers:
            parts[name].append(patch)
    return parts


def n_shared(n: int, overlap: float) -> int:
    """Return how many of ``n`` patches everybody gets."""
    return max(round(overlap * n), int(overlap > 0))
