"""Vector layers: OSM files by libosmium, other files by GDAL."""

from __future__ import annotations

import bz2
import gzip
import logging
from pathlib import Path

import geopandas as gpd
import osmium
import pyogrio
import pytest
import shapely
from concept_pools import box, osm_node, osm_relation, osm_way, write_layer, write_osm

from owl_geo.concepts.layers import load, read_layer
from owl_geo.concepts.osm import read_osm
from owl_geo.errors import LayerError
from owl_geo.settings.config import LayerSettings

SQUARE = "".join(
    osm_node(number, lon, lat)
    for number, (lon, lat) in enumerate([(9, 47), (9.1, 47), (9.1, 47.1), (9, 47.1)], start=1)
)
RING = (1, 2, 3, 4, 1)


def read(path: str | Path, *keys: str) -> gpd.GeoDataFrame:
    return read_layer(LayerSettings(path=str(path)), keys or None)


def kinds(features: gpd.GeoDataFrame) -> list[str]:
    return [kind.removeprefix("Multi") for kind in features.geom_type]


# --- OpenStreetMap --------------------------------------------------------------------------------


def test_osm_nodes_ways_and_areas(tmp_path: Path) -> None:
    body = (
        SQUARE
        + osm_node(5, 9.05, 47.2, man_made="works", name="x")
        + osm_way(10, RING, landuse="forest")
        + osm_way(11, (1, 2, 3), landuse="basin")
        + osm_way(12, RING, name="no wanted key")
    )
    features = read(write_osm(tmp_path / "a.osm", body), "landuse", "man_made")
    assert list(features.columns) == ["landuse", "man_made", "geometry"]
    assert kinds(features) == ["Point", "LineString", "Polygon"]
    assert features["landuse"].fillna("").tolist() == ["", "basin", "forest"]
    assert features["man_made"].fillna("").tolist() == ["works", "", ""]
    assert features.geometry[2].area == pytest.approx(0.01)
    assert features.crs == "EPSG:4326"


def test_osm_relations_have_holes(tmp_path: Path) -> None:
    inner = "".join(
        osm_node(number, lon, lat)
        for number, (lon, lat) in enumerate([(9.04, 47.04), (9.06, 47.04), (9.06, 47.06)], start=6)
    )
    body = (
        SQUARE
        + inner
        + osm_way(10, (1, 2, 3))
        + osm_way(11, (3, 4, 1))
        + osm_way(12, (6, 7, 8, 6))
        + osm_relation(20, [(10, "outer"), (11, "outer"), (12, "inner")], natural="wood")
    )
    features = read(write_osm(tmp_path / "a.osm", body), "natural")
    assert kinds(features) == ["Polygon"]
    assert features.geometry[0].area == pytest.approx(0.01 - 0.0002)


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"barrier": "fence"}, "LineString"),
        ({"barrier": "fence", "landuse": "industrial"}, "Polygon"),
        ({"barrier": "hedge", "area": "yes"}, "Polygon"),
        ({"landuse": "forest", "area": "no"}, "LineString"),
        ({"waterway": "stream"}, "LineString"),
        ({"waterway": "dock"}, "Polygon"),
    ],
)
def test_osm_closed_ways_cover_only_what_is_areal(
    tmp_path: Path, tags: dict[str, str], kind: str
) -> None:
    path = write_osm(tmp_path / "a.osm", SQUARE + osm_way(10, RING, **tags))
    assert kinds(read(path, "barrier", "landuse", "waterway")) == [kind]


def test_osm_bad_rings_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = (
        SQUARE
        + osm_way(10, (1, 2, 4, 3, 1), landuse="bow")
        + osm_way(11, (1, 2, 99), landuse="node missing")
        + osm_way(12, (1, 2, 1), landuse="two points")
        + osm_way(13, RING, landuse="good")
        + osm_relation(20, [(77, "outer")], landuse="way missing")
    )
    path = write_osm(tmp_path / "a.osm", body)
    with caplog.at_level(logging.WARNING, "owl_geo"):
        features = read(path, "landuse")
    assert features["landuse"].tolist() == ["good"]
    assert caplog.messages == [
        f"{path}: left out 4 ways or relations with broken or incomplete rings"
    ]


def test_osm_compressed_and_binary_files_hold_the_same(tmp_path: Path) -> None:
    body = SQUARE + osm_node(5, 9.05, 47.2, landuse="x") + osm_way(10, RING, landuse="forest")
    plain = Path(write_osm(tmp_path / "a.osm", body))
    (tmp_path / "a.osm.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "a.osm.bz2").write_bytes(bz2.compress(plain.read_bytes()))
    with osmium.SimpleWriter(str(tmp_path / "a.osm.pbf")) as writer:
        for entity in osmium.FileProcessor(str(plain)):
            writer.add(entity)
    wanted = read(plain, "landuse")
    for name in ("a.osm.gz", "a.osm.bz2", "a.osm.pbf"):
        found = read(tmp_path / name, "landuse")
        assert found["landuse"].tolist() == wanted["landuse"].tolist()
        assert shapely.equals(found.geometry, wanted.geometry).all()


def test_osm_extent_is_the_headers_or_that_of_the_features(tmp_path: Path) -> None:
    way = SQUARE + osm_way(10, RING, landuse="forest")
    bounds = "<bounds minlon='8' minlat='46' maxlon='10' maxlat='48'/>"
    with_box = LayerSettings(path=write_osm(tmp_path / "a.osm", bounds + way))
    assert load(with_box, ["landuse"]).extent.bounds == (8, 46, 10, 48)
    without = LayerSettings(path=write_osm(tmp_path / "b.osm", way))
    assert load(without, ["landuse"]).extent.bounds == pytest.approx((9, 47, 9.1, 47.1))


def test_osm_errors_are_one_line(tmp_path: Path) -> None:
    empty = write_osm(tmp_path / "empty.osm", SQUARE)
    with pytest.raises(LayerError, match=r"empty\.osm has no features with landuse, natural$"):
        read(empty, "landuse", "natural")
    with pytest.raises(LayerError, match="name the tags"):
        read(empty)
    with pytest.raises(LayerError, match="has no layers"):
        read_layer(LayerSettings(path=empty, layer="lines"), ["landuse"])
    with pytest.raises(LayerError, match="does not exist"):
        read(tmp_path / "none.osm.pbf", "landuse")
    for name in ("text.osm", "text.osm.pbf", "text.osm.gz", "text.osm.bz2"):
        (tmp_path / name).write_text("no map at all\n")
        with pytest.raises(LayerError, match=r"is not an OSM file, or is damaged") as caught:
            read(tmp_path / name, "landuse")
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_osm_real_extracts(test_data: Path) -> None:
    """GDAL's driver stops at a bad ring of the first file."""
    features, bounds = read_osm(str(test_data / "osm/test.osm.pbf"), ["landuse", "building"])
    assert len(features) > 2000 and bounds is not None
    features, _ = read_osm(str(test_data / "osm/krems.osm.gz"), ["landuse", "building"])
    assert features.intersects(shapely.box(15.59, 48.38, 15.68, 48.42)).mean() > 0.9
    features, _ = read_osm(str(test_data / "osm/liechtenstein-ogcapi.osm.pbf"), ["landuse"])
    counts = features["landuse"].value_counts()
    assert (counts[["industrial", "farmland", "forest"]] >= [70, 590, 320]).all()
    assert features.is_valid.all()


# --- everything that GDAL reads -------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson", ".fgb"])
def test_gdal_formats(tmp_path: Path, suffix: str) -> None:
    crs = "EPSG:4326" if suffix == ".geojson" else "EPSG:32632"
    path = write_layer(
        tmp_path / f"a{suffix}", [box(0, 0, 1, 1)], crs, LandUse=["forest"], other=["x"]
    )
    features = read(path, "landuse", "missing")
    assert list(features.columns) == ["landuse", "geometry"]
    assert features["landuse"].tolist() == ["forest"]
    assert features.crs == crs
    assert "other" in read(path).columns and "LandUse" in read(path).columns


def test_an_exact_name_comes_before_one_in_another_case(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.geojson", [shapely.Point(0, 0)], 4326, A=["big"], a=["small"])
    assert read(path, "a")["a"].tolist() == ["small"]
    assert read(path, "A")["A"].tolist() == ["big"]


def test_a_shapefile_cuts_names_to_ten_letters(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.shp", [box(0, 0, 1, 1)], admin_leve=["8"])
    assert read(path, "admin_level")["admin_level"].tolist() == ["8"]


def test_tags_that_gdal_put_into_other_tags(tmp_path: Path) -> None:
    text = ['"power"=>"plant","name"=>"a \\"b\\", c"', '"highpower"=>"no"', None]
    path = write_layer(tmp_path / "a.gpkg", [box(0, 0, 1, 1)] * 3, other_tags=text)
    features = read(path, "power", "name", "landuse")
    assert features["power"].fillna("").tolist() == ["plant", "", ""]
    assert features["name"].notna().tolist() == [True, False, False]
    assert "landuse" not in features.columns


def test_broken_text_is_read_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = gpd.GeoDataFrame({"name": ["Straße"], "n": [1]}, geometry=[box(0, 0, 1, 1)], crs=32632)
    frame.to_file(tmp_path / "a.shp", encoding="ISO-8859-1")
    (tmp_path / "a.cpg").write_text("UTF-8")  # a lie
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert read(tmp_path / "a.shp", "name")["name"].tolist() == ["Straße"]
    assert len(caplog.messages) == 1 and "broken text" in caplog.messages[0]


def test_invalid_polygons_are_repaired_and_empty_ones_dropped(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    path = write_layer(tmp_path / "a.gpkg", [bow, None, shapely.Polygon(), box(0, 0, 1, 1)])
    features = read(path)
    assert features.is_valid.all() and features.area.tolist() == pytest.approx([2, 10_000])


def test_heights_are_forgotten(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.gpkg", [shapely.Point(1, 2, 3)])
    assert not read(path).has_z.any()


def test_several_layers_need_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[box(0, 0, 1, 1)], crs=32632)
    frame.to_file(path, layer="roads")
    pyogrio.write_dataframe(frame[["n"]], path, layer="notes")
    assert len(read(path)) == 1  # a table without geometry is no choice
    frame.to_file(path, layer="woods")
    with pytest.raises(LayerError, match="has several layers: roads, woods; name one"):
        read(path)
    assert len(read_layer(LayerSettings(path=str(path), layer="woods"), [])) == 1
    with pytest.raises(LayerError, match="no layer 'wood'; did you mean 'woods'"):
        read_layer(LayerSettings(path=str(path), layer="wood"), [])


def test_gdal_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"has no CRS; assign one"):
        read(write_layer(tmp_path / "a.shp", [box(0, 0, 1, 1)], None))
    with pytest.raises(LayerError, match=r"b\.gpkg has no features$"):
        read(write_layer(tmp_path / "b.gpkg", [shapely.Polygon()]))
    (tmp_path / "c.gpkg").write_text("no map at all\n")
    for name, said in (("c.gpkg", "cannot read the layer"), ("d.gpkg", "does not exist; did you")):
        with pytest.raises(LayerError, match=said) as caught:
            read(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_apartado_columns_and_encoding(test_data: Path) -> None:
    features = read(test_data / "apartado/CO_001.shp")
    assert len(features) == 206 and features.is_valid.all()
    assert features["landuse"].value_counts()["grass"] == 20
