"""What requests do, without threads or streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import label, make

from owl_geo import query
from owl_geo.engine.messages import RpcError
from owl_geo.engine.methods import Methods
from owl_geo.engine.params import LikeParams
from owl_geo.reporting.facts import facts
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
