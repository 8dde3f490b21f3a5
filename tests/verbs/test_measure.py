"""What is measured after a batch is there: the same number, whoever measures it and whenever."""

from __future__ import annotations

import logging
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contents import contents, differences
from searches import label, make

from owl_geo import Engine, Run, ingest, query, status
from owl_geo.errors import RunError, SourceError
from owl_geo.measures.validation import blocked_cv_auc
from owl_geo.reporting.facts import facts
from owl_geo.run_folder.paths import LATER, RECORD
from owl_geo.run_folder.records import Round
from owl_geo.search.quality import cross_validated_auc
from owl_geo.search.search import Search
from owl_geo.settings import owl_toml
from owl_geo.verbs import measure as measure_
from owl_geo.verbs.classes import add_class

LONG = 20.0  # seconds that nothing takes


def answer(run: Path) -> None:
    """Answer the last batch: every second patch is present."""
    entry = Run(run).rounds()[-1]
    batch = Run(run).batch_path(entry.number)
    label(batch, {p: ("absent", "present")[n % 2] for n, p in enumerate(entry.patch_ids)})
    ingest(run, [batch], annotator="ana")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first batch of ten is answered, so that the next round is cross-validated."""
    tables: dict[str, Any] = {"model": {"head": "logistic"}, "loop": {"initial": 10}}
    run = make(tmp_path_factory.mktemp("begun") / "run", **tables).path
    query(run)
    answer(run)
    return run


@pytest.fixture
def two(begun: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of it."""
    one, other = (Path(shutil.copytree(begun, tmp_path / name)) for name in ("one", "other"))
    return one, other


class _Killed(BaseException):
    pass


def interrupted(run: Path) -> Round:
    """Do a round that ends, as if killed, when its batch is there."""
    written: list[Round] = []

    def published(entry: Round) -> None:
        written.append(entry)
        raise _Killed

    with pytest.raises(_Killed):
        query(run, published=published)
    return written[0]


def cv_auc(run: Path) -> list[float]:
    """The column of metrics.csv, which must be that of the rounds."""
    table = pd.read_csv(run / "metrics.csv", float_precision="round_trip")  # not so in pandas 2
    values = table["cv_auc"].tolist()
    of_rounds = [entry.metrics.cv_auc for entry in Run(run).rounds()]
    assert str(values) == str(of_rounds)
    return values


def test_a_batch_is_there_before_its_round_is_measured(two: tuple[Path, Path]) -> None:
    run, _ = two
    told: list[tuple[bool, float, float]] = []

    def published(entry: Round) -> None:
        row = pd.read_csv(run / "metrics.csv").iloc[-1]
        told.append((Run(run).batch_path(1).is_file(), entry.metrics.cv_auc, row["cv_auc"]))

    entry = query(run, published=published)
    assert len(told) == 1 and told[0][0]
    assert all(map(math.isnan, told[0][1:]))
    opened = Run(run)
    answers = opened.answers(opened.labels.history(), 0, opened.rounds())
    known = cross_validated_auc(opened.search("cpu"), answers, 1)
    assert 0 < known < 1
    assert entry.metrics.cv_auc == known
    assert cv_auc(run)[1] == known


