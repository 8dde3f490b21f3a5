"""What batches and labels share of the GeoPackage format: making, opening, geometry blobs.

Files are made by GDAL, which knows coordinate systems and spatial indexes, and read by the standard
library's sqlite3, which sees what another program has committed while that program goes on editing.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.disk.atomic import flush

FEATURE_ID = "fid"
GEOMETRY = "geom"
BUSY_SECONDS = 30  # how long to wait for another program's lock

# Of a file from elsewhere: a batch of a million patches takes half of these steps.
_STEPS_PER_TICK, _MOST_TICKS = 100_000, 400
_LONGEST_VALUE = 64 * 2**20  # bytes

# Bytes of the envelope in a geometry blob, by the code in bits 1 to 3 of its flags.
_ENVELOPE_BYTES = (0, 32, 48, 48, 64, 0, 0, 0)

# The table as QGIS itself makes it.
_STYLE_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256),
    f_table_schema TEXT(256),
    f_table_name TEXT(256),
    f_geometry_column TEXT(256),
    styleName TEXT(30),
    styleQML TEXT,
    styleSLD TEXT,
    useAsDefault BOOLEAN,
    description TEXT,
    owner TEXT(30),
    ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
);
"""

_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a BigTIFF image"),
    (b"\x00\x00\x27\x0a", "a Shapefile"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)


def create(
    path: Path,
    frame: gpd.GeoDataFrame,
    layer: str,
    *,
    spatial_index: bool,
    finish: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Write ``frame`` as the only layer of a new GeoPackage 1.3; it appears whole or not at all.

    ``finish`` may add tables of its own before the file gets its name. Raises FileExistsError
    rather than replace a file, OSError where the folder or the disk does not allow it, and
    ``sqlite3.Error`` from ``finish``.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        made = Path(folder) / "new.gpkg"
        try:
            pyogrio.write_dataframe(
                frame,
                made,
                layer=layer,
                driver="GPKG",
                geometry_type="Polygon",
                dataset_options={"VERSION": "1.3"},  # QGIS 3.22 warns of GDAL's newer default
                layer_options={
                    "FID": FEATURE_ID,
                    "GEOMETRY_NAME": GEOMETRY,
                    "SPATIAL_INDEX": "YES" if spatial_index else "NO",
                },
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            # before its reason GDAL quotes the SQL
            reason = " ".join(str(error).split()).rpartition("failed: ")[2]
            raise OSError(f"{reason} (is the disk full?)") from error
        with closing(connect(made, "rw")) as connection:
            _check_whole(connection, layer, len(frame), spatial_index)
            if finish is not None:
                connection.execute("BEGIN")
                finish(connection)
                connection.execute("COMMIT")
        flush(made)
        _publish(made, path)


def clear_made(path: Path) -> None:
    """Remove what killed processes left beside ``path`` on their way to ``create`` it."""
    for folder in path.parent.glob(f".{path.stem}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def add_style(
    connection: sqlite3.Connection, layer: str, style: str, *, name: str, about: str
) -> None:
    """Make ``style``, a QML, the default with which QGIS opens ``layer``; for ``finish``."""
    connection.execute(_STYLE_TABLE)
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier)"
        " VALUES ('layer_styles', 'attributes', 'layer_styles')"
    )
    connection.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name,"
        " f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description)"
        " VALUES ('', '', ?, ?, ?, ?, '', 1, ?)",
        (layer, GEOMETRY, name, style, about),
    )


def typed(values: pd.Series) -> object:
    """Return a column as booleans, float64 or text; gaps become null and keep the type."""
    filled = values.dropna()
    if len(filled) and filled.map(lambda value: isinstance(value, bool | np.bool_)).all():
        return values.astype("boolean").array
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    text = np.full(len(values), None, dtype=object)
    text[values.notna().to_numpy()] = [str(value) for value in filled]
    return text


def _check_whole(connection: sqlite3.Connection, layer: str, n: int, spatial_index: bool) -> None:
    """Raise OSError unless GDAL wrote all: on a full disk it may leave off without an error."""
    tables = [layer, *([f"rtree_{layer}_{GEOMETRY}"] if spatial_index else [])]
    try:
        whole = (
            layers(connection) == [layer]
            and geometry_column(connection, layer)[0] == GEOMETRY
            and connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            and all(
                connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone() == (n,)  # noqa: S608 - quoted names
                for table in tables
            )
        )
    except sqlite3.DatabaseError:
        whole = False
    if not whole:
        raise OSError("the file came out incomplete, perhaps the disk is full")


