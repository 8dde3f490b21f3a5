"""Scenes that lie askew or south up: everything about a patch is as on a twin that lies straight.

The twin has the same pixels, and all that is known of the ground (layers, truth, area of interest,
other rasters) is turned or mirrored with the scene.
"""

from __future__ import annotations

import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal
from rasterio import Affine
from rasters import UTM, coordinates, write_raster
from searches import label

from owl_geo import GeoTiffSource, Run, ingest, init, predict, query
from owl_geo.ground.footprints import on_earth
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import parse_patch_id
from owl_geo.settings.sources import SceneSettings
from owl_geo.types import SceneGrid

CENTRE = (500_640.0, 5_699_360.0)  # of both scenes, 128 x 128 pixels of 10 m
STRAIGHT = Affine(10, 0, 500_000, 0, -10, 5_700_000)


def turned(degrees: float, flip: int = 1) -> Affine:
    """Return the way from the straight twin's ground to the other's: round the centre."""
    x, y = CENTRE
    return (
        Affine.translation(x, y)
        @ Affine.rotation(degrees)
        @ Affine.scale(1, flip)
        @ Affine.translation(-x, -y)
    )


WAYS = {
    "south up": turned(0, -1),
    "turned by 30 degrees": turned(30),
    "turned by 90 degrees": turned(90),
    "turned by 200 degrees and mirrored": turned(200, -1),
}


def moved(geometries: gpd.GeoSeries, way: Affine) -> gpd.GeoSeries:
    return geometries.affine_transform([way.a, way.b, way.d, way.e, way.c, way.f])


def shapes() -> gpd.GeoDataFrame:
    """Polygons and points of the straight twin's ground, some in its middle, some on its edge."""
    rng = np.random.default_rng(5)
    x, y = (rng.uniform(low, low + 1280, 12) for low in (500_000, 5_698_720))
    polygons = shapely.buffer(shapely.points(x, y), rng.uniform(40, 250, 12), quad_segs=2)
    return gpd.GeoDataFrame(
        {"landuse": ["forest", "industrial", "residential"] * 4}, geometry=polygons, crs=UTM
    )


SETTINGS = {
    "concepts": {
        "cover": {"kind": "category", "layer": "ground", "column": "landuse"},
        "woods": {"kind": "share", "layer": "ground", "where": ["landuse=forest"]},
        "far": {"kind": "distance", "layer": "ground", "where": ["landuse=industrial"]},
        "near": {"kind": "below", "of": "far", "value": 150},
        "height": {"kind": "raster", "path": "height.tif", "reduce": "mean"},
        "kind": {"kind": "raster", "path": "kind.tif"},
    },
    "loop": {"initial": 16, "rounds": 1, "batch_size": 8},
}


def search(folder: Path, way: Affine, **options: object) -> Run:
    """Make a run of a scene and all that is known of its ground, brought there by ``way``."""
    folder.mkdir()
    image = coordinates(128, 128, 2)
    write_raster(folder / "scene.tif", image, transform=way @ STRAIGHT)
    ground = shapes()
    ground.set_geometry(moved(ground.geometry, way)).to_file(folder / "ground.gpkg")
    # other rasters have pixels of their own size, and an extent beyond the scene
    other = way @ Affine(20, 0, 499_800, 0, -20, 5_700_200)
    height = np.hypot(*np.mgrid[-40:44, -40:44])[None].astype("float32")
    write_raster(folder / "height.tif", height, transform=other)
    write_raster(folder / "kind.tif", (height / 9).astype("uint8"), transform=other)
    area = gpd.GeoSeries(shapely.box([500_000], [5_698_720], [501_280], [5_699_700]), crs=UTM)
    moved(area, way).to_file(folder / "area.gpkg")
    settings = {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "scene", "path": str(folder / "scene.tif")}],
            "patch_size": 8,
            "aoi": str(folder / "area.gpkg"),
        },
        "layers": {"ground": {"path": str(folder / "ground.gpkg")}},
        **SETTINGS,
        **options,
    }
    for concept in ("height", "kind"):
        settings["concepts"][concept]["path"] = str(folder / f"{concept}.tif")
    return init(folder / "run", settings).run


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Affine:
    return WAYS[request.param]


def test_concepts_and_area_of_interest_are_those_of_the_straight_twin(
    way: Affine, tmp_path: Path
) -> None:
    straight, askew = search(tmp_path / "a", Affine.identity()), search(tmp_path / "b", way)
    assert 0 < len(straight.patches) < 256
    assert straight.patches["kind"].nunique() > 3
    # a distance is measured on the ellipsoid, where a metre of the CRS differs from side to side
    assert_frame_equal(straight.patches, askew.patches, rtol=2e-3, atol=1e-5)


