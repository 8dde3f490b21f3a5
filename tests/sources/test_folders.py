"""Which files of a folder are its scene: bands, side files, and virtual rasters of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasters import ORIGIN, UTM, coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.band_choice import known_by_name
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.scene_words import find_scenes
from owl_geo.sources.scenes import open_scenes
from owl_geo.sources.side_files import is_side_file


def bands_of(folder: Path) -> list[str]:
    return [band.name for band in describe_scene(folder).default]


def write(folder: Path, name: str, bands: int = 1, dtype: str = "uint16", size: int = 32) -> Path:
    return write_raster(folder / name, coordinates(size, size, bands, dtype), pixel=320 / size)


def stacked(folder: Path, name: str, files: list[str], *, size: int = 32) -> Path:
    """Write a VRT with a band per file, as gdalbuildvrt -separate does."""
    x, y = ORIGIN
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{file}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for i, file in enumerate(files, start=1)
    )
    path = folder / name
    path.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{x},10,0,{y},0,-10</GeoTransform>{bands}</VRTDataset>"
    )
    return path


# --- side files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stem",
    [
        *("TCI", "T31UFS_20240101_SCL_20m", "CLD", "CLP", "sunAzimuthAngles", "viewZenithMean"),
        *("dataMask", "preview", "L2A_PVI", "MSK_CLASSI_B00", "MSK_CLDPRB_20m", "QA60"),
        *("HLS.S30.T10SEG.2021.v2.0.Fmask", "HLS.S30.SZA", "x_SR_QA_AEROSOL", "LC08_ST_ATRAN"),
        *("20240101_3B_udm2_clip", "20240101_DN_udm", "SENTINEL2A_CLM_R1", "S_SAT_R2"),
        *("ENMAP01-L2A-QL_VNIR", "ENMAP01-L2A-QL_QUALITY_CIRRUS", "cloud_mask", "AOT_10m"),
        *("oa_nbart_contiguity", "250m 16 days VI Quality", "TCI_R", "QA10", "QC_500m"),
        *("MOD09A1.061_sur_refl_state_500m_doy2021177_aid0001", "sur_refl_day_of_year"),
        *("MOD09GA.061_state_1km_1_doy2021177000000_aid0001", "num_observations_500m", "q_scan_1"),
        *("gflags_1", "orbit_pnt_1", "granule_pnt_1", "obscov_500m_1", "iobs_res_1"),
        *("MOD13Q1.061__250m_16_days_pixel_reliability_doy2021177000000_aid0001",),
        *("MOD13Q1.061__250m_16_days_composite_day_of_the_year_doy2021177000000_aid0001",),
        # Earth Engine's, of MODIS, VIIRS and Cloud Score+; sits'; FORCE's; HyP3's; Australia's
        *("StateQA", "DetailedQA", "SummaryQA", "DayOfYear", "QF1", "cs", "cs_cdf", "cloud_prob"),
        *("SENTINEL-2_MSI_20LKP_CLOUD_2020-06-04", "20180620_LEVEL2_SEN2A_QAI"),
        *("S1A_IW_20200101T054000_DVP_RTC10_G_gpuned_AB12_ls_map", "inc_map"),
        *("S1A_IW_20200101T054000_DVP_RTC10_G_gpuned_AB12_rgb", "x_DVP_RTC30_G_AB12_dem"),
        *("ga_ls8c_oa_3-2-1_090085_2020-04-05_final_nbart-contiguity",),
    ],
)
def test_side_files_are_known_by_name(stem: str) -> None:
    assert is_side_file(stem)


@pytest.mark.parametrize(
    "stem",
    [
        *("B02", "x_B8A_20m", "nir", "aerosol", "coastal_aerosol", "thermal", "cirrus", "lsat7_20"),
        *("cloud_free_B04", "SENTINEL2B_FRE_B8", "sat_image", "AnalyticMS_SR_8b_clip", "dem"),
        *("LC08_ST_B10", "vv", "ndvi", "pan", "SPECTRAL_IMAGE", "visual_red", "10m"),
        *("MOD09A1.061_sur_refl_b01_doy2021177_aid0001", "nbart_red", "oa_B04"),
        *("MOD13Q1.061__250m_16_days_NDVI_doy2021177000000_aid0001", "state", "reliability"),
        *("20180620_LEVEL2_SEN2A_BOA", "S1A_IW_20200101T054000_DVP_RTC10_G_AB12_VV", "area", "rgb"),
    ],
)
def test_bands_are_not_taken_for_side_files(stem: str) -> None:
    assert not is_side_file(stem)


def test_side_files_are_bands_only_where_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "s2"
    for name in ("B02", "B03", "B04"):
        write(folder, f"{name}.tif")
    write(folder, "AOT.tif", size=16)
    write(folder, "SCL.tif", dtype="uint8", size=16)
    write(folder, "TCI.tif", 3, "uint8")
    scene = describe_scene(folder)
    assert [band.name for band in scene.default] == ["B02", "B03", "B04"]
    assert scene.doubtful == ()
    assert any("AOT, SCL, TCI" in note and "--bands" in note for note in scene.left_out)
    assert GeoTiffSource(folder, bands=("1", "SCL")).bands == ("B02", "SCL")
    assert GeoTiffSource(folder, bands=("TCI_red", "b3")).bands == ("TCI_red", "B03")
    by_colour = open_scenes([SceneSettings(name="s2", path=str(folder))], ["red", "blue"])
    assert [Path(band.path).name for band in by_colour[0].bands] == ["B04.tif", "B02.tif"]


def test_the_end_of_a_name_means_a_band_rather_than_one_of_a_side_file(tmp_path: Path) -> None:
    folder = tmp_path / "enmap"
    write(folder, "L2A-SPECTRAL_IMAGE.tif", 3)
    write(folder, "L2A-QL_PIXELMASK.tif", 4)
    assert GeoTiffSource(folder, bands=("band_2",)).bands == ("L2A-SPECTRAL_IMAGE_band_2",)
    assert GeoTiffSource(folder, bands=("band_4",)).bands == ("L2A-QL_PIXELMASK_band_4",)


def test_quality_layers_within_a_stack_are_bands_only_where_they_are_named(tmp_path: Path) -> None:
    """As Earth Engine exports all bands of an image, and MODIS' products have them."""
    names = ("B4", "B8", "SCL", "MSK_CLDPRB", "QA60")
    path = write_raster(tmp_path / "a.tif", coordinates(8, 8, 5), descriptions=names)
    scene = describe_scene(path)
    assert [band.name for band in scene.default] == ["B4", "B8"]
    assert scene.left_out[0].startswith("SCL, MSK_CLDPRB, QA60 are left out: by name, a mask")
    assert scene.left_out[0].endswith("--bands ...,SCL")
    assert GeoTiffSource(path, bands=["QA60", "2"], patch_size=4).bands == ("QA60", "B8")
    known = known_by_name(names)  # of a run that was made with all of them
    (again,) = open_scenes([SceneSettings(name="a", path=str(path))], (), known=known)
    assert [band.name for band in again.bands] == list(names)
    # an image of nothing else is read for what it is
    masks = write_raster(tmp_path / "m.tif", coordinates(8, 8, 2), descriptions=("SCL", "QA60"))
    assert [band.name for band in describe_scene(masks).default] == ["SCL", "QA60"]


