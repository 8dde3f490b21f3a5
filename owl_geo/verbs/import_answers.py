"""Taking answers into a run that are no batch of it: an export, a table, or known sites."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.batches import (
    misplaced,
    warn_of_future,
    warn_of_like_names,
    warn_of_misplaced,
)
from owl_geo.batches.checks import check_annotator, check_characters, check_labels, utc_time
from owl_geo.batches.reading import some
from owl_geo.disk.presence import is_file
from owl_geo.errors import BatchError, ConfigError, check_text, suggestion
from owl_geo.ground.same_ground import are_shown, hold, matching, moved_to
from owl_geo.ground.windows import Points
from owl_geo.labels.exchange import ReadAnswers, read_answers, read_exported
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.schema import RESERVED_LABELS, TIME_FORMAT
from owl_geo.settings.paths import is_local
from owl_geo.sources.base import find_positions
from owl_geo.types import Answer
from owl_geo.verbs.ingest import Ingested, held_out_patches, known_annotators
from owl_geo.wording import counted

if TYPE_CHECKING:  # sites may be in any format, and what reads them takes long to import
    from owl_geo.verbs.sites.placed import AsSites

log = logging.getLogger("owl_geo")


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
    from owl_geo.verbs.sites.files import LAYER, check_no_sheet, is_sites
    from owl_geo.verbs.sites.placed import AsSites

    run = Run.of(run)
    for name, given in (("label", label), ("column", column), ("crs", crs)):
        if given is not None:
            check_text(name, given)
    options = AsSites(label, column, values, share, crs)
    check_no_sheet(os.fspath(path))
    exported = None
    if is_sites(os.fspath(path)):
        exported = _exported(run, os.fspath(path), options)
        if exported is None:
            return _import_sites(run, os.fspath(path), annotator, options)
    check_annotator(annotator)
    if not is_local(os.fspath(path)):
        raise BatchError(
            f"{os.fspath(path)} holds answers to patches, which are read from plain files of this "
            "machine",
            remedy="copy it here, or unpack it, first",
        )
    path = Path(os.fspath(path).partition(LAYER)[0])
    read = read_answers(path) if exported is None else exported
    for name in options.given:
        raise ConfigError(
            f"{path} holds answers to patches, and --{name} is for sites",
            remedy=f"leave out --{name}",
        )
    return _import_rows(run, path, read, annotator)


def _import_rows(run: Run, path: Path, read: ReadAnswers, annotator: str) -> Ingested:
    """Check the answers to patches that a file holds, and store them."""
    rows = read.rows
    is_answer = (rows["label"].notna() | rows["labelled_at"].notna()).to_numpy()
    corners = _with_points(run, rows["patch_id"], read)
    answered = _at_their_places(run, path, rows[is_answer], corners[is_answer])
    elsewhere = int(is_answer.sum()) - len(answered)
    tests = answered["patch_id"].isin(held_out_patches(run)).to_numpy(dtype=bool)
    answered = answered[~tests]
    for name in ("annotator", "comment"):
        for patch_id, text in zip(answered["patch_id"], answered[name], strict=True):
            check_characters(path, name, patch_id, text or "")
    labelled = answered[answered["label"].notna()]
    allowed = (*run.settings.classes, *RESERVED_LABELS)
    found = misplaced(rows, allowed)
    warn_of_misplaced(path, found)
    check_labels(path, zip(labelled["patch_id"], labelled["label"], strict=True), allowed)
    now = datetime.now(UTC)
    answers = _answers_in(run, path, answered, annotator, now)
    warn_of_future(path, answers, now)
    _warn_of_several(path, answers)
    footprints = run.footprints(list(dict.fromkeys(answered["patch_id"])))
    # unchecked, because this is how answers from a labels.gpkg reach a store that lacks them
    store = run.label_store(check=False)
    run.check_ground(store)
    names = [answer.annotator for answer in answers]
    warn_of_like_names(path, names, known_annotators(run, store.history()))
    run.index.check_still_has(answer.patch_id for answer in answers)
    appended = store.append(answers, footprints)
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


def _answers_in(
    run: Run, path: Path, rows: pd.DataFrame, annotator: str, now: datetime
) -> list[Answer]:
    """Return the answers of a table's rows; ``annotator`` and ``now`` where a row says neither.

    Raises BatchError for a time or a round that is none.
    """
    from owl_geo.verbs.sites.answers import IMPORTED

    rounds = {entry.batch_id: entry.number for entry in run.rounds()}
    answers = []
    for row in rows.itertuples(index=False):
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
    return answers


def _exported(run: Run, path: str, options: AsSites) -> ReadAnswers | None:
    """Return the answers in a batch, or an export, that a GIS saved in another format.

    None for other features, as whose the options treat any. Answers are told by the names of the
    run's patches: the attribute that holds them may mean something else elsewhere.
    """
    from owl_geo.ground.vector import UNREADABLE
    from owl_geo.verbs.sites.files import LAYER

    file, _, layer = path.partition(LAYER)
    if options.given or not is_local(file) or not is_file(file):
        return None
    try:
        read = read_exported(file, layer or None)
    except UNREADABLE:  # whoever reads the places says why
        return None
    if read is None:
        return None
    names = read.rows["patch_id"].dropna().tolist()
    return read if (find_positions(run.patches, names) >= 0).any() else None


def _import_sites(run: Run, path: str, annotator: str, options: AsSites) -> Ingested:
    from owl_geo.verbs.sites.answers import answers_at

    store = run.labels
    found = answers_at(run, path, store, options, annotator=annotator)
    footprints = run.footprints([answer.patch_id for answer in found.new])
    names = [answer.annotator for answer in found.new]
    warn_of_like_names(path, names, known_annotators(run, store.history()))
    run.index.check_still_has(answer.patch_id for answer in found.new)
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
        more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
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
