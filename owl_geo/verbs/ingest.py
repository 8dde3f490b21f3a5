"""Taking answered batches into the run: all are checked first, then kept for good."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from owl_geo.batches import (
    BatchFile,
    Beside,
    IssuedBatch,
    Notes,
    answers_of,
    noticed_in,
    read_batch,
    warn_of,
    warn_of_like_names,
)
from owl_geo.batches.checks import check_annotator
from owl_geo.batches.reading import some
from owl_geo.errors import brief, check_texts
from owl_geo.labels import newest_answers, with_answers
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.sources.base import find_positions
from owl_geo.types import Answer
from owl_geo.wording import counted

if TYPE_CHECKING:  # sites may be in any format, and what reads them takes long to import
    from owl_geo.verbs.sites.placed import Placed

log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Ingested:
    """What was taken in from one batch file."""

    path: Path
    counts: dict[str, int]  # answers in the file by label
    unanswered: int
    new: int
    unchanged: int  # already stored
    elsewhere: int = 0  # on ground that no patch of the run shows; left out
    placed: Placed | None = None  # where the file holds sites, not answers to patches
    noticed: int = 0  # answers to places beside the batch, which are among the counts
    held_out: int = 0  # answers to patches that test the model; left out
    replaced: int = 0  # answers that others replaced in the batch; not among the counts
    misplaced: int = 0  # patches without a label that have one in another column
    withdrawn: int = 0  # answers without a label, which take earlier ones back


def ingest(
    run: AnyRun, paths: Sequence[str | os.PathLike[str]], *, annotator: str
) -> list[Ingested]:
    """Check every batch file, then store the answers; ingesting a file twice changes nothing.

    ``run`` may be the run's folder; ``annotator`` is used where a file names none. Raises
    BatchError, with nothing stored, if any of the files cannot be taken in completely, ConfigError
    for an annotator that cannot be a name, and BusyError where another process has replaced the
    pool by one that lacks a patch.
    """
    run = Run.of(run)
    checked = _check(run, paths, annotator)
    _warn_of_contradictions(checked)
    done = []
    for batch in checked:
        batch.warn()
        before = run.labels.history()
        _warn_of_cleared(batch, before)
        warn_of_like_names(
            batch.file.path,
            (answer.annotator for answer in batch.answers),
            known_annotators(run, before),
        )
        last_seq = before["seq"].max()  # not-a-number before the first answer
        run.index.check_still_has(answer.patch_id for answer in batch.answers)
        appended = run.labels.append(batch.answers, batch.places)
        if appended.new:
            history = run.labels.history()
            _warn_of_old(batch.file.path, history, history[~(history["seq"] <= last_seq)])
        notes = batch.notes
        labels = [answer.label for answer in batch.answers[notes.replaced :]]
        counts = pd.Series(labels, dtype=object).value_counts()
        done.append(
            Ingested(
                path=batch.file.path,
                counts={str(label): int(n) for label, n in counts.items()},
                unanswered=len(notes.blank),
                new=appended.new,
                unchanged=appended.unchanged,
                noticed=notes.noticed,
                held_out=notes.held_out,
                replaced=notes.replaced,
                misplaced=len({patch for _, patches in notes.misplaced for patch in patches}),
            )
        )
    return done


def known_annotators(run: Run, history: pd.DataFrame) -> set[str]:
    """Return who has answered in a run, or was to."""
    dealt = {name for entry in run.rounds() for name in entry.team}
    return {*history["annotator"]} | dealt | {*run.settings.team.annotators}


def expected_history(
    run: Run, paths: Sequence[str | os.PathLike[str]], *, annotator: str
) -> pd.DataFrame:
    """Return the history of answers as it will be after ``ingest``, which stores nothing here.

    Raises BatchError where ``ingest`` does.
    """
    history = run.labels.history()
    for batch in _check(run, paths, annotator):
        history = with_answers(history, batch.answers)
    return history


@dataclass(frozen=True)
class _Checked:
    """A batch file that can be taken in completely."""

    file: BatchFile
    answers: Sequence[Answer]
    notes: Notes
    places: Mapping[str, shapely.Polygon]  # the footprints of patches, of the answered at least
    now: datetime

    def warn(self) -> None:
        warn_of(self.file, self.answers, self.notes, self.now)


def _check(run: Run, paths: Sequence[str | os.PathLike[str]], annotator: str) -> list[_Checked]:
    check_texts("paths", paths)
    check_annotator(annotator)
    asked = {entry.batch_id: entry for entry in run.rounds() if entry.batch_id is not None}
    now = datetime.now(UTC)
    batches = [read_batch(Path(path)) for path in paths]
    named = {name for batch in batches for name in batch.answers["batch_id"].unique()}
    # of the batches that are in the files; there may be hundreds of others
    of_named = {name: entry.patch_ids for name, entry in asked.items() if name in named}
    footprints = run.footprints(list(dict.fromkeys(chain.from_iterable(of_named.values()))))
    issued = {
        batch_id: IssuedBatch(entry.number, footprints.loc[list(of_named.get(batch_id, ()))])
        for batch_id, entry in asked.items()
    }
    beside = _beside(run, batches, issued)
    places = {**footprints, **beside.footprints}
    checked = []
    for batch in batches:
        answers, notes = answers_of(
            batch,
            run_batches=issued,
            classes=run.settings.classes,
            default_annotator=annotator,
            now=now,
            beside=beside,
        )
        checked.append(_Checked(batch, answers, notes, places, now))
    return checked


def _beside(run: Run, batches: Sequence[BatchFile], issued: Mapping[str, IssuedBatch]) -> Beside:
    """Return the patches of the pool that somebody noticed beside their batch."""
    wanted = {patch for batch in batches for patch in noticed_in(batch, issued)}
    at = find_positions(run.patches, sorted(wanted))
    ids = run.patches["patch_id"].iloc[np.sort(at[at >= 0])].tolist()
    held_out = {*ids} & held_out_patches(run) if ids else set()
    return Beside(run.footprints(ids), held_out)


def held_out_patches(run: Run) -> set[str]:
    """Return the patches that test the model, of which it must learn nothing."""
    return set() if run.truth is None else {*run.truth["patch_id"][run.truth["held_out"]]}


def _warn_of_contradictions(batches: Sequence[_Checked]) -> None:
    """Warn where only the order of the files decides between answers of one annotator.

    These have no times. They may be somebody else's, since a file may lack the annotator, too.
    """
    earlier: dict[tuple[str, str, str], tuple[Path, str | None]] = {}
    for batch in batches:
        path, differ = batch.file.path, {}
        for answer in batch.answers:
            if answer.stamped:
                continue
            key = (answer.patch_id, answer.annotator, answer.batch_id)
            before, label = earlier.get(key, (path, answer.label))
            if answer.label != label:
                differ[answer.patch_id] = (answer.annotator, before)
            earlier[key] = (path, answer.label)
        if differ:
            name, before = next(iter(differ.values()))
            log.warning(
                "%s: %s those of %s in %s, for example for %s; without times, the file named last "
                "counts; if it is somebody else's, ingest it with --annotator",
                *(path, counted(len(differ), "answer contradicts", "answers contradict")),
                *(brief(name), before, some(list(differ))),
            )


def _warn_of_cleared(batch: _Checked, history: pd.DataFrame) -> None:
    """Warn of patches that have no label any more in the batch that they were answered in.

    A file without any label is a copy from before somebody answered.
    """
    if not batch.answers:
        return
    newest = newest_answers(history)
    rows = (newest[name].tolist() for name in ("patch_id", "batch_id", "annotator"))
    cleared = set(batch.notes.blank) & set(zip(*rows, strict=True))
    if cleared:
        log.warning(
            "%s: %s answered before, for example %s: what was answered stays; label a "
            "patch unsure to take its answer back",
            batch.file.path,
            counted(len(cleared), "patch without a label was", "patches without a label were"),
            some(sorted(patch for patch, _, _ in cleared)),
        )


def _warn_of_old(path: Path, history: pd.DataFrame, new: pd.DataFrame) -> None:
    """Warn of new answers that have no effect because the history already has later ones."""
    answerer = ["patch_id", "annotator"]
    given = Counter(zip(*(history[name].tolist() for name in answerer), strict=True))
    if all(given[key] == 1 for key in zip(*(new[name].tolist() for name in answerer), strict=True)):
        return
    rows = new.merge(newest_answers(history), on=answerer, suffixes=("", "_that_counts"))
    old = rows[
        (rows["seq"] != rows["seq_that_counts"]) & (rows["label"] != rows["label_that_counts"])
    ]
    if len(old):
        log.warning(
            "%s: %s not count, for example %s: the same annotator has another answer "
            "with a later labelled_at; if that is wrong, check the clocks of the computers",
            *(path, counted(len(old), "answer does", "answers do"), some(old["patch_id"].tolist())),
        )
