"""Files that hold less than they should are refused, or said to."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from owl_geo.ground.vector import read_table

POINTS = [shapely.Point(9 + i / 10, 47) for i in range(4)]
FRAME = gpd.GeoDataFrame({"use": list("abcd")}, geometry=POINTS, crs="EPSG:4326")
FEATURES = json.loads(FRAME.to_json(drop_id=True))["features"]
COLLECTION = {"type": "FeatureCollection", "features": FEATURES}


def kml(inside: str) -> str:
    return f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{inside}</Document></kml>'


PLACE = "<Placemark><name>a</name><Point><coordinates>9,47</coordinates></Point></Placemark>"
LINK = "<NetworkLink><Link><href>b.kml</href></Link></NetworkLink>"


def read_text(path: Path, text: str) -> int:
    path.write_text(text)
    return len(read_table(str(path)))


def test_shapefile_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.shp"
    FRAME.to_file(path)
    assert len(read_table(str(path))) == 4
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ValueError, match="it ends before 2 of its 4 features: fetch it anew"):
        read_table(str(path))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(tmp_path.glob("a.???")):
            if file.suffix != ".zip":
                archive.write(file, file.name)
    with pytest.raises(ValueError, match="it ends before 2 of its 4 features"):
        read_table(str(tmp_path / "a.zip"))
    path.write_bytes(whole + b"\0" * 10)
    assert len(read_table(str(path))) == 4


def test_gml_that_is_cut_off_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    FRAME.to_file(tmp_path / "a.gml")
    text = (tmp_path / "a.gml").read_text()
    assert read_text(tmp_path / "b.gml", text[:-200]) == 0
    assert "b.gml: it is not whole (unclosed token: line" in caplog.text


@pytest.mark.parametrize("mark", ["", "\x1e"])
def test_lines_without_a_feature_are_said_to_be(
    mark: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [mark + json.dumps(feature) for feature in FEATURES]
    assert read_text(tmp_path / "a.geojsonl", "\n\n".join(lines) + "\n") == 4
    assert not caplog.text
    assert read_text(tmp_path / "b.geojsonl", "\n".join(lines)[:-20]) == 3
    assert "1 line holds no feature that can be read" in caplog.text


def test_features_over_several_lines_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    several = ["\x1e" + json.dumps(feature, indent=1) for feature in FEATURES]
    assert read_text(tmp_path / "a.geojsons", "\n".join(several)) == 4
    assert not caplog.text


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"exceededTransferLimit": True}, "its server stopped after 4 features"),
        ({"properties": {"exceededTransferLimit": True}}, "its server stopped after 4 features"),
        ({"numberMatched": 5000, "numberReturned": 4}, "it has 4 of the 5,000 features"),
        ({"numberMatched": 4, "numberReturned": 4}, None),
        ({"numberMatched": 4, "numberReturned": 2}, None),  # pages that were joined
        ({"exceededTransferLimit": False}, None),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_a_server_left_out_is_said(
    about: dict[str, object],
    told: str | None,
    first: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = json.dumps(about | COLLECTION if first else COLLECTION | about)
    assert read_text(tmp_path / "a.geojson", text) == 4
    assert told in caplog.text if told else not caplog.text


def test_what_a_wfs_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.gml"
    FRAME.to_file(path)
    text = path.read_text()
    root = "<ogr:FeatureCollection"
    assert text.count(root) == 1
    assert read_text(path, text.replace(root, f'{root} numberMatched="9" numberReturned="4"')) == 4
    assert "it has 4 of the 9 features that its server found" in caplog.text


def test_links_of_kml_to_other_files_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_text(tmp_path / "b.kml", kml(PLACE)) == 1
    assert not caplog.text
    assert read_text(tmp_path / "a.kml", kml(PLACE + LINK)) == 1
    assert "it links to other files (NetworkLink), which are not read" in caplog.text


def test_vector_tiles_are_said_to_be_simplified(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mbtiles"
    FRAME.to_file(path, driver="MVT", FORMAT="MBTILES")
    assert len(read_table(str(path)))
    assert "a.mbtiles: it holds vector tiles, in which shapes are simplified" in caplog.text


def test_a_database_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    many = gpd.GeoDataFrame({"use": ["x" * 40] * 400}, geometry=POINTS * 100, crs="EPSG:4326")
    many.to_file(path, driver="SQLite")
    assert len(read_table(str(path))) == 400
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"bytes, and its header says .*: fetch it anew"):
        read_table(str(path))


def test_shapes_of_mapinfo_that_are_cut_off_are_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mif"
    FRAME.to_file(path, driver="MapInfo File", FORMAT="MIF")
    assert len(read_table(str(path))) == 4
    assert caplog.text == ""
    lines = path.read_text(encoding="latin-1").splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if line.startswith("Point"))
    path.write_text("".join(lines[:last]), encoding="latin-1")
    assert len(read_table(str(path))) == 3
    assert (
        "a.mif: it has 3 of the shapes of the 4 rows in a.mid (is the file whole?)" in caplog.text
    )


@pytest.mark.parametrize(
    ("name", "beside", "said"),
    [
        (
            "WDPA_Jan2024_Public_shp_0/WDPA_Jan2024_Public_shp-polygons.shp",
            "",
            "of the three parts",
        ),
        ("WDPA_WDOECM_Jan2024_Public_BRA_shp_1.zip", "", "of the three parts"),
        ("WDPA_WDOECM_Jan2024_Public_BRA_shp/a_2/x-points.shp", "", ""),
        ("wdpa_merged.shp", "", ""),
        ("WDPA_2019.shp", "", ""),
        ("gis_osm_buildings_a_free_1.shp", "gis_osm_buildings_a_free_2.shp", "one of 2 parts"),
        ("gis_osm_buildings_a_free_1.shp", "gis_osm_landuse_a_free_2.shp", ""),
        ("sites_1.shp", "sites_2.shp", ""),
    ],
)
def test_what_is_published_in_parts(
    name: str, beside: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        FRAME.to_file(tmp_path / "a.shp")
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(tmp_path.glob("a.???")):
                archive.write(file, file.name)
    else:
        FRAME.to_file(path)
    if beside:
        FRAME.to_file(tmp_path / beside)
    assert len(read_table(str(path))) == 4
    assert said in caplog.text and bool(caplog.text) == bool(said)


def test_a_drawing_without_its_end_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.dgn"
    FRAME[["geometry"]].to_file(path, driver="DGN")
    whole = path.read_bytes()
    for behind in (b"", bytes(100)):  # programs fill up their last block
        path.write_bytes(whole + behind)
        assert len(read_table(str(path))) == 4
    assert caplog.text == ""
    path.write_bytes(whole[:-100])
    assert len(read_table(str(path))) < 4
    assert "a.dgn: it ends without the mark for its end (is the file whole?)" in caplog.text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('"POINT (9 45)",a\n"POINT (9 46)",b\n"POINT (9 4', True),
        ('"POINT (9 45)",a\n"POINT (9 46)",b\n', False),
        ('"POINT (9 45)",a\n"POINT (9 46)","5"" pipe"', False),
        ('"POINT (9 45)",a\n"POINT (9 46)",5" pipe\n', False),
    ],
)
def test_a_table_that_ends_within_a_value_is_said(
    rows: str, said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text(f"WKT,note\n{rows}")
    assert len(read_table(str(tmp_path / "a.csv"))) >= 2
    assert ("a.csv: it ends within a value in quotes" in caplog.text) == said


def test_rows_that_a_geopackage_does_not_count_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    for count in (0, 2, 9):
        FRAME.to_file(path, layer="a")
        with closing(sqlite3.connect(path)) as connection:  # as a program that knows no such table
            connection.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", [count])
            connection.commit()
        assert read_table(str(path), layer="a")["use"].tolist() == list("abcd")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.gpkg")
    assert len(read_table(str(tmp_path / "a.zip"))) == 4


def test_a_geopackage_without_the_file_of_its_changes_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.gpkg"
    FRAME.to_file(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%ST_%'"
        ).fetchall():  # which call functions that only GDAL has
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE a SET use = 'new'")
        connection.commit()
        copied = tmp_path / "copied.gpkg"
        shutil.copy(path, copied)
        assert read_table(str(path))["use"].tolist() == ["new"] * 4 and not caplog.text
    assert read_table(str(copied))["use"].tolist() == list("abcd")
    assert "copied.gpkg: it was saved by a program that keeps changes in" in caplog.text


def test_a_table_with_another_number_of_rows_than_shapes_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.shp"
    FRAME.to_file(path)
    table = bytearray((tmp_path / "a.dbf").read_bytes())
    first, length = (int.from_bytes(table[i : i + 2], "little") for i in (8, 10))
    table[first + length] = ord("*")  # a row that is marked as deleted is there
    (tmp_path / "a.dbf").write_bytes(table)
    assert len(read_table(str(path))) == 3 and not caplog.text
    FRAME.iloc[1:].to_file(tmp_path / "b.shp")
    shutil.copy(tmp_path / "b.dbf", tmp_path / "a.dbf")
    read_table(str(path))
    said = "its table (.dbf) has 3 rows for 4 shapes, so that attributes may be those of other"
    assert f"a.shp: {said}" in caplog.text
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for suffix in (".shp", ".shx", ".dbf", ".prj"):
            archive.write(path.with_suffix(suffix), f"in/a{suffix}")
    read_table(str(tmp_path / "a.zip"))
    assert f"a.zip: {said}" in caplog.text