def test_side_files_are_no_reason_to_refuse(tmp_path: Path) -> None:
    folder = tmp_path / "s2"
    write(folder, "B02.tif")
    write(folder, "B03.tif")
    write_raster(folder / "preview.tif", coordinates(7, 9, 3, "uint8"), crs="EPSG:4326", pixel=1)
    write_raster(folder / "x_udm2.tif", coordinates(8, 8, 1, "uint8"), crs=None)
    (folder / "quicklook.jp2").write_text("not a raster")
    assert GeoTiffSource(folder).bands == ("B02", "B03")


def test_what_macos_leaves_beside_files_is_not_a_raster(tmp_path: Path) -> None:
    write(tmp_path / "f", "B02.tif")
    (tmp_path / "f" / "._B02.tif").write_bytes(b"\0\5\x16\7")
    assert GeoTiffSource(tmp_path / "f").bands == ("B02",)


def test_folders_of_rasters_within_a_folder_are_suggested(tmp_path: Path) -> None:
    for name in ("R10m", "R20m"):
        (tmp_path / "L2A" / name).mkdir(parents=True)
        write(tmp_path / "L2A" / name, "B04.tif")
    with pytest.raises(SourceError, match=r"has no rasters to read.*did you mean '.*R10m'\?"):
        describe_scene(tmp_path / "L2A")


