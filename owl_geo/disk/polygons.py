"""Tables of polygons, written part by part, in the format that a file's name ends in.

The parts are record batches with well-known binary, so that a million polygons are never in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.disk.atomic import check_end, room_for

GEOMETRY = "geometry"
_POLYGON = np.dtype(  # well-known binary, little-endian: one ring of five points
    [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))]
)
_PARQUET = ".parquet"
# Formats by suffix: GDAL's driver, and what it is told.
_DRIVERS = {
    ".geojson": ("GeoJSON", {}),
    ".fgb": ("FlatGeobuf", {}),
    ".csv": ("CSV", {"GEOMETRY": "AS_WKT"}),
}
SUFFIXES = (_PARQUET, *_DRIVERS)
IN_DEGREES = (".geojson", ".csv")  # formats whose readers expect EPSG:4326


def as_wkb(corners: NDArray[np.float64]) -> pa.Array:
    """Return corners ``(n, 4, 2)`` as polygons in well-known binary."""
    rows = np.zeros(len(corners), dtype=_POLYGON)
    rows["order"], rows["type"], rows["rings"], rows["points"] = 1, 3, 1, 5
    rows["xy"][:, :4], rows["xy"][:, 4] = corners, corners[:, 0]
    size = _POLYGON.itemsize
    offsets = np.arange(0, (len(rows) + 1) * size, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)


def geoparquet_metadata(crs: CRS) -> dict[bytes, bytes]:
    """Return what a GeoParquet 1.0 file says of its column of polygons."""
    column = {"encoding": "WKB", "crs": crs.to_json_dict(), "geometry_types": ["Polygon"]}
    geo = {"version": "1.0.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    return {b"geo": json.dumps(geo).encode()}


def write(
    path: Path, schema: pa.Schema, parts: Iterable[pa.RecordBatch], *, crs: CRS, n: int
) -> None:
    """Write n polygons with their attributes, in one of ``SUFFIXES``.

    ``schema`` is that of the parts, and has the binary column ``GEOMETRY``. Raises OSError where
    the disk is full or the folder cannot be written, and what making the parts raises.
    """
    if path.suffix.lower() == _PARQUET:
        schema = schema.with_metadata(geoparquet_metadata(crs))
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_batch(part.replace_schema_metadata(schema.metadata))
        return
    driver, options = _DRIVERS[path.suffix.lower()]
    with room_for(path.parent, room_of(n)):
        stream(path, schema, parts, crs=crs, driver=driver, layer_options=options)
        check_end(path)
        if _count(path) != n:
            raise OSError("the file is incomplete (is the disk full?)")


def room_of(n: int) -> int:
    """Return the bytes that n polygons take with their attributes, or rather more."""
    return 2**20 + 512 * n


def _count(path: Path) -> int | None:
    """Return how many polygons can be read back, None where there is one that cannot.

    A file's own count is in its header, and says nothing of what follows.
    """
    import pyogrio

    try:
        with pyogrio.open_arrow(path, use_pyarrow=True) as (_, parts):
            return sum(len(part) for part in parts)
    except (RuntimeError, OSError, ValueError):  # GDAL's errors, and pyarrow's
        return None


def stream(
    path: Path,
    schema: pa.Schema,
    parts: Iterable[pa.RecordBatch],
    *,
    crs: CRS,
    driver: str,
    layer: str | None = None,
    **options: object,
) -> None:
    """Let GDAL write what the parts hold; ``options`` are those of ``pyogrio.write_arrow``.

    Raises as ``write`` does.
    """
    import pyogrio  # GDAL, which nobody needs who only reads

    faults: list[BaseException] = []

    def passed_on() -> Iterator[pa.RecordBatch]:
        try:
            yield from parts
        except BaseException as fault:  # GDAL ends with an error of its own
            faults.append(fault)
            raise

    epsg = crs.to_epsg()
    try:
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(schema, passed_on()),
            path,
            layer=layer,
            driver=driver,
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=crs.to_wkt() if epsg is None else f"EPSG:{epsg}",
            **options,
        )
    except (RuntimeError, OSError, ValueError) as error:
        if faults:
            raise faults[0] from None
        # GDAL quotes the SQL before the reason
        reason = " ".join(str(error).split()).rpartition("failed: ")[2]
        raise OSError(f"{reason} (is the disk full?)") from None  # else the SQL is shown
