"""Small scenes and layers for the tests of concepts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from owl_geo.concepts.pool import Pool
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import PoolWindows
from owl_geo.sources.base import build_index
from owl_geo.types import SceneGrid

UTM = "EPSG:32632"
ORIGIN = (500_000.0, 5_200_000.0)  # upper left corner, on the central meridian


def scene(
    rows: int = 4,
    cols: int = 4,
    *,
    name: str = "s",
    crs: str = UTM,
    origin: tuple[float, float] = ORIGIN,
    pixel: float = 10.0,
    size: int = 10,
) -> SceneGrid:
    """A north-up scene of ``rows`` x ``cols`` patches of ``size`` pixels."""
    transform = (pixel, 0.0, origin[0], 0.0, -pixel, origin[1])
    return SceneGrid(name, crs, transform, rows * size, cols * size)


def index_of(scenes: Sequence[SceneGrid], size: int = 10) -> pd.DataFrame:
    """The index of all whole patches of the scenes."""
    return build_index([tile(entry, size, size).windows for entry in scenes], {})


def windows_of(scenes: Sequence[SceneGrid], size: int = 10) -> PoolWindows:
    """Where the same patches lie."""
    grids = {entry.name: entry for entry in scenes}
    return PoolWindows.from_index(index_of(scenes, size), grids, size)


def pool(scenes: Sequence[SceneGrid], size: int = 10) -> Pool:
    """The same patches, scene by scene."""
    return Pool.of(windows_of(scenes, size))


def box(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    """A rectangle in units of patches of 100 m, from the upper left corner of ``scene()``."""
    west, north = ORIGIN[0] + 100 * col, ORIGIN[1] - 100 * row
    return shapely.box(west, north - 100 * height, west + 100 * width, north)


def write_layer(
    path: Path, geometries: Sequence[Any], crs: str | None = UTM, **columns: Sequence[Any]
) -> str:
    """Write a vector layer by the name's suffix and return its path as text."""
    gpd.GeoDataFrame(columns, geometry=list(geometries), crs=crs).to_file(path)
    return str(path)


def write_osm(path: Path, body: str) -> str:
    """Write OSM XML around ``body`` and return its path as text."""
    path.write_text(f"<osm version='0.6' generator='test'>{body}</osm>", encoding="utf-8")
    return str(path)


def osm_node(number: int, lon: float, lat: float, **tags: str) -> str:
    """One node as XML."""
    return f"<node id='{number}' lon='{lon}' lat='{lat}'>{_tags(tags)}</node>"


def osm_way(number: int, nodes: Sequence[int], **tags: str) -> str:
    """One way as XML."""
    refs = "".join(f"<nd ref='{node}'/>" for node in nodes)
    return f"<way id='{number}'>{refs}{_tags(tags)}</way>"


def osm_relation(number: int, members: Sequence[tuple[int, str]], **tags: str) -> str:
    """One multipolygon relation as XML."""
    refs = "".join(f"<member type='way' ref='{way}' role='{role}'/>" for way, role in members)
    return f"<relation id='{number}'>{refs}{_tags({'type': 'multipolygon', **tags})}</relation>"


def _tags(tags: dict[str, str]) -> str:
    return "".join(f"<tag k='{key}' v='{value}'/>" for key, value in tags.items())
