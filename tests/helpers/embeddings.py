"""Embeddings in files laid out as their publishers lay them out, with values known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
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
