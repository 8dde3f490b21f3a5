"""From the rows of a batch to answers that fit the run, or one line that says why they do not."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from pyproj.exceptions import ProjError

from owl_geo.batches.checks import check_labels, utc_time
from owl_geo.batches.reading import BatchFile, some
from owl_geo.errors import BatchError, brief
from owl_geo.ground.transformations import transformer
from owl_geo.ground.vector import repaired
from owl_geo.schema import EDITABLE_COLUMNS, NOTICED, RESERVED_LABELS, TIME_FORMAT
from owl_geo.types import Answer, AnyArray
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

# A footprint counts as edited if more than this share of its area changed; files keep coordinates
# exactly, but another program may have converted them to another CRS and back.
_EDITED_SHARE = 1e-6

_FUTURE = timedelta(days=1)  # further ahead, the clock is wrong, not just in another time zone


@dataclass(frozen=True)
class IssuedBatch:
    """A batch as recorded in the run."""

    round: int
    footprints: gpd.GeoSeries  # indexed by patch_id


@dataclass(frozen=True)
class Beside:
    """Patches of the pool that are in no batch here, but that somebody noticed and answered."""

    footprints: gpd.GeoSeries  # indexed by patch_id
    held_out: Collection[str]  # those that test the model, whose answers are left out


NOTHING_BESIDE = Beside(gpd.GeoSeries([], index=pd.Index([], dtype=object)), frozenset())


@dataclass(frozen=True)
class Notes:
    """What to report about a batch besides its answers."""

    blank: tuple[tuple[str, str, str], ...]  # rows without a label: patch, batch, annotator
    unstamped: int  # answers without a time of their own, which got the time of ingestion
    edited: tuple[str, ...]  # patches whose polygon was moved or redrawn
    noticed: int = 0  # answers to patches that are not in the batch
    held_out: int = 0  # answers to patches that test the model; left out
    replaced: int = 0  # answers that others replaced, the first of all
    # patches without a label that have one in another column: the name of the column, the patches
    misplaced: tuple[tuple[str, tuple[str, ...]], ...] = ()


def noticed_in(batch: BatchFile, run_batches: Mapping[str, IssuedBatch]) -> list[str]:
    """Return the answered patches that somebody added to a batch; those of no batch here."""
    rows = batch.answers[_is_noticed(batch.answers, run_batches)]
    return [str(patch) for patch in rows["patch_id"][rows["label"].map(_text) != ""]]


def answers_of(
    batch: BatchFile,
    *,
    run_batches: Mapping[str, IssuedBatch],
    classes: Sequence[str],
    default_annotator: str,
    now: datetime,
    beside: Beside = NOTHING_BESIDE,
) -> tuple[list[Answer], Notes]:
    """Check a batch against the run and return its answers, in the order of the file.

    Answers that others replaced come first. Rows that somebody added, without a rank, are answers
    to the patches ``beside``, in the batch ``noticed``; without a label they are nothing.
    A missing ``labelled_at`` becomes ``now`` (aware); a missing annotator becomes the one that the
    part of the batch is for, or else ``default_annotator``. Times are kept in UTC to the second, as
    in ``2026-01-31T12:00:00Z``. The round is the one recorded in the run. A redrawn polygon does
    not count. Raises BatchError for a batch of another run, a patch that is neither in
    the batch nor beside it, a label that is not one of the run's, or an invalid time.
    """
    _check_batches(batch, run_batches)
    given = _given(batch, run_batches)
    _check_patches(batch.path, given, run_batches, beside)
    edited = _edited(batch, given, run_batches, beside)
    answered = given[given["label"].map(_text) != ""]
    answered = answered.assign(label=answered["label"].map(str))
    is_tested = answered["noticed"] & answered["patch_id"].isin(list(beside.held_out))
    held_out = int((is_tested & ~answered["replaced"]).sum())
    answered = answered[~is_tested]
    pairs = zip(answered["patch_id"], answered["label"], strict=True)
    check_labels(batch.path, pairs, (*classes, *RESERVED_LABELS))
    ingested_at = now.astimezone(UTC).strftime(TIME_FORMAT)
    of_part = _text(batch.annotator) or default_annotator
    answers = []
    for row in answered.itertuples(index=False):
        stamp = utc_time(batch.path, row.patch_id, _text(row.labelled_at))
        answers.append(
            Answer(
                patch_id=row.patch_id,
                label=row.label,
                annotator=_text(row.annotator) or of_part,
                labelled_at=stamp or ingested_at,
                batch_id=NOTICED if row.noticed else row.batch_id,
                round=run_batches[row.batch_id].round,
                comment=_text(row.comment) or None,
                stamped=stamp is not None,
            )
        )
    is_new = ~answered["replaced"]
    blank = given[~given["noticed"] & (given["label"].map(_text) == "")]
    notes = Notes(
        blank=tuple(
            (row.patch_id, row.batch_id, _text(row.annotator) or of_part)
            for row in blank.itertuples(index=False)
        ),
        unstamped=sum(not answer.stamped for answer in answers),
        edited=tuple(edited),
        noticed=int((answered["noticed"] & is_new).sum()),
        held_out=held_out,
        replaced=int(answered["replaced"].sum()),
        misplaced=misplaced(batch.answers, (*classes, *RESERVED_LABELS)),
    )
    return answers, notes


def misplaced(
    rows: pd.DataFrame, labels: Collection[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return which rows without a label have one, in whatever case, in a column beside it.

    As ``Notes.misplaced``: the name of the column, and the patches.
    """
    blank = rows[rows["label"].map(_text) == ""]
    wanted = {label.casefold() for label in labels}
    found = (
        (name, blank["patch_id"][[_text(value).casefold() in wanted for value in blank[name]]])
        for name in EDITABLE_COLUMNS
        if name != "label"
    )
    return tuple((name, tuple(patches)) for name, patches in found if len(patches))


