"""Missing values of cubes, as those who write cubes declare them; and flags, which are no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf.legacyapi
import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from cubes import cube, write_netcdf, write_zarr
from numpy.typing import NDArray
from rasters import coordinates

from owl_geo.sources.cube.source import CubeSource

SIZE = 8
MISSING = 200  # where the last eight columns have no value on any date


def dates(missing: Any = MISSING, dtype: str = "uint16") -> NDArray[Any]:
    """Three dates of one band, 1000 everywhere, another third missing on each; 8 x 32 pixels."""
    values = np.full((3, 1, SIZE, 4 * SIZE), 1000).astype(dtype)
    for k in range(3):
        values[k, 0, :, k * SIZE : (k + 1) * SIZE] = missing
    values[..., 3 * SIZE :] = missing
    return values


def read(source: CubeSource) -> NDArray[Any]:
    return source.read(source.index["patch_id"].tolist())


def opened(array: xr.DataArray, how: str, folder: Path) -> CubeSource:
    """Return a source of the cube: by its path, or opened with xarray, decoded or raw."""
    path = write_netcdf(folder / "cube.nc", array) if how == "netcdf" else folder / "cube.zarr"
    if how != "netcdf":
        write_zarr(path, array, zarr_format=3 if "3" in how else 2)
    if "memory" not in how:
        return CubeSource(path, patch_size=SIZE)
    raw = xr.open_zarr(path, mask_and_scale="decoded" in how, consolidated=False)
    return CubeSource(raw.set_coords("crs"), patch_size=SIZE)


@pytest.mark.parametrize("how", ["netcdf", "zarr 2", "zarr 3", "memory raw", "memory decoded"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"nodata": MISSING},
        {"fill_value": MISSING},
        {"nodatavals": [MISSING]},
        {"missing_value": MISSING},
        {"FillValue": MISSING},
        {"valid_range": [300, 2000]},
        {"valid_range": "{300, 2000}"},  # as GDAL has it in its tags
        {"valid_min": 300},
        {"_eopf_attrs": {"fill_value": MISSING}},
    ],
    ids=lambda attributes: " ".join(map(str, *attributes.items())),
)
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_declared_missing_has_no_part_in_a_median(
    attributes: dict[str, Any], how: str, scaled: bool, tmp_path: Path
) -> None:
    if how == "netcdf" and "_eopf_attrs" in attributes:
        pytest.skip("NetCDF has no nested attributes")
    array = cube(dates())
    if "missing_value" in attributes:  # of the type of what is stored
        attributes = {"missing_value": np.uint16(MISSING)}
    scale = {"scale_factor": 0.0001, "add_offset": -0.1} if scaled else {}
    array.attrs |= attributes | scale
    source = opened(array, how, tmp_path)
    assert len(source.index) == 3
    assert read(source) == pytest.approx(0 if scaled else 1000, abs=1e-6)


def test_a_valid_range_may_be_in_the_units_of_values() -> None:
    """By the NetCDF user guide, where it has the type of the scale."""
    array = cube(dates())
    array.attrs |= {"scale_factor": 0.001, "add_offset": 0.0, "valid_range": np.array([0.3, 2.0])}
    source = CubeSource(array, patch_size=SIZE)
    assert len(source.index) == 3
    assert read(source) == pytest.approx(1)


@pytest.mark.parametrize("declared", [{"valid_min": 0, "valid_max": -6}, {"nodata": -1}])
def test_values_stored_as_signed_and_read_as_unsigned_are_declared_so(
    declared: dict[str, int], tmp_path: Path
) -> None:
    """By NetCDF's _Unsigned, a stored -1 is 255, and -6 is 250."""
    array = cube(dates(255, "uint8").astype("int8"))
    array.values[array.values != -1] = np.int8(-56)  # 200
    array.attrs |= {"_Unsigned": "true", **{key: np.int8(n) for key, n in declared.items()}}
    source = CubeSource(write_netcdf(tmp_path / "cube.nc", array), patch_size=SIZE)
    assert len(source.index) == 3
    assert (read(source) == 200).all()


