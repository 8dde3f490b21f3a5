"""What NetCDF says of missing pixels and GDAL does not heed is said; a cube heeds it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import CRS
from rasters import ORIGIN, UTM

from owl_geo.concepts.rasters import warn_of_doubtful_values
from owl_geo.ground.netcdf_values import unheeded
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.geotiff import GeoTiffSource

CASES: dict[str, tuple[str, float, float, dict[str, Any]]] = {
    "valid_min = 0": ("int16", -5, 7, {"valid_min": np.int16(0)}),
    "valid_max = 100": ("uint8", 255, 7, {"valid_max": np.uint8(100)}),
    "valid_range = 0, 10": ("int32", 11, 7, {"valid_range": np.array([0, 10], "int32")}),
    "missing_value = -99": (
        *("int16", -99, 7),
        {"missing_value": np.int16(-99), "_FillValue": np.int16(-98)},
    ),
    "missing_value = -9999.9": ("float32", -9999.9, 7, {"missing_value": -9999.9}),
}


def _written(path: Path, dtype: str, first: float, then: float, attributes: dict[str, Any]) -> Path:
    """Write a band of 64 x 64 pixels: in the first 16 rows one value, then another."""
    values = np.full((64, 64), then, dtype)
    values[:16] = np.array(first).astype(dtype)
    dataset = xr.Dataset(
        {
            "b": (("y", "x"), values, {**attributes, "grid_mapping": "crs"}),
            "crs": ((), 0, CRS.from_user_input(UTM).to_cf()),
        },
        coords={
            axis: (axis, start + step * np.arange(64), {"standard_name": name, "units": "m"})
            for axis, start, step, name in (
                ("y", ORIGIN[1] - 5, -10.0, "projection_y_coordinate"),
                ("x", ORIGIN[0] + 5, 10.0, "projection_x_coordinate"),
            )
        },
    )
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("said", CASES)
def test_what_gdal_does_not_heed_is_said_and_a_cube_heeds_it(
    said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _written(tmp_path / "c.nc", *CASES[said])
    source = GeoTiffSource(path, patch_size=16)
    source.check_bands()
    assert f"by {said} in its file, pixels of" in caplog.text
    cube = CubeSource(str(path), patch_size=16)
    assert len(cube.index) == 12
    assert set(cube.read(list(cube.index["patch_id"])).flat) == {7}


def test_bytes_that_gdal_reads_as_signed_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _written(tmp_path / "c.nc", "int8", -56, 7, {"_Unsigned": "true"})
    with rasterio.open(path) as dataset:
        is_signed = dataset.dtypes == ("int8",)  # by the version of GDAL
    GeoTiffSource(path, patch_size=16).check_bands()
    assert ("by _Unsigned = true in its file, pixels of" in caplog.text) == is_signed
    cube = CubeSource(str(path), patch_size=16)
    assert set(cube.read(list(cube.index["patch_id"])).flat) == {7, 200}


def test_nothing_is_said_where_gdal_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = {"valid_range": np.array([-10, 10], "int16"), "_FillValue": np.int16(-5)}
    path = _written(tmp_path / "c.nc", "int16", -5, 7, wide)
    with rasterio.open(path) as dataset:
        assert unheeded(dataset, 1) == ""
    scaled = {"valid_max": 0.8, "scale_factor": 0.1}
    with rasterio.open(_written(tmp_path / "s.nc", "int16", 3, 7, scaled)) as dataset:
        assert dataset.scales == (0.1,) and unheeded(dataset, 1) == ""
    GeoTiffSource(path, patch_size=16).check_bands()
    assert not caplog.text


def test_a_concept_is_warned_of_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _written(tmp_path / "c.nc", *CASES["valid_min = 0"])
    with caplog.at_level(logging.WARNING, "owl_geo"):
        warn_of_doubtful_values(str(path))
    assert f"{path}: by valid_min = 0 in the file, pixels may be missing" in caplog.text
