"""Parquet files as a table of vectors: which columns count, and their rows a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.disk.presence import check_exists, is_dir
from owl_geo.errors import SourceError, suggestion
from owl_geo.ground import geoparquet
from owl_geo.ground.parquet_parts import versioned_as
from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources.band_wording import in_short
from owl_geo.sources.stated_crs import stated_crs
from owl_geo.sources.vectors.paths import parts_of
from owl_geo.types import AnyArray, BoolArray, FloatArray, IntArray

_SHORTEST = 8  # numbers in a vector; lists of fewer are boxes and the like
_LONGEST = 300  # characters of the columns of one type in a message
_BATCH = 16_384  # rows that are decoded at once
_POINT_BYTES = 21  # of WKB: byte order, type, x and y


@dataclass(frozen=True)
class Group:
    """A row group of one of the files: what is read and decoded by itself."""

    file: int
    number: int
    start: int  # row of the table
    n_rows: int


@dataclass(frozen=True)
class VectorTable:
    """One or several Parquet files with a column of vectors and one of geometries.

    Raises SourceError where there is none of either, or several vectors and none is named.
    """

    paths: tuple[Path, ...]
    vector: str  # name of the column of vectors
    dimensions: int
    geometry: str
    stated_crs: str | None  # goes before what the files say

    @classmethod
    def of(cls, settings: VectorsSettings) -> VectorTable:
        """Look at the headers of a table's files, and at its first vectors."""
        paths = _files(Path(settings.path))
        vector, dimensions = _vector_column(paths, settings.vector_column)
        geometry, _ = _geometry_column(paths[0], settings.crs)
        return cls(paths, vector, dimensions, geometry, settings.crs)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """All row groups, in the order of the rows; SourceError where a column is missing."""
        groups = []
        start = 0
        for number, path in enumerate(self.paths):
            file = _opened(path)
            self._check(file.schema_arrow, path)
            for group in range(file.num_row_groups):
                n = file.metadata.row_group(group).num_rows
                groups.append(Group(number, group, start, n))
                start += n
        return tuple(groups)

    def _check(self, schema: pa.Schema, path: Path) -> None:
        """Raise SourceError where a part has not the columns of the first."""
        remedy = "take the parts of one table only"
        for name in (self.vector, self.geometry):
            if name not in schema.names:
                raise SourceError(
                    f"{path} has no column {name!r}, which {self.paths[0].name} has", remedy=remedy
                )
        kind = schema.field(self.vector).type
        if not (_is_list(kind) or pa.types.is_null(kind)):
            raise SourceError(
                f"{path}: the column {self.vector!r} holds no lists of numbers, as it does in "
                "other parts",
                remedy=remedy,
            )

    @property
    def n_rows(self) -> int:
        """How many rows all files have."""
        return sum(group.n_rows for group in self.groups)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, also of those that only some parts have."""
        return tuple(dict.fromkeys(n for p in self.paths for n in _opened(p).schema_arrow.names))

    def column(self, group: Group, name: str) -> pa.ChunkedArray | None:
        """Return a column of a row group, None where its part has no such; raises SourceError."""
        if name not in _opened(self.paths[group.file]).schema_arrow.names:
            return None
        return pa.chunked_array([piece for _, piece in self._batches(group, name)])

    def geometries(self) -> AnyArray:
        """Return the geometries, as points ``(n, 2)`` if all are, else shapely objects ``(n,)``.

        They are in the CRSs of ``crs_of_rows``. A geometry that is missing is a point of
        not-a-number, or None. Raises SourceError.
        """
        parts = [
            _decoded(column, self.paths[group.file])
            for group in self.groups
            for _, column in self._batches(group, self.geometry)
        ]
        if all(part.ndim == 2 for part in parts):
            return np.concatenate(parts) if parts else np.empty((0, 2))
        return np.concatenate([_as_objects(part) for part in parts])

    def crs_of_rows(self) -> list[tuple[CRS, int]]:
        """Return the CRS of the geometries, and up to which row of the table it holds.

        Parts may have CRSs of their own, as those of one UTM zone each have. Raises SourceError.
        """
        of_files = [_geometry_column(path, self.stated_crs)[1] for path in self.paths]
        held: list[tuple[CRS, int]] = []
        for group in self.groups:
            crs, end = of_files[group.file], group.start + group.n_rows
            if held and held[-1][0] == crs:
                held[-1] = (crs, end)
            else:
                held.append((crs, end))
        return held

    def vectors(self, group: Group) -> Iterator[tuple[int, FloatArray, BoolArray]]:
        """Yield pieces of a row group: the first row, vectors ``(n, d)``, and which there are.

        A vector that is missing, or has a number that is not finite, is not there. Raises
        SourceError where one has another length.
        """
        for start, column in self._batches(group, self.vector):
            values = self._matrix(column, start, self.paths[group.file])
            there = np.asarray(column.is_valid(), dtype=bool) & np.isfinite(values).all(axis=1)
            yield start, values, there

    def _batches(self, group: Group, column: str) -> Iterator[tuple[int, pa.Array]]:
        path = self.paths[group.file]
        start = group.start
        try:
            batches = _opened(path).iter_batches(
                batch_size=_BATCH, row_groups=[group.number], columns=[column]
            )
            for batch in batches:
                yield start, batch.column(0)
                start += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"cannot read {path}, rows {start:,} on (is the file whole?): {error}"
            ) from error

    def _matrix(self, column: pa.Array, start: int, path: Path) -> FloatArray:
        """Return a column of lists as rows; those that are missing or empty are not-a-number."""
        values = np.full((len(column), self.dimensions), np.nan, dtype=np.float32)
        if pa.types.is_null(column.type):
            return values
        lengths = np.asarray(pa.compute.list_value_length(column).fill_null(0))
        there = lengths > 0
        wrong = np.flatnonzero(there & (lengths != self.dimensions))
        if len(wrong):
            raise SourceError(
                f"{path}: the vectors in {self.vector!r} are of unequal length: row "
                f"{start + int(wrong[0]):,} has {lengths[wrong[0]]} numbers, others have "
                f"{self.dimensions}",
                remedy="take a table of one model's vectors",
            )
        flat = column.drop_null().flatten()
        with np.errstate(over="ignore"):
            numbers = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        values[there] = numbers.reshape(-1, self.dimensions)
        return values


def _files(path: Path) -> tuple[Path, ...]:
    """Return the parts that have rows; one without may say nothing about its columns."""
    check_exists(path, SourceError)
    versioned = versioned_as(path) if is_dir(path) else None
    if versioned is not None:
        raise SourceError(
            f"{path} is a table of {versioned}, which keeps earlier versions in its folder",
            remedy="write the one that counts to a Parquet file, and name that",
        )
    paths = parts_of(path) if is_dir(path) else [path]
    if not paths:
        raise SourceError(f"{path} has no Parquet files", remedy="name a folder that has some")
    return tuple(path for path in paths if _opened(path).metadata.num_rows) or (paths[0],)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"cannot open {path} as Parquet: {str(error).rstrip('.')}",
            remedy="name a table in GeoParquet",
        ) from error


def _vector_column(paths: Sequence[Path], wanted: str | None) -> tuple[str, int]:
    """Return the name of the column of vectors, and the length of its first."""
    path = paths[0]
    schema = _opened(path).schema_arrow
    names = [field.name for field in schema if _is_list(field.type)]
    if wanted is not None and wanted not in names:
        every = schema.names
        why = "holds no lists of numbers" if wanted in every else "is not there"
        raise SourceError(
            f"{path}: the column {wanted!r} {why}", remedy=suggestion(wanted, names or every)
        )
    lengths = {name: _first_length(paths, name) for name in ([wanted] if wanted else names)}
    found = {name: n for name, n in lengths.items() if wanted or n >= _SHORTEST}
    if len(found) > 1:
        listed = ", ".join(f"{name} ({n})" for name, n in found.items())
        raise SourceError(
            f"{path} has several columns of vectors: {listed}",
            remedy="name one with --vector-column",
        )
    if not found or not min(found.values()):
        if not _opened(path).metadata.num_rows:
            raise SourceError(f"{path} has no rows", remedy="name a table that has some")
        raise SourceError(
            f"{path} has no column of vectors, which are lists of {_SHORTEST} numbers or more; it "
            f"has {_columns(schema)}",
            remedy="put the numbers of a row into one list",
        )
    return next(iter(found.items()))


def _columns(schema: pa.Schema) -> str:
    """Return the columns for people to read, those of one type together."""
    by_type: dict[str, list[str]] = {}
    for field in schema:
        by_type.setdefault(str(field.type), []).append(field.name)
    listed = [f"{in_short(names)} ({kind})" for kind, names in by_type.items()]
    return ", ".join(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in listed)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))


def _first_length(paths: Sequence[Path], name: str) -> int:
    """Return the length of the first vector that is there, 0 if there is none at all."""
    for path in paths:
        file = _opened(path)
        if name not in file.schema_arrow.names or not _is_list(file.schema_arrow.field(name).type):
            continue  # which is told where the parts are compared
        for batch in file.iter_batches(batch_size=1024, columns=[name]):
            lengths = np.asarray(pa.compute.list_value_length(batch.column(0)).fill_null(0))
            if lengths.any():
                return int(lengths[lengths > 0][0])
    return 0


def _geometry_column(path: Path, crs: str | None) -> tuple[str, CRS]:
    """Return the name of a file's column of geometries, and its CRS."""
    file = _opened(path)
    try:
        about = geoparquet.metadata_of(file)
    except ValueError as error:
        raise _no_geoparquet(path, error) from error
    if about is None:
        return _plain_wkb(file.schema_arrow, path, crs)
    try:
        name = str(about["primary_column"])
        entry = about["columns"][name]
        encoding = str(entry["encoding"])
    except (KeyError, TypeError) as error:
        raise _no_geoparquet(path, error) from error
    if encoding.upper() != "WKB":
        raise SourceError(
            f"{path}: its geometries are encoded as {encoding!r}",
            remedy="write them as WKB, for example with geopandas' to_parquet",
        )
    if crs is not None:
        return name, stated_crs(crs)
    own = entry.get("crs", "OGC:CRS84")  # which is what the format says where it says nothing
    if own is None:
        raise SourceError(
            f"{path} does not say in which CRS its geometries are",
            remedy="name it, for example --crs EPSG:4326",
        )
    return name, _crs(own, path)


