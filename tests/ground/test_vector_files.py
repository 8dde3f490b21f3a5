"""Every format that people keep vector layers in gives the same features, or a reason why not."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from parquet_types import write_own_type
from pyproj import CRS

from owl_geo.ground.vector import UNREADABLE
from owl_geo.ground.vector_files import attributes, is_folder_of_one, list_layers, read

SQUARES = [shapely.box(9 + west, 47, 9.05 + west, 47.1) for west in (0.0, 0.1)]
FRAME = gpd.GeoDataFrame({"use": ["farm", "wood"]}, geometry=SQUARES, crs="EPSG:4326")
DRIVERS = {".gdb": "OpenFileGDB", ".geojsonl": "GeoJSONSeq", ".kml": "LIBKML", ".kmz": "LIBKML"}


def features(path: Path) -> gpd.GeoDataFrame:
    ((layer, _),) = list_layers(str(path))
    assert "use" in attributes(str(path), layer).names
    return read(str(path), layer=layer, columns=["use"], force_2d=True)


def are_squares(found: gpd.GeoDataFrame) -> bool:
    """A file geodatabase rounds coordinates to billionths."""
    differences = shapely.symmetric_difference(found.geometry.to_numpy(), SQUARES)
    return bool((shapely.area(differences) < 1e-8).all())


def write(path: Path, frame: gpd.GeoDataFrame = FRAME) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, driver=DRIVERS.get(path.suffix))
    return path


def zipped(path: Path, files: dict[str, Path]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.write(file, name)
    return path


@pytest.mark.parametrize(
    "suffix",
    [".gpkg", ".shp", ".geojson", ".geojsonl", ".fgb", ".gdb", ".kml", ".kmz", ".parquet"],
)
def test_formats(tmp_path: Path, suffix: str) -> None:
    found = features(write(tmp_path / f"a{suffix}")).sort_values("use")
    assert found["use"].tolist() == ["farm", "wood"]
    assert are_squares(found)
    assert found.crs.is_geographic


def test_kmz_of_one_kml(tmp_path: Path) -> None:
    """As Google Earth and ``zip`` make it: GDAL by itself would lose the attributes."""
    found = features(zipped(tmp_path / "a.kmz", {"doc.kml": write(tmp_path / "a.kml")}))
    assert found["use"].tolist() == ["farm", "wood"]
    assert are_squares(found)


def test_kmz_that_is_no_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "a.kml").rename(tmp_path / "a.kmz")
    with pytest.raises(UNREADABLE, match="not a KMZ archive"):
        list_layers(str(path))


def test_archives(tmp_path: Path) -> None:
    write(tmp_path / "a.shp")
    shapes = {file.name: file for file in tmp_path.glob("a.*")}
    write(tmp_path / "b.gdb")
    database = {f"x/b.gdb/{file.name}": file for file in (tmp_path / "b.gdb").iterdir()}
    geojson = write(tmp_path / "c.geojson")
    (tmp_path / "c.geojson.gz").write_bytes(gzip.compress(geojson.read_bytes()))
    nested = {f"my data/{name}": file for name, file in shapes.items()}
    apple = {f"__MACOSX/my data/._{name}": file for name, file in shapes.items()}
    for path in (
        zipped(tmp_path / "top.zip", shapes),
        zipped(tmp_path / "top.shp.zip", shapes),
        zipped(tmp_path / "nested.zip", nested | apple),
        zipped(tmp_path / "one.zip", {"a/b/c.geojson": geojson}),
        zipped(tmp_path / "database.zip", database),
        tmp_path / "c.geojson.gz",
    ):
        found = features(path)
        assert found["use"].tolist() == ["farm", "wood"], path
        assert are_squares(found), path
    two = zipped(tmp_path / "two.zip", {"a/1.geojson": geojson, "b/2.geojson": geojson})
    with pytest.raises(UNREADABLE, match=r"several data sets: a/1\.geojson, b/2\.geojson"):
        list_layers(str(two))
    with pytest.raises(UNREADABLE, match="holds an OSM file"):
        list_layers(str(zipped(tmp_path / "osm.zip", {"a.osm.pbf": geojson})))
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4")
    with pytest.raises(UNREADABLE, match="not a zip archive, or is damaged"):
        list_layers(str(tmp_path / "cut.zip"))


def test_geoparquet_as_overture_has_it(tmp_path: Path) -> None:
    """Nested attributes, a bounding box for each feature, no CRS because it is the usual one."""
    frame = FRAME.to_crs("OGC:CRS84").assign(names=[{"primary": "x", "common": None}, None])
    path = tmp_path / "a.parquet"
    frame.to_parquet(path, write_covering_bbox=True, schema_version="1.1.0")
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    del geo["columns"]["geometry"]["crs"]
    pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo).encode()}), path)
    names = attributes(str(path), "a").names
    assert names[0] == "use" and set(names[1:3]) == {"names.primary", "names.common"}
    found = read(str(path), columns=["names.primary", "use"])
    assert found["names.primary"].fillna("").tolist() == ["x", ""]
    assert found["use"].tolist() == ["farm", "wood"]
    assert found.crs == "OGC:CRS84"
    assert are_squares(found)
    parts = tmp_path / "parts"
    for name in ("theme=a", "theme=b"):
        (parts / name).mkdir(parents=True)
        shutil.copy(path, parts / name / "0.parquet")
    assert len(read(str(parts), columns=[])) == 4
    geo["columns"]["geometry"]["crs"] = None
    pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo).encode()}), path)
    assert read(str(path), columns=[]).crs is None


@pytest.mark.parametrize(
    ("about", "crs"),
    [
        ({}, "OGC:CRS84"),
        ({"edges": "spherical"}, "OGC:CRS84"),
        ({"crs": CRS("EPSG:32632").to_json_dict()}, "EPSG:32632"),
        ({"crs": "EPSG:32632", "crs_type": "authority_code"}, "EPSG:32632"),
        ({"crs": "srid:32632"}, "EPSG:32632"),
        ({"crs": "32632", "crs_type": "srid"}, "EPSG:32632"),
    ],
    ids=["unsaid", "geography", "PROJJSON", "code", "number", "as Arrow has it"],
)
def test_parquets_own_types_of_geometries(
    about: dict[str, object], crs: str, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", minversion="21")
    frame = FRAME.to_crs(crs)
    wkb = shapely.to_wkb(frame.geometry.to_numpy())
    table = pa.table({"id": [b"x", b"y"], "use": frame["use"].tolist(), "geom": wkb})
    path = write_own_type(tmp_path / "a.parquet", table, "geom", **about)
    assert attributes(str(path), "a").names == ("use",)
    found = features(path)
    assert found["use"].tolist() == ["farm", "wood"]
    assert found.crs == crs
    assert are_squares(found.to_crs("OGC:CRS84"))
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(path, parts / "0.parquet")
    write(parts / "1.parquet", frame.rename_geometry("geom"))
    assert len(read(str(parts), columns=["use"])) == 4


def test_a_crs_that_is_kept_beside_parquets_types(tmp_path: Path) -> None:
    """A type may name the key under which the file has its CRS."""
    pytest.importorskip("pyarrow", minversion="21")
    frame = FRAME.to_crs("EPSG:32632")
    table = pa.table({"use": ["a", "b"], "geometry": shapely.to_wkb(frame.geometry.to_numpy())})
    own = {"own": CRS("EPSG:32632").to_json()}
    path = write_own_type(tmp_path / "a.parquet", table, beside=own, crs="projjson:own")
    assert read(str(path), columns=[]).crs == "EPSG:32632"
    path = write_own_type(tmp_path / "b.parquet", table, crs="projjson:own")
    assert read(str(path), columns=[]).crs is None  # as where GeoParquet says null


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_an_index_of_geoparquet_is_an_attribute(encoding: Any, tmp_path: Path) -> None:
    """As where a frame was saved whose rows are called by one of its columns."""
    path = tmp_path / "a.parquet"
    FRAME.assign(n=[1, 2]).set_index("use").to_parquet(path, geometry_encoding=encoding)
    assert set(attributes(str(path), "a").names) == {"use", "n"}
    assert features(path)["use"].tolist() == ["farm", "wood"]
    assert read(str(path), columns=["n"])["n"].tolist() == [1, 2]


def test_geoparquet_of_arrow_coordinates_and_several_geometries(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path, geometry_encoding="geoarrow", schema_version="1.1.0")
    assert attributes(str(path), "a").names == ("use",)
    assert are_squares(read(str(path)))
    FRAME.assign(centre=FRAME.geometry.representative_point()).to_parquet(path)
    assert attributes(str(path), "a").names == ("use",)
    assert are_squares(read(str(path)))


def test_geoparquet_whose_metadata_stand_beside_arrows_schema(tmp_path: Path) -> None:
    """As GeoArrow's library in Rust writes it, which adds them when the rows are written."""
    pytest.importorskip("pyarrow", minversion="17")  # which can do the same
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path, geometry_encoding="geoarrow", schema_version="1.1.0")
    table = pq.read_table(path)
    bare = table.replace_schema_metadata(None)
    with pq.ParquetWriter(path, bare.schema) as writer:
        writer.write_table(bare)
        writer.add_key_value_metadata({"geo": table.schema.metadata[b"geo"].decode()})
    assert b"geo" not in (pq.read_schema(path).metadata or {})
    found = read(str(path))
    assert found["use"].tolist() == ["farm", "wood"]
    assert are_squares(found)


