"""Small probabilistic classifiers on features: fitted anew from all answers, in a moment.

Each head is fitted on features, concepts and places side by side and returns the probabilities of
one or more members, whose mean is the prediction.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from owl_geo.types import FloatArray, IntArray

HeadKind = Literal["committee", "forest", "gp", "logistic"]

_TREES = 100
_GROVES = 5  # members of a forest: the trees vote in so many groups
_LOGISTIC_C = 0.1  # inverse strength of the penalty; features have scale 1
_MOST_GP = 600  # answers a Gaussian process is fitted on; its work grows with their cube
_TUNED_ON = 150  # answers its kernel is chosen on
_REACH = (2.0, (0.7, 8.0))  # patches over which neighbours are alike: to start with, and bounds


class Head(Protocol):
    """A fitted head: maps features and concepts, ``(n, d)``, to members' probabilities."""

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return probabilities, float32 ``(members, n, classes)``."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a head's table are, from left to right."""

    features: int
    concepts: int = 0
    places: int = 0  # where the patch lies, in patches

    @property
    def width(self) -> int:
        """Of the table."""
        return self.features + self.concepts + self.places

    @property
    def without_places(self) -> int:
        """How many columns come before the places."""
        return self.features + self.concepts


def fit(
    kind: HeadKind,
    table: FloatArray,
    labels: IntArray,
    columns: Columns,
    *,
    n_classes: int,
    seed: int,
) -> Head:
    """Fit a head on the answered patches.

    While all answers are of one class there is nothing to tell apart: the head then gives every
    patch the same probabilities, by Laplace's rule of succession.

    Args:
        kind: ``forest``, extremely randomised trees (Geurts et al. 2006); ``gp``, a Gaussian
            process (Rasmussen and Williams 2006) whose kernel is a sum, see ``_kernel``;
            ``committee``, these two; ``logistic``, with a penalty. Only the Gaussian process looks
            at the places.
        table: scaled features, concepts and places, ``(n, columns.width)``.
        labels: class numbers, ``(n,)``.
        columns: of the table.
        n_classes: how many classes there are, answered or not.
        seed: of the trees, and of the draw where a Gaussian process takes not all answers.
    """
    present, numbers = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return _Constant(np.bincount(labels, minlength=n_classes))
    makers: dict[HeadKind, list[_Fit]] = {
        "forest": [_forest],
        "gp": [_gaussian_process],
        "committee": [_gaussian_process, _forest],
        "logistic": [_logistic],
    }
    parts = [make(table, numbers, columns, seed) for make in makers[kind]]
    return _Fitted(parts, whole=kind == "committee", present=present, n_classes=n_classes)


# Given a table (n, width), labels, what its columns are and a seed, returns what maps (m, width) to
# (members, m, classes present).
_Predict = Callable[[FloatArray], NDArray[np.floating[Any]]]
_Fit = Callable[[FloatArray, IntArray, Columns, int], _Predict]


class _Constant:
    def __init__(self, counts: IntArray) -> None:
        self._probabilities = (counts + 1) / (counts.sum() + len(counts))

    def __call__(self, features: FloatArray) -> FloatArray:
        row = self._probabilities.astype(np.float32)
        return np.broadcast_to(row, (1, len(features), len(row))).copy()


class _Fitted:
    """Puts the parts' members together; ``whole``: each part counts as one member."""

    def __init__(
        self, parts: list[_Predict], *, whole: bool, present: IntArray, n_classes: int
    ) -> None:
        self._parts = parts
        self._whole = whole
        self._present = present
        self._n_classes = n_classes

    def __call__(self, features: FloatArray) -> FloatArray:
        if len(features) == 0:
            return np.empty((len(self._parts), 0, self._n_classes), dtype=np.float32)
        found = [part(features) for part in self._parts]
        if self._whole:
            found = [one.mean(axis=0, keepdims=True) for one in found]
        stacked = np.concatenate(found)
        members = np.zeros((len(stacked), len(features), self._n_classes), dtype=np.float32)
        members[:, :, self._present] = stacked
        return members


