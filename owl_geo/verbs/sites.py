"""Answers by location: which patches known sites answer, and with which class."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj.exceptions import ProjError

from owl_geo.concepts.layers import load
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.sites import locate
from owl_geo.concepts.values import has_value, shown, text_of
from owl_geo.disk import gpkg
from owl_geo.errors import ConfigError, LayerError, suggestion
from owl_geo.ground import vector_files
from owl_geo.ground.vector import UNREADABLE
from owl_geo.labels import LabelStore, newest_answers
from owl_geo.run_folder.folder import Run
from owl_geo.schema import BATCH_LAYER, LABELS_LAYER, RESERVED_LABELS, TIME_FORMAT
from owl_geo.settings.config import LayerSettings
from owl_geo.types import Answer, AnyArray, IntArray

IMPORTED = "import"  # the batch id of answers that come from elsewhere
SHARE = 0.5  # of a patch, from which on a polygon answers it

_LAYER = "|layername="
_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Placed:
    """What became of the sites of a layer.

    Args:
        sites: sites with a class.
        placed: of these, those that lie in a patch.
        patches: patches that they lie in.
        other: values of the column that are no class of the run, by number of sites.
        beyond: sites outside the pool.
        between: sites within a scene, but in no patch.
        held_out: patches that were left out because they test the model.
        ambiguous: patches that were left out because they have sites of several classes.
        kept: patches that others answered otherwise, whose answers stay.
        changed: patches that the same annotator had answered otherwise.
    """

    sites: int
    placed: int
    patches: int
    other: dict[str, int]
    beyond: int
    between: int
    held_out: tuple[str, ...]
    ambiguous: tuple[str, ...]
    kept: tuple[str, ...]
    changed: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        lines = [f"{self.placed} of {_n(self.sites, 'site')} lie in {_n(self.patches, 'patch')}"]
        if self.beyond:
            lines.append(f"{_n(self.beyond, 'site')} outside the pool")
        if self.between:
            lines.append(f"{_n(self.between, 'site')} within a scene but between its patches")
        if self.other:
            values = ", ".join(f"{name or '(none)'} ({n})" for name, n in self.other.items())
            lines.append(f"{_n(sum(self.other.values()), 'site')} of no class of the run: {values}")
        for patches, what in (
            (self.ambiguous, "with sites of several classes, left out"),
            (self.held_out, "held out to test the model, left out"),
            (self.kept, "answered otherwise by others before, whose answers stay"),
            (self.changed, "answered otherwise by the same annotator before, now answered anew"),
        ):
            if patches:
                lines.append(f"{_n(len(patches), 'patch')} {what}, for example {patches[0]}")
        return lines


@dataclass(frozen=True)
class SiteAnswers:
    """Answers by location; those in ``new`` are not in the store yet."""

    answers: list[Answer]
    new: list[Answer]
    placed: Placed


def is_sites(path: str) -> bool:
    """Return whether a file holds places, and not answers to patches.

    Answers are in a CSV with patch_id, or in a GeoPackage with the layer ``labels``; a batch is
    never taken for places. A file that cannot be opened is said to hold answers if it is of their
    two formats.
    """
    file, _, layer = path.partition(_LAYER)
    if layer:
        return layer != LABELS_LAYER
    suffix = Path(file).suffix.lower()
    if suffix == ".csv":
        return _has_places(Path(file))
    if suffix != ".gpkg":
        return True
    try:
        with Path(file).open("rb") as opened:
            if opened.read(len(_SQLITE)) != _SQLITE:
                return False
        with closing(gpkg.connect_to_foreign(Path(file))) as connection:
            names = gpkg.layers(connection) or []
    except (OSError, sqlite3.Error):
        return False
    return bool(names) and LABELS_LAYER not in names and BATCH_LAYER not in names


def _has_places(file: Path) -> bool:
    try:
        ((layer, geometry),) = vector_files.list_layers(str(file))
        names = vector_files.attributes(str(file), layer).names
    except UNREADABLE:
        return False
    return geometry is not None and "patch_id" not in names


def answers_at(
    run: Run,
    path: str,
    store: LabelStore,
    *,
    annotator: str,
    label: str | None,
    column: str | None,
    share: float,
) -> SiteAnswers:
    """Return the answers that the sites of a file give; ``path`` may end in ``|layername=NAME``.

    Raises ConfigError for a label or a share that cannot be, and LayerError where the file cannot
    be read, lacks the column, or has no site in a patch.
    """
    allowed = (*run.settings.classes, *RESERVED_LABELS)
    if label is not None and column is not None:
        raise ConfigError(
            "both a label and a column are given", remedy="give either --label or --column"
        )
    if label is not None and label not in allowed:
        raise ConfigError(
            f"{label!r} is not a label of {run.path}, which has {', '.join(allowed)}",
            remedy=suggestion(label, allowed),
        )
    if not 0 < share <= 1:
        raise ConfigError(f"--share is {share:g}, but must be above 0 and at most 1")
    file, _, layer = path.partition(_LAYER)
    settings = LayerSettings(path=file, layer=layer or None)
    read = load(settings, [] if column is None else [column])
    features = read.features
    if column is None:
        labels: AnyArray = np.full(len(features), label or run.settings.positive, dtype=object)
        other: dict[str, int] = {}
    else:
        if column not in features:
            raise LayerError(
                f"{path} has no attribute {column!r}", remedy=suggestion(column, read.fields)
            )
        labels, other = _classes(features[column], allowed)
        if pd.isna(labels).all():
            raise LayerError(
                f"{path}: no site has {column} = {' or '.join(allowed)}; there are "
                f"{shown(features[column])}",
                remedy="name the column that holds the run's classes",
            )
    known = ~pd.isna(labels)
    labels, geometries = labels[known], features.geometry.to_numpy()[known]
    try:
        found = locate(geometries, features.crs, Pool.of(run.index.windows), share=share)
    except ProjError as error:
        raise LayerError(f"{path} cannot be laid over the scenes of {run.path}: {error}") from error
    if len(found.patch) == 0:
        raise LayerError(
            f"{path}: none of its {_n(len(labels), 'site')} lies in a patch of {run.path}; "
            f"{found.beyond.sum()} are outside the pool, {found.between.sum()} between its patches",
            remedy="check the CRS of the file, or choose sites within the scenes",
        )
    patch, chosen, ambiguous = _one_each(found.patch, labels[found.site], run.settings.classes[0])
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
    new, kept, changed = _sorted_out(answers, store, annotator)
    placed = Placed(
        sites=len(labels),
        placed=len(np.unique(found.site)),
        patches=len(np.unique(found.patch)),
        other=other,
        beyond=int(found.beyond.sum()),
        between=int(found.between.sum()),
        held_out=tuple(names[patch[left]]),
        ambiguous=tuple(names[ambiguous]),
        kept=kept,
        changed=changed,
    )
    return SiteAnswers([one for one in answers if one.patch_id not in set(kept)], new, placed)


def _classes(column: pd.Series, allowed: Sequence[str]) -> tuple[AnyArray, dict[str, int]]:
    """Return the label of each site, None for other values, and how often each of these comes."""
    labels: AnyArray = np.full(len(column), None, dtype=object)
    for name in allowed:
        labels[has_value(column, (name,))] = name
    counts = text_of(column)[pd.isna(labels)].value_counts()
    return labels, {str(value): int(n) for value, n in counts.items()}


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
    answers: Sequence[Answer], store: LabelStore, annotator: str
) -> tuple[list[Answer], tuple[str, ...], tuple[str, ...]]:
    """Return the answers to store, patches whose answers stay, and those answered anew."""
    newest = newest_answers(store.history())
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


def _n(count: int, what: str) -> str:
    return f"{count} {what if count == 1 else what + ('es' if what.endswith('ch') else 's')}"
