"""Layers of another datum: by the best transformation PROJ knows, the same everywhere."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from pyproj import CRS, Geod, Transformer

from owl_geo.concepts import rasters
from owl_geo.concepts.areas import PolygonLayer, shares
from owl_geo.concepts.layers import load
from owl_geo.errors import LayerError, OwlError
from owl_geo.ground.accuracy import warn_if_inaccurate
from owl_geo.ground.crs import crs_of, leads_nowhere
from owl_geo.ground.raster_files import open_layer
from owl_geo.ground.tiling import tile
from owl_geo.ground.transformations import best_transformation, reproject
from owl_geo.ground.windows import Windows
from owl_geo.settings.concepts import LayerSettings
from owl_geo.sources.area import AreaOfInterest
from owl_geo.types import SceneGrid

# scene, datum of the layer, CRS of the layer, longitude, latitude
KINDS = [
    (32634, 4230, 23034, 23.7, 38.0),
    (25834, 4230, 23034, 23.7, 38.0),
    (3035, 4230, 4230, 23.7, 38.0),
    (7856, 4202, 20256, 151.0, -33.8),
    (32161, 4139, 4139, -66.5, 18.3),
]


def scene_at(code: int, lon: float, lat: float) -> Windows:
    x, y = Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat)
    grid = SceneGrid("s", f"EPSG:{code}", (10.0, 0.0, round(x), 0.0, -10.0, round(y)), 64, 64)
    return tile(grid, 16, 16).windows


def by_wgs84(points: np.ndarray, scene: int, datum: int, layer: int) -> np.ndarray:
    x, y = points.T
    for start, end in ((scene, 4326), (4326, datum), (datum, layer)):
        x, y = Transformer.from_crs(start, end, always_xy=True).transform(x, y)
    return np.stack([x, y], axis=-1)


@pytest.mark.parametrize(("scene", "datum", "layer", "lon", "lat"), KINDS)
def test_shares_rasters_and_the_area_of_interest_agree(
    scene: int, datum: int, layer: int, lon: float, lat: float, tmp_path: Path
) -> None:
    windows, crs = scene_at(scene, lon, lat), CRS.from_epsg(layer)
    patch = windows.footprints()[5]  # one in the middle
    ring = shapely.get_coordinates(shapely.segmentize(patch, 20))
    stored = shapely.Polygon(by_wgs84(ring, scene, datum, layer))
    polygons = PolygonLayer(np.array([stored]), crs, np.zeros(1, dtype=np.int64))
    expected = (np.arange(16) == 5).astype(np.float64)
    # newer versions of PROJ know a better way into AGD66 than by WGS 84, which is within 3 m
    near = 0.02 if layer == 20256 else 1e-3
    found = shares(windows.footprints(), polygons.onto(windows)[0])
    assert found == pytest.approx(expected, abs=near)
    path = tmp_path / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[stored], crs=crs).to_file(path)
    assert AreaOfInterest(path).contains_centres(windows).tolist() == expected.tolist()  # True is 1
    # a raster that is 1 there and 0 around it, of finer pixels
    west, south, east, north = stored.bounds
    size = max(east - west, north - south) / 40
    place = rasterio.Affine(size, 0, west - 40 * size, 0, -size, north + 40 * size)
    burnt = rasterio.features.rasterize([stored], (130, 130), transform=place).astype("uint8")
    raster = str(tmp_path / "a.tif")
    options = {"driver": "GTiff", "height": 130, "width": 130, "count": 1, "dtype": "uint8"}
    with rasterio.open(raster, "w", crs=crs, transform=place, **options) as dataset:
        dataset.write(burnt, 1)
    means = np.nan_to_num(rasters.mean(raster, windows))
    assert means == pytest.approx(expected, abs=0.06)


def test_there_and_back_is_the_same_way() -> None:
    near = (23.7, 38.0)
    points = np.array([[740_000.0, 4_210_000.0], [741_000.0, 4_211_000.0]])
    there = reproject(points, crs_of("EPSG:25834"), crs_of("EPSG:4230"), near)
    back = reproject(there, crs_of("EPSG:4230"), crs_of("EPSG:25834"), near)
    assert back == pytest.approx(points, abs=0.01)
    assert best_transformation(crs_of("EPSG:25834"), crs_of("EPSG:4230"), near).via == "EPSG:4326"


def test_what_proj_knows_itself_stays_its_own() -> None:
    for pair in (("EPSG:4283", "EPSG:7856"), ("EPSG:25832", "EPSG:32632")):
        change = best_transformation(*map(crs_of, pair), (9.0, 50.0))
        assert not change.via and not change.pipeline


@pytest.mark.parametrize("place", [(21.43, 42.0), (21.16, 42.66), (20.51, 43.14), (20.46, 44.8)])
@pytest.mark.parametrize("code", [3906, 6204, 6316])
def test_a_mistaken_operation_of_proj_is_not_taken(code: int, place: tuple[float, float]) -> None:
    """In Skopje, Pristina and Novi Pazar PROJ 9.5 takes one that is 1.6 km off; not in Belgrade."""
    crs, wgs84 = crs_of(f"EPSG:{code}"), crs_of("EPSG:4326")
    point = reproject(np.array([place]), crs_of("EPSG:3906"), crs)
    x, y = reproject(point, crs, wgs84, place)[0]
    right = reproject(np.array([place]), crs_of("EPSG:3906"), crs_of("EPSG:4258"))[0]
    assert Geod(ellps="WGS84").inv(x, y, *right)[2] < 3
    back = reproject(np.array([[x, y]]), wgs84, crs, place)
    assert back == pytest.approx(point, abs=3 if crs.is_projected else 3e-5)


def test_nor_for_a_part_of_a_scene_whose_middle_is_elsewhere() -> None:
    nis, novi_pazar = (21.9, 43.32), np.array([(20.51, 43.14)])
    datum, wgs84 = crs_of("EPSG:3906"), crs_of("EPSG:4326")
    x, y = reproject(novi_pazar, datum, wgs84, nis)[0]
    right = reproject(novi_pazar, datum, crs_of("EPSG:4258"))[0]
    assert Geod(ellps="WGS84").inv(x, y, *right)[2] < 3
    assert reproject(np.array([[x, y]]), wgs84, datum, nis) == pytest.approx(novi_pazar, abs=3e-5)


def test_nor_where_it_is_a_step_between_two_others() -> None:
    """Kosovo's own grid is ETRS89 but for decimetres; PROJ 9.5 goes there by way of MGI 1901."""
    place = (21.16, 42.66)
    moved = reproject(np.array([place]), crs_of("EPSG:9140"), crs_of("EPSG:4258"), place)[0]
    assert Geod(ellps="WGS84").inv(*place, *moved)[2] < 3


