"""Answers by location: which patches known sites answer, and with which class."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError

from owl_geo.concepts.layers import CrsOption, Layer, load
from owl_geo.concepts.osm_files import is_osm
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.rasters import values_there
from owl_geo.concepts.sites import (
    CLASS_COLUMNS,
    answered_names,
    locate,
    locate_classes,
    why_not_alike,
)
from owl_geo.concepts.values import has_value, shown, text_of
from owl_geo.disk import gpkg
from owl_geo.errors import ConfigError, LayerError, suggestion
from owl_geo.ground import vector_files
from owl_geo.ground.accuracy import warn_if_inaccurate
from owl_geo.ground.raster import band_names, is_raster, tells_missing
from owl_geo.ground.vector import UNREADABLE
from owl_geo.labels import LabelStore, newest_answers
from owl_geo.run_folder.folder import Run
from owl_geo.schema import BATCH_LAYER, LABELS_LAYER, RESERVED_LABELS, TIME_FORMAT
from owl_geo.settings.concepts import LayerSettings
from owl_geo.sources.base import positions_of
from owl_geo.types import Answer, AnyArray, IntArray

IMPORTED = "import"  # the batch id of answers that come from elsewhere
SHARE = 0.5  # of a patch, from which on a polygon or a class of a raster answers it

_LAYER = "|layername="
_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class AsSites:
    """How the places of a file become answers; None = not said.

    Args:
        label: what all of them show.
        column: the attribute that holds what each of them shows.
        values: the label that each value means, of the column or of a raster.
        share: of a patch, which a polygon or a class of a raster must cover to answer it.
        crs: the CRS of a file that has none.
        command: what stands before an option, in what an error advises.
    """

    label: str | None = None
    column: str | None = None
    values: Mapping[str, str] | None = None
    share: float | None = None
    crs: str | None = None
    command: str = ""

    @property
    def given(self) -> list[str]:
        """The names of what was said."""
        said = {name: value for name, value in vars(self).items() if name != "command"}
        return [name for name, value in said.items() if value is not None]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What became of the places of a file.

    Args:
        patches: patches that they lie in.
        held_out: patches that were left out because they test the model.
        ambiguous: patches that were left out because they have sites of several classes.
        kept: patches that others answered otherwise, whose answers stay.
        changed: patches that the same annotator had answered otherwise.
    """

    patches: int
    held_out: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        return [
            f"{_n(len(patches), 'patch')} {what}, for example {patches[0]}"
            for patches, what in (
                (self.ambiguous, "with sites of several classes, left out"),
                (self.held_out, "held out to test the model, left out"),
                (self.kept, "answered otherwise by others before, whose answers stay"),
                (
                    self.changed,
                    "answered otherwise by the same annotator before, now answered anew",
                ),
            )
            if patches
        ]


@dataclass(frozen=True, kw_only=True)
class PlacedSites(Placed):
    """What became of points, lines and polygons.

    Args:
        sites: sites with a class.
        placed: of these, those that lie in a patch.
        other: values of the column that are no class of the run, by number of sites.
        beyond: sites outside the pool.
        between: sites within a scene, but in no patch.
    """

    sites: int
    placed: int
    other: Mapping[str, int]
    beyond: int
    between: int

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
        return lines + super().lines()


@dataclass(frozen=True, kw_only=True)
class PlacedClasses(Placed):
    """What became of the classes of a raster.

    Args:
        pool: patches of the run.
        values: the label that each value means.
        share: of a patch, that a class must cover.
        without: patches beyond the raster, or where it has no data.
    """

    pool: int
    values: Mapping[str, str]
    share: float
    without: int

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        meant = ", ".join(f"{value} = {label}" for value, label in self.values.items())
        lines = [
            f"{meant}: a class covers {100 * self.share:g} % of {self.patches} of "
            f"{_n(self.pool, 'patch')}"
        ]
        if self.without:
            lines.append(f"{_n(self.without, 'patch')} beyond the raster, or without data in it")
        return lines + super().lines()


@dataclass(frozen=True)
class SiteAnswers:
    """Answers by location; those in ``new`` are not in the store yet."""

    answers: list[Answer]
    new: list[Answer]
    placed: Placed


@dataclass(frozen=True)
class _Found:
    """Patches with what lies in them, ``(k,)`` each; a patch may come more than once."""

    patch: IntArray
    label: AnyArray


