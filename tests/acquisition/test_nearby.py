"""Large pools: which of their patches a round scores."""

from __future__ import annotations

import numpy as np
import pytest
import searches
import torch

from owl_geo.acquisition import nearby
from owl_geo.acquisition.nearby import near_known
from owl_geo.search.choosing import choose
from owl_geo.search.records import Answers

CPU = torch.device("cpu")


def plane(n: int = 4000) -> np.ndarray:
    return np.random.default_rng(0).random((n, 2)).astype(np.float32)


def test_half_lie_nearest_to_the_answers_and_half_anywhere() -> None:
    features, known = plane(), np.array([3, 17])
    pool = np.delete(np.arange(4000), known)
    part = near_known(features, known, pool, 400, np.random.default_rng(1))
    found = part.positions
    assert (np.diff(found) > 0).all()
    assert np.isin(found, pool).all()
    assert 300 < len(found) <= 400
    for position in known:
        away = np.linalg.norm(features[pool] - features[position], axis=1)
        assert np.isin(pool[np.argsort(away)[:100]], found).all()
        assert not part.is_drawn[np.isin(found, pool[np.argsort(away)[:100]])].any()
    drawn = near_known(features, known[:0], pool, 400, np.random.default_rng(1)).positions
    assert len(drawn) == 200
    assert np.abs(features[drawn].mean(axis=0) - 0.5).max() < 0.1
    assert np.isin(drawn, found).all() and np.isin(found[part.is_drawn], drawn).all()


def test_a_small_pool_is_taken_whole() -> None:
    pool = np.arange(5, 25)
    found = near_known(plane(30), np.array([0]), pool, 20, np.random.default_rng(0))
    assert np.array_equal(found.positions, pool) and not found.is_drawn.any()


def test_more_answers_than_places() -> None:
    known = np.arange(50)
    found = near_known(plane(), known, np.arange(50, 4000), 20, np.random.default_rng(0))
    assert 10 < len(found.positions) <= 60


@pytest.mark.parametrize("strategy", ["discovery", "uncertainty", "concept"])
def test_a_round_scores_only_candidates(
    tmp_path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    asked = {}
    scored: dict[int, int] = {}
    for candidates in (0, 60):
        one = searches.make(
            tmp_path / str(candidates),
            source={"kind": "synthetic", "n_samples": 300, "image_size": 8, "signal": 1.0},
            acquisition={"candidates": candidates, "strategy": strategy, "audit_share": 0.5},
            loop={"batch_size": 10},
            oracle={},
            evaluation={"test_share": 0.0},
        ).search(CPU)
        positions = np.arange(0, 300, 15)
        labels = np.asarray(one.truth["label"].iloc[positions] == "present", dtype=np.int64)
        answers = Answers(positions, labels, np.ones(20, dtype=bool), positions)
        learner = one.learner()
        one.learn(learner, answers, 1)
        members = learner.members

        def counted(at, candidates=candidates, members=members, **options):
            scored[candidates] = len(at)
            return members(at, **options)

        monkeypatch.setattr(learner, "members", counted)
        batch = choose(one, learner, answers, 1)
        assert len(batch.positions) == len(set(batch.positions)) == 10
        assert not set(batch.positions) & set(positions)
        assert np.isfinite(batch.terms.probability).all()
        asked[candidates] = set(batch.positions[batch.audited])
    assert scored[0] == 280
    assert 30 < scored[60] <= 66
    # what chance draws is drawn from all, whatever is scored
    assert asked[0] == asked[60]
    assert len(asked[0]) == 5


def test_what_is_not_scored_counts_in_what_is_expected(tmp_path) -> None:
    """Every fifth patch is scored, near the answers more of them, which hold most targets."""
    one = searches.make(
        tmp_path / "r",
        source={"kind": "synthetic", "n_samples": 600, "image_size": 8, "signal": 1.0},
        acquisition={"candidates": 120, "audit_share": 0.3},
        loop={"batch_size": 10},
        oracle={},
        evaluation={"test_share": 0.0},
    ).search(CPU)
    positions = np.arange(0, 600, 30)
    labels = np.asarray(one.truth["label"].iloc[positions] == "present", dtype=np.int64)
    answers = Answers(positions, labels, np.ones(20, dtype=bool), positions)
    learner = one.learner()
    one.learn(learner, answers, 1)
    left = np.flatnonzero(one.askable(answers))
    in_all = one.members(learner, left, 1).mean(axis=0)[:, one.positive].sum()
    told = np.array([choose(one, learner, answers, number).expected for number in range(1, 101)])
    assert told.std() > 0
    assert abs(told.mean() - in_all) < 3 * told.std() / np.sqrt(len(told))
    assert abs(told.mean() - in_all) < 0.03 * in_all


@pytest.mark.parametrize("strategy", ["random", "relevance"])
def test_what_asks_no_model_draws_from_all(tmp_path, strategy: str) -> None:
    """A random batch stands for the pool, so neighbours of the answers must not come first."""
    asked = []
    for candidates in (0, 40):
        one = searches.make(
            tmp_path / str(candidates),
            source={"kind": "synthetic", "n_samples": 300, "image_size": 8},
            acquisition={"candidates": candidates, "strategy": strategy},
            loop={"batch_size": 20},
        ).search(CPU)
        positions = np.arange(20)
        answers = Answers(positions, positions % 2, np.ones(20, dtype=bool), positions)
        asked.append(choose(one, one.learner(), answers, 1).positions.tolist())
    assert asked[0] == asked[1]


def nearest_by_hand(features: np.ndarray, one: int, pool: np.ndarray, each: int) -> np.ndarray:
    away = ((features[pool].astype(np.float64) - features[one].astype(np.float64)) ** 2).sum(axis=1)
    return pool[np.argsort(away, kind="stable")[:each]]


def test_neighbours_in_a_large_pool_are_exact_from_round_to_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearby, "_AT_ONCE", 256)
    features = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32).round(1)
    known, pool = np.array([3, 17]), np.setdiff1d(np.arange(4000), [3, 17])
    neighbours = nearby.Neighbours(features)
    looked_for: list[list[int]] = []
    look = neighbours._nearest_of
    monkeypatch.setattr(
        neighbours, "_nearest_of", lambda n, count: looked_for.append(n) or look(n, count)
    )
    for each in (60, 50):  # the more answers, the fewer neighbours of each
        found = neighbours.of(known, pool, each)
        for one, row in zip(known, found, strict=True):
            assert np.array_equal(row, nearest_by_hand(features, one, pool, each))
        known = np.append(known, found[0, 5])
        pool = np.setdiff1d(pool, known)
    assert looked_for == [[3, 17], [known[2]]]
    before = np.arange(2000)  # others may be asked than before, or so few that neighbours run out
    for pool in (before[100:], before, np.arange(1900, 4000)):
        for one, row in zip(known, neighbours.of(known, pool, 40), strict=True):
            assert np.array_equal(row, nearest_by_hand(features, one, pool, 40))


