"""GeoPackage for batches and labels: creating and opening files, styles, geometry blobs.

Files are created by GDAL, which handles coordinate systems and spatial indexes, and read by the
standard library's sqlite3, which sees what another program has committed while it is still editing.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.disk.atomic import flush, room_for
from owl_geo.disk.polygons import room_of, stream
from owl_geo.disk.presence import exists

FEATURE_ID = "fid"
GEOMETRY = "geom"
BUSY_SECONDS = 30  # how long to wait for another program's lock

# Limits for a foreign file: a batch of a million patches takes half of these steps.
_STEPS_PER_TICK, _MOST_TICKS = 100_000, 400
_LONGEST_VALUE = 64 * 2**20  # bytes

# Bytes of the envelope in a geometry blob, by the code in bits 1 to 3 of its flags.
_ENVELOPE_BYTES = (0, 32, 48, 48, 64, 0, 0, 0)

# The table as QGIS itself creates it.
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

    ``finish`` may add further tables before the file is renamed to ``path``. Raises FileExistsError
    rather than replace a file, OSError if the folder or the disk does not allow it, and
    ``sqlite3.Error`` from ``finish``.
    """
    import pyogrio  # GDAL, which reading does not need

    with _making(path, layer, len(frame), spatial_index, finish) as made:
        try:
            pyogrio.write_dataframe(
                frame,
                made,
                layer=layer,
                driver="GPKG",
                geometry_type="Polygon",
                **_options(spatial_index),
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            # GDAL quotes the SQL before the reason
            reason = " ".join(str(error).split()).rpartition("failed: ")[2]
            raise OSError(f"{reason} (is the disk full?)") from None  # else the SQL is shown


def create_in_parts(
    path: Path,
    schema: pa.Schema,
    parts: Iterable[pa.RecordBatch],
    layer: str,
    *,
    crs: CRS,
    n: int,
    finish: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Write n polygons as ``create`` does, with a spatial index, from parts that come one by one.

    ``schema`` and parts are those of ``polygons.write``. Raises as ``create`` does, and what making
    the parts raises.
    """
    with _making(path, layer, n, True, finish) as made:
        stream(made, schema, parts, crs=crs, driver="GPKG", layer=layer, **_options(True))


def _options(spatial_index: bool) -> dict[str, dict[str, str]]:
    return {
        "dataset_options": {"VERSION": "1.3"},  # QGIS 3.22 warns about GDAL's newer default
        "layer_options": {
            "FID": FEATURE_ID,
            "GEOMETRY_NAME": GEOMETRY,
            "SPATIAL_INDEX": "YES" if spatial_index else "NO",
        },
    }


@contextmanager
def _making(
    path: Path,
    layer: str,
    n: int,
    spatial_index: bool,
    finish: Callable[[sqlite3.Connection], None] | None,
) -> Iterator[Path]:
    """Yield where to write a layer of n features; check it, finish it and give it its name."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        made = Path(folder) / "new.gpkg"
        with room_for(made.parent, room_of(n)):
            yield made
            with closing(connect(made, "rw")) as connection:
                _check_whole(connection, layer, n, spatial_index)
                if finish is not None:
                    connection.execute("BEGIN")
                    finish(connection)
                    connection.execute("COMMIT")
            flush(made)
        _publish(made, path)


def clear_made(path: Path) -> None:
    """Remove what killed processes left beside ``path`` while they tried to ``create`` it."""
    for folder in path.parent.glob(f".{path.stem}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def add_style(
    connection: sqlite3.Connection, layer: str, style: str, *, name: str, about: str
) -> None:
    """Store ``style``, a QML, with which QGIS opens ``layer`` by default; for use in ``finish``."""
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


def add_attributes(
    connection: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> None:
    """Add a table of texts without geometry; for use in ``finish``.

    ``names``, of its columns, are plain words.
    """
    connection.execute(
        f"CREATE TABLE {quoted(table)} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,"
        f" {', '.join(f'{quoted(name)} TEXT NOT NULL' for name in names)})"
    )
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)",
        (table, table),
    )
    connection.executemany(
        f"INSERT INTO {quoted(table)} ({', '.join(quoted(name) for name in names)})"  # noqa: S608 - quoted names
        f" VALUES ({', '.join(f':{name}' for name in names)})",
        [dict(zip(names, row, strict=True)) for row in rows],
    )


def typed(values: pd.Series) -> object:
    """Return a column as booleans, float64 or text; missing values become null of that type."""
    filled = values.dropna()
    if len(filled) and all(isinstance(value, bool | np.bool_) for value in filled):
        return values.astype("boolean").array
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    text = np.full(len(values), None, dtype=object)
    text[values.notna().to_numpy()] = [str(value) for value in filled]
    return text


def _check_whole(connection: sqlite3.Connection, layer: str, n: int, spatial_index: bool) -> None:
    """Raise OSError unless GDAL wrote everything: on a full disk it may stop without an error."""
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
        raise OSError("the file is incomplete (is the disk full?)")


def _publish(made: Path, path: Path) -> None:
    """Give the finished file its name in one step; another process may be trying the same."""
    try:
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError as error:  # FAT and some network drives have no hard links
        if exists(path):
            raise FileExistsError(path) from error
        made.rename(path)


def connect(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """Open an existing SQLite file; ``mode`` is SQLite's ``ro`` or ``rw``, which never creates one.

    The file is not opened as ``immutable``, so that what QGIS has committed to the ``-wal`` file
    beside it is seen, unless a ``-wal`` file should be there and is missing: SQLite would create
    one, or fail if it may not.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    if mode == "ro" and lacks_wal(path):
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # the file's views and triggers may be anybody's: they may call only harmless functions
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def connect_to_foreign(path: Path) -> sqlite3.Connection:
    """Open a file that anybody may have made, for reading.

    A view that never ends is stopped with the ``sqlite3.Error`` "interrupted", and values may have
    at most 64 MB.
    """
    connection = connect(path)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    ticks = itertools.count()
    connection.set_progress_handler(lambda: next(ticks) >= _MOST_TICKS, _STEPS_PER_TICK)
    return connection


def lacks_wal(path: Path) -> bool:
    """Return whether the program that saved last used a ``-wal`` file, which is missing.

    A program that closes the GeoPackage properly leaves none either. But while it is open, changes
    are only in the ``-wal`` file, and a copy of the GeoPackage without it lacks them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:  # opening the file will report it
        return False
    return head[18:20] == b"\x02\x02" and not exists(path.with_name(path.name + "-wal"))


def foreign_kind(path: Path) -> str | None:
    """Return what a file is ("a zip archive") if it is not an SQLite database, else None."""
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
    """Return the names of the vector layers; None if the database is not a GeoPackage."""
    contents = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_contents'")
    if contents.fetchone() is None:
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
    """Return the CRS with a ``srs_id``; None if the file leaves it undefined.

    Raises ``sqlite3.DatabaseError`` if PROJ does not know it.
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
            raise sqlite3.DatabaseError(f"PROJ does not know its CRS {srs_id}") from error


def quoted(name: str) -> str:
    """Return a name quoted for SQL."""
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
    """Return the geometries of GeoPackage blobs, ``(n,)``; None for those that are not valid."""
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