def is_sites(path: str) -> bool:
    """Return whether a file holds places, and not answers to patches.

    Answers are in a CSV with patch_id, or in a GeoPackage whose layer ``labels`` has patch_id; a
    batch is never taken for places. A file that cannot be opened is said to hold answers if it is
    of their two formats.
    """
    file, _, layer = path.partition(_LAYER)
    suffix = Path(file).suffix.lower()
    if Path(file).is_dir():
        return True
    if suffix == ".csv":
        return _has_places(Path(file))
    if suffix != ".gpkg":
        return True
    try:
        with Path(file).open("rb") as opened:
            if opened.read(len(_SQLITE)) != _SQLITE:
                return False
        with closing(gpkg.connect_to_foreign(Path(file))) as connection:
            names = gpkg.layers(connection)
            if layer not in ("", LABELS_LAYER):
                return True
            if names is None or BATCH_LAYER in names:
                return False
            # a table's name cannot be a parameter; this one is a constant
            columns = connection.execute(f"PRAGMA table_info({LABELS_LAYER})").fetchall()
    except (OSError, sqlite3.Error):
        return False
    return LABELS_LAYER not in names or "patch_id" not in {row[1] for row in columns}


def _has_places(file: Path) -> bool:
    try:
        ((layer, geometry),) = vector_files.list_layers(str(file))
        names = vector_files.attributes(str(file), layer).names
    except UNREADABLE:
        return False
    return geometry is not None and "patch_id" not in names


def answers_at(
    run: Run, path: str, store: LabelStore, options: AsSites, *, annotator: str
) -> SiteAnswers:
    """Return the answers that the places of a file give; ``path`` may end in ``|layername=NAME``.

    Raises ConfigError for options that cannot be, and LayerError where the file cannot be read,
    lacks the column or the values, or has no site in a patch.
    """
    _check(run, options)
    file, _, layer = path.partition(_LAYER)
    if Path(file).is_dir() and not vector_files.is_folder_of_one(file):
        raise LayerError(f"{file} is a folder", remedy="name the file in it")
    place = _classes_of_raster if not layer and holds_a_raster(file) else _sites_of_layer
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
                f"{label!r} is not a label of {run.called}, which has {', '.join(allowed)}",
                remedy=suggestion(label, allowed),
            )
    if options.share is not None and not 0 < options.share <= 1:
        raise ConfigError(f"--share is {options.share:g}, but must be above 0 and at most 1")


def holds_a_raster(file: str) -> bool:
    """Return whether a file is a raster without features that GDAL reads."""
    try:
        if any(kind is not None for _, kind in vector_files.list_layers(file)):
            return False
    except UNREADABLE:
        pass
    is_text = file.lower().endswith((".csv", ".tsv"))  # GDAL takes some tables for rasters
    return not is_text and Path(file).is_file() and not is_osm(file) and is_raster(file)


def _sites_of_layer(run: Run, path: str, options: AsSites) -> tuple[_Found, Placed]:
    layer = _layer(run, path, options)
    features = layer.features
    if options.column is None:
        if options.label is None:
            _check_are_alike(run, path, options, layer)
        label = options.label or run.settings.positive
        labels: AnyArray = np.full(len(features), label, dtype=object)
        other: dict[str, int] = {}
    else:
        labels, other = _labels(run, path, options, layer)
    known = ~pd.isna(labels)
    labels, geometries = labels[known], features.geometry.to_numpy()[known]
    pool = Pool.of(run.index.windows)
    share = SHARE if options.share is None else options.share
    try:
        warn_if_inaccurate(path, features.crs, [scene.windows for scene in pool.scenes])
        found = locate(geometries, features.crs, pool, share=share)
    except ProjError as error:
        raise LayerError(
            f"{path} cannot be laid over the scenes of {run.called}: {error}"
        ) from error
    if len(found.patch) == 0:
        raise LayerError(
            f"{path}: none of its {_n(len(labels), 'site')} lies in a patch of {run.called}; "
            f"{found.beyond.sum()} are outside the pool, {found.between.sum()} between its patches",
            remedy="check the CRS of the file, or choose sites within the scenes",
        )
    placed = PlacedSites(
        patches=0,
        sites=len(labels),
        placed=len(np.unique(found.site)),
        other=other,
        beyond=int(found.beyond.sum()),
        between=int(found.between.sum()),
    )
    return _Found(found.patch, labels[found.site]), placed


def _check_are_alike(run: Run, path: str, options: AsSites, layer: Layer) -> None:
    """Raise ConfigError where sites of which nothing is said seem to show several classes."""
    positive = run.settings.positive
    fault = why_not_alike(layer, (*run.settings.classes, *RESERVED_LABELS), positive)
    if fault is None:
        return
    raise ConfigError(
        f"{path}: {fault.what}",
        remedy=f"take what each shows from an attribute, with {options.command}--column "
        f"{fault.remedy or 'NAME'}, or say {options.command}--label {positive}",
    )


