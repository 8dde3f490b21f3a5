"""The random part of each batch: uniform over what could be asked, and told apart afterwards."""

from __future__ import annotations

import json
import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import torch
from scipy.stats import chi2
from searches import make

from owl_geo import Run, query
from owl_geo.evaluation.simulate import simulate
from owl_geo.search.choosing import choose
from owl_geo.search.pool import relevance_model
from owl_geo.search.quality import cross_validated_auc
from owl_geo.search.records import Answers, class_numbers
from owl_geo.search.search import Search

CPU = torch.device("cpu")


def search(path: Path, **tables) -> Search:
    return make(path, oracle={}, **tables).search(CPU)


def some_answers(of: Search, n: int = 12) -> Answers:
    """The truth of the first patches that may be asked."""
    positions = np.flatnonzero(of.askable(Answers.none()))[:n]
    labels = class_numbers(of.settings.classes, of.truth["label"].iloc[positions])
    return Answers(positions, labels, np.ones(n, dtype=bool), positions)


def is_uniform(counts: np.ndarray) -> bool:
    """Whether chance alone would give such counts, once in a thousand times not."""
    expected = counts.sum() / len(counts)
    return ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, len(counts) - 1)


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Search:
    # by relevance alone, so that no model has to be asked a thousand times
    tables = {
        "acquisition": {"strategy": "relevance", "audit_share": 0.5},
        "loop": {"batch_size": 10},
        "seed": 11,
    }
    return search(tmp_path_factory.mktemp("audit") / "r", **tables)