def _forest(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> _Predict:
    seen = columns.without_places
    forest = ExtraTreesClassifier(_TREES, random_state=seed % 2**32).fit(table[:, :seen], labels)

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        rows = np.ascontiguousarray(candidates[:, :seen], dtype=np.float32)
        # past the checks that scikit-learn would make again for each of the trees
        trees = np.array([tree.tree_.predict(rows) for tree in forest.estimators_])
        n, classes = trees.shape[1:]
        groves: NDArray[np.float64] = trees.reshape(_GROVES, -1, n, classes).mean(axis=1)
        return groves

    return predict


def _logistic(table: FloatArray, labels: IntArray, columns: Columns, _seed: int) -> _Predict:
    seen = columns.without_places
    model = LogisticRegression(C=_LOGISTIC_C, max_iter=1000).fit(table[:, :seen], labels)
    return lambda candidates: model.predict_proba(candidates[:, :seen])[None]


def _gaussian_process(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> _Predict:
    """Fit a process that tells two classes apart, or one for each class against all others."""
    rng = np.random.default_rng(seed)
    n_classes = len(np.unique(labels))  # each has an answer among those that are drawn
    taken = _balanced(labels, max(_MOST_GP, n_classes), rng)
    tuned = taken[_balanced(labels[taken], max(_TUNED_ON, n_classes), rng)]
    rows = table[taken].astype(np.float64)
    model = GaussianProcessClassifier(_kernel(columns), random_state=seed % 2**32)
    # Threads take longer than they save on matrices this small, and their number would decide the
    # last bits of a fit, and so perhaps a batch.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        # a bound that is reached is as good a kernel as the answers can tell
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(table[tuned].astype(np.float64), labels[tuned])
        if len(tuned) < len(taken):
            if n_classes > 2:
                return _one_against_rest(model.kernel_.kernels, rows, labels[taken])
            model = GaussianProcessClassifier(model.kernel_, optimizer=None)
            model.fit(rows, labels[taken])
    return lambda candidates: model.predict_proba(candidates.astype(np.float64))[None]


def _one_against_rest(kernels: Sequence[Any], rows: NDArray[Any], labels: IntArray) -> _Predict:
    """Fit a process a class with the kernel that was chosen for it.

    scikit-learn tunes a kernel for each class but does not take them back to fit more answers.
    """
    processes = [
        GaussianProcessClassifier(kernel, optimizer=None).fit(rows, labels == number)
        for number, kernel in enumerate(kernels)
    ]

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        exact = candidates.astype(np.float64)
        own = np.stack([process.predict_proba(exact)[:, 1] for process in processes], axis=1)
        members: NDArray[np.float64] = (own / own.sum(axis=1, keepdims=True))[None]
        return members

    return predict


def _balanced(labels: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Return sorted positions of at most ``most`` answers, taken from the classes in turn."""
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = np.arange(len(own))
    return np.sort(np.argsort(turn, kind="stable")[:most])


def _kernel(columns: Columns) -> Any:
    """A smooth function of features and concepts, plus one of the concepts, plus one of the ground.

    Each has an amplitude of its own, found by the marginal likelihood: where the image says
    nothing, the first is turned down and the concepts are not drowned in noise; and where targets
    lie together (Tobler's first law, 1970), what is known next door counts, as in kriging.
    """

    def part(first: int, last: int, reach: float, bounds: tuple[float, float]) -> Any:
        return ConstantKernel(1.0, (1e-3, 30.0)) * _Within(reach, bounds, first, last)

    def smooth(first: int, last: int) -> Any:
        scale = float(np.sqrt(last - first))  # distances grow with the root of the dimension
        return part(first, last, scale, (0.3 * scale, 10 * scale))

    kernel = smooth(0, columns.without_places)
    if columns.concepts and columns.features:
        kernel += smooth(columns.features, columns.without_places)
    if columns.places:
        kernel += part(columns.without_places, columns.width, *_REACH)
    return kernel


class _Within(RBF):  # type: ignore[misc]  # scikit-learn has no types
    """A radial kernel that sees only the columns from ``first`` to before ``last``."""

    def __init__(
        self,
        length_scale: float = 1.0,
        length_scale_bounds: tuple[float, float] = (1e-5, 1e5),
        first: int = 0,
        last: int | None = None,
    ) -> None:
        super().__init__(length_scale, length_scale_bounds)
        self.first = first
        self.last = last

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        seen = slice(self.first, self.last)
        return super().__call__(X[:, seen], None if Y is None else Y[:, seen], eval_gradient)
