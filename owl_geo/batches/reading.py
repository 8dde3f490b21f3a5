"""Read a batch back, even while QGIS has it open for editing."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from pyproj import CRS

from owl_geo import schema
from owl_geo.batches.checks import check_characters
from owl_geo.disk import gpkg
from owl_geo.disk.presence import exists, is_dir, is_file
from owl_geo.errors import BatchError, brief, suggestion, where_instead
from owl_geo.wording import as_typed, counted

_log = logging.getLogger("owl_geo")

_READ_COLUMNS = (
    *("patch_id", "label", "annotator", "comment", "labelled_at"),
    *("batch_id", "round"),
)
_TEXT_COLUMNS = _READ_COLUMNS[:-1]
_LONGEST_TEXT = 10_000  # characters of a value


@dataclass(frozen=True)
class BatchFile:
    """The content of a batch GeoPackage at the moment of reading.

    ``answers`` has a row per patch, answered or not: patch_id, label, annotator, comment,
    labelled_at, batch_id (text or None), round, noticed (whether it has no rank, since somebody
    added it), and geometry in ``crs``. ``replaced`` has the first five of these columns: answers to
    the same patches that somebody else replaced.
    """

    path: Path
    classes: tuple[str, ...]  # empty if another program saved the batch again and lost them
    positive: str | None
    annotator: str | None  # for whom this part of a team's batch is
    crs: CRS | None
    answers: gpd.GeoDataFrame
    replaced: pd.DataFrame


@dataclass(frozen=True)
class BatchTable:
    """Everything that the run wrote into a batch, in the order of the file, for display elsewhere.

    Rows that were added since are left out.

    ``kinds`` has the SQL type of every attribute except those that annotators fill in: text,
    bigint, double precision or boolean. ``rows`` are their values, None where null.
    """

    info: dict[str, Any]  # the batch's metadata; see schema.BATCH_INFO_KEYS
    kinds: dict[str, str]
    fids: list[int]
    rows: list[tuple[object, ...]]
    polygons: list[shapely.Polygon]
    crs: CRS | None


_KINDS = {"BOOLEAN": "boolean", "REAL": "double precision", "DOUBLE": "double precision"}


def read_table(path: Path) -> BatchTable:
    """Read what the run wrote into a batch; answers are left out. Raises BatchError."""
    _check_file(path)
    try:
        with closing(gpkg.connect(path)) as connection:
            connection.execute("BEGIN")
            geometry, srs_id = gpkg.geometry_column(connection, schema.BATCH_LAYER)
            own = (gpkg.FEATURE_ID, geometry, *schema.EDITABLE_COLUMNS)
            kinds = {
                name: "bigint" if "INT" in kind else _KINDS.get(kind, "text")
                for _, name, kind, *_ in connection.execute("PRAGMA table_info(batch)")
                if name not in own
            }
            names = ", ".join(gpkg.quoted(name) for name in (gpkg.FEATURE_ID, geometry, *kinds))
            rows = connection.execute(
                f"SELECT {names} FROM {gpkg.quoted(schema.BATCH_LAYER)}"  # noqa: S608 - quoted names
                f" WHERE rank IS NOT NULL ORDER BY {gpkg.FEATURE_ID}"
            ).fetchall()
            return BatchTable(
                info=_info(connection, path),
                kinds=kinds,
                fids=[int(row[0]) for row in rows],
                rows=[_typed(row[2:], kinds) for row in rows],
                polygons=list(gpkg.from_blobs([row[1] for row in rows])),
                crs=gpkg.crs_of(connection, srs_id),
            )
    except sqlite3.Error as error:
        raise BatchError(f"cannot read {path}: {error}") from error


def _typed(values: Sequence[object], kinds: Mapping[str, str]) -> tuple[object, ...]:
    """Return the values with SQLite's numbers turned into booleans in boolean columns."""
    return tuple(
        bool(value) if kind == "boolean" and value is not None else value
        for value, kind in zip(values, kinds.values(), strict=True)
    )


