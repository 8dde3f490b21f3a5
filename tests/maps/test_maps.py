"""Maps of patches: cells, cloud-optimised GeoTIFFs, mosaics over any CRS, tables, arrays."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray  # noqa: F401 - adds .rio to arrays
from chosen import CONCEPTS, chosen_patches
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rio_cogeo import cog_validate
from scene_windows import windows_at

from owl_geo.disk import gpkg
from owl_geo.disk.file_names import file_names
from owl_geo.errors import RunError
from owl_geo.ground.grid import to_xy
from owl_geo.ground.tiling import tile
from owl_geo.maps import cog
from owl_geo.maps.arrays import read_maps, to_dataarray
from owl_geo.maps.cell_map import cell_maps
from owl_geo.maps.cells import Cells, cells_of, means
from owl_geo.maps.cog import RasterKind, write_map
from owl_geo.maps.outputs import FinishedScenes, Legend, ScenePrediction
from owl_geo.maps.patches import most_probable, write_patches
from owl_geo.types import SceneGrid

CLASSES = ("absent", "present", "other")
LEGEND = Legend(CLASSES, "present")
NORTH_UP = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_700_000.0)
SOUTH_UP = (10.0, 0.0, 500_000.0, 0.0, 10.0, 5_690_120.0)
ROTATED = (8.0, 3.0, 500_000.0, 3.0, -8.0, 5_700_000.0)


def scene(name: str = "s", *, transform=NORTH_UP, crs="EPSG:32631", height=120, width=90):
    return SceneGrid(name, crs, transform, height, width)


def cut(grid: SceneGrid, size: int, stride: int) -> Cells:
    return cells_of(tile(grid, size, stride).windows)


def said(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities of the three classes and uncertainties of ``n`` patches."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet((1, 1, 1), n).astype(np.float32), rng.random(n).astype(np.float32)


def write(folder: Path, cells: Cells, seed: int = 0) -> tuple[Path, Path]:
    """Write the two maps of one scene into ``folder``."""
    file, prediction = cells.grid.name, ScenePrediction(cells, *said(len(cells.row), seed))
    for output in cell_maps():
        output.write_scene(folder, file, prediction, LEGEND)
    return folder / "probability" / f"{file}.tif", folder / "class" / f"{file}.tif"


def read(path: Path) -> NDArray[np.generic]:
    with rasterio.open(path) as dataset:
        return dataset.read()


# --- cells ----------------------------------------------------------------------------------------


def whole(cells: Cells, values: NDArray[np.float32]) -> NDArray[np.float64]:
    strips = list(means(cells, values))
    assert [row for row, _ in strips] == list(
        np.cumsum([0, *(part.shape[1] for _, part in strips)])[:-1]
    )
    return np.concatenate([part for _, part in strips], axis=1)


def by_hand(
    cells: Cells, values: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Means pixel by pixel, patch by patch."""
    sums = np.zeros((values.shape[1], *shape))
    count = np.zeros(shape)
    size = cells.span * cells.edge
    for row, col, value in zip(cells.row * cells.edge, cells.col * cells.edge, values, strict=True):
        sums[:, row : row + size, col : col + size] += value[:, None, None]
        count[row : row + size, col : col + size] += 1
    with np.errstate(invalid="ignore"):
        return sums / count


def test_without_overlap_a_patch_is_a_pixel() -> None:
    grid = scene()
    cells = cut(grid, 16, 16)
    assert (cells.edge, cells.span) == (16, 1)
    assert (cells.grid.height, cells.grid.width) == (7, 5)
    assert cells.grid.transform == (160.0, 0.0, 500_000.0, 0.0, -160.0, 5_700_000.0)
    values = said(35)[0]
    assert np.array_equal(whole(cells, values), values.T.reshape(3, 7, 5))


