"""patches.parquet: the patch index as GeoParquet, written in parts and read back without polygons.

The polygons are for QGIS and for people; owl-geo makes those that it needs from the windows.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from owl_geo.disk.polygons import GEOMETRY, as_wkb, geoparquet_metadata
from owl_geo.ground.footprints import common_crs, corners_in
from owl_geo.ground.windows import PoolWindows

_ROWS = 100_000  # per row group; this bounds the memory for polygons
_SCENE = "scene"  # the column whose few names stand millions of times


def write(path: Path, patches: pd.DataFrame, windows: PoolWindows) -> None:
    """Write the index as GeoParquet 1.0 with the footprints in the CRS that the scenes share.

    ``windows`` are the windows of the patches, row by row. Raises OSError if the disk is full or
    the folder cannot be written.
    """
    crs = common_crs(windows.grids)
    plain = pa.Schema.from_pandas(patches, preserve_index=False)
    if isinstance(patches[_SCENE].dtype, pd.CategoricalDtype):  # to other readers it is text
        plain = plain.set(plain.get_field_index(_SCENE), pa.field(_SCENE, pa.large_string()))
    schema = plain.append(pa.field(GEOMETRY, pa.binary())).with_metadata(
        {**(plain.metadata or {}), **geoparquet_metadata(crs)}
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, max(len(patches), 1), _ROWS):
            rows = slice(start, start + _ROWS)
            table = pa.Table.from_pandas(patches.iloc[rows], schema=plain, preserve_index=False)
            polygons = as_wkb(corners_in(windows.take(rows), crs))
            writer.write_table(table.append_column(GEOMETRY, polygons).cast(schema))


def read(path: Path) -> pd.DataFrame:
    """Read the index back, without the polygons; the column of scenes is categorical.

    Raises OSError or pyarrow's errors for a file that is missing, damaged or something else.
    """
    schema = pq.read_schema(path)
    fields = [field for field in schema if field.name != GEOMETRY]
    # a row of a column in one piece is found at once; column by column, so that one is there twice
    columns = {
        field.name: pq.read_table(path, columns=[field.name], read_dictionary=[_SCENE])
        .combine_chunks()
        .column(0)
        for field in fields
    }
    table = pa.table(columns, metadata=schema.metadata)
    del columns
    patches = table.to_pandas(self_destruct=True)
    del table
    pa.default_memory_pool().release_unused()  # of millions of rows, hundreds of megabytes
    return patches