def test_an_accuracy_worse_than_a_pixel_is_said(caplog: pytest.LogCaptureFixture) -> None:
    windows = scene_at(25834, 23.7, 38.0)
    with caplog.at_level(logging.WARNING, "owl_geo"):
        warn_if_inaccurate("it", crs_of("EPSG:23034"), [windows, windows])
        warn_if_inaccurate("it", crs_of("EPSG:4326"), [windows])
    (message,) = caplog.messages
    assert message.endswith("to 11 m; a pixel of scene 's' is 10 m")


MARS = (
    'GEOGCRS["Mars",DATUM["Mars",ELLIPSOID["Mars",3396190,169.8]],CS[ellipsoidal,2],'
    'AXIS["lat",north],AXIS["lon",east],ANGLEUNIT["degree",0.0174532925199433]]'
)
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


@pytest.mark.parametrize("text", [MARS, LOCAL, "EPSG:4978"], ids=["Mars", "local", "geocentric"])
def test_a_crs_that_leads_nowhere_is_refused_at_each_door(text: str, tmp_path: Path) -> None:
    assert "its CRS" in leads_nowhere(CRS.from_user_input(text))
    vector, raster = tmp_path / "a.gpkg", str(tmp_path / "a.tif")
    box = shapely.box(5, 5, 6, 6)
    gpd.GeoDataFrame({"k": ["v"]}, geometry=[box], crs=text).to_file(vector)
    options = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "dtype": "uint8"}
    place = rasterio.Affine(1, 0, 5, 0, -1, 6)
    wkt = CRS.from_user_input(text).to_wkt()
    with rasterio.open(raster, "w", crs=wkt, transform=place, **options) as dataset:
        dataset.write(np.ones((1, 8, 8), dtype="uint8"))
    doors = (
        lambda: load(LayerSettings(path=str(vector)), ["k"]),
        lambda: AreaOfInterest(vector),
        lambda: open_layer(raster),
    )
    for door in doors:
        with pytest.raises(OwlError, match="CRS") as caught:
            door()
        assert "\n" not in str(caught.value)


def test_no_undefined_crs_of_a_geopackage_gets_in(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    gpd.GeoDataFrame({"k": ["v"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32631).to_file(path)
    with sqlite3.connect(path) as base:
        for table in ("gpkg_geometry_columns", "gpkg_contents"):
            base.execute(f"update {table} set srs_id = -1")
    with pytest.raises(LayerError, match=r"a\.gpkg has no CRS; assign one"):
        load(LayerSettings(path=str(path)), ["k"])