def read_batch(path: str | Path) -> BatchFile:
    """Read a batch GeoPackage without writing to it.

    Warns if it looks like a copy without the ``-wal`` file that has the last answers. Raises
    BatchError if the file is missing, not a batch, damaged or locked, or has a patch twice.
    """
    path = Path(path)
    _check_file(path)
    if gpkg.lacks_wal(path):
        _log.warning(
            "%s was saved by a program that keeps answers in %s-wal, which is not next to it; if "
            "it was copied while open in QGIS, copy both files and ingest it again",
            *(path, path.name),
        )
    try:
        with closing(gpkg.connect_to_foreign(path)) as connection:
            batch = _read(connection, path)
    except UnicodeDecodeError as error:  # in SQLite's message about a damaged file
        raise BatchError(f"cannot read {path}: its text is not UTF-8") from error
    except sqlite3.Error as error:
        name = str(getattr(error, "sqlite_errorname", ""))
        if name.startswith("SQLITE_BUSY"):
            raise BatchError(
                f"cannot read {path}: another program is writing to it",
                remedy="wait until it is done, or save and close the batch there, then try again",
            ) from error
        if name == "SQLITE_READONLY_ROLLBACK":
            raise BatchError(
                f"{path} holds an edit that was interrupted",
                remedy="open it once in QGIS, which repairs it",
            ) from error
        if name == "SQLITE_INTERRUPT":
            raise BatchError(
                f"cannot read {path}: a view in it never ends",
                remedy="use the batch as owl-geo wrote it",
            ) from error
        raise BatchError(f"cannot read {path}: {error}") from error
    _check_ids(path, batch.answers["patch_id"])
    return batch


def count_answers(path: Path) -> int:
    """Return how many patches of a batch have a label; 0 if the file cannot be read."""
    try:
        labels = read_batch(path).answers["label"]
        return int((labels.fillna("").astype(str).str.strip() != "").sum())
    except BatchError:
        return 0


_BATCH_WANTED = "name the batch whose path `owl-geo query RUN` printed"


def _check_file(path: Path) -> None:
    try:
        if is_dir(path):
            raise BatchError(f"{path} is a folder", remedy="name the batch GeoPackage in it")
        if exists(path) and not is_file(path):  # such as a pipe that nobody writes to
            raise BatchError(f"{path} is not a file", remedy="name a batch GeoPackage")
        kind = gpkg.foreign_kind(path)
    except FileNotFoundError as error:
        instead = where_instead(path)
        joint = " If not," if instead.endswith("?") else ";"
        raise BatchError(
            f"{path} does not exist",
            remedy=f"{instead}{joint} run `owl-geo query RUN`, which prints the path of a batch",
        ) from error
    except OSError as error:
        raise BatchError(f"cannot read {path}: {error.strerror}") from error
    if kind is not None:
        raise BatchError(
            f"{path} is {kind}, not a GeoPackage",
            remedy=f"{_BATCH_WANTED}; labels that were saved in another format come in with "
            f"`owl-geo labels import RUN {as_typed(path)}`",
        )


def _read(connection: sqlite3.Connection, path: Path) -> BatchFile:
    # one transaction: names, rows and CRS are those of one moment, whatever is committed meanwhile
    connection.execute("BEGIN")
    layers = gpkg.layers(connection)
    if layers is None:
        raise BatchError(f"{path} is an SQLite database, not a GeoPackage", remedy=_BATCH_WANTED)
    layer = _batch_layer(connection, layers)
    if layer is None:
        others = f"; it has {', '.join(layers)}" if layers else ""
        raise BatchError(
            f"{path} has no layer {schema.BATCH_LAYER!r}{others}",
            remedy=f"{_BATCH_WANTED}, or import your own table with "
            f"`owl-geo labels import RUN {as_typed(path)}`",
        )
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (layer,)).fetchone()
    if kind != ("table",):
        raise BatchError(
            f"{path}: its layer {layer!r} is not a table",
            remedy="use the batch as owl-geo wrote it",
        )
    columns = _columns(connection, layer)
    is_table = {"patch_id", "label"} <= {*columns}  # which an import reads
    for name in _READ_COLUMNS:
        if name not in columns:
            raise BatchError(
                f"{path} has no column {name!r} in its layer {layer!r}",
                remedy=f"read it with `owl-geo labels import RUN {as_typed(path)}`"
                if is_table
                else suggestion(name, columns),
            )
    geometry, srs_id = gpkg.geometry_column(connection, layer)
    names = ", ".join(gpkg.quoted(name) for name in (*_READ_COLUMNS, geometry))
    # what another program exported may lack the ranks
    names += ", rank IS NULL" if "rank" in columns else ", 0"
    rows = connection.execute(
        f"SELECT {names} FROM {gpkg.quoted(layer)}"  # noqa: S608 - names are quoted
    ).fetchall()
    _check_text(path, rows)
    table = pd.DataFrame(rows, columns=[*_READ_COLUMNS, "geometry", "noticed"], dtype=object)
    table["noticed"] = table["noticed"].astype(bool)
    crs = gpkg.crs_of(connection, srs_id)
    table["geometry"] = gpkg.from_blobs(table["geometry"].tolist())
    is_replaced = _is_replaced(table)
    rest = table[~is_replaced].reset_index(drop=True)
    info = _info(connection, path)
    return BatchFile(
        path=path,
        classes=tuple(info.get("classes", [])),
        positive=info.get("positive"),
        annotator=info.get(schema.BATCH_INFO_ANNOTATOR),
        crs=crs,
        answers=gpd.GeoDataFrame(rest, geometry="geometry", crs=crs),
        replaced=table.loc[is_replaced, list(_READ_COLUMNS[:5])],
    )


