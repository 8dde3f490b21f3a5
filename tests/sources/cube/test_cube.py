"""Data cubes: axes, places, dates and bands, and that patches hold the pixels that they should."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
import sys
import tomllib
import tracemalloc
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from after_a_fork import digest, read_at_once
from click.testing import CliRunner
from cubes import DAYS, cube, write_netcdf, write_zarr
from numpy.typing import NDArray
from pyproj import CRS
from rasters import ORIGIN, UTM, coordinates, write_raster

from owl_geo import Run, query
from owl_geo.cli import cli
from owl_geo.errors import OwlError, RunError, SourceError
from owl_geo.ground.footprints import footprints
from owl_geo.ground.tiling import Chunk
from owl_geo.settings.owl_toml import parse
from owl_geo.sources import open_source
from owl_geo.sources.base import windows_of
from owl_geo.sources.chunked import CHUNK_BYTES
from owl_geo.sources.cube import source as cube_module
from owl_geo.sources.cube.source import CubeReader, CubeSource
from owl_geo.sources.geotiff import GeoTiffSource

da = pytest.importorskip("dask.array")


def streamed(source: CubeSource | GeoTiffSource) -> NDArray[Any]:
    return np.concatenate([patches for _, patches in source.stream()])


def polygons(source: CubeSource | GeoTiffSource) -> gpd.GeoSeries:
    return footprints(windows_of(source))


def windows(image: NDArray[Any], source: CubeSource) -> NDArray[Any]:
    """Cut ``(bands, height, width)`` where the source's patches lie."""
    size = source.patch_size
    offsets = source.index[["row_off", "col_off"]].itertuples(index=False)
    return np.stack([image[:, row : row + size, col : col + size] for row, col in offsets])