def test_a_folder_of_side_files_alone_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "f", "TCI.tif", 3, "uint8")
    assert bands_of(tmp_path / "f") == ["TCI_red", "TCI_green", "TCI_blue"]


def test_quality_layers_of_several_bands_are_not_bands(tmp_path: Path) -> None:
    stem = "20240101_100000_00_2400_3B"
    write(tmp_path / "planet", f"{stem}_AnalyticMS_SR_8b_clip.tif", 8)
    write(tmp_path / "planet", f"{stem}_udm2_clip.tif", 8, "uint8")
    assert len(bands_of(tmp_path / "planet")) == 8
    write(tmp_path / "enmap", "ENMAP01-L2A-SPECTRAL_IMAGE.TIF", 20, "int16")
    write(tmp_path / "enmap", "ENMAP01-L2A-QL_PIXELMASK.TIF", 20, "uint8")
    write(tmp_path / "enmap", "ENMAP01-L2A-QL_SWIR.TIF", 3, "uint8")
    assert bands_of(tmp_path / "enmap") == [
        f"ENMAP01-L2A-SPECTRAL_IMAGE_band_{i}" for i in range(1, 21)
    ]


# --- virtual rasters of the files beside them -----------------------------------------------------


def test_a_single_image_beside_its_quality_layer_tells_what_its_bands_are(tmp_path: Path) -> None:
    names = ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir")
    image = write_raster(tmp_path / "x_SR_8b_clip.tif", coordinates(32, 32, 8), descriptions=names)
    write(tmp_path, "x_udm2_clip.tif", 8, "uint8")
    bands = {band.common: band.name for band in describe_scene(tmp_path).default if band.common}
    assert {"blue", "green", "red", "nir"} <= set(bands)
    assert bands["red"] == f"{image.stem}_red"
    (scene,) = open_scenes([SceneSettings(name="s", path=str(tmp_path))], ["red", "nir"])
    assert [band.number for band in scene.bands] == [6, 8]


def test_a_stack_of_the_files_beside_it_is_not_taken_twice(tmp_path: Path) -> None:
    names = ["B02.tif", "B03.tif", "B04.tif"]
    for name in names:
        write(tmp_path / "f", name)
    path = stacked(tmp_path / "f", "stack.vrt", names)
    stacked(tmp_path / "f", "stack_of_stack.vrt", ["stack.vrt"])
    scene = describe_scene(tmp_path / "f")
    assert [band.name for band in scene.bands] == ["B02", "B03", "B04"]
    assert any(
        note.startswith("stack.vrt is not taken: it shows B02.tif") for note in scene.left_out
    )
    assert len(describe_scene(path).bands) == 3  # asked for by itself


def test_a_vrt_that_turns_a_file_round_is_not_taken_twice(tmp_path: Path) -> None:
    x, y = ORIGIN
    south_up = rasterio.Affine(10, 0, x, 0, 10, y - 320)
    path = write_raster(tmp_path / "f" / "x.tiff", coordinates(32, 32, 4), transform=south_up)
    north_up = from_origin(x, y, 10, 10)
    with (
        rasterio.open(path) as dataset,
        WarpedVRT(dataset, transform=north_up, width=32, height=32) as turned,
    ):
        rasterio.shutil.copy(turned, tmp_path / "f" / "x.vrt", driver="VRT")
    assert len(describe_scene(tmp_path / "f").bands) == 4
    found = find_scenes([str(tmp_path / "f" / "*")])
    assert [scene.path for scene in found.scenes] == [str(path)]


