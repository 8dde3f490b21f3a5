"""A Gaussian process (Rasmussen and Williams 2006) as a head; its kernel is a sum."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.one_thread import one_thread

_MOST = 600  # answers that the process is fitted on; the time grows with their cube
_TUNED_ON = 150  # answers that its kernel is chosen on


@dataclass(frozen=True)
class Process:
    """A fitted process, and the answers that it was fitted on."""

    predict: Predict
    taken: IntArray  # positions among the answers, ascending, (t,)
    binary: tuple[Any, ...]  # scikit-learn's processes: one for two classes, else one per class

    def foreseen(self) -> NDArray[np.float64]:
        """Return what all other answers say about each of those taken, ``(t, classes)``."""
        own = np.stack([_foreseen(one) for one in self.binary], axis=1)
        if own.shape[1] == 1:
            return np.concatenate([1 - own, own], axis=1)
        result: NDArray[np.float64] = own / own.sum(axis=1, keepdims=True)
        return result


def fit_process(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Process:
    """Fit a process that separates two classes, or one per class against all others."""
    from sklearn.exceptions import ConvergenceWarning  # takes a second to import
    from sklearn.gaussian_process import GaussianProcessClassifier

    from owl_geo.models.kernel import kernel

    rng = np.random.default_rng(seed)
    n_classes = len(np.unique(labels))  # each has an answer among those drawn
    taken = _balanced(labels, max(_MOST, n_classes), rng)
    tuned = taken[_balanced(labels[taken], max(_TUNED_ON, n_classes), rng)]
    rows = table[taken].astype(np.float64)
    model = GaussianProcessClassifier(kernel(columns), random_state=seed % 2**32)
    # On matrices this small, threads cost more time than they save, and their number would affect
    # the last bits of a fit, and so perhaps a batch.
    with warnings.catch_warnings(), one_thread("blas"):
        # where the search for the best kernel stopped is as good as the answers allow
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(table[tuned].astype(np.float64), labels[tuned])
        if len(tuned) < len(taken):
            if n_classes > 2:
                return _one_against_rest(model.kernel_.kernels, rows, labels[taken], taken)
            model = GaussianProcessClassifier(model.kernel_, optimizer=None)
            model.fit(rows, labels[taken])
    binary = (model.base_estimator_,) if n_classes == 2 else model.base_estimator_.estimators_
    return _process(taken, binary)


def _gaussian_process(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    return fit_process(table, labels, columns, seed).predict


def _one_against_rest(
    kernels: Sequence[Any], rows: NDArray[Any], labels: IntArray, taken: IntArray
) -> Process:
    """Fit one process per class, with the kernel that was chosen for it.

    scikit-learn tunes a kernel for each class, but cannot reuse these to fit more answers.
    """
    from sklearn.gaussian_process import GaussianProcessClassifier

    processes = [
        GaussianProcessClassifier(kernel, optimizer=None).fit(rows, labels == number)
        for number, kernel in enumerate(kernels)
    ]
    return _process(taken, [process.base_estimator_ for process in processes])


def _process(taken: IntArray, binary: Sequence[Any]) -> Process:
    """Return what scikit-learn's processes, one or one per class, say of candidates."""
    from owl_geo.models.laplace import Laplace

    approximations = [Laplace.of(one) for one in binary]

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        own = np.stack([one(candidates) for one in approximations], axis=1)
        if own.shape[1] == 1:
            return np.concatenate([1 - own, own], axis=1)[None]
        members: NDArray[np.float64] = (own / own.sum(axis=1, keepdims=True))[None]
        return members

    return Process(predict, taken, tuple(binary))


def _foreseen(process: Any) -> NDArray[np.float64]:
    """Return the probability of each answer by all others, ``(t,)``, without another fit.

    What an answer contributes is taken out of the Laplace approximation, whose site it is (Vehtari
    et al. 2016, JMLR 17(103), section 3); the kernel stays. The probability is that of the logistic
    function's mean under the normal distribution that is left, approximated as by MacKay (1992).
    """
    from scipy.linalg import solve_triangular

    covariance = process.kernel_(process.X_train_)
    residual = process.y_train_ - process.pi_
    latent = covariance @ residual
    known = solve_triangular(process.L_, process.W_sr_[:, None] * covariance, lower=True)
    variance = np.maximum(np.diag(covariance) - (known**2).sum(axis=0), 1e-12)
    weight = process.W_sr_**2
    without = 1.0 / np.maximum(1.0 / variance - weight, 1e-9)
    mean = without * (latent / variance - weight * latent - residual)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * mean / np.sqrt(1 + np.pi * without / 8))))


def _balanced(labels: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Return sorted positions of at most ``most`` answers, taken from the classes in turn."""
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = np.arange(len(own))
    return np.sort(np.argsort(turn, kind="stable")[:most])


GAUSSIAN_PROCESS = HeadKind(_gaussian_process, members=1)
