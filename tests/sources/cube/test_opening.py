"""Opening a cube: what cannot be opened is named, and what a cube is called."""

from __future__ import annotations

from pathlib import Path
from shutil import make_archive

import numpy as np
import pytest
import xarray as xr
from cubes import cube, write_zarr

from owl_geo.errors import SourceError
from owl_geo.settings.sources import CubeSettings
from owl_geo.sources.cube.opening import CubeFile, cube_name, path_or_cube
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.cube.unopened import UnopenedCube


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
    with pytest.raises(SourceError, match=r"gone\.zarr does not exist; check the name"):
        _ = CubeFile(str(tmp_path / "gone.zarr")).dataset


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Return a folder with a cube whose bands lie in groups, in each form that has groups."""
    array = cube(np.arange(3 * 32 * 32, dtype=np.float32).reshape(3, 32, 32))
    dataset = array.to_dataset(dim="band")
    xr.Dataset().to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    for group in ("measurements/r10m", "quality"):
        dataset.to_netcdf(tmp_path / "cube.nc", group=group, mode="a", engine="h5netcdf")
        dataset.to_zarr(tmp_path / "cube.zarr", group=group, zarr_format=2, mode="a")
    make_archive(str(tmp_path / "cube.zarr"), "zip", tmp_path / "cube.zarr")
    return tmp_path


@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr", "cube.zarr.zip"])
def test_the_groups_of_a_cube_are_named_and_open(name: str, grouped: Path) -> None:
    path = str(grouped / name)
    with pytest.raises(SourceError) as refusal:
        CubeSource(path)
    groups = str(refusal.value).partition("name one of its groups: ")[2].split(", ")
    assert groups == [f"{path}/measurements/r10m", f"{path}/quality"]
    source = CubeSource(groups[0], patch_size=16, bands=("B2",))
    assert list(source.grids) == ["r10m"]
    assert source.read(["r10m/0/16"])[0, 0, 0].tolist() == list(range(16, 32))
    unopened = UnopenedCube(CubeSettings(path=groups[0]))
    (files,) = unopened.files.values()
    assert all(Path(file).exists() for file in files)
    if name != "cube.zarr":  # a folder in a folder is missing as any other
        with pytest.raises(SourceError, match=r"no group 'qualty'.*did you mean 'quality'\?"):
            CubeSource(f"{path}/qualty")


def test_a_group_of_a_file_counts_as_the_file(grouped: Path) -> None:
    path = grouped / "cube.nc"
    unopened = UnopenedCube(CubeSettings(path=f"{path}/quality"))
    before = unopened.identity(unopened.settings).shared
    path.write_bytes(path.read_bytes() + b" ")
    assert unopened.identity(unopened.settings).shared != before


def test_a_folder_that_is_no_store_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "x.nc").mkdir()
    with pytest.raises(SourceError, match=r"x\.nc as a data cube: it is a folder without Zarr"):
        _ = CubeFile(str(tmp_path / "x.nc")).dataset


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
