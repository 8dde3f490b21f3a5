"""Answers that contradict each other in one `ingest`: what counts, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from searches import label, make

from owl_geo import Run, ingest, query


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a first batch."""
    run = make(tmp_path / "run")
    query(run)
    return run


def copies(run: Run, folder: Path, answers: dict[str, str | None]) -> list[Path]:
    """Return a copy of the batch per label, which all its patches have; by annotator."""
    made = []
    for number, (word, annotator) in enumerate(answers.items()):
        path = folder / f"copy{number}.gpkg"
        shutil.copy(run.batch_path(0), path)
        label(path, dict.fromkeys(run.rounds()[0].patch_ids, word), annotator=annotator)
        made.append(path)
    return made


def current(run: Run) -> list[str]:
    return Run(run.path).labels.current()["label"].tolist()


def test_without_times_the_file_named_last_counts_and_that_is_said(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    n = len(run.rounds()[0].patch_ids)
    paths = copies(run, tmp_path, {"absent": None, "present": None})
    for order, counts in ((paths, "present"), (paths[::-1], "absent")):
        caplog.clear()
        ingest(run, order, annotator="ana")
        assert current(run) == [counts] * n
        (line,) = caplog.messages
        assert line.startswith(f"{order[1]}: {n} answers contradict those of 'ana' in {order[0]}")
        assert "; without times, the file named last counts" in line


def test_two_people_may_disagree(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    n = len(run.rounds()[0].patch_ids)
    ingest(run, copies(run, tmp_path, {"absent": "ana", "present": "ben"}), annotator="ana")
    assert caplog.messages == []
    assert (current(run), len(Run(run.path).labels.history())) == ([], 2 * n)


def test_the_same_answers_in_two_files_are_no_contradiction(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = copies(run, tmp_path, {"absent": None})
    first, second = ingest(run, [path, path], annotator="ana")
    assert caplog.messages == []
    assert (first.unchanged, second.new) == (0, 0)
