"""Vector layers and OSM extracts of any kind: what is in them, or one line."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasters import UTM, coordinates, write_raster
from strangers import Owl, Said

from owl_geo import Run

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

# a triangle in the scene of 32 x 32 pixels of 10 m
RING = [[3.0001, 51.4499], [3.003, 51.4499], [3.003, 51.448], [3.0001, 51.4499]]
OSM = (
    '<?xml version="1.0"?><osm version="0.6">'
    '<node id="1" lat="51.4499" lon="3.0001"/><node id="2" lat="51.4499" lon="3.003"/>'
    '<node id="3" lat="51.448" lon="3.003"/>'
    '<way id="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="1"/>'
    '<tag k="landuse" v="forest"/></way></osm>'
)


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    write_raster(tmp_path / "scene.tif", coordinates(32, 32, 2))
    return Owl(tmp_path, capfd)


def with_layer(owl: Owl, name: str, content: str | bytes | None, *options: object) -> Said:
    """Make a run with three concepts of a layer."""
    path = owl.folder / name
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (owl.folder / "config.toml").write_text(
        f"[layers.ground]\npath = {json.dumps(str(path))}\n"
        '[concepts.far]\nkind = "distance"\nlayer = "ground"\nwhere = ["landuse"]\n'
        '[concepts.share]\nkind = "share"\nlayer = "ground"\nwhere = ["landuse"]\n'
        '[concepts.cover]\nkind = "category"\nlayer = "ground"\ncolumn = "landuse"\n',
        encoding="utf-8",
    )
    return owl.init(owl.folder / "scene.tif", "--config", owl.folder / "config.toml", *options)


def covered(owl: Owl) -> float:
    """Return how many patches' worth of ground the layer covers."""
    return float(Run(owl.folder / "run").patches["share"].sum())


# --- OSM ------------------------------------------------------------------------------------------

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    + ']><osm version="0.6"><node id="1" lat="1" lon="1"><tag k="landuse" v="&a9;"/></node></osm>'
)
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<osm version="0.6"><node id="1" lat="51" lon="3"><tag k="landuse" v="&a;"/></node></osm>'
)
BAD_OSM: dict[str, tuple[str, str | bytes]] = {
    "nothing": ("a.osm", ""),
    "cut off": ("a.osm", OSM[:-40]),
    "an XML bomb": ("a.osm", BOMB),
    "an external entity": ("a.osm", EXTERNAL),
    "nested without end": ("a.osm", '<osm version="0.6">' + "<a>" * 10**5 + "</a>" * 10**5),
    "a tag of 10,000 characters": ("a.osm", OSM.replace("forest", "x" * 10_000)),
    "a control character": ("a.osm", OSM.replace("forest", "a&#1;b")),
    "a latitude that is none": ("a.osm", OSM.replace("51.448", "nan")),
    "an old version": ("a.osm", OSM.replace("0.6", "0.5")),
    "a way twice": ("a.osm", OSM.replace("</osm>", OSM[OSM.index("<way") :])),
    "an empty .pbf": ("a.osm.pbf", b""),
    "noise": ("a.osm.pbf", np.random.default_rng(0).bytes(3000)),
    "XML named .pbf": ("a.osm.pbf", OSM),
    "a cut off .gz": ("a.osm.gz", gzip.compress(OSM.encode())[:-20]),
    "a gzip bomb of blanks": ("a.osm.gz", gzip.compress(b" " * 10**7)),
    "bounds beyond the world": (
        "a.osm",
        OSM.replace("<node", '<bounds minlat="0" minlon="0" maxlat="1" maxlon="450"/><node', 1),
    ),
}


@pytest.mark.parametrize("name", BAD_OSM)
def test_a_broken_extract_is_refused_in_one_line(name: str, owl: Owl) -> None:
    file, content = BAD_OSM[name]
    assert "is not an OSM file, or is damaged" in with_layer(owl, file, content).refusal()


