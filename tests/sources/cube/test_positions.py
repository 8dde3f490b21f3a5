"""Where a cube's pixels stand: by coordinates, by attributes, or by both."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cubes import cube, write_zarr
from pyproj import CRS
from rasters import ORIGIN, UTM, coordinates

from owl_geo.sources.cube.source import CubeSource

X, Y = ORIGIN
RIGHT = (10.0, 0.0, X, 0.0, -10.0, Y)
NODES = [10.0, 0.0, X + 5, 0.0, -10.0, Y - 5]
BOX = [X, Y - 200, X + 300, Y]


def transform_of(array: Any) -> tuple[float, ...]:
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    return grid.transform


def bare(**attributes: Any) -> xr.DataArray:
    array = cube(coordinates(20, 30), crs=None).drop_vars(["x", "y"])
    return array.assign_attrs({"proj:code": UTM, **attributes})


@pytest.mark.parametrize(
    "attributes",
    [
        {"spatial:transform": list(RIGHT)},
        {
            "spatial:transform": [10.0, 0.0, X + 5, 0.0, -10.0, Y - 5],
            "spatial:registration": "node",
        },
        {"spatial:bbox": BOX},
        {"transform": RIGHT},
        {"transform": [*RIGHT, 0.0, 0.0, 1.0]},
        {"geo:proj": {"code": UTM, "transform": list(RIGHT)}},
        {"spatial:transform": list(RIGHT), "transform": (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)},
    ],
    ids=["corners", "nodes", "box", "rasterio", "nine terms", "geo:proj", "the explicit one"],
)
def test_attributes_alone_place_a_cube(attributes: dict[str, Any]) -> None:
    assert transform_of(bare(**attributes)) == pytest.approx(RIGHT)


def test_geozarr_in_a_store_is_read_without_coordinates(tmp_path: Path) -> None:
    array = bare().rename(x="column", y="row")
    del array.attrs["proj:code"]
    dataset = array.to_dataset(name="reflectance").assign_attrs(
        {
            "spatial:dimensions": ["row", "column"],
            "spatial:transform": list(RIGHT),
            "proj:projjson": CRS.from_user_input(UTM).to_json_dict(),
        }
    )
    source = CubeSource(str(write_zarr(tmp_path / "a.zarr", dataset)), patch_size=10)
    (grid,) = source.grids.values()
    assert (grid.crs, grid.transform) == (UTM, pytest.approx(RIGHT))
    assert (grid.height, grid.width) == (20, 30)


def test_gdals_order_of_terms_is_not_taken_for_rasterios() -> None:
    with pytest.raises(Exception, match="no coordinates along y and x"):
        transform_of(bare(transform=(X, 10.0, 0.0, Y, 0.0, -10.0)))


def test_coordinates_of_corners_are_known_by_the_transform() -> None:
    centres = cube(coordinates(20, 30))
    corners = centres.assign_coords(x=centres.x - 5, y=centres.y + 5)
    assert transform_of(corners.assign_attrs(transform=RIGHT)) == pytest.approx(RIGHT)
    assert transform_of(centres.assign_attrs(transform=RIGHT)) == pytest.approx(RIGHT)
    part = corners.assign_attrs(transform=RIGHT).isel(x=slice(3, None), y=slice(7, None))
    assert transform_of(part) == pytest.approx((10, 0, X + 30, 0, -10, Y - 70))
    part = centres.assign_attrs(transform=RIGHT).isel(x=slice(3, None))
    assert transform_of(part) == pytest.approx((10, 0, X + 30, 0, -10, Y))


def test_bounds_of_coordinates_say_where_pixels_end() -> None:
    array = cube(coordinates(20, 30))
    array = array.assign_coords(x=array.x - 5, y=array.y + 5)
    dataset = array.to_dataset(name="reflectance")
    for dim, step in (("x", 10.0), ("y", -10.0)):
        first = dataset[dim].to_numpy()
        dataset[f"{dim}_bnds"] = ((dim, "edge"), np.stack([first, first + step], axis=1))
        dataset[dim].attrs["bounds"] = f"{dim}_bnds"
    assert transform_of(dataset) == pytest.approx(RIGHT)


def test_where_two_statements_disagree_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    array = cube(coordinates(20, 30)).assign_attrs(transform=(30.0, 0.0, X, 0.0, -30.0, Y))
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert transform_of(array) == pytest.approx(RIGHT)
    assert len(caplog.messages) == 2 and "steps of 30 and 10" in caplog.messages[0]


def test_what_only_counts_is_no_place() -> None:
    array = bare(transform=RIGHT).assign_coords(x=np.arange(30), y=np.arange(20))
    assert transform_of(array) == pytest.approx(RIGHT)