def test_parts_of_geoparquet_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    one = FRAME.set_crs(32631, allow_override=True)
    one.to_parquet(tmp_path / "a.parquet")
    for other, says in (
        (
            one.set_crs(32632, allow_override=True),
            "zone 31N in a.parquet and WGS 84 / UTM zone 32N",
        ),
        (one.set_crs(None, allow_override=True), "zone 31N in a.parquet and none in b.parquet"),
        (one.rename_geometry("geom"), "in 'geometry' in a.parquet and in 'geom' in b.parquet"),
        (pd.DataFrame({"use": ["a"]}), "b.parquet is a Parquet file without GeoParquet's metadata"),
    ):
        other.to_parquet(tmp_path / "b.parquet")
        with pytest.raises(UNREADABLE, match=re.escape(says)):
            read(str(tmp_path))
    degrees = FRAME.set_crs("EPSG:4326", allow_override=True)
    degrees.to_parquet(tmp_path / "a.parquet")
    degrees.set_crs("OGC:CRS84", allow_override=True).to_parquet(tmp_path / "b.parquet")
    assert len(read(str(tmp_path))) == 2 * len(FRAME)


def test_attributes_in_the_names_of_folders(tmp_path: Path) -> None:
    """As pyarrow, DuckDB and polars write tables in parts: text as it stands, zone=07 is not 7."""
    frame = FRAME.assign(zone=["07", "08"], place=["x/y ü", None])
    table = pq.read_table(write(tmp_path / "a.parquet", frame))
    pq.write_to_dataset(table, tmp_path / "parts", partition_cols=["zone", "place"])
    assert attributes(str(tmp_path / "parts"), "parts").names == ("use", "place", "zone")
    found = read(str(tmp_path / "parts")).sort_values("zone")
    assert found["use"].tolist() == ["farm", "wood"]
    assert found["zone"].tolist() == ["07", "08"]
    assert found["place"].fillna("").tolist() == ["x/y ü", ""]
    assert are_squares(found)
    for number, value in enumerate(("7", "8")):  # the files' own values count
        folder = tmp_path / "both" / f"zone={value}"
        folder.mkdir(parents=True)
        pq.write_table(table.slice(number, 1), folder / "0.parquet")
    found = read(str(tmp_path / "both"))
    assert found["zone"].tolist() == ["07", "08"]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({}, {"n": [1, 2]}, [None, None, 1, 2]),
        ({"n": [None, None]}, {"n": ["a", "b"]}, [None, None, "a", "b"]),
        ({"n": [1, 2]}, {"n": [1.5, None]}, [1, 2, 1.5, None]),
        ({"n": pd.Categorical(["a", "b"])}, {"n": ["c", "a"]}, ["a", "b", "c", "a"]),
        ({"n": pd.array([1, None], dtype="Int64")}, {"n": [1.5, 2]}, [1, None, 1.5, 2]),
    ],
    ids=["one lacks it", "one has nothing in it", "numbers", "categories", "nullable"],
)
def test_parts_of_geoparquet_have_the_attributes_of_all(
    first: dict[str, object], second: dict[str, object], both: list[object], tmp_path: Path
) -> None:
    FRAME.assign(**first).to_parquet(tmp_path / "a.parquet")
    FRAME.assign(**second).to_parquet(tmp_path / "b.parquet")
    assert set(attributes(str(tmp_path), "").names) == {"use", "n"}
    found = read(str(tmp_path), columns=["n"])["n"]
    assert [None if pd.isna(value) else value for value in found] == both


