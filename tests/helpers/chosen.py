"""Patches as an acquisition hands them on, for tests of batches."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

CONCEPTS = ("land_cover", "dist_industrial", "urban")


def chosen_patches(
    n: int,
    *,
    crs: str = "EPSG:32631",
    corner: tuple[float, float] = (5e5, 5.6e6),
    edge: float = 320,
) -> gpd.GeoDataFrame:
    """Return ``n`` patches in rank order, side by side in rows of four."""
    place = np.arange(n)
    x, y = corner[0] + place % 4 * edge, corner[1] - place // 4 * edge
    return gpd.GeoDataFrame(
        {
            "patch_id": [f"scene/{i // 4 * 32}/{i % 4 * 32}" for i in range(n)],
            "score": np.linspace(1, 0.5, n),
            "uncertainty": np.linspace(0.9, 0.1, n),
            "relevance": np.full(n, 2.0),
            "probability": np.full(n, np.nan),
            "scene": "scene",
            "scene_crs": crs,
            "land_cover": np.where(place % 2, "urban", "forest").astype(object),
            "dist_industrial": np.where(place == 1, np.nan, place * 100.0),
            "urban": place % 2 == 1,
        },
        geometry=shapely.box(x, y - edge, x + edge, y),
        crs=crs,
    )
