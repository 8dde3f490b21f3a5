"""Large scenes for benchmarks, as providers ship them: tiled, compressed, uint16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window


def make_scene(path: Path, side: int, *, bands: int = 4, block: int = 512, seed: int = 0) -> Path:
    """Write a ``side`` x ``side`` scene whose pixels compress about as real reflectances do."""
    rng = np.random.default_rng(seed)
    profile = {
        "driver": "GTiff",
        "height": side,
        "width": side,
        "count": bands,
        "dtype": "uint16",
        "crs": "EPSG:32632",
        "transform": rasterio.Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_300_000.0),
        "tiled": True,
        "blockxsize": block,
        "blockysize": block,
        "compress": "deflate",
        "predictor": 2,
        "num_threads": "all_cpus",
    }
    with rasterio.open(path, "w", **profile) as scene:
        for row in range(0, side, block):
            height = min(block, side - row)
            fields = rng.integers(300, 4000, (bands, height // 32 + 1, side // 32 + 1))
            smooth = fields.repeat(32, axis=1).repeat(32, axis=2)[:, :height, :side]
            noise = rng.integers(0, 64, (bands, height, side))
            window = Window(0, row, side, height)
            scene.write((smooth + noise).astype(np.uint16), window=window)
    return path
