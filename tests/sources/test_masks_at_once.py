"""Several kinds of masks of one file count together: a mask, an alpha band and no-data values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasters import write_raster

from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource

SIZE = 64
HIDDEN = 77  # what stands under a mask, which is none of the values besides


def _image(path: Path, *, dtype: str, within: bool | None, nodata: int | None = None) -> Path:
    """Write red, green, blue and a fourth band that the file colours as alpha.

    The fourth band is 0 in the first 16 columns, the mask in the last 16 rows if there is one,
    ``within`` the file or beside it, and the others have the value 200 in the rows 0 to 15, which
    may be the no-data value.
    """
    values = np.full((4, SIZE, SIZE), 100, dtype=dtype)
    values[:3, :, :16] = HIDDEN
    values[:3, 48:] = 100 if within is None else HIDDEN
    values[:3, :16] = 200
    values[3] = 255
    values[3, :, :16] = 0
    write_raster(path, values, nodata=nodata)
    shown = np.full((SIZE, SIZE), 255, dtype=np.uint8)
    shown[48:] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=bool(within)), rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = (
            *(ColorInterp.red, ColorInterp.green, ColorInterp.blue),
            ColorInterp.alpha,
        )
        if within is not None:
            dataset.write_mask(shown)
    return path


def _shown(source: GeoTiffSource, pixel: int = 1) -> NDArray[np.bool_]:
    """Return which patches of 16 ``pixel`` there are, by row and column."""
    shown = np.zeros((4, 4), dtype=bool)
    index = source.index
    shown[index["row_off"] // (16 * pixel), index["col_off"] // (16 * pixel)] = True
    return shown


@pytest.mark.parametrize("within", [True, False, None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("nodata", [None, 200])
def test_a_mask_an_alpha_band_and_a_no_data_value(
    tmp_path: Path, dtype: str, within: bool | None, nodata: int | None
) -> None:
    path = _image(tmp_path / "a.tif", dtype=dtype, within=within, nodata=nodata)
    source = GeoTiffSource([path], patch_size=16)
    right = np.ones((4, 4), dtype=bool)
    right[3] = within is None
    right[:, 0] = False
    if nodata is not None:
        right[0] = False
    assert source.bands == ("red", "green", "blue")
    np.testing.assert_array_equal(_shown(source), right)
    assert HIDDEN not in source.read(list(source.index["patch_id"]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("nodata", [None, 200])
@pytest.mark.parametrize("within", [True, None])
def test_they_count_on_a_finer_grid_too(
    tmp_path: Path, dtype: str, within: bool | None, nodata: int | None
) -> None:
    coarse = _image(tmp_path / "coarse.tif", dtype=dtype, within=within, nodata=nodata)
    fine = write_raster(
        tmp_path / "fine.tif", np.ones((1, 2 * SIZE, 2 * SIZE), np.uint8), pixel=5.0
    )
    scene = SceneSettings(name="a", files=(str(coarse), str(fine)))
    source = GeoTiffSource([scene], patch_size=32)
    right = np.ones((4, 4), dtype=bool)
    right[3] = within is None
    right[:, 0] = False
    if nodata is not None:
        right[0] = False
    np.testing.assert_array_equal(_shown(source, 2), right)
    assert HIDDEN not in source.read(list(source.index["patch_id"]))


@pytest.mark.parametrize("described", [True, False])
def test_a_mask_counts_beside_a_band_that_is_data_though_coloured_as_alpha(
    tmp_path: Path, described: bool
) -> None:
    path = _image(tmp_path / "a.tif", dtype="uint8", within=True)
    if described:
        with rasterio.open(path, "r+") as dataset:
            dataset.descriptions = ("red", "green", "blue", "nir")
    source = GeoTiffSource([path], patch_size=16, bands=("1", "2", "3", "4"))
    right = np.ones((4, 4), dtype=bool)
    right[3] = False
    np.testing.assert_array_equal(_shown(source), right)
    assert set(source.read(["a/16/0"])[0, 3].flat) == {0}