def test_what_a_killed_process_left_is_measured_by_the_next(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the answers that the round has seen, and not those that came since."""
    undisturbed, killed = two
    query(undisturbed)
    entry = interrupted(killed)
    record = (killed / "rounds/001" / RECORD).read_bytes()
    assert math.isnan(cv_auc(killed)[1])
    assert "not cross-validated yet" in dict(facts(Run(killed), status(killed)))["Model"]
    for run in two:
        answer(run)
        query(run)
    assert (killed / "rounds/001" / RECORD).read_bytes() == record
    assert "cross-validated)" in dict(facts(Run(killed), status(killed)))["Model"]
    assert differences(*(contents(run, hours=False) for run in two)) == []
    assert cv_auc(killed)[1] != cv_auc(killed)[2]
    assert entry.patch_ids == Run(killed).rounds()[1].patch_ids


def test_a_batch_that_waits_is_measured_too_unless_that_is_impossible(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed, killed = two
    query(undisturbed)
    interrupted(killed)

    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise SourceError("a block is damaged")

    with monkeypatch.context() as patch:
        patch.setattr("owl_geo.verbs.measure.cross_validated_auc", broken)
        assert query(killed).number == 1
    assert "a block is damaged" in caplog.text
    assert query(killed).metrics.cv_auc == cv_auc(undisturbed)[1]


def test_whoever_changes_what_it_depends_on_measures_first(two: tuple[Path, Path]) -> None:
    undisturbed, killed = two
    query(undisturbed)
    interrupted(killed)
    for run in two:
        add_class(run, "doubtful")
    assert cv_auc(killed)[1] == cv_auc(undisturbed)[1]
    assert differences(*(contents(run, hours=False) for run in two)) == []


def test_the_number_of_a_model_that_is_no_more_stays_unknown(
    two: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    run, _ = two
    interrupted(run)
    file = run / owl_toml.FILE_NAME
    text = file.read_text(encoding="utf-8")
    assert 'head = "logistic"' in text
    file.write_text(text.replace('head = "logistic"', 'head = "forest"'), encoding="utf-8")
    with caplog.at_level(logging.INFO, "owl_geo"):
        assert math.isnan(query(run).metrics.cv_auc)
    assert "stays unknown" in caplog.text
    file.write_text(text, encoding="utf-8")
    assert math.isnan(query(run).metrics.cv_auc)  # for good


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Cross-validation that begins, and goes on only when it is let."""
    begun, let = threading.Event(), threading.Event()

    def slowly(*arguments: Any, progress: Callable[[int, int], None], **options: Any) -> float:
        begun.set()
        while not let.wait(0.01):
            progress(0, 5)
        return blocked_cv_auc(*arguments, progress=progress, **options)

    monkeypatch.setattr("owl_geo.search.quality.blocked_cv_auc", slowly)
    yield begun, let
    let.set()


def test_an_engine_measures_while_people_label(
    two: tuple[Path, Path], slow: tuple[threading.Event, threading.Event]
) -> None:
    """Requests are answered meanwhile; the next round stops it, and nothing is lost by that."""
    begun, let = slow
    by_engine, by_commands = two
    with Engine(by_engine) as engine:
        assert math.isnan(engine.query().metrics.cv_auc)
        assert begun.wait(LONG)
        assert sum(engine.status().labels.values()) == 10  # it goes on meanwhile
        answer(by_engine)
        begun.clear()
        assert engine.query().number == 2  # it was stopped, and begins anew
        assert begun.wait(LONG)
        assert all(map(math.isnan, cv_auc(by_engine)))
        let.set()
    query(by_commands)
    answer(by_commands)
    query(by_commands)
    assert differences(*(contents(run, hours=False) for run in two)) == []
    assert not any(map(math.isnan, cv_auc(by_engine)[1:]))


def test_an_engine_measures_what_a_killed_one_left(two: tuple[Path, Path]) -> None:
    undisturbed, killed = two
    query(undisturbed)
    interrupted(killed)
    with Engine(killed) as engine:
        waiter = threading.Event()
        for _ in range(400):
            if (killed / "rounds/001" / LATER).exists():
                break
            waiter.wait(0.05)
        assert engine.query().metrics.cv_auc == cv_auc(undisturbed)[1]
    assert differences(*(contents(run, hours=False) for run in two)) == []


def test_two_windows_and_a_command_on_one_run(two: tuple[Path, Path]) -> None:
    """Each takes in what the others did; nobody asks or measures a round twice."""
    shared, alone = two
    with Engine(shared) as one, Engine(shared) as other:
        assert one.query().number == 1
        assert other.query().number == 1  # it waits, and is the same
        for window in (one, other):  # both have labelled it
            label(
                Run(shared).batch_path(1),
                dict.fromkeys(Run(shared).rounds()[1].patch_ids, "absent"),
            )
            window.ingest([Run(shared).batch_path(1)], annotator="ana")
        assert other.query().number == 2
        answer(shared)  # by a command
        assert query(shared).number == 3
        assert one.query().number == other.query().number == 3
        answer(shared)
        assert one.query().number == 4
        one.measure()  # which goes on after a batch is there
        np.testing.assert_equal(asdict(one.status()), asdict(other.status()))  # nan equals nan
    query(alone)
    label(Run(alone).batch_path(1), dict.fromkeys(Run(alone).rounds()[1].patch_ids, "absent"))
    ingest(alone, [Run(alone).batch_path(1)], annotator="ana")
    for _ in range(2):
        query(alone)
        answer(alone)
    query(alone)
    assert differences(*(contents(run, hours=False) for run in two)) == []
    assert not any(map(math.isnan, cv_auc(shared)[1:]))


@pytest.mark.parametrize("how", ["moved", "deleted", "its round is taken out"])
def test_a_run_that_goes_while_it_is_measured_is_not_made_again(
    how: str,
    two: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The batch was there, so whoever asked has gone on; nothing comes back at the old place."""
    run, away = two[0], tmp_path / "away"
    plain = cross_validated_auc

    def goes(*arguments: Any) -> float:
        value = plain(*arguments)
        if how == "deleted":
            shutil.rmtree(run)
        else:
            (run if how == "moved" else run / "rounds" / "001").rename(away)
        return value

    with monkeypatch.context() as patched:
        patched.setattr(measure_, "cross_validated_auc", goes)
        assert query(run).number == 1
    if how == "its round is taken out":
        assert [one.number for one in Run(run).rounds()] == [0]
        return
    assert not run.exists()
    assert f"{run} is gone" in caplog.text
    if how == "moved":
        assert query(away).number == 1
        assert not math.isnan(Run(away).rounds()[1].metrics.cv_auc)


def test_a_run_that_goes_while_it_learns_is_not_made_again(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a run at the old place would keep the other half from coming back."""
    one, other = two
    plain = Search.learn

    def goes(self: Search, *arguments: Any) -> Any:
        if one.exists():
            one.rename(tmp_path / "away")
        return plain(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Search, "learn", goes)
        with pytest.raises(RunError, match="is gone: it was moved or deleted"):
            query(one)
    assert not one.exists()
    (tmp_path / "away").rename(one)
    assert query(one).patch_ids == query(other).patch_ids
