"""Bands that are empty by design are left out where a header says so, else named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cubes import cube
from rasters import coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene


def envi(path: Path, bbl: str) -> Path:
    write_raster(path, coordinates(32, 32, 4, "int16"), driver="ENVI")
    with path.with_suffix(".hdr").open("a") as header:
        header.write(f"bbl = {bbl}\n")
    return path


@pytest.mark.parametrize(
    "bbl", ["{1, 0, 1, 0}", "{1,0,1,0}", "{ 1, 0,\n 1, 0 }", "{1.0, 0.0, 1.0, 0}"]
)
def test_bands_that_an_envi_header_calls_bad_are_left_out(bbl: str, tmp_path: Path) -> None:
    scene = describe_scene(envi(tmp_path / "e.img", bbl))
    assert [band.number for band in scene.default] == [1, 3]
    assert len(scene.bands) == 4
    assert any("bbl" in note for note in scene.left_out)
    assert len(GeoTiffSource(tmp_path / "e.img", bands=("1", "2")).bands) == 2


def test_a_list_that_calls_every_band_bad_does_not_count(tmp_path: Path) -> None:
    assert len(describe_scene(envi(tmp_path / "e.img", "{0, 0, 0, 0}")).default) == 4


def test_bands_without_data_are_named_with_those_that_have_some(tmp_path: Path) -> None:
    pixels = coordinates(32, 32, 4, "int16") + np.int16(1)
    pixels[[1, 3]] = -32768
    path = write_raster(
        tmp_path / "e.tif", pixels, nodata=-32768, descriptions=("a", "b", "c", "d")
    )
    with pytest.raises(SourceError, match=r"b, d have no data anywhere; .*: --bands a,c$"):
        _ = GeoTiffSource(path, patch_size=16).index
    assert len(GeoTiffSource(path, patch_size=16, bands=("a", "c")).index) == 4


def test_the_bands_of_a_spectrum_that_have_data_are_named_by_their_numbers(tmp_path: Path) -> None:
    pixels = np.ones((300, 16, 16), np.float32)
    pixels[130:135] = np.nan
    pixels[199] = np.nan
    path = write_raster(tmp_path / "e.tif", pixels)
    bands = ("1-130", "136-199", "201-300")
    message = rf"and 1 more have no data .*: --bands {','.join(bands)}$"
    with pytest.raises(SourceError, match=message):
        _ = GeoTiffSource(path, patch_size=16).index
    chosen = GeoTiffSource(path, patch_size=16, bands=bands)
    assert len(chosen.index) == 1
    assert chosen.bands[129:131] == ("band_130", "band_136") and len(chosen.bands) == 294


def test_many_bands_without_data_in_many_files_are_counted(tmp_path: Path) -> None:
    for number in range(120):
        pixels = np.full((1, 16, 16), np.nan if number % 2 else 1, np.float32)
        write_raster(tmp_path / f"a_long_name_of_{number:03}.tif", pixels)
    with pytest.raises(SourceError, match=r"and 55 more have no data .* with the other 60$"):
        _ = GeoTiffSource(tmp_path, patch_size=16).index


def test_a_scene_under_cloud_is_not_taken_for_one_of_empty_bands(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(32, 32) + np.uint16(1), nodata=0)
    pixels = coordinates(32, 32, 2) + np.uint16(1)
    pixels[0, :, ::2] = 0
    pixels[1, :, 1::2] = 0
    both = write_raster(tmp_path / "b.tif", pixels, nodata=0)
    with pytest.raises(SourceError, match="no patch is valid enough"):
        _ = GeoTiffSource(both, patch_size=16).index
    assert len(GeoTiffSource(path, patch_size=16).index) == 4


def test_bands_of_a_cube_without_data_are_named() -> None:
    values = np.ones((3, 32, 32), np.float32)
    values[1] = np.nan
    with pytest.raises(SourceError, match=r"B3 has no data anywhere; .*: --bands B2,B4$"):
        _ = CubeSource(cube(values), patch_size=16).index
