"""Raster files: which are refused and with what remedy, and what values they have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasters import coordinates, write_raster

from owl_geo.errors import LayerError, SourceError
from owl_geo.ground import raster_files
from owl_geo.ground.raster_files import (
    check_is_file,
    is_raster,
    open_layer,
    value_shares,
    values_of,
)

GEOREFERENCE = "georeference it first, for example with gdalwarp"


@pytest.mark.parametrize(
    ("options", "reason", "remedy"),
    [
        ({"crs": None}, "no CRS", "assign one, for example with gdal_edit.py -a_srs"),
        ({"transform": Affine.identity()}, "no geotransform", GEOREFERENCE),
        ({"transform": Affine(10, 0, 1e300, 0, -10, 0)}, "1e.300", "georeference it first"),
        ({"transform": Affine(1, 1, 0, 1, 1, 0)}, "no geotransform", GEOREFERENCE),
    ],
    ids=["no CRS", "no geotransform", "beyond the Earth", "a line"],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_without_a_place_is_refused_with_the_reason(
    options: dict[str, Any], reason: str, remedy: str, tmp_path: Path
) -> None:
    path = write_raster(tmp_path / "r.tif", coordinates(8, 8), **options)
    with pytest.raises(LayerError, match=reason) as caught:
        open_layer(str(path))
    assert caught.value.remedy == remedy


def test_control_points_are_no_grid(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "r.tif", coordinates(8, 8), transform=Affine.identity())
    corners = [GroundControlPoint(row, col, col, row) for row in (0, 8) for col in (0, 8)]
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = corners, dataset.crs
    with pytest.raises(LayerError, match="ground control points"):
        open_layer(str(path))


def test_the_values_of_a_raster_are_those_that_are_data(tmp_path: Path) -> None:
    values = np.array([[[3, 1, 1, 0], [0, 0, 3, 3]]], dtype="uint8")
    path = write_raster(tmp_path / "r.tif", values, nodata=0)
    assert values_of(str(path)).tolist() == [1, 3]
    # shares are of all pixels, those without data too
    assert value_shares(str(path), (0, 1, 3, 7)) == {0: 0.375, 1: 0.25, 3: 0.375, 7: 0.0}


def test_a_large_raster_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_files, "_SMALL", 16)
    monkeypatch.setattr(raster_files, "_WINDOW", 4)
    values = np.kron(np.array([[1, 2], [2, 2]]), np.ones((64, 64)))[None].astype("uint8")
    path = write_raster(tmp_path / "r.tif", values)
    assert value_shares(str(path), (1, 2)) == {1: 0.25, 2: 0.75}
    assert values_of(str(path)).tolist() == [1, 2]


def test_averages_in_overviews_are_no_values(tmp_path: Path) -> None:
    values = np.where(np.add.outer(np.arange(4200) // 7, np.arange(4200) // 9) % 2, 4, 6)
    path = write_raster(tmp_path / "r.tif", values[None].astype("uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    assert values_of(str(path)).tolist() == [4, 6]
    copied = tmp_path / "r.jp2"  # as Sentinel-2's scene classes come
    rasterio.shutil.copy(path, copied, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    assert values_of(str(copied)).tolist() == [4, 6]


def test_what_is_a_raster(tmp_path: Path) -> None:
    assert is_raster(write_raster(tmp_path / "r.tif", coordinates(8, 8)))
    text = tmp_path / "t.tif"
    text.write_text("not an image", encoding="utf-8")
    assert not is_raster(text)
    with pytest.raises(LayerError, match="gone"):
        is_raster(tmp_path / "gone.tif")


def test_a_pipe_is_refused_before_anybody_waits_for_it(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with a name")
    os.mkfifo(tmp_path / "pipe.tif")
    for error in (LayerError, SourceError):
        with pytest.raises(error, match=r"pipe\.tif"):
            check_is_file(str(tmp_path / "pipe.tif"), error)
    with pytest.raises(LayerError):
        is_raster(tmp_path / "pipe.tif")