def _publish(made: Path, path: Path) -> None:
    """Give the finished file its name in one step; another process may try the same."""
    try:
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError as error:  # FAT and some network drives have no hard links
        if path.exists():
            raise FileExistsError(path) from error
        made.rename(path)


def connect(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """Open an existing SQLite file; ``mode`` is SQLite's ``ro`` or ``rw``, which never creates one.

    Not ``immutable``: what QGIS has committed to the ``-wal`` file beside it is seen. Only where
    there is none that there ought to be; SQLite would make one, or fail where it may not.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    if mode == "ro" and lacks_wal(path):
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # what the file's views and triggers say is not ours: they get harmless functions only
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def connect_to_foreign(path: Path) -> sqlite3.Connection:
    """Open a file that anybody may have made, to read from.

    A view that never ends is stopped with the ``sqlite3.Error`` "interrupted", and no value is
    larger than 64 MB.
    """
    connection = connect(path)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    ticks = itertools.count()
    connection.set_progress_handler(lambda: next(ticks) >= _MOST_TICKS, _STEPS_PER_TICK)
    return connection


def lacks_wal(path: Path) -> bool:
    """Say whether the program that saved last kept changes in a ``-wal`` file that is not there.

    Whoever closes such a file in good order leaves none either. But while it is open, changes stand
    in that file alone, and a copy of the GeoPackage without it has not got them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:  # whoever opens it says so
        return False
    return head[18:20] == b"\x02\x02" and not path.with_name(path.name + "-wal").exists()


def foreign_kind(path: Path) -> str | None:
    """Say what a file is that is no SQLite database ("a zip archive"); None if it is one."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"SQLite format 3\x00"):
        return None
    if not head:
        return "an empty file"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    return "a binary file" if b"\x00" in head else "a text file"


def layers(connection: sqlite3.Connection) -> list[str] | None:
    """Return the names of the vector layers; None where the database is no GeoPackage."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_contents'")
    if known.fetchone() is None:
        return None
    rows = connection.execute(
        "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' ORDER BY table_name"
    )
    return [str(name) for (name,) in rows]


def geometry_column(connection: sqlite3.Connection, layer: str) -> tuple[str, int]:
    """Return the name of a layer's geometry column and its ``srs_id``."""
    row = connection.execute(
        "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
    ).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"the layer {layer!r} has no geometry column")
    if not isinstance(row[0], str) or not isinstance(row[1], int):
        raise sqlite3.DatabaseError(f"the layer {layer!r} has no geometry column")
    return row[0], row[1]


def crs_of(connection: sqlite3.Connection, srs_id: int) -> CRS | None:
    """Return the CRS behind a ``srs_id``; None where the file leaves it undefined.

    Raises ``sqlite3.DatabaseError`` where it is none that PROJ knows.
    """
    row = connection.execute(
        "SELECT organization, organization_coordsys_id, definition"
        " FROM gpkg_spatial_ref_sys WHERE srs_id = ?",
        (srs_id,),
    ).fetchone()
    if row is None or srs_id in (-1, 0):
        return None
    authority, code, definition = row
    try:
        return CRS.from_authority(str(authority), str(code))
    except CRSError:  # a CRS of the scene's own, without a code
        try:
            return CRS.from_user_input(str(definition))
        except CRSError as error:
            raise sqlite3.DatabaseError(f"its CRS {srs_id} is none that PROJ knows") from error


def quoted(name: str) -> str:
    """Return a column name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def to_blobs(polygons: Sequence[shapely.Polygon], srs_id: int) -> list[bytes]:
    """Return polygons as GeoPackage blobs: a header with the envelope, then WKB."""
    bounds = shapely.bounds(polygons)[:, [0, 2, 1, 3]].tolist()  # min x, max x, min y, max y
    little_endian_with_envelope = 0b011
    return [
        struct.pack("<2sBBi4d", b"GP", 0, little_endian_with_envelope, srs_id, *box) + wkb
        for box, wkb in zip(bounds, shapely.to_wkb(polygons, byte_order=1), strict=True)
    ]


def from_blobs(blobs: Sequence[object]) -> NDArray[np.object_]:
    """Return the geometries of GeoPackage blobs, ``(n,)``; None for what is no geometry."""
    wkb = [
        blob[8 + _ENVELOPE_BYTES[blob[3] >> 1 & 0b111] :]
        if isinstance(blob, bytes) and blob[:2] == b"GP" and len(blob) > 8
        else None
        for blob in blobs
    ]
    geometries: NDArray[np.object_] = shapely.from_wkb(
        np.array(wkb, dtype=object), on_invalid="ignore"
    )
    return geometries