def test_footprints_are_the_same_squares_brought_to_their_place(
    way: Affine, tmp_path: Path
) -> None:
    paths = [
        write_raster(tmp_path / f"{name}" / "s.tif", coordinates(32, 32, 1), transform=transform)
        for name, transform in (("a", STRAIGHT), ("b", way @ STRAIGHT))
    ]
    runs = [
        init(tmp_path / str(n), {"source": source_of(path)}).run for n, path in enumerate(paths)
    ]
    ids = runs[0].patches["patch_id"].tolist()
    expected, found = moved(runs[0].footprints(ids), way), runs[1].footprints(ids)
    assert found.index.tolist() == ids
    np.testing.assert_allclose(found.area, 6400)
    assert (shapely.hausdorff_distance(expected.to_numpy(), found.to_numpy()) < 1e-6).all()
    table = gpd.read_parquet(tmp_path / "1" / "patches.parquet")
    assert (shapely.hausdorff_distance(table.geometry.to_numpy(), found.to_numpy()) < 1e-6).all()


def source_of(path: Path) -> dict[str, object]:
    return {
        "kind": "geotiff",
        "scenes": [{"name": "s", "path": str(path)}],
        "patch_size": 8,
    }


def test_pixels_are_read_as_they_lie_in_the_file_whatever_way_the_map_lies(
    way: Affine, tmp_path: Path
) -> None:
    image = coordinates(32, 32, 3)
    path = write_raster(tmp_path / "s.tif", image, transform=way @ STRAIGHT)
    patch = GeoTiffSource(path, patch_size=8).read(["s/16/24"])[0]
    np.testing.assert_array_equal(patch, image[:, 16:24, 24:32])


def test_a_coarser_band_and_a_mask_are_resampled_as_on_the_straight_twin(
    way: Affine, tmp_path: Path
) -> None:
    read = []
    for name, here in (("a", Affine.identity()), ("b", way)):
        folder = tmp_path / name
        fine = coordinates(64, 64, 1, "float32")
        coarse = 100 + coordinates(32, 32, 2, "float32")[1:]
        clouds = (np.indices((32, 32)).sum(axis=0) % 7 == 0)[None].astype("uint8")
        write_raster(folder / "s" / "B02.tif", fine, transform=here @ STRAIGHT)
        for place, values in (("s/B11.tif", coarse), ("clouds.tif", clouds)):
            write_raster(folder / place, values, transform=here @ STRAIGHT @ Affine.scale(2))
        scene = SceneSettings(name="s", path=str(folder / "s"), mask=str(folder / "clouds.tif"))
        source = GeoTiffSource(scene, patch_size=8, min_valid=0.5, mask_bad=[1])
        read.append((source.index, source.read(source.index["patch_id"].tolist())))
    assert_frame_equal(read[0][0], read[1][0])
    assert read[0][0]["valid_fraction"].min() < 1
    np.testing.assert_allclose(read[0][1], read[1][1], rtol=1e-5, atol=1e-3)


def test_truth_of_polygons_points_and_rasters_is_that_of_the_straight_twin(
    way: Affine, tmp_path: Path
) -> None:
    points = gpd.GeoSeries(shapely.points([[500_100, 5_699_900], [500_655, 5_699_333]]), crs=UTM)
    for kind in ("polygons", "points", "raster"):
        labels = []
        for name, here in (("a", Affine.identity()), ("b", way)):
            folder = tmp_path / f"{kind}-{name}"
            folder.mkdir()
            moved(points, here).to_file(folder / "points.gpkg")
            options = {
                "polygons": {
                    "path": str(folder / "ground.gpkg"),
                    "column": "landuse",
                    "values": {"present": ["industrial"]},
                },
                "points": {"path": str(folder / "points.gpkg")},
                "raster": {"path": str(folder / "kind.tif"), "values": {"present": ["2"]}},
            }
            points_file = (folder / "points.gpkg").read_bytes()
            (folder / "points.gpkg").unlink()
            folder.rmdir()
            # search makes the folder
            made = _search_with(folder, here, points_file, oracle=options[kind])
            labels.append(made.truth["label"].tolist())
        assert labels[0] == labels[1]
        assert "present" in labels[0]


def _search_with(folder: Path, way: Affine, points: bytes, **options: object) -> Run:
    kept = folder.with_name(f"{folder.name}-points.gpkg")
    kept.write_bytes(points)
    oracle = dict(options["oracle"])  # type: ignore[call-overload]
    if oracle["path"].endswith("points.gpkg"):
        oracle["path"] = str(kept)
    return search(folder, way, oracle=oracle)


