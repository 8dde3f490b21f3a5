"""What a fitted Gaussian process says of many patches, by products of matrices.

scikit-learn predicts the same: it measures distances pair by pair, and solves a triangular system
anew for each call. Here the inverse of that triangle is computed once, distances follow from a
product, and a few patches at a time stay in the processor's cache from the first step to the last.
All in float64; probabilities differ by rounding, of the order of 1e-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dtrmm
from scipy.special import erf

from owl_geo.models.kernel import PatchKernel
from owl_geo.types import FloatArray

_AT_ONCE = 2**16  # similarities, of some patches to all answers: their table fits the cache
_LEAST = 1e-12  # of a variance

# The logistic function as a sum of error functions (Williams and Barber 1998, appendix A).
_WIDTHS = np.array([0.41, 0.4, 0.37, 0.44, 0.39])
_WEIGHTS = np.array([-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Laplace:
    """The Laplace approximation of a process of two classes (Rasmussen and Williams 2006, 3.4)."""

    kernel: PatchKernel
    rows: Floats  # of the answers, (t, columns)
    residual: Floats  # of each answer: what it is, 0 or 1, less its probability, (t,)
    whitening: Floats  # lower triangle (t, t); it makes similarities to the answers what they tell

    @classmethod
    def of(cls, process: Any) -> Laplace:
        """Return the approximation that scikit-learn has fitted."""
        return cls(
            process.kernel_,
            process.X_train_,
            process.y_train_ - process.pi_,
            np.asfortranarray(solve_triangular(process.L_, np.diag(process.W_sr_), lower=True)),
        )

    def __call__(self, candidates: FloatArray) -> Floats:
        """Return the probability of the second class, ``(n,)``, of rows ``(n, columns)``."""
        similar = self.kernel.similarities(self.rows)
        mean, variance = np.empty((2, len(candidates)))
        size = max(_AT_ONCE // len(self.rows), 1)
        for start in range(0, len(candidates), size):
            part = slice(start, start + size)
            near = similar(candidates[part].astype(np.float64))
            mean[part] = near @ self.residual
            explained = dtrmm(1.0, self.whitening, near.T, lower=1, overwrite_b=1).T
            variance[part] = np.einsum("ij,ij->i", explained, explained)
        total = float(np.sum(self.kernel.amplitudes))
        return _averaged(mean, np.maximum(total - variance, _LEAST))


def _averaged(mean: Floats, variance: Floats) -> Floats:
    """Return the mean of the logistic function under normal distributions, ``(n,)``."""
    each = erf(_WIDTHS[:, None] * mean / np.sqrt(1 + 2 * variance * _WIDTHS[:, None] ** 2))
    probability: Floats = 0.5 * (_WEIGHTS @ each + _WEIGHTS.sum())
    return probability
