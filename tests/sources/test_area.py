"""The area of interest: which patches have their centre in it, and files that are not one."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from rasters import ORIGIN, UTM

from owl_geo.errors import SourceError
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import Windows
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.sources.area import AreaOfInterest, windows_in_area
from owl_geo.types import SceneGrid

GRID = SceneGrid("s", UTM, (10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1]), 40, 40)


def box(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    """A rectangle in pixels from the scene's upper left corner."""
    west, north = ORIGIN[0] + 10 * col, ORIGIN[1] - 10 * row
    return shapely.box(west, north - 10 * height, west + 10 * width, north)


def area_file(
    path: Path, *shapes: shapely.Geometry, crs: str | None = UTM, to: str | None = None
) -> Path:
    table = gpd.GeoDataFrame(geometry=list(shapes), crs=crs)
    (table if to is None else table.to_crs(to)).to_file(path)
    return path


def windows() -> Windows:
    """4 x 4 patches of 10 x 10 pixels."""
    return tile(GRID, 10, 10).windows


def inside(path: Path) -> list[list[bool]]:
    return AreaOfInterest(path).contains_centres(windows()).reshape(4, 4).tolist()


@pytest.mark.parametrize("crs", [None, "EPSG:4326", "EPSG:3857"])
def test_a_patch_belongs_by_its_centre_in_any_crs(crs: str | None, tmp_path: Path) -> None:
    # centres lie at 5, 15, 25 and 35 pixels: the box holds those of rows 0 and 1, column 1
    path = area_file(tmp_path / "a.gpkg", box(-50, 6, 66, 18), to=crs)
    assert inside(path) == [[False, True, False, False]] * 2 + [[False] * 4] * 2


def test_several_polygons_are_one_area_and_other_features_do_not_count(tmp_path: Path) -> None:
    corner = box(0, 0, 10, 10)
    path = area_file(
        tmp_path / "a.geojson",
        corner,
        box(30, 30, 10, 10),
        box(20, 20, 5, 5).centroid,
        to="OGC:CRS84",
    )
    assert np.argwhere(inside(path)).tolist() == [[0, 0], [3, 3]]


def test_a_hole_is_not_in_the_area(tmp_path: Path) -> None:
    path = area_file(tmp_path / "a.gpkg", box(0, 0, 40, 40).difference(box(10, 10, 20, 20)))
    assert np.argwhere(~np.array(inside(path))).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_a_ring_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = shapely.Polygon(
        [(ORIGIN[0] + x, ORIGIN[1] - y) for x, y in ((0, 0), (400, 400), (400, 0), (0, 400))]
    )
    path = area_file(tmp_path / "a.gpkg", bow)
    assert np.argwhere(inside(path)).tolist() == [[1, 0], [1, 3], [2, 0], [2, 3]]


def test_windows_are_counted_in_the_area_and_without_one(tmp_path: Path) -> None:
    path = area_file(tmp_path / "a.gpkg", box(0, 0, 20, 40))
    scenes = (SceneSettings(name="s", path="s.tif"),)

    def count(aoi: str | None, stride: int | None = None) -> int:
        settings = GeoTiffSettings(scenes=scenes, patch_size=10, stride=stride, aoi=aoi)
        return len(windows_in_area({"s": GRID, "t": GRID}, settings))

    assert count(None) == 2 * 16
    assert count(None, stride=5) == 2 * 49
    assert count(str(path)) == 2 * 8


def test_a_layer_as_qgis_names_it_is_told_to_be_saved_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "layers.gpkg"
    for layer in ("one", "two"):
        gpd.GeoDataFrame(geometry=[box(0, 0, 9, 9)], crs=UTM).to_file(path, layer=layer)
    with pytest.raises(SourceError, match=r"one layer, not .*`ogr2ogr aoi\.gpkg .*\.gpkg two`"):
        AreaOfInterest(f"{path}|layername=two")
    with pytest.raises(SourceError, match=r"did you mean 'layers\.gpkg'"):
        AreaOfInterest(tmp_path / "layer.gpkg")


def test_tables_beside_the_layer_do_not_count(tmp_path: Path) -> None:
    """QGIS stores the style of a GeoPackage's layer in such a table."""
    path = tmp_path / "a.gpkg"
    styles = pd.DataFrame({"f_table_name": ["area"], "styleQML": ["<qgis/>"]})
    pyogrio.write_dataframe(styles, path, layer="layer_styles")
    table = gpd.GeoDataFrame(geometry=[box(-50, 6, 66, 18)], crs=UTM)
    table.to_file(path, layer="area", mode="a")
    assert inside(path) == [[False, True, False, False]] * 2 + [[False] * 4] * 2


def test_a_message_shows_where_area_and_scenes_lie(tmp_path: Path) -> None:
    path = area_file(tmp_path / "a.gpkg", shapely.box(10, 45, 11, 46), crs="EPSG:4326")
    east = SceneGrid("t", "EPSG:4326", (0.01, 0.0, 4.0, 0.0, -0.01, 51.0), 10, 10)
    text = AreaOfInterest(path).elsewhere([GRID, east])
    assert "lon 10.0000 to 11.0000, lat 45.0000 to 46.0000" in text
    assert "the scenes cover lon 3.0000 to 4.1000, lat 50.9000 to 51.45" in text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("points.gpkg", "no polygon"),
        ("plain.geojson", "no polygon"),
        ("layers.gpkg", "several layers: one, two"),
        ("noise.gpkg", "cannot read"),
        ("gone.gpkg", "cannot read"),
        ("table.csv", "no geometry"),
        ("nowhere.shp", "no CRS"),
    ],
)
def test_what_is_not_an_area_is_refused_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if name == "points.gpkg":
        area_file(path, shapely.Point(ORIGIN))
    elif name == "plain.geojson":
        path.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    elif name == "layers.gpkg":
        table = gpd.GeoDataFrame(geometry=[box(0, 0, 9, 9)], crs=UTM)
        for layer in ("one", "two"):
            table.to_file(path, layer=layer)
    elif name == "noise.gpkg":
        path.write_bytes(b"\xff" * 99)
    elif name == "table.csv":
        path.write_text("a,b\n1,2\n", encoding="utf-8")
    elif name == "nowhere.shp":
        area_file(path, box(0, 0, 9, 9), crs=None)
    with pytest.raises(SourceError, match=reason) as caught:
        AreaOfInterest(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