def test_parts_of_geoparquet_with_other_kinds_of_values_are_refused(tmp_path: Path) -> None:
    for name, values in (("a", [None, None]), ("b", [1, 2]), ("c", [b"x", b"y"])):
        FRAME.assign(n=values).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"'n' is int64 in b\.parquet and binary in c\.parquet"):
        read(str(tmp_path), columns=["n"])
    assert len(read(str(tmp_path), columns=["use"])) == 3 * len(FRAME)


def test_parquet_that_is_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pq.read_table(write(path)).replace_schema_metadata(None), path)
    with pytest.raises(UNREADABLE, match="without GeoParquet's metadata"):
        attributes(str(path), "a")
    path.write_bytes(b"PAR1 cut PAR1")
    with pytest.raises(UNREADABLE):
        read(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "use,lon,lat\nfarm,9.5,47.1\nwood,9.6,47.2\n,,\n",
        "\ufeffLONGITUDE;LATITUDE;use\n9.5;47.1;farm\n9.6;47.2;wood\n",
        "use;lon;lat\nfarm;9,5;47,1\nwood;9,6;47,2\n",
        "sep=;\nuse;lon;lat\nfarm;9,5;47,1\nwood;9,6;47,2\n",
        '\ufeff"sep=,"\r\nuse,lon,lat\r\nfarm,9.5,47.1\r\nwood,9.6,47.2\r\n',
        "use,decimalLatitude,decimalLongitude\nfarm,47.1,9.5\nwood,47.2,9.6\n",
        "system:index,use,.geo\n"
        '0,farm,"{""type"":""Point"",""coordinates"":[9.5,47.1]}"\n'
        '1,wood,"{""type"":""Point"",""coordinates"":[9.6,47.2]}"\n',
        "use,latitude,longitude,.geo\n"
        'farm,47.1,9.5,"{""type"":""MultiPoint"",""coordinates"":[]}"\n'
        'wood,47.2,9.6,"{""type"":""MultiPoint"",""coordinates"":[]}"\n',
    ],
)
def test_csv_of_longitudes_and_latitudes(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    found = features(tmp_path / "a.csv")[:2]
    assert found["use"].tolist() == ["farm", "wood"]
    assert found.geometry.x.tolist() == [9.5, 9.6] and found.geometry.y.tolist() == [47.1, 47.2]
    assert found.crs == "EPSG:4326"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lon,lat\n9.5,47.1\nabc,47.2\n", "lon 'abc' and lat '47.2' are not decimal degrees"),
        ("lon,lat\n9°30'E,47.1\n", "are not decimal degrees"),
        ("lon,lat\n500000,5200000\n", "columns lon and lat are not in degrees"),
        ("use,geometry\na,Point\nb,\n", "geometry 'Point' is not WKT"),
        ("use,geometry\na,POINT (9 47)\nb,9 47\n", "geometry '9 47' is not WKT"),
        ("lon,lat,geometry\nabc,47.1,Point\n", "lon 'abc' and lat '47.1' are not decimal degrees"),
    ],
)
def test_csv_of_something_else_than_it_promises(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UNREADABLE, match=why):
        read(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "lon,lat\n8.9,47.1\n8,45,47,19\n",
        "\ufefflon,lat\n8,45,47,19\n",
        "name,lat,lon\na,47,19,8,45\n",
        '"lat","lon","name"\n47,19,8,45,"a, b"\n',
        "x,y,use\n512345,67,5234567,8,wood\n",
        "area,x,y,use\n12,5,512345,5234567,wood\n",
        "name,x,y,use\npit,512345,5234567,8,wood\n",
        "name,lon,lat\npit, 3.5,9.5,47.1\n",  # which is cut in the name
        "name,lon,lat,n\npit, 3.5,9.5,47.1,8\n",
    ],
)
def test_csv_whose_decimal_commas_separate_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d has \d values, the header \d: a comma"):
        read(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "lon,lat\n9.5,47.1,\n",
        "lon,lat,note\n9.5,47.1,wood, old\n",
        "\ufefflon , lat,note\n9.5,47.1,a,b,c\n",
        'lon;lat;note\n"9,5";"47,1";a\n',
        "lon;lat\n9,5;47,1\n",
        "lon\tlat\n9,5\t47,1\n",
    ],
)
def test_csv_whose_further_commas_cut_no_number(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert shapely.get_coordinates(read(str(tmp_path / "a.csv")).geometry).tolist() == [[9.5, 47.1]]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,note\n512345,5234567,rubble, tyres\n",
        "x,y\n512345,5234567,rubble\n",
        "name,x,y,n,note\npit,512345,5234567,3,a\npit,512345,5234567,,a, b\n",
        "note,y,x,n\na,5234567,512345,three, or four\n",
    ],
)
def test_csv_of_whole_coordinates_with_further_commas_in_a_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    found = read(str(tmp_path / "a.csv"))
    assert set(map(tuple, shapely.get_coordinates(found.geometry))) == {(512345.0, 5234567.0)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y,zone\n512345,5234567,32\n212345,5234567,33\n", "'zone' says 33 of some rows"),
        ("x,y,zone\n512345,5234567,32N\n212345,5234567,33 N\n", "'zone' says 33 N"),
        ("x,y,zone\n512345,5234567,31T\n", "'zone' says 31T"),
        ("x;y;UTM Zone\n512345;5234567;33\n", "'UTM Zone' says 33"),
        ("easting,northing,utm_zone\n512345,5234567,31\n512345,5234567,\n", "says 31"),
        ("x,y,epsg\n512345,5234567,32632\n212345,5234567,32633\n", "'epsg' says 32633"),
        ("x,y,CRS\n512345,5234567,EPSG:32631\n", "'CRS' says EPSG:32631"),
        ("x,y,zone\n512345,5234567,3\n512345,5234567,4\n", None),  # of a plan
        ("x,y,zone\n512345,5234567,32\n512345,5234567,wood\n", None),
        ("x,y,zone,epsg\n512345,5234567,32T,32632\n", None),
    ],
)
def test_csv_in_several_zones(text: str, said: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    if said is None:
        assert len(read(str(path), crs=CRS("EPSG:32632")))
        return
    with pytest.raises(ValueError, match=said):
        read(str(path), crs=CRS("EPSG:32632"))
    path.with_suffix(".prj").write_text(CRS("EPSG:32632").to_wkt("WKT1_ESRI"))
    with pytest.raises(ValueError, match=said):
        read(str(path))


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (32637, "x,y,zone\n512345,234567,37N\n512345,9834567,37 south\n", "says 37 south of"),
        (32637, "x,y,zone\n512345,234567,37N\n512345,9834567,37M\n", "says 37M of some"),
        (32637, "x,y,utm_zone\n512345,9834567,37S\n", "'utm_zone' says 37S"),
        (32637, "x,y,zone,hemisphere\n512345,9834567,37,S\n", "'hemisphere' says S of"),
        (32637, "x,y,hemisphere\n512345,3734567,Southern\n", "says Southern of"),
        (32737, "x,y,zone\n512345,234567,37N\n512345,9834567,37S\n", "says 37N of some"),
        (32737, "x,y,zone\n512345,234567,37 P\n", "says 37 P of some"),
        (32737, "x,y,Hemisphere\n512345,234567,north\n512345,9834567,south\n", "says north of"),
        # on both sides of the equator in the zone of one, as in Kenya
        (21037, "x,y,zone\n512345,10234567,37N\n512345,9834567,37S\n", None),
        (21037, "x,y,zone\n512345,10234567,37S\n512345,9834567,37M\n", None),
        (32637, "x,y,zone\n512345,234567,37N\n512345,-165433,37 south\n", None),
        # the band of the military grid from 32 to 40 degrees north
        (32637, "x,y,utm_zone\n512345,3734567,37S\n512345,4534567,37T\n", None),
        (32637, "x,y,hemisphere\n512345,3734567,E\n", None),
        (32637, "x,y,hemisphere\n512345,3734567,N\n", None),
        # grids of the same zones under other names
        (28355, "x,y,MGA_Zone\n512345,5834567,55\n212345,5834567,56\n", "'MGA_Zone' says 56 of"),
        (28355, "x,y,zone\n512345,5834567,MGA 55\n212345,5834567,MGA 56\n", "says MGA 56 of"),
        ("EPSG:32633+5773", "x,y,zone\n512345,5834567,34N\n", "says 34N of some"),
        (
            "+proj=utm +zone=33 +ellps=intl +towgs84=-87,-98,-121 +type=crs",
            "x,y,zone\n512345,5834567,34N\n",
            "says 34N of some",
        ),
        (20255, "x,y,zone,hemisphere\n512345,5834567,55,S\n", None),
        # grids of zones that are others
        (31467, "x,y,zone\n3512345,5834567,3\n4512345,5834567,4\n", None),
        (2193, "x,y,utm_zone\n1512345,5834567,60\n", None),
    ],
)
def test_csv_on_both_sides_of_the_equator(
    code: int | str, text: str, said: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text)
    if said is None:
        assert len(read(str(tmp_path / "a.csv"), crs=CRS(code))) == text.count("\n") - 1
        return
    with pytest.raises(ValueError, match=said):
        read(str(tmp_path / "a.csv"), crs=CRS(code))