@pytest.fixture(scope="module")
def rounds(one: Search) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions and what was audited, in many rounds over the same pool."""
    answers, learner = some_answers(one), one.learner()
    batches = [choose(one, learner, answers, number) for number in range(1, 1001)]
    return [(batch.positions, batch.audited) for batch in batches]


@pytest.mark.parametrize("few", [0, 1])
def test_a_handful_of_a_class_has_no_cross_validated_auc(one: Search, few: int) -> None:
    known = some_answers(one, 40)
    for n, is_known in ((4, False), (5, True)):
        kept = np.concatenate(
            [np.flatnonzero(known.labels == few)[:n], np.flatnonzero(known.labels != few)[:8]]
        )
        assert len(kept) == n + 8
        fresh = np.ones(len(kept), dtype=bool)
        some = Answers(known.positions[kept], known.labels[kept], fresh, known.positions[kept])
        assert math.isfinite(cross_validated_auc(one, some, 1)) == is_known


class TestTheDraw:
    def test_it_is_uniform_over_what_could_be_asked(self, one: Search, rounds) -> None:
        counts = np.zeros(len(one.patches))
        chosen = np.zeros(len(one.patches))
        for positions, audited in rounds:
            counts[positions[audited]] += 1
            chosen[positions[~audited]] += 1
        free = one.askable(some_answers(one))
        assert free.sum() == 52
        assert (counts[~free] == 0).all()
        assert is_uniform(counts[free])
        assert not is_uniform(chosen[free])  # the test can tell

    def test_its_places_in_the_batch_say_nothing(self, rounds) -> None:
        places = np.sum([audited for _, audited in rounds], axis=0)
        assert places.sum() == 5 * len(rounds)
        assert is_uniform(places)

    def test_the_rest_is_in_the_order_of_its_worth(self, one: Search) -> None:
        batch = choose(one, one.learner(), some_answers(one), 3)
        wanted = batch.terms.score[~batch.audited]
        assert (np.diff(wanted) <= 0).all()
        free = one.askable(some_answers(one))
        free[batch.positions] = False
        assert len(set(batch.positions.tolist())) == 10
        # what is left is worth no more than what was chosen
        concepts = one.patches[list(one.settings.concepts)]
        model = relevance_model(one.settings, concepts, some_answers(one), None)
        relevance = model.relevance(concepts, one.concepts.matrix)
        assert relevance[free].max() <= batch.terms.relevance[~batch.audited].min()


def test_it_does_not_depend_on_the_strategy(tmp_path: Path) -> None:
    drawn = {}
    for strategy in ("discovery", "relevance", "uncertainty"):
        acquisition = {"strategy": strategy, "audit_share": 0.5}
        one = search(tmp_path / strategy, acquisition=acquisition)
        answers, learner = some_answers(one), one.learner()
        one.learn(learner, answers, 1)
        batch = choose(one, learner, answers, 1)
        drawn[strategy] = sorted(batch.positions[batch.audited].tolist())
    assert len(drawn["discovery"]) == 2
    assert drawn["discovery"] == drawn["relevance"] == drawn["uncertainty"]


@pytest.mark.parametrize(("share", "least", "most"), [(0.1, 0, 1), (0.25, 1, 1), (0.4, 1, 2)])
def test_a_share_of_a_place_is_drawn_for(share: float, least: int, most: int, tmp_path) -> None:
    acquisition = {"strategy": "relevance", "audit_share": share}
    one = search(tmp_path / "r", acquisition=acquisition)
    learner = one.learner()
    counts = [
        int(choose(one, learner, some_answers(one), number).audited.sum())
        for number in range(1, 301)
    ]
    assert (min(counts), max(counts)) == (least, most)
    assert np.mean(counts) == pytest.approx(4 * share, abs=0.09)


def test_all_may_be_audited_and_nothing(tmp_path: Path) -> None:
    for share, wanted in ((1.0, 6), (0.0, 0)):
        one = search(tmp_path / str(share), acquisition={"audit_share": share})
        batch = choose(one, one.learner(), Answers.none(), 0)
        assert len(set(batch.positions.tolist())) == 6
        assert batch.audited.sum() == wanted
        learner, answers = one.learner(), some_answers(one)
        one.learn(learner, answers, 1)
        assert choose(one, learner, answers, 1).audited.sum() == (4 if wanted else 0)


def test_the_last_patches_are_all_asked(tmp_path: Path) -> None:
    one = search(tmp_path / "r", acquisition={"audit_share": 0.5}, loop={"batch_size": 10})
    answers = some_answers(one, 61)
    learner = one.learner()
    one.learn(learner, answers, 1)
    batch = choose(one, learner, answers, 1)
    assert sorted(batch.positions.tolist()) == np.flatnonzero(one.askable(answers)).tolist()
    assert len(batch.positions) == 3


def test_the_record_says_what_was_drawn_and_what_the_model_thought(tmp_path: Path) -> None:
    loop = {"initial": 8, "rounds": 3, "batch_size": 4}
    run = make(tmp_path / "r", oracle={}, acquisition={"audit_share": 0.25}, loop=loop)
    simulate(run)
    rounds = Run(run.path).rounds()
    assert [len(entry.audit) for entry in rounds] == [2, 1, 1, 1, 0]
    other = make(tmp_path / "other", acquisition={"audit_share": 0.0})
    query(other)
    plain = gpd.read_file(other.batch_path(0), layer="batch").set_index("patch_id")
    for entry in rounds[:-1]:
        assert set(entry.audit) <= set(entry.patch_ids)
        record = run.files.round_folder(entry.number) / "round.json"
        audit = json.loads(record.read_text())["audit"]
        batch = gpd.read_file(run.batch_path(entry.number), layer="batch").set_index("patch_id")
        for patch, probability in entry.audit.items():
            if entry.number == 0:  # there was no model yet
                assert math.isnan(probability)
                assert audit[patch] is None
            else:
                assert probability == pytest.approx(batch["probability"][patch], rel=1e-6)
                assert audit[patch] == probability
        # annotators are not told: the batch looks as one without an audit does
        assert list(batch.columns) == list(plain.columns)


def test_a_random_search_is_all_audit(tmp_path: Path) -> None:
    random = {"strategy": "random", "start": "random"}
    run = make(tmp_path / "r", oracle={}, acquisition=random)
    simulate(run)
    for entry in run.rounds():
        assert set(entry.audit) == set(entry.patch_ids)
    asked = run.rounds()[1].patch_ids
    assert all(math.isnan(p) for p in run.rounds()[1].audit.values())  # no model was asked
    assert list(run.rounds()[1].audit) == list(asked)


def test_a_random_start_is_audit_and_a_typical_one_is_not(tmp_path: Path) -> None:
    for start, audited in (("random", 6), ("typical", 0), ("relevance", 0)):
        acquisition = {"start": start, "audit_share": 0.0}
        one = search(tmp_path / start, acquisition=acquisition)
        assert choose(one, one.learner(), Answers.none(), 0).audited.sum() == audited


def test_resumed_it_draws_the_same(tmp_path: Path) -> None:
    tables = {"acquisition": {"audit_share": 0.5}, "oracle": {}}
    whole, stopped = make(tmp_path / "whole", **tables), make(tmp_path / "stopped", **tables)
    simulate(whole)

    class Stop(Exception):
        pass

    def stop(_entry: object) -> None:
        raise Stop

    while not Run(stopped.path).is_finished():
        try:
            simulate(Run(stopped.path), on_round=stop)
        except Stop:
            continue
    drawn = [[str(entry.audit) for entry in run.rounds()] for run in (whole, stopped)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("targets", "acquisition", "drawn"),
    [
        (20, {"audit_share": 0.5, "audit_common": 0.1}, 1),
        (4, {"audit_share": 0.5, "audit_common": 0.1}, 5),
        (20, {"audit_share": 0.5}, 5),  # as in older runs
        (20, {"audit_share": 0.0, "audit_common": 0.5}, 0),  # it is never more
        (20, {"audit_share": 0.5, "audit_common": 0.1, "strategy": "relevance"}, 5),  # no model
    ],
)
def test_fewer_are_drawn_where_targets_are_common(
    targets: int, acquisition: dict, drawn: int, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(
        "owl_geo.search.choosing.COMMON", 0.5
    )  # a handful of answers is never about 0.1
    tables = {"model": {"head": "logistic"}, "loop": {"batch_size": 10}}
    one = search(tmp_path / "r", acquisition=acquisition, **tables)
    known = some_answers(one, 24)
    labels = (np.arange(24) < targets).astype(np.int64)
    answers = Answers(known.positions, labels, known.fresh, known.closed)
    learner = one.learner()
    one.learn(learner, answers, 1)
    batch = choose(one, learner, answers, 1)
    assert batch.audited.sum() == drawn
    if acquisition.get("strategy") == "relevance":
        assert math.isnan(batch.expected)
        return
    pool = np.flatnonzero(one.askable(answers))
    of_target = one.members(learner, pool, 1).mean(axis=0)[:, one.positive]
    assert (of_target.mean() >= 0.5) == (targets == 20)
    assert batch.expected == pytest.approx(of_target.sum())


def test_new_runs_draw_less_where_targets_are_common_unless_told_otherwise(tmp_path: Path) -> None:
    assert make(tmp_path / "new").settings.acquisition.audit_common == 0.05
    told = make(tmp_path / "told", acquisition={"audit_share": 0.3}).settings
    assert told.acquisition.audit_common is None
    # a run that does not have the setting keeps its settings' digests
    assert "audit_common" not in told.model_dump()["acquisition"]