@pytest.mark.parametrize(
    "content",
    [
        OSM,
        OSM.replace("forest", "&lt;b&gt;'; DROP TABLE batch; -- &quot;&#x1F989;"),
        OSM.replace(
            "</osm>", '<node id="9" lat="95" lon="3"><tag k="landuse" v="a"/></node></osm>'
        ),
    ],
    ids=["plain", "hostile text", "a node beyond the pole"],
)
def test_the_triangle_of_an_extract_is_found_whatever_is_beside_it(content: str, owl: Owl) -> None:
    with_layer(owl, "a.osm", content).done()
    assert covered(owl) == pytest.approx(triangle(), rel=0.01)


def test_a_relation_with_a_member_of_the_number_0_does_not_end_the_process(owl: Owl) -> None:
    content = (
        '<osm version="0.6"><way id="0"><nd ref="1"/><nd ref="2"/></way><relation id="1">'
        '<member type="way" ref="0" role="outer"/><tag k="type" v="multipolygon"/>'
        '<tag k="landuse" v="meadow"/></relation></osm>'
    )
    assert "has no features with landuse" in with_layer(owl, "a.osm", content).refusal()


def triangle() -> float:
    """The triangle's area within the scene, in patches of 8 x 8 pixels."""
    return area_within(shapely.Polygon(RING))


def area_within(shape: shapely.Polygon) -> float:
    there = gpd.GeoSeries([shape], crs="EPSG:4326").to_crs(UTM)
    scene = shapely.box(500_000, 5_699_680, 500_320, 5_700_000)
    return float(there.intersection(scene).area.iloc[0] / 6400)


# --- GeoJSON --------------------------------------------------------------------------------------


def polygon(ring: list[Any]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def geojson(*geometries: dict[str, Any] | None, **further: Any) -> str:
    features = [
        {"type": "Feature", "properties": {"landuse": "forest"}, "geometry": one}
        for one in geometries
    ]
    return json.dumps({"type": "FeatureCollection", "features": features, **further})


TRIANGLE = polygon(RING)
TURNS = np.linspace(0, 2 * np.pi, 100_000)[:-1]
# a star of 100,000 corners
STAR = np.stack([3.0015 + 1e-3 * np.cos(TURNS), 51.449 + 5e-4 * np.sin(TURNS)], axis=1)
STAR += 2e-4 * np.sin(50 * TURNS)[:, None] * np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)

