"""Scenes by other names than a path: subdatasets, a product's metadata, archives."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pyproj import CRS
from rasters import ORIGIN, UTM, coordinates, make_landsat, make_safe, write_raster
from strangers import Owl
from xarray import DataArray, Dataset

from owl_geo.errors import SourceError
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.scene_names import scene_name
from owl_geo.sources.scene_words import find_scenes


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


def netcdf(path: Path) -> Path:
    """Write a file of two variables on one grid, which GDAL reads as two subdatasets."""
    x = ORIGIN[0] + 10 * (np.arange(32) + 0.5)
    y = ORIGIN[1] - 10 * (np.arange(32) + 0.5)
    axes = {
        "x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"}),
    }
    values = coordinates(32, 32, 2, "float32")
    data = Dataset(
        {
            name: (("y", "x"), plane, {"grid_mapping": "crs"})
            for name, plane in zip(("red", "nir"), values, strict=True)
        },
        coords=axes,
    )
    data["crs"] = DataArray(0, attrs=CRS.from_user_input(UTM).to_cf())
    data.to_netcdf(path, engine="h5netcdf")
    return path


def test_a_subdataset_is_a_scene_from_its_words_to_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netcdf(tmp_path / "f.nc")
    found = find_scenes(['NETCDF:"f.nc":red', "NETCDF:f.nc:nir"], folder=tmp_path)
    assert [scene.name for scene in found.scenes] == ["f_red", "f_nir"]
    red, nir = (GeoTiffSource(scene, patch_size=16) for scene in found.scenes)
    monkeypatch.chdir("/")
    assert (red.bands, nir.bands) == (("red",), ("nir",))
    assert red.read(["f_red/16/0"])[0, 0, 3].tolist() == [19.0] * 16
    assert nir.read(["f_nir/16/0"])[0, 0, 3].tolist() == list(range(16))
    with pytest.raises(SourceError, match="no band 'red'"):  # two bands are not two scenes of one
        GeoTiffSource(found.scenes, patch_size=16)


def test_a_run_of_a_subdataset_opens_from_anywhere_and_notices_changes(
    owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = netcdf(owl.folder / "f.nc")
    monkeypatch.chdir(owl.folder)
    owl.init("NETCDF:f.nc:red").done()
    monkeypatch.chdir("/")
    assert "unchanged" in owl("doctor", owl.folder / "run").out
    with path.open("ab") as file:
        file.write(b"x")
    assert "f_red" in owl("doctor", owl.folder / "run").out
    path.unlink()
    assert "f.nc does not exist" in owl("query", owl.folder / "run").err


def test_the_way_out_that_a_message_names_leads_somewhere(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for table, more in (("one", {}), ("two", {"APPEND_SUBDATASET": "YES"})):
        pixels = coordinates(32, 32, 3, "uint8")
        write_raster(path, pixels, driver="GPKG", RASTER_TABLE=table, **more)
    with pytest.raises(SourceError, match="name one of its subdatasets") as refusal:
        GeoTiffSource(path)
    word = str(refusal.value).rpartition("for example ")[2].split(", ")[0]
    (scene,) = find_scenes([word]).scenes
    assert scene.name == "two_one"
    assert len(GeoTiffSource(scene, patch_size=16).index) == 4


def test_a_page_of_a_tiff_is_a_scene(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(32, 32))
    assert scene_name(f"GTIFF_DIR:1:{path}") == "a_1"
    assert len(describe_scene(f"GTIFF_DIR:1:{path}").bands) == 3


@pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", "manifest.safe", "GRANULE/*/MTD_TL.xml"])
def test_the_metadata_of_a_sentinel_2_product_stands_for_it(name: str, tmp_path: Path) -> None:
    safe = make_safe(tmp_path)
    (granule,) = safe.glob("GRANULE/*")
    for extra in (safe / "manifest.safe", granule / "MTD_TL.xml"):
        extra.write_text("<a/>")
    (path,) = safe.glob(name)
    (scene,) = find_scenes([str(path)]).scenes
    assert (scene.path, scene.name) == (str(safe), safe.name.removesuffix(".SAFE"))
    assert GeoTiffSource(path, patch_size=60).bands == ("B02", "B03", "B04", "B08")
    assert describe_scene(path).kind == "Sentinel-2 level 2A"


@pytest.mark.parametrize("suffix", ["txt", "xml", "json"])
def test_the_metadata_of_a_landsat_product_stands_for_it(suffix: str, tmp_path: Path) -> None:
    folder = make_landsat(tmp_path)
    (text,) = folder.glob("*_MTL.txt")
    path = text.with_suffix(f".{suffix}")
    path.touch()
    (scene,) = find_scenes([str(path)]).scenes
    assert (scene.path, scene.name) == (str(folder), folder.name)


@pytest.mark.parametrize("name", ["S2A_MSIL2A_20240101T000000.SAFE.zip", "a.zip", "LC08.tar"])
def test_archives_are_refused_with_the_way_out(name: str, tmp_path: Path) -> None:
    safe = make_safe(tmp_path / "in")
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for file in safe.rglob("*"):
                archive.write(file, file.relative_to(tmp_path / "in"))
    else:
        made = shutil.make_archive(str(tmp_path / "made"), "tar", tmp_path / "in")
        os.replace(made, path)  # noqa: PTH105 - both are names here
    with pytest.raises(SourceError, match="unpack it and name the folder") as refusal:
        GeoTiffSource(path)
    assert "\n" not in str(refusal.value)


def test_a_folder_around_a_product_names_it(tmp_path: Path) -> None:
    safe = make_safe(tmp_path / "outer")
    with pytest.raises(SourceError, match=rf"did you mean '.*{safe.name}'\?"):
        GeoTiffSource(tmp_path / "outer")