def test_a_large_pool_has_the_neighbours_of_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known, pool = np.array([3, 17]), np.setdiff1d(np.arange(4000), [3, 17])
    by_tree = near_known(plane(), known, pool, 400, np.random.default_rng(1))
    monkeypatch.setattr(nearby, "_IN_TREE", 0)
    large = near_known(plane(), known, pool, 400, np.random.default_rng(1))
    assert np.array_equal(large.positions, by_tree.positions)
    assert np.array_equal(large.is_drawn, by_tree.is_drawn)


@pytest.mark.parametrize("offset", [0.0, 5.0, 20.0, 60.0, 300.0])
def test_neighbours_that_float32_cannot_tell_apart_are_exact(
    monkeypatch: pytest.MonkeyPatch, offset: float
) -> None:
    monkeypatch.setattr(nearby, "_AT_ONCE", 600)
    rng = np.random.default_rng(5)
    # on a grid so that many are equally far, and so long that float32 loses what they differ by
    features = (rng.integers(0, 4, (1500, 6)) / 64 + offset).astype(np.float32)
    asked = rng.choice(1500, 25, replace=False)
    pool = np.setdiff1d(np.arange(1500), asked)
    found = nearby.Neighbours(features).of(asked, pool, 70)
    for position, near in zip(asked, found, strict=True):
        assert np.array_equal(near, nearest_by_hand(features, position, pool, 70))


@pytest.mark.parametrize("each", [30, 130, 400, 1400])
@pytest.mark.parametrize("known", [1, 3, 20])
def test_more_neighbours_than_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch, each: int, known: int
) -> None:
    monkeypatch.setattr(nearby, "_AT_ONCE", 300)  # 100 patches, and 30 at the end
    features = np.random.default_rng(0).normal(size=(1530, 3)).astype(np.float32)
    asked, pool = np.arange(known), np.arange(known, 1530)
    found = nearby.Neighbours(features).of(asked, pool, each)
    for position, near in zip(asked, found, strict=True):
        assert np.array_equal(near, nearest_by_hand(features, position, pool, each))


def test_some_of_very_many_are_drawn_without_shuffling(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    shuffled = np.random.default_rng(0).permutation(50)[:9]
    assert np.array_equal(nearby.some_of(50, lambda: 9, rng), shuffled)
    monkeypatch.setattr(nearby, "_SHUFFLED", 10)
    drawn = nearby.some_of(50, lambda: 9, rng)
    assert len(set(drawn.tolist())) == 9 and drawn.max() < 50
    assert len(nearby.some_of(50, lambda: 90, rng)) == 50
