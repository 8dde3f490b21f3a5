"""Vector files of every format: which layers and attributes they have, and their features.

GDAL reads most of them. GeoParquet is read by geopandas, since pyogrio's GDAL cannot. GDAL has to
be told which columns of a CSV hold coordinates, and where in an archive the data set is.
"""

from __future__ import annotations

import codecs
import glob
import math
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyproj import CRS

from owl_geo.disk.text_files import encoding_of, is_utf8
from owl_geo.ground import geoparquet, whole_numbers
from owl_geo.ground.csv_numbers import check_coordinates
from owl_geo.ground.csv_quotes import check_quotes
from owl_geo.ground.csv_zones import check_one_crs, columns_of_crs
from owl_geo.ground.kml_files import with_places_alone
from owl_geo.ground.vector_archives import in_archive, in_kmz

TABLES = (".csv", ".tsv")  # in text, of which GDAL reads the CRS from a .prj file beside
_DBF_START = 32  # bytes
_CHUNK = 2**20
_LATIN = "ISO-8859-1"
_GEOPACKAGE = ".gpkg"
# With a condition, GDAL counts the rows. Without, it takes the number that it keeps in the file
# itself, which other programs do not update, and pyogrio reads no more rows than that.
_EVERY = "1 = 1"

# GDAL's drivers
_TOPOLOGY = "TopoJSON"
_JSON = ("GeoJSON", "GeoJSONSeq")

_DEGREES = (
    ("longitude", "latitude"),
    ("lon", "lat"),
    ("long", "lat"),
    ("lng", "lat"),
    ("decimallongitude", "decimallatitude"),
)
_UNTOLD = (("x", "y"),)  # degrees, or any other unit
_COORDINATES = (*_DEGREES, *_UNTOLD, ("easting", "northing"))
# with WKT, WKB or, as Earth Engine exports it, GeoJSON
_WKT = ("wkt", "geom", "geometry", "the_geom", "wkt_geom", "geom_wkt", "wkt_geometry", ".geo")
_UNKNOWN = ("undefined ", "nonearth")  # begin the names of CRSs of GeoPackage and MapInfo
_SEPARATOR = re.compile(r'"?sep=.?"?\s*')  # as some programs tell it to spreadsheets
_LONGEST_SEPARATOR = 10  # characters
_NONE = ("", "null", "none", "nan")  # as programs write that there is no value


@dataclass(frozen=True)
class Attributes:
    """The names of a layer's attributes.

    Args:
        names: in the file's order; a part of a nested one is called ``names.primary``.
        are_cut: whether the format cuts names to ten letters.
    """

    names: tuple[str, ...]
    are_cut: bool = False


@dataclass(frozen=True)
class _Source:
    """What to tell GDAL to open a file."""

    path: str
    options: dict[str, str] = field(default_factory=dict)
    is_csv: bool = False
    columns: tuple[str, ...] = ()  # of a CSV, those that hold a point, or the one that holds WKT
    in_degrees: bool | None = None  # None where their names do not tell


def list_layers(path: str) -> list[tuple[str, str | None]]:
    """Return the layers' names and types of geometry, None for a table without geometry.

    Raises what ``vector.UNREADABLE`` names.
    """
    if geoparquet.is_parquet(path):
        return [(Path(path).stem, "Unknown")]
    with _source(path) as source:
        if source.is_csv:  # which has one layer
            layer = str(pyogrio.list_layers(source.path)[0][0])
            geometry = _info(source.path, **source.options)["geometry_type"]
            return [(layer, None if geometry is None else str(geometry))]
        layers = [(str(name), kind) for name, kind in pyogrio.list_layers(source.path)]
    if path.lower().endswith(".gpx"):  # always lists all five kinds of layers
        full = [
            (name, kind)
            for name, kind in layers
            if pyogrio.read_info(path, layer=name, force_feature_count=True)["features"]
        ]
        return full or layers
    return layers


