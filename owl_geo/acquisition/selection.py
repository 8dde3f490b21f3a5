"""Chooses a batch by scores, whatever is scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import IntArray

RandomState = int | np.random.Generator | np.random.RandomState | None


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Turn a ``random_state``, as scikit-learn takes it, into a generator."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31))
    return np.random.default_rng(random_state)


def top(scores: NDArray[np.float64], batch_size: int, random_state: RandomState = None) -> IntArray:
    """Return the positions of the ``batch_size`` highest scores, best first, ``(k,)``.

    Ties are broken at random; a ``batch_size`` above the pool's size returns the whole pool. Raises
    ValueError if a score is not finite: a replacement value would hide a broken model.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite")
    if batch_size < 0:
        raise ValueError(f"batch_size is {batch_size}, but it must not be negative")
    tie_break = as_generator(random_state).permutation(len(scores))
    return np.lexsort((tie_break, -scores))[:batch_size].astype(np.int64)
