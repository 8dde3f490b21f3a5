"""Rasters within files as GDAL spells them, and the path in their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from owl_geo.settings.paths import is_local, whole_path
from owl_geo.settings.subdatasets import file_of, is_subdataset, label_of, with_file


@pytest.mark.parametrize(
    ("text", "file", "label"),
    [
        ('NETCDF:"a/f.nc":v', "a/f.nc", "v"),
        ("netcdf:a/f.nc:v", "a/f.nc", "v"),
        ('HDF5:"a/f.h5"://group/v', "a/f.h5", "group_v"),
        ("HDF5:a/f.h5://group/v", "a/f.h5", "group_v"),
        ("SENTINEL2_L2A:S.SAFE/MTD_MSIL2A.xml:10m:EPSG_32631", "S.SAFE/MTD_MSIL2A.xml", None),
        ("GTIFF_DIR:2:a/f.tif", "a/f.tif", "2"),
        ("GTIFF_DIR:off:1024:f.tif", "f.tif", "1024"),
        ('HDF4_EOS:EOS_GRID:"f.hdf":grid:field', "f.hdf", "grid_field"),
        ("GPKG:f.gpkg:table", "f.gpkg", "table"),
        (r"NETCDF:C:\data\f.nc:v", r"C:\data\f.nc", "v"),
    ],
)
def test_a_subdataset_holds_a_path(text: str, file: str, label: str | None) -> None:
    assert is_subdataset(text)
    assert not is_local(text)
    assert file_of(text) == file
    assert with_file(text, lambda path: path) == text
    assert label is None or label_of(text) == label


@pytest.mark.parametrize("text", ["f.nc", "/a/f:1.tif", r"C:\a\f.tif", "scene:1.tif", "NETCDF:"])
def test_other_names_are_paths(text: str) -> None:
    assert not is_subdataset(text)
    assert is_local(text)
    assert file_of(text) == text


def test_the_path_within_starts_at_the_folder() -> None:
    assert whole_path('NETCDF:"f.nc":v', Path("/a")) == 'NETCDF:"/a/f.nc":v'
    assert whole_path("GTIFF_DIR:1:/b/f.tif", Path("/a")) == "GTIFF_DIR:1:/b/f.tif"
    assert whole_path("NETCDF:/vsicurl/x/f.nc:v", Path("/a")) == "NETCDF:/vsicurl/x/f.nc:v"
    assert whole_path("f.nc", Path("/a")) == "/a/f.nc"
