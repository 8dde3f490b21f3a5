"""Answers that lie in a run's folder and may be overlooked: in copies that others left there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from owl_geo.batches import read_batch
from owl_geo.errors import BatchError
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round


def copies_with_answers(run: Run, rounds: Sequence[Round], history: pd.DataFrame) -> list[Path]:
    """Return the copies of batches beside them that hold answers which the history lacks.

    Where two people or computers write to one file at once, a cloud drive keeps both: as
    "batch (conflicted copy)" or "batch-PC2", which no command reads unless it is named. Files that
    are no batch of that round are passed over. Raises RunError where a folder cannot be read.
    """
    answers = history[["patch_id", "label", "annotator"]]
    known = {*answers[["patch_id", "label"]].itertuples(index=False, name=None)}
    known |= {*answers.itertuples(index=False, name=None)}
    return [
        path
        for entry in rounds
        for path in run.journal.beside(entry)
        if any(answer not in known for answer in _answers_in(path, entry))
    ]


def _answers_in(path: Path, entry: Round) -> Iterator[tuple[str, ...]]:
    """Yield patch, label and, where the file tells, annotator of the answers to a round."""
    try:
        batch = read_batch(path)
    except BatchError:
        return
    rows = batch.answers[batch.answers["batch_id"] == entry.batch_id]
    rows = rows[rows["label"].notna() & rows["patch_id"].isin(entry.patch_ids)]
    for patch, label, name in zip(rows["patch_id"], rows["label"], rows["annotator"], strict=True):
        answer = (str(label).strip(), str(name or "").strip() or batch.annotator)
        if answer[0]:
            yield (patch, *(text for text in answer if text))