def test_maps_lie_askew_as_the_scene_does_and_say_the_same(way: Affine, tmp_path: Path) -> None:
    maps: list[NDArray[np.float32]] = []
    for name, here in (("a", Affine.identity()), ("b", way)):
        run = search(tmp_path / name, here)
        batch = run.batch_path(query(run).number)
        ids = run.rounds()[0].patch_ids
        label(batch, {one: ("present", "absent")[one < "scene/64"] for one in ids})
        assert ingest(run, [batch], annotator="ana")[0].new == len(ids)
        summary = predict(run)
        (path,) = (summary.folder / "probability").glob("*.tif")
        with rasterio.open(path) as dataset:
            expected = here @ STRAIGHT @ Affine.scale(8)
            assert dataset.transform.almost_equals(expected, precision=1e-6)
            assert dataset.crs == UTM
            maps.append(dataset.read(1))
        _check_mosaic(summary.mosaic, expected, maps[-1])
        best = gpd.read_file(summary.patches)
        known = run.footprints(best["patch_id"].tolist()).to_numpy()
        assert (shapely.hausdorff_distance(best.geometry.to_numpy(), known) < 1e-6).all()
    np.testing.assert_allclose(maps[0], maps[1], atol=0.02)
    assert np.nanstd(maps[0]) > 0.05


def _check_mosaic(path: Path, transform: Affine, cells: NDArray[np.float32]) -> None:
    """The mosaic, which lies straight, has at each cell's centre what the cell says."""
    row, col = np.nonzero(np.isfinite(cells))
    xs, ys = (
        transform.a * (col + 0.5) + transform.b * (row + 0.5) + transform.c,
        (transform.d * (col + 0.5) + transform.e * (row + 0.5) + transform.f),
    )
    with rasterio.open(path) as dataset:
        found = np.array(list(dataset.sample(zip(xs, ys, strict=True), indexes=1)))[:, 0]
    np.testing.assert_array_equal(found, cells[row, col])


# --- any grid -------------------------------------------------------------------------------------

finite = st.floats(-1e4, 1e4).filter(lambda x: x == 0 or abs(x) > 1e-3)


@st.composite
def grids(draw: st.DrawFn) -> SceneGrid:
    """Any invertible grid: turned, skewed, south up."""
    a, b, d, e = (draw(finite) for _ in range(4))
    if abs(a * e - b * d) < 1e-6 * max(a * a + d * d, b * b + e * e, 1e-9):
        a, b, d, e = 10.0, 0.0, 0.0, -10.0
    place = (draw(st.floats(-1e6, 1e6)), draw(st.floats(-1e6, 1e6)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return SceneGrid("s", UTM, (a, b, place[0], d, e, place[1]), height, width)


@given(grids(), st.integers(1, 12), st.integers(1, 12))
def test_windows_ids_and_corners_lead_back_to_each_other(
    grid: SceneGrid, size: int, stride: int
) -> None:
    windows = tile(grid, size, stride).windows
    ids = windows.ids
    assert len(set(ids)) == len(ids)
    parsed = [parse_patch_id(text) for text in ids]
    assert parsed == [("s", r, c) for r, c in zip(windows.row_off, windows.col_off, strict=True)]
    ends = windows.corners()
    a, b, c, d, e, f = grid.transform
    inverse = np.linalg.inv([[a, b], [d, e]])
    back = (ends - [c, f]) @ inverse.T
    reach = (abs(c) + abs(f) + 1e6) * np.abs(inverse).sum() * 1e-13 + 1e-9
    np.testing.assert_allclose(back[:, 0, 0], windows.col_off, atol=reach)
    np.testing.assert_allclose(back[:, 0, 1], windows.row_off, atol=reach)
    np.testing.assert_allclose(back[:, 2] - back[:, 0], size, atol=2 * reach)
    middle = windows.centres()
    np.testing.assert_allclose(ends.mean(axis=1), middle, rtol=1e-12, atol=1e-6)
    area = size * size * abs(a * e - b * d)
    shoelace = shapely.area(shapely.polygons(ends - ends.mean(axis=1, keepdims=True)))
    np.testing.assert_allclose(shoelace, area, rtol=1e-3)


@given(st.floats(-89.9, 89.9), st.floats(-360, 360), st.floats(1e-5, 0.1))
def test_every_window_of_a_scene_within_the_world_is_on_earth(
    lat: float, lon: float, degrees: float
) -> None:
    rows = min(20, math.floor((lat + 90) / degrees))
    if rows < 2:
        return
    grid = SceneGrid("s", "EPSG:4326", (degrees, 0, lon, 0, -degrees, lat), rows, 20)
    assert on_earth(tile(grid, 2, 2).windows).all()
