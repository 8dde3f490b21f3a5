"""patches.parquet: the patch index as GeoParquet, written in parts and read back without polygons.

The polygons are for QGIS and for people; owl-geo makes those that it needs from the windows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from owl_geo.ground.footprints import common_crs, corners_in
from owl_geo.ground.windows import PoolWindows

GEOMETRY = "geometry"
_ROWS = 100_000  # per row group; this bounds the memory for polygons
_POLYGON = np.dtype(  # well-known binary, little-endian: one ring of five points
    [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))]
)


def write(path: Path, patches: pd.DataFrame, windows: PoolWindows) -> None:
    """Write the index as GeoParquet 1.0 with the footprints in the CRS that the scenes share.

    ``windows`` are the windows of the patches, row by row. Raises OSError if the disk is full or
    the folder cannot be written.
    """
    crs = common_crs(windows.grids)
    plain = pa.Schema.from_pandas(patches, preserve_index=False)
    column = {
        "encoding": "WKB",
        "crs": crs.to_json_dict(),
        "geometry_types": ["Polygon"],
    }
    geo = {"version": "1.0.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    schema = plain.append(pa.field(GEOMETRY, pa.binary())).with_metadata(
        {**(plain.metadata or {}), b"geo": json.dumps(geo).encode()}
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, max(len(patches), 1), _ROWS):
            rows = slice(start, start + _ROWS)
            table = pa.Table.from_pandas(patches.iloc[rows], schema=plain, preserve_index=False)
            polygons = _wkb(corners_in(windows.take(rows), crs))
            writer.write_table(table.append_column(GEOMETRY, polygons).cast(schema))


def read(path: Path) -> pd.DataFrame:
    """Read the index back, without the polygons.

    Raises OSError or pyarrow's errors for a file that is missing, damaged or something else.
    """
    names = [name for name in pq.read_schema(path).names if name != GEOMETRY]
    return pq.read_table(path, columns=names).to_pandas(self_destruct=True)


def _wkb(points: NDArray[np.float64]) -> pa.Array:
    """Return corners ``(n, 4, 2)`` as polygons in well-known binary."""
    rows = np.zeros(len(points), dtype=_POLYGON)
    rows["order"], rows["type"], rows["rings"], rows["points"] = 1, 3, 1, 5
    rows["xy"][:, :4], rows["xy"][:, 4] = points, points[:, 0]
    size = _POLYGON.itemsize
    offsets = np.arange(0, (len(rows) + 1) * size, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)
