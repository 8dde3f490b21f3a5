"""Vector files of every format: which layers and attributes they have, and their features.

GDAL reads most of them. GeoParquet is read by geopandas, since pyogrio's GDAL cannot. GDAL has to
be told which columns of a CSV hold coordinates, and where in an archive the data set is.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely
from pyproj import CRS

from owl_geo.disk.text_files import encoding_of, is_utf8

_PARQUET = (".parquet", ".geoparquet", ".pq")
_CSV = (".csv", ".tsv")
_OSM = (".osm", ".pbf")
_LATIN = "ISO-8859-1"
_IN_ARCHIVES = (
    *_OSM,
    ".shp",
    ".gpkg",
    ".geojson",
    ".json",
    ".geojsonl",
    ".fgb",
    ".kml",
    ".gml",
    ".tab",
)

_DEGREES = (
    ("longitude", "latitude"),
    ("lon", "lat"),
    ("long", "lat"),
    ("lng", "lat"),
    ("decimallongitude", "decimallatitude"),
)
_UNTOLD = (("x", "y"),)  # degrees, or any other unit
_COORDINATES = (*_DEGREES, *_UNTOLD, ("easting", "northing"))
_WKT = ("wkt", "geom", "geometry", "the_geom", "wkt_geom", "geom_wkt", "wkt_geometry")
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
    if _is_parquet(path):
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
    if _is_parquet(path):
        return Attributes(tuple(_names(_schema(path))))
    with _source(path) as source:
        info = _info(source.path, layer=layer, **source.options)
    return Attributes(tuple(map(str, info["fields"])), info["driver"] == "ESRI Shapefile")


def read(
    path: str, *, columns: list[str] | None = None, crs: CRS | None = None, **options: Any
) -> gpd.GeoDataFrame:
    """Read a layer, with all attributes or some, as ``pyogrio.read_dataframe`` does.

    ``crs`` is that of a file that names none. Without it, the coordinates of a CSV are taken for
    degrees where all of them can be. Raises what ``vector.UNREADABLE`` names.
    """
    if _is_parquet(path):
        table = _read_parquet(path, columns)
    else:
        with _source(path) as source:
            table = pyogrio.read_dataframe(
                source.path, columns=columns, **options, **source.options
            )
            if source.is_csv and isinstance(table, gpd.GeoDataFrame):
                table = _placed(table, source, crs, options)
    if crs is None or not isinstance(table, gpd.GeoDataFrame) or table.crs is not None:
        return table
    return table.set_crs(crs)


@contextmanager
def _source(path: str) -> Iterator[_Source]:
    """Give what to tell GDAL while a file is read; raises OSError or ValueError."""
    name, file = path.lower(), Path(path)
    if not file.is_file():
        yield _Source(path)
    elif name.endswith(_CSV):
        with _in_utf8(file) as copy:
            yield _csv(copy)
    elif name.endswith(".gz"):
        yield _Source(f"/vsigzip/{file.absolute()}")
    elif name.endswith(".kmz"):
        yield _Source(_in_kmz(path))
    elif name.endswith(".zip"):
        yield _Source(_in_archive(path))
    else:
        yield _Source(path)


@contextmanager
def _in_utf8(file: Path) -> Iterator[str]:
    """Give the path of a text file, or of a copy of one whose mark says UTF-16, for GDAL."""
    encoding = encoding_of(file)
    if is_utf8(encoding):
        yield str(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name  # GDAL calls the layer as the file is called
        copy.write_text(file.read_text(encoding), encoding="utf-8")
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
    return bool(table.geometry.notna().any())


def _info(path: str, **options: Any) -> dict[str, Any]:
    """Return what pyogrio says of a layer; names that are not UTF-8 are taken for Latin-1."""
    try:
        return dict(pyogrio.read_info(path, **options))
    except UnicodeDecodeError:  # what spreadsheets save as CSV on many a computer
        return dict(pyogrio.read_info(path, encoding=_LATIN, **options))


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
            what = "degrees" if source.in_degrees else "numbers"
            raise ValueError(f"{said} is not WKT" if len(names) == 1 else f"{said} are not {what}")
    if table.crs is not None or crs is not None or source.in_degrees is False:
        return table
    west, south, east, north = table.total_bounds
    around = 360 if source.in_degrees else 180
    if -around <= west and east <= around and south >= -90 and north <= 90:
        return table.set_crs("EPSG:4326")
    if source.in_degrees and not table.geometry.isna().all():
        raise ValueError(f"its columns {' and '.join(source.columns or ())} are not in degrees")
    return table


def _in_kmz(path: str) -> str:
    """Return the only KML of a KMZ, whose attributes GDAL reads only where it opens the KML.

    Several are linked, and GDAL follows the links. Raises ValueError where the file is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.lower().endswith(".kml")]
    except zipfile.BadZipFile as error:
        raise ValueError("it is not a KMZ archive, or is damaged") from error
    return f"/vsizip/{Path(path).absolute()}/{inside[0]}" if len(inside) == 1 else path


