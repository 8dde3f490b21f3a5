"""Bands that were chosen or put in another order after rioxarray read them from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cubes import cube, write_netcdf, write_zarr
from rasters import coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.sources.cube.source import CubeSource

_NAMES = ("red", "green", "blue")
_SCALES = np.array([0.1, 0.01, 0.001])
_OFFSETS = np.array([0.0, 1.0, 2.0])


def _read(given: Any) -> tuple[tuple[str, ...], Any]:
    source = CubeSource(given, patch_size=16)
    (patch,) = source.read(source.index["patch_id"].tolist())
    return source.bands, patch


def _chosen(array: xr.DataArray, how: str) -> xr.DataArray:
    choices: dict[str, dict[str, Any]] = {
        "all": {"band": [1, 2, 3]},
        "reversed": {"band": [3, 2, 1]},
        "two": {"band": [3, 1]},
        "one": {"band": [2]},
        "one without an axis": {"band": 2},
    }
    return array.sel(choices[how])


@pytest.mark.parametrize("how", ["all", "reversed", "two", "one", "one without an axis"])
@pytest.mark.parametrize("write", [None, write_zarr, write_netcdf])
def test_scales_are_those_of_the_chosen_bands(how: str, write: Any, tmp_path: Path) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    pixels = coordinates(16, 16, 3)
    path = write_raster(tmp_path / "a.tif", pixels, scales=tuple(_SCALES), offsets=tuple(_OFFSETS))
    array = _chosen(rioxarray.open_rasterio(path).rename("values"), how)
    numbers = np.atleast_1d(array["band"].to_numpy()) - 1
    expected = pixels[numbers] * _SCALES[numbers, None, None] + _OFFSETS[numbers, None, None]
    given = array if write is None else write(tmp_path / "cube", array)
    _, patch = _read(given)
    assert patch == pytest.approx(expected, rel=1e-6)


def test_scales_of_bands_without_a_number_are_refused() -> None:
    """As where bands become variables, and the dataset keeps the list of the whole file."""
    pixels = coordinates(16, 16, 3)
    array = cube(pixels).assign_coords(band=[1, 2, 3])
    array = array.assign_attrs(scales=_SCALES, offsets=_OFFSETS)
    bands = array.to_dataset(dim="band").rename({1: "red", 2: "green", 3: "blue"})
    several = r"red has 3 scales for 1 band, and nothing says which"
    with pytest.raises(SourceError, match=several):
        _read(bands)
    with pytest.raises(SourceError, match=several):
        _read(bands[["red"]].assign(red=bands["red"].assign_attrs(scales=_SCALES)))
    _, patch = _read(bands.assign_attrs(scales=[0.1] * 3, offsets=[2.0] * 3))
    assert patch == pytest.approx(0.1 * pixels + 2, rel=1e-6)


def test_names_follow_their_bands_into_another_order() -> None:
    pixels = coordinates(16, 16, 3)
    array = cube(pixels).assign_coords(band=[1, 2, 3]).assign_attrs(long_name=_NAMES)
    names, patch = _read(array.sel(band=[2, 3, 1]))
    assert names == ("green", "blue", "red")
    assert (patch == pixels[[1, 2, 0]]).all()


def test_missing_values_are_those_of_the_chosen_bands() -> None:
    pixels = np.full((3, 16, 48), 7, "int32")
    pixels[0, :, :16], pixels[2, :, 16:32] = -1, -3
    pixels[2, :, 32:] = -1  # which is none of the third band's
    array = cube(pixels).assign_coords(band=[1, 2, 3]).assign_attrs(nodatavals=(-1.0, -2.0, -3.0))
    source = CubeSource(array.sel(band=[3, 1]), patch_size=16)
    assert (source.index["col_off"] // 16).tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 1], ("b", "a")),
        ([3, 1], None),  # of a file with more bands than the list has
        ([1, 1], ("a", "b")),  # joined from two files
        ([0, 1], ("a", "b")),
        ([490, 560], ("a", "b")),
        (["B2", "B3"], ("a", "b")),
        ([2.0, 1.0], ("a", "b")),
    ],
)
def test_only_numbers_of_bands_count_as_such(
    labels: list[Any], expected: tuple[str, ...] | None
) -> None:
    dataset = cube(coordinates(4, 4, 2)).assign_coords(band=labels).to_dataset(name="v")
    bands = FileBands.of(dataset, dataset["v"].variable, "band")
    assert bands.own(("a", "b")) == (expected or ("a", "b"))
    assert bands.own(("a", "b", "c")) == (("c", "a") if expected is None else bands.own("abc"))
