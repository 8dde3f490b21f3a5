"""Cross-validation over the answered patches, in blocks of ground."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scene_windows import pool_at

from owl_geo.ground.blocks import block_edge, ground_blocks
from owl_geo.measures.validation import block_folds, blocked_cv_auc
from owl_geo.settings.truth import EvaluationSettings
from owl_geo.truth.held_out import hold_out


def ground(rows: int, cols: int, size: int = 8, scene: str = "s") -> pd.DataFrame:
    row, col = (part.ravel() * size for part in np.mgrid[0:rows, 0:cols])
    return pd.DataFrame({"scene": scene, "row_off": row, "col_off": col})


class Neighbours:
    """Predicts what the nearest training patch is: knows the ground, and nothing else."""

    def __init__(self, index: pd.DataFrame) -> None:
        self.places = index[["row_off", "col_off"]].to_numpy(dtype=float)
        self.calls: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        self.calls.append((train, test))
        gaps = np.linalg.norm(self.places[test][:, None] - self.places[train], axis=2)
        share = labels[gaps.argmin(axis=1)] == 1
        return np.stack([1 - share, share], axis=1).astype(float)


def test_neighbours_do_not_help_across_blocks() -> None:
    index = ground(20, 20)
    rng = np.random.default_rng(0)
    blocks = ground_blocks(pool_at(index, 8), 16)
    # each block is of one class, drawn at random: only a patch's own block tells what it is
    names, block = np.unique(blocks, return_inverse=True)
    labels = rng.permutation(np.arange(len(names)) % 2)[block]
    positions = rng.permutation(400)[:300]
    known, where = labels[positions], blocks[positions]
    fair = blocked_cv_auc(Neighbours(index), positions, known, where, seed=0, positive=1)
    single = np.arange(300)  # every patch a block of its own: a random split
    flattered = blocked_cv_auc(Neighbours(index), positions, known, single, seed=0, positive=1)
    assert flattered > 0.9
    assert fair < 0.6


def test_every_patch_is_judged_once_by_a_model_that_has_not_seen_its_block() -> None:
    index = ground(12, 12)
    positions = np.arange(0, 144, 2)
    blocks = ground_blocks(pool_at(index, 8), 16)
    labels = np.random.default_rng(1).integers(0, 2, len(positions))
    model = Neighbours(index)
    blocked_cv_auc(model, positions, labels, blocks[positions], seed=3, positive=1)
    assert len(model.calls) == 5
    for train, test in model.calls:
        assert set(blocks[train]).isdisjoint(blocks[test])
        assert sorted([*train, *test]) == positions.tolist()
    judged = np.concatenate([test for _, test in model.calls])
    assert sorted(judged) == positions.tolist()


def test_the_auc_is_that_of_the_pooled_predictions() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])

    def known(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.eye(3)[truth[test]]

    positions, blocks = np.arange(6), np.array([0, 1, 0, 1, 0, 1])
    assert blocked_cv_auc(known, positions, truth, blocks, seed=0, positive=2) == 1

    def reversed_(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        return 1 - np.eye(3)[truth[test]]

    assert blocked_cv_auc(reversed_, positions, truth, blocks, seed=0, positive=2) == 0


def test_where_nothing_can_be_said() -> None:
    def never(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        raise AssertionError("there is nothing to fit")

    none = np.empty(0, np.int64)
    positions, labels = np.arange(4), np.array([0, 1, 0, 1])
    target = {"seed": 0, "positive": 1}
    one_block, two_blocks = np.zeros(4, np.int64), np.array([0, 0, 1, 1])
    assert math.isnan(blocked_cv_auc(never, none, none, none, **target))
    assert math.isnan(blocked_cv_auc(never, positions, labels, one_block, **target))
    assert math.isnan(blocked_cv_auc(never, positions, np.zeros(4, np.int64), two_blocks, **target))
    # all targets in one block: without it there is no class to learn, with it none to judge
    model = Neighbours(ground(2, 2))
    apart = np.array([0, 0, 1, 1])
    assert math.isnan(blocked_cv_auc(model, positions, apart, two_blocks, **target))
    with pytest.raises(ValueError, match="n_folds is 1"):
        block_folds(labels == 1, two_blocks, 1, seed=0)
    with pytest.raises(ValueError, match="4 positions, 3 labels, 4 blocks"):
        blocked_cv_auc(never, positions, labels[:3], two_blocks, **target)


def test_a_broken_model_is_not_passed_over() -> None:
    def broken(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full((len(test), 2), np.nan)

    labels, blocks = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="NaN"):
        blocked_cv_auc(broken, np.arange(4), labels, blocks, seed=0, positive=1)


def test_rare_targets_are_spread_over_the_folds() -> None:
    blocks = np.repeat(np.arange(20), 10)
    is_positive = np.zeros(200, dtype=bool)
    is_positive[[0, 55, 90, 123, 188]] = True
    folds = block_folds(is_positive, blocks, 5, seed=0)
    assert np.bincount(folds[is_positive]).tolist() == [1, 1, 1, 1, 1]
    assert np.bincount(folds).tolist() == [40] * 5
    assert (folds.reshape(20, 10) == folds[::10, None]).all()
    assert (folds == block_folds(is_positive, blocks, 5, seed=0)).all()
    assert (folds != block_folds(is_positive, blocks, 5, seed=1)).any()
    assert set(block_folds(is_positive[:20], blocks[:20], 5, seed=0)) == {0, 1}


def test_blocks_are_those_of_the_held_out_part() -> None:
    index = ground(30, 30)
    blocks = ground_blocks(pool_at(index, 8), 50)
    held, _ = hold_out(pool_at(index, 8), EvaluationSettings(), np.random.default_rng(0))
    whole = pd.Series(held).groupby(blocks).mean()
    assert set(whole) == {0.0, 1.0}
    assert block_edge(900, 50) == 4
    assert block_edge(10, 50) == 1
    assert block_edge(10**7, 50) == 16


def test_no_block_reaches_over_two_scenes() -> None:
    index = pd.concat([ground(4, 4), ground(4, 4, scene="t")], ignore_index=True)
    blocks = ground_blocks(pool_at(index, 8), 2)
    assert set(blocks[:16]).isdisjoint(blocks[16:])
    assert len(set(blocks)) == 2
