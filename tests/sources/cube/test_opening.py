"""Opening a cube: what cannot be opened is named, and what a cube is called."""

from __future__ import annotations

from pathlib import Path
from shutil import make_archive
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
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


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"snapshots/1CECH": "", "refs/branch.main/ref.json": "{}"}, "an Icechunk repository"),
        ({"snapshots/1CECH": "", "repo": ""}, "an Icechunk repository"),
        ({".zmetadata": '{"metadata": {}, "record_size": 10000}'}, "parts of other files"),
    ],
)
def test_a_store_that_only_refers_to_pixels_is_named(
    files: dict[str, str], what: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / name).write_text(text)
    with pytest.raises(SourceError, match=what):
        _ = CubeFile(str(tmp_path / "store")).dataset


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "refs": {".zgroup": "{}", "red/0.0": ["s3://a/b.nc", 24, 16]}}',
        '{".zgroup": "{}", "red/.zarray": "{}", "red/0.0": ["b.nc", 24, 16]}',
    ],
)
def test_a_file_of_references_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "refs.json").write_text(text)
    with pytest.raises(SourceError, match=r"other files \(kerchunk\); open it in Python"):
        _ = CubeFile(str(tmp_path / "refs.json")).dataset


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


def _dated(value: float, day: str) -> xr.Dataset:
    plane = np.full((1, 32, 32), value, dtype=np.float32)
    return cube(plane, bands=("B2",)).to_dataset(dim="band").expand_dims(time=[np.datetime64(day)])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_what_arrays_say_counts_where_consolidated_metadata_are_older(
    version: int, packed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "c.zarr"
    _dated(7, "2021-05-01").to_zarr(store, zarr_format=version, consolidated=True)
    root = store / ("zarr.json" if version == 3 else ".zmetadata")
    old = root.read_bytes()
    path = str(store)

    def read(**options: Any) -> tuple[list[str], list[float]]:
        where = make_archive(str(store), "zip", store) if packed else path
        source = CubeSource(where, patch_size=32, **options)
        values = source.read(list(source.index["patch_id"]))[0, :, 0, 0].tolist()
        source.close()
        return list(source.bands), values

    assert read() == (["B2"], [7]) and not caplog.text
    _dated(9, "2021-05-06").to_zarr(store, append_dim="time", consolidated=False)
    root.write_bytes(old)
    assert read(time="last") == (["B2"], [9])
    assert "its consolidated metadata are older than those of its parts (B2, time)" in caplog.text
    caplog.clear()
    later = _dated(3, "2021-05-01").rename(B2="B3").drop_vars("time").isel(time=[0, 0])
    later.to_zarr(store, mode="a", consolidated=False)
    if version == 3:
        root.write_bytes(old)
    assert read(time="last") == (["B2", "B3"], [9, 3])
    assert "(B2, B3, time), which count" in caplog.text
    zarr.consolidate_metadata(store)
    caplog.clear()
    assert read(time="last") == (["B2", "B3"], [9, 3]) and not caplog.text


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("group", ["", "r10m"])
def test_a_place_that_was_corrected_in_a_group_counts(
    version: int, group: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "c.zarr"
    plane = np.ones((32, 32), dtype=np.float32)
    dataset = xr.Dataset({"B2": (("y", "x"), plane)}).assign_attrs(
        {"proj:code": "EPSG:32631", "spatial:transform": [10.0, 0.0, 5e5, 0.0, -10.0, 5e6]}
    )
    dataset.to_zarr(store, group=group or None, zarr_format=version, consolidated=False)
    zarr.consolidate_metadata(store)
    path = f"{store}/{group}".rstrip("/")
    (grid,) = CubeSource(path, patch_size=32).grids.values()
    assert grid.transform[2] == 5e5 and not caplog.text
    node = store / group / ("zarr.json" if version == 3 else ".zattrs")
    node.write_text(node.read_text().replace("500000.0", "600000.0"))
    (grid,) = CubeSource(path, patch_size=32).grids.values()
    assert grid.transform[2] == 6e5
    is_apart = version == 2 and not group  # else there is no copy of it, or in the same file
    assert ("those of its parts (group), which count" in caplog.text) == is_apart


def test_a_scale_that_was_corrected_in_an_array_counts(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    dataset = _dated(7, "2021-05-01").astype(np.int16)
    dataset["B2"].encoding = {"scale_factor": 1.0}
    dataset.to_zarr(store, zarr_format=2, consolidated=True)
    attributes = store / "B2" / ".zattrs"
    attributes.write_text(
        attributes.read_text().replace('"scale_factor": 1.0', '"scale_factor": 0.5')
    )
    source = CubeSource(str(store), patch_size=32)
    assert set(source.read(list(source.index["patch_id"])).flat) == {3.5}


def test_angles_of_a_geostationary_satellite_are_refused_without_units(tmp_path: Path) -> None:
    grid = {
        "grid_mapping_name": "geostationary",
        "perspective_point_height": 35786023.0,
        "longitude_of_projection_origin": -75.0,
        "latitude_of_projection_origin": 0.0,
        "semi_major_axis": 6378137.0,
        "semi_minor_axis": 6356752.31414,
        "sweep_angle_axis": "x",
    }
    angles = 5.6e-5 * np.arange(32)
    dataset = xr.Dataset(
        {
            "CMI": (("y", "x"), np.ones((32, 32), np.float32), {"grid_mapping": "p"}),
            "p": ((), 0, grid),
        },
        coords={
            "x": ("x", angles - 0.05, {"standard_name": "projection_x_coordinate"}),
            "y": ("y", 0.1 - angles, {"standard_name": "projection_y_coordinate"}),
        },
    )
    with pytest.raises(
        SourceError, match="the coordinates along x are angles in radians; resample"
    ):
        CubeSource(dataset)
    height = grid["perspective_point_height"]
    metres = dataset.assign_coords(x=dataset.x * height, y=dataset.y * height)
    (placed,) = CubeSource(metres, patch_size=16).grids.values()
    assert placed.transform[2] == pytest.approx((-0.05 - 2.8e-5) * height)


def test_a_scale_that_pixels_are_to_be_divided_by_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = _dated(7, "2021-05-01").astype(np.int16)
    dataset["B2"].attrs["scale_factor"] = 10_000.0
    dataset.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    CubeSource(str(tmp_path / "c.nc"), patch_size=16).check_bands()
    assert "pixels of B2 are multiplied by 10000, as its scale_factor says" in caplog.text
