"""A forest as a head: extremely randomised trees (Geurts et al. 2006)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.growing import grow
from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

if TYPE_CHECKING:
    from owl_geo.models.trees import Trees

_TREES = 100
_JUDGING_TREES = 50  # of a forest that only judges answers; a third has not seen each
_GROVES = 5  # members of a forest: the groups in which the trees vote
# Candidates; with fewer, loading Numba or gathering the trees takes longer than it saves.
_WORTH_IT, _WORTH_IT_ONCE_LOADED = 50_000, 4000
MOST_IN_A_BAG = 2000  # answers drawn for each tree; a tree's time grows with them


def _forest(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    """Fit the trees; they ignore the places."""
    seen = columns.without_places
    grown = grow(table[:, :seen], labels, _TREES, seed=seed % 2**32)
    return _Groves([tree for tree, _ in grown], seen)


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
    count = _TREES if len(labels) > MOST_IN_A_BAG else _JUDGING_TREES
    drawn = min(len(labels), MOST_IN_A_BAG)
    grown = grow(rows, labels, count, seed=seed % 2**32, drawn=drawn)
    total = np.zeros((len(labels), len(np.unique(labels))))
    for tree, bag in grown:
        unseen = np.ones(len(labels), dtype=bool)
        unseen[bag] = False
        total[unseen] += tree.predict(rows[unseen])
    votes = total.sum(axis=1, keepdims=True)
    return _Groves([tree for tree, _ in grown], seen), total / np.maximum(votes, 1e-9)


class _Groves:
    """Maps candidates to the groves' probabilities, ``(groves, n, classes)``.

    Of many candidates, all but the first are asked by compiled trees, where Numba is installed; the
    results are the same.
    """

    def __init__(self, trees: list[Any], seen: int) -> None:
        self._trees = trees
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
        trees = np.array([tree.predict(rows) for tree in self._trees])
        n, classes = trees.shape[1:]
        groves: NDArray[np.float64] = trees.reshape(_GROVES, -1, n, classes).mean(axis=1)
        return groves

    def _are_worth_it(self) -> bool:
        """Return whether to compile; once Numba is loaded, a few candidates are."""
        most = _WORTH_IT if "numba" not in sys.modules else _WORTH_IT_ONCE_LOADED
        return self._done >= most and find_spec("numba") is not None


FOREST = HeadKind(_forest, members=_GROVES)