def attributes(path: str, layer: str) -> Attributes:
    """Return the attributes of a layer; raises what ``vector.UNREADABLE`` names."""
    if geoparquet.is_parquet(path):
        return Attributes(geoparquet.attributes(path))
    with _source(path) as source:
        info = _info(source.path, layer=layer, **_encoding_of(path), **source.options)
    return Attributes(tuple(map(str, info["fields"])), info["driver"] == "ESRI Shapefile")


def read(
    path: str, *, columns: list[str] | None = None, crs: CRS | None = None, **options: Any
) -> gpd.GeoDataFrame:
    """Read a layer, with all attributes or some, as ``pyogrio.read_dataframe`` does.

    ``crs`` is that of a file that names none, or a local one, as of a drawing. Without it, the
    coordinates of a CSV, of TopoJSON and of an unknown CRS in degrees are taken for degrees where
    all of them can be. Moments keep the offset that the file has for each. Raises what
    ``vector.UNREADABLE`` names.
    """
    if geoparquet.is_parquet(path):
        table = geoparquet.read(path, columns, options.get("on_invalid", "raise"))
    else:
        # else all of a column are in UTC where they differ, as in summer and winter
        options = {"mixed_offsets_as_utc": False} | _encoding_of(path) | options
        with _source(path) as source:
            if source.path.lower().endswith(_GEOPACKAGE):
                options = {"where": _EVERY} | options
            table = pyogrio.read_dataframe(
                source.path, columns=columns, **options, **source.options
            )
            if names := whole_numbers.doubtful(table):
                told = {
                    key: options[key] for key in ("layer", "encoding", "where") if key in options
                }
                _, found = pyogrio.read_arrow(
                    source.path, columns=names, read_geometry=False, **told, **source.options
                )
                whole_numbers.with_exact(table, found)
            if source.is_csv and isinstance(table, gpd.GeoDataFrame):
                check_quotes(source.path, source.columns)
                check_coordinates(source.path, source.columns)
                table = _placed(table, source, crs, options)
                _check_zones(table, source, crs, options)
            elif _lacks_crs(table) and crs is None and _info(source.path)["driver"] == _TOPOLOGY:
                # its specification has no CRS, and maps are drawn by it in pixels too
                table = _in_degrees(table)
            elif _is_taken_for_degrees(table) and _info(source.path)["driver"] in _JSON:
                # a file that says no CRS is in degrees, says the specification; this one is not
                table = table.set_crs(None, allow_override=True)
            elif isinstance(table, gpd.GeoDataFrame) and table.crs is not None:
                table = _with_known_crs(table, crs)
    return table.set_crs(crs) if crs is not None and _lacks_crs(table) else table


def _is_taken_for_degrees(table: gpd.GeoDataFrame) -> bool:
    """Return whether a table is in EPSG:4326, and none of its coordinates can be degrees."""
    if not isinstance(table, gpd.GeoDataFrame) or table.crs is None or table.crs != "EPSG:4326":
        return False
    least = np.nanmin(np.abs(table.bounds.to_numpy()), axis=0, initial=np.inf)
    return bool((np.isfinite(least) & (least > 360)).any())


def _with_known_crs(table: gpd.GeoDataFrame, crs: CRS | None) -> gpd.GeoDataFrame:
    """Return a table without a CRS that says of itself that it is unknown, as GeoPackage has two.

    The one in degrees gives EPSG:4326 where all coordinates can be that, and no ``crs`` is named;
    GDAL before 3.9 writes it for layers without any. A ``crs`` stands for any that is local.
    """
    name = table.crs.name.casefold()
    is_unknown = name.startswith(_UNKNOWN)
    if is_unknown or (crs is not None and table.crs.is_engineering):
        is_in_degrees = table.crs.is_geographic
        table = table.set_crs(None, allow_override=True)
        return _in_degrees(table) if is_in_degrees and crs is None else table
    return table


