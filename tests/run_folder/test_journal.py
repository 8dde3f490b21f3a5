"""Rounds on disk: whole or not at all, and in order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from unreadable import forbid

from owl_geo.errors import RunError
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.journal import Journal
from owl_geo.run_folder.paths import LATER, METRICS, RECORD, RunPaths
from owl_geo.run_folder.records import Round

PATCHES = ("s/0/0", "s/0/10", "s/0/20", "s/0/30")


def entry(number: int, *, asks: bool = True) -> Round:
    return Round(
        number=number,
        batch_id=f"r-{number:03d}" if asks else None,
        patch_ids=PATCHES if asks else (),
        answers_seen=10 * number,
        metrics=RoundMetrics(number, 10 * number, number, 0.5, 0.75, math.nan, 1.25, 100),
        audit={PATCHES[0]: math.nan} if asks else {},
        watched=(0, 1),
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(RunPaths(tmp_path))


def write_batch(folder: Path) -> None:
    (folder / "batch.gpkg").write_text("a batch", encoding="utf-8")


def test_rounds_are_read_back_in_order_and_metrics_follow(journal: Journal, tmp_path: Path) -> None:
    assert journal.rounds() == []
    for number in range(11):
        journal.publish(entry(number), write_batch)
    read = journal.rounds()
    assert [one.number for one in read] == list(range(11))
    assert read[10].metrics.n_labeled == 100
    assert math.isnan(read[10].audit[PATCHES[0]])
    assert (tmp_path / "rounds" / "010" / "batch.gpkg").is_file()
    metrics = pd.read_csv(tmp_path / METRICS)
    assert metrics["round"].tolist() == list(range(11))
    assert metrics["test_auc"].tolist() == [0.75] * 11


def test_rounds_that_may_not_be_read_are_not_none(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.publish(entry(0), write_batch)
    forbid(tmp_path / "rounds", monkeypatch)
    with pytest.raises(RunError, match=r"cannot read .*rounds: Permission denied"):
        journal.rounds()


def test_a_thousand_rounds_are_followed_by_others(journal: Journal, tmp_path: Path) -> None:
    for number in range(1002):
        folder = tmp_path / "rounds" / f"{number:03d}"
        folder.mkdir(parents=True)
        (folder / RECORD).write_text(entry(number).to_json(), encoding="utf-8")
    assert [one.number for one in journal.rounds()] == list(range(1002))


def test_a_round_that_cannot_be_written_is_not_there(journal: Journal, tmp_path: Path) -> None:
    journal.publish(entry(0), write_batch)

    def fail(folder: Path) -> None:
        write_batch(folder)
        raise KeyboardInterrupt

    before = (tmp_path / METRICS).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        journal.publish(entry(1), fail)
    assert [path.name for path in (tmp_path / "rounds").iterdir()] == ["000"]
    assert (tmp_path / METRICS).read_bytes() == before
    journal.publish(entry(1), write_batch)
    assert len(journal.rounds()) == 2


def test_metrics_are_written_only_where_they_say_something_else(
    journal: Journal, tmp_path: Path
) -> None:
    journal.publish(entry(0), write_batch)
    before = (tmp_path / METRICS).stat()
    journal.sync_metrics()
    after = (tmp_path / METRICS).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    (tmp_path / METRICS).write_text("edited\n", encoding="utf-8")
    journal.sync_metrics()
    assert (tmp_path / METRICS).stat().st_size == before.st_size


def test_whoever_writes_the_metrics_last_leaves_them_right(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has looked at the rounds before another added one."""
    journal.publish(entry(0), write_batch)
    looked = journal.rounds()
    journal.publish(entry(1), write_batch)
    right = (tmp_path / METRICS).read_text(encoding="utf-8")
    known = [looked]
    monkeypatch.setattr(
        journal, "rounds", lambda: known.pop() if known else Journal.rounds(journal)
    )
    (tmp_path / ".metrics.partial-of-1-1.csv").touch()  # from a process that was killed
    journal.sync_metrics()
    assert known == []
    assert (tmp_path / METRICS).read_text(encoding="utf-8") == right
    assert list(tmp_path.glob(".*")) == []


def test_a_damaged_record_is_named(journal: Journal, tmp_path: Path) -> None:
    journal.publish(entry(0), write_batch)
    (tmp_path / "rounds" / "000" / RECORD).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"rounds.000.round\.json is damaged"):
        journal.rounds()


def test_a_round_that_is_missing_is_named(journal: Journal, tmp_path: Path) -> None:
    for number in (0, 1, 2):
        journal.publish(entry(number), write_batch)
    (tmp_path / "rounds" / "001").rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="lacks round 001"):
        journal.rounds()


def test_what_is_measured_later_is_added_once(journal: Journal, tmp_path: Path) -> None:
    journal.publish(entry(0), write_batch)
    journal.publish(replace(entry(1), unmeasured="of this"), write_batch)
    before = (tmp_path / "rounds/001" / RECORD).read_bytes()
    assert journal.rounds()[1].unmeasured == "of this"
    journal.complete(1, 0.8125)
    journal.complete(1, 0.5)  # somebody else was sooner
    journal.complete(0, 0.5)  # there is nothing to add
    for reader in (journal, Journal(RunPaths(tmp_path))):
        assert reader.rounds()[1].metrics.cv_auc == 0.8125
        assert reader.rounds()[1].unmeasured is None
    assert pd.read_csv(tmp_path / METRICS)["cv_auc"].tolist()[1] == 0.8125
    assert (tmp_path / "rounds/001" / RECORD).read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "rounds/001").iterdir()) == [
        "batch.gpkg",
        LATER,
        RECORD,
    ]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cv_auc": true}', '{"cv_auc": "high"}'])
def test_damage_to_what_was_measured_later_is_named(
    text: str, journal: Journal, tmp_path: Path
) -> None:
    journal.publish(replace(entry(0), unmeasured="of this"), write_batch)
    (tmp_path / "rounds/000" / LATER).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"rounds.000.later\.json is damaged"):
        journal.rounds()
