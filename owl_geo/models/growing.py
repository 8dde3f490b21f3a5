"""Extremely randomised trees (Geurts et al. 2006) as scikit-learn grows them.

On few answers a tree takes less time to grow than scikit-learn takes to copy and check its
parameters and the answers. So the parts that grow it are put together here, from the same seeds.
They are not part of scikit-learn's public interface: where a version has others, its forest does
the work. The trees are the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from owl_geo.types import FloatArray, IntArray

_MOST_SEEDS = np.iinfo(np.int32).max  # of trees; scikit-learn draws them below this
_DEEPEST = np.iinfo(np.int32).max

Grown = tuple[Any, IntArray | None]  # scikit-learn's tree, and the answers drawn for it


def grow(
    rows: FloatArray, labels: IntArray, count: int, *, seed: int, drawn: int | None = None
) -> list[Grown]:
    """Grow trees on all answers, or each on as many answers ``drawn`` with replacement.

    Returns each tree with the positions of the answers drawn for it, ``(drawn,)``, or None.

    Args:
        rows: float32 ``(n, d)``.
        labels: class numbers ``(n,)`` without gaps.
        count: how many trees.
        seed: from 0, below 2**32.
        drawn: the number of answers drawn for each tree; None to take all.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    try:
        grow_one = _grower(rows, labels)
        return [_grown(grow_one, len(rows), own, drawn) for own in _seeds(seed, count)]
    except (ImportError, AttributeError, TypeError, ValueError):  # other parts, or other arguments
        return _forest(rows, labels, count, seed, drawn)


def _seeds(seed: int, count: int) -> list[int]:
    rng = np.random.RandomState(seed)  # which scikit-learn draws from
    return [int(rng.randint(_MOST_SEEDS)) for _ in range(count)]


def _grown(grow_one: Callable[[int, Any], Any], n: int, seed: int, drawn: int | None) -> Grown:
    if drawn is None:
        return grow_one(seed, None), None
    bag = np.random.RandomState(seed).randint(0, n, drawn)
    return grow_one(seed, np.bincount(bag, minlength=n).astype(np.float64)), bag


def _grower(rows: FloatArray, labels: IntArray) -> Callable[[int, Any], Any]:
    """Return what grows a tree from a seed and the weights of the answers."""
    from sklearn.tree._criterion import Gini
    from sklearn.tree._splitter import RandomSplitter
    from sklearn.tree._tree import DepthFirstTreeBuilder, Tree

    d = rows.shape[1]
    n_classes = np.array([labels.max() + 1], dtype=np.intp)
    truth = np.ascontiguousarray(labels[:, None], dtype=np.float64)
    looked_at = max(1, int(d**0.5))  # of the columns, at each node

    def grow_one(seed: int, weights: Any) -> Any:
        rng = np.random.RandomState(seed)
        splitter = RandomSplitter(Gini(1, n_classes), looked_at, 1, 0.0, rng, None)
        tree = Tree(d, n_classes, 1)
        builder = DepthFirstTreeBuilder(splitter, 2, 1, 0.0, _DEEPEST, 0.0)
        builder.build(tree, rows, truth, weights, None)
        return tree

    return grow_one


def _forest(
    rows: FloatArray, labels: IntArray, count: int, seed: int, drawn: int | None
) -> list[Grown]:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        count, bootstrap=drawn is not None, max_samples=drawn, random_state=seed
    )
    with warnings.catch_warnings():  # that many classes with few answers look like a regression
        warnings.filterwarnings("ignore", message="The number of unique classes")
        forest.fit(rows, labels)
    bags = [None] * count if drawn is None else forest.estimators_samples_
    return [(tree.tree_, bag) for tree, bag in zip(forest.estimators_, bags, strict=True)]
