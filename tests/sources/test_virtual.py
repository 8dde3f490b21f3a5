"""Virtual rasters: the files behind them count among a scene's files."""

from __future__ import annotations

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasters import UTM, coordinates, write_raster
from shapely.geometry import box

from owl_geo.sources.file_states import changes, file_states, imagery_files, record_files
from owl_geo.sources.virtual import files_behind, sources_of
from owl_geo.types import AnyArray


def vrt(path: Path, source: str, *, relative: bool = True) -> Path:
    path.write_text(
        '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="UInt16" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="{int(relative)}">{source}</SourceFilename>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


def tile_index(path: Path, tiles: dict[str, Path]) -> Path:
    outlines = []
    for tile in tiles.values():
        with rasterio.open(tile) as dataset:
            outlines.append(box(*dataset.bounds))
    frame = gpd.GeoDataFrame({"location": list(tiles)}, geometry=outlines, crs=UTM)
    frame.to_file(path, driver="GPKG", layer="tiles")
    return path


def pixels(value: int) -> AnyArray:
    return np.full((1, 16, 16), value, np.uint16)


@pytest.fixture
def nested(tmp_path: Path) -> tuple[Path, Path]:
    """Return a VRT of a VRT in another folder, and the tile that they show."""
    (tmp_path / "mosaics").mkdir()
    tile = write_raster(tmp_path / "tiles" / "a.tif", pixels(1))
    vrt(tmp_path / "mosaics" / "inner.vrt", "../tiles/a.tif")
    return vrt(tmp_path / "outer.vrt", "mosaics/inner.vrt"), tile


def test_the_files_behind_a_vrt_are_found_through_others(nested: tuple[Path, Path]) -> None:
    outer, tile = nested
    assert [os.path.realpath(file) for file in files_behind(outer)] == [
        str(outer.parent / "mosaics" / "inner.vrt"),
        str(tile),
    ]


def test_a_vrt_of_itself_ends(tmp_path: Path) -> None:
    path = vrt(tmp_path / "a.vrt", "a.vrt")
    assert list(files_behind(path)) == []


@pytest.mark.parametrize("text", ["", "<VRTDataset>", "no xml", "\0"])
def test_a_vrt_that_cannot_be_read_names_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(text)
    assert sources_of(tmp_path / "a.vrt") == []
    assert sources_of(tmp_path / "missing.vrt") == []
    (tmp_path / "a.gti.gpkg").write_text(text)
    assert sources_of(tmp_path / "a.gti.gpkg") == []


@pytest.mark.parametrize(
    "kind", ["nested", "absolute", "tile index", "tile index in XML", "folder"]
)
def test_a_changed_file_behind_a_virtual_raster_is_noticed(
    kind: str, nested: tuple[Path, Path], tmp_path: Path
) -> None:
    path, tile = nested
    if kind == "absolute":
        path = vrt(tmp_path / "absolute.vrt", str(tile), relative=False)
    if kind.startswith("tile index"):
        path = tile_index(tmp_path / "tiles.gti.gpkg", {"tiles/a.tif": tile})
    if kind == "tile index in XML":
        path = tmp_path / "x.gti"
        path.write_text(
            f"<GDALTileIndexDataset><IndexDataset>{tmp_path}/tiles.gti.gpkg</IndexDataset>"
            "</GDALTileIndexDataset>"
        )
    if kind == "folder":
        path = tmp_path / "mosaics"
    records = record_files(str(path), imagery_files)
    states = file_states(str(path))
    assert changes(str(path), records) == []
    write_raster(tile, pixels(2))
    os.utime(tile, ns=(1, 1))
    (changed,) = changes(str(path), records)
    folder = path if path.is_dir() else path.parent
    assert (folder / changed[0]).samefile(tile)
    assert file_states(str(path)) != states


def test_a_vrt_that_moves_with_its_files_is_unchanged(
    nested: tuple[Path, Path], tmp_path: Path
) -> None:
    outer, _ = nested
    records = record_files(str(outer), imagery_files)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("outer.vrt", "mosaics", "tiles"):
        (tmp_path / name).rename(moved / name)
    assert changes(str(moved / "outer.vrt"), records) == []


def test_files_that_are_not_virtual_are_recorded_as_ever(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(16, 16))
    record, beside = record_files(str(path), imagery_files)
    assert record[0] == "" and beside == (".aux.xml", 0, 0, "")
    assert len(file_states(str(path))) == 1
