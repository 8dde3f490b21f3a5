"""The answers that the places of a file give, and which of them are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from owl_geo.batches.checks import check_annotator
from owl_geo.concepts.sites import answered_names
from owl_geo.disk.presence import is_dir
from owl_geo.errors import ConfigError, LayerError, check_number, known_labels
from owl_geo.ground import vector_files
from owl_geo.labels import LabelStore, newest_answers
from owl_geo.run_folder.folder import Run
from owl_geo.schema import RESERVED_LABELS, TIME_FORMAT
from owl_geo.sources.base import positions_of
from owl_geo.types import Answer, AnyArray, IntArray
from owl_geo.verbs.sites.classes import classes_of_raster
from owl_geo.verbs.sites.features import sites_of_layer
from owl_geo.verbs.sites.files import LAYER, holds_a_raster
from owl_geo.verbs.sites.placed import AsSites, Placed

IMPORTED = "import"  # the batch id of answers that come from elsewhere


@dataclass(frozen=True)
class SiteAnswers:
    """Answers by location; those in ``new`` are not in the store yet."""

    answers: list[Answer]
    new: list[Answer]
    placed: Placed


def answers_at(
    run: Run, path: str, store: LabelStore, options: AsSites, *, annotator: str
) -> SiteAnswers:
    """Return the answers that the places of a file give; ``path`` may end in ``|layername=NAME``.

    Raises ConfigError for options that cannot be, and LayerError where the file cannot be read,
    lacks the column or the values, or has no site in a patch.
    """
    check_annotator(annotator)
    _check(run, options)
    file, _, layer = path.partition(LAYER)
    if is_dir(file) and not vector_files.is_folder_of_one(file):
        raise LayerError(f"{file} is a folder", remedy="name the file in it")
    is_of_classes = not layer and holds_a_raster(file)
    place = classes_of_raster if is_of_classes else sites_of_layer
    found, placed = place(run, path, options)
    history = store.history()
    named = positions_of(run.patches, newest_answers(history)["patch_id"].unique().tolist())
    at = answered_names(found.patch, named, run.index.shared)
    patch, chosen, ambiguous = _one_each(at, found.label, run.settings.classes[0])
    names = run.patches["patch_id"].to_numpy(dtype=object)
    held = np.zeros(len(names), dtype=bool)
    if run.truth is not None:
        held = run.truth["held_out"].to_numpy(dtype=bool)
    left = held[patch]
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    comment = f"by location: {Path(file).name}{f' ({layer})' if layer else ''}"
    answers = [
        Answer(name, text, annotator, now, IMPORTED, 0, comment, stamped=False)
        for name, text in zip(names[patch[~left]], chosen[~left], strict=True)
    ]
    new, kept, changed = _sorted_out(answers, store, history, annotator)
    stay = set(kept)
    return SiteAnswers(
        [one for one in answers if one.patch_id not in stay],
        new,
        replace(
            placed,
            patches=len(np.unique(at)),
            held_out=tuple(names[patch[left]]),
            ambiguous=tuple(names[ambiguous]),
            kept=kept,
            changed=changed,
        ),
    )


def _check(run: Run, options: AsSites) -> None:
    """Raise ConfigError where options contradict each other, or name what is no label."""
    allowed = (*run.settings.classes, *RESERVED_LABELS)
    if options.label is not None and options.column is not None:
        raise ConfigError(
            "both a label and a column are given", remedy="give either --label or --column"
        )
    if options.label is not None and options.values is not None:
        raise ConfigError(
            "both a label and the meaning of values are given",
            remedy="give either --label or --values",
        )
    for label in ([] if options.label is None else [options.label]) + list(
        (options.values or {}).values()
    ):
        if label not in allowed:
            raise ConfigError(
                f"{label!r} is not a label of {run.called}", remedy=known_labels(label, allowed)
            )
    if options.share is not None:
        check_number("share", options.share)
    if options.share is not None and not 0 < options.share <= 1:
        raise ConfigError(f"--share is {options.share:g}, but must be above 0 and at most 1")


def _one_each(
    patch: IntArray, labels: AnyArray, background: str
) -> tuple[IntArray, AnyArray, IntArray]:
    """Return each patch once with its label, and the patches whose sites differ.

    A site of a class is there, whatever else is: unsure and skip yield to the background, and that
    to all other classes.
    """
    yields = np.select([np.isin(labels, RESERVED_LABELS), labels == background], [2, 1], 0)
    table = pd.DataFrame({"patch": patch, "label": labels, "yields": yields})
    table = table[table["yields"] == table.groupby("patch")["yields"].transform("min")]
    table = table.drop_duplicates(["patch", "label"])
    differs = table["patch"].duplicated(keep=False)
    ambiguous = np.unique(table.loc[differs, "patch"].to_numpy(dtype=np.int64))
    table = table[~differs].sort_values("patch")
    return table["patch"].to_numpy(np.int64), table["label"].to_numpy(dtype=object), ambiguous


def _sorted_out(
    answers: Sequence[Answer], store: LabelStore, history: pd.DataFrame, annotator: str
) -> tuple[list[Answer], tuple[str, ...], tuple[str, ...]]:
    """Return the answers to store, patches whose answers stay, and those answered anew."""
    newest = newest_answers(history)
    own = newest["annotator"] == annotator
    mine = dict(zip(newest["patch_id"][own], newest["label"][own], strict=True))
    others = newest[~own].groupby("patch_id")["label"].agg(set).to_dict()
    lacking = {one.patch_id for one in store.lacks(list(answers))}
    new, kept, changed = [], [], []
    for answer in answers:
        name = answer.patch_id
        if name in mine:
            if mine[name] != answer.label and name in lacking:
                new.append(answer)
                changed.append(name)
        elif others.get(name, {answer.label}) != {answer.label}:
            kept.append(name)
        elif name in lacking:
            new.append(answer)
    return new, tuple(kept), tuple(changed)
