"""Write the chosen patches as a GeoPackage that opens styled and ready to label in plain QGIS."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from owl_geo import schema
from owl_geo.batches.style import batch_style, decimals_of
from owl_geo.disk import gpkg
from owl_geo.disk.presence import exists
from owl_geo.errors import BatchError
from owl_geo.types import ShownRaster, ShownScene

_WHY = tuple(column.name for column in schema.WHY_COLUMNS)
_GIVEN_COLUMNS = ("patch_id", *_WHY, "scene", "scene_crs", "geometry")

_METADATA_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_metadata (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL,
    mime_type TEXT NOT NULL DEFAULT 'text/xml',
    metadata TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (
    reference_scope TEXT NOT NULL,
    table_name TEXT,
    column_name TEXT,
    row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER,
    CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id)
);
"""


def write_batch(
    path: Path,
    patches: gpd.GeoDataFrame,
    *,
    classes: Sequence[str],
    positive: str,
    concepts: Sequence[str],
    batch_id: str,
    round: int,
    annotator: str | None = None,
    units: Mapping[str, str] | None = None,
    patch_size: int | None = None,
    scenes: Sequence[ShownScene] = (),
    views: Sequence[ShownRaster] = (),
    grid: Mapping[str, Any] | None = None,
) -> None:
    """Write ``patches``, the most wanted first, to the layer ``batch`` of a new GeoPackage.

    ``patches`` has the columns patch_id, those of ``schema.WHY_COLUMNS`` (numbers, NaN becomes
    null), scene, scene_crs, one column per name in ``concepts`` (text, numbers or booleans, in
    ``units``, "m" or "%" for shares of 0 to 1) and footprints as geometry. ``annotator`` is the
    person whom the file is for. For QGIS to show are the ``patch_size`` in pixels, the ``scenes``
    of the patches, and ``views``, further rasters of the ground. ``grid`` says what other patches
    there are, as ``grid_info`` does. The file appears whole or not at all. Raises BatchError if the
    path exists or cannot be written, or if the patches do not make a batch.
    """
    path = Path(path)
    _check(path, patches, classes, concepts)
    frame = _layout(patches, concepts, batch_id, round, annotator)
    info = dict(
        zip(
            schema.BATCH_INFO_KEYS,
            (schema.LAYOUT_VERSION, batch_id, round, list(classes), positive),
            strict=True,
        )
    )
    if annotator is not None:
        info[schema.BATCH_INFO_ANNOTATOR] = annotator
    if patch_size is not None:
        info[schema.BATCH_INFO_PATCH_SIZE] = patch_size
    style = batch_style(
        list(frame.columns.drop("geometry")),
        tuple(classes),
        positive,
        concepts,
        units=units,
        decimals={
            name: decimals_of(frame[name]) for name in concepts if frame[name].dtype.kind == "f"
        },
    )

    def add_style_and_info(connection: sqlite3.Connection) -> None:
        gpkg.add_style(
            connection, schema.BATCH_LAYER, style, name="owl-geo batch", about="coloured by label"
        )
        _add_metadata_tables(connection)
        _add_metadata(connection, schema.BATCH_INFO_URI, info)
        if grid is not None:
            _add_metadata(connection, schema.GRID_URI, grid)
        if scenes:
            ways = [{key: getattr(scene, key) for key in schema.SHOWN_KEYS} for scene in scenes]
            _add_metadata(connection, schema.SHOWN_URI, {"scenes": ways})
        if views:
            rows = [_view_row(raster) for raster in views]
            gpkg.add_attributes(connection, schema.VIEWS_TABLE, schema.VIEWS_COLUMNS, rows)

    try:
        gpkg.create(path, frame, schema.BATCH_LAYER, spatial_index=True, finish=add_style_and_info)
    except FileExistsError as error:
        raise BatchError(_exists(path)) from error
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BatchError(f"cannot write the batch {path}: {reason}") from error


def _exists(path: Path) -> str:
    return f"{path} exists; a batch is never overwritten, since it may hold answers"


def _check(
    path: Path, patches: gpd.GeoDataFrame, classes: Sequence[str], concepts: Sequence[str]
) -> None:
    if exists(path):
        raise BatchError(_exists(path))
    missing = [name for name in (*_GIVEN_COLUMNS, *concepts) if name not in patches.columns]
    if missing:
        raise BatchError(f"{path}: the patches have no column {missing[0]!r}")
    for name in classes:
        if not name.isprintable():
            raise BatchError(
                f"the class {name!r} has characters that QGIS cannot show", remedy="rename it"
            )
    taken = set(schema.RESERVED_COLUMNS)
    for name in concepts:  # SQLite's column names are not case-sensitive
        if name.lower() in taken:
            raise BatchError(
                f"the concept {name!r} would be a second column of that name", remedy="rename it"
            )
        taken.add(name.lower())
    twice = patches["patch_id"][patches["patch_id"].duplicated()]
    if len(twice):
        raise BatchError(f"{path}: the patch {twice.iloc[0]!r} was chosen twice")


def _layout(
    patches: gpd.GeoDataFrame,
    concepts: Sequence[str],
    batch_id: str,
    round_: int,
    annotator: str | None,
) -> gpd.GeoDataFrame:
    """Lay out the columns in the order and with the types of the file."""
    n = len(patches)
    unanswered = {name: np.full(n, None, dtype=object) for name in schema.EDITABLE_COLUMNS}
    columns = {
        "rank": np.arange(1, n + 1, dtype=np.int64),
        **unanswered,
        # here too, because another program that saves the batch again loses the metadata
        "annotator": np.full(n, annotator, dtype=object),
        "batch_id": np.full(n, batch_id, dtype=object),
        "round": np.full(n, round_, dtype=np.int64),
    }
    for name in _WHY:
        columns[name] = patches[name].to_numpy(dtype=np.float64, na_value=np.nan)
    order = (*schema.BATCH_COLUMNS_BEFORE, *concepts, *schema.BATCH_COLUMNS_AFTER)
    data = {name: columns[name] if name in columns else gpkg.typed(patches[name]) for name in order}
    return gpd.GeoDataFrame(data, geometry=patches.geometry.array, crs=patches.crs)


def _view_row(raster: ShownRaster) -> tuple[str, str, str, str]:
    """Return a row of the table of views; see ``schema.VIEWS_COLUMNS``."""
    bands = ",".join(map(str, raster.bands))
    stretch = ",".join(f"{low:.9g} {high:.9g}" for low, high in raster.stretch)
    return raster.view, "\n".join(raster.paths), bands, stretch


def _add_metadata_tables(connection: sqlite3.Connection) -> None:
    for statement in _METADATA_TABLES.split(";\n")[:-1]:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata',"
        " 'http://www.geopackage.org/spec120/#extension_metadata', 'read-write')",
        [("gpkg_metadata",), ("gpkg_metadata_reference",)],
    )


def _add_metadata(connection: sqlite3.Connection, uri: str, values: Mapping[str, Any]) -> None:
    row = connection.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata)"
        " VALUES ('dataset', ?, ?, ?)",
        (uri, schema.BATCH_INFO_MIME, json.dumps(values, ensure_ascii=False)),
    )
    connection.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id)"
        " VALUES ('table', ?, ?)",
        (schema.BATCH_LAYER, row.lastrowid),
    )