def test_csv_of_degrees_may_say_the_zone_of_each_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lon,lat,utm_zone,epsg\n9.5,47.1,32,32632\n3,47.1,31,32631\n")
    assert read(str(tmp_path / "a.csv")).geometry.x.tolist() == [9.5, 3.0]


def test_csv_of_wkt_or_of_no_place(tmp_path: Path) -> None:
    rows = "".join(f'{use};"{shape.wkt}"\n' for use, shape in zip("ab", SQUARES, strict=True))
    (tmp_path / "a.csv").write_text("use;geometry\n" + rows)
    found = features(tmp_path / "a.csv")
    assert are_squares(found) and found.crs == "EPSG:4326"  # they can be degrees
    (tmp_path / "b.csv").write_text("use,x,y\na,500000,5200000\n")
    assert features(tmp_path / "b.csv").crs is None
    (tmp_path / "d.csv").write_text("use,X,Y\na,9.5,47.1\n")
    assert features(tmp_path / "d.csv").crs == "EPSG:4326"
    (tmp_path / "e.csv").write_text("use,easting,northing\na,9.5,47.1\n")
    assert features(tmp_path / "e.csv").crs is None  # what they are called tells that they are not
    (tmp_path / "f.csv").write_text("use,x,y\na,,\n")
    assert features(tmp_path / "f.csv").crs == "EPSG:4326"  # there is nothing to misplace
    (tmp_path / "c.csv").write_text("use,size\na,5\n")
    assert list_layers(str(tmp_path / "c.csv")) == [("c", None)]


