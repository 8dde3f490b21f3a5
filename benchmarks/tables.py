"""Tables of vectors for benchmarks: unit vectors at the points of a grid, a few of them targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyproj import CRS as ProjCRS

from owl_geo.types import AnyArray, BoolArray

SPACING = 100.0  # metres from point to point
CRS = "EPSG:32632"
CORNER = (300_000.0, 5_900_000.0)
_ROWS = 65_536  # of a row group
_KINDS = {"int8": pa.int8(), "float16": pa.float16(), "float32": pa.float32()}
_FULL = 127  # int8 that stands for the longest vector's largest number
_POINT = np.frombuffer(b"\x01\x01\x00\x00\x00", dtype=np.uint8)  # head of a point in WKB


def make_vectors(
    n: int, dimensions: int, rng: np.random.Generator, *, rare: float = 0.02, strength: float = 0.45
) -> tuple[NDArray[np.float32], BoolArray]:
    """Return unit vectors ``(n, dimensions)``, and which of them are targets ``(n,)``.

    A share of them, ``rare``, point a little in one direction, by ``strength`` of a length of 1.
    """
    vectors = rng.standard_normal((n, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    is_target = rng.random(n) < rare
    vectors[is_target] += strength * direction(dimensions)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, is_target


def direction(dimensions: int) -> NDArray[np.float32]:
    """Return the direction in which targets point, of length 1."""
    towards = np.random.default_rng(17).standard_normal(dimensions).astype(np.float32)
    return np.asarray(towards / np.linalg.norm(towards))


def make_table(
    path: Path,
    n: int,
    dimensions: int,
    *,
    kind: str = "float16",
    seed: int = 0,
    rare: float = 0.02,
) -> BoolArray:
    """Write n unit vectors as GeoParquet, in row groups, each made alone; return the targets.

    ``kind`` is what their numbers are stored as: int8, float16 or float32.
    """
    about = {
        "version": "1.0.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Point"],
                "crs": ProjCRS(CRS).to_json_dict(),
            }
        },
    }
    schema = pa.schema(
        {"embedding": pa.list_(_KINDS[kind], dimensions), "geometry": pa.binary()},
        metadata={"geo": json.dumps(about)},
    )
    rng = np.random.default_rng(seed)
    width = round(n**0.5)
    targets = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, n, _ROWS):
            rows = np.arange(start, min(start + _ROWS, n))
            vectors, is_target = make_vectors(len(rows), dimensions, rng, rare=rare)
            targets.append(is_target)
            flat = pa.array(_stored(vectors, kind).ravel())
            lists = pa.FixedSizeListArray.from_arrays(flat, dimensions)
            writer.write_table(pa.table([lists, _points(rows, width)], schema=schema))
    return np.concatenate(targets)


def _stored(vectors: NDArray[np.float32], kind: str) -> AnyArray:
    if kind != "int8":
        return vectors.astype(kind)
    return np.rint(vectors * (_FULL / np.abs(vectors).max())).astype(np.int8)


def _points(rows: AnyArray, width: int) -> pa.Array:
    """Return the places of rows on a grid of a width, as WKB."""
    row, col = np.divmod(rows, width)
    xy = np.stack([CORNER[0] + col * SPACING, CORNER[1] - row * SPACING], axis=1)
    wkb = np.empty((len(rows), len(_POINT) + 16), dtype=np.uint8)
    wkb[:, : len(_POINT)] = _POINT
    wkb[:, len(_POINT) :] = xy.astype("<f8").view(np.uint8)
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * wkb.shape[1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(wkb))]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)