def _is_replaced(table: pd.DataFrame) -> pd.Series:
    """Return which rows are answers that stand beside that of their patch's own row.

    They have no polygon, of which QGIS makes an empty one where it saves them to another file.
    """
    has_none = table["geometry"].isna() | shapely.is_empty(table["geometry"].to_numpy())
    further = table["noticed"] & has_none
    return further & table["patch_id"].isin(table["patch_id"][~further])


def _batch_layer(connection: sqlite3.Connection, layers: Sequence[str]) -> str | None:
    """Return the layer that is a batch: an export from QGIS may have another name."""
    if schema.BATCH_LAYER in layers:
        return schema.BATCH_LAYER
    exported = [name for name in layers if not set(_READ_COLUMNS) - set(_columns(connection, name))]
    return exported[0] if len(exported) == 1 else None


def _columns(connection: sqlite3.Connection, layer: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({gpkg.quoted(layer)})")]


def _info(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """Return what the run wrote into the metadata; empty if that is gone."""
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_metadata'")
    if tables.fetchone() is None:
        return {}
    row = connection.execute(schema.BATCH_INFO_QUERY, (schema.BATCH_INFO_URI,)).fetchone()
    try:
        info = {} if row is None else dict(json.loads(row[0]))
        classes = info.setdefault("classes", [])
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise TypeError("they are not a list of names")
        if not isinstance(info.setdefault("positive", None), str | None):
            raise TypeError("the positive class is not a name")
    except (TypeError, ValueError, RecursionError) as error:
        raise BatchError(f"{path}: the classes in its metadata are damaged: {error}") from error
    return info


def _check_text(path: Path, rows: list[tuple[Any, ...]]) -> None:
    """Raise BatchError for a value that is not text, or longer than a person would write."""
    for column, name in enumerate(_TEXT_COLUMNS):
        for row in rows:
            value, patch = row[column], row[0]
            if value is None:
                continue
            # other programs may have converted a column to numbers if it holds nothing else
            if isinstance(value, bytes) or (column == 0 and not isinstance(value, str)):
                raise BatchError(
                    f"{path}: {name} of patch {brief(patch)} is {type(value).__name__}, not text"
                )
            if len(str(value)) > _LONGEST_TEXT:
                raise BatchError(
                    f"{path}: {name} of patch {brief(patch)} has {len(str(value)):,} characters",
                    remedy=f"shorten it to {_LONGEST_TEXT:,} characters",
                )
            if name in ("annotator", "comment"):  # what becomes of the others is checked later
                check_characters(path, name, patch, str(value))


def _check_ids(path: Path, ids: Iterable[object]) -> None:
    column = pd.Series(ids, dtype=object)
    empty = column.isna() | (column.astype(str).str.strip() == "")
    if empty.any():
        raise BatchError(f"{path}: {counted(int(empty.sum()), 'row has', 'rows have')} no patch_id")
    twice = column[column.duplicated()].unique()
    if len(twice):
        raise BatchError(
            f"{path} has {some(twice.tolist())} twice", remedy="keep one row of each patch"
        )


def some(names: list[str]) -> str:
    """Return up to three names for a message, and how many more there are."""
    shown = ", ".join(map(brief, names[:3]))
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown
