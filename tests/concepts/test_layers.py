"""Vector layers: OSM files by libosmium, other files by GDAL."""

from __future__ import annotations

import bz2
import gzip
import logging
import shutil
import warnings
import zipfile
from pathlib import Path

import geopandas as gpd
import osmium
import pandas as pd
import pyogrio
import pytest
import shapely
from concept_pools import box, osm_node, osm_relation, osm_way, write_layer, write_osm
from pyproj import CRS
from shapely.geometry import Point

from owl_geo.concepts.layers import load
from owl_geo.concepts.osm import read_osm
from owl_geo.errors import LayerError
from owl_geo.settings.concepts import LayerSettings
from owl_geo.wording import as_typed

SQUARE = "".join(
    osm_node(number, lon, lat)
    for number, (lon, lat) in enumerate([(9, 47), (9.1, 47), (9.1, 47.1), (9, 47.1)], start=1)
)
RING = (1, 2, 3, 4, 1)


def read(path: str | Path, *keys: str) -> gpd.GeoDataFrame:
    return load(LayerSettings(path=str(path)), keys or None).features


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


def test_osm_features_across_the_antimeridian_stay_in_one_piece(tmp_path: Path) -> None:
    corners = [(179.9, -17.1), (-179.9, -17.1), (-179.9, -17.0), (179.9, -17.0)]
    ends = [(-180.0, 60.0), (180.0, 60.0), (-100.0, 10.0), (100.0, 20.0), (10.0, 5.0)]
    body = (
        "".join(osm_node(n, lon, lat) for n, (lon, lat) in enumerate(corners + ends, start=1))
        + osm_way(10, (1, 2), landuse="ferry")
        + osm_way(11, (1, 2, 3, 4, 1), landuse="forest")
        + osm_way(12, (5, 6), landuse="world")
        + osm_way(13, (7, 9, 8), landuse="wide")
    )
    features = read(write_osm(tmp_path / "a.osm", body), "landuse").set_index("landuse")
    spans = features.bounds[["minx", "maxx"]].round(6)
    assert spans.loc["ferry"].tolist() == spans.loc["forest"].tolist() == [179.9, 180.1]
    assert features.area["forest"] == pytest.approx(0.2 * 0.1)
    assert spans.loc["world"].tolist() == [-180, 180]
    assert spans.loc["wide"].tolist() == [-100, 100]


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


def shape_of(tmp_path: Path, *asked: str, **tags: str) -> str:
    path = write_osm(tmp_path / "a.osm", SQUARE + osm_way(10, RING, **tags))
    (kind,) = kinds(read(path, *(asked or tags)))
    return kind


@pytest.mark.parametrize(
    "tag",
    [
        *("railway=station", "railway=platform", "railway=roundhouse", "railway=turntable"),
        *("highway=services", "highway=rest_area", "highway=platform", "aerialway=station"),
        *("public_transport=platform", "waterway=dock", "waterway=dam", "power=substation"),
        *("aeroway=apron", "natural=bay", "man_made=pier", "barrier=hedge", "leisure=park"),
        *("boundary=administrative", "disused:railway=station", "building:part=yes"),
    ],
)
def test_osm_closed_ways_that_are_areas(tmp_path: Path, tag: str) -> None:
    key, value = tag.split("=")
    assert shape_of(tmp_path, **{key: value}) == "Polygon"
    assert shape_of(tmp_path, key, **{key: value, "area": "no"}) == "LineString"


@pytest.mark.parametrize(
    "tag",
    [
        *("railway=rail", "highway=residential", "highway=pedestrian", "aerialway=gondola"),
        *("aeroway=taxiway", "aeroway=runway", "natural=arete", "natural=coastline"),
        *("waterway=river", "power=line", "barrier=fence", "leisure=track", "indoor=wall"),
        *("man_made=pipeline", "junction=roundabout", "route=ferry", "disused:railway=rail"),
        *("building=no", "name=Ring"),
    ],
)
def test_osm_closed_ways_that_are_lines(tmp_path: Path, tag: str) -> None:
    key, value = tag.split("=")
    assert shape_of(tmp_path, **{key: value}) == "LineString"
    assert shape_of(tmp_path, key, **{key: value, "area": "yes"}) == "Polygon"


def test_osm_closed_ways_are_what_the_requested_tags_make_of_them(tmp_path: Path) -> None:
    lawn = {"highway": "residential", "landuse": "grass", "name": "Ring"}
    assert shape_of(tmp_path, "highway", **lawn) == "LineString"
    assert shape_of(tmp_path, "landuse", **lawn) == "Polygon"
    assert shape_of(tmp_path, "highway", "landuse", **lawn) == "Polygon"
    assert shape_of(tmp_path, "name", **lawn) == "Polygon"  # says nothing, so that all tags count


def test_osm_bad_rings_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = (
        SQUARE
        + osm_way(10, (1, 2, 4, 3, 1), landuse="bow")
        + osm_way(12, (1, 2, 1), landuse="two points")
        + osm_way(13, RING, landuse="good")
        + osm_way(14, (1, 2, 3))
        + osm_relation(20, [(14, "outer")], landuse="not closed")
    )
    path = write_osm(tmp_path / "a.osm", body)
    with caplog.at_level(logging.WARNING, "owl_geo"):
        features = read(path, "landuse")
    assert features["landuse"].tolist() == ["good"]
    assert caplog.messages == [
        f"{path}: left out 3 ways or relations with broken or incomplete rings "
        "(way 10, way 12, relation 20)"
    ]


def test_osm_extracts_that_were_cut_say_what_they_lack(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = (
        SQUARE
        + osm_way(10, (1, 2, 3))
        + osm_way(11, (1, 2, 99, 3, 4), landuse="line in two pieces")
        + osm_way(12, (1, 2, 99, 98), landuse="line that goes on")
        + osm_way(13, (99, 1, 98), landuse="one node")
        + osm_way(14, (1, 2, 99, 1), landuse="area")
        + osm_way(15, RING, landuse="whole")
        + osm_relation(20, [(10, "outer"), (77, "outer")], landuse="half an area")
        + osm_relation(21, [(15, "outer")], natural="whole")
    )
    path = write_osm(tmp_path / "a.osm", body)
    with caplog.at_level(logging.WARNING, "owl_geo"):
        features = read(path, "landuse", "natural")
    assert features["landuse"].fillna("").tolist() == [
        "line in two pieces",
        "line that goes on",
        "",
        "whole",
    ]
    assert features.length[0] == pytest.approx(0.2) and features.length[1] == pytest.approx(0.1)
    (message,) = caplog.messages
    assert message.startswith(
        f"{path} lacks parts of some features (5), probably because it was cut there"
    )
    assert "(way 11, way 12, way 13, way 14, relation 20)" in message


def test_osm_all_forms_of_a_file_hold_the_same(tmp_path: Path) -> None:
    body = SQUARE + osm_node(5, 9.05, 47.2, landuse="x") + osm_way(10, RING, landuse="forest")
    plain = Path(write_osm(tmp_path / "a.osm", body))
    (tmp_path / "a.osm.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "a.osm.bz2").write_bytes(bz2.compress(plain.read_bytes()))
    (tmp_path / "export.xml").write_bytes(plain.read_bytes())
    for name in ("a.osm.pbf", "a.pbf", "a.opl", "A.OPL.gz"):
        with osmium.SimpleWriter(str(tmp_path / name.lower())) as writer:
            for entity in osmium.FileProcessor(str(plain)):
                writer.add(entity)
        (tmp_path / name.lower()).rename(tmp_path / name)
    (tmp_path / "a.o5m").write_bytes(_o5m())
    wanted = read(plain, "landuse")
    for path in sorted(tmp_path.iterdir()):
        found = read(path, "landuse")
        assert found["landuse"].tolist() == wanted["landuse"].tolist(), path
        assert shapely.equals(found.geometry, wanted.geometry).all()


def test_osm_objects_in_overpass_order_are_read_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """``out body; >; out skel qt;`` gives nodes after ways, and tagged nodes twice."""
    body = (
        osm_node(4, 9, 47.1, landuse="x")
        + osm_way(10, RING, landuse="forest")
        + osm_relation(20, [(11, "outer")], landuse="farm")
        + osm_node(4, 9, 47.1)
        + SQUARE.replace(osm_node(4, 9, 47.1), "")
        + osm_way(11, RING)
        + osm_way(10, RING)
    )
    features = read(write_osm(tmp_path / "a.osm", body), "landuse")
    assert sorted(features["landuse"]) == ["farm", "forest", "x"]
    assert sorted(features.area.round(9)) == [0, 0.01, 0.01]
    places = [(1, 9, 47), (2, 9.1, 47), (3, 9.1, 47.1), (1, 9, 47)]
    within = "".join(f"<nd ref='{n}' lon='{lon}' lat='{lat}'/>" for n, lon, lat in places)
    way = f"<way id='10'>{within}<tag k='landuse' v='forest'/></way>"  # as out geom has it
    (polygon,) = read(write_osm(tmp_path / "b.osm", way), "landuse").geometry
    assert polygon.area == pytest.approx(0.005)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.osm", "<osm version='0.6'><way id='1'><center lat='47' lon='9'/></way></osm>"),
        (
            "a.osm",
            "<osm version='0.6'><relation id='1'><center lat='47' lon='9'/></relation></osm>",
        ),
        (
            "a.osm",
            "<osm version='0.6'><relation id='1'><member type='way' ref='1' role='outer'>"
            "<nd lat='47' lon='9'/></member></relation></osm>",
        ),
        ("a.json", '{"version": 0.6, "generator": "Overpass API 0.7.62", "elements": []}'),
    ],
    ids=["centres of ways", "centres of relations", "members with outlines", "JSON"],
)
def test_what_overpass_writes_for_other_programs_is_named(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(LayerError, match="Overpass") as told:
        read(tmp_path / name, "landuse")
    assert "ask Overpass for [out:xml] and `out body; >; out skel qt;`" in told.value.remedy


def test_a_layer_of_several_kinds_of_geometry_with_heights_says_what_to_do(tmp_path: Path) -> None:
    """pyogrio refuses it by the number of its type; GML has such layers wherever it has heights."""
    shapes = (
        "<gml:Point{}><gml:pos>500000 5000000 5</gml:pos></gml:Point>",
        "<gml:LineString{}><gml:posList>500000 5000000 5 500100 5000000 6</gml:posList>"
        "</gml:LineString>",
    )
    about = ' srsName="urn:ogc:def:crs:EPSG::32632" srsDimension="3"'
    members = "".join(
        f"<gml:featureMember><t:a><t:landuse>x</t:landuse><t:g>{shape.format(about)}</t:g></t:a>"
        "</gml:featureMember>"
        for shape in shapes
    )
    (tmp_path / "a.gml").write_text(
        '<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" xmlns:t="http://t.org" '
        f'xmlns:gml="http://www.opengis.net/gml">{members}</wfs:FeatureCollection>',
        encoding="utf-8",
    )
    with pytest.raises(LayerError, match=r"with heights or measures, .* with ogr2ogr -dim XY"):
        read(tmp_path / "a.gml", "landuse")


def test_a_folder_of_geoparquet_says_why_it_is_not_read(tmp_path: Path) -> None:
    for name, crs in (("a", 32631), ("b", 32632)):
        frame = gpd.GeoDataFrame(geometry=[shapely.Point(5e5, 5e6)], crs=crs)
        frame.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(LayerError, match=r"zone 31N in a\.parquet .* zone 32N in b\.parquet"):
        read(tmp_path, "landuse")
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / "0.json").write_text("{}", encoding="utf-8")
    with pytest.raises(LayerError, match="a table of Delta Lake, which keeps earlier versions"):
        read(tmp_path, "landuse")


def _o5m() -> bytes:
    """The same file in a format that osmium reads and does not write."""

    def number(value: int) -> bytes:
        parts = [value & 0x7F]
        while value := value >> 7:
            parts.append(value & 0x7F)
        return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])

    def delta(value: int) -> bytes:
        return number(value << 1 if value >= 0 else (-value << 1) - 1)

    def dataset(kind: int, content: bytes) -> bytes:
        return bytes([kind]) + number(len(content)) + content

    nodes, last = b"", (0, 0)
    places = [(9, 47, b""), (9.1, 47, b""), (9.1, 47.1, b""), (9, 47.1, b"")]
    for lon, lat, tags in [*places, (9.05, 47.2, b"\0landuse\0x\0")]:
        x, y = round(lon * 1e7), round(lat * 1e7)
        nodes += dataset(0x10, delta(1) + b"\0" + delta(x - last[0]) + delta(y - last[1]) + tags)
        last = x, y
    refs = b"".join(map(delta, (1, 1, 1, 1, -3)))
    way = delta(10) + b"\0" + number(len(refs)) + refs + b"\0landuse\0forest\0"
    return b"\xff\xe0\x04o5m2" + nodes + b"\xff" + dataset(0x11, way) + b"\xfe"


def test_osm_histories_and_changes_are_refused(tmp_path: Path) -> None:
    moved = SQUARE + osm_node(4, 9, 47.2)
    way = osm_way(10, RING, landuse="forest")
    twice = write_osm(tmp_path / "twice.osm", moved + way)
    gone = osm_way(11, (), landuse="farm").replace("<way ", "<way visible='false' ")
    with_deleted = write_osm(tmp_path / "deleted.osm", SQUARE + way + gone)
    named = Path(write_osm(tmp_path / "a.osm", SQUARE + way)).rename(tmp_path / "a.osh")
    with osmium.SimpleWriter(str(tmp_path / "a.osh.pbf")) as writer:
        for entity in osmium.FileProcessor(twice):
            writer.add(entity)
    renamed = shutil.copy(tmp_path / "a.osh.pbf", tmp_path / "renamed.osm.pbf")
    for path in (twice, with_deleted, named, tmp_path / "a.osh.pbf", renamed):
        with pytest.raises(LayerError, match=r"is a history file, .* osmium time-filter"):
            read(path, "landuse")
    (tmp_path / "a.osc.gz").write_bytes(b"")
    with pytest.raises(LayerError, match="holds changes to a map, not a map"):
        read(tmp_path / "a.osc.gz", "landuse")


@pytest.mark.parametrize("suffix", [".osm", ".xml", ".osm.gz", ".osm.bz2"])
def test_osm_objects_that_an_editor_has_deleted_are_left_out(tmp_path: Path, suffix: str) -> None:
    """JOSM keeps them in its files, marked so, until they are uploaded."""
    body = (
        SQUARE
        + osm_node(7, 9.05, 47.05, landuse="node")
        + osm_node(8, 9.05, 47.05, landuse="deleted node")
        + osm_way(10, RING, landuse="way")
        + osm_way(11, RING, landuse="deleted way")
        + osm_way(12, (1, 2, 3), landuse="deleted line")
        + osm_way(13, RING)
        + osm_relation(20, [(13, "outer")], landuse="relation")
        + osm_relation(21, [(13, "outer")], landuse="deleted relation")
    )
    for kind, number in (("node", 8), ("way", 11), ("way", 12), ("relation", 21)):
        was = f"<{kind} id='{number}'"
        assert was in body
        body = body.replace(was, f"<{kind} visible='true' id='{number}' action='delete'")
    body = body.replace("<way id='10'", "<way id='10' action='modify'")
    text = f"<osm version='0.6' generator='JOSM'>{body}</osm>".encode()
    path = tmp_path / f"a{suffix}"
    packed = {".osm.gz": gzip.compress, ".osm.bz2": bz2.compress}
    path.write_bytes(packed.get(suffix, bytes)(text))
    assert sorted(read(path, "landuse")["landuse"]) == ["node", "relation", "way"]
    # ways before nodes, as Overpass may write them
    other = text.replace(SQUARE.encode(), b"").replace(b"</osm>", SQUARE.encode() + b"</osm>")
    path.write_bytes(packed.get(suffix, bytes)(other))
    assert sorted(read(path, "landuse")["landuse"]) == ["node", "relation", "way"]


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
        load(LayerSettings(path=empty, layer="lines"), ["landuse"])
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
    path = write_layer(
        tmp_path / f"a{suffix}", [box(0, 0, 1, 1)], "EPSG:32632", LandUse=["forest"], other=["x"]
    )
    features = read(path, "landuse", "missing")
    assert list(features.columns) == ["landuse", "geometry"]
    assert features["landuse"].tolist() == ["forest"]
    assert features.crs == "EPSG:32632"
    assert "other" in read(path).columns and "LandUse" in read(path).columns


def test_an_exact_name_comes_before_one_in_another_case(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.geojson", [shapely.Point(0, 0)], 4326, A=["big"], a=["small"])
    assert read(path, "a")["a"].tolist() == ["small"]
    assert read(path, "A")["A"].tolist() == ["big"]


def test_a_shapefile_cuts_names_to_ten_letters(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.shp", [box(0, 0, 1, 1)], admin_leve=["8"])
    assert read(path, "admin_level")["admin_level"].tolist() == ["8"]


def test_a_name_that_a_shapefile_may_have_cut_from_several_is_refused(tmp_path: Path) -> None:
    columns = {"landuse_then": ["a"], "landuse_there": ["b"], "ownership_kind": ["c"]}
    frame = gpd.GeoDataFrame(columns, geometry=[box(0, 0, 1, 1)], crs="EPSG:4326")
    path = tmp_path / "a.shp"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that names are cut
        frame.to_file(path)
    for key in columns:
        if key.startswith("landuse"):
            with pytest.raises(LayerError, match=f"'{key}' may be any of landuse_th, landuse__1"):
                read(path, key)
    assert read(path, "ownership_kind")["ownership_kind"].tolist() == ["c"]
    assert read(path, "landuse__1")["landuse__1"].tolist() == ["b"]


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
    assert len(load(LayerSettings(path=str(path), layer="woods"), []).features) == 1
    with pytest.raises(LayerError, match="no layer 'wood'; did you mean 'woods'"):
        load(LayerSettings(path=str(path), layer="wood"), [])


@pytest.mark.parametrize("name", ["a.xlsx", "a.ods", "a.csv"])
def test_a_table_without_places_is_told_what_to_be(name: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "lon": ["here", "there"]})
    pyogrio.write_dataframe(table, tmp_path / name)
    with pytest.raises(LayerError, match=r"no layer with geometry; .*columns lon and lat, or WKT"):
        read(tmp_path / name)


def test_a_table_in_an_archive_is_told_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "name,lon,lat\na,9,45\n")
    with pytest.raises(LayerError, match="if it is a table with coordinates, unpack it"):
        read(tmp_path / "a.zip")


def test_features_without_a_place_are_not_said_to_be_missing(tmp_path: Path) -> None:
    for name, crs in (("a.gpkg", "EPSG:32631"), ("b.geojson", "EPSG:4326"), ("c.shp", None)):
        nowhere = gpd.GeoDataFrame({"a": ["x"] * 2}, geometry=[None, shapely.Polygon()], crs=crs)
        pyogrio.write_dataframe(nowhere, tmp_path / name, geometry_type="Polygon")
        with pytest.raises(LayerError, match=rf"{name} has no geometry in its 2 features; name"):
            read(tmp_path / name)
    infinite = write_layer(tmp_path / "d.gpkg", [shapely.Point(float("inf"), 1)])
    with pytest.raises(LayerError, match="has no valid geometry in its 1 feature; name"):
        read(infinite)


@pytest.mark.parametrize("name", ["a.gpkg", "a.gdb"])
@pytest.mark.parametrize("keys", [None, [], ["n"]])
def test_a_table_beside_a_layer_is_told_to_have_no_geometry(
    name: str, keys: list[str] | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    driver = "OpenFileGDB" if name.endswith(".gdb") else "GPKG"
    sites = gpd.GeoDataFrame({"n": ["x"]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:32631")
    pyogrio.write_dataframe(sites, path, layer="sites", driver=driver)
    pyogrio.write_dataframe(pd.DataFrame({"n": ["x"]}), path, layer="notes", driver=driver)
    assert len(load(LayerSettings(path=str(path)), keys).features) == 1
    with pytest.raises(LayerError, match=r"\(notes\) is a table without geometry; name another"):
        load(LayerSettings(path=str(path), layer="notes"), keys)


@pytest.mark.parametrize("columns", ["easting;northing", "x;y", "WKT;n"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table_gets_its_crs_as_the_error_says(columns: str, suffix: str, tmp_path: Path) -> None:
    rows = {"WKT;n": "POINT (4494059.4 5760961.5);1", "x;y": "4494059,4;5760961,5"}
    path = tmp_path / f"my sites{suffix}"
    row = rows.get(columns, rows["x;y"])
    text = f"{columns}\n{row}\n"
    path.write_text(text.replace(";", "\t") if suffix == ".tsv" else text)
    beside = path.with_suffix(".prj")
    says = f"has no CRS; assign one in a .prj file, for example with .*> {as_typed(beside)}"
    with pytest.raises(LayerError, match=says):
        read(path)
    beside.write_text(CRS.from_epsg(31468).to_wkt())  # as gdalsrsinfo does
    found = read(path)
    assert found.crs == "EPSG:31468"
    assert found.geometry.tolist() == [Point(4494059.4, 5760961.5)]


def test_gdal_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"has no CRS; assign one"):
        read(write_layer(tmp_path / "a.shp", [box(0, 0, 1, 1)], None))
    with pytest.raises(LayerError, match=r"b\.gpkg has no features; name another layer"):
        read(write_layer(tmp_path / "b.gpkg", [box(0, 0, 1, 1)][:0]))
    (tmp_path / "c.gpkg").write_text("no map at all\n")
    for name, said in (("c.gpkg", "cannot read the layer"), ("d.gpkg", "does not exist; did you")):
        with pytest.raises(LayerError, match=said) as caught:
            read(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_apartado_columns_and_encoding(test_data: Path) -> None:
    features = read(test_data / "apartado/CO_001.shp")
    assert len(features) == 206 and features.is_valid.all()
    assert features["landuse"].value_counts()["grass"] == 20
