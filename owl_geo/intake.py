"""Answered batches into the run: checked first, all of them, then kept for ever."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from owl_geo.batches import IssuedBatch, answers_of, read_batch
from owl_geo.batches.reading import some
from owl_geo.labels.base import newest_answers
from owl_geo.run_folder import Run

log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Ingested:
    """What became of one batch file."""

    path: Path
    counts: dict[str, int]  # answers in the file by label
    unanswered: int
    new: int
    unchanged: int  # stored before


def ingest(run: Run, paths: Sequence[str | os.PathLike[str]], *, annotator: str) -> list[Ingested]:
    """Check every batch file, then store their answers; twice the same file changes nothing.

    ``annotator`` stands in where a file names none. Raises BatchError, with nothing stored, where
    any of the files cannot be taken in whole.
    """
    asked = {entry.batch_id: entry for entry in run.rounds() if entry.batch_id is not None}
    footprints = run.footprints(
        list(dict.fromkeys(patch for entry in asked.values() for patch in entry.patch_ids))
    )
    issued = {
        batch_id: IssuedBatch(entry.number, footprints.loc[list(entry.patch_ids)])
        for batch_id, entry in asked.items()
    }
    now = datetime.now(UTC)
    checked = [
        (
            path,
            *answers_of(
                read_batch(path),
                run_batches=issued,
                classes=run.settings.classes,
                default_annotator=annotator,
                now=now,
            ),
        )
        for path in map(Path, paths)
    ]
    done = []
    for path, answers, notes in checked:
        before = run.labels.count()
        appended = run.labels.append(answers, footprints)
        if appended.new:
            _warn_of_old(path, run.labels.history(), before)
        counts = pd.Series([answer.label for answer in answers], dtype=object).value_counts()
        done.append(
            Ingested(
                path=path,
                counts={str(label): int(n) for label, n in counts.items()},
                unanswered=notes.unanswered,
                new=appended.new,
                unchanged=appended.unchanged,
            )
        )
    return done


def _warn_of_old(path: Path, history: pd.DataFrame, before: int) -> None:
    """Say which answers are stored and yet change nothing, since later ones stand there already."""
    told_by = ["patch_id", "annotator"]
    rows = history[history["seq"] > before].merge(
        newest_answers(history), on=told_by, suffixes=("", "_that_counts")
    )
    old = rows[
        (rows["seq"] != rows["seq_that_counts"]) & (rows["label"] != rows["label_that_counts"])
    ]
    if len(old):
        log.warning(
            "%s: %d answers do not count, %s say: the same annotator answered otherwise, and by "
            "labelled_at later; if that is not so, check the clocks of the computers",
            *(path, len(old), some(old["patch_id"].tolist())),
        )
