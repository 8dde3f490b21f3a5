"""The bands of a cube: in which order, and what each is."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from cubes import cube, write_netcdf, write_zarr
from rasters import coordinates, write_raster

import owl_geo
from owl_geo.errors import SourceError
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.cube.source import CubeSource
from owl_geo.types import AnyArray

_NAMES = ("b02", "b03", "b04", "b05", "b06", "b07", "b08", "b11")


def unordered(path: Path, version: int) -> Path:
    """Write a store without consolidated metadata; band i of ``_NAMES`` is 100 * (i + 1)."""
    group = zarr.open_group(path, mode="w", zarr_format=version)

    def put(name: str, values: AnyArray, *dims: str) -> None:
        named = {"dimension_names": dims} if version == 3 else {}
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, **named)
        array[:] = values
        if version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
        array.attrs["proj:epsg"] = 32631

    for i, name in sorted(enumerate(_NAMES), key=lambda one: one[1], reverse=True):
        put(name, np.full((64, 64), 100.0 * (i + 1), np.float32), "y", "x")
    put("x", 600_005 + 10 * np.arange(64), "x")
    put("y", 4_999_995 - 10 * np.arange(64), "y")
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_that_lists_its_arrays_in_any_order_has_its_bands_in_one(
    version: int, tmp_path: Path
) -> None:
    path = unordered(tmp_path / "c.zarr", version)
    for _ in range(30):  # eight arrays come in one order twice now and then, never so often
        source = CubeSource(path, crs="EPSG:32631")
        assert source.bands == _NAMES
    assert source.read(["c/0/0"])[0, :, 0, 0].tolist() == [100.0 * (i + 1) for i in range(8)]
    numbered = xr.Dataset({f"B{n}": (("y", "x"), np.ones((8, 8))) for n in (10, 9, 2)})
    numbered = numbered.assign_coords(x=np.arange(8) * 10.0, y=np.arange(8) * -10.0)
    numbered.to_zarr(tmp_path / "n.zarr", zarr_format=version, consolidated=False)
    assert CubeSource(tmp_path / "n.zarr", crs="EPSG:32631", patch_size=8).bands == (
        *("B2", "B9", "B10"),
    )


def test_stored_order_stays_where_a_store_has_one(tmp_path: Path) -> None:
    dataset = xr.Dataset({name: cube(coordinates(32, 32, 1))[0] for name in ("z", "a", "m")})
    dataset = dataset.drop_vars("band")
    assert CubeSource(write_netcdf(tmp_path / "c.nc", dataset)).bands == ("z", "a", "m")


def test_a_run_and_its_workers_have_the_bands_in_the_order_written_down(tmp_path: Path) -> None:
    path = unordered(tmp_path / "c.zarr", 2)
    table = {"kind": "cube", "path": str(path), "crs": "EPSG:32631", "patch_size": 8}
    run = owl_geo.init(tmp_path / "run", {"source": table, "loop": {"initial": 4}}).run
    index = run.path / "index.json"
    record = json.loads(index.read_text(encoding="utf-8"))
    # as of a run that took them as they came, before it was written down what they are
    record["statistics"]["bands"] = ["b11", *_NAMES[1:-1], "b02"]
    del record["statistics"]["common_names"]
    index.write_text(json.dumps(record), encoding="utf-8")
    source = owl_geo.Run(run.path).source
    assert source.bands == ("b11", *_NAMES[1:-1], "b02")
    there = pickle.loads(pickle.dumps(source))
    for one in (source, there):
        assert one.bands == ("b11", *_NAMES[1:-1], "b02")
        patch = one.read(["c/0/0"])[0, :, 0, 0]
        assert patch.tolist() == [800, 200, 300, 400, 500, 600, 700, 100]


def test_bands_of_every_date_are_found_again(tmp_path: Path) -> None:
    values = np.stack([coordinates(16, 16, 2), coordinates(16, 16, 2) + 50])
    path = write_zarr(tmp_path / "c.zarr", cube(values, bands=("B04", "B08")))
    first = CubeSource(path, bands=("nir", "B04"), time="stack", patch_size=16)
    assert first.bands == tuple(f"{b}@2021-05-0{d}" for d in (1, 6) for b in ("nir", "B04"))
    again = pickle.loads(pickle.dumps(first))
    assert again.bands == first.bands
    assert np.array_equal(again.read(["c/0/0"]), first.read(["c/0/0"]))


def test_bands_like_those_of_another_source_are_found_by_what_they_are() -> None:
    values = coordinates(16, 16, 3)
    array = cube(values, bands=("blue", "red", "nir"))
    known = [KnownBand("SR_B5", "nir"), KnownBand("SR_B4", "red")]
    source = CubeSource(array, known=known, patch_size=16)
    assert source.bands == ("SR_B5", "SR_B4")
    assert np.array_equal(source.read(source.index["patch_id"].tolist())[0], values[[2, 1]])
    with pytest.raises(SourceError, match="no band 'SR_B3'"):
        CubeSource(array, known=[KnownBand("SR_B3", "green")], patch_size=16)


@pytest.mark.parametrize(
    ("name", "centres", "units"),
    [
        ("wavelength", [490.0, 665.0, 842.0], "nm"),
        ("wavelengths", [0.49, 0.665, 0.842], "micrometers"),
        ("center_wavelength", [0.49, 0.665, 0.842], None),
    ],
)
def test_wavelengths_along_the_band_axis(
    name: str, centres: list[float], units: str | None
) -> None:
    array = cube(coordinates(16, 16, 3), bands=("k", "l", "m"))
    array = array.assign_coords({name: ("band", centres)})
    array.coords[name].attrs = {} if units is None else {"units": units}
    known = CubeSource(array, patch_size=16).known_bands
    assert [band.common for band in known] == ["blue", "red", "nir"]


def test_wavelengths_and_the_satellite_in_attributes() -> None:
    planes = {name: cube(coordinates(16, 16, 1))[0].drop_vars("band") for name in ("B4", "B5")}
    dataset = xr.Dataset(planes)
    assert [b.common for b in CubeSource(dataset, patch_size=16).known_bands] == [None, None]
    dataset.attrs["platform"] = "LANDSAT_8"
    assert [b.common for b in CubeSource(dataset, patch_size=16).known_bands] == ["red", "nir"]
    dataset["B4"].attrs["long_name"] = "BOA reflectance at spectral band b03 560.0 nm"
    assert [b.common for b in CubeSource(dataset, patch_size=16).known_bands] == ["green", "nir"]
    dataset["B4"].attrs.clear()
    dataset["B5"].attrs |= {"wavelength": 1609.0, "wavelength_units": "nm"}
    assert [b.common for b in CubeSource(dataset, patch_size=16).known_bands] == ["red", "swir1"]


# --- several grids --------------------------------------------------------------------------------


def of_two_grids() -> xr.Dataset:
    """Angles on a coarse grid, which come first, and two bands on a fine one."""
    fine = cube(coordinates(32, 32, bands=2), bands=("B04", "B08")).to_dataset(dim="band")
    coarse = cube(coordinates(4, 4, bands=1), pixel=80.0, bands=("angle",))
    coarse = coarse.isel(band=0, drop=True).rename(x="x_80", y="y_80")
    for axis in "xy":
        coarse[f"{axis}_80"].attrs["standard_name"] = f"projection_{axis}_coordinate"
    return xr.merge([coarse.to_dataset(name="angle"), fine])[["angle", "B04", "B08"]]


def test_of_several_grids_the_finest_gives_the_bands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_netcdf(tmp_path / "cube.nc", of_two_grids())
    source = CubeSource(path, patch_size=4)
    assert source.bands == ("B04", "B08")
    (grid,) = source.grids.values()
    assert grid.transform[0] == 10
    source.check_bands()
    assert "angle lies on another grid and is not a band" in caplog.text


def test_a_band_of_another_grid_may_be_asked_for_and_is_found_again(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "cube.nc", of_two_grids())
    source = CubeSource(path, patch_size=4, bands=["angle"])
    assert source.bands == ("angle",)
    (grid,) = source.grids.values()
    assert grid.transform[0] == 80
    again = CubeSource(path, patch_size=4, known=(KnownBand("angle"),))
    assert again.bands == ("angle",)
    with pytest.raises(SourceError, match="lies on y_80 and x_80, not on y and x"):
        CubeSource(path, patch_size=4, bands=["B04", "angle"])


# --- scales of each band --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scales", "offsets"),
    [((0.1, 0.01), (1.0, -2.0)), ((0.1, 0.01), (3.0, 3.0)), ((0.5, 0.5), (1.0, -2.0))],
)
@pytest.mark.parametrize("how", ["raw", "masked", "scaled", "netcdf"])
def test_scales_and_offsets_of_each_band_as_rioxarray_keeps_them(
    how: str, scales: tuple[float, ...], offsets: tuple[float, ...], tmp_path: Path
) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    pixels = coordinates(16, 16, bands=2)
    pixels[:, :8] = 999
    write_raster(tmp_path / "a.tif", pixels, scales=scales, offsets=offsets, nodata=999)
    options: dict[str, Any] = {"masked": {"masked": True}, "scaled": {"mask_and_scale": True}}
    array = rioxarray.open_rasterio(tmp_path / "a.tif", **options.get(how, {}))
    given: Any = array
    if how == "netcdf":
        given = tmp_path / "a.nc"
        array.rename("values").to_netcdf(given, engine="h5netcdf")
    expected = pixels[:, 8:, :8] * np.reshape(scales, (2, 1, 1)) + np.reshape(offsets, (2, 1, 1))
    source = CubeSource(given, patch_size=8)
    assert len(source.index) == 2  # the missing rows are missing still
    patch = source.read(source.index["patch_id"][:1].tolist())[0]
    assert patch == pytest.approx(expected, rel=1e-6)
    name = source.bands[1]
    alone = CubeSource(given, patch_size=8, bands=[name])
    patch = alone.read(alone.index["patch_id"][:1].tolist())[0]
    assert patch == pytest.approx(expected[1:], rel=1e-6)