def _layer(run: Run, path: str, options: AsSites) -> Layer:
    """Return the features of a file with the column, or with those that may hold classes."""
    file, _, layer = path.partition(_LAYER)
    if options.values is not None and options.column is None:
        raise ConfigError(
            f"{path} holds features, and --values says what values of an attribute mean",
            remedy="name the attribute with --column",
        )
    if is_osm(file) and options.column is None:
        raise LayerError(
            f"{file} is an OSM file",
            remedy="name the tag of the sites, and what its values mean, for example with "
            f"--column landuse --values quarry={run.settings.positive}",
        )
    crs = None if options.crs is None else _crs(options.crs)
    own = run.crs.to_authority()
    example = ":".join(own) if own else "EPSG:32617"
    settings = LayerSettings(path=file, layer=layer or None)
    keys = CLASS_COLUMNS if options.column is None else [options.column]
    return load(settings, keys, CrsOption(f"{options.command}--crs", example, crs))


def _crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(
            f"--crs {text!r} is not a CRS", remedy="give its code, for example EPSG:32617"
        ) from error


def _labels(run: Run, path: str, options: AsSites, layer: Layer) -> tuple[AnyArray, dict[str, int]]:
    """Return the label of each site, None for other values, and how often each of these comes."""
    column, values = options.column, options.values
    assert column is not None
    if column not in layer.features:
        raise LayerError(
            f"{path} has no attribute {column!r}", remedy=suggestion(column, layer.fields)
        )
    names = (*run.settings.classes, *RESERVED_LABELS)
    meanings = dict(zip(names, names, strict=True)) if values is None else values
    table = layer.features[column]
    labels: AnyArray = np.full(len(table), None, dtype=object)
    for value, label in meanings.items():
        labels[has_value(table, (value,))] = label
    if pd.isna(labels).all():
        raise LayerError(
            f"{path}: no site has {column} = {' or '.join(meanings)}; there are {shown(table)}",
            remedy=(
                "name the column that holds the run's classes, or say with --values what its "
                "values mean"
                if values is None
                else "correct --values"
            ),
        )
    counts = text_of(table)[pd.isna(labels)].value_counts()
    return labels, {str(value): int(n) for value, n in counts.items()}


def _classes_of_raster(run: Run, path: str, options: AsSites) -> tuple[_Found, Placed]:
    classes, share = run.settings.classes, SHARE if options.share is None else options.share
    for name in ("label", "column", "crs"):
        if name in options.given:
            raise ConfigError(
                f"{path} is a raster, and --{name} is for features",
                remedy=f"leave out --{name}"
                if name == "crs"
                else f"say what its values mean, for example with --values 1={classes[-1]}; "
                f"{values_there(path)}",
            )
    if len(band_names(path)) > 1:
        raise LayerError(
            f"{path} has {len(band_names(path))} bands, and classes are in one",
            remedy="take that out, for example with gdal_translate -b",
        )
    values = options.values
    if values is None:
        values = {str(number): name for number, name in enumerate(classes)}
    labels = list(dict.fromkeys(values.values()))
    numbers = [[_number(path, v) for v, of in values.items() if of == label] for label in labels]
    pool = Pool.of(run.index.windows)
    try:
        found = locate_classes(path, numbers, pool, share=share)
    except ProjError as error:
        raise LayerError(
            f"{path} cannot be laid over the scenes of {run.called}: {error}"
        ) from error
    if options.values is None:
        _check_numbers_of_classes(path, classes, found.others, bool(found.exist[0]))
        values = {str(number): classes[number] for number in np.flatnonzero(found.exist)}
    if not found.exist.any():
        raise LayerError(
            f"{path}: no pixel of any patch has {' or '.join(values)}; {values_there(path)}",
            remedy="correct --values" if options.values else "",
        )
    if len(found.patch) == 0:
        raise LayerError(
            f"{path}: no class covers {100 * share:g} % of any patch",
            remedy="choose a smaller --share",
        )
    placed = PlacedClasses(
        patches=0, pool=len(pool), values=values, share=share, without=found.without
    )
    return _Found(found.patch, np.array(labels, dtype=object)[found.code]), placed


def _check_numbers_of_classes(
    path: str, classes: Sequence[str], others: bool, has_zero: bool
) -> None:
    """Raise ConfigError unless the values of a raster can only be the numbers of the classes."""
    example = ",".join(f"{number}={name}" for number, name in enumerate(classes) if number)
    if others:
        raise ConfigError(
            f"{path}: its values are not the numbers of the classes, 0 to {len(classes) - 1}; "
            f"{values_there(path)}",
            remedy=f"say what they mean, for example with --values {example}",
        )
    if has_zero and not tells_missing(path):
        raise ConfigError(
            f"{path} has the value 0, which may mean {classes[0]} or that nobody looked, since the "
            "raster names no value for missing data",
            remedy=f"say which values to take, with --values {example} or "
            f"--values 0={classes[0]},{example}",
        )


def _number(path: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(
            f"{path} is a raster, whose values are numbers, and {value!r} is not a number; "
            f"{values_there(path)}",
            remedy="correct --values",
        ) from error


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


def _n(count: int, what: str) -> str:
    return f"{count} {what if count == 1 else what + ('es' if what.endswith('ch') else 's')}"
