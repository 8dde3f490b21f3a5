"""Patches that are targets as polygons: what touches is one, and no ground counts twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import CRS, Transformer

from owl_geo.ground.footprints import common_crs, footprints
from owl_geo.ground.windows import PoolWindows
from owl_geo.maps.areas import dissolved, write_areas
from owl_geo.types import SceneGrid

SCALE = 0.9996**-2  # of areas in the middle of a zone


def grid(name: str, x: float = 500_000, y: float = 5_000_000, crs: str = "EPSG:32631") -> SceneGrid:
    return SceneGrid(name, crs, (10.0, 0.0, x, 0.0, -10.0, y), 80, 80)


def pool(places: list[tuple[str, int, int]], *grids: SceneGrid) -> PoolWindows:
    """Windows of 8 x 8 pixels, 0.64 hectares, at rows and columns of pixels."""
    index = pd.DataFrame(places, columns=["scene", "row_off", "col_off"])
    return PoolWindows.from_index(index, {one.name: one for one in grids}, 8)


def together(windows: PoolWindows, answered: Sequence[int] = ()) -> gpd.GeoDataFrame:
    n = len(windows)
    is_answered = np.isin(np.arange(n), answered)
    probability = np.linspace(0.5, 1, n).astype(np.float32)
    return dissolved(windows, probability, is_answered, common_crs(windows.grids))


def test_neighbours_are_one_place_and_corners_do_not_join() -> None:
    places = [("a", 0, 0), ("a", 0, 8), ("a", 8, 16), ("a", 40, 40)]
    areas = together(pool(places, grid("a")), answered=[1, 3])
    assert areas["area_ha"].tolist() == pytest.approx(
        [1.28 * SCALE, 0.64 * SCALE, 0.64 * SCALE], rel=1e-6
    )
    assert areas["patches"].tolist() == [2, 1, 1]
    assert areas["answered"].tolist() == [1, 0, 1]
    assert areas["probability"].tolist() == pytest.approx([0.5, 0.8333333, np.nan], nan_ok=True)
    assert areas.geometry[0].equals(shapely.box(500_000, 4_999_920, 500_160, 5_000_000))


def test_what_overlaps_counts_once() -> None:
    windows = pool([("a", 0, 0), ("a", 4, 4), ("a", 0, 4)], grid("a"))
    areas = together(windows)
    union = shapely.union_all(footprints(windows).to_numpy())
    assert areas.geometry[0].equals(union)
    assert areas["area_ha"].tolist() == pytest.approx([1.28 * SCALE], rel=1e-6)
    assert areas["patches"].tolist() == [3]


def test_a_ring_has_a_hole() -> None:
    ring = [("a", 8 * r, 8 * c) for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    areas = together(pool(ring, grid("a")))
    assert areas["area_ha"].tolist() == pytest.approx([8 * 0.64 * SCALE], rel=1e-6)
    assert len(areas.geometry[0].interiors) == 1


@pytest.mark.parametrize("off", [0.0, 1e-6, -35.0])
def test_scenes_side_by_side_or_on_each_other_are_one(off: float) -> None:
    a, b = grid("a"), grid("b", x=500_800 + off)
    areas = together(pool([("a", 0, 72), ("b", 0, 0), ("b", 40, 40), ("a", 0, 0)], a, b))
    assert areas["patches"].tolist() == [2, 1, 1]
    assert areas["area_ha"].tolist() == pytest.approx(
        np.array([1.28 + 0.8 * min(round(off), 0) / 100, 0.64, 0.64]) * SCALE, rel=1e-5
    )


def test_scenes_of_two_zones_are_in_degrees() -> None:
    a, b = grid("a"), grid("b", crs="EPSG:32632")
    windows = pool([("a", 0, 8 * col) for col in range(10)] + [("b", 0, 0)], a, b)
    areas = together(windows)
    assert areas.crs == CRS("EPSG:4326")
    assert areas["area_ha"].tolist() == pytest.approx([6.4 * SCALE, 0.64 * SCALE], rel=1e-5)
    # every corner of a patch is on the outline
    drawn = shapely.union_all(footprints(windows.take(np.arange(10))).to_numpy())
    assert areas.geometry[0].symmetric_difference(drawn).area < 1e-6 * drawn.area


def test_scenes_on_both_sides_of_the_antimeridian_meet() -> None:
    # the same ground at 180 degrees east in the CRS of either side, 10 degrees north
    east = Transformer.from_crs(4326, 32660, always_xy=True).transform(180, 10)
    west = Transformer.from_crs(4326, 32601, always_xy=True).transform(-180, 10)
    grids = [
        grid("east", east[0] - 400, east[1], crs="EPSG:32660"),
        grid("west", west[0] - 400, west[1], crs="EPSG:32601"),
    ]
    places = [(name, 0, 8 * col) for name in ("east", "west") for col in range(10)]
    areas = together(pool(places, *grids))
    # the two grids are turned against each other by a degree
    assert len(areas) == 1 and areas["patches"].tolist() == [20]
    each = together(pool(places[:10], *grids))["area_ha"][0]
    assert each < areas["area_ha"][0] < 1.2 * each


def test_a_file_of_places_and_of_none(tmp_path: Path) -> None:
    windows = pool([("a", 0, 0), ("a", 40, 0)], grid("a"))
    for n in (2, 0):
        write_areas(tmp_path / "areas.gpkg", together(windows.take(np.arange(n))), positive="pit")
        read = gpd.read_file(tmp_path / "areas.gpkg", layer="areas")
        assert list(read) == ["area_ha", "patches", "answered", "probability", "geometry"]
        assert len(read) == n and read.crs.to_epsg() == 32631
    assert [path.name for path in tmp_path.iterdir()] == ["areas.gpkg"]
