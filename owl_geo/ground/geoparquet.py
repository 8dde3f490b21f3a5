"""GeoParquet, and Parquet's own types of geometries: what files say of theirs, and their rows.

GeoParquet keeps what is known of geometries in the metadata of the file. Since version 2.11 of the
format (2025), Parquet has types for them too, GEOMETRY and GEOGRAPHY, which need no such metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from owl_geo.disk.listing import files_below
from owl_geo.disk.suffixes import PARQUET
from owl_geo.ground import whole_numbers
from owl_geo.ground.parquet_parts import Parts, versioned_as

USUAL = ("geometry", "geom", "wkb_geometry", "wkb")  # names of columns of geometries
_UNSAID = "OGC:CRS84"  # the CRS where nothing is said of it, in both formats


def is_parquet(path: str) -> bool:
    """Return whether a file, or everything in a folder, is Parquet by its name."""
    if path.lower().endswith(PARQUET):
        return True
    if not Path(path).is_dir():
        return False
    if versioned_as(Path(path)) is not None:  # which is refused when it is read
        return True
    # pyarrow passes over names that begin with . or _, and takes all others for parts of a table
    parts = (file for file in files_below(Path(path)) if not file.name.startswith((".", "_")))
    is_part = (part.suffix.lower() in PARQUET for part in parts)
    return next(is_part, False) and all(is_part)


def metadata_of(file: pq.ParquetFile) -> dict[str, Any] | None:
    """Return GeoParquet's metadata of a file, or the same from Parquet's own types.

    None for a file that says nothing of geometries. Raises ValueError where it cannot be read.
    """
    kept = file.metadata.metadata or {}
    if b"geo" in kept:
        about: dict[str, Any] = json.loads(kept[b"geo"])
        return about
    leaves = (file.schema.column(i) for i in range(len(file.schema.names)))
    types = {leaf.path: json.loads(leaf.logical_type.to_json()) for leaf in leaves}
    columns = {
        name: {"encoding": "WKB", "crs": _crs_of_type(kind.get("crs"), kept)}
        for name, kind in types.items()
        if kind.get("Type") in ("Geometry", "Geography")
    }
    if not columns:
        return None
    return {"primary_column": primary(columns), "columns": columns}


def primary(columns: Iterable[str]) -> str:
    """Return which of some columns of geometries counts: one with a usual name, or the first."""
    names = list(columns)
    return next((name for name in USUAL if name in names), names[0])


def _crs_of_type(crs: str | None, kept: Mapping[bytes, bytes]) -> Any:
    """Return the CRS as a type has it: PROJJSON, or the key of it in the file, or a code."""
    if not crs:
        return _UNSAID
    scheme, _, rest = crs.partition(":")
    if scheme == "projjson":
        return json.loads(kept.get(rest.encode(), b"null"))
    if scheme == "srid":
        return f"EPSG:{rest}" if rest != "0" else None
    return json.loads(crs) if crs.startswith("{") else crs


def attributes(path: str) -> tuple[str, ...]:
    """Return the names of attributes, ``names.primary`` for a part of a nested one.

    Those of a folder are those of all its parts, and what names such as ``class=mine`` say.
    """
    table, about = _looked_at(path)
    return tuple(_names(table.schema, about))


def read(
    path: str, columns: list[str] | None, on_invalid: Literal["raise", "ignore"] = "raise"
) -> gpd.GeoDataFrame:
    """Read a file or folder, with all attributes or some. Raises ValueError where it is none.

    Geometries that are broken raise ShapelyError, or become missing where that is ignored.
    """
    whole, about = _looked_at(path)
    schema = whole.schema
    names = _names(schema, about) if columns is None else columns
    column_of = {name: name if name in schema.names else name.split(".")[0] for name in names}
    geometry = about["primary_column"]
    wanted = [*dict.fromkeys(column_of.values()), geometry]
    whole.check_alike(wanted)
    try:
        if about["columns"][geometry].get("encoding") == "WKB":
            table = _from_wkb(path, wanted, about, on_invalid, **whole.options)
        else:  # an attribute may be the index
            table = gpd.read_parquet(path, columns=wanted, **whole.options).reset_index()
    except pa.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    if larger := [name for name in whole_numbers.doubtful(table) if name in schema.names]:
        found = pq.read_table(path, columns=larger, **whole.options)
        whole_numbers.with_exact(table, found)
    parts = {name: _part(table[column], name, column) for name, column in column_of.items()}
    nested = {name: parts[name] for name, column in column_of.items() if name != column}
    for name in whole_numbers.doubtful(pd.DataFrame(nested)):  # as they are within their structs
        found = pq.read_table(path, columns=[column_of[name]], **whole.options)
        keys = name.removeprefix(column_of[name]).split(".")[1:]
        inner = pc.struct_field(found[column_of[name]], keys)
        if pa.types.is_integer(inner.type):
            parts[name] = whole_numbers.as_column(inner.to_pylist(), table.index)
    flat = shapely.force_2d(table.geometry.to_numpy())
    return gpd.GeoDataFrame(parts, geometry=flat, crs=table.crs)


def _from_wkb(
    path: str,
    columns: list[str],
    about: Mapping[str, Any],
    on_invalid: Literal["raise", "ignore"],
    **options: Any,
) -> gpd.GeoDataFrame:
    """Read geometries that are WKB, whether GeoParquet's metadata say so or Parquet's types."""
    geometry = about["primary_column"]
    table = pq.read_table(path, columns=columns, **options)
    polygons = shapely.from_wkb(table[geometry].to_numpy(), on_invalid=on_invalid)
    frame = table.drop_columns([geometry]).to_pandas(ignore_metadata=True)  # attributes, no index
    return gpd.GeoDataFrame(frame, geometry=polygons, crs=_crs_in(about))


def _looked_at(path: str) -> tuple[Parts, dict[str, Any]]:
    """Return a file, or the parts of a folder, and what the first says of geometries."""
    from pyarrow import dataset  # takes long to import, for what few layers are

    versioned = versioned_as(Path(path))
    if versioned is not None:
        raise ValueError(
            f"it is a table of {versioned}, which keeps earlier versions in its folder: write the "
            "one that counts to a Parquet file"
        )
    try:
        files = {one: pq.ParquetFile(one) for one in dataset.dataset(path, format="parquet").files}
        about = {one: _said_of(file, Path(one).name) for one, file in files.items()}
        parts = Parts(Path(path), {one: _schema_of(file) for one, file in files.items()})
    except pa.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    _check_alike(about)
    return parts, next(iter(about.values()))


def _schema_of(file: pq.ParquetFile) -> pa.Schema:
    """Return the columns of a file with all that it says; a schema of Arrow's in it hides some."""
    return file.schema_arrow.with_metadata(file.metadata.metadata)


