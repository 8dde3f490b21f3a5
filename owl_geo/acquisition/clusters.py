"""Groups of patches that resemble each other."""

from __future__ import annotations

import warnings

import numpy as np

from owl_geo.types import FloatArray, IntArray


def k_means(features: FloatArray, count: int, n_init: int, rng: np.random.Generator) -> IntArray:
    """Return the number of each row's cluster, ``(n,)``; fewer clusters where rows are the same.

    Lloyd 1982, the best of ``n_init`` starts by k-means++.
    """
    from sklearn.cluster import KMeans  # a second to import; most runs never need it
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(count, n_init=n_init, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        # patches without a difference are common (open water), and nothing to tell people of
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(means.fit_predict(features), dtype=np.int64)
