"""Groups of a cube: what they have from the groups above them, as DataTree and EOPF write it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from shutil import make_archive
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS
from rasters import ORIGIN, UTM, coordinates

from owl_geo.sources.cube.source import CubeSource

X, Y = ORIGIN
NORTH_UP = (10.0, 0.0, X, 0.0, -10.0, Y)
ROWS, COLS = 20, 30
WHEN = np.array(["2021-05-06T10:00", "2021-05-01T10:00"], "datetime64[ns]")  # not in their order


def _centres() -> dict[str, Any]:
    return {"x": X + 5 + 10.0 * np.arange(COLS), "y": Y - 5 - 10.0 * np.arange(ROWS)}


def _crs() -> xr.Variable:
    return xr.Variable((), 0, CRS.from_user_input(UTM).to_cf())


def _bands(*, dims: tuple[str, str] = ("y", "x"), mapping: str | None = None) -> xr.Dataset:
    attributes = {} if mapping is None else {"grid_mapping": mapping}
    planes = coordinates(ROWS, COLS, 2)
    return xr.Dataset(
        {f"B{i + 1}": (dims, plane, attributes) for i, plane in enumerate(planes)},
    )


def zarr_2(tree: xr.DataTree, folder: Path) -> str:
    tree.to_zarr(folder / "cube.zarr", zarr_format=2)
    return str(folder / "cube.zarr")


def zarr_3(tree: xr.DataTree, folder: Path) -> str:
    tree.to_zarr(folder / "cube.zarr", zarr_format=3, consolidated=False)
    return str(folder / "cube.zarr")


def zip_file(tree: xr.DataTree, folder: Path) -> str:
    return make_archive(str(folder / "cube.zarr"), "zip", zarr_2(tree, folder))


def netcdf(tree: xr.DataTree, folder: Path) -> str:
    tree.to_netcdf(folder / "cube.nc", engine="h5netcdf")
    return str(folder / "cube.nc")


def url(tree: xr.DataTree, folder: Path) -> str:
    path = f"memory://{folder.name}/cube.zarr"
    tree.to_zarr(path, zarr_format=2)
    return path


WRITERS = (zarr_2, zarr_3, zip_file, netcdf, url)
Write = Callable[[xr.DataTree, Path], str]


@pytest.mark.parametrize("write", WRITERS)
def test_coordinates_and_crs_are_those_of_the_group_above(write: Write, tmp_path: Path) -> None:
    root = xr.Dataset(coords={**_centres(), "spatial_ref": _crs()})
    tree = xr.DataTree.from_dict({"/": root, "/a/b": _bands(mapping="spatial_ref")})
    source = CubeSource(f"{write(tree, tmp_path)}/a/b", patch_size=10)
    assert source.grids["b"].transform == NORTH_UP
    assert source.grids["b"].crs == UTM
    assert np.array_equal(source.read(["b/10/20"])[0], coordinates(ROWS, COLS, 2)[:, 10:20, 20:30])


@pytest.mark.parametrize("write", WRITERS)
def test_a_raster_that_was_turned_around_lies_by_the_coordinates_above(
    write: Write, tmp_path: Path
) -> None:
    """The group keeps the GeoTransform of the whole; only coordinates say that it runs upwards."""
    mapping = xr.Variable((), 0, {**_crs().attrs, "GeoTransform": f"{X} 10.0 0.0 {Y} 0.0 -10.0"})
    bands = _bands(mapping="spatial_ref").assign_coords({**_centres(), "spatial_ref": mapping})
    upwards = bands.isel(y=slice(None, None, -1))
    root = upwards[["x", "y"]].drop_vars("spatial_ref")
    tree = xr.DataTree.from_dict({"/": root, "/bands": upwards})
    (grid,) = CubeSource(f"{write(tree, tmp_path)}/bands", patch_size=10).grids.values()
    assert grid.transform == (10.0, 0.0, X, 0.0, 10.0, Y - 10 * ROWS)


@pytest.mark.parametrize("write", WRITERS)
def test_dates_above_a_group_are_its_dates(write: Write, tmp_path: Path) -> None:
    root = xr.Dataset(coords={"time": WHEN})
    own = xr.concat([_bands(), _bands() + 500], "time")
    own = own.assign_coords({**_centres(), "spatial_ref": _crs()})
    tree = xr.DataTree.from_dict({"/": root, "/bands": own})
    source = CubeSource(f"{write(tree, tmp_path)}/bands", patch_size=10, time="last")
    assert source.dates == {"bands": datetime.date(2021, 5, 6)}
    assert source.read(["bands/0/0"])[0, 0, 0, 0] == coordinates(ROWS, COLS, 2)[0, 0, 0]


@pytest.mark.parametrize("write", [zarr_3, netcdf])
@pytest.mark.parametrize("named", ["spatial_ref", "/spatial_ref"])
def test_a_grid_mapping_is_looked_for_above(write: Write, named: str, tmp_path: Path) -> None:
    root = xr.Dataset(coords={"spatial_ref": _crs()})
    own = _bands(mapping=named).assign_coords(_centres())
    path = write(xr.DataTree.from_dict({"/": root, "/bands": own}), tmp_path)
    (grid,) = CubeSource(f"{path}/bands", patch_size=10).grids.values()
    assert (grid.crs, grid.transform) == (UTM, NORTH_UP)


@pytest.mark.parametrize("write", [zarr_3, netcdf])
def test_what_a_group_says_itself_goes_before(write: Write, tmp_path: Path) -> None:
    root = xr.Dataset(
        coords={"spatial_ref": _crs(), "x": np.arange(7.0), "time": WHEN[0]},
        attrs={"time_coverage_start": "2020-01-01"},
    )
    degrees = {"lon": 4.5 + np.arange(COLS), "lat": 50.5 - np.arange(ROWS)}
    own = _bands(dims=("lat", "lon")).assign_coords({**degrees, "time": WHEN[1]})
    path = write(xr.DataTree.from_dict({"/": root, "/bands": own}), tmp_path)
    source = CubeSource(f"{path}/bands", patch_size=10)
    assert source.grids["bands"].crs == "EPSG:4326"
    assert source.grids["bands"].transform == (1.0, 0.0, 4.0, 0.0, -1.0, 51.0)
    assert source.dates == {"bands": datetime.date(2021, 5, 1)}


@pytest.mark.parametrize(
    ("attributes", "day"),
    [
        ({"stac_discovery": {"properties": {"datetime": "2021-05-06T10:36:29Z"}}}, (2021, 5, 6)),
        (
            {
                "stac_discovery": {
                    "properties": {
                        "datetime": None,
                        "start_datetime": "2021-05-06T10:36:29Z",
                        "end_datetime": "2021-05-06T10:37:00Z",
                        "created": "2022-01-01T00:00:00Z",
                    }
                }
            },
            (2021, 5, 6),
        ),
        ({"time_coverage_start": "2021-05-06", "time_coverage_end": "2021-05-07"}, (2021, 5, 6)),
        ({"time_coverage_start": "2021-05-06", "time_coverage_end": "2021-09-07"}, None),
        ({"stac_discovery": {"properties": {"created": "2022-01-01T00:00:00Z"}}}, None),
        ({"stac_discovery": "2021-05-06"}, None),
    ],
)
@pytest.mark.parametrize("group", ["bands", "measurements/reflectance/r10m"])
def test_the_day_is_that_of_the_product(
    attributes: dict[str, Any], day: tuple[int, int, int] | None, group: str, tmp_path: Path
) -> None:
    own = _bands().assign_coords({**_centres(), "spatial_ref": _crs()})
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=attributes), f"/{group}": own})
    source = CubeSource(f"{zarr_2(tree, tmp_path)}/{group}", patch_size=10)
    assert list(source.dates.values()) == ([] if day is None else [datetime.date(*day)])


@pytest.mark.parametrize(("write", "suffix"), [(zarr_3, ".zarr"), (netcdf, ".nc")])
def test_the_name_of_the_product_says_the_day(write: Write, suffix: str, tmp_path: Path) -> None:
    own = _bands().assign_coords({**_centres(), "spatial_ref": _crs()})
    path = Path(write(xr.DataTree.from_dict({"/a/bands": own}), tmp_path))
    product = path.with_name(
        f"S2B_MSIL2A_20230615T103629_N0509_R008_T32TNT_20230616T134200{suffix}"
    )
    path.rename(product)
    source = CubeSource(f"{product}/a/bands", patch_size=10)
    assert source.dates == {"bands": datetime.date(2023, 6, 15)}


def test_files_above_are_closed_with_the_cube(tmp_path: Path) -> None:
    root = xr.Dataset(coords={**_centres(), "spatial_ref": _crs()})
    path = netcdf(xr.DataTree.from_dict({"/": root, "/bands": _bands()}), tmp_path)
    source = CubeSource(f"{path}/bands", patch_size=10)
    first = source.read(["bands/0/0"])
    source.close()
    with xr.backends.H5NetCDFStore.open(path, mode="a"):  # nobody else may have it open
        pass
    assert np.array_equal(source.read(["bands/0/0"]), first)
