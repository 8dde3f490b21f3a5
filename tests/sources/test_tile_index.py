"""Raster tile indexes: windows that begin where a tile ends have its neighbours' pixels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import ORIGIN, UTM, write_raster
from shapely.geometry import box

from owl_geo.errors import LayerError, SourceError
from owl_geo.ground.raster import AlignedRaster
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.types import AnyArray


def index_of(folder: Path, edges: list[int], *, form: str = "gpkg") -> tuple[Path, AnyArray]:
    """Write square tiles between the edges, and their index; return it and all their pixels."""
    rng = np.random.default_rng(0)
    size = edges[-1]
    pixels = rng.integers(1, 9999, (size, size)).astype(np.uint16)
    x, y = ORIGIN
    names, outlines = [], []
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            corner = x + 10 * left, y - 10 * top
            path = folder / f"t_{top}_{left}.tif"
            tile = pixels[None, top:bottom, left:right]
            write_raster(path, tile, transform=from_origin(*corner, 10, 10), nodata=0)
            names.append(path.name)
            outlines.append(box(corner[0], y - 10 * bottom, x + 10 * right, corner[1]))
    index = folder / "index.gti.gpkg"
    frame = gpd.GeoDataFrame({"location": names}, geometry=outlines, crs=UTM)
    frame.to_file(index, driver="GPKG", layer="tiles")
    if form == "xml":
        text = f"<GDALTileIndexDataset><IndexDataset>{index}</IndexDataset>"
        index = folder / "index.gti"
        index.write_text(f"{text}<LocationField>location</LocationField></GDALTileIndexDataset>")
    return index, pixels


@pytest.mark.parametrize("edges", [[0, 64, 128, 160], [0, 127, 511, 600]])
def test_patches_that_begin_where_tiles_end_have_their_pixels(
    edges: list[int], tmp_path: Path
) -> None:
    path, pixels = index_of(tmp_path, edges)
    scene = f"{path.stem}"
    source = GeoTiffSource(path, patch_size=8)
    n = edges[-1] // 8
    assert len(source.index) == n * n
    assert (source.index["valid_fraction"] == 1).all()
    for row, col in ((64, 0), (0, 64), (64, 64), (120, 120), (56, 64), (n * 8 - 8, 128)):
        patch = source.read([f"{scene}/{row}/{col}"])[0, 0]
        assert np.array_equal(patch, pixels[row : row + 8, col : col + 8]), (row, col)
    for positions, patches in source.stream():
        for position, patch in zip(positions, patches, strict=True):
            row, col = source.index[["row_off", "col_off"]].iloc[position]
            assert np.array_equal(patch[0], pixels[row : row + 8, col : col + 8])


def test_a_tile_index_in_xml_is_read_alike(tmp_path: Path) -> None:
    path, pixels = index_of(tmp_path, [0, 64, 128], form="xml")
    patch = GeoTiffSource(path, patch_size=64).read(["index/64/64"])[0, 0]
    assert np.array_equal(patch, pixels[64:, 64:])


def test_a_tile_index_as_a_layer_is_right_or_refused(tmp_path: Path) -> None:
    path, pixels = index_of(tmp_path, [0, 64, 128])
    (grid,) = GeoTiffSource(path, patch_size=64).grids.values()
    try:
        with AlignedRaster(path, grid) as raster:
            values, _ = raster.window(64, 64, 8, 8)
    except LayerError as error:
        assert "gdalbuildvrt" in str(error)
    else:
        assert np.array_equal(values, pixels[64:72, 64:72])


def test_a_tile_index_that_gdal_does_not_open_is_not_taken_for_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "index.gti.fgb"
    path.write_bytes(b"fgb")
    with pytest.raises(SourceError, match="rewrite the tile index as a GeoPackage"):
        GeoTiffSource(path)