def test_a_mosaic_stands_for_the_tiles_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    x, y = ORIGIN
    parts = ""
    for i in range(2):
        write_raster(
            folder / f"B02_{i}.tif",
            coordinates(32, 16, 1) + np.uint16(100 * i),
            transform=from_origin(x + 160 * i, y, 10, 10),
        )
        parts += (
            f'<SimpleSource><SourceFilename relativeToVRT="1">B02_{i}.tif</SourceFilename>'
            '<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="16" ySize="32"/>'
            f'<DstRect xOff="{16 * i}" yOff="0" xSize="16" ySize="32"/></SimpleSource>'
        )
    (folder / "B02.vrt").write_text(
        f'<VRTDataset rasterXSize="32" rasterYSize="32"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{x},10,0,{y},0,-10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1">{parts}</VRTRasterBand></VRTDataset>'
    )
    source = GeoTiffSource(folder)
    assert source.bands == ("B02",)
    assert source.read(["f/0/0"])[0, 0, 5, [0, 16]].tolist() == [5, 105]


def test_a_vrt_named_beside_its_file_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tile = write(tmp_path, "a.tif")
    path = stacked(tmp_path, "v.vrt", ["a.tif"])
    assert len(find_scenes([str(tile), str(path)]).scenes) == 2
    assert f"{path} shows files that are scenes too" in caplog.text
    caplog.clear()
    present = [SceneSettings(name="a", path=str(tile))]
    assert len(find_scenes([str(path)], present=present).scenes) == 1
    assert "are scenes too" in caplog.text


def test_a_pattern_keeps_a_vrt_that_shows_other_files(tmp_path: Path) -> None:
    write(tmp_path / "tiles", "a.tif")
    write(tmp_path / "elsewhere", "b.tif")
    stacked(tmp_path / "tiles", "b.vrt", ["../elsewhere/b.tif"])
    found = find_scenes([str(tmp_path / "tiles" / "*")])
    assert [scene.name for scene in found.scenes] == ["a", "b"]
    assert [scene.name for scene in find_scenes([str(tmp_path / "tiles" / "*.vrt")]).scenes] == [
        "b"
    ]


def test_bands_of_hls_are_called_by_their_codes(tmp_path: Path) -> None:
    name = "HLS.S30.T32TNT.2023166T103629.v2.0"
    for number, code in enumerate(("B04", "B08", "B8A", "Fmask")):
        write_raster(tmp_path / "hls" / f"{name}.{code}.tif", coordinates(8, 8, 1) + number)
    described = describe_scene(tmp_path / "hls")
    for words in (("B04", "B8A"), ("b4", "b8a"), ("red", "nir08")):
        (scene,) = open_scenes([SceneSettings(name="a", path=str(tmp_path / "hls"))], words)
        files = [Path(band.path).name for band in scene.bands]
        assert files == [f"{name}.B04.tif", f"{name}.B8A.tif"]
    (scene,) = open_scenes([SceneSettings(name="a", path=str(tmp_path / "hls"))], ["B08", "Fmask"])
    assert Path(scene.bands[1].path).name == f"{name}.Fmask.tif"
    assert [band.common for band in described.default] == ["red", "nir", "nir08"]


def test_a_mask_in_a_folder_counts_although_it_is_a_side_file(tmp_path: Path) -> None:
    write(tmp_path / "f", "B02.tif")
    mask = write(tmp_path / "f", "SCL.tif", dtype="uint8")
    scene = SceneSettings(name="s", path=str(tmp_path / "f"), mask=str(mask))
    source = GeoTiffSource(scene, mask_bad=[0, 1, 2, 3], min_valid=0.1)
    assert source.bands == ("B02",)
    assert source.index["valid_fraction"].tolist() == [28 / 32]
