"""How unsure a model is of a patch, from its class probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of each row in nats, ``(n,)``, from probabilities ``(n, classes)``.

    Shannon, 1948. 0 where the model is sure, log(classes) where it knows nothing. Raises ValueError
    for what is no distribution: negative, not finite, or not summing to 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise ValueError(f"probabilities must have the shape (n, classes), not {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError("probabilities must be finite, not negative, and sum to 1 in each row")
    logarithm = np.log(np.where(p > 0, p, 1.0))  # 0 * log(0) counts as 0
    result: NDArray[np.float64] = np.maximum(-(p * logarithm).sum(axis=1), 0.0)
    return result
