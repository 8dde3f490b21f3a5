"""A forest as a head: extremely randomised trees (Geurts et al. 2006)."""

from __future__ import annotations

import copy
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

if TYPE_CHECKING:
    from owl_geo.models.trees import Trees

_TREES = 100
_JUDGING_TREES = 50  # of a forest that only judges answers; a third has not seen each
_MOST_SEEDS = np.iinfo(np.int32).max  # scikit-learn draws a tree's seed below this
_GROVES = 5  # members of a forest: the groups in which the trees vote
# Candidates; with fewer, loading Numba or gathering the trees takes longer than it saves.
_WORTH_IT, _WORTH_IT_ONCE_LOADED = 50_000, 4000
MOST_IN_A_BAG = 2000  # answers drawn for each tree; a tree's time grows with them


@cache
def _forest_class() -> Any:
    """Return scikit-learn's forest, which makes its trees in half the time; they are the same.

    On few answers, a tree grows faster than scikit-learn copies and checks its parameters.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

    class Forest(ExtraTreesClassifier):  # type: ignore[misc]
        def _make_estimator(self, append: bool = True, random_state: Any = None) -> Any:
            if append or random_state is None:
                return super()._make_estimator(append, random_state)
            if not hasattr(self, "_like"):
                self._like = super()._make_estimator(append=False)
            tree = copy.copy(self._like)
            tree.random_state = random_state.randint(_MOST_SEEDS)
            return tree

    return Forest


def _forest(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    """Fit the trees; they ignore the places."""
    seen = columns.without_places
    forest = _forest_class()(_TREES, random_state=seed % 2**32)
    return _Groves(_fitted(forest, table[:, :seen], labels), seen)


def bagged_forest(
    table: FloatArray, labels: IntArray, columns: Columns, seed: int
) -> tuple[Predict, NDArray[np.float64]]:
    """Fit each tree on answers drawn with replacement (bagging, Breiman 1996).

    Up to ``MOST_IN_A_BAG`` answers, it is there to judge them, and has fewer trees.

    Also returns what the trees that have not seen an answer say about it, ``(n, classes)``; 0
    everywhere for an answer that every tree has seen.
    """
    seen = columns.without_places
    rows = np.ascontiguousarray(table[:, :seen], dtype=np.float32)
    forest = _forest_class()(
        _TREES if len(labels) > MOST_IN_A_BAG else _JUDGING_TREES,
        bootstrap=True,
        max_samples=min(len(labels), MOST_IN_A_BAG),
        random_state=seed % 2**32,
    )
    _fitted(forest, rows, labels)
    total = np.zeros((len(labels), len(np.unique(labels))))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        unseen = np.ones(len(labels), dtype=bool)
        unseen[drawn] = False
        total[unseen] += tree.tree_.predict(rows[unseen])
    votes = total.sum(axis=1, keepdims=True)
    return _Groves(forest, seen), total / np.maximum(votes, 1e-9)


def _fitted(forest: Any, rows: FloatArray, labels: IntArray) -> Any:
    with warnings.catch_warnings():  # that many classes with few answers look like a regression
        warnings.filterwarnings("ignore", message="The number of unique classes")
        return forest.fit(rows, labels)


class _Groves:
    """Maps candidates to the groves' probabilities, ``(groves, n, classes)``.

    Of many candidates, all but the first are asked by compiled trees, where Numba is installed; the
    results are the same.
    """

    def __init__(self, forest: Any, seen: int) -> None:
        self._trees = forest.estimators_
        self._seen = seen
        self._done = 0  # rows so far
        self._compiled: Trees | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_compiled": None}  # where this is sent to, Numba may not be installed

    def __call__(self, candidates: FloatArray) -> NDArray[np.floating[Any]]:
        rows = np.ascontiguousarray(candidates[:, : self._seen], dtype=np.float32)
        if self._compiled is None and self._are_worth_it():
            from owl_geo.models.trees import Trees  # imports Numba

            self._compiled = Trees.of(self._trees)
        self._done += len(rows)
        if self._compiled is not None:
            return self._compiled.groups(rows, _GROVES)
        # bypasses the checks that scikit-learn would repeat for each tree
        trees = np.array([tree.tree_.predict(rows) for tree in self._trees])
        n, classes = trees.shape[1:]
        groves: NDArray[np.float64] = trees.reshape(_GROVES, -1, n, classes).mean(axis=1)
        return groves

    def _are_worth_it(self) -> bool:
        """Return whether to compile; once Numba is loaded, a few candidates are."""
        most = _WORTH_IT if "numba" not in sys.modules else _WORTH_IT_ONCE_LOADED
        return self._done >= most and find_spec("numba") is not None


FOREST = HeadKind(_forest, members=_GROVES)