def _check_alike(about: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError where a part of a table says no place, or other ones than the first.

    Readers take the words of the first part for all of them, wherever the others lie.
    """
    stated = ((path, one["primary_column"], _crs_in(one)) for path, one in about.items())
    (first, name, crs), *others = stated
    for path, other, another in others:
        if other != name:
            raise ValueError(
                f"its geometries are in {name!r} in {Path(first).name} and in {other!r} in "
                f"{Path(path).name}: name them alike in all parts"
            )
        if crs is None or another is None:
            same = crs == another
        else:
            same = crs.equals(another, ignore_axis_order=True)
        if not same:
            raise ValueError(
                f"its parts are in several CRSs, {_called(crs)} in {Path(first).name} and "
                f"{_called(another)} in {Path(path).name}: bring them into one"
            )


def _said_of(file: pq.ParquetFile, name: str) -> dict[str, Any]:
    """Return what a part says of its geometries; raises ValueError where it says nothing."""
    about = metadata_of(file)
    if about is None:
        raise ValueError(
            f"{name} is a Parquet file without GeoParquet's metadata, which say where "
            "its geometries are"
        )
    try:
        _crs_in(about)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the metadata of {name} are not GeoParquet's") from error
    return about


def _crs_in(about: Mapping[str, Any]) -> CRS | None:
    crs = about["columns"][about["primary_column"]].get("crs", _UNSAID)
    return None if crs is None else CRS.from_user_input(crs)


def _called(crs: CRS | None) -> str:
    return "none" if crs is None else str(crs.name)


def _names(schema: pa.Schema, about: Mapping[str, Any]) -> list[str]:
    return _leaves(entry for entry in schema if entry.name not in about["columns"])


def _leaves(fields: Iterable[pa.Field], before: str = "") -> list[str]:
    names = []
    for entry in fields:
        name = before + entry.name
        if pa.types.is_struct(entry.type):
            names += _leaves(entry.type, f"{name}.")
        elif not pa.types.is_binary(entry.type):
            names.append(name)
    return names


def _part(column: pd.Series, name: str, column_name: str) -> pd.Series:
    """Return a part of a nested attribute, or the attribute itself where it is not nested."""
    for key in name.removeprefix(column_name).split(".")[1:]:
        column = column.map(lambda value, key=key: value.get(key) if value is not None else None)
    return column
