"""How good a model is without ground truth: cross-validation over the answered patches.

Whole blocks of ground are left out at a time, since neighbours of the training patches would
flatter the model (Roberts et al. 2017, Ecography 40: 913-929). ``ground.blocks`` makes the blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from owl_geo.measures.metrics import roc_auc
from owl_geo.types import BoolArray, IntArray
from owl_geo.work.progress import Progress

# (positions to fit on, their class numbers, positions to predict) -> probabilities (n, classes)
FitPredict = Callable[[IntArray, IntArray, IntArray], NDArray[np.floating]]

_FOLDS = 5


def blocked_cv_auc(
    fit_predict: FitPredict,
    positions: IntArray,
    labels: IntArray,
    blocks: IntArray,
    *,
    seed: int,
    positive: int,
    overlaps: tuple[IntArray, IntArray] | None = None,
    progress: Progress | None = None,
) -> float:
    """Return the ROC AUC of predictions for patches in blocks that the model was not fitted on.

    There are five folds, or as many as there are blocks, and their predictions are pooled into one
    AUC. A fold whose training part has only one class teaches nothing and is left out. Not-a-number
    if fewer than two blocks hold answers, or if the pooled predictions are of one class.

    It is the AUC among the *answered* patches. These are a strategy's choice, not chance: a
    strategy that asks about patches of which the model is unsure leaves out the easy ones, and the
    same model would score higher on the whole pool. Compare it between rounds of one search, not
    between strategies; an estimate for the pool needs answers drawn at random (``audit``).

    Args:
        fit_predict: fits on ``(positions, labels)`` and returns the probabilities ``(n, classes)``
            for its third argument.
        positions: the answered patches as positions in the pool, int64 ``(n,)``.
        labels: their class numbers, int64 ``(n,)``.
        blocks: the block of ground each of them lies in, int64 ``(n,)``.
        seed: decides which blocks share a fold.
        positive: the number of the class that is searched for.
        overlaps: pairs of the answered patches that share ground, each ``(k,)``, numbers from 0 to
            n - 1; a model is not fitted on what shares ground with a patch that it is tested on.
        progress: called after each fold.

    Raises ValueError if the lengths differ.
    """
    if not len(positions) == len(labels) == len(blocks):
        raise ValueError(
            f"{len(positions)} positions, {len(labels)} labels, {len(blocks)} blocks: "
            "there must be one of each per patch"
        )
    is_positive: BoolArray = labels == positive
    folds = block_folds(is_positive, blocks, _FOLDS, seed)
    probability = np.full(len(labels), np.nan)
    judged = np.zeros(len(labels), dtype=bool)
    n_made = int(folds.max(initial=-1)) + 1
    one, other = overlaps or (np.empty(0, np.int64), np.empty(0, np.int64))
    for fold in range(n_made):
        out = folds == fold
        fit = ~out
        fit[one[out[other]]] = fit[other[out[one]]] = False
        taught = labels[fit]
        if out.any() and (taught == positive).any() and (taught != positive).any():
            predicted = fit_predict(positions[fit], taught, positions[out])
            probability[out] = predicted[:, positive]
            judged |= out
        if progress is not None:
            progress(fold + 1, n_made)
    return roc_auc(is_positive[judged], probability[judged])


def block_folds(is_positive: BoolArray, blocks: IntArray, n_folds: int, seed: int) -> IntArray:
    """Return a fold for each patch, int64 ``(n,)``; the patches of a block share one.

    Blocks are dealt out one by one, those with the most positives first, each to the fold that has
    the fewest positives and, among equals, the fewest patches. So every fold has both classes if
    there are enough blocks of both. Raises ValueError if ``n_folds`` is below 2.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds is {n_folds}, but it must be at least 2")
    names, block = np.unique(blocks, return_inverse=True)
    size = np.bincount(block, minlength=len(names))
    positives = np.bincount(block, weights=is_positive, minlength=len(names)).astype(np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.lexsort((-size[shuffled], -positives[shuffled]))]
    n_folds = min(n_folds, len(names))
    load = np.zeros((n_folds, 2), dtype=np.int64)  # positives and patches of each fold
    fold_of = np.zeros(len(names), dtype=np.int64)
    for each in order.tolist():
        # a block without positives goes where patches are few, regardless of positives
        key = (load[:, 1], load[:, 0]) if positives[each] else (load[:, 0], load[:, 1])
        fold_of[each] = np.lexsort(key)[0]
        load[fold_of[each]] += positives[each], size[each]
    return np.asarray(fold_of[block], dtype=np.int64)
