"""The preset on real extracts, checked by independent arithmetic."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from concept_pools import box, index_of, scene, windows_of, write_layer
from pyproj import Geod, Transformer

from owl_geo.concepts.osm import read_osm
from owl_geo.concepts.preset import NEAR_METRES, osm_preset
from owl_geo.concepts.table import concept_table
from owl_geo.ground.footprints import footprints
from owl_geo.settings.concepts import LayerSettings
from owl_geo.settings.config import Settings
from owl_geo.settings.sources import SyntheticSettings
from owl_geo.types import SceneGrid

URBAN = [
    "residential",
    "commercial",
    "retail",
    "industrial",
    "garages",
    "construction",
    "railway",
    "education",
    "institutional",
    "religious",
]
FARMED = [
    "farmland",
    "farmyard",
    "meadow",
    "orchard",
    "vineyard",
    "plant_nursery",
    "greenhouse_horticulture",
    "animal_keeping",
    "aquaculture",
    "paddy",
]


def test_the_preset_is_a_valid_declaration() -> None:
    concepts = osm_preset("roads")
    Settings(
        source=SyntheticSettings(),
        layers={"roads": LayerSettings(path="a.osm.pbf")},
        concepts=concepts,
    )
    assert list(concepts) == ["land_cover", "dist_industrial", "urban", "near_industrial"]


def test_the_preset_on_one_row_of_patches(tmp_path: Path) -> None:
    path = write_layer(
        tmp_path / "a.gpkg",
        [box(0, k, 1, 1) for k in range(5)],
        landuse=["forest", None, "farmland", "industrial", "residential"],
        natural=[None, "water", None, None, None],
        man_made=[None, None, None, None, None],
    )
    row = scene(1, 60)
    found = concept_table(
        index_of([row]), windows_of([row]), osm_preset("osm"), {"osm": LayerSettings(path=path)}
    ).columns
    assert found["land_cover"][:6].tolist() == [
        *("forest", "water", "agricultural", "urban", "urban", "unknown")
    ]
    assert found["urban"].sum() == 2
    assert found["dist_industrial"][[0, 3, 5]].tolist() == pytest.approx([250, 0, 150], rel=1e-3)
    assert (found["near_industrial"] == (found["dist_industrial"] < NEAR_METRES)).all()
    assert 0 < found["near_industrial"].sum() < 60


def test_liechtenstein_against_plain_geopandas(test_data: Path) -> None:
    extract = str(test_data / "osm/liechtenstein-ogcapi.osm.pbf")
    country = scene(80, 40, crs="EPSG:2056", origin=(2_755_000.0, 1_237_000.0), pixel=10, size=32)
    index, windows = index_of([country], 32), windows_of([country], 32)
    found = concept_table(
        index, windows, osm_preset(), {"osm": LayerSettings(path=extract)}
    ).columns
    assert (found["land_cover"].value_counts() > 50).all() and len(found) == 3200

    keys = ("landuse", "natural", "water", "waterway", "man_made", "building", "power")
    features, _ = read_osm(extract, keys)
    is_polygon = features.geom_type.str.contains("Polygon")
    classes = {
        "forest": features["landuse"].eq("forest") | features["natural"].eq("wood"),
        "urban": features["landuse"].isin(URBAN),
        "water": features["natural"].isin(["water", "bay"])
        | (features["water"].notna() & features["water"].ne("no"))
        | features["waterway"].isin(["riverbank", "dock"])
        | features["landuse"].isin(["reservoir", "basin", "salt_pond"]),
        "agricultural": features["landuse"].isin(FARMED),
    }
    industry = features[
        features["landuse"].eq("industrial")
        | features["man_made"].isin(["works", "kiln"])
        | features["building"].isin(["industrial", "factory", "manufacture", "warehouse"])
        | features["power"].eq("plant")
    ]
    places = {"Vaduz": (9.5209, 47.1410), "Eschen": (9.5220, 47.2110), "Malbun": (9.6080, 47.1010)}
    polygons = footprints(windows).reset_index(drop=True)
    to_lv95 = Transformer.from_crs(4326, 2056, always_xy=True)
    to_lonlat = Transformer.from_crs(2056, 4326, always_xy=True)
    for lonlat in places.values():
        row = int(polygons.distance(shapely.Point(to_lv95.transform(*lonlat))).argmin())
        patch = polygons[row]
        areas = {
            name: features[rows & is_polygon]
            .geometry.make_valid()
            .to_crs(2056)
            .intersection(patch)
            .union_all()
            .area
            for name, rows in classes.items()
        }
        best = max(areas, key=lambda name: areas[name])
        assert found["land_cover"][row] == (best if areas[best] > 0 else "unknown")
        # every vertex of every edge, cut to a metre, and its geodesic
        edges = industry.geometry.to_crs(2056).segmentize(1).to_crs(4326)
        vertices = shapely.get_coordinates(edges.to_numpy())
        lon, lat = to_lonlat.transform(patch.centroid.x, patch.centroid.y)
        start = np.full(len(vertices), lon), np.full(len(vertices), lat)
        metres = Geod(ellps="WGS84").inv(*start, *vertices.T)[2].min()
        if industry.geometry.covers(shapely.Point(lon, lat)).any():
            metres = 0.0
        assert found["dist_industrial"][row] == pytest.approx(metres, rel=1e-3, abs=0.1)
        assert found["near_industrial"][row] == (metres < 2000)


def test_apartado_has_no_industry(test_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The tags of 206 polygons as columns of a shapefile in EPSG:4326, the scene in EPSG:3857."""
    with rasterio.open(test_data / "apartado/CO_001.tif") as dataset:
        transform, shape = tuple(dataset.transform)[:6], dataset.shape
        apartado = SceneGrid("apartado", dataset.crs.to_string(), transform, *shape)
    index, windows = index_of([apartado], 8), windows_of([apartado], 8)
    layer = str(test_data / "apartado/CO_001.shp")
    found = concept_table(index, windows, osm_preset(), {"osm": LayerSettings(path=layer)})
    covers = found.columns["land_cover"].value_counts()
    assert set(covers.index) == {"unknown", "agricultural", "urban"}
    assert found.columns["dist_industrial"].isna().all()
    assert not found.columns["near_industrial"].any()
    assert 0.9 < found.coverage["osm"] < 1
    assert "layer 'osm' has no feature with landuse=industrial" in caplog.text
    orchards = gpd.read_file(layer).query("landuse in ('orchard', 'farmland')").to_crs(3857)
    polygons = footprints(windows).reset_index(drop=True)
    shares = polygons.intersection(orchards.union_all()).area / polygons.area
    assert (found.columns["land_cover"][shares > 0.51] == "agricultural").all()