@given(
    size=st.integers(4, 12),
    stride=st.integers(1, 20),
    height=st.integers(12, 50),
    width=st.integers(12, 50),
    kept=st.floats(0.1, 1.0),
)
def test_cells_are_means_over_the_patches_that_cover_them(
    size: int, stride: int, height: int, width: int, kept: float
) -> None:
    grid = scene(height=height, width=width)
    windows = tile(grid, size, stride).windows
    rng = np.random.default_rng(size * stride + height)
    order = rng.permutation(len(windows))[: max(1, int(kept * len(windows)))]
    cells = cells_of(windows.take(order))
    values = said(len(order))[0]
    expected = by_hand(cells, values, (height, width))
    edge = cells.edge
    inside = expected[:, : height // edge * edge, : width // edge * edge]
    assert np.isnan(expected[:, height // edge * edge :]).all()  # no patch lies beyond the cells
    assert np.isnan(expected[:, :, width // edge * edge :]).all()
    found = whole(cells, values).repeat(edge, axis=1).repeat(edge, axis=2)
    np.testing.assert_allclose(found, inside, rtol=1e-12)


def test_strips_do_not_change_the_means() -> None:
    grid = scene(height=1100, width=6000)
    rng = np.random.default_rng(3)
    row, col = rng.integers(0, 1091, 4000), rng.integers(0, 5991, 4000)
    row, col = np.unique(np.stack([row, col]), axis=1)
    cells = cells_of(windows_at(row, col, 7, grid))
    values = said(len(row))[0][:, :2]
    assert len(list(means(cells, values))) > 1
    np.testing.assert_allclose(
        whole(cells, values), by_hand(cells, values, (1100, 6000)), rtol=1e-12
    )


def test_a_scene_without_patches_has_no_cells() -> None:
    with pytest.raises(ValueError, match="'s' has no patches"):
        cells_of(windows_at([], [], 16, scene()))


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["S2A_MSIL2A_20230615", "scene.v1", "Zürich", "村"])
def test_plain_names_stay(name: str) -> None:
    assert file_names([name, "another"])[name] == name


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_any_names_become_different_files(names: list[str]) -> None:
    files = list(file_names(names).values())
    folded = {unicodedata.normalize("NFC", file).casefold() for file in files}
    assert len(folded) == len(names)
    for file in files:
        assert not set(file) & set('/\\:*?"<>|\0\n')
        assert not file.startswith(".") and len(file.encode()) < 200


def test_names_that_differ_in_case_or_reach_elsewhere() -> None:
    files = file_names(["a", "A", "../a", "con", "x" * 500, ".."])
    assert len({file.casefold() for file in files.values()}) == 6
    assert files == file_names(["..", "x" * 500, "con", "../a", "A", "a"])
    assert all(Path(file).name == file for file in files.values())


# --- cloud-optimised GeoTIFFs ---------------------------------------------------------------------


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
@pytest.mark.parametrize("stride", [16, 8, 24])
def test_maps_are_valid_and_say_what_was_given(tmp_path, transform, stride) -> None:
    grid = scene(transform=transform)
    cells = cut(grid, 16, stride)
    of_probability, of_class = write(tmp_path, cells)
    probabilities, doubt = said(len(cells.row))
    expected = whole(cells, np.column_stack([probabilities, doubt]))
    for path in (of_probability, of_class):
        assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(of_probability) as dataset:
        assert dataset.descriptions == ("probability", "uncertainty")
        assert dataset.crs.to_epsg() == 32631
        assert tuple(dataset.transform)[:6] == pytest.approx(cells.grid.transform)
        assert np.isnan(dataset.nodata) and dataset.compression.value == "DEFLATE"
        assert dataset.tags()["positive"] == "present"
        values = dataset.read()
        assert float(dataset.tags(1)["STATISTICS_MAXIMUM"]) == pytest.approx(np.nanmax(values[0]))
    np.testing.assert_array_equal(values, expected[[1, 3]].astype(np.float32))
    with rasterio.open(of_class) as dataset:
        assert dataset.nodata == 255
        assert dataset.colormap(1)[1] == (0xD5, 0x5E, 0x00, 255)
        best = dataset.read(1)
    covered = ~np.isnan(expected[0])
    assert covered.any()
    assert np.array_equal(best == 255, ~covered)
    assert np.array_equal(best[covered], expected[:3].argmax(axis=0)[covered])
    names = ET.parse(of_class.with_name(of_class.name + ".aux.xml")).iter("Category")
    assert tuple(name.text for name in names) == CLASSES
    assert {path.name for path in of_probability.parent.iterdir()} == {"s.tif", "s.qml"}


def test_a_pixel_lies_where_its_patch_lies(tmp_path) -> None:
    grid = scene(transform=ROTATED)
    path, _ = write(tmp_path, cut(grid, 16, 16))
    places = tile(grid, 16, 16).windows.centres()
    with rasterio.open(path) as dataset:
        inverse = ~dataset.transform
        values = dataset.read(1)
    cols, rows = np.array([inverse @ tuple(place) for place in places]).T.astype(int)
    assert np.array_equal(values[rows, cols], said(len(places))[0][:, 1])


def test_large_maps_have_overviews(tmp_path) -> None:
    grid = scene(height=4 * 700, width=4 * 600)
    cells = cut(grid, 4, 4)
    for path, mean in zip(write(tmp_path, cells), (True, False), strict=True):
        assert cog_validate(path, strict=True) == (True, [], [])
        with rasterio.open(path) as dataset:
            assert dataset.overviews(1) == [2, 4]
            full = dataset.read(1)
        with rasterio.open(path, overview_level=0) as dataset:
            half = dataset.read(1)
        if mean:
            expected = full.reshape(350, 2, 300, 2).mean(axis=(1, 3))
            np.testing.assert_allclose(half, expected, rtol=1e-5)
        else:
            assert set(np.unique(half)) <= {0, 1, 2}


def test_a_map_that_cannot_be_written_leaves_the_old_one(tmp_path) -> None:
    cells = cut(scene(), 16, 16)
    path, of_class = write(tmp_path, cells)
    before = path.read_bytes()
    of_class.unlink()
    of_class.mkdir()  # cannot be replaced by a file
    from owl_geo import OwlError

    with pytest.raises(OwlError, match="cannot write"):
        write(tmp_path, cells, seed=1)
    assert [p.name for p in of_class.parent.iterdir() if p.name.startswith(".")] == []
    assert cog_validate(path)[0] and len(before) > 0


@pytest.mark.parametrize("what", ["noise", "smooth", "classes", "small"])
def test_the_room_asked_for_is_what_a_map_takes(what: str, tmp_path, monkeypatch) -> None:
    height, width = (30, 40) if what == "small" else (700, 600)
    grid, rng = scene(height=height, width=width), np.random.default_rng(0)
    kind = RasterKind(("p", "u"), "float32", np.nan, Resampling.average)
    values = rng.random((2, height, width), dtype=np.float32)
    if what == "smooth":
        values[:] = np.sin(np.arange(width, dtype=np.float32) / 50)
    if what == "classes":
        kind = RasterKind(("class",), "uint8", 255, Resampling.mode, [str(n) for n in range(200)])
        values = rng.integers(0, 200, (1, height, width), dtype=np.uint8)
    asked: list[int] = []
    monkeypatch.setattr(cog, "check_space", lambda folder, n: asked.append(n))
    path = tmp_path / "map.tif"
    write_map(path, grid, [(0, values)], kind, style="", tags={})
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
    (first, needed), size = asked, path.stat().st_size
    assert size <= needed < 2 * size + 70_000
    assert first <= 2**22


def test_a_map_that_lost_pixels_on_the_way_is_not_kept(tmp_path, monkeypatch) -> None:
    """As on a disk that is full, where GDAL leaves tiles out, which read as pixels without data."""

    def lossy(plain: Path, path: Path) -> None:
        with rasterio.open(plain) as dataset:
            values, profile = dataset.read(), dataset.profile
        values[:, 5, 5] = np.nan
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(values)

    monkeypatch.setattr(cog, "_optimise", lossy)
    kind = RasterKind(("p",), "float32", np.nan, Resampling.average)
    values = np.random.default_rng(0).random((1, 120, 90), dtype=np.float32)
    with pytest.raises(RunError, match="the map is incomplete"):
        write_map(tmp_path / "map.tif", scene(), [(0, values)], kind, style="", tags={})
    assert list(tmp_path.iterdir()) == []


# --- mosaics --------------------------------------------------------------------------------------


def mosaic(folder: Path, *all_cells: Cells) -> tuple[Path, Path]:
    """Write maps of several scenes and the two mosaics over them."""
    for seed, cells in enumerate(all_cells):
        write(folder, cells, seed)
    none = gpd.GeoDataFrame()
    scenes = FinishedScenes([c.grid.name for c in all_cells], LEGEND, lambda: none, none, ())
    for output in cell_maps():
        output.write_whole(folder, scenes)
    return folder / "probability.vrt", folder / "class.vrt"


def sampled(path: Path, lon_lat: NDArray[np.float64], band: int) -> NDArray[np.float64]:
    """What a raster in any CRS says at places."""
    with rasterio.open(path) as dataset:
        to_crs = Transformer.from_crs("EPSG:4326", dataset.crs, always_xy=True)
        x, y = to_crs.transform(lon_lat[:, 0], lon_lat[:, 1])
        # as GDAL does for a place without a pixel
        inverse = ~dataset.transform
        cols, rows = np.floor(np.array(inverse @ (x, y))).astype(int)
        inside = (rows >= 0) & (rows < dataset.height) & (cols >= 0) & (cols < dataset.width)
        values = dataset.read(band).astype(float)
        nodata = dataset.nodata
    found = np.full(len(lon_lat), np.nan)
    found[inside] = values[rows[inside], cols[inside]]
    return np.where(found == nodata, np.nan, found)


def middles(cells: Cells) -> NDArray[np.float64]:
    """Longitude and latitude of the centre of every cell, row by row."""
    row, col = np.mgrid[: cells.grid.height, : cells.grid.width]
    xy = to_xy(cells.grid, row.ravel() + 0.5, col.ravel() + 0.5)
    to_degrees = Transformer.from_crs(cells.grid.crs, "EPSG:4326", always_xy=True)
    return np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=1)


def moved(transform: tuple[float, ...], x: float, y: float) -> tuple[float, ...]:
    a, b, c, d, e, f = transform
    return (a, b, c + x, d, e, f + y)


CASES = {
    "side by side": [scene("a"), scene("b", transform=moved(NORTH_UP, 2040.0, 310.0))],
    "two cell sizes": [
        scene("a"),
        scene("b", transform=(25.0, 0.0, 503_005.0, 0.0, -25.0, 5_700_000.0)),
    ],
    "south up": [scene("a", transform=SOUTH_UP), scene("b")],
    "rotated": [scene("a", transform=ROTATED), scene("b", transform=moved(NORTH_UP, 3000.0, 0.0))],
    "two zones": [
        scene("a"),
        scene("b", crs="EPSG:32632", transform=moved(NORTH_UP, -220_000.0, 0.0)),
    ],
    "two zones, cells wide and low": [
        scene("a", transform=(10.0, 0.0, 500_000.0, 0.0, -3.0, 5_700_000.0)),
        scene("b", crs="EPSG:32632", transform=(10.0, 0.0, 280_000.0, 0.0, -3.0, 5_700_000.0)),
    ],
    "two zones, cells narrow and high": [
        scene("a", transform=(3.0, 0.0, 500_000.0, 0.0, -10.0, 5_700_000.0)),
        scene("b", crs="EPSG:32632", transform=(3.0, 0.0, 280_000.0, 0.0, -10.0, 5_700_000.0)),
    ],
    "degrees and metres": [
        scene("a"),
        scene("b", crs="EPSG:4326", transform=(1e-4, 0.0, 3.1, 0.0, -1e-4, 51.4)),
    ],
    # at 76 degrees north, where a patch that is turned by 45 degrees is flat in degrees
    "two polar maps, turned": [
        scene("a", crs="EPSG:3413", transform=(10.0, 0.0, 1_100_000.0, 0.0, -10.0, -1_000_000.0)),
        scene("b", crs="EPSG:3995", transform=(10.0, 0.0, 1_100_000.0, 0.0, -10.0, -990_000.0)),
    ],
    "from the equator to 80 degrees north, and metres": [
        scene("a", crs="EPSG:3857", transform=(2e4, 0.0, 1e6, 0.0, -2e4, 1.6e7), height=800),
        scene("b", transform=(2e4, 0.0, 500_000.0, 0.0, -2e4, -2_000_000.0), height=32),
    ],
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_mosaic_gives_the_values_of_its_parts(case: str, tmp_path) -> None:
    all_cells = [cut(grid, 16, 16) for grid in CASES[case]]
    of_probability, of_class = mosaic(tmp_path, *all_cells)
    with rasterio.open(of_probability) as dataset:
        assert dataset.descriptions == ("probability", "uncertainty")
        assert np.isnan(dataset.nodata)
        same = len({grid.crs for grid in CASES[case]}) == 1
        assert dataset.crs.to_epsg() == (32631 if same else 4326)
        assert dataset.transform.b == 0 and dataset.transform.e < 0
    with rasterio.open(of_class) as dataset:
        assert dataset.nodata == 255
        assert dataset.colormap(1)[1] == (0xD5, 0x5E, 0x00, 255)
    for cells in all_cells:
        places = middles(cells)
        for band in (1, 2):
            own = read(tmp_path / "probability" / f"{cells.grid.name}.tif")[band - 1].ravel()
            assert np.array_equal(sampled(of_probability, places, band), own, equal_nan=True)
        own = read(tmp_path / "class" / f"{cells.grid.name}.tif").ravel()
        assert np.array_equal(sampled(of_class, places, 1), own)


@pytest.mark.parametrize("flat", [True, False])
def test_cells_over_two_zones_are_half_as_large_as_the_shorter_edge(flat: bool, tmp_path) -> None:
    case = CASES["two zones, cells wide and low" if flat else "two zones, cells narrow and high"]
    path, _ = mosaic(tmp_path, *[cut(grid, 16, 16) for grid in case])
    with rasterio.open(path) as dataset:
        width = dataset.transform.a * 111_320 * np.cos(np.radians(51.45))
        height = -dataset.transform.e * 111_250
    assert (height if flat else width) == pytest.approx(16 * 3 / 2, rel=0.01)


ACROSS = {
    "UTM zones": [
        scene("a", crs="EPSG:32660", transform=(800.0, 0.0, 740_000.0, 0.0, -800.0, 7_400_000.0)),
        scene("b", crs="EPSG:32601", transform=(800.0, 0.0, 200_000.0, 0.0, -800.0, 7_300_000.0)),
    ],
    "degrees past 180": [
        scene("a", crs="EPSG:4326", transform=(0.01, 0.0, 179.445, 0.0, -0.01, 66.0)),
        scene("b", crs="EPSG:32601", transform=(800.0, 0.0, 200_000.0, 0.0, -800.0, 7_100_000.0)),
    ],
    "degrees beyond 180": [
        scene("a", crs="EPSG:4326", transform=(0.01, 0.0, 190.0, 0.0, -0.01, 66.0)),
        scene("b", crs="EPSG:32601", transform=(800.0, 0.0, 200_000.0, 0.0, -800.0, 7_100_000.0)),
    ],
}


@pytest.mark.parametrize("case", sorted(ACROSS))
def test_a_mosaic_over_180_degrees_has_every_cell_where_its_patch_is(case: str, tmp_path) -> None:
    all_cells = [cut(grid, 16, 16) for grid in ACROSS[case]]
    paths = mosaic(tmp_path, *all_cells)
    for cells in all_cells:
        longitudes, latitudes = middles(cells).T
        places = np.stack([(longitudes + 180) % 360 - 180, latitudes], axis=1)
        own = read(tmp_path / "probability" / f"{cells.grid.name}.tif")[0].ravel()
        with rasterio.open(paths[0]) as dataset:
            assert dataset.bounds.left >= -180 and dataset.bounds.right < 180.2
            there = np.array([values[0] for values in dataset.sample(places, indexes=[1])])
        assert np.array_equal(there, own)


def test_the_rasters_of_a_mosaic_over_180_degrees_go_with_their_scene(tmp_path) -> None:
    mosaic(tmp_path, *[cut(grid, 16, 16) for grid in ACROSS["UTM zones"]])
    for output in cell_maps():
        for name in ("a", "b"):
            output.forget_scene(tmp_path, name)
        assert list((tmp_path / output.name).iterdir()) == []


def test_nodata_of_one_scene_does_not_cover_another(tmp_path) -> None:
    upper, lower = scene("a"), scene("b")
    few = tile(lower, 16, 16).windows.take(np.array([3, 8]))
    parts = cut(upper, 16, 16), cells_of(few)
    path, _ = mosaic(tmp_path, *parts)
    values = read(path)[0]
    expected = read(tmp_path / "probability" / "a.tif")[0]
    second = read(tmp_path / "probability" / "b.tif")[0]
    expected[~np.isnan(second)] = second[~np.isnan(second)]
    assert np.isfinite(values).all() and np.array_equal(values, expected)


def test_a_mosaic_may_be_moved_with_its_folder(tmp_path) -> None:
    made, there = tmp_path / "made", tmp_path / "there"
    paths = mosaic(made, cut(scene("a", transform=ROTATED), 16, 16), cut(scene("b"), 16, 16))
    before = [read(path) for path in paths]
    made.rename(there)
    for path, values in zip(paths, before, strict=True):
        np.testing.assert_array_equal(read(there / path.name), values)


# --- the GeoPackage -------------------------------------------------------------------------------


def test_the_most_probable_patches_come_first() -> None:
    table = pd.DataFrame({"patch_id": list("abcd"), "probability": [0.2, 0.9, 0.2, 0.5]})
    assert most_probable(table, 3)["patch_id"].tolist() == ["b", "d", "a"]


def test_the_geopackage_is_written_over(tmp_path) -> None:
    path = tmp_path / "patches.gpkg"
    for n in (5, 3):
        patches = chosen_patches(n).drop(columns=["score", "relevance"])
        patches["probability"] = np.linspace(1, 0.1, n)
        patches["class"] = "present"
        patches["label"] = [None, "absent", *[None] * (n - 2)]
        patches["Class"] = "a concept"
        concepts = [*CONCEPTS, "Class"]
        write_patches(path, patches, positive="present", concepts=concepts)
    found = gpd.read_file(path, layer="predictions")
    before = ["patch_id", "rank", "probability", "uncertainty", "class", "label"]
    assert list(found) == [*before, *CONCEPTS, "Class_", "scene", "scene_crs", "geometry"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["label"].isna().tolist() == [True, False, True]
    assert found.crs == patches.crs and found.geometry.geom_equals(patches.geometry).all()
    with gpkg.connect(path) as connection:
        (style,) = connection.execute("SELECT styleQML FROM layer_styles").fetchone()
    assert ET.fromstring(style).find("renderer-v2").get("type") == "graduatedSymbol"
    assert [p.name for p in tmp_path.iterdir()] == ["patches.gpkg"]


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP])
def test_arrays_know_where_they_lie(tmp_path, transform) -> None:
    cells = cut(scene(transform=transform), 16, 16)
    paths = write(tmp_path, cells)
    maps = read_maps(tmp_path, cells.grid.name, LEGEND)
    assert set(maps) == {"probability", "uncertainty", "class"}
    for name, array in maps.items():
        assert array.dims == ("y", "x")
        assert array.rio.crs.to_epsg() == 32631
        assert tuple(array.rio.transform())[:6] == pytest.approx(cells.grid.transform), name
    row, col = 2, 3
    x, y = to_xy(cells.grid, np.array(row + 0.5), np.array(col + 0.5))
    here = maps["probability"].sel(x=x, y=y)
    assert here == read(paths[0])[0, row, col]
    copy = tmp_path / "copy.tif"
    maps["probability"].rio.to_raster(copy)
    with rasterio.open(copy) as one, rasterio.open(paths[0]) as other:
        assert one.crs == other.crs and one.transform.almost_equals(other.transform)
        np.testing.assert_array_equal(one.read(1), other.read(1))


def test_an_array_of_bands_and_of_a_rotated_grid() -> None:
    cells = cut(scene(transform=ROTATED), 16, 16)
    values = np.arange(70.0, dtype=np.float32).reshape(2, 7, 5)
    array = to_dataarray(values, cells.grid, ("probability", "uncertainty"))
    assert array.dims == ("band", "y", "x")
    assert np.array_equal(array.sel(band="uncertainty"), values[1])
    assert array.rio.crs.to_epsg() == 32631
    assert tuple(array.rio.transform())[:6] == pytest.approx(cells.grid.transform)
    place = to_xy(cells.grid, np.array(6.5), np.array(1.5))
    assert (array["xc"][6, 1], array["yc"][6, 1]) == pytest.approx(tuple(place))
