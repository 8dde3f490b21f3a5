"""What every patch source promises: one test, run over all of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from cubes import cube, write_netcdf, write_zarr
from embeddings import numbered, random_tile, squares, write_table, write_tile
from pyproj import CRS, Transformer
from rasterio.vrt import WarpedVRT
from rasters import coordinates, make_landsat, make_safe, write_raster
from trial_source import TrialSettings, write_patches

import owl_geo
from owl_geo.errors import SourceError
from owl_geo.features.rows import FeatureTable
from owl_geo.features.source import FeatureSource
from owl_geo.ground.footprints import footprints
from owl_geo.ground.grid import to_xy
from owl_geo.settings.config import source_sections
from owl_geo.settings.sources import (
    ArraysSettings,
    SceneSettings,
    TileSettings,
    VectorsSettings,
    ViewSettings,
)
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource, windows_of
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.sources.views.measuring import with_views
from owl_geo.sources.views.opening import open_views


def _vectors(folder: Path) -> PatchSource:
    places = squares(6, 9, 320.0, "OGC:CRS84")
    path = write_table(folder / "v.parquet", numbered(54, 12), places)
    return open_source(VectorsSettings(path=str(path)))


def _arrays(folder: Path) -> PatchSource:
    tiles = []
    for year, (height, width) in ((2023, (50, 40)), (2024, (30, 70))):
        vectors, scales = random_tile(height, width, year)
        scales[3:9, 5:12] = np.nan
        path = write_tile(folder / str(year), vectors=vectors, scales=scales, year=year)
        tiles.append(TileSettings(name=str(year), path=str(path)))
    return open_source(ArraysSettings(scenes=tuple(tiles), min_valid=0.3, stride=6))


def _synthetic(_: Path) -> PatchSource:
    return SyntheticSource(n_samples=50, image_size=8, n_bands=4, seed=3)


def _blocks(folder: Path) -> PatchSource:
    path = write_raster(
        folder / "blocks.tif",
        coordinates(150, 200),
        tiled=True,
        blockxsize=64,
        blockysize=64,
        compress="deflate",
    )
    return GeoTiffSource(path, patch_size=16, stride=12)


def _holes(folder: Path) -> PatchSource:
    values = coordinates(64, 80, dtype="float32")
    values[:, 5:20, 5:20] = np.nan
    values[1, 40, 40] = -9999
    path = write_raster(folder / "holes.tif", values, nodata=-9999)
    return GeoTiffSource(path, patch_size=16, min_valid=0.1)


def _two_scenes(folder: Path) -> PatchSource:
    north = write_raster(folder / "north.tif", coordinates(50, 60))
    south = write_raster(folder / "south.tif", coordinates(40, 90), crs="EPSG:32719", pixel=30)
    return GeoTiffSource([north, south], patch_size=10)


def _sentinel2(folder: Path) -> PatchSource:
    return GeoTiffSource(make_safe(folder), bands=("red", "B11"), patch_size=20)


def _landsat(folder: Path) -> PatchSource:
    return GeoTiffSource(make_landsat(folder), patch_size=16)


def _viewed(folder: Path) -> PatchSource:
    """A view in another CRS and pixel size with holes, over a part, and one on the very grid."""
    holes = coordinates(40, 30, dtype="float32")
    holes[:, 5:9, 5:12] = np.nan
    place = rasterio.Affine(25, 0, 500_100, 0, -25, 5_699_900)
    write_raster(folder / "part.tif", holes, transform=place)
    other = folder / "other.tif"
    with rasterio.open(folder / "part.tif") as part:
        rasterio.shutil.copy(WarpedVRT(part, crs="EPSG:32632", nodata=np.nan), other)
    same = write_raster(folder / "same.tif", coordinates(150, 200) + 7)
    views = {
        "part": ViewSettings(scenes=(SceneSettings(name="o", path=str(other)),)),
        "same": ViewSettings(scenes=(SceneSettings(name="s", path=str(same)),)),
    }
    source, _, _ = with_views(_blocks(folder), open_views(views), seed=0)
    return source


def _zarr(folder: Path) -> PatchSource:
    dates = np.stack([coordinates(70, 90) + shift for shift in (0, 5, 1)]).astype("float32")
    dates[1, :, 10:40, 10:40] = np.nan
    dates[:, 1, 30:33, 50:53] = np.nan
    path = write_zarr(folder / "z.zarr", cube(dates), {"time": 1, "band": 2, "y": 24, "x": 32})
    return CubeSource(path, patch_size=16, stride=12, min_valid=0.5)


def _netcdf(folder: Path) -> PatchSource:
    chunks = {"band": 1, "y": 20, "x": 33}
    path = write_netcdf(folder / "n.nc", cube(coordinates(70, 90), south_up=True), chunks)
    return CubeSource(path, patch_size=10)


def _in_memory(_: Path) -> PatchSource:
    dates = np.stack([coordinates(50, 60), coordinates(50, 60) + 7])
    return CubeSource(cube(dates, crs="EPSG:32719"), time="stack", patch_size=8)


def _lazy(_: Path) -> PatchSource:
    dates = np.stack([coordinates(50, 60), coordinates(50, 60) + 7])
    return CubeSource(cube(dates).chunk({"time": 1, "y": 17, "x": 60}), patch_size=8)


def _features(folder: Path) -> PatchSource:
    pixels = _two_scenes(folder)
    n = len(pixels.index)
    values = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    return FeatureSource(pixels, FeatureTable(values, ("a", "b", "c", "d", "e")))


def _trial(folder: Path) -> PatchSource:
    return open_source(TrialSettings(path=str(write_patches(folder / "p.npz", 50))))


FILES = [_blocks, _holes, _two_scenes, _sentinel2, _landsat, _viewed]
CUBES = [_zarr, _netcdf, _in_memory, _lazy]
PIXELS = [_synthetic, *FILES, *CUBES, _vectors, _arrays, _trial]


@pytest.fixture(params=[*PIXELS, _features])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> PatchSource:
    make: Callable[[Path], PatchSource] = request.param
    return make(tmp_path)


def test_is_a_patch_source(source: PatchSource) -> None:
    assert isinstance(source, PatchSource)
    assert all(isinstance(name, str) and name for name in source.bands)
    assert len(set(source.bands)) == len(source.bands)


def test_index_says_where_each_patch_lies(source: PatchSource) -> None:
    index = source.index
    first = ["patch_id", "scene", "row_off", "col_off", "valid_fraction"]
    assert list(index.columns[:5]) == first
    assert source.chunk_starts[0] == 0
    assert (np.diff(source.chunk_starts) > 0).all()
    assert source.chunk_starts[-1] < len(index)
    assert list(index.index) == list(range(len(index)))
    assert index["patch_id"].is_unique
    assert set(index["scene"]) <= set(source.grids)
    parts = zip(index["scene"], index["row_off"], index["col_off"], strict=True)
    assert list(index["patch_id"]) == [f"{s}/{r}/{c}" for s, r, c in parts]
    assert ((index["valid_fraction"] > 0) & (index["valid_fraction"] <= 1)).all()


@pytest.mark.parametrize("make", PIXELS)  # features have the footprints of their pixels
def test_footprints_lie_on_the_map_where_the_windows_do(
    make: Callable[[Path], PatchSource], tmp_path: Path
) -> None:
    source = make(tmp_path)
    index, half = source.index, source.patch_size / 2
    polygons = footprints(windows_of(source))
    assert list(polygons.index) == list(index["patch_id"])
    for name, rows in index.groupby("scene", sort=False):
        grid = source.grids[str(name)]
        centres = to_xy(grid, rows["row_off"].to_numpy() + half, rows["col_off"].to_numpy() + half)
        if CRS.from_user_input(grid.crs) != polygons.crs:
            to_index = Transformer.from_crs(grid.crs, polygons.crs, always_xy=True)
            centres = np.stack(to_index.transform(centres[:, 0], centres[:, 1]), axis=-1)
        mine = polygons.iloc[rows.index].to_numpy()
        assert shapely.contains_xy(mine, centres[:, 0], centres[:, 1]).all()
        found = shapely.get_coordinates(shapely.centroid(mine))
        extent = np.ptp(shapely.get_coordinates(mine[0]), axis=0).max()
        assert np.abs(found - centres).max() < 1e-3 * extent


def test_read_keeps_the_order_asked_for(source: PatchSource) -> None:
    ids = source.index["patch_id"].tolist()
    size = source.patch_size
    everything = source.read(ids)
    assert everything.shape == (len(ids), len(source.bands), size, size)
    assert everything.dtype == np.float32
    assert np.isfinite(everything).all()
    order = np.random.default_rng(0).permutation(len(ids))[: len(ids) // 2]
    order = np.append(order, order[0])  # asking twice is allowed
    assert np.array_equal(source.read([ids[i] for i in order]), everything[order])
    assert np.array_equal(source.read(ids[-1:])[0], everything[-1])
    assert source.read([]).shape == (0, len(source.bands), size, size)


def test_unknown_patch_is_an_error(source: PatchSource) -> None:
    with pytest.raises(SourceError, match="nowhere/0/0"):
        source.read(["nowhere/0/0"])


@pytest.mark.parametrize("batch_size", [7, 10_000])
def test_stream_gives_the_pool_in_the_order_of_the_index(
    source: PatchSource, batch_size: int
) -> None:
    ids = source.index["patch_id"].tolist()
    batches = list(source.stream(batch_size=batch_size))
    assert all(0 < len(part) <= batch_size for part, _ in batches)
    assert np.concatenate([part for part, _ in batches]).tolist() == list(range(len(ids)))
    streamed = np.concatenate([patches for _, patches in batches])
    assert streamed.dtype == np.float32
    assert np.array_equal(streamed, source.read(ids))


def test_stream_of_some_patches_is_in_the_order_of_the_index(source: PatchSource) -> None:
    ids = source.index["patch_id"].tolist()
    wanted = np.sort(np.random.default_rng(1).permutation(len(ids))[:9])
    batches = list(source.stream(wanted, batch_size=4))
    assert np.array_equal(np.concatenate([part for part, _ in batches]), wanted)
    expected = source.read([ids[i] for i in wanted])
    assert np.array_equal(np.concatenate([p for _, p in batches]), expected)


def test_streams_may_run_side_by_side_and_stop_early(source: PatchSource) -> None:
    before = _reading()
    whole = list(source.stream(batch_size=5))
    first, second = source.stream(batch_size=5), source.stream(batch_size=5)
    for (ids, patches), (same_ids, same), (_, known) in zip(first, second, whole, strict=False):
        assert np.array_equal(ids, same_ids)
        assert np.array_equal(patches, same)
        assert np.array_equal(patches, known)
        break
    first.close()  # type: ignore[attr-defined]
    second.close()  # type: ignore[attr-defined]
    assert _reading() == before
    assert np.array_equal(next(source.stream(batch_size=5))[1], whole[0][1])


def _reading() -> int:
    """Count the threads that read ahead; those that xarray's stores keep for good do not count."""
    return sum(thread.name.startswith("owl-geo-read") for thread in threading.enumerate())


def test_nobody_outside_asks_of_which_kind_a_source_is() -> None:
    """Settings of one kind are named by the settings and by sources alone, and so is a kind."""
    package = Path(owl_geo.__file__).parent
    own = {section.__name__ for section in source_sections().values()}
    outside = [
        path
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in ("sources", "settings")
    ]
    assert len(outside) > 100
    for path in outside:
        text = path.read_text(encoding="utf-8")
        named = {name for name in own if name in text}
        assert not named, f"{path} names {named}"
        assert not re.search(r"source\.kind\s*(==|!=|in\b)", text), path