def _given(batch: BatchFile, run_batches: Mapping[str, IssuedBatch]) -> gpd.GeoDataFrame:
    """Return the rows of a batch, but those that were noticed and not answered.

    Before them come the answers that others replaced. ``noticed`` and ``replaced`` are booleans.
    """
    rows = batch.answers.assign(noticed=_is_noticed(batch.answers, run_batches), replaced=False)
    if len(batch.replaced):
        where = ["patch_id", "batch_id", "round", "noticed", "geometry"]
        before = batch.replaced.merge(rows[where], on="patch_id").assign(replaced=True)
        rows = gpd.GeoDataFrame(pd.concat([before, rows], ignore_index=True), geometry="geometry")
    return rows[~rows["noticed"] | (rows["label"].map(_text) != "")]


def _is_noticed(rows: pd.DataFrame, run_batches: Mapping[str, IssuedBatch]) -> pd.Series:
    """Return which rows somebody added, for patches that are not in their batch."""
    own = [
        batch in run_batches and patch in run_batches[batch].footprints.index
        for patch, batch in zip(rows["patch_id"], rows["batch_id"], strict=True)
    ]
    return rows["noticed"] & ~np.array(own, dtype=bool)


def warn_of(batch: BatchFile, answers: Sequence[Answer], notes: Notes, now: datetime) -> None:
    """Warn of what in a batch is odd and taken in all the same."""
    if notes.edited:
        _log.warning(
            "%s: the polygon of %s was edited; the original footprint is used",
            batch.path,
            some(list(notes.edited)),
        )
    warn_of_misplaced(batch.path, notes.misplaced)
    warn_of_future(batch.path, answers, now)


