"""What requests do, without threads or streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import label, make

from owl_geo import Run, ingest, query
from owl_geo.engine import engine
from owl_geo.engine.messages import RpcError
from owl_geo.engine.methods import Methods
from owl_geo.engine.params import LikeParams
from owl_geo.errors import ConfigError
from owl_geo.reporting.facts import facts
from owl_geo.verbs.status import Status
from owl_geo.work.progress import Progress


class Unwanted(BaseException):
    """As a server ends a request that was cancelled."""


class Cancelled:
    """A request that was cancelled, which is noticed only where somebody looks."""

    def report(self, what: str) -> Progress:
        return lambda _done, _total: None

    def check(self) -> None:
        raise Unwanted


@pytest.fixture
def methods() -> Methods:
    return Methods(Cancelled(), device="cpu", annotator="ana", describe=facts)


def test_answers_are_kept_where_the_next_batch_is_no_longer_wanted(
    tmp_path: Path, methods: Methods
) -> None:
    run = make(tmp_path / "run", model={"head": "logistic"})
    entry = query(run)
    batch = run.batch_path(0)
    label(batch, dict.fromkeys(entry.patch_ids, "absent"))
    kind, ask_next = methods.by_name["next"]
    with pytest.raises(Unwanted):
        ask_next(kind(run=str(run.path), batches=[str(batch)]))
    methods.drop()
    assert run.labels.count() == len(entry.patch_ids)
    assert len(run.rounds()) == 1


def test_numbers_and_words_of_a_status_are_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that is measured between the two had no AUC, "too few answers of each class"."""
    path = make(tmp_path / "run", model={"head": "logistic"}).path
    for _ in range(2):
        entry = query(path, measure=False)
        answers = {p: ("absent", "present")[n % 2] for n, p in enumerate(entry.patch_ids)}
        label(Run(path).batch_path(entry.number), answers)
        ingest(path, [Run(path).batch_path(entry.number)], annotator="ana")
    query(path, measure=False)
    monkeypatch.setattr(engine, "measure", lambda *_: None)  # not meanwhile, but just then

    def describe(run: Run, now: Status) -> list[tuple[str, str]]:
        query(path)
        return facts(run, now)

    methods = Methods(Cancelled(), device="cpu", annotator="ana", describe=describe)
    kind, status = methods.by_name["status"]
    first, second = (dict(status(kind(run=str(path)))["facts"])["Model"] for _ in range(2))
    methods.drop()
    assert first == "round 2, fitted on 10 labels; no AUC: not cross-validated yet"
    assert second.startswith("round 2, fitted on 10 labels; ranks a present patch above")


def test_a_team_that_cannot_be_is_said_by_the_names_of_the_params(
    tmp_path: Path, methods: Methods
) -> None:
    run = make(tmp_path / "run").path
    kind, ask = methods.by_name["query"]
    with pytest.raises(ConfigError, match=r"^annotators has 'a' twice; give each"):
        ask(kind(run=str(run), annotators=["a", "a"]))
    methods.drop()
    with pytest.raises(ConfigError, match=r"^overlap is 2, but it should be"):
        query(run, annotators=["a", "b"], overlap=2)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({}, "name patches, or set batch"),
        ({"patches": ["p"], "go_on": True}, "go_on goes with batch"),
        ({"batch": True, "out": "x.gpkg"}, "out does not go with batch"),
        ({"batch": True, "overwrite": True}, "out does not go with batch"),
    ],
)
def test_what_does_not_go_together_is_refused(
    wanted: dict[str, object], why: str, tmp_path: Path, methods: Methods
) -> None:
    run = make(tmp_path / "run")
    _, like = methods.by_name["like"]
    with pytest.raises(RpcError, match=why):
        like(LikeParams(run=str(run.path), **wanted))
    methods.drop()
