"""Products whose files do not say what their bands are, and have them in one order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from in_process import Owl, owl
from rasters import write_raster

from owl_geo import GeoTiffSource, Run
from owl_geo.errors import SourceError
from owl_geo.sources.band_orders import band_order
from owl_geo.sources.scene_description import describe_scene

__all__ = ["owl"]

MARKED = "20170831_172754_101c_3B_AnalyticMS.tif"  # as red, green and blue


def planet(path: Path, **profile: object) -> Path:
    """Write bands whose every pixel is 10 times their number, the first three marked as RGB."""
    values = np.stack([np.full((64, 64), 10 * (i + 1), dtype=np.uint16) for i in range(4)])
    return write_raster(path, values, photometric="RGB", **profile)


def first(source: GeoTiffSource) -> list[float]:
    patch = source.read(source.index["patch_id"][:1].tolist())[0]
    return [float(value) for value in patch[:, 0, 0]]


@pytest.mark.parametrize(
    ("stem", "n", "order"),
    [
        ("20190706_002918_101b_3B_AnalyticMS_SR", 4, "blue green red nir"),
        ("20190109_015005_1020_3b_analyticms_sr_harmonized_clip", 4, "blue green red nir"),
        (
            "20240607_000749_84_24e5_3B_AnalyticMS_SR_8b_clip_reproject",
            8,
            "coastal blue - green - red rededge1 nir",
        ),
        ("3241621_2017-03-05_RE4_3A_Analytic_SR_clip", 5, "blue green red rededge1 nir"),
        ("20200814_162132_ssc4_u0001_pansharpened", 4, "blue green red nir"),
        ("m_3707763_se_18_1_20160623_20161012", 4, "red green blue nir"),
        ("swissimage-rs_2018_2584-1126_0.1_2056", 4, "nir red green blue"),
        ("dop20rgbi_32_350_5600_1_nw_2021", 4, "red green blue nir"),
        ("33-2018-0395-6420-LA93-0M20-IRC-E080", 3, "nir red green"),
        ("dop20cir_33402-5812", 3, "nir red green"),
        ("2132424_1957815_2019-01-09_1020_BGRN_Analytic", 4, "blue green red nir"),
        ("IMG_PHR1A_MS_201906301040310_ORT_5547047101_R1C1", 4, "red green blue nir"),
        ("IMG_SPOT7_PMS_202103101640394_ORT_1_R1C1_clip", 4, "red green blue nir"),
        ("IMG_PNEO4_STD_202107261032414_MS-FS_ORT_PWOI_1_1_F_1_RGB_R1C1", 3, "red green blue"),
        (
            "IMG_PNEO4_STD_202107261032414_MS-FS_ORT_PWOI_1_1_F_1_NED_R1C1",
            3,
            "nir rededge1 coastal",
        ),
        ("GF1_PMS1_E116.5_N39.4_20160716_L1A0001706665-MSS1", 4, "blue green red nir"),
        ("GF1_WFV2_E116.5_N39.4_20160716_L1A0001706665", 4, "blue green red nir"),
        ("naip_rgbir", 4, "red green blue nir"),
        ("S2_B8_B4_B3_2023", 3, "nir red green"),
        ("stack_B02_B03_B04_B08", 4, "blue green red nir"),
        ("LC08_2021_B5-B4-B3", 3, "nir red green"),
        ("x_B4_B3_B2", 3, None),  # of which sensor?
        ("S2A_B8_B4_B3", 4, None),
        # shown in colours that are not those of the bands
        ("IMG_PHR1B_PMS-X_201906301040310_ORT_1_R1C1", 3, "- - -"),
        ("2023-06-15-00:00_2023-06-15-23:59_Sentinel-2_L2A_False_color", 3, "- - -"),
        ("2023-06-15-00:00_2023-06-15-23:59_Sentinel-2_L2A_SWIR", 3, "- - -"),
        ("may_falsecolour", 3, "- - -"),
        ("2023-06-15-00:00_2023-06-15-23:59_Sentinel-2_L2A_True_color", 3, None),
        # another number of bands, words that spell none, and what was made of them
        ("20190706_002918_101b_3B_AnalyticMS_SR", 3, None),
        ("20190706_002918_101b_3B_AnalyticMS_SR_ndvi_stack", 4, None),
        ("20190706_002918_101b_3B_Visual", 4, None),
        ("m_3707763_se_18_1_20160623", 3, None),
        ("scene", 4, None),
        ("dop20rgb_32_350_5600", 3, None),
        ("circle_of_mines", 3, None),
    ],
)
def test_names_of_products_tell_the_order(stem: str, n: int, order: str | None) -> None:
    wanted = order and tuple(None if word == "-" else word for word in order.split())
    assert band_order(stem, {}, n) == wanted


def test_an_imd_tells_the_order_but_of_images_for_display() -> None:
    tags = {f"BAND_{name}.absCalFactor": "1" for name in ("B", "G", "R", "N")}
    assert band_order("x", {"bandId": "Multi", **tags}, 4) == ("blue", "green", "red", "nir")
    assert band_order("x", tags, 3) is None
    del tags["BAND_N.absCalFactor"]
    assert band_order("x", tags, 3) is None


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ("C B G Y R RE N N2", "coastal blue green - red rededge1 nir -"),
        ("B C G N N2 R RE Y", "coastal blue green - red rededge1 nir -"),  # as old GDAL sorts them
        ("B G N R", "blue green red nir"),
        ("R G B N", "red green blue nir"),
        ("S1 S2 S3 S4 S5 S6 S7 S8", "- - - - - - - -"),
    ],
)
def test_an_imd_tells_the_order_where_gdal_sorts_its_groups(groups: str, wanted: str) -> None:
    names = groups.split()
    tags = {f"BAND_{name}.absCalFactor": "1" for name in names}
    bands = tuple(None if word == "-" else word for word in wanted.split())
    assert band_order("x", tags, len(names)) == bands


def test_a_product_goes_before_the_colours_of_its_file(tmp_path: Path, owl: Owl) -> None:
    path = planet(tmp_path / MARKED)
    assert first(GeoTiffSource(path, bands=["red", "blue", "nir"], patch_size=16)) == [30, 10, 40]
    done = owl("init", tmp_path / "run", "--scene", path, "--patch-size", 16)
    marks = "bands 1, 3 are blue, red, though the file marks them as red, blue"
    assert marks in done.err
    assert "band_1 (blue), band_2 (green), band_3 (red), band_4 (nir)" in done.out


@pytest.mark.parametrize(
    ("stem", "names"),
    [
        (
            "IMG_PNEO3_STD_202107261032414_MS-FS_ORT_1_1_F_1_NED_R1C1",
            ["nir", "rededge1", "coastal"],
        ),
        ("2023-06-15-00_00_2023-06-15-23_59_Sentinel-2_L2A_False_color", [None] * 3),
    ],
)
def test_colours_of_a_picture_in_false_colour_are_not_its_bands(
    stem: str, names: list[str | None], tmp_path: Path
) -> None:
    values = np.full((3, 16, 16), 7, dtype=np.uint8)
    bands = describe_scene(write_raster(tmp_path / f"{stem}.tif", values, photometric="RGB")).bands
    assert [band.name for band in bands] == ["band_1", "band_2", "band_3"]
    assert [band.common for band in bands] == names


def test_what_a_file_or_a_person_says_goes_before_its_product(tmp_path: Path) -> None:
    described = planet(tmp_path / MARKED, descriptions=("red", "green", "blue", "nir"))
    assert first(GeoTiffSource(described, bands=["red"], patch_size=16)) == [10]
    stated = GeoTiffSource(
        planet(tmp_path / "a" / MARKED), bands=["red"], patch_size=16, common={"red": "1"}
    )
    assert first(stated) == [10]
    alpha = write_raster(
        tmp_path / "m_3707763_se_18_1_20160623.tif", np.full((4, 64, 64), 255, dtype=np.uint8)
    )
    assert [band.name for band in describe_scene(alpha).default] == ["red", "green", "blue"]


def test_nothing_is_said_of_what_a_person_has_said(tmp_path: Path, owl: Owl) -> None:
    cir = write_raster(
        tmp_path / "dop20cir_32.tif",
        np.stack([np.full((64, 64), 10 * (i + 1), dtype=np.uint8) for i in range(3)]),
    )
    common = ("--common", "nir=1,red=2,green=3")
    said = owl("init", tmp_path / "run", "--scene", cir, "--patch-size", 16, *common)
    assert "marks" not in said.err
    # a run of before, whose bands were named by the marks, has them right
    index = tmp_path / "run" / "index.json"
    record = json.loads(index.read_text(encoding="utf-8"))
    del record["statistics"]["by_product"]
    assert record["statistics"]["common_names"] == ["nir", "red", "green"]
    record["statistics"]["bands"] = record["made_for"]["bands"] = ["red", "green", "blue"]
    index.write_text(json.dumps(record), encoding="utf-8")
    assert first(Run(tmp_path / "run").source) == [10, 20, 30]


def test_a_name_that_spells_its_bands_tells_data_from_alpha(tmp_path: Path) -> None:
    values = np.stack([np.full((64, 64), 10 * (i + 1), dtype=np.uint8) for i in range(4)])
    values[3, :, :32] = 0  # dark in near infrared, as water is
    marked = {"photometric": "RGB", "alpha": "YES"}
    path = write_raster(tmp_path / "dop20rgbi_32_350_5600.tif", values, **marked)
    source = GeoTiffSource(path, patch_size=16)
    assert len(source.index) == 16
    assert first(source) == [10, 20, 30, 0]
    bands = describe_scene(path).default
    assert [band.name for band in bands] == ["red", "green", "blue", "band_4"]
    assert [band.common for band in bands] == ["red", "green", "blue", "nir"]
    cir = write_raster(tmp_path / "dop20cir_32_350_5600.tif", values, **marked)
    source = GeoTiffSource(cir, patch_size=16)
    assert len(source.index) == 8
    bands = describe_scene(cir).default
    assert [band.common for band in bands] == ["nir", "red", "green"]
    assert first(GeoTiffSource(cir, bands=["green", "nir"], patch_size=16)) == [30, 10]


def test_a_folder_of_one_image_has_its_order_too(tmp_path: Path) -> None:
    planet(tmp_path / "order" / MARKED)
    planet(tmp_path / "order" / "x_udm2.tif")
    source = GeoTiffSource(tmp_path / "order", bands=["red", "blue"], patch_size=16)
    assert first(source) == [30, 10]


@pytest.mark.parametrize("bands", [(), ("--bands", "red,green"), ("--bands", "1,2")])
def test_a_run_that_went_by_the_colours_is_not_gone_on_with(
    bands: tuple[str, ...], tmp_path: Path, owl: Owl
) -> None:
    path, run = planet(tmp_path / "s.tif"), tmp_path / "run"
    owl("init", run, "--scene", f"s={path}", "--patch-size", 16, *bands)
    product = path.rename(tmp_path / MARKED)  # as a run of before had it, by its colours
    settings = (run / "owl.toml").read_text(encoding="utf-8")
    (run / "owl.toml").write_text(settings.replace("s.tif", product.name), encoding="utf-8")
    index = run / "index.json"
    record = json.loads(index.read_text(encoding="utf-8"))
    assert record["statistics"].pop("by_product") is True
    index.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(SourceError, match="red is band_3, but the run may have been made with ban"):
        _ = Run(run).source
    owl("init", run, "--update")
    assert Run(run).index.statistics.by_product
    assert first(Run(run).source)[0] == (30 if "red,green" in bands else 10)