def _lacks_crs(table: gpd.GeoDataFrame) -> bool:
    return isinstance(table, gpd.GeoDataFrame) and table.crs is None


def _in_degrees(table: gpd.GeoDataFrame, around: int = 180) -> gpd.GeoDataFrame:
    """Return a table in EPSG:4326 if all coordinates can be degrees, or there are none.

    Longitudes are at most ``around``, to either side.
    """
    west, south, east, north = table.total_bounds
    is_nowhere = math.isnan(west)
    if is_nowhere or (-around <= west and east <= around and south >= -90 and north <= 90):
        return table.set_crs("EPSG:4326")
    return table


def _encoding_of(path: str) -> dict[str, str]:
    """Return the encoding of a Shapefile that has lost the .cpg file which says it, if it is UTF-8.

    GDAL takes the text of such a file for Latin-1, which it was when the format was made.
    """
    file = Path(path)
    if not (file.suffix.lower() == ".shp" and file.is_file()):
        return {}
    beside = {one.suffix.lower(): one for one in file.parent.glob(f"{glob.escape(file.stem)}.*")}
    table = beside.get(".dbf")
    return {"encoding": "UTF-8"} if table and ".cpg" not in beside and _is_utf8(table) else {}


def _is_utf8(table: Path) -> bool:
    """Return whether the text of a DBF has letters beyond ASCII, all of them in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    only_ascii = True
    with table.open("rb") as file:
        header = file.read(_DBF_START)
        file.seek(int.from_bytes(header[8:10], "little"))  # where its records begin
        try:
            for part in iter(lambda: file.read(_CHUNK), b""):
                only_ascii = only_ascii and part.isascii()
                decoder.decode(part)
        except UnicodeDecodeError:
            return False
    return not only_ascii


@contextmanager
def _source(path: str) -> Iterator[_Source]:
    """Give what to tell GDAL while a file is read; raises OSError or ValueError.

    What GDAL warns of meanwhile, an error says again, or it is harmless.
    """
    name, file = path.lower(), Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if not file.is_file():
            yield _Source(path)
        elif name.endswith(TABLES):
            with _for_gdal(file) as text:
                yield _csv(text)
        elif name.endswith(".gz"):
            yield _Source(f"/vsigzip/{file.absolute()}")
        elif name.endswith((".kml", ".kmz", ".zip")):
            with with_places_alone(file) as copy:
                where = {".kmz": in_kmz, ".zip": in_archive}.get(file.suffix.lower(), str)
                yield _Source(where(str(copy)))
        else:
            yield _Source(path)


@contextmanager
def _for_gdal(file: Path) -> Iterator[str]:
    """Give the path of a table as text, or of a copy that GDAL reads.

    That is of one whose mark says UTF-16, or whose first line says the delimiter, ``sep=;``.
    """
    encoding = encoding_of(file)
    with file.open(encoding=encoding, errors="replace") as opened:
        says_delimiter = _SEPARATOR.fullmatch(opened.readline(_LONGEST_SEPARATOR)) is not None
    if is_utf8(encoding) and not says_delimiter:
        yield str(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name  # GDAL calls the layer as the file is called
        text = file.read_bytes().decode(encoding, errors="surrogateescape")
        start = text.index("\n") + 1 if says_delimiter else 0
        copy.write_bytes(text[start:].encode("utf-8", errors="surrogateescape"))
        for suffix in (".prj", ".csvt"):
            if file.with_suffix(suffix).is_file():
                shutil.copy(file.with_suffix(suffix), copy.with_suffix(suffix))
        yield str(copy)


def _csv(path: str) -> _Source:
    """Return how to read a CSV; types follow from all of its rows, not from the first ones."""
    by_name = {str(name).strip().lower(): str(name) for name in _info(path)["fields"]}
    options = {"AUTODETECT_TYPE": "YES", "AUTODETECT_SIZE_LIMIT": "0"}
    pairs = [(x, y) for x, y in _COORDINATES if x in by_name and y in by_name]
    called = [by_name[name] for name in _WKT if name in by_name]
    for name in called:
        in_wkt = options | {"GEOM_POSSIBLE_NAMES": name}
        if (name == called[-1] and not pairs) or _has_geometry(path, in_wkt):
            return _Source(path, in_wkt, True, (name,))
    for x, y in pairs[:1]:
        names = {"X_POSSIBLE_NAMES": by_name[x], "Y_POSSIBLE_NAMES": by_name[y]}
        in_degrees = True if (x, y) in _DEGREES else None if (x, y) in _UNTOLD else False
        return _Source(path, options | names, True, (by_name[x], by_name[y]), in_degrees)
    return _Source(path, options, is_csv=True)


def _has_geometry(path: str, options: dict[str, str]) -> bool:
    """Return whether any row of a CSV has one; a column of that name may hold other words."""
    try:
        table = pyogrio.read_dataframe(path, columns=[], encoding=_LATIN, **options)
    except shapely.errors.ShapelyError:  # one that is broken
        return True
    shapes = table.geometry.to_numpy()
    # Earth Engine writes an empty one where there is none
    return bool((~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)).any())


def _info(path: str, **options: Any) -> dict[str, Any]:
    """Return what pyogrio says of a layer; names that are not UTF-8 are taken for Latin-1."""
    try:
        return dict(pyogrio.read_info(path, **options))
    except UnicodeDecodeError:  # what spreadsheets save as CSV on many a computer
        return dict(pyogrio.read_info(path, encoding=_LATIN, **options))


def _check_zones(
    table: gpd.GeoDataFrame, source: _Source, crs: CRS | None, options: Mapping[str, Any]
) -> None:
    """Raise ValueError where a column says that rows are in several CRSs, or in another one."""
    in_crs = table.crs if table.crs is not None else crs
    if len(source.columns) < 2 or source.in_degrees or in_crs is None:
        return
    encoding = options.get("encoding")
    fields = _info(source.path, **source.options)["fields"]
    if names := columns_of_crs(map(str, fields)):
        points = pyogrio.read_dataframe(
            source.path, columns=names, encoding=encoding, **source.options
        )
        check_one_crs(points, in_crs)


def _placed(
    table: gpd.GeoDataFrame, source: _Source, crs: CRS | None, options: Mapping[str, Any]
) -> gpd.GeoDataFrame:
    """Return what a CSV holds, with EPSG:4326 where it is in degrees and no other CRS is known.

    Raises ValueError where columns do not hold the numbers, or the WKT, that their names promise.
    """
    # geometries that are WKT and broken may be left out
    if source.columns and options.get("on_invalid") != "ignore" and table.geometry.isna().any():
        names = list(source.columns)
        text = pyogrio.read_dataframe(
            source.path, columns=names, read_geometry=False, encoding=options.get("encoding")
        )
        text = text.fillna("")[names].astype("string")
        there = ~text.apply(lambda column: column.str.lower().isin(_NONE)).any(axis=1)
        unread = table.geometry.isna() & there
        if unread.any():
            row = text[unread].iloc[0]
            said = " and ".join(f"{name} {row[name]!r}" for name in names)
            what = "decimal degrees" if source.in_degrees else "numbers"
            raise ValueError(f"{said} is not WKT" if len(names) == 1 else f"{said} are not {what}")
    if table.crs is not None or crs is not None or source.in_degrees is False:
        return table
    table = _in_degrees(table, 360 if source.in_degrees else 180)
    if source.in_degrees and table.crs is None and not table.geometry.isna().all():
        raise ValueError(f"its columns {' and '.join(source.columns or ())} are not in degrees")
    return table


def is_folder_of_one(path: str) -> bool:
    """Return whether a folder is one data set: a file geodatabase, or nothing but GeoParquet."""
    folder = Path(path)
    return folder.is_dir() and (folder.suffix.lower() == ".gdb" or geoparquet.is_parquet(path))