@pytest.mark.parametrize(
    "text",
    [
        "use,lon,lat,geometry\na,9.5,47.1,Point\nb,9.6,47.2,\n",
        "use,lon,lat,geometry\na,9.5,47.1,\nb,9.6,47.2,\n",
        "use,geom,geometry\na,x,POINT (9.5 47.1)\nb,y,POINT (9.6 47.2)\n",
        "use,lon,lat,wkt\na,1,1,POINT (9.5 47.1)\nb,1,1,POINT (9.6 47.2)\n",
        "use,geometry\na,POINT (9.5 47.1)\nb,POINT (9.6 47.2)\nc,NULL\nd,\n",
    ],
)
def test_csv_whose_columns_hold_something_else_than_places(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    found = features(tmp_path / "a.csv")
    assert found.geometry[:2].tolist() == [shapely.Point(9.5, 47.1), shapely.Point(9.6, 47.2)]
    assert found.geometry[2:].isna().all() and found.crs == "EPSG:4326"


def test_a_crs_that_a_person_names_is_that_of_files_without_one(tmp_path: Path) -> None:
    utm = CRS("EPSG:32632")
    (tmp_path / "a.csv").write_text("use,x,y\na,9.5,47.1\n")
    assert read(str(tmp_path / "a.csv"), crs=utm).crs == utm
    (tmp_path / "b.csv").write_text("use,lon,lat\na,500000,5200000\n")
    found = read(str(tmp_path / "b.csv"), crs=utm)
    assert found.crs == utm and found.geometry.tolist() == [shapely.Point(500000, 5200000)]
    (tmp_path / "c.csv").write_text("use,easting,northing\na,1,2\nb,5 km,7\n")
    with pytest.raises(UNREADABLE, match="easting '5 km' and northing '7' are not numbers"):
        read(str(tmp_path / "c.csv"), crs=utm)
    write(tmp_path / "d.shp", FRAME)
    assert read(str(tmp_path / "d.shp"), crs=utm).crs == FRAME.crs
    (tmp_path / "d.prj").unlink()
    assert read(str(tmp_path / "d.shp"), crs=utm).crs == utm


def test_a_folder_is_one_data_set_if_it_has_no_other_files(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    (parts / "use=a").mkdir(parents=True)
    FRAME.to_parquet(parts / "use=a" / "0.parquet")
    (parts / "_SUCCESS").touch()
    assert is_folder_of_one(str(parts))
    (parts / "readme.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.gdb").mkdir()
    assert not is_folder_of_one(str(parts)) and not is_folder_of_one(str(tmp_path / "empty"))
    assert is_folder_of_one(str(tmp_path / "b.gdb"))


def test_types_in_a_csv_follow_from_all_its_rows(tmp_path: Path) -> None:
    rows = "".join(f"{number},9.5,47.1\n" for number in range(200_000))
    (tmp_path / "a.csv").write_text(f"use,lon,lat\n{rows}wood,9.5,47.1\n05,9.5,47.1\n")
    assert features(tmp_path / "a.csv")["use"].tolist()[-3:] == ["199999", "wood", "05"]


def test_gpx_has_the_layers_that_are_not_empty(tmp_path: Path) -> None:
    (tmp_path / "a.gpx").write_text(
        '<gpx version="1.1" creator="a" xmlns="http://www.topografix.com/GPX/1/1">'
        '<wpt lat="47.1" lon="9.5"><name>farm</name></wpt>'
        '<wpt lat="47.2" lon="9.6"><name>wood</name></wpt></gpx>'
    )
    assert [name for name, _ in list_layers(str(tmp_path / "a.gpx"))] == ["waypoints"]
    assert read(str(tmp_path / "a.gpx"), layer="waypoints")["name"].tolist() == ["farm", "wood"]


def test_csv_as_spreadsheets_save_it_may_have_other_letters_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("größe;lon;lat\nMüll;9,5;47,1\n".encode("cp1252"))
    ((layer, kind),) = list_layers(str(path))
    assert kind is not None and "größe" in attributes(str(path), layer).names
    found = read(str(path), columns=["größe"], encoding="ISO-8859-1")
    assert found["größe"].tolist() == ["Müll"]
    assert found.geometry.tolist() == [shapely.Point(9.5, 47.1)] and found.crs == "EPSG:4326"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_another_encoding_that_its_mark_tells(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    path = tmp_path / "a.csv"
    text = 'größe,lon,lat\n"Müll\nund mehr",9.5,47.1\n'.replace(",", delimiter)
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text).encode(encoding))
    before = path.read_bytes()
    assert list_layers(str(path)) == [("a", "Point")]
    assert "größe" in attributes(str(path), "a").names
    found = read(str(path), layer="a", columns=["größe"])
    assert found["größe"].tolist() == ["Müll\nund mehr"]
    assert found.geometry.tolist() == [shapely.Point(9.5, 47.1)] and found.crs == "EPSG:4326"
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    path.write_bytes((mark + text.replace("9.5", "east")).encode(encoding))
    with pytest.raises(ValueError, match=r"lon 'east' and lat '47\.1' are not decimal degrees"):
        read(str(path))


def test_csv_in_utf_16_that_no_mark_tells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("lon,lat\n9.5,47.1\n", encoding="utf-16-le")
    for use in (list_layers, read, lambda name: attributes(name, "a")):
        with pytest.raises(ValueError, match="without a byte-order mark does: save it in UTF-8"):
            use(str(path))


@pytest.mark.parametrize(
    ("encoding", "keeps_cpg"), [("utf-8", False), ("cp1252", False), ("utf-8", True)]
)
def test_text_of_a_shapefile_that_lost_its_cpg(
    encoding: str, keeps_cpg: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.shp"
    FRAME.assign(use=["Größe", "forêt"]).to_file(path, encoding=encoding)
    if not keeps_cpg:
        path.with_suffix(".cpg").unlink()
    assert features(path)["use"].tolist() == ["Größe", "forêt"]


def test_csv_in_utf_16_has_the_crs_of_the_prj_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n512345,5234567\n", encoding="utf-16")
    path.with_suffix(".prj").write_text(CRS("EPSG:32632").to_wkt("WKT1_ESRI"))
    assert read(str(path)).crs == "EPSG:32632"


def topology(path: Path, *, unit: float = 1.0, **members: Any) -> Path:
    ring = [[9, 47], [9.05, 47], [9.05, 47.1], [9, 47.1], [9, 47]]
    area = {"type": "Polygon", "arcs": [[0]], "properties": {"use": "farm"}}
    arcs = [[[x * unit, y * unit] for x, y in ring]]
    objects = {"fields": {"type": "GeometryCollection", "geometries": [area]}}
    text = {"type": "Topology", "objects": objects, "arcs": arcs} | members
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".geojson", ".geojsonl"])
def test_geojson_that_says_no_crs_and_is_not_in_degrees_has_none(
    suffix: str, tmp_path: Path
) -> None:
    """GDAL takes metres for degrees there, as the specification has it."""
    path = tmp_path / f"metres{suffix}"
    place = {"type": "Point", "coordinates": [500_000, 5_100_000]}
    text = {"type": "Feature", "properties": {"use": "farm"}, "geometry": place}
    path.write_text(json.dumps(text) + "\n", encoding="utf-8")
    assert features(path).crs is None
    layer = list_layers(str(path))[0][0]
    assert read(str(path), layer=layer, crs=CRS(32632)).crs == "EPSG:32632"
    text["geometry"] = {"type": "Point", "coordinates": [350, 46]}
    path.write_text(json.dumps(text) + "\n", encoding="utf-8")
    assert features(path).crs == "EPSG:4326"
    text["geometry"] = {"type": "Polygon", "coordinates": []}
    path.write_text(json.dumps(text) + "\n", encoding="utf-8")
    assert features(path).crs == "EPSG:4326"


def test_topojson_is_in_degrees_where_it_can_be(tmp_path: Path) -> None:
    """Its specification knows no CRS, and there are maps in pixels too."""
    found = features(topology(tmp_path / "a.topojson"))
    assert found.crs == "EPSG:4326"
    assert found.total_bounds.tolist() == [9, 47, 9.05, 47.1]
    assert features(topology(tmp_path / "pixels.json", unit=10)).crs is None
    utm = {"type": "name", "properties": {"name": "EPSG:32632"}}
    assert features(topology(tmp_path / "utm.json", unit=1e4, crs=utm)).crs == "EPSG:32632"
