"""Parquet's own types of geometries, as programs write them that know no GeoParquet."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class _Geometry(pa.ExtensionType):
    """What Arrow writes as GEOMETRY, or as GEOGRAPHY where ``about`` has edges."""

    def __init__(self, about: str) -> None:
        self._about = about
        super().__init__(pa.binary(), "geoarrow.wkb")

    def __arrow_ext_serialize__(self) -> bytes:
        return self._about.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> _Geometry:
        return cls(serialized.decode())


def write_own_type(
    path: Path,
    table: pa.Table,
    name: str = "geometry",
    *,
    beside: dict[str, str] | None = None,
    **about: object,
) -> Path:
    """Write a table whose column ``name`` holds WKB, without any metadata but Parquet's types.

    ``about`` has ``crs`` (PROJJSON, or a code with ``crs_type`` "authority_code" or "srid") and
    ``edges``; ``beside`` is kept as the file's metadata.
    """
    kind = _Geometry(json.dumps(about))
    column = pa.ExtensionArray.from_storage(kind, table[name].combine_chunks().cast(pa.binary()))
    at = table.schema.get_field_index(name)
    kept = table.replace_schema_metadata(None).set_column(at, name, column)
    with pq.ParquetWriter(path, kept.schema, store_schema=False) as writer:
        writer.write_table(kept)
        writer.add_key_value_metadata(beside or {})
    return path