BESIDE: dict[str, dict[str, Any] | None] = {
    "null": None,
    "nothing": {"type": "Polygon", "coordinates": []},
    "a ring that is not closed": polygon(RING[:-1]),
    "a ring of two points": polygon(RING[:2]),
    "not-a-number": polygon([[float("nan"), 51.449], *RING]),
    "far beyond the Earth": polygon([[3, 51.45], [1e300, 51.45], [3, 1e300], [3, 51.45]]),
    "beyond the poles": polygon([[3.1, 95], [3.2, 95], [3.2, -95], [3.1, 95]]),
    "across the date line": polygon([[179, -2], [181, -2], [181, -1], [179, -2]]),
    "a collection": {"type": "GeometryCollection", "geometries": [TRIANGLE]},
    "a point": {"type": "Point", "coordinates": [3.001, 51.4495]},
    "a line": {"type": "LineString", "coordinates": RING[:2]},
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_good_polygon_is_found_beside_a_bad_one(name: str, owl: Owl) -> None:
    with_layer(owl, "a.geojson", geojson(BESIDE[name], TRIANGLE)).done()
    assert covered(owl) == pytest.approx(triangle(), rel=0.01)


def test_a_polygon_of_100000_corners_has_its_area(owl: Owl) -> None:
    ring = STAR.tolist()
    with_layer(owl, "a.geojson", geojson(polygon([*ring, ring[0]]))).done()
    assert covered(owl) == pytest.approx(area_within(shapely.Polygon(STAR)), rel=1e-3)


BAD_GEOJSON = {
    "cut off": geojson(TRIANGLE)[:-30],
    "nothing": "",
    "no features": geojson(),
    "null alone": geojson(None),
    "a ring that is not closed alone": geojson(polygon(RING[:-1])),
    "a number too large": geojson(TRIANGLE).replace("51.448]", "1e400]"),
    "nested without end": '{"type":"FeatureCollection","features":' + "[" * 10**5 + "]" * 10**5,
    "metres that are said to be degrees": geojson(
        polygon([[5e5, 57e5], [5.003e5, 57e5], [5.003e5, 56.997e5], [5e5, 57e5]])
    ),
}


@pytest.mark.parametrize("name", BAD_GEOJSON)
def test_a_broken_layer_is_refused_in_one_line(name: str, owl: Owl) -> None:
    assert "a.geojson" in with_layer(owl, "a.geojson", BAD_GEOJSON[name]).refusal().replace(
        "'ground'", "a.geojson"
    )


# --- GeoPackage, Shapefile, others ----------------------------------------------------------------


def test_a_geopackage_is_known_by_its_tables_and_gdal_does_not_chatter(owl: Owl) -> None:
    """GDAL warns of a database whose header does not call it a GeoPackage."""
    frame = gpd.GeoDataFrame({"landuse": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM)
    frame.set_geometry([shapely.box(500_000, 5_699_800, 500_100, 5_699_900)]).to_file(
        owl.folder / "ground.gpkg"
    )
    for name, change in (("ground", "PRAGMA application_id = 0"), ("a", "CREATE TABLE t (a)")):
        with closing(sqlite3.connect(owl.folder / f"{name}.gpkg")) as database, database:
            database.execute(change)
    assert "GeoPackage tables" in with_layer(owl, "a.gpkg", None).refusal()
    with_layer(owl, "ground.gpkg", None).done()


def test_a_damaged_geopackage_is_refused(owl: Owl) -> None:
    frame = gpd.GeoDataFrame({"landuse": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM)
    frame.to_file(owl.folder / "good.gpkg")
    good = (owl.folder / "good.gpkg").read_bytes()
    noise = np.random.default_rng(0).bytes(len(good))
    for content in (good[:5000], good[:-4096], good[:100] + noise[100:], noise, b""):
        with_layer(owl, "a.gpkg", content).refusal()


def test_a_shapefile_without_its_index_or_with_noise_for_one_is_refused(owl: Owl) -> None:
    frame = gpd.GeoDataFrame({"landuse": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM)
    frame.to_file(owl.folder / "good.shp")
    content = (owl.folder / "good.shp").read_bytes()
    assert ".shx" in with_layer(owl, "a.shp", content).refusal()
    (owl.folder / "a.shx").write_bytes(b"noise")
    assert ".shx" in with_layer(owl, "a.shp", content).refusal()


OTHERS = {
    "a.csv": "landuse,b\n1,2\n",
    "a.gml": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a.vrt": (
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    ),
    "a.kml": "<kml><Document><Placemark><Point><coordinates>a,b</coordinates></Point>",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_refused_where_they_hold_nothing(name: str, owl: Owl) -> None:
    assert "root:" not in with_layer(owl, name, OTHERS[name]).refusal()


def test_pipes_are_not_waited_for(owl: Owl) -> None:
    os.mkfifo(owl.folder / "pipe.gpkg")
    os.mkfifo(owl.folder / "pipe.osm")
    assert "is not a file" in with_layer(owl, "pipe.gpkg", None).refusal()
    assert "is not a file" in with_layer(owl, "pipe.osm", None).refusal()
    scene = owl.folder / "scene.tif"
    for option in ("--aoi", "--oracle"):
        assert "is not a file" in owl.init(scene, option, owl.folder / "pipe.gpkg").refusal()


@pytest.mark.parametrize("option", ["--aoi", "--oracle"])
def test_areas_and_truths_of_every_bad_kind_are_refused(option: str, owl: Owl) -> None:
    path = owl.folder / "a.geojson"
    for name in ("cut off", "nothing", "no features", "null alone", "nested without end"):
        path.write_text(BAD_GEOJSON[name], encoding="utf-8")
        owl.init(owl.folder / "scene.tif", option, path).refusal()
    owl.init(owl.folder / "scene.tif", option, "/etc/passwd").refusal()


@pytest.mark.parametrize("name", [name for name in BESIDE if name != "a line"])
def test_an_area_of_interest_counts_beside_what_is_none(name: str, owl: Owl) -> None:
    path = owl.folder / "a.geojson"
    path.write_text(geojson(BESIDE[name], TRIANGLE), encoding="utf-8")
    owl.init(owl.folder / "scene.tif", "--aoi", path).done()
    assert 0 < len(Run(owl.folder / "run").patches) < 16
