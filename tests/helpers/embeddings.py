"""Embeddings in files laid out as their publishers lay them out, with values known by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely
from numpy.typing import NDArray
from rasters import ORIGIN, write_raster

ALPHAEARTH = tuple(f"A{number:02}" for number in range(64))
NODATA = -128


def quantized(vectors: NDArray[Any]) -> NDArray[np.int8]:
    """Return what AlphaEarth stores of values, whatever their shape."""
    roots = np.sign(vectors) * np.sqrt(np.abs(vectors)) * 127.5
    return np.clip(np.rint(roots), -127, 127).astype(np.int8)


def by_hand(pixels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the values that pixels of AlphaEarth stand for, as its page has it."""
    v = pixels.astype(np.float64)
    return ((np.abs(v) / 127.5) ** 2) * np.sign(v)


def unit_vectors(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    """Return random vectors of length 1, ``(64, *shape)``."""
    vectors = np.random.default_rng(seed).normal(size=(64, *shape))
    return vectors / np.linalg.norm(vectors, axis=0)


def write_alphaearth(path: Path, pixels: NDArray[np.int8], **profile: Any) -> Path:
    """Write ``(64, height, width)`` as it is published: tiled, int8, named, -128 is no data."""
    options = {"nodata": NODATA, "descriptions": ALPHAEARTH} | profile
    return write_raster(path, pixels, tiled=True, blockxsize=16, blockysize=16, **options)


def south_up(height: int) -> rasterio.Affine:
    """Return the transform of a copy whose rows run north, from where ``write_raster`` ends."""
    return rasterio.Affine(10, 0, ORIGIN[0], 0, 10, ORIGIN[1] - 10 * height)


# --- tables ---------------------------------------------------------------------------------------


def squares(n_rows: int, n_cols: int, edge: float, crs: str = "EPSG:32631") -> gpd.GeoSeries:
    """Return squares of a grid, row by row from the north, in a CRS."""
    row, col = np.divmod(np.arange(n_rows * n_cols), n_cols)
    x, y = ORIGIN[0] + col * edge, ORIGIN[1] - row * edge
    return gpd.GeoSeries(shapely.box(x, y - edge, x + edge, y), crs="EPSG:32631").to_crs(crs)


def numbered(n: int, dimensions: int) -> NDArray[np.float32]:
    """Return vectors whose first number is that of the row, and the others 1, 2 and so on."""
    vectors = np.tile(np.arange(dimensions, dtype=np.float32), (n, 1))
    vectors[:, 0] = np.arange(n)
    return vectors


def write_table(
    path: Path,
    vectors: NDArray[Any] | list[list[float] | None],
    places: gpd.GeoSeries,
    *,
    column: str = "embedding",
    fixed: bool = False,
    metadata: bool = True,
    row_group: int = 7,
    others: dict[str, Any] | None = None,
) -> Path:
    """Write rows of vectors with their places as Parquet, in row groups of a few rows."""
    kind = pa.list_(pa.float32(), len(vectors[0])) if fixed else pa.list_(pa.float32())  # type: ignore[arg-type]
    rows = [None if row is None else list(row) for row in vectors]
    columns = {
        "id": pa.array([f"r{i}" for i in range(len(rows))]),
        column: pa.array(rows, type=kind),
        "geometry": pa.array(shapely.to_wkb(np.asarray(places)), type=pa.binary()),
        **{name: pa.array(values) for name, values in (others or {}).items()},
    }
    table = pa.table(columns)
    if metadata:
        crs = {} if places.crs is None else {"crs": places.crs.to_json_dict()}
        about = {
            "version": "1.0.0",
            "primary_column": "geometry",
            "columns": {"geometry": {"encoding": "WKB", "geometry_types": [], **crs}},
        }
        table = table.replace_schema_metadata({"geo": json.dumps(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group)
    return path


# --- TESSERA's arrays -----------------------------------------------------------------------------

TILES, LAND_MASKS = "global_0.1_degree_representation", "global_0.1_degree_tiff_all"
PLACE = rasterio.Affine(10, 0, 290872.5, 0, -10, 5698579.25)


def write_tile(
    base: Path,
    name: str = "grid_0.15_52.05",
    *,
    vectors: NDArray[Any],
    scales: NDArray[Any],
    year: int = 2024,
    mask: NDArray[np.uint8] | None = None,
    crs: str = "EPSG:32631",
    transform: rasterio.Affine = PLACE,
    version: str = "",
    variant: str = "",
) -> Path:
    """Write a tile as ``geotessera download --format npy`` does, and return its vectors' path.

    ``vectors`` are ``(height, width, 128)``, ``scales`` ``(height, width)``. With a ``version``,
    metadata as geotessera 0.9 and later write them stand beside the folders.
    """
    folder = base / TILES / str(year) / name
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", vectors)
    np.save(folder / f"{name}_scales.npy", scales)
    land = np.ones(vectors.shape[:2], np.uint8) if mask is None else mask
    write_raster(base / LAND_MASKS / f"{name}.tiff", land[None], crs=crs, transform=transform)
    if version:
        number = version.removeprefix("v")
        text = {"dataset_version": number, "dataset_variant": variant, "format": "npy"}
        (base / "tessera_metadata.json").write_text(json.dumps(text), encoding="utf-8")
    return folder / f"{name}.npy"


def random_tile(height: int, width: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return vectors and scales as TESSERA's are, all of them different."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-127, 128, (height, width, 128), dtype=np.int8)
    return vectors, rng.uniform(0.03, 0.12, (height, width)).astype(np.float32)