def test_each_band_may_have_a_value_of_its_own() -> None:
    values = np.full((2, SIZE, 3 * SIZE), 7, "int32")
    values[0, :, :SIZE], values[1, :, SIZE : 2 * SIZE] = -1, -2
    values[0, :, 2 * SIZE :] = -2  # which is none of the first band's
    array = cube(values)
    array.attrs["nodatavals"] = (-1.0, -2.0)
    for bands, left in (((), [2]), (("B3",), [0, 2]), (("B3", "B2"), [2])):
        source = CubeSource(array, bands=bands, patch_size=SIZE)
        assert (source.index["col_off"] // SIZE).tolist() == left


@pytest.mark.parametrize("nodata", ["NaN", np.nan, None, "none", [], 70000, 0.5, True])
def test_what_no_pixel_can_be_marks_nothing(nodata: Any) -> None:
    array = cube(dates())
    array.attrs["nodata"] = nodata
    source = CubeSource(array, time="first", patch_size=SIZE)
    assert len(source.index) == 4


def test_what_zarr_3_reads_where_nothing_was_written_is_missing(tmp_path: Path) -> None:
    options: dict[str, Any] = {"zarr_format": 3, "consolidated": False}
    path = write_zarr(tmp_path / "cube.zarr", cube(dates()[0]), **options)
    group = zarr.open_group(path)
    whole = group["reflectance"]
    assert isinstance(whole, zarr.Array)
    attributes = dict(whole.attrs)
    more: dict[str, Any] = {"dimension_names": ["band", "y", "x"], "attributes": attributes}
    fresh = group.create_array(
        "reflectance", shape=whole.shape, dtype="uint16", chunks=(1, SIZE, SIZE), fill_value=65535,
        overwrite=True, **more,
    )  # fmt: skip
    fresh[:, :, SIZE:] = 1000
    assert len(CubeSource(path, patch_size=SIZE).index) == 3


@pytest.mark.parametrize(
    "attributes",
    [
        {"flag_values": [0, 1, 2], "flag_meanings": "land cloud water"},
        {"flag_masks": [1, 2], "flag_meanings": "cloud shadow"},
        {"standard_name": "surface_reflectance status_flag"},
        {"flags_definition": '{"contiguous": {"bits": [0], "values": {"1": true}}}'},
    ],
    ids=["values", "masks", "standard name", "Open Data Cube"],
)
def test_flags_are_bands_only_where_they_are_asked_for(
    attributes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    values = cube(dates()[0]).isel(band=0, drop=True)
    flags = values.copy(data=np.ones(values.shape, "uint8"))
    flags.attrs = {"grid_mapping": "crs", **attributes}
    dataset = xr.Dataset({"red": values, "SCL": flags})
    source = CubeSource(dataset, patch_size=SIZE)
    source.check_bands()
    assert source.bands == ("red",)
    assert "SCL holds flags and is not a band; name it with --bands" in caplog.text
    assert CubeSource(dataset, bands=("SCL", "red"), patch_size=SIZE).bands == ("SCL", "red")
    # a cube of nothing else is read for what it is
    assert CubeSource(dataset[["SCL"]], patch_size=SIZE).bands == ("SCL",)


def test_what_is_named_as_a_mask_is_a_band_only_where_it_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = cube(dates()[0]).isel(band=0, drop=True)
    dataset = xr.Dataset({"red": values, "scl": values, "qa_pixel": values})
    source = CubeSource(dataset, patch_size=SIZE)
    source.check_bands()
    assert source.bands == ("red",)
    assert "scl, qa_pixel are named like masks and are not bands; name them" in caplog.text
    assert CubeSource(dataset, bands=("scl",), patch_size=SIZE).bands == ("scl",)
    assert CubeSource(dataset[["scl"]], patch_size=SIZE).bands == ("scl",)
    along = cube(np.ones((2, SIZE, SIZE), "float32"), bands=("B04", "SCL"))
    assert CubeSource(along, patch_size=SIZE).bands == ("B04",)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("rule", ["median", "mean", "max", "last"])
def test_what_was_never_written_to_a_netcdf_file_is_missing(
    dtype: str, rule: str, tmp_path: Path
) -> None:
    """NetCDF fills it with a default, and says so nowhere; GDAL takes it for missing too."""
    path = write_netcdf(tmp_path / "cube.nc", cube(dates().astype(dtype)))
    whole = xr.open_dataset(path, engine="h5netcdf").load()
    path.unlink()
    with h5netcdf.legacyapi.Dataset(path, "w") as file:  # its defaults are those of netCDF4
        for name, size in whole.sizes.items():
            file.createDimension(str(name), size)
        for name, variable in whole.variables.items():
            if variable.dtype.kind not in "iuf":
                continue
            made = file.createVariable(name, variable.dtype.str[1:], variable.dims)
            for key, value in variable.attrs.items():
                made.attrs[key] = value
            if name == "reflectance":
                made.attrs["grid_mapping"] = "crs"
                made[0], made[1] = 100, 200  # and nothing on the third date
            else:
                made[...] = variable.values
    with rasterio.open(f'NETCDF:"{path}":reflectance') as by_gdal:
        assert by_gdal.read(3)[0, 0] == by_gdal.nodata
    source = CubeSource(path, patch_size=SIZE, time=rule)
    assert len(source.index) == 4
    expected = {"median": 150, "mean": 150, "max": 200, "last": 200}[rule]
    assert np.unique(read(source)).tolist() == [expected]


def test_a_netcdf_variable_that_declares_a_fill_value_has_no_other(tmp_path: Path) -> None:
    values = np.full((1, SIZE, 2 * SIZE), 65535, "uint16")
    values[..., SIZE:] = 7
    array = cube(values)
    array.encoding["_FillValue"] = 7
    source = CubeSource(write_netcdf(tmp_path / "cube.nc", array), patch_size=SIZE)
    assert np.unique(read(source)).tolist() == [65535]


@pytest.mark.parametrize("how", ["netcdf", "zarr 2", "memory raw", "memory decoded"])
def test_a_missing_value_may_be_text(how: str, tmp_path: Path) -> None:
    array = cube(dates(-9999, "float32")).assign_attrs(missing_value="-9999")
    source = opened(array, how, tmp_path)
    assert len(source.index) == 3
    assert np.unique(read(source)).tolist() == [1000]


def test_a_valid_range_that_is_no_numbers_is_none() -> None:
    array = cube(dates()).assign_attrs(valid_range="reflectances", valid_min="")
    assert len(CubeSource(array, patch_size=SIZE).index) == 4


def test_capital_letters_make_no_other_attribute() -> None:
    source = CubeSource(cube(dates()).assign_attrs(NoData=MISSING), patch_size=SIZE)
    assert np.unique(read(source)).tolist() == [1000]


@pytest.mark.parametrize("name", ["good_wavelengths", "bbl"])
def test_bands_that_a_spectrum_calls_bad_are_taken_only_where_they_are_asked_for(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    spectrum = cube(coordinates(SIZE, SIZE, 4)).rename(band="wavelengths")
    spectrum = spectrum.assign_coords(wavelengths=[660.0, 1370.0, 1600.0, 1900.0])
    good = spectrum.assign_coords({name: ("wavelengths", np.array([1, 0, 1, 0], np.float32))})
    source = CubeSource(good, patch_size=SIZE)
    source.check_bands()
    assert source.bands == ("660", "1600")
    assert "1370, 1900 are called bad in the file and are not bands; name them" in caplog.text
    pixels = source.read(source.index["patch_id"].tolist())[0]
    assert (pixels == good.isel(wavelengths=[0, 2]).to_numpy()).all()
    caplog.clear()
    named = CubeSource(good, patch_size=SIZE, bands=("660", "1370"))
    named.check_bands()
    assert named.bands == ("660", "1370") and "bad" not in caplog.text
    for values in ([0, 0, 0, 0], [1, 2, 0, 1]):  # no list of some that are bad
        other = spectrum.assign_coords({name: ("wavelengths", values)})
        assert len(CubeSource(other, patch_size=SIZE).bands) == 4
