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
from owl_geo.batches.checks import check_labels, utc_time
from owl_geo.batches.reading import some
from owl_geo.errors import BatchError, suggestion
from owl_geo.labels import newest_answers
from owl_geo.labels.exchange import read_answers
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.schema import RESERVED_LABELS, TIME_FORMAT
from owl_geo.types import Answer

IMPORTED = "import"  # the batch of answers that are brought in from elsewhere

log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Ingested:
    """What became of one batch file."""

    path: Path
    counts: dict[str, int]  # answers in the file by label
    unanswered: int
    new: int
    unchanged: int  # stored before


def ingest(
    run: AnyRun, paths: Sequence[str | os.PathLike[str]], *, annotator: str
) -> list[Ingested]:
    """Check every batch file, then store their answers; twice the same file changes nothing.

    ``run`` may be its folder; ``annotator`` stands in where a file names none. Raises BatchError,
    with nothing stored, where any of the files cannot be taken in whole.
    """
    run = Run.of(run)
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
        stood = run.labels.history()["seq"].max()  # not-a-number before the first
        appended = run.labels.append(answers, footprints)
        if appended.new:
            history = run.labels.history()
            _warn_of_old(path, history, history[~(history["seq"] <= stood)])
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


def _warn_of_old(path: Path, history: pd.DataFrame, new: pd.DataFrame) -> None:
    """Say which new answers change nothing, since later ones stand in the history already."""
    told_by = ["patch_id", "annotator"]
    rows = new.merge(newest_answers(history), on=told_by, suffixes=("", "_that_counts"))
    old = rows[
        (rows["seq"] != rows["seq_that_counts"]) & (rows["label"] != rows["label_that_counts"])
    ]
    if len(old):
        log.warning(
            "%s: %d answers do not count, %s say: the same annotator answered otherwise, and by "
            "labelled_at later; if that is not so, check the clocks of the computers",
            *(path, len(old), some(old["patch_id"].tolist())),
        )


def import_answers(run: AnyRun, path: str | os.PathLike[str], *, annotator: str) -> Ingested:
    """Bring in answers that are no batch of this run: exported ones, or a table of one's own.

    A row without a label and a time is unanswered; one without a label at a time takes back what
    its annotator said before. ``run`` may be its folder; ``annotator`` stands in where the file
    names none. Raises BatchError, with nothing stored, where a patch or a label is not of this run.
    """
    run, path = Run.of(run), Path(path)
    rows = read_answers(path)
    answered = rows[rows["label"].notna() | rows["labelled_at"].notna()]
    _check_known(run, path, answered["patch_id"])
    said = answered[answered["label"].notna()]
    known = (*run.settings.classes, *RESERVED_LABELS)
    check_labels(path, zip(said["patch_id"], said["label"], strict=True), known)
    rounds = {entry.batch_id: entry.number for entry in run.rounds()}
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    answers = []
    for row in answered.itertuples(index=False):
        stamp = utc_time(path, row.patch_id, row.labelled_at)
        batch_id = row.batch_id or IMPORTED
        answers.append(
            Answer(
                patch_id=row.patch_id,
                label=row.label,
                annotator=row.annotator or annotator,
                labelled_at=stamp or now,
                batch_id=batch_id,
                round=rounds.get(batch_id, _round(path, row.patch_id, row.round)),
                comment=row.comment,
                stamped=stamp is not None,
            )
        )
    footprints = run.footprints(list(dict.fromkeys(answered["patch_id"])))
    # unchecked, for answers of a labels.gpkg that a store still lacks come in this way
    appended = run.label_store(check=False).append(answers, footprints)
    counts = said["label"].value_counts()
    return Ingested(
        path=path,
        counts={str(label): int(n) for label, n in counts.items()},
        unanswered=len(rows) - len(answered),
        new=appended.new,
        unchanged=appended.unchanged,
    )


def _check_known(run: Run, path: Path, ids: pd.Series) -> None:
    if ids.isna().any():
        raise BatchError(f"{path}: {int(ids.isna().sum())} row(s) with an answer have no patch_id")
    foreign = ids[~ids.isin(run.patches["patch_id"])].unique()
    if len(foreign):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        scene = str(foreign[0]).rpartition("/")[0].rpartition("/")[0]
        raise BatchError(
            f"{path}: no patch {foreign[0]!r}{more} in {run.path}",
            remedy="" if scene in run.grids else suggestion(scene, run.grids),
        )


def _round(path: Path, patch_id: str, text: str | None) -> int:
    """Return the round that a file gives; 0 where it gives none."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError) as error:
        raise BatchError(f"{path}: round of patch {patch_id!r} is {text!r}, no number") from error
