"""A VRT that reads 0 where data are missing in a part of it is said to do so."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from rasters import ORIGIN, UTM, write_raster

from owl_geo.concepts.rasters import warn_of_doubtful_values
from owl_geo.sources.geotiff import GeoTiffSource

SIZE = 64
MISSING = 9999


def _side_by_side(folder: Path, nodata: str = "") -> Path:
    """Write a VRT as gdalbuildvrt does of a file without a no-data value, and one with it."""
    values = np.full((1, SIZE, SIZE), 7, "uint16")
    write_raster(folder / "a.tif", values)
    values[:, :32] = MISSING
    write_raster(folder / "b.tif", values, nodata=MISSING)
    part = (
        '<{kind}Source><SourceFilename relativeToVRT="1">{file}</SourceFilename>'
        f'<SrcRect xOff="0" yOff="0" xSize="{SIZE}" ySize="{SIZE}"/>'
        f'<DstRect xOff="{{x}}" yOff="0" xSize="{SIZE}" ySize="{SIZE}"/>{{tail}}</{{kind}}Source>'
    )
    parts = part.format(kind="Simple", file="a.tif", x=0, tail="") + part.format(
        kind="Complex", file="b.tif", x=SIZE, tail=f"<NODATA>{MISSING}</NODATA>"
    )
    path = folder / "both.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{2 * SIZE}" rasterYSize="{SIZE}"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{ORIGIN[0]},10,0,{ORIGIN[1]},0,-10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1">{nodata}{parts}</VRTRasterBand></VRTDataset>',
        encoding="utf-8",
    )
    return path


def test_missing_pixels_of_a_part_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _side_by_side(tmp_path)
    source = GeoTiffSource(path, patch_size=16)
    assert set(source.read(list(source.index["patch_id"])).flat) == {0, 7}
    source.check_bands()
    assert "where a part of the VRT has its no-data value, 9999; declare that" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "owl_geo"):
        warn_of_doubtful_values(str(path))
    assert "where a part of the VRT has its no-data value, 9999" in caplog.text


def test_once_the_value_is_declared_they_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _side_by_side(tmp_path, f"<NoDataValue>{MISSING}</NoDataValue>")
    source = GeoTiffSource(path, patch_size=16)
    source.check_bands()
    warn_of_doubtful_values(str(path))
    assert len(source.index) == 24
    assert set(source.read(list(source.index["patch_id"])).flat) == {7}
    assert not caplog.text


def test_nothing_is_said_where_no_pixel_is_zero(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _side_by_side(tmp_path)
    write_raster(tmp_path / "b.tif", np.full((1, SIZE, SIZE), 5, "uint16"), nodata=MISSING)
    GeoTiffSource(path, patch_size=16).check_bands()
    assert not caplog.text
