"""Computing a pool's concepts from a layer of polygons, compared with going patch by patch."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from benchmarks.scenes import make_polygons
from owl_geo.concepts.table import concept_table
from owl_geo.ground.footprints import footprints
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import PoolWindows
from owl_geo.settings.concepts import CategoryConcept, DistanceConcept, LayerSettings, ShareConcept
from owl_geo.sources.base import build_index
from owl_geo.types import SceneGrid

_EDGE, _SIZE, _POLYGONS = 320, 32, 10_000  # patches along the scene, pixels of a patch
_NAIVE = 1000  # patches on which the naive way is timed


def main() -> None:
    """Print patches per second for a category, a share and a distance, computed both ways."""
    side = _EDGE * _SIZE
    grid = SceneGrid("s", "EPSG:32632", (10.0, 0.0, 5e5, 0.0, -10.0, 5.3e6), side, side)
    index = build_index([tile(grid, _SIZE, _SIZE).windows], {})
    windows = PoolWindows.from_index(index, {"s": grid}, _SIZE)
    with tempfile.TemporaryDirectory() as folder:
        layer = make_polygons(Path(folder) / "layer.gpkg", side, _POLYGONS)
        print(f"Concepts of {len(index):,} patches from {_POLYGONS:,} polygons, patches per second")
        uses = ("forest", "farmland", "residential", "industrial", "reservoir")
        kinds = {
            "category": CategoryConcept(layer="l", classes={u: (f"landuse={u}",) for u in uses}),
            "share": ShareConcept(layer="l", where=("landuse=forest",)),
            "distance": DistanceConcept(layer="l", where=("landuse=industrial",)),
        }
        polygons = footprints(windows).iloc[:: len(index) // _NAIVE]
        for name, concept in kinds.items():
            started = time.perf_counter()
            concept_table(index, windows, {name: concept}, {"l": LayerSettings(path=str(layer))})
            ours = len(index) / (time.perf_counter() - started)
            started = time.perf_counter()
            _one_by_one(name, polygons, layer)
            naive = len(polygons) / (time.perf_counter() - started)
            print(f"  {name:<9} {ours:>9,.0f}; one by one {naive:>7,.0f}; {ours / naive:>6.0f} x")


def _one_by_one(kind: str, patches: gpd.GeoSeries, layer: Path) -> None:
    """Do what a script would: reproject the layer, then query its spatial index for each patch."""
    table = gpd.read_file(layer).to_crs(patches.crs)
    table["geometry"] = table.geometry.make_valid()
    if kind != "category":
        wanted = "forest" if kind == "share" else "industrial"
        table = table[table["landuse"] == wanted]
    tree = table.sindex
    for patch in patches:
        if kind == "distance":
            table.geometry.iloc[tree.nearest(patch.centroid)[1]].distance(patch.centroid)
            continue
        near = table.iloc[tree.query(patch, predicate="intersects")]
        areas = shapely.area(shapely.intersection(near.geometry.to_numpy(), patch))
        np.bincount(near["landuse"].astype("category").cat.codes, areas)


if __name__ == "__main__":
    main()