def _no_geoparquet(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path}: its metadata are not those of GeoParquet ({error})",
        remedy="write it anew, for example with geopandas' to_parquet",
    )


def _plain_wkb(schema: pa.Schema, path: Path, crs: str | None) -> tuple[str, CRS]:
    """Return column and CRS of geometries in a file that is no GeoParquet."""
    binary = [f.name for f in schema if pa.types.is_binary(f.type) or _is_large(f.type)]
    if not binary:
        raise SourceError(
            f"{path} has no geometry",
            remedy="write it as GeoParquet, for example with geopandas' to_parquet",
        )
    name = geoparquet.primary(binary)
    if crs is None:
        raise SourceError(
            f"{path} has geometries in {name!r}, and does not say in which CRS",
            remedy="name it, for example --crs EPSG:4326",
        )
    return name, stated_crs(crs)


def _is_large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_binary(kind))


def _crs(text: object, path: Path) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise SourceError(
            f"{path}: PROJ does not know its CRS: {error}",
            remedy="name it, for example --crs EPSG:4326",
        ) from error


def _decoded(column: pa.Array, path: Path) -> AnyArray:
    """Return WKB as points ``(n, 2)`` if all are plain points, else as shapely objects ``(n,)``."""
    points = _points(column)
    if points is not None:
        return points
    try:
        geometries = shapely.from_wkb(column.to_numpy(zero_copy_only=False))
    except (shapely.errors.GEOSException, TypeError) as error:
        raise SourceError(f"{path}: a geometry is not WKB: {error}") from error
    kinds = set(np.unique(shapely.get_type_id(geometries)).tolist())
    if kinds <= {-1, 0}:  # missing, and points
        geometries[shapely.is_empty(geometries)] = None  # which GEOS asks for no coordinates
        return np.stack([shapely.get_x(geometries), shapely.get_y(geometries)], axis=1)
    if not kinds <= {-1, 0, 3, 6}:
        raise SourceError(
            f"{path}: its geometries are not all points or polygons",
            remedy="take their centres first",
        )
    return np.asarray(geometries, dtype=object)


def _points(column: pa.Array) -> NDArray[np.float64] | None:
    """Return plain little-endian points, read without making an object of each; else None."""
    if column.null_count or len(column) == 0 or not pa.types.is_binary(column.type):
        return None
    lengths = np.asarray(pa.compute.binary_length(column))
    if (lengths != _POINT_BYTES).any():
        return None
    first = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset]
    data = np.frombuffer(column.buffers()[2], dtype=np.uint8)[first:]
    rows = data[: _POINT_BYTES * len(column)].reshape(-1, _POINT_BYTES)
    if (rows[:, :5] != np.array([1, 1, 0, 0, 0], dtype=np.uint8)).any():
        return None
    return np.ascontiguousarray(rows[:, 5:]).view("<f8").astype(np.float64)


def _as_objects(part: AnyArray) -> AnyArray:
    if part.ndim == 1:
        return part
    return np.asarray(np.where(np.isfinite(part).all(axis=1), shapely.points(part), None))


def by_group(groups: Sequence[Group], rows: IntArray) -> IntArray:
    """Return the position in ``groups`` of the row group that each row of the table lies in."""
    starts = np.array([group.start for group in groups], dtype=np.int64)
    return np.searchsorted(starts, rows, side="right").astype(np.int64) - 1
