"""Opening a cube: what cannot be opened is named, and what a cube is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cubes import cube, write_zarr

from owl_geo.errors import SourceError
from owl_geo.sources.cube.opening import CubeFile, cube_name, path_or_cube


@pytest.mark.parametrize("name", ["notes.nc", "notes.txt", "notes"])
def test_a_file_that_xarray_does_not_know_is_told_as_such(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("not a cube", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        _ = CubeFile(str(path)).dataset
    assert str(caught.value) == (
        f"cannot open {path} as a data cube: xarray knows no such file; it should be Zarr or NetCDF"
    )


def test_a_file_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.zarr does not exist$"):
        _ = CubeFile(str(tmp_path / "gone.zarr")).dataset


def test_what_cannot_be_a_cube_is_refused_by_its_type() -> None:
    with pytest.raises(SourceError, match="not list"):
        path_or_cube([1])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/S2.zarr", "S2"),
        ("/data/S2.zarr.zip", "S2"),
        ("/data/S2.2026-01.nc", "S2.2026-01"),
        ("/data/S2.zarr/", "S2"),
        ("https://host/bucket/S2.zarr?key=value", "S2"),
        ("s3://S2.zarr", "S2"),
        ("/data/.zarr", ".zarr"),
    ],
)
def test_a_cube_is_called_as_its_file_without_suffixes(path: str, name: str) -> None:
    assert cube_name(path) == name


def test_a_cube_in_memory_is_called_as_it_calls_itself_or_its_file(tmp_path: Path) -> None:
    values = cube(np.ones((1, 1, 2)))
    assert cube_name(values.rename("ndvi")) == "ndvi"
    assert cube_name(values.rename(None)) == "cube"
    opened = xr.open_zarr(write_zarr(tmp_path / "there.zarr", values))
    assert cube_name(opened) == "there"
    opened.close()


def test_a_cube_opens_again_after_it_was_closed(tmp_path: Path) -> None:
    file = CubeFile(str(write_zarr(tmp_path / "c.zarr", cube(np.ones((1, 1, 2))))))
    first = file.dataset
    assert file.dataset is first
    file.close()
    assert file.dataset is not first
    assert file.dataset.sizes == first.sizes
