"""Large scenes for benchmarks, as providers ship them: tiled, compressed, uint16."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.windows import Window


def make_scene(path: Path, side: int, *, bands: int = 4, block: int = 512, seed: int = 0) -> Path:
    """Write a ``side`` x ``side`` scene whose pixels compress about as well as reflectances."""
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
        "BIGTIFF": "IF_SAFER",  # of a million patches, the end would be lost without an error
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


def make_polygons(path: Path, side: int, n: int, *, seed: int = 0) -> Path:
    """Write ``n`` land-use polygons with 12 vertices each over a scene of ``side`` x ``side``.

    They are in EPSG:4326, as in OpenStreetMap, and cover about the same share of the scene whatever
    their number. An existing file is left alone.
    """
    if path.exists():
        return path
    rng = np.random.default_rng(seed)
    extent = side * 10.0  # metres
    centres = rng.uniform(0, extent, (n, 1, 2)) + np.array([500_000, 5_300_000 - extent])
    angle = np.sort(rng.uniform(0, 2 * np.pi, (n, 12)), axis=1)
    size = 400 * (extent / 327_680) * (100_000 / n) ** 0.5  # metres, for the same share covered
    radius = rng.lognormal(np.log(size), 0.8, (n, 1)) * rng.uniform(0.6, 1.0, (n, 12))
    offsets = radius[:, :, None] * np.stack([np.cos(angle), np.sin(angle)], axis=2)
    use = rng.choice(
        ["forest", "farmland", "residential", "industrial", "reservoir"],
        n,
        p=[0.40, 0.35, 0.20, 0.02, 0.03],
    )
    table = gpd.GeoDataFrame({"landuse": use}, geometry=shapely.polygons(centres + offsets))
    table.set_crs(32632).to_crs(4326).to_file(path, layer="landuse")
    return path
