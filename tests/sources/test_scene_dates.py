"""The day on which a scene was taken: by metadata, by names, by a setting; right, or unknown."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
from cubes import cube
from rasters import coordinates, make_landsat, make_safe, write_raster

from owl_geo.errors import ConfigError
from owl_geo.settings import owl_toml
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_dates import (
    date_in_tags,
    date_of,
    dates_in_name,
    dates_of_products,
    scene_date,
)
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.scene_words import find_scenes
from owl_geo.sources.scenes import open_scenes
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.sources.unopened_scenes import UnopenedScenes

JUNE_30 = datetime.date(2019, 6, 30)
MAY_1 = datetime.date(2020, 5, 1)
ONE = coordinates(8, 8, 1)
TOML = """version = 1
[source]
kind = "geotiff"
[[source.scenes]]
name = "a"
path = "a.tif"
"""


def raster(path: Path, tags: dict[str, str] | None = None, ns: str | None = None) -> Path:
    write_raster(path, ONE)
    if tags:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns=ns, **tags)
    return path


def date(path: Path, **settings: Any) -> datetime.date | None:
    return describe_scene(SceneSettings(name="s", path=str(path), **settings)).date


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2019-06-30",
        "2019-06-30T10:40:31.024Z",
        "2019-06-30T10:40:31Z; 2019-06-30T10:40:45Z",
        "2019:06:30 10:40:31",
        "2019/06/30",
        "20190630",
        "20190630104031",
        "2019181",
        "2019-181",
        "30-JUN-2019",
        '"2019-06-30"',
        "2019-06-29T23:40:31.024-05:00",  # the day is that of UTC
        "2019-07-01T01:40:31+0200",
        "2019-07-01 01:40:31+02",
        "2019-06-30T10:40:31+02:00",
        "2019-06-30T23:40:31-99:00",  # no offset
        JUNE_30,
        datetime.datetime(2019, 6, 30, 10, 40),
        datetime.datetime.fromisoformat("2019-06-29T23:40:31-05:00"),
    ],
)
def test_what_a_date_looks_like(text: object) -> None:
    assert date_of(text) == JUNE_30


@pytest.mark.parametrize(
    "text",
    [
        *("", "None", "10:40:31", "2019", "2019-06", "2019-13-01", "2019-02-30", "2019-366"),
        *("06/30/2019", "1561891231000", "201906301", "30-XYZ-2019", "2019-06:30"),
        *("1970-01-01", "0001-01-01", "2999-01-01"),  # placeholders, and the future
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert date_of(text) is None


def test_the_last_day_of_a_leap_year() -> None:
    assert date_of("2020366") == datetime.date(2020, 12, 31)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "S2A_MSIL2A_20190630T104031_N0212_R008_T32UQD_20190701T132541.SAFE",
        "S2A_OPER_PRD_MSIL1C_PDMC_20190702T000000_R051_V20190630T104031_20190630T104031",
        "L2A_T32UQD_A020990_20190630T104027",
        "T32UQD_20190630T104031_B04_10m",
        "S2A_32UQD_20190630_0_L2A",
        "S2B_T32UQD_20190630T104031_L2A",
        "20190630T104031_20190701T104027_T32UQD",
        "SENTINEL2A_20190630-104553-455_L2A_T31TFJ_D_V1-8",
        "LC08_L2SP_193027_20190630_20200827_02_T1_SR_B4",
        "LE07_L1TP_193027_20190630_20200827_02_T1_B4",
        "LT05_193027_20190630",
        "LC08_CU_029007_20190630_20190710_C01_V01_SRB4",
        "LC81930272019181LGN00_B4",
        "HLS.S30.T32UQD.2019181T104031.v2.0.B04",
        "MOD09GA.A2019181.h18v03.061.2020304031234",
        "MCD43A4.A2019181.h18v03.006.2019190040506",
        "MOD13Q1.061__250m_16_days_NDVI_doy2019181_aid0001",
        "MOD09GA.061_sur_refl_b01_1_doy2019181000000_aid0001",
        "VNP09GA.A2019181.h18v03.001.2019182090000",
        "S1A_IW_GRDH_1SDV_20190630T053522_20190701T053547_027904_032679_5F0F",
        "s1a-iw-grd-vv-20190630t053522-20190701t053547-027904-032679-001",
        "S1A_IW_20190630T053522_DVP_RTC10_G_gpuned_5F0F",
        "OPERA_L2_RTC-S1_T044-093234-IW2_20190630T053522Z_20240101T000000Z_S1A_30_v1.0_VV",
        "S3A_OL_2_LFR____20190630T094512_20190630T094812_20190701T150000_0179_x",
        "20190630_094512_1038_3B_AnalyticMS_SR",
        "20190630_094512_66_2251_3B_AnalyticMS",
        "20190630_094512_ssc4_u0001_analytic",
        "IMG_PHR1A_PMS_201906301040312_ORT_20190801",
        "19JUN30104031-M1BS-012345678010_01_P001",
        "AST_L1T_00306302019104031_20190702093012_12345",
        "ENMAP01-____L2A-DT0000001234_20190630T104031Z_001_V010303_20230101T000000Z",
        "PRS_L2D_STD_20190630101010_20190701101015_0001",
        "m_3807708_ne_18_060_20190630_20191122",
    ],
)
def test_names_of_products_say_when_the_ground_was_seen(name: str) -> None:
    assert dates_of_products(name) == {JUNE_30}


@pytest.mark.parametrize(
    "name",
    [
        *("scene_2019-06-30.tif", "2019-06-30_x.tif", "x.2019_06_30.tif", "20190630.tif"),
        *(
            "site_20190630_B04",
            "a 20190630T1040.tif",
            "ga_ls8c_nbart_3-0-0_090084_2019-06-30_x",
        ),
        *("2019-06-30 and again 20190630", "tile_12345678_20190630", "openEO_2019-06-30Z.tif"),
        *("S2A_2019-06-30T10-40-31.tif", "2019-06-30T10:40:31Z", "20190630T10_40.tif"),
    ],
)
def test_dates_in_other_names(name: str) -> None:
    assert dates_of_products(name) == set()
    assert dates_in_name(name) == {JUNE_30}


@pytest.mark.parametrize(
    "name",
    [
        *("scene20190630", "20190630b", "A20190630", "120190630", "2019063012", "2019-0630"),
        *("20190630Zb", "2019-06-30Zone"),
        *("2019-06", "30-06-2019", "19700101", "29990101", "20191345", "tile_99999999", "x"),
    ],
)
def test_no_dates_in_names(name: str) -> None:
    assert dates_of_products(name) == set()
    assert dates_in_name(name) == set()


def test_names_of_two_products_say_two_days() -> None:
    of_landsat = "LC08_L2SP_193027_20190630_20200827_02_T1"
    assert dates_of_products(f"{of_landsat}_and_T32UQD_20200501T104031") == {JUNE_30, MAY_1}


def test_two_dates_in_a_name_are_unknown(tmp_path: Path) -> None:
    assert date(raster(tmp_path / "change_2019-06-30_2020-05-01.tif")) is None
    assert date(raster(tmp_path / "x_20190630_20190630.tif")) == JUNE_30


def test_a_product_s_name_goes_before_other_dates_around_it(tmp_path: Path) -> None:
    folder = tmp_path / "ordered_2024-01-01"
    raster(folder / "T32UQD_20190630T104031_B04.tif")
    raster(folder / "T32UQD_20190630T104031_B08.tif")
    assert date(folder) == JUNE_30


def test_files_of_two_days_are_of_none_and_those_that_are_chosen_count(tmp_path: Path) -> None:
    raster(tmp_path / "stack" / "B4_2019-06-30.tif")
    raster(tmp_path / "stack" / "B4_2020-05-01.tif")
    settings = SceneSettings(name="all_2018-01-01", path=str(tmp_path / "stack"))
    assert describe_scene(settings).date is None
    assert open_scenes([settings], [])[0].date is None
    assert open_scenes([settings], ["B4_2020-05-01"])[0].date == MAY_1


@pytest.mark.parametrize(
    "path",
    [
        "https://example.org/2024-01-01/T32UQD_20190630T104031_B04.tif?X-Amz-Date=20240101T000000Z",
        "/vsicurl/https://example.org/x_2019-06-30.tif?date=2024-01-01",
        "/vsizip/2024-01-01.zip/x_2019-06-30.tif",
        'HDF4_EOS:EOS_GRID:"/2024-01-01/MOD09GA.A2019181.h18v03.061.hdf":grid:sur_refl_b01_1',
        "C:\\2024-01-01\\x_2019-06-30.tif",
    ],
)
def test_the_last_part_of_a_path_counts(path: str) -> None:
    assert scene_date([None], [path], "", "s") == JUNE_30


def test_a_folder_s_name_and_a_scene_s_own_come_last(tmp_path: Path) -> None:
    raster(tmp_path / "2019-06-30" / "red.tif")
    raster(tmp_path / "2019-06-30" / "nir.tif")
    assert date(tmp_path / "2019-06-30") == JUNE_30
    plain = raster(tmp_path / "a.tif")
    assert describe_scene(SceneSettings(name="before 2019-06-30", path=str(plain))).date == JUNE_30
    dated = raster(tmp_path / "a_2020-05-01.tif")
    assert describe_scene(SceneSettings(name="b 2019-06-30", path=str(dated))).date == MAY_1


# --- metadata -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "ns"),
    [
        ("ACQUISITION_DATE", "2019-06-30", None),
        ("acquisition-date", "2019:06:30 10:40:31", None),
        ("SENSING_TIME", "2019-06-30T10:40:31.024Z", None),
        ("DATATAKE_1_DATATAKE_SENSING_START", "2019-06-30T10:40:31.024Z", None),
        ("PRODUCT_START_TIME", "2019-06-30T10:40:31.024Z", None),
        ("RANGEBEGINNINGDATE", "2019-06-30", None),
        ("NC_GLOBAL#time_coverage_start", "2019-06-30T10:40:31Z", None),
        ("NITF_IDATIM", "20190630104031", None),
        ("ACQUISITIONDATETIME", "2019-06-30 10:40:31", "IMAGERY"),
        ("IMAGE_1.firstLineTime", "2019-06-30T10:40:31.000000Z;", "IMD"),
        ("Dataset_Sources.Source_Identification.Strip_Source.IMAGING_DATE", "2019-06-30", "IMD"),
        ("L1_METADATA_FILE.PRODUCT_METADATA.DATE_ACQUIRED", "2019-06-30", "IMD"),
    ],
)
def test_tags_say_it(key: str, value: str, ns: str | None, tmp_path: Path) -> None:
    assert date(raster(tmp_path / "x_2020-05-01.tif", {key: value}, ns)) == JUNE_30


@pytest.mark.parametrize(
    "key",
    [
        *("TIFFTAG_DATETIME", "PROCESSING_DATE", "GENERATION_TIME", "HLS_PROCESSING_TIME", "DATE"),
        *("PRODUCTIONDATETIME", "NITF_FDT", "ACQUISITION_STOP_TIME", "CREATION_DATE"),
    ],
)
def test_when_a_file_was_written_is_not_when_the_ground_was_seen(key: str, tmp_path: Path) -> None:
    value = "2020:05:01 10:40:31"
    assert date(raster(tmp_path / "x.tif", {key: value})) is None
    assert date(raster(tmp_path / "x_2019-06-30.tif", {key: value})) == JUNE_30


def test_the_day_that_gdal_makes_up_for_a_nitf_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.ntf"
    rasterio.shutil.copy(raster(tmp_path / "x.tif"), path, driver="NITF")
    with rasterio.open(path) as dataset:
        assert dataset.tags()["NITF_IDATIM"]  # it says one all the same
    assert date(path) is None


def test_a_long_period_has_no_date() -> None:
    begin = {"RANGEBEGINNINGDATE": "2019-06-30"}
    assert date_in_tags(begin | {"RANGEENDINGDATE": "2019-07-15"}) == JUNE_30
    assert date_in_tags(begin | {"RANGEENDINGDATE": "2020-06-30"}) is None
    assert date_in_tags(begin | {"RANGEENDINGDATE": "2019-06-29"}) is None


@pytest.mark.parametrize("end", ["end_time", "stop_time"])
def test_a_start_time_is_the_day_unless_the_end_is_far_off(end: str) -> None:
    begin = {"start_time": "2019-06-30 10:40:31"}
    assert date_in_tags(begin) == JUNE_30
    assert date_in_tags(begin | {end: "2019-06-30 10:45:00"}) == JUNE_30
    assert date_in_tags(begin | {end: "2019-12-30 10:45:00"}) is None


def test_a_tag_that_is_no_date_leaves_it_to_the_next(tmp_path: Path) -> None:
    tags = {"ACQUISITION_TIME": "10:40:31", "ACQUISITION_START_TIME": "2019-06-30T10:40:31"}
    assert date_in_tags(tags) == JUNE_30
    assert date(raster(tmp_path / "x_2019-06-30.tif", {"ACQUISITION_DATE": "n/a"})) == JUNE_30


def test_pleiades_metadata_beside_the_image(tmp_path: Path) -> None:
    raster(tmp_path / "IMG_foo_R1C1.TIF")
    (tmp_path / "DIM_foo.XML").write_text(
        "<Dimap_Document><Dataset_Sources><Source_Identification><Strip_Source>"
        "<MISSION>PHR</MISSION><MISSION_INDEX>1A</MISSION_INDEX>"
        "<IMAGING_DATE>2019-06-30</IMAGING_DATE><IMAGING_TIME>10:40:31.0Z</IMAGING_TIME>"
        "</Strip_Source></Source_Identification></Dataset_Sources></Dimap_Document>",
        encoding="utf-8",
    )
    (tmp_path / "RPC_foo.XML").write_text("<Dimap_Document/>", encoding="utf-8")
    assert date(tmp_path / "IMG_foo_R1C1.TIF") == JUNE_30


def test_worldview_metadata_beside_the_image(tmp_path: Path) -> None:
    raster(tmp_path / "x.tif")
    (tmp_path / "x.IMD").write_text(
        'generationTime = 2020-05-01T00:00:00.000000Z;\nBEGIN_GROUP = IMAGE_1\n\tsatId = "WV02";\n'
        "\tfirstLineTime = 2019-06-30T10:40:31.000000Z;\nEND_GROUP = IMAGE_1\nEND;\n",
        encoding="utf-8",
    )
    assert date(tmp_path / "x.tif") == JUNE_30


def test_sentinel_2_s_sensing_goes_before_its_name_and_its_generation(tmp_path: Path) -> None:
    safe = make_safe(tmp_path, size=24)
    assert date(safe) == datetime.date(2023, 6, 15)  # of its name
    metadata = safe / "MTD_MSIL2A.xml"
    times = (
        "<PRODUCT_START_TIME>2019-06-30T10:40:31.024Z</PRODUCT_START_TIME>"
        "<GENERATION_TIME>2020-05-01T00:00:00.000000Z</GENERATION_TIME>"
    )
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace("<Product_Info>", f"<Product_Info>{times}"), encoding="utf-8")
    assert date(safe) == JUNE_30


def test_landsat_s_metadata_go_before_its_name(tmp_path: Path) -> None:
    product = make_landsat(tmp_path, size=16)
    assert date(product) == datetime.date(2020, 7, 15)  # of its name
    (metadata,) = product.glob("*_MTL.txt")
    line = '    SENSOR_ID = "OLI_TIRS"\n'
    told = f"{line}    DATE_ACQUIRED = 2019-06-30\n"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace(line, told), encoding="utf-8")
    assert date(product) == JUNE_30


# --- STAC -----------------------------------------------------------------------------------------


def item(folder: Path, **properties: Any) -> SceneSettings:
    raster(folder / "red.tif")
    told = {
        "type": "Feature",
        "id": "x",
        "properties": properties,
        "assets": {"red": {"href": "./red.tif", "roles": ["data"], "type": "image/tiff"}},
    }
    (folder / "item.json").write_text(json.dumps(told), encoding="utf-8")
    (scene,) = find_scenes([str(folder / "item.json")]).scenes
    return scene


@pytest.mark.parametrize(
    ("properties", "day"),
    [
        ({"datetime": "2019-06-30T10:40:31Z"}, JUNE_30),
        ({"datetime": "2019-06-29T23:40:31-05:00"}, JUNE_30),
        ({"datetime": None, "start_datetime": "2019-06-30T00:00:00Z"}, JUNE_30),
        (
            {"start_datetime": "2019-06-30T00:00:00Z", "end_datetime": "2019-07-15T00:00:00Z"},
            JUNE_30,
        ),
        ({"start_datetime": "2019-06-30T00:00:00Z", "end_datetime": "2020-06-30T00:00:00Z"}, None),
        ({}, None),
    ],
)
def test_an_item_s_date_stays_in_owl_toml(
    properties: dict[str, Any], day: datetime.date | None, tmp_path: Path
) -> None:
    scene = item(tmp_path, **properties)
    assert scene.date == day
    settings = owl_toml.parse_text(owl_toml.with_scenes(TOML, [scene]), "owl.toml")
    assert isinstance(settings.source, GeoTiffSettings)
    assert settings.source.scenes[1] == scene
    assert ("\ndate = 2019-06-30" in owl_toml.dump(settings)) == (day is not None)
    assert open_scenes([scene], [])[0].date == day


# --- the setting ----------------------------------------------------------------------------------


def of_toml(line: str) -> SceneSettings:
    source = owl_toml.parse_text(f"{TOML}{line}\n", "owl.toml").source
    assert isinstance(source, GeoTiffSettings)
    return source.scenes[0]


@pytest.mark.parametrize(
    "value",
    [
        *("2019-06-30", '"2019-06-30"', "2019-06-30T10:40:31Z", '"2019-06-30T10:40:31Z"'),
        *("2019-06-29T23:40:31-05:00", '"2019-07-01T01:40:31+02:00"'),  # its day in UTC
    ],
)
def test_a_date_is_set_as_toml_has_it_or_in_quotes(value: str) -> None:
    assert of_toml(f"date = {value}").date == JUNE_30


@pytest.mark.parametrize("value", ["20190630", '"30.6.2019"', "10:40:31", "true", '""'])
def test_what_is_refused_as_a_date(value: str) -> None:
    with pytest.raises(
        ConfigError, match=r"source\.scenes\.0\.date: .* is not a date; write it as"
    ):
        of_toml(f"date = {value}")


def test_a_date_that_is_not_set_leaves_no_trace() -> None:
    scene = SceneSettings(name="a", path="a.tif")
    assert "date" not in scene.model_dump()
    dated = SceneSettings(name="a", path="a.tif", date=JUNE_30)
    assert dated.model_dump(mode="json")["date"] == "2019-06-30"


def test_a_date_changes_the_index_and_no_pixel(tmp_path: Path) -> None:
    """So that features stay, and `init --update` may choose another scene for the same ground."""
    path = str(raster(tmp_path / "a.tif"))
    plain, dated = (
        GeoTiffSettings(scenes=(SceneSettings(name="a", path=path, date=day),))
        for day in (None, JUNE_30)
    )
    ids = [UnopenedScenes(settings).identity(settings).scenes for settings in (plain, dated)]
    assert ids[0] == ids[1]
    assert UnopenedScenes(plain).anywhere() != UnopenedScenes(dated).anywhere()


def test_the_setting_wins(tmp_path: Path) -> None:
    path = raster(tmp_path / "x_2020-05-01.tif", {"ACQUISITION_DATE": "2020-05-02"})
    assert date(path) == datetime.date(2020, 5, 2)
    assert date(path, date=JUNE_30) == JUNE_30
    assert date(path, date=datetime.date(1944, 6, 6)) == datetime.date(1944, 6, 6)


# --- sources --------------------------------------------------------------------------------------


def test_a_source_has_the_dates_that_are_known_and_its_summary_says_them(tmp_path: Path) -> None:
    raster(tmp_path / "a_2019-06-30.tif")
    raster(tmp_path / "b.tif")
    source = GeoTiffSource([tmp_path / "a_2019-06-30.tif", tmp_path / "b.tif"], patch_size=4)
    assert source.dates == {"a_2019-06-30": JUNE_30}
    assert [str(line).split(" windows")[0] for line in source.summary] == [
        "a_2019-06-30, 2019-06-30: 4 of 4",
        "b: 4 of 4",
    ]
    assert SyntheticSource(n_samples=4, image_size=8).dates == {}


def test_no_file_is_opened_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    whole = rasterio.open

    def counting(path: Any, *args: Any, **options: Any) -> Any:
        opened.append(path)
        return whole(path, *args, **options)

    paths = [raster(tmp_path / f"{i}_2019-06-30.tif", {"ACQUISITION_DATE": "x"}) for i in range(3)]
    monkeypatch.setattr(rasterio, "open", counting)
    assert len(GeoTiffSource(paths, patch_size=4).dates) == len(opened) == 3


# --- cubes ----------------------------------------------------------------------------------------

DAYS = ("2020-05-01", "2019-06-30", "2019-12-24")  # in no order


def dates_of(array: xr.DataArray, **options: Any) -> list[datetime.date]:
    return list(CubeSource(array, patch_size=4, **options).dates.values())


def test_a_cube_has_a_date_by_its_rule() -> None:
    several = cube(np.ones((3, 2, 8, 8), np.float32), days=DAYS)
    assert dates_of(several, time="first") == [JUNE_30]
    assert dates_of(several, time="last") == [MAY_1]
    for rule in ("median", "mean", "min", "max", "stack"):
        assert dates_of(several, time=rule, name="x_2019-06-30") == []


def test_a_cube_of_one_date_or_of_none() -> None:
    one = cube(np.ones((1, 2, 8, 8), np.float32), days=DAYS)
    assert dates_of(one) == [MAY_1]
    assert dates_of(one.isel(time=0)) == [MAY_1]  # a scalar coordinate is left
    none = one.isel(time=0, drop=True)
    assert dates_of(none) == []
    assert dates_of(none, name="x_2019-06-30") == [JUNE_30]
    none.attrs["time_coverage_start"] = "2019-06-30T10:40:31Z"
    assert dates_of(none, name="x") == [JUNE_30]
    assert str(CubeSource(none, patch_size=4, name="x").summary[0]).startswith("x, 2019-06-30: 4")
