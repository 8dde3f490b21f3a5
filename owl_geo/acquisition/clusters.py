"""Groups of similar patches."""

from __future__ import annotations

import warnings

import numpy as np

from owl_geo.types import FloatArray, IntArray
from owl_geo.work.one_thread import one_thread


def k_means(features: FloatArray, count: int, n_init: int, rng: np.random.Generator) -> IntArray:
    """Return the number of each row's cluster, ``(n,)``; there are fewer if rows are equal.

    Lloyd 1982, the best of ``n_init`` starts by k-means++. One thread does it: of several, each
    sums up a part, so that their number would decide the last bits and then the clusters; and on
    rows this narrow they take longer.
    """
    from sklearn.cluster import KMeans  # slow to import; most runs never need it
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(count, n_init=n_init, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings(), one_thread():
        # equal patches are common (open water) and do not deserve a warning
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(means.fit_predict(features), dtype=np.int64)
