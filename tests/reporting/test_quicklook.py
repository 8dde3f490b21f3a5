"""Quicklooks, and bands as colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from cubes import cube, write_zarr
from PIL import Image
from rasterio.transform import from_origin
from rasters import ORIGIN, UTM, write_raster

import owl_geo
from owl_geo.reporting.colours import Stretch, as_seen, composites
from owl_geo.reporting.quicklook import quicklook
from owl_geo.settings.sources import CubeSettings, GeoTiffSettings, SceneSettings
from owl_geo.sources import open_source
from owl_geo.types import BandStatistics, SceneGrid


def scene(path: Path, **more: object) -> GeoTiffSettings:
    return GeoTiffSettings(scenes=(SceneSettings(name="s", path=str(path)),), patch_size=8, **more)


def look(settings, bands: list[int], edge: int):
    source = open_source(settings)
    return quicklook(source, "s", bands, np.arange(len(source.index)), edge).values


def test_a_quicklook_is_the_mean_of_the_pixels_with_scale_and_holes(tmp_path) -> None:
    values = np.random.default_rng(0).integers(1, 200, (2, 80, 40)).astype(np.uint16)
    values[:, :8, :4] = 0
    path = write_raster(tmp_path / "s.tif", values, nodata=0, scales=(0.5, 2.0), offsets=(1.0, 0.0))
    found = look(scene(path), [1, 0], 20)
    assert found.shape == (2, 20, 10)
    assert np.isnan(found[:, :2, 0]).all()
    assert np.isfinite(found[:, 2:]).all()
    blocks = values.reshape(2, 20, 4, 10, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(found[0, 2:], 2 * blocks[1, 2:], rtol=1e-2)
    np.testing.assert_allclose(found[1, 2:], 0.5 * blocks[0, 2:] + 1, rtol=1e-2)


def test_a_quicklook_reads_overviews_where_there_are_some(tmp_path) -> None:
    path = write_raster(
        tmp_path / "s.tif",
        np.full((1, 512, 512), 7, np.uint8),
        tiled=True,
        blockxsize=64,
        blockysize=64,
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([4])
    with rasterio.open(path, "r+", overview_level=0) as overview:
        overview.write(np.full((1, 128, 128), 9, np.uint8))
    assert (look(scene(path), [0], 100) == 9).all()


def test_bands_of_other_pixels_and_other_ground_come_to_their_place(tmp_path) -> None:
    left = np.zeros((1, 40, 40), np.uint8)
    left[:, :, :20] = 200
    fine = write_raster(tmp_path / "f" / "a.tif", left, pixel=10)
    coarse = write_raster(tmp_path / "f" / "b.tif", left[:, ::2, ::2], pixel=20)
    wider = np.zeros((1, 22, 22), np.uint8)
    wider[:, :, :11] = 200
    place = from_origin(ORIGIN[0] - 20, ORIGIN[1] + 20, 20, 20)
    other = write_raster(tmp_path / "f" / "c.tif", wider, transform=place)
    files = tuple(str(path) for path in (fine, coarse, other))
    settings = GeoTiffSettings(scenes=(SceneSettings(name="s", files=files),), patch_size=8)
    found = look(settings, [0, 1, 2], 20)
    assert found.shape == (3, 20, 20)
    for band in found:
        assert (band[:, :9] > 190).all()
        assert (band[:, 11:] < 10).all()


def test_a_cube_and_generated_patches_show_their_patches(tmp_path, monkeypatch) -> None:
    values = np.random.default_rng(1).random((2, 32, 48)).astype(np.float32)
    path = write_zarr(tmp_path / "c.zarr", cube(values, crs=UTM), {"y": 16, "x": 16})
    settings = CubeSettings(path=str(path), name="s", patch_size=8)
    np.testing.assert_allclose(look(settings, [1], 48)[0], values[1], rtol=1e-6)
    assert look(settings, [0, 1], 24).shape == (2, 16, 24)
    monkeypatch.setattr("owl_geo.reporting.quicklook._MOST_PIXELS", 8 * 64)
    sparse = look(settings, [0], 48)
    assert np.isfinite(sparse).all()
    np.testing.assert_allclose(sparse[0, :8, :8], values[0, :8, :8], rtol=1e-6)


def test_north_is_up_whichever_way_rows_run(tmp_path) -> None:
    values = np.zeros((1, 32, 32), np.float32)
    values[:, :16] = 1  # first rows; they lie in the south
    place = rasterio.Affine(10, 0, 5e5, 0, 10, 5.7e6)
    path = write_raster(tmp_path / "s.tif", values, transform=place)
    source = {"kind": "geotiff", "patch_size": 8, "scenes": [{"name": "s", "path": str(path)}]}
    run = owl_geo.init(tmp_path / "run", {"source": source, "loop": {"initial": 4}}).run
    owl_geo.plot(run, tmp_path / "plots")
    picture = np.asarray(Image.open(tmp_path / "plots" / "map_s.png").convert("L"))
    edge = picture.shape[1]
    assert picture[edge // 3, edge // 2] < 30
    assert picture[edge * 5 // 6, edge // 2] > 225


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_a_picture_of_a_patch_is_mirrored_as_its_scene_is(down: bool, right: bool) -> None:
    x, y = np.meshgrid(np.arange(3), np.arange(2))  # to the east, and to the south
    rows, cols = slice(None, None, 1 if down else -1), slice(None, None, 1 if right else -1)
    place = (10.0 if right else -10.0, 0.0, 5e5, 0.0, -10.0 if down else 10.0, 5.7e6)
    grid = SceneGrid("s", "EPSG:32631", place, 2, 3)
    in_file = np.stack([x, y], axis=-1)[rows, cols]
    np.testing.assert_array_equal(as_seen(in_file, grid), np.stack([x, y], axis=-1))


@pytest.mark.parametrize(
    ("bands", "shown"),
    [
        (("B2", "B3", "B4", "B8"), [("True colour", (2, 1, 0)), ("False colour", (3, 2, 1))]),
        (("B02", "B03", "B04"), [("True colour", (2, 1, 0))]),
        (("x", "y"), [("Grey", (0, 0, 0))]),
        (("w", "x", "y", "z"), [("First bands", (0, 1, 2)), ("Last bands", (3, 2, 1))]),
        (
            ("B2@2021-05-01", "B3@2021-05-01", "B4@2021-05-01", "B8@2021-05-01"),
            [("True colour", (2, 1, 0)), ("False colour", (3, 2, 1))],
        ),
    ],
)
def test_bands_become_colours_by_their_names(bands, shown) -> None:
    assert [(one.title, one.bands) for one in composites(bands)] == shown


def test_bands_become_colours_by_what_is_known_of_them() -> None:
    """Landsat's B8 is panchromatic, whatever its name may be taken for."""
    shown = composites(("B2", "B3", "B4", "B8"), ("blue", "green", "red", "pan"))
    assert [(one.title, one.bands) for one in shown] == [
        ("True colour", (2, 1, 0)),
        ("Last bands", (3, 2, 1)),
    ]


def test_two_per_cent_at_either_end_are_black_and_white() -> None:
    values = np.arange(1000, dtype=np.float32).reshape(1, 20, 50)
    image = Stretch.of_pixels(values).to_rgb(values, (0, 0, 0))
    assert (image == 0).all(axis=2).mean() == pytest.approx(0.02, abs=0.005)
    assert (image == 255).all(axis=2).mean() == pytest.approx(0.02, abs=0.005)
    flat = np.full((1, 4, 4), 3.0, np.float32)
    flat[0, 0, 0] = np.nan
    assert (Stretch.of_pixels(flat).to_rgb(flat, (0, 0, 0)) == 0).all()
    one = np.ones(1, np.float32)
    normal = Stretch.of_statistics(BandStatistics(("a",), one * 5, one * 2, 10))
    assert (normal.low[0], normal.high[0]) == pytest.approx((0.89, 9.11), abs=0.01)
