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
    misplaced,
    noticed_in,
    read_batch,
    warn_of,
    warn_of_future,
    warn_of_misplaced,
)
from owl_geo.batches.checks import check_annotator, check_characters, check_labels, utc_time
from owl_geo.batches.reading import some
from owl_geo.errors import BatchError, ConfigError, brief, check_list, suggestion
from owl_geo.ground.same_ground import are_shown, hold, matching, moved_to
from owl_geo.ground.windows import Points
from owl_geo.labels import newest_answers, with_answers
from owl_geo.labels.exchange import ReadAnswers, read_answers
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.schema import LABELS_LAYER, RESERVED_LABELS, TIME_FORMAT
from owl_geo.sources.base import find_positions
from owl_geo.types import Answer
from owl_geo.wording import counted

if TYPE_CHECKING:  # sites may be in any format, and what reads them takes long to import
    from owl_geo.verbs.sites.placed import AsSites, Placed

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
    BatchError, with nothing stored, if any of the files cannot be taken in completely, and
    ConfigError for an annotator that cannot be a name.
    """
    run = Run.of(run)
    checked = _check(run, paths, annotator)
    _warn_of_contradictions(checked)
    done = []
    for batch in checked:
        batch.warn()
        before = run.labels.history()
        _warn_of_cleared(batch, before)
        last_seq = before["seq"].max()  # not-a-number before the first answer
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
    check_list("paths", paths)
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
    held_out = {*ids} & _held_out(run) if ids else set()
    return Beside(run.footprints(ids), held_out)


def _held_out(run: Run) -> set[str]:
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


def _warn_of_several(path: Path, answers: Sequence[Answer]) -> None:
    """Warn where only the order of a file decides between answers of one person to one patch."""
    labels: dict[tuple[str, str, str], set[str | None]] = {}
    for answer in answers:
        if not answer.stamped:
            key = (answer.patch_id, answer.annotator, answer.batch_id)
            labels.setdefault(key, set()).add(answer.label)
    several = [patch for (patch, _, _), given in labels.items() if len(given) > 1]
    if several:
        log.warning(
            "%s: %s different labels by one person, for example %s; without times, the last row "
            "counts",
            *(path, counted(len(several), "patch has", "patches have"), some(several)),
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


def import_answers(
    run: AnyRun,
    path: str | os.PathLike[str],
    *,
    annotator: str,
    label: str | None = None,
    column: str | None = None,
    values: Mapping[str, str] | None = None,
    share: float | None = None,
    crs: str | None = None,
) -> Ingested:
    """Import answers that are not a batch of this run: an export, a table of your own, or sites.

    Answers belong to places: where the file has footprints, or points, one to a patch of another
    run goes to the patch here that shows the same ground, whatever it is called, and one on ground
    that no patch shows is left out, as is one to a patch that tests the model. A point is the
    middle of what was looked at, unless it lies in the patch that its row names. A row with
    neither a label nor a time is unanswered; a row with a time but no label withdraws the
    annotator's earlier answer.

    Sites are the points, lines or polygons of any other vector file, or of a CSV with coordinates,
    or the classes of a raster, in any CRS; they answer the patches that they lie in. A place that
    several scenes show is answered under the name that has an answer already. Answers that others
    gave stay.

    Args:
        run: the run, or its folder.
        path: the file, or ``FILE|layername=NAME``.
        annotator: who answered, where the file does not say.
        label: what sites show; None = the run's positive class.
        column: the attribute that holds what each site shows, instead of ``label``.
        values: what each value of the column, or of a raster, means: ``{"3": "present"}``. None =
            the names of the classes in a column, and their numbers, from 0 on, in a raster.
        share: of a patch, that a polygon or a class of a raster must cover to answer it; None = a
            half. A smaller polygon answers the patch that holds its centre.
        crs: the CRS of a vector file that has none: ``EPSG:32617``. Coordinates of a CSV are taken
            for degrees where they can be.

    Raises BatchError, LayerError or ConfigError, with nothing stored, where the file cannot be
    read, or where a label, a patch without a footprint, or none of the places belongs to this run.
    """
    from owl_geo.verbs.sites.answers import IMPORTED
    from owl_geo.verbs.sites.files import check_no_sheet, is_sites
    from owl_geo.verbs.sites.placed import AsSites

    run = Run.of(run)
    options = AsSites(label, column, values, share, crs)
    check_no_sheet(os.fspath(path))
    if is_sites(os.fspath(path)):
        return _import_sites(run, os.fspath(path), annotator, options)
    check_annotator(annotator)
    path = Path(os.fspath(path).removesuffix(f"|layername={LABELS_LAYER}"))
    read = read_answers(path)
    for name in options.given:
        raise ConfigError(
            f"{path} holds answers to patches, and --{name} is for sites",
            remedy=f"leave out --{name}",
        )
    rows = read.rows
    is_answer = (rows["label"].notna() | rows["labelled_at"].notna()).to_numpy()
    corners = _with_points(run, rows["patch_id"], read)
    answered = _at_their_places(run, path, rows[is_answer], corners[is_answer])
    elsewhere = int(is_answer.sum()) - len(answered)
    tests = answered["patch_id"].isin(_held_out(run)).to_numpy(dtype=bool)
    answered = answered[~tests]
    for name in ("annotator", "comment"):
        for patch_id, text in zip(answered["patch_id"], answered[name], strict=True):
            check_characters(path, name, patch_id, text or "")
    labelled = answered[answered["label"].notna()]
    allowed = (*run.settings.classes, *RESERVED_LABELS)
    found = misplaced(rows, allowed)
    warn_of_misplaced(path, found)
    check_labels(path, zip(labelled["patch_id"], labelled["label"], strict=True), allowed)
    rounds = {entry.batch_id: entry.number for entry in run.rounds()}
    now = datetime.now(UTC)
    answers = []
    for row in answered.itertuples(index=False):
        stamp = utc_time(path, row.patch_id, row.labelled_at)
        batch_id = row.batch_id or IMPORTED
        answers.append(
            Answer(
                patch_id=row.patch_id,
                label=row.label,
                annotator=row.annotator or annotator,
                labelled_at=stamp or now.strftime(TIME_FORMAT),
                batch_id=batch_id,
                round=rounds.get(batch_id, _round(path, row.patch_id, row.round)),
                comment=row.comment,
                stamped=stamp is not None,
            )
        )
    warn_of_future(path, answers, now)
    _warn_of_several(path, answers)
    footprints = run.footprints(list(dict.fromkeys(answered["patch_id"])))
    # unchecked, because this is how answers from a labels.gpkg reach a store that lacks them
    appended = run.label_store(check=False).append(answers, footprints)
    counts = labelled["label"].value_counts()
    return Ingested(
        path=path,
        counts={str(label): int(n) for label, n in counts.items()},
        unanswered=len(rows) - int(is_answer.sum()),
        new=appended.new,
        unchanged=appended.unchanged,
        elsewhere=elsewhere,
        held_out=int(tests.sum()),
        misplaced=len({patch for _, patches in found for patch in patches}),
        withdrawn=len(answered) - len(labelled),
    )


def _import_sites(run: Run, path: str, annotator: str, options: AsSites) -> Ingested:
    from owl_geo.verbs.sites.answers import answers_at

    store = run.labels
    found = answers_at(run, path, store, options, annotator=annotator)
    footprints = run.footprints([answer.patch_id for answer in found.new])
    appended = store.append(found.new, footprints)
    counts = pd.Series([answer.label for answer in found.answers], dtype=object).value_counts()
    return Ingested(
        path=Path(path),
        counts={str(name): int(n) for name, n in counts.items()},
        unanswered=0,
        new=appended.new,
        unchanged=len(found.answers) - appended.new,
        placed=found.placed,
    )


def _with_points(run: Run, ids: pd.Series, read: ReadAnswers) -> Points:
    """Return the corners of all footprints in degrees, ``(n, 4, 2)``, NaN where a row has none.

    A point within the patch that its row names adds nothing to the name. Any other stands for a
    patch with its centre there.
    """
    at = find_positions(run.patches, ids.tolist())
    rows = np.flatnonzero((at >= 0) & np.isfinite(read.points).all(axis=1))
    named = run.index.windows.take(at[rows])
    stray = ~hold(named, read.points[rows])
    corners = read.corners.copy()
    corners[rows[stray]] = moved_to(named.take(stray), read.points[rows[stray]])
    return corners


def _at_their_places(run: Run, path: Path, answered: pd.DataFrame, corners: Points) -> pd.DataFrame:
    """Return the answers to patches of this run, under the names that these have here.

    A patch is known by its name and its ground: an answer to a patch of another run goes to the
    patch here that shows its ground, and is left out where none does. Raises BatchError where that
    leaves none, or an answer without a footprint has the name of no patch.
    """
    ids = answered["patch_id"]
    at = find_positions(run.patches, ids.tolist())
    has_place = np.isfinite(corners).all(axis=(1, 2))
    _check_known(run, path, ids[~has_place])
    by_place = at.copy()
    by_place[has_place] = matching(run.index.windows, corners[has_place])
    # a patch shows its own ground, even if another scene shows it too
    itself = has_place & (at >= 0)
    itself[itself] = are_shown(run.index.windows.take(at[itself]), corners[itself])
    by_place[itself] = at[itself]
    found = by_place >= 0
    if has_place.any() and not found.any():
        named = ids[at >= 0]
        though = f", though {named.iloc[0]!r} has the name of one" if len(named) else ""
        raise BatchError(
            f"{path}: no answer lies on a patch of {run.path} of about its size{though}",
            remedy="import them into a run over the same ground, with patches of their size",
        )
    names = run.patches["patch_id"].iloc[by_place[found]].to_numpy(dtype=object)
    return answered[found].assign(patch_id=names)


def _check_known(run: Run, path: Path, ids: pd.Series) -> None:
    if ids.isna().any():
        empty = int(ids.isna().sum())
        rows = counted(empty, "row with an answer has", "rows with an answer have")
        raise BatchError(f"{path}: {rows} no patch_id")
    foreign = ids[find_positions(run.patches, ids.tolist()) < 0].unique()
    if len(foreign):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        scene = str(foreign[0]).rpartition("/")[0].rpartition("/")[0]
        raise BatchError(
            f"{path}: no patch {foreign[0]!r}{more} in {run.path}",
            remedy="" if scene in run.grids else suggestion(scene, run.grids),
        )


def _round(path: Path, patch_id: str, text: str | None) -> int:
    """Return the round that the file gives, or 0 if it gives none."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError) as error:
        raise BatchError(
            f"{path}: the round of patch {patch_id!r} is {text!r}, which is not a number"
        ) from error