def noisy(dates: int, dtype: str = "float32", seed: int = 0) -> NDArray[Any]:
    """Dates of two bands, 40 x 50 pixels; of floats, a third is missing or infinite."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9999, (dates, 2, 40, 50)).astype(dtype)
    if np.issubdtype(values.dtype, np.inexact):
        values[rng.random(values.shape) < 0.3] = np.nan
        values[rng.random(values.shape) < 0.03] = np.inf
        values[rng.random(values.shape) < 0.03] = -np.inf
        values[:, 0, 3:5, 7:9] = np.nan  # on no date
    return values


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_zarr, write_netcdf])
@pytest.mark.parametrize(
    ("chunks", "size", "stride"),
    [
        ({"y": 64, "x": 64}, 16, 16),
        ({"band": 1, "y": 37, "x": 53}, 16, 16),  # chunks that do not meet patches
        ({"band": 2, "y": 64, "x": 64}, 50, 30),
        ({"y": 20, "x": 310}, 10, 25),
        ({}, 32, 32),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [64 * 2**20, 40_000])
def test_values_are_those_of_a_plain_window(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Any,
    chunks: dict[str, int],
    size: int,
    stride: int,
    chunk_bytes: int,
) -> None:
    monkeypatch.setattr(cube_module, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(cube_module, "_BLOCK_BYTES", 4 * chunk_bytes)
    values = coordinates(150, 310)
    path = write(tmp_path / "a.cube", cube(values), chunks)  # told by what it holds
    source = CubeSource(path, patch_size=size, stride=stride)
    expected = windows(values, source)
    assert np.array_equal(streamed(source), expected)
    ids = source.index["patch_id"].tolist()
    some = np.random.default_rng(0).permutation(len(ids))[:5]
    assert np.array_equal(source.read([ids[i] for i in some]), expected[some])
    assert np.array_equal(expected[:, 0, 0, 0], source.index["row_off"])
    assert np.array_equal(expected[:, 1, 0, 0], source.index["col_off"])


@pytest.mark.parametrize("south_up", [False, True])
def test_a_cube_is_the_equal_of_a_geotiff(tmp_path: Path, south_up: bool) -> None:
    values = coordinates(70, 90, 4, "float32")
    values[:, 5:25, 5:25] = np.nan
    values[2, 50, 40:60] = np.inf
    y = ORIGIN[1]
    transform = rasterio.Affine(10, 0, ORIGIN[0], 0, 10 if south_up else -10, y)
    options = {"patch_size": 16, "stride": 12, "min_valid": 0.3, "bands": ("4", "2", "3")}
    names = ("B2", "B3", "B4", "B8")
    tif = GeoTiffSource(
        write_raster(tmp_path / "a.tif", values, transform=transform, descriptions=names), **options
    )
    path = write_zarr(tmp_path / "a.zarr", cube(values, south_up=south_up), {"y": 32, "x": 32})
    same = CubeSource(path, **options)
    assert same.bands == tif.bands
    assert same.grids == tif.grids
    ids = tif.index["patch_id"].tolist()
    assert len(same.index) == len(ids)
    shares = same.index.set_index("patch_id").loc[ids, "valid_fraction"]
    assert shares.tolist() == tif.index["valid_fraction"].tolist()
    assert polygons(same).crs == polygons(tif).crs
    assert polygons(same).loc[ids].geom_equals(polygons(tif)).all()
    assert np.array_equal(same.read(ids), tif.read(ids))


def test_rows_are_as_stored_and_the_grid_says_where_they_lie() -> None:
    values = coordinates(40, 40)
    down = CubeSource(cube(values, name="c"), patch_size=20)
    up = CubeSource(cube(values, name="c", south_up=True), patch_size=20)
    assert np.array_equal(streamed(down), streamed(up))
    assert polygons(down).iloc[0].centroid.y == ORIGIN[1] - 100
    assert polygons(up).iloc[0].centroid.y == ORIGIN[1] + 100
    flipped = CubeSource(cube(values, name="c").isel(y=slice(None, None, -1)), patch_size=20)
    assert up.grids["c"].transform[4] == flipped.grids["c"].transform[4] == 10
    assert polygons(flipped).total_bounds.tolist() == polygons(down).total_bounds.tolist()
    assert np.array_equal(flipped.read(["c/20/0"])[0], down.read(["c/0/0"])[0, :, ::-1])


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i2", "uint32", "float64", "bool", "uint64"])
def test_every_real_type_becomes_float32(dtype: str) -> None:
    values = coordinates(40, 40, 2).astype(dtype)
    source = CubeSource(cube(values), patch_size=20)
    assert np.array_equal(streamed(source), windows(values, source).astype(np.float32))


def test_holes_get_the_median_of_the_valid_pixels() -> None:
    values = coordinates(20, 20, 2, "float32")
    values[0, :5] = np.nan
    source = CubeSource(cube(values, name="a"), patch_size=20, min_valid=0.7)
    assert source.index["valid_fraction"].tolist() == [0.75]
    (patch,) = source.read(["a/0/0"])
    assert (patch[0, :5] == 12).all()  # of rows 5 to 19
    assert (patch[1, :5] == 9.5).all()
    assert np.array_equal(patch[:, 5:], values[:, 5:])
    assert CubeSource(cube(values), patch_size=10, min_valid=0.6).summary[0].invalid == 2
    with pytest.raises(SourceError, match=r"best of them has 75\.0 % valid pixels"):
        _ = CubeSource(cube(values), patch_size=20).index


def test_what_the_cube_holds_is_not_changed() -> None:
    values = noisy(3)
    before = values.copy()
    for rule in ("median", "mean", "first", "last", "stack"):
        streamed(CubeSource(cube(values), time=rule, patch_size=10, min_valid=0.01))
    assert np.array_equal(values, before, equal_nan=True)


# --- dates ----------------------------------------------------------------------------------------


def _picked(values: NDArray[Any], last: bool) -> NDArray[Any]:
    """The first or last finite value along the first axis."""
    dates = values[::-1] if last else values
    good = np.isfinite(dates)
    picked = np.take_along_axis(dates, good.argmax(axis=0)[None], axis=0)[0]
    return np.where(good.any(axis=0), picked, np.nan)


RULES = {
    "median": lambda v: np.nanmedian(v, axis=0),
    "mean": lambda v: np.nanmean(v, axis=0),
    "min": lambda v: np.nanmin(v, axis=0),
    "max": lambda v: np.nanmax(v, axis=0),
    "first": lambda v: _picked(v, last=False),
    "last": lambda v: _picked(v, last=True),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "int32"])
@pytest.mark.parametrize("dates", [2, 5, 12])
@pytest.mark.filterwarnings("ignore:All-NaN|Mean of empty:RuntimeWarning")
def test_rules_are_those_of_numpy(rule: str, dtype: str, dates: int) -> None:
    values = noisy(dates, dtype)
    days = tuple(f"2021-03-{day:02}" for day in range(1, 13))
    plain = values.astype(np.float64)
    plain[~np.isfinite(plain)] = np.nan
    expected = RULES[rule](plain)
    lazy = cube(values, days=days).chunk({"time": 5, "band": 1, "y": 17, "x": 23})
    for array in (cube(values, days=days), lazy):
        source = CubeSource(array, time=rule, patch_size=10, min_valid=0.01)
        wanted = windows(expected, source)
        known = np.isfinite(wanted).all(axis=1)
        assert source.index["valid_fraction"].tolist() == known.mean(axis=(1, 2)).tolist()
        bands_last = streamed(source).transpose(0, 2, 3, 1)
        assert np.allclose(bands_last[known], wanted.transpose(0, 2, 3, 1)[known], rtol=1e-6)
        assert np.isfinite(bands_last).all()


@pytest.mark.parametrize("write", [write_zarr, write_netcdf])
def test_dates_out_of_order_are_put_in_order(tmp_path: Path, write: Any) -> None:
    values = np.stack([np.full((1, 8, 8), k, np.float32) for k in (30, 10, 50, 20, 40)])
    days = tuple(DAYS[k] for k in (2, 0, 4, 1, 3))
    values[1, 0, 0, 0] = np.nan
    array = cube(values, days=days)
    path = write(tmp_path / "a.cube", array, {"time": 2})

    def corner(rule: str) -> list[float]:
        source = CubeSource(path, time=rule, patch_size=8)
        patch = streamed(source)[0, 0]
        return [float(patch[0, 0]), float(patch[1, 1])]

    assert corner("first") == [20, 10]
    assert corner("last") == [50, 50]
    assert corner("median") == [35, 30]
    stack = CubeSource(path, time="stack", patch_size=8, min_valid=0.5)
    assert stack.bands == tuple(f"B2@{day}" for day in DAYS)
    assert streamed(stack)[0, :, 1, 1].tolist() == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("rule", ["first", "last"])
@pytest.mark.parametrize("bad", ["03/05/2021", "NaT"])
def test_dates_without_an_order_have_no_first_and_no_last(rule: str, bad: str) -> None:
    values = np.stack([coordinates(16, 16, dtype="float32") + 10 * k for k in range(3)])
    array = cube(values)
    if bad == "NaT":
        array = array.assign_coords(time=np.array(["2021-05-03", "NaT", "2021-05-01"], "M8[ns]"))
    else:
        array = array.assign_coords(time=[bad, "01/06/2021", "02/04/2021"])
    with pytest.raises(SourceError, match=f"nobody knows which is {rule}"):
        CubeSource(array, patch_size=16, time=rule)
    assert CubeSource(array, patch_size=16).read(["reflectance/0/0"])[0, 0, 0, 0] == 10  # median


def test_dates_that_are_characters_of_netcdf_are_dates() -> None:
    values = np.stack([coordinates(10, 10, 1) + n for n in range(2)])
    array = cube(values).assign_coords(time=[b"2021-05-06", b"2021-05-01"])
    source = CubeSource(array, patch_size=10, time="last")
    assert str(source.dates["reflectance"]) == "2021-05-06"
    assert (source.read(source.index["patch_id"].tolist())[0] == values[0]).all()


def test_dates_that_are_numbers_with_a_point_are_dates() -> None:
    array = cube(noisy(2)).assign_coords(time=[20210506.0, 20210511.0])
    assert CubeSource(array, patch_size=10, time="stack").bands[0].endswith("@20210506")
    source = CubeSource(array, patch_size=10, time="last")
    assert str(source.dates["reflectance"]) == "2021-05-11"


def test_stacked_dates_become_bands() -> None:
    values = np.stack([coordinates(20, 30, 4) + 1000 * date for date in range(3)])
    source = CubeSource(cube(values), time="stack", bands=("nir", "B2"), patch_size=10)
    assert source.bands == tuple(f"{band}@{day}" for day in DAYS[:3] for band in ("nir", "B2"))
    assert np.array_equal(streamed(source), windows(values[:, [3, 0]].reshape(6, 20, 30), source))


def test_a_stacked_pixel_needs_every_date() -> None:
    values = np.stack([coordinates(10, 10, 2, "float32")] * 3)
    values[1, 1, :, :4] = np.nan
    source = CubeSource(cube(values), time="stack", patch_size=10, min_valid=0.1)
    assert source.index["valid_fraction"].tolist() == [0.6]
    assert CubeSource(cube(values), patch_size=10).index["valid_fraction"].tolist() == [1.0]


def test_two_passes_on_one_day_are_told_apart() -> None:
    hours = ("2021-05-01T10:30:00", "2021-05-01T22:00:00", "2021-05-02T10:30:00")
    values = np.stack([coordinates(10, 10, 1)] * 3)
    source = CubeSource(cube(values, days=hours), time="stack", patch_size=10)
    assert source.bands == tuple(f"B2@{hour}" for hour in hours)


@pytest.mark.parametrize("rule", ["median", "stack"])
def test_one_date_needs_no_rule(rule: str) -> None:
    values = coordinates(20, 20)
    source = CubeSource(cube(values[None]), time=rule, patch_size=10)
    assert source.bands == ("B2", "B3", "B4")
    assert np.array_equal(streamed(source), windows(values, source))


def test_variables_with_and_without_dates_stand_side_by_side() -> None:
    dates = np.stack([coordinates(20, 20, 2) + 100 * k for k in range(3)])
    dataset = cube(dates, bands=("red", "nir")).to_dataset(dim="band")
    dataset["elevation"] = (("y", "x"), coordinates(20, 20)[2])
    stack = CubeSource(dataset, time="stack", patch_size=20)
    assert stack.bands == (
        *(f"{band}@{day}" for day in DAYS[:3] for band in ("red", "nir")),
        "elevation",
    )
    planes = np.concatenate([dates.reshape(6, 20, 20), coordinates(20, 20)[2:]])
    assert np.array_equal(streamed(stack)[0], planes)
    middle = CubeSource(dataset, bands=("elevation", "nir"), patch_size=20)
    assert np.array_equal(streamed(middle)[0], np.stack([planes[6], dates[1, 1]]))


def test_dates_are_read_some_at_a_time_where_the_rule_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = tuple(f"2021-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 21))
    array = cube(np.stack([coordinates(20, 20)] * 40).astype("float32"), days=days)
    read: list[int] = []
    whole = CubeReader._load

    def spy(self: CubeReader, group: Any, chunk: Chunk, dates: Any) -> NDArray[Any]:
        read.append(len(dates))
        return whole(self, group, chunk, dates)

    monkeypatch.setattr(CubeReader, "_load", spy)
    index = CubeSource(array, patch_size=10).index
    for rule, at_once in (("mean", 12), ("max", 12), ("median", 40)):
        read.clear()
        streamed(CubeSource(array.chunk({"time": 6}), time=rule, patch_size=10, index=index))
        assert max(read) == at_once
        assert sum(read) == 40
    read.clear()
    streamed(CubeSource(array, time="last", patch_size=10, index=index))
    assert sum(read) == 3 * 8  # the last slab of each band is whole


# --- axes and bands -------------------------------------------------------------------------------


def test_axes_may_come_in_any_order(tmp_path: Path) -> None:
    values = np.stack([coordinates(30, 40), coordinates(30, 40) + 8])
    expected = values.mean(axis=0)
    for dims in (("x", "band", "y", "time"), ("y", "x", "time", "band")):
        array = cube(values).transpose(*dims)
        path = write_zarr(tmp_path / f"{dims[0]}.zarr", array, {"x": 16, "y": 16, "time": 1})
        for given in (array, path):
            source = CubeSource(given, patch_size=10)
            assert np.array_equal(streamed(source), windows(expected, source))


@pytest.mark.parametrize("told_by", ["name", "standard_name", "axis", "auxiliary"])
def test_axes_are_told_by_names_and_attributes(told_by: str) -> None:
    values = np.stack([coordinates(30, 40), coordinates(30, 40) + 8])
    plain = cube(values)
    if told_by == "name":
        array = plain.rename(x="Easting", y="northing", time="t", band="wavelength")
    else:
        array = plain.rename(x="i", y="j", time="k", band="bands")
        words = {
            "standard_name": ("projection_x_coordinate", "projection_y_coordinate", "time"),
            "axis": ("X", "Y", "T"),
        }
        if told_by == "auxiliary":
            array = array.rename(i="x", j="y").swap_dims(x="i", y="j")
        else:
            for dim, word in zip("ijk", words[told_by], strict=True):
                array[dim].attrs[told_by] = word
    source = CubeSource(array, patch_size=10)
    same = CubeSource(plain, patch_size=10)
    assert source.bands == same.bands == ("B2", "B3", "B4")
    assert source.grids == same.grids
    assert np.array_equal(streamed(source), streamed(same))


@pytest.mark.parametrize("east", ["degrees_east", "degree_E", "degreesE"])
def test_longitudes_and_latitudes_are_told_by_their_units_alone(east: str) -> None:
    plain = cube(coordinates(30, 40), crs=None)
    plain = plain.assign_coords(x=5 + 0.01 * np.arange(40), y=52 - 0.01 * np.arange(30))
    array = plain.rename(x="COADSX", y="COADSY")
    array["COADSX"].attrs["units"] = east
    array["COADSY"].attrs["units"] = east.replace("E", "N").replace("east", "north")
    source = CubeSource(array, patch_size=10)
    (grid,) = source.grids.values()
    assert grid.crs == "EPSG:4326"
    assert grid.transform == pytest.approx((0.01, 0, 4.995, 0, -0.01, 52.005))


def test_a_dataset_gives_its_variables(tmp_path: Path) -> None:
    values = coordinates(30, 40, 4)
    dataset = cube(values).to_dataset(dim="band")
    dataset["swath"] = ("y", np.arange(30))  # no image
    dataset["note"] = (("y", "x"), np.full((30, 40), "cloudy"))
    dataset["coarse"] = (("y20", "x20"), np.zeros((15, 20)))
    path = write_netcdf(tmp_path / "a.nc", dataset, {"y": 16, "x": 16})
    for given in (dataset, path):
        source = CubeSource(given, patch_size=10)
        assert source.bands == ("B2", "B3", "B4", "B8")
        assert np.array_equal(streamed(source), windows(values, source))
        some = CubeSource(given, bands=("nir", "1"), patch_size=10)
        assert some.bands == ("nir", "B2")
        assert np.array_equal(streamed(some), windows(values[[3, 0]], some))
        with pytest.raises(SourceError, match=r"no band 'note'.*note holds no numbers"):
            CubeSource(given, bands=("note",))
        with pytest.raises(SourceError, match=r"coarse has no x and y axes.*y20, x20"):
            CubeSource(given, bands=("coarse",))


def test_variables_with_a_band_axis_each_are_told_apart() -> None:
    values = coordinates(20, 20, 2)
    dataset = xr.Dataset({"toa": cube(values), "boa": cube(values + 50)})
    source = CubeSource(dataset, patch_size=20)
    assert source.bands == ("toa_B2", "toa_B3", "boa_B2", "boa_B3")
    assert np.array_equal(streamed(source)[0], np.concatenate([values, values + 50]))


@pytest.mark.parametrize(
    ("labels", "attributes", "bands"),
    [
        ([1, 2, 3, 4], {}, ("band_1", "band_2", "band_3", "band_4")),
        ([1, 2, 3, 4], {"long_name": ("blue", "b", "c", "d")}, ("blue", "b", "c", "d")),
        ([490.0, 560.0, 664.6, 842.0], {}, ("490", "560", "664.6", "842")),
        ([490, 560, 665, 842], {}, ("490", "560", "665", "842")),
        (["a", "b", "a", "c"], {}, ("a_1", "b", "a_3", "c")),
        ([b"B2", b"B3", b"B4", b"B8"], {}, ("B2", "B3", "B4", "B8")),
        (None, {}, ("band_1", "band_2", "band_3", "band_4")),
    ],
)
def test_what_bands_are_called(labels: Any, attributes: Any, bands: tuple[str, ...]) -> None:
    array = cube(coordinates(10, 10, 4)).drop_vars("band")
    if labels is not None:
        array = array.assign_coords(band=labels)
    array.attrs |= attributes
    source = CubeSource(array, patch_size=10)
    assert source.bands == bands
    assert CubeSource(array, bands=(bands[2], "2"), patch_size=10).bands == (bands[2], bands[1])


def test_bands_are_found_by_common_names() -> None:
    values = coordinates(10, 10, 4)
    codes = cube(values, bands=("B02", "B03", "B04", "B08"))
    assert CubeSource(codes, bands=("nir", "red"), patch_size=10).bands == ("nir", "red")
    told = cube(values, bands=("k", "l", "m", "n"))
    told = told.assign_coords(common_name=("band", ["blue", "green", "red", "nir"]))
    source = CubeSource(told, bands=("nir", "l"), patch_size=10)
    assert source.bands == ("nir", "l")
    assert np.array_equal(streamed(source)[0], values[[3, 1]])
    with pytest.raises(SourceError, match=r"no band 'B09'; did you mean 'B0"):
        CubeSource(codes, bands=("B09",))
    with pytest.raises(SourceError, match=r"no band 'swir1'; it has"):
        CubeSource(codes, bands=("swir1",))
    with pytest.raises(SourceError, match=r"has 4 bands, no band 7"):
        CubeSource(codes, bands=("7",))


def test_an_image_without_a_band_axis() -> None:
    image = cube(coordinates(10, 10, 1)).isel(band=0, drop=True)
    assert CubeSource(image, patch_size=10).bands == ("reflectance",)
    assert CubeSource(image.rename(None), patch_size=10).bands == ("band_1",)
    unnamed = CubeSource(image.rename(None).chunk(), patch_size=10)  # dask makes up a name
    assert unnamed.bands == ("band_1",)
    assert list(unnamed.grids) == ["cube"]
    assert CubeSource(image.expand_dims(member=[3]), patch_size=10).bands == ("reflectance",)


# --- decoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_zarr, write_netcdf])
def test_fill_values_scale_and_offset(tmp_path: Path, write: Any) -> None:
    stored = coordinates(20, 20, 2, "int16")
    stored[0, :4] = -1
    array = cube(stored)
    array.attrs |= {"scale_factor": 0.5, "add_offset": 3.0, "_FillValue": np.int16(-1)}
    path = write(tmp_path / "a.cube", array)
    for given in (path, array, xr.decode_cf(array.to_dataset())["reflectance"]):
        source = CubeSource(given, patch_size=20, min_valid=0.5)
        assert source.index["valid_fraction"].tolist() == [0.8]
        assert np.array_equal(streamed(source)[0, :, 4:], stored[:, 4:] * 0.5 + 3)
        assert (streamed(source)[0, 0, :4] == np.median(stored[0, 4:] * 0.5 + 3)).all()


def test_missing_value_counts_too() -> None:
    array = cube(coordinates(20, 20, 1))
    array.attrs["missing_value"] = np.uint16(7)
    assert CubeSource(array, patch_size=20).index["valid_fraction"].tolist() == [0.95]


def test_integers_without_a_fill_value_are_not_read_by_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.stack([coordinates(64, 64)] * 3)
    path = write_zarr(tmp_path / "a.zarr", cube(values))

    def never(*_: object) -> None:
        raise AssertionError("the scan read pixels")

    monkeypatch.setattr(CubeReader, "_load", never)
    assert len(CubeSource(path).index) == 4
    with pytest.raises(AssertionError):
        _ = CubeSource(cube(values.astype("float32"))).index


# --- where it lies --------------------------------------------------------------------------------


def test_the_crs_of_cf_parameters_alone(tmp_path: Path) -> None:
    array = cube(coordinates(20, 20), crs="EPSG:32719")
    del array.coords["crs"].attrs["crs_wkt"]
    assert array.coords["crs"].attrs["grid_mapping_name"] == "transverse_mercator"
    for given in (array, write_netcdf(tmp_path / "a.nc", array)):
        assert CubeSource(given, name="a").grids["a"].crs == "EPSG:32719"


def test_a_grid_mapping_without_a_code_keeps_its_parameters() -> None:
    array = cube(coordinates(20, 20))
    own = CRS.from_proj4("+proj=laea +lat_0=51 +lon_0=9 +x_0=7 +y_0=8 +ellps=GRS80 +units=m")
    array.coords["crs"].attrs = own.to_cf()
    source = CubeSource(array, name="a", patch_size=10)
    assert CRS.from_user_input(source.grids["a"].crs) == own
    assert polygons(source).crs == own


@pytest.mark.parametrize("how", ["spatial_ref", "attribute", "code", "unnamed"])
def test_the_crs_outside_conventions(how: str) -> None:
    array = cube(coordinates(20, 20), crs=None)
    if how == "spatial_ref":
        array = array.assign_coords(spatial_ref=0)
        array["spatial_ref"].attrs["spatial_ref"] = CRS.from_user_input(UTM).to_wkt("WKT1_GDAL")
    elif how == "attribute":
        array.attrs["crs"] = "+init=epsg:32631"
    elif how == "code":
        array = array.assign_coords(epsg=32631)
    else:  # a grid mapping that no variable names
        array = array.assign_coords(projection=xr.DataArray(0, attrs=CRS(UTM).to_cf()))
    assert CRS(CubeSource(array, name="a").grids["a"].crs).to_epsg() == 32631


def test_the_crs_of_rioxarray(tmp_path: Path) -> None:
    pytest.importorskip("rioxarray")
    plain = cube(coordinates(40, 40), crs=None)
    written = plain.rio.write_crs("EPSG:32719")
    assert CubeSource(written, name="a").grids["a"].crs == "EPSG:32719"
    path = write_zarr(tmp_path / "a.zarr", written)
    assert CubeSource(path).grids["a"].crs == "EPSG:32719"
    with pytest.warns(FutureWarning):
        only_in_memory = plain.rio.set_crs("EPSG:32719")
        in_place_of_its_own = cube(coordinates(40, 40)).rio.set_crs("EPSG:32719")
    assert CubeSource(only_in_memory, name="a").grids["a"].crs == "EPSG:32719"
    assert CubeSource(in_place_of_its_own, name="a").grids["a"].crs == "EPSG:32719"


def test_a_raster_opened_by_rioxarray_is_the_same_source(tmp_path: Path) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    values = coordinates(40, 40)
    values[:, :5] = 9
    path = write_raster(
        tmp_path / "a.tif", values, nodata=9, descriptions=("B2", "B3", "B4"), crs="EPSG:32719"
    )
    tif = GeoTiffSource(path, patch_size=20, min_valid=0.1)
    for masked in (False, True):
        with rioxarray.open_rasterio(path, masked=masked) as raster:
            source = CubeSource(raster, name="a", patch_size=20, min_valid=0.1)
            assert source.bands == tif.bands
            assert source.grids == tif.grids
            assert source.index["valid_fraction"].tolist() == tif.index["valid_fraction"].tolist()
            assert np.array_equal(streamed(source), streamed(tif))


def test_longitude_and_latitude_need_no_grid_mapping() -> None:
    array = cube(coordinates(20, 30), crs=None).rename(x="lon", y="lat")
    degrees = array.assign_coords(lon=3 + np.arange(30) / 1000, lat=50 - np.arange(20) / 1000)
    (grid,) = CubeSource(degrees, patch_size=10).grids.values()
    assert grid.crs == "EPSG:4326"
    assert grid.transform == pytest.approx((0.001, 0, 2.9995, 0, -0.001, 50.0005))
    with pytest.raises(SourceError, match=r"name it with crs, .* rio.write_crs"):
        CubeSource(array)  # metres under such names
    assert CubeSource(array, crs=UTM, name="a").grids["a"].crs == UTM


def test_longitudes_beyond_180_are_those_west_of_greenwich() -> None:
    array = cube(coordinates(20, 30), crs=None).rename(x="longitude", y="latitude")
    array = array.assign_coords(latitude=-10 - np.arange(20) / 10)
    west = CubeSource(array.assign_coords(longitude=290 + np.arange(30) / 10), patch_size=10)
    assert polygons(west).total_bounds == pytest.approx([-70.05, -11.95, -67.05, -9.95])


def test_single_precision_is_no_irregularity() -> None:
    lon = (103.8 + np.arange(300) / 10_000).astype(np.float32)
    array = cube(coordinates(20, 300), crs=None).rename(x="lon", y="lat")
    array = array.assign_coords(lon=lon, lat=(1.3 + np.arange(20) / 10_000).astype(np.float32))
    assert np.ptp(np.diff(lon)) > 1e-3 * 1e-4
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    assert grid.transform[0] == pytest.approx(1e-4, rel=1e-3)


def test_kilometres_become_the_metres_of_the_crs() -> None:
    metres = cube(coordinates(20, 20))
    array = metres.assign_coords(x=metres.x / 1000, y=metres.y / 1000)
    array.x.attrs["units"] = array.y.attrs["units"] = "km"
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    (same,) = CubeSource(metres, patch_size=10).grids.values()
    assert grid.transform == pytest.approx(same.transform)


def test_a_cube_without_coordinates_but_with_gdals_transform() -> None:
    array = cube(coordinates(20, 20)).drop_vars(["x", "y"])
    array.coords["crs"].attrs["GeoTransform"] = "500000 8 6 5700000 6 -8"
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    assert grid.transform == (8, 6, 500_000, 6, -8, 5_700_000)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_of_a_store_is_no_cube(zarr_format: int, tmp_path: Path) -> None:
    array = cube(coordinates(64, 64)).drop_vars("band", errors="ignore").to_dataset(name="red")
    array.to_zarr(tmp_path / "c.zarr", zarr_format=zarr_format)
    with pytest.raises(SourceError, match=r"c\.zarr/red .* a single array .* with --bands red"):
        CubeSource(tmp_path / "c.zarr" / "red", patch_size=16)


def test_a_zarr_may_be_zipped_old_sharded_or_a_group(tmp_path: Path) -> None:
    values = coordinates(64, 64)
    array = cube(values)
    folder = write_zarr(tmp_path / "new.zarr", array, {"y": 20})
    shutil.make_archive(str(tmp_path / "zip.zarr"), "zip", folder)
    write_zarr(tmp_path / "old.zarr", array, {"y": 20}, zarr_format=2)
    write_zarr(tmp_path / "tree.zarr", array, {"y": 20}, group="measurements/r10m")
    write_zarr(tmp_path / "shards.zarr", array, {"y": 16, "x": 16}, shards=(3, 32, 32))
    for place, name in (
        ("zip.zarr.zip", "zip"),
        ("tree.zarr/measurements/r10m", "r10m"),
        ("shards.zarr", "shards"),
    ):
        source = CubeSource(tmp_path / place, patch_size=16)
        assert list(source.grids) == [name]
        assert np.array_equal(streamed(source), windows(values, source))
    # in the second format, xarray takes the fill value, 0, for missing
    old = CubeSource(tmp_path / "old.zarr", patch_size=16, bands=("B4",), min_valid=0.1)
    assert old.index["valid_fraction"].min() == 1
    with pytest.raises(SourceError, match=r"one of its groups: .*tree\.zarr/measurements/r10m$"):
        CubeSource(tmp_path / "tree.zarr")


@pytest.mark.parametrize("engines", [["h5netcdf", "scipy"], ["netcdf4", "h5netcdf", "scipy"]])
def test_netcdf_is_read_with_what_is_installed(tmp_path: Path, engines: list[str]) -> None:
    values = coordinates(30, 40, dtype="int16")
    new = write_netcdf(tmp_path / "new.nc", cube(values), {"y": 16, "x": 16})
    old = write_netcdf(tmp_path / "old.nc", cube(values), engine="scipy")
    assert old.read_bytes()[:3] == b"CDF"
    with xr.set_options(netcdf_engine_order=engines):
        for path in (new, old):
            source = CubeSource(path, patch_size=10)
            assert np.array_equal(streamed(source), windows(values, source))
            source.close()
            assert np.array_equal(streamed(source), windows(values, source))


def _read_in_child(source: CubeSource, queue: Any) -> None:
    queue.put(float(streamed(source).sum()))


@pytest.mark.parametrize(("name", "write"), [("a.zarr", write_zarr), ("a.nc", write_netcdf)])
def test_a_forked_process_opens_the_cube_anew(tmp_path: Path, name: str, write: Any) -> None:
    path = write(tmp_path / name, cube(coordinates(128, 128)), {"y": 32, "x": 32})
    source = CubeSource(path, patch_size=32)
    assert read_at_once(source) == {digest(source)}


def test_a_forked_process_reads_a_cube_of_dask() -> None:
    source = CubeSource(cube(coordinates(128, 128)).chunk({"y": 32, "x": 32}), patch_size=32)
    total = float(streamed(source).sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(source, queue), daemon=True)
    child.start()
    assert queue.get(timeout=60) == total
    child.join()
    assert float(streamed(source).sum()) == total


def test_a_stored_index_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = coordinates(64, 64, dtype="float32")
    path = write_zarr(tmp_path / "a.zarr", cube(values), {"y": 16})
    settings = parse({"source": {"kind": "cube", "path": str(path), "patch_size": 16}}, "test")
    index = open_source(settings.source).index.iloc[[5, 3, 9]].reset_index(drop=True)
    monkeypatch.setattr(CubeReader, "valid", None)
    source = open_source(settings.source, index=index)
    assert isinstance(source, CubeSource)
    assert source.index is index
    assert np.array_equal(streamed(source), windows(values, source))
    with pytest.raises(SourceError, match="reaches past the edge"):
        CubeSource(path, patch_size=60, index=index)


# --- memory ---------------------------------------------------------------------------------------


def test_a_cube_larger_than_memory_is_streamed_chunk_by_chunk() -> None:
    made: list[tuple[int, ...]] = []
    chunk = (4, 2, 500, 500)

    def make(block_info: Any = None) -> NDArray[np.uint16]:
        place = block_info[None]["chunk-location"]
        made.append(place)
        return np.full(chunk, sum(place), dtype=np.uint16)

    shape = (8, 2, 12_000, 12_000)  # 5 GB, seventy times what a chunk may take
    blocks = tuple((c,) * (n // c) for n, c in zip(shape, chunk, strict=True))
    lazy = da.map_blocks(make, chunks=blocks, dtype=np.uint16)
    array = xr.DataArray(
        lazy,
        dims=("time", "band", "y", "x"),
        coords={
            "time": np.datetime64("2021-05-01", "ns") + np.arange(8) * np.timedelta64(1, "D"),
            "band": ["B4", "B8"],
            "y": 5e6 - np.arange(shape[2]) * 10.0,
            "x": 5e5 + np.arange(shape[3]) * 10.0,
        },
        name="big",
    )
    source = CubeSource(array, crs=UTM, patch_size=250)
    (scene,) = source._tiled.values()
    height, width = scene.chunk_shape(250)
    at_once = height * width // 500**2
    assert (height % 500, width % 500) == (0, 0)
    assert height * width * 8 * 2 * 2 <= CHUNK_BYTES
    assert len(source.index) == 48 * 48
    assert made == []  # the scan has nothing to read
    tracemalloc.start()
    try:
        stream = source.stream(batch_size=4)
        seen = 0
        for positions, patches in stream:
            seen += len(positions)
            assert np.isfinite(patches).all()
            # 4 patches lie in a column of 2 chunks
            assert len(made) <= 2 * (seen // 4 + 2 * at_once)
            if seen >= 120:
                break
        stream.close()  # type: ignore[attr-defined]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(made)) == len(made)  # none is computed twice
    assert peak < 300 * 2**20
    first = source.read(["big/0/0", "big/11750/11750"])
    assert first[:, 0, 0, 0].tolist() == [0.5, 0.5 + 23 + 23]


def test_a_very_large_chunk_is_cut_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cube_module, "CHUNK_BYTES", 50_000)
    monkeypatch.setattr(cube_module, "_BLOCK_BYTES", 200_000)
    values = np.stack([coordinates(200, 200) + k for k in range(5)])
    path = write_zarr(tmp_path / "a.zarr", cube(values))
    sizes: list[int] = []
    whole = CubeReader._load

    def spy(self: CubeReader, *arguments: Any) -> NDArray[Any]:
        loaded = whole(self, *arguments)
        sizes.append(loaded.nbytes)
        return loaded

    monkeypatch.setattr(CubeReader, "_load", spy)
    source = CubeSource(path, patch_size=20)
    assert np.array_equal(streamed(source), windows(values[2], source))
    assert max(sizes) <= 200_000
    assert len(sizes) > 1


# --- what goes wrong ------------------------------------------------------------------------------


def _irregular() -> xr.DataArray:
    array = cube(coordinates(20, 20))
    x = array.x.to_numpy().copy()
    x[7] += 0.1
    return array.assign_coords(x=x)


def _of_a_sensor() -> xr.Dataset:
    """Radiances as OLCI and VIIRS have them: rows and columns, and two angles for each pixel."""
    places = {name: (("rows", "columns"), np.zeros((20, 20))) for name in ("lon", "lat")}
    return xr.Dataset({"radiance": (("rows", "columns"), np.ones((20, 20)))}, coords=places)


def _curvilinear() -> xr.DataArray:
    array = cube(coordinates(20, 20), crs=None).drop_vars(["x", "y"])
    lat, lon = np.mgrid[50:51:20j, 3:4:20j]
    return array.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon + lat / 100))


def _in_radians() -> xr.DataArray:
    array = cube(coordinates(20, 20)).assign_coords(x=np.linspace(-0.1, 0.1, 20))
    array.x.attrs["units"] = "rad"
    return array


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cube(coordinates(20, 20), crs=None), r"does not say its CRS; name it with crs"),
        (_irregular, r"along x are spaced irregularly, up to 0\.01 pixels off; resample"),
        (_curvilinear, r"is curvilinear: lat differs along both y and x; resample"),
        (_in_radians, r"angles in rad"),
        (lambda: cube(coordinates(1, 20)), r"the axis y has 1 value"),
        (lambda: cube(coordinates(20, 1)), r"the axis x has 1 value"),
        (lambda: cube(coordinates(20, 20)).drop_vars("x"), r"has no coordinates along y and x"),
        (lambda: cube(coordinates(20, 20)).rename(x="u"), r"no x and y axes.*band, y, u"),
        (lambda: cube(coordinates(20, 20)).rename(x="crosstrack"), r"is a swath: .* orthorectify"),
        (_of_a_sensor, r"is a swath: .* orthorectify it, or resample it to a grid, first$"),
        (lambda: cube(coordinates(20, 20)).rename(band="level"), r"axis 'level' of 3 values"),
        (lambda: cube(coordinates(20, 20)) * 1j, r"complex pixels"),
        (lambda: xr.Dataset(), r"has no variables of its own$"),
        (lambda: coordinates(20, 20), r"a cube is a path, an xarray.DataArray .* not ndarray"),
        (lambda: cube(noisy(2)).isel(time=slice(0, 0)), r"has no dates: its axis time is empty"),
        (lambda: cube(coordinates(20, 20)).assign_coords(x=[5.0] * 20), r"do not place its pixels"),
    ],
)
def test_what_cannot_be_a_cube(make: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        CubeSource(make())
    assert "\n" not in str(error.value)


def test_bad_arguments_are_one_line(tmp_path: Path) -> None:
    array = cube(coordinates(40, 40))
    for arguments, word in (
        ({"patch_size": 0}, "patch_size"),
        ({"min_valid": 1.5}, "min_valid"),
        ({"time": "modus"}, "'median', 'mean'"),
        ({"crs": "EPSG:1"}, "crs is 'EPSG:1', which is not a CRS"),
        ({"patch_size": 64}, "no patch fits"),
    ):
        with pytest.raises(SourceError, match=word) as error:
            _ = CubeSource(array, **arguments).index  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    (tmp_path / "a.nc").write_text("no NetCDF")
    (tmp_path / "a.zarr").mkdir()
    for path in ("none.zarr", "a.nc", "a.zarr"):
        with pytest.raises(SourceError, match=path) as error:
            CubeSource(tmp_path / path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [write_zarr, write_netcdf])
def test_a_damaged_file_names_scene_file_and_rows(tmp_path: Path, write: Any) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 256, 256)).astype(np.float32)
    path = write(tmp_path / f"cut.{write.__name__[6:]}", cube(noise, name="r"), {"y": 64})
    if path.is_dir():
        chunk = next(file for file in sorted(path.glob("r/c/**/*")) if file.is_file())
        chunk.write_bytes(chunk.read_bytes()[:1000])
    else:
        content = bytearray(path.read_bytes())
        half = len(content) // 2
        content[half : half + 5000] = bytes(5000)
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"scene 'cut': cannot read .*cut.*, rows 0 to") as error:
        _ = CubeSource(path, name="cut", patch_size=64).index
    assert "\n" not in str(error.value)


def test_an_area_of_interest_holds_for_cubes(tmp_path: Path) -> None:
    x, y = ORIGIN
    box = shapely.box(x, y - 199, x + 301, y)
    gpd.GeoDataFrame(geometry=[box], crs=UTM).to_file(tmp_path / "area.gpkg")
    source = CubeSource(
        cube(coordinates(40, 40), name="a"), patch_size=20, aoi=tmp_path / "area.gpkg"
    )
    assert source.index["patch_id"].tolist() == ["a/0/0", "a/0/20"]


# --- a search -------------------------------------------------------------------------------------


def _init(*arguments: object) -> str:
    result = CliRunner().invoke(cli, ["init", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_search_on_a_cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4000, (3, 4, 96, 128)).astype(np.uint16)
    write_zarr(tmp_path / "scene.zarr", cube(values), {"time": 1, "y": 32, "x": 64})
    arguments = ("--source", "cube", "--patch-size", 8, "--bands", "red,nir", "--time", "mean")
    output = _init("run", "--scene", "s=scene.zarr", *arguments)
    assert "192 patches of 8 x 8 pixels in EPSG:32631" in output
    assert "red, nir" in output
    written = tomllib.loads((tmp_path / "run/owl.toml").read_text(encoding="utf-8"))["source"]
    assert written["path"] == str(tmp_path / "scene.zarr")
    assert (written["kind"], written["name"], written["time"]) == ("cube", "s", "mean")
    run = Run(tmp_path / "run")
    asked = query(run).patch_ids
    assert len(asked) == 20
    assert set(asked) <= set(run.patches["patch_id"])
    expected = windows(values[:, [2, 3]].mean(axis=0), run.source)  # type: ignore[arg-type]
    assert np.allclose(streamed(run.source), expected)  # type: ignore[arg-type]
    _init("run", "--update")

    def message(array: xr.DataArray) -> str:
        write_zarr(tmp_path / "scene.zarr", array, mode="w")
        with pytest.raises(OwlError) as error:
            _ = Run(tmp_path / "run").source
        return str(error.value)

    moved = cube(values)
    assert "scene 's' was replaced" in message(moved.assign_coords(x=moved.x + 30))
    assert "has no band 'red'" in message(cube(values, bands=("k", "l", "m", "n")))


def test_a_cube_that_has_grown_is_noticed(tmp_path: Path) -> None:
    values = np.stack([coordinates(64, 64)] * 3)
    path = write_zarr(tmp_path / "a.zarr", cube(values[:2]))
    _init(tmp_path / "run", "--source", "cube", "--scene", path, "--time", "stack")
    record = json.loads((tmp_path / "run/index.json").read_text(encoding="utf-8"))
    assert len(record["statistics"]["bands"]) == 6
    write_zarr(path, cube(values), mode="w")
    with pytest.raises(RunError, match=r"B2@2021-05-11.* was made for B2@2021-05-01") as error:
        _ = Run(tmp_path / "run").source
    assert "--update" in str(error.value)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", cube(coordinates(64, 64)))
    _init(tmp_path / "run", "--source", "cube", "--scene", path)
    toml = tmp_path / "run" / "owl.toml"
    text = toml.read_text(encoding="utf-8").replace(str(path), "../a.zarr")
    toml.write_text(text, encoding="utf-8")
    _init(tmp_path / "run", "--update")
    assert len(Run(tmp_path / "run").source.index) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scene", "a.zarr", "--mask", "m.tif"], "--mask goes with --source geotiff"),
        (["--scene", "a.zarr", "--mask-bad", "3"], "--mask-bad goes with --source geotiff"),
        (["--scene", "a.zarr", "--n-bands", "3"], "--n-bands goes with --source synthetic"),
        (["--scene", "a.zarr", "--scene", "b.zarr"], "takes one --scene"),
        (["--scene", "a.zarr", "--time", "modus"], "--time is 'modus'"),
        (["--scene", "none.zarr"], "none.zarr does not exist"),
        ([], "source.path is missing"),
        (["--source", "geotiff", "--scene", "a", "--time", "mean"], "--time goes with --source c"),
        (["--source", "synthetic", "--crs", UTM], "--crs goes with --source cube or vectors"),
        (["--source", "vectors", "--scene", "a", "--stride", "3"], "geotiff, cube or arrays"),
    ],
)
def test_flags_that_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["init", "run", "--source", "cube", *arguments])
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "run").exists()


def test_the_package_loads_no_xarray() -> None:
    code = (
        "import sys, owl_geo.cli, owl_geo.sources, owl_geo.run_folder.folder; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"xarray", "dask", "zarr", "h5netcdf", "rioxarray"}