def _in_archive(path: str) -> str:
    """Return the data set in a zip archive; GDAL itself finds it only at the top.

    Raises ValueError where there are several.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = [PurePosixPath(name) for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError("it is not a zip archive, or is damaged") from error
    files = [file for file in files if file.parts[:1] != ("__MACOSX",) and file.name[:2] != "._"]
    inside = {file for file in files if file.suffix.lower() in _IN_ARCHIVES}
    databases = {p for file in files for p in (file, *file.parents) if p.suffix.lower() == ".gdb"}
    inside = {file for file in inside if databases.isdisjoint(file.parents)} | databases
    folders = {file.parent for file in inside}
    if len(folders) > 1:
        names = ", ".join(sorted(map(str, inside)))
        raise ValueError(f"the archive holds several data sets: {names}. Unpack it and name one")
    if any(file.suffix.lower() in _OSM for file in inside):
        raise ValueError("the archive holds an OSM file. Unpack it and name that")
    if not inside or (folders == {PurePosixPath(".")} and not databases):
        return path
    (folder,) = folders
    within = inside.pop() if len(inside) == 1 else folder
    return f"/vsizip/{Path(path).absolute()}/{within}"


def is_folder_of_one(path: str) -> bool:
    """Return whether a folder is one data set: a file geodatabase, or nothing but GeoParquet."""
    folder = Path(path)
    return folder.is_dir() and (folder.suffix.lower() == ".gdb" or _is_parquet(path))


def _is_parquet(path: str) -> bool:
    if path.lower().endswith(_PARQUET):
        return True
    if not Path(path).is_dir():
        return False
    # pyarrow passes over names that begin with . or _, and takes all others for parts of a table
    parts = (file for file in Path(path).rglob("[!._]*") if file.is_file())
    is_part = (part.suffix.lower() in _PARQUET for part in parts)
    return next(is_part, False) and all(is_part)


def _schema(path: str) -> pa.Schema:
    """Return the schema of a GeoParquet file or folder; raises ValueError where it is none."""
    from pyarrow import dataset  # takes long to import, for what few layers are

    try:
        parts = dataset.dataset(path, format="parquet")
        schemas = {str(one.path): one.physical_schema for one in parts.get_fragments()}
    except pa.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    _check_alike(schemas)
    return parts.schema


def _check_alike(schemas: dict[str, pa.Schema]) -> None:
    """Raise ValueError where a part of a table says no place, or other ones than the first.

    Readers take the words of the first part for all of them, wherever the others lie.
    """
    (first, (name, crs)), *others = ((path, _said_of(path, s)) for path, s in schemas.items())
    for path, (other, another) in others:
        if other != name:
            raise ValueError(
                f"its geometries are in {name!r} in {Path(first).name} and in {other!r} in "
                f"{Path(path).name}; name them alike in all parts"
            )
        if crs is None or another is None:
            same = crs == another
        else:
            same = crs.equals(another, ignore_axis_order=True)
        if not same:
            raise ValueError(
                f"its parts are in several CRSs, {_called(crs)} in {Path(first).name} and "
                f"{_called(another)} in {Path(path).name}; bring them into one"
            )


def _said_of(path: str, schema: pa.Schema) -> tuple[str, CRS | None]:
    """Return the column of geometries that GeoParquet's metadata name, and its CRS if any."""
    text = (schema.metadata or {}).get(b"geo")
    if text is None:
        raise ValueError(
            f"{Path(path).name} is a Parquet file without GeoParquet's metadata, which say where "
            "its geometries are"
        )
    try:
        about = json.loads(text)
        name = about["primary_column"]
        crs = about["columns"][name].get("crs", "OGC:CRS84")  # as the format has it
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the metadata of {Path(path).name} are not GeoParquet's") from error
    return str(name), None if crs is None else CRS.from_user_input(crs)


def _called(crs: CRS | None) -> str:
    return "none" if crs is None else str(crs.name)


def _names(schema: pa.Schema) -> list[str]:
    geometries = json.loads(schema.metadata[b"geo"])["columns"]
    return _leaves(entry for entry in schema if entry.name not in geometries)


def _leaves(fields: Iterable[pa.Field], before: str = "") -> list[str]:
    """Return the names of attributes, ``names.primary`` for a part of a nested one."""
    names = []
    for entry in fields:
        name = before + entry.name
        if pa.types.is_struct(entry.type):
            names += _leaves(entry.type, f"{name}.")
        elif not pa.types.is_binary(entry.type):
            names.append(name)
    return names


def _read_parquet(path: str, columns: list[str] | None) -> gpd.GeoDataFrame:
    schema = _schema(path)
    names = _names(schema) if columns is None else columns
    column_of = {name: name if name in schema.names else name.split(".")[0] for name in names}
    geometry = json.loads(schema.metadata[b"geo"])["primary_column"]
    try:
        table = gpd.read_parquet(path, columns=[*dict.fromkeys(column_of.values()), geometry])
    except pa.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    parts = {name: _part(table[column], name, column) for name, column in column_of.items()}
    flat = shapely.force_2d(table.geometry.to_numpy())
    return gpd.GeoDataFrame(parts, geometry=flat, crs=table.crs)


def _part(column: pd.Series, name: str, column_name: str) -> pd.Series:
    """Return a part of a nested attribute, or the attribute itself where it is not nested."""
    for key in name.removeprefix(column_name).split(".")[1:]:
        column = column.map(lambda value, key=key: value.get(key) if value is not None else None)
    return column
