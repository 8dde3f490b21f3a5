"""Which patches of a pool may be labelled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Scores
from owl_geo.ground.same_ground import SharedGround
from owl_geo.types import BoolArray, IntArray


def askable(
    patches: pd.DataFrame,
    shared: SharedGround | None,
    truth: pd.DataFrame | None,
    closed: IntArray,
    again: IntArray,
) -> BoolArray:
    """Return which patches of a pool may be labelled, bool ``(N,)``.

    They are neither answered nor held out, nor do they show a place that has an answer under
    another name. Each place is there once: from the patch that must be labelled again if there is
    one, or else from the one with the most valid pixels.

    Args:
        patches: the patch index.
        shared: which of its patches show the same place; None if none do.
        truth: with ``held_out``, in index order; None without an oracle.
        closed: positions of all answered patches.
        again: positions of those that must be labelled again.
    """
    free = np.ones(len(patches), dtype=bool)
    free[closed] = False
    if truth is not None:
        free &= ~truth["held_out"].to_numpy()
    if shared is None or len(shared.crowded) == 0:
        return free
    free &= ~shared.shown_with(closed)
    rank = best_first(patches)
    rank[again] = -2.0
    rank[~free] = 2.0  # behind all that are, so that they keep none of these out
    return free & shared.once(rank)


def best_first(patches: pd.DataFrame) -> Scores:
    """Return a rank by which the patch with the most valid pixels comes first, ``(N,)``."""
    return np.asarray(-patches["valid_fraction"].to_numpy(dtype=np.float64))