def warn_of_misplaced(path: Path, found: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Warn of labels in columns beside their own, as ``misplaced`` returns them."""
    for column, patches in found:
        _log.warning(
            "%s: %s no label, but what looks like one in the column %s, for example %s; only the "
            "column label counts",
            *(path, counted(len(patches), "patch has", "patches have")),
            *(column, some(list(patches))),
        )


def warn_of_future(path: Path, answers: Sequence[Answer], now: datetime) -> None:
    """Warn of answers that a file says were given later than ``now``."""
    latest = (now + _FUTURE).astimezone(UTC).strftime(TIME_FORMAT)
    ahead = [answer.patch_id for answer in answers if answer.labelled_at > latest]
    if ahead:
        _log.warning(
            "%s: labelled_at of %s is in the future; check the clock of the computer that wrote it:"
            " later corrections would not count",
            *(path, some(ahead)),
        )


def warn_of_like_names(path: Path | str, names: Iterable[str], known: Collection[str]) -> None:
    """Warn of names of annotators that differ from others only in case, spaces or their encoding.

    ``names`` are those that the file gives, ``known`` those of whom the run knows already.
    """
    written = {_plain(name): name for name in sorted(known)}
    for name in dict.fromkeys(names):
        other = written.setdefault(_plain(name), name)
        if name != other and name not in known:
            _log.warning(
                "%s: the annotators %s and %s differ in nothing but case or spaces, and count as "
                "two people; if they are one, use one name from now on",
                *(path, brief(name), brief(other)),
            )


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _text(value: object) -> str:
    return "" if value is None or value is pd.NA else str(value).strip()


def _check_batches(batch: BatchFile, run_batches: Mapping[str, IssuedBatch]) -> None:
    for batch_id in batch.answers["batch_id"].unique():
        if batch_id in run_batches:
            continue
        newest = max(run_batches, key=lambda name: run_batches[name].round, default=None)
        own = f"this run's newest is {newest!r}" if newest else "this run has none yet"
        raise BatchError(
            f"{batch.path} is batch {brief(batch_id)} of another run; {own}",
            remedy=(
                "name the run that it belongs to, or copy its answers with `owl-geo labels export` "
                "there and `owl-geo labels import` here"
            ),
        )


def _check_patches(
    path: Path,
    given: gpd.GeoDataFrame,
    run_batches: Mapping[str, IssuedBatch],
    beside: Beside,
) -> None:
    for batch_id, rows in given.groupby("batch_id", sort=False):
        own = rows["patch_id"].isin(run_batches[batch_id].footprints.index)
        known = own | (rows["noticed"] & rows["patch_id"].isin(beside.footprints.index))
        if not known.all():
            foreign = rows[~known]
            names = some(foreign["patch_id"].tolist())
            whose = "the run" if foreign["noticed"].all() else f"batch {batch_id!r}"
            raise BatchError(
                f"{path}: not among the patches of {whose}: {names}", remedy="remove them"
            )


def _edited(
    batch: BatchFile,
    given: gpd.GeoDataFrame,
    run_batches: Mapping[str, IssuedBatch],
    beside: Beside,
) -> list[str]:
    """Return the patches whose polygon differs from the run's own footprint."""
    edited: list[str] = []
    for (batch_id, noticed), rows in given.groupby(["batch_id", "noticed"], sort=False):
        footprints = beside.footprints if noticed else run_batches[batch_id].footprints
        own = footprints.loc[rows["patch_id"]]
        drawn = _drawn(batch, rows.geometry.to_numpy(), own.crs)
        apart = shapely.area(shapely.symmetric_difference(drawn, own.to_numpy()))
        # NaN, for a polygon that was removed, counts as edited
        same = np.asarray(apart <= _EDITED_SHARE * shapely.area(own.to_numpy()))
        edited += rows["patch_id"][~same].tolist()
    return list(dict.fromkeys(edited))


def _drawn(batch: BatchFile, polygons: AnyArray, crs: CRS | None) -> AnyArray:
    """Return the saved polygons in the run's CRS; None for those that are missing or broken."""
    polygons = repaired(polygons)
    if batch.crs is None or crs is None or batch.crs == crs:
        return polygons
    try:
        to_own = transformer(batch.crs, crs)
    except ProjError as error:
        raise BatchError(
            f"{batch.path}: its CRS {batch.crs.name!r} cannot be converted to the run's, "
            f"{crs.name!r}",
            remedy="save the batch in its original CRS",
        ) from error
    return repaired(shapely.transform(polygons, to_own.transform, interleaved=False))
