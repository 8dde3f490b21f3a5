"""Patches of scenes on disk: values, validity, area of interest, chunks, and what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.transform
import rasterio.warp
import shapely
from after_a_fork import digest, read_at_once
from numpy.typing import NDArray
from rasterio.windows import Window
from rasters import ORIGIN, coordinates, write_raster, write_stack
from scene_windows import windows_at

from owl_geo.errors import SourceError
from owl_geo.ground.footprints import footprints
from owl_geo.ground.tiling import Chunk
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.sources import reader
from owl_geo.sources.base import windows_of
from owl_geo.sources.cutting import fill, valid_shares
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.prefetch import prefetched
from owl_geo.sources.reader import SceneReader
from owl_geo.sources.scenes import open_scenes
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.unopened_scenes import UnopenedScenes
from owl_geo.types import IntArray

BLOCKS = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


def naive(source: GeoTiffSource, path: Path) -> NDArray[Any]:
    """Read every patch with a window of its own."""
    size = source.patch_size
    with rasterio.open(path) as dataset:
        return np.stack(
            [
                dataset.read(window=Window(col, row, size, size))
                for row, col in source.index[["row_off", "col_off"]].itertuples(index=False)
            ]
        )


def streamed(source: GeoTiffSource, positions: IntArray | None = None) -> NDArray[Any]:
    return np.concatenate([patches for _, patches in source.stream(positions)])


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "size", "stride"),
    [
        (BLOCKS, 16, 16),
        (BLOCKS, 50, 30),  # windows that cross blocks and overlap
        (BLOCKS, 10, 25),  # gaps between windows
        ({"blockysize": 3, "compress": "deflate"}, 32, 32),
        ({"blockysize": 150}, 32, 32),  # one strip holds the file
        ({"interleave": "band", **BLOCKS}, 16, 16),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [64 * 2**20, 60_000, 5_000])
def test_values_are_those_of_a_plain_window(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: dict[str, Any],
    size: int,
    stride: int,
    chunk_bytes: int,
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
    path = write_raster(tmp_path / "a.tif", coordinates(150, 310), **profile)
    source = GeoTiffSource(path, patch_size=size, stride=stride)
    ids = source.index["patch_id"].tolist()
    expected = naive(source, path)
    assert np.array_equal(streamed(source), expected)
    some = np.random.default_rng(0).permutation(len(ids))[:5]
    assert np.array_equal(source.read([ids[i] for i in some]), expected[some])
    first_row, first_column = expected[:, 0, 0, 0], expected[:, 1, 0, 0]
    assert np.array_equal(first_row, source.index["row_off"])
    assert np.array_equal(first_column, source.index["col_off"])


def test_small_memory_makes_chunks_of_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", 60_000)
    path = write_raster(tmp_path / "wide.tif", coordinates(128, 640), **BLOCKS)
    sizes: list[int] = []
    whole = SceneReader.pixels

    def spy(self: SceneReader, chunk: Any) -> reader.Pixels:
        sizes.append(chunk.width)
        assert 11 * chunk.height * chunk.width <= 60_000
        return whole(self, chunk)

    monkeypatch.setattr(SceneReader, "pixels", spy)
    source = GeoTiffSource(path, patch_size=16)
    streamed(source)
    assert sizes == [64] * 20  # each block is read once
    order = source.index[["row_off", "col_off"]].to_numpy()
    assert order[:5].tolist() == [[0, 0], [0, 16], [0, 32], [0, 48], [16, 0]]


def test_few_patches_read_few_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(640, 640), **BLOCKS)
    source = GeoTiffSource(path, patch_size=16)
    read: list[int] = []
    whole = SceneReader.pixels

    def spy(self: SceneReader, chunk: Any) -> reader.Pixels:
        read.append(chunk.height * chunk.width)
        return whole(self, chunk)

    monkeypatch.setattr(SceneReader, "pixels", spy)
    ids = ["a/624/0", "a/0/0", "a/16/16", "a/0/624", "a/320/320"]
    patches = source.read(ids)
    assert patches[:, 0, 0, 0].tolist() == [624, 0, 16, 0, 320]
    assert patches[:, 1, 0, 0].tolist() == [0, 0, 16, 624, 320]
    assert sum(read) <= 4 * 64 * 64
    read.clear()
    source.read([f"a/{row}/{col}" for row in (0, 16, 32, 48) for col in (0, 624)])
    assert read == [64 * 16, 64 * 16]  # once per block, although the order goes to and fro


def test_scale_and_offset_of_the_file_are_applied(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", coordinates(32, 32, 2), scales=(0.5, 2.0), offsets=(-3.0, 0.0)
    )
    patch = GeoTiffSource(path).read(["a/0/0"])[0]
    assert patch[:, 10, 20].tolist() == [2.0, 40.0]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float64", "int8", "uint64"])
def test_every_real_type_becomes_float32(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40, 2, dtype))
    source = GeoTiffSource(path, patch_size=20)
    assert np.array_equal(streamed(source), naive(source, path).astype(np.float32))


def test_bands_of_several_types_are_read_together(tmp_path: Path) -> None:
    """Digital numbers beside heights: rasterio reads such bands one by one only."""
    numbers = coordinates(40, 40)[0].astype("uint16") + 60_000
    heights = np.linspace(-10.5, 99.25, 1600, dtype="float32").reshape(40, 40)
    heights[0, 0] = np.nan
    classes = np.tile(np.arange(40, dtype="uint8"), (40, 1))
    path = write_stack(tmp_path / "a.vrt", numbers, heights, classes)
    source = GeoTiffSource(path, patch_size=20)
    assert source.index["valid_fraction"].tolist() == [399 / 400, 1, 1, 1]
    (patch,) = source.read(["a/20/20"])
    for band, values in zip(patch, (numbers, heights, classes), strict=True):
        assert np.array_equal(band, values[20:, 20:].astype("float32"))


@pytest.mark.parametrize(
    "transform",
    [
        rasterio.Affine(10, 0, 500_000, 0, 10, 5_700_000),
        rasterio.Affine(8, 6, 500_000, 6, -8, 5_700_000),
    ],
    ids=["south-up", "rotated"],
)
def test_south_up_and_rotated_scenes(tmp_path: Path, transform: rasterio.Affine) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(60, 60), transform=transform)
    source = GeoTiffSource(path, patch_size=20)
    assert np.array_equal(streamed(source), naive(source, path))
    corner = shapely.Point(transform @ (20, 40))
    polygons = footprints(windows_of(source))
    (touching,) = np.nonzero(polygons.touches(corner).to_numpy())
    assert source.index["patch_id"].iloc[touching].tolist() == [
        "a/20/0",
        "a/20/20",
        "a/40/0",
        "a/40/20",
    ]


def test_a_coarser_band_does_not_depend_on_the_window(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 9999, (1, 300, 300)).astype(np.uint16)
    fine = write_raster(tmp_path / "fine.tif", noise.repeat(2, 1).repeat(2, 2), **BLOCKS)
    coarse = write_raster(tmp_path / "coarse.tif", noise, pixel=20)
    scene = SceneSettings(name="s", files=(str(fine), str(coarse)))
    source = GeoTiffSource(scene, patch_size=60, stride=37)
    ids = source.index["patch_id"].tolist()
    whole = streamed(source)
    single = np.concatenate([source.read([patch_id]) for patch_id in ids])
    assert np.array_equal(whole, single)
    # bilinear: a fine pixel lies a quarter of a coarse one from its centre
    inner = noise[0, 10:12, 10:12].astype(float)
    weights = np.outer([0.75, 0.25], [0.75, 0.25])
    patch = GeoTiffSource(scene, patch_size=60).read(["s/0/0"])[0, 1]
    assert patch[21, 21] == pytest.approx((inner * weights).sum(), abs=0.5)


# --- validity -------------------------------------------------------------------------------------


def test_holes_lower_the_share_and_get_the_median(tmp_path: Path) -> None:
    values = np.arange(2 * 16, dtype=np.float32).reshape(2, 4, 4)
    values[0, 0, 0] = -1  # no data in one band is a hole in all
    values[1, 0, 1] = np.nan
    values[1, 0, 2] = -np.inf
    path = write_raster(tmp_path / "a.tif", values, nodata=-1)
    source = GeoTiffSource(path, patch_size=4, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [13 / 16]
    patch = source.read(["a/0/0"])[0]
    valid = values[:, np.array([0] + [1] * 4 + [2] * 4 + [3] * 4), [3, *range(4)] + [*range(4)] * 2]
    assert patch[:, 0, :3].tolist() == np.repeat(np.median(valid, axis=1), 3).reshape(2, 3).tolist()
    assert np.array_equal(patch[:, 1:], values[:, 1:])


def test_min_valid_drops_and_counts(tmp_path: Path) -> None:
    values = coordinates(20, 40, 1) + 1
    values[0, :10, :10] = 0
    values[0, 0, 10] = 0
    path = write_raster(tmp_path / "a.tif", values, nodata=0)
    source = GeoTiffSource(path, patch_size=10, min_valid=0.99)
    (summary,) = source.summary
    assert (summary.windows, summary.partial, summary.invalid, summary.kept) == (8, 0, 1, 7)
    assert summary.outside == 0
    assert source.index["valid_fraction"].iloc[0] == 0.99
    # of what is dropped, not of what is kept
    (summary,) = GeoTiffSource(path, patch_size=10, min_valid=0.995).summary
    assert summary.kept == 6
    assert "2 with too few valid pixels (at most 99.0 %)" in str(summary)


def test_a_patch_without_any_valid_pixel_never_counts(tmp_path: Path) -> None:
    values = coordinates(10, 20, 1) + 1
    values[0, :, :10] = 0
    path = write_raster(tmp_path / "a.tif", values, nodata=0)
    assert len(GeoTiffSource(path, patch_size=10, min_valid=1e-9).index) == 1


@pytest.mark.parametrize("bands", [(), ("nir",), ("nir", "red")])
def test_in_8_bits_a_pixel_is_missing_only_where_all_bands_are(
    bands: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Water is 0 in near infrared; GDAL and QGIS show it."""
    values = coordinates(20, 40, 4, "uint8") + 1
    values[3, :, :20] = 0
    values[:, :10, 30:] = 0
    names = ("blue", "green", "red", "nir")
    path = write_raster(tmp_path / "a.tif", values, nodata=0, descriptions=names)
    source = GeoTiffSource(path, bands=bands, patch_size=10)
    assert len(source.index) == 7
    chosen = [names.index(name) for name in bands or names]
    assert np.array_equal(source.read(["a/0/0"])[0], values[chosen, :10, :10])
    assert "400 pixels (50 %) have the no-data value in some bands" in caplog.text
    assert "count as data" in caplog.text


@pytest.mark.parametrize("is_coarse", [False, True])
def test_an_alpha_band_leaves_zero_in_one_band_a_value(is_coarse: bool, tmp_path: Path) -> None:
    """As QGIS and gdalwarp write aerial images: nodata 0, and an alpha band besides."""
    values = np.full((4, 16, 16), 100, "uint8")
    values[0, :, 4:8] = 0  # dark in red
    values[3, :, :4] = 0  # hidden
    options = {"nodata": 0, "photometric": "rgb", "alpha": "yes"}
    if is_coarse:
        source = beside_finer_pixels(tmp_path, values, **options)
    else:
        path = write_raster(tmp_path / "a.tif", values, **options)
        source = GeoTiffSource(path, patch_size=4)
    assert len(source.index) == 12
    patches = source.read(source.index["patch_id"].tolist())[:, -3:]
    assert (patches[:, 1:] == 100).all()
    assert (patches[::3, 0, :, :3] == 0).all()
    assert (patches[2::3, 0] == 100).all()


def test_in_16_bits_what_a_band_lacks_is_missing_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = coordinates(20, 40, 2) + 1
    values[1, :, :10] = 0
    path = write_raster(tmp_path / "a.tif", values, nodata=0)
    assert len(GeoTiffSource(path, patch_size=10).index) == 6
    assert "200 pixels (25 %) have the no-data value in some bands" in caplog.text
    assert "count as missing" in caplog.text


def beside_finer_pixels(folder: Path, values: NDArray[Any], **options: Any) -> GeoTiffSource:
    """Return a scene of 10 m whose second file has pixels of 20 m, 16 x 16 of them."""
    fine = write_raster(folder / "fine.tif", np.full((1, 32, 32), 9, "uint8"))
    coarse = write_raster(folder / "coarse.tif", values, pixel=20, **options)
    settings = SceneSettings(name="a", files=(str(fine), str(coarse)))
    return GeoTiffSource(settings, patch_size=8)


@pytest.mark.parametrize("nodata", [0, 65535, -9999])
def test_what_one_band_of_a_coarser_stack_lacks_is_missing(nodata: int, tmp_path: Path) -> None:
    values = np.full((2, 16, 16), 1000, "uint16" if nodata >= 0 else "int16")
    values[0, :, :4] = nodata
    source = beside_finer_pixels(tmp_path, values, nodata=nodata)
    assert len(source.index) == 12
    assert (source.read(source.index["patch_id"].tolist())[:, 1:] == 1000).all()


@pytest.mark.parametrize("kind", ["mask", "alpha", "mask and nodata"])
def test_masks_of_a_coarser_file_hold_on_the_finer_grid(kind: str, tmp_path: Path) -> None:
    shown = np.ones((16, 16), bool)
    shown[:, :4] = False
    values = np.where(shown, 100, 7)[None].astype("uint16")
    if kind == "alpha":
        values = np.concatenate([values, shown[None] * np.uint16(65535)])
        source = beside_finer_pixels(tmp_path, values, ALPHA="YES")
    else:
        options = {"nodata": 0} if kind == "mask and nodata" else {}
        source = beside_finer_pixels(tmp_path, values, mask=shown, **options)
    assert len(source.bands) == 2
    assert len(source.index) == 12
    assert (source.read(source.index["patch_id"].tolist())[:, 1] == 100).all()


@pytest.mark.parametrize("nodata", [0, 7, 65535])
def test_a_mask_and_a_nodata_value_of_a_coarser_file_both_hold(nodata: int, tmp_path: Path) -> None:
    shown = np.ones((16, 16), bool)
    shown[:, :4] = False
    values = np.where(shown, 100, 7)[None].astype("uint16")
    values[0, :, 12:] = nodata
    values[0, :, :2] = 3
    source = beside_finer_pixels(tmp_path, values, mask=shown, nodata=nodata)
    at = source.index[["row_off", "col_off"]].to_numpy().tolist()
    assert at == [[row, col] for row in (0, 8, 16, 24) for col in (8, 16)]
    assert (source.index["valid_fraction"] == 1).all()
    assert (source.read(source.index["patch_id"].tolist())[:, 1] == 100).all()


def test_coarser_data_that_gdal_takes_for_alpha_stay_data(tmp_path: Path) -> None:
    values = np.full((4, 16, 16), 100, "uint8")
    values[3, :, :4] = 0
    names = ("red", "green", "blue", "nir")
    source = beside_finer_pixels(tmp_path, values, descriptions=names)
    assert len(source.index) == 16
    patches = source.read(source.index["patch_id"].tolist())
    assert (patches[:, 1:4] == 100).all()
    assert (patches[::4, 4, :, :7] == 0).all()


def test_zero_is_a_value_unless_declared(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 32, 32), np.uint8))
    assert GeoTiffSource(path).index["valid_fraction"].tolist() == [1.0]


def test_a_nodata_value_that_the_type_cannot_hold_marks_nothing(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(32, 32), nodata=7)
    (scene,) = open_scenes([SceneSettings(name="a", path=str(path))], ())
    chunk = Chunk(0, 0, 32, 32, 0, 1)
    valid = SceneReader(scene).valid(chunk)
    assert valid is not None
    assert not valid[7].any()
    # GDAL reports such values as the file has them
    for nodata in (-9999.0, 65_536.0, 7.5):
        bands = tuple(replace(band, nodata=nodata) for band in scene.bands)
        assert SceneReader(replace(scene, bands=bands)).valid(chunk) is None


@pytest.mark.parametrize("kind", ["mask band", "alpha band"])
def test_mask_and_alpha_bands_are_honoured(tmp_path: Path, kind: str) -> None:
    values = coordinates(20, 40, 3, "uint8")
    seen = np.ones((20, 40), dtype=bool)
    seen[:10, :5] = False
    if kind == "mask band":
        path = write_raster(tmp_path / "a.tif", values, mask=seen)
    else:
        alpha = (seen * 255).astype(np.uint8)[None]
        path = write_raster(
            tmp_path / "a.tif", np.concatenate([values, alpha]), photometric="rgb", alpha="yes"
        )
    source = GeoTiffSource(path, patch_size=10, min_valid=0.4)
    assert len(source.bands) == 3
    assert source.index["valid_fraction"].tolist() == [0.5] + [1.0] * 7
    assert (source.read(["a/0/0"])[0, 1, :, :5] == 7).all()  # median of columns 5 to 9


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("nodata", [None, 3])
def test_an_alpha_band_of_any_type_is_honoured(
    tmp_path: Path, dtype: str, nodata: int | None
) -> None:
    """As ``gdalwarp -dstalpha`` writes it; GDAL makes a mask of 8 and 16 bits without a sign."""
    values = coordinates(20, 40, 3, dtype)
    alpha = np.ones((1, 20, 40), dtype)
    alpha[:, :10, :5] = 0
    path = write_raster(
        tmp_path / "a.tif",
        np.concatenate([values + 5, alpha]),
        photometric="rgb",
        alpha="yes",
        nodata=nodata,
    )
    source = GeoTiffSource(path, patch_size=10, min_valid=0.4)
    assert len(source.bands) == 3
    assert source.index["valid_fraction"].tolist() == [0.5] + [1.0] * 7


def test_an_alpha_band_that_is_asked_for_is_data(tmp_path: Path) -> None:
    values = coordinates(20, 20, 4, "uint8")
    values[3, :10] = 0  # near infrared, that the file calls alpha
    path = write_raster(tmp_path / "a.tif", values, photometric="rgb", alpha="yes")
    source = GeoTiffSource(path, bands=("red", "4"), patch_size=20)
    assert source.index["valid_fraction"].tolist() == [1.0]
    assert np.array_equal(source.read(["a/0/0"])[0], values[[0, 3]])


def test_a_fourth_band_that_is_described_is_no_alpha_band(tmp_path: Path) -> None:
    """GDAL calls the fourth band of bytes alpha, unless it is told otherwise."""
    values = coordinates(20, 20, 4, "uint8")
    values[3, :10] = 0
    names = ("red", "green", "blue", "nir")
    path = write_raster(tmp_path / "a.tif", values, descriptions=names)
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == rasterio.enums.ColorInterp.alpha
    source = GeoTiffSource(path, patch_size=20)
    assert source.bands == names
    assert source.index["valid_fraction"].tolist() == [1.0]
    assert np.array_equal(source.read(["a/0/0"])[0], values)


def test_scenes_in_other_units_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = coordinates(16, 16, 1)
    plain = write_raster(tmp_path / "plain.tif", values)
    scaled = write_raster(tmp_path / "scaled.tif", values, scales=(0.1,))
    for alike in ([plain], [scaled]):
        GeoTiffSource(alike, patch_size=16).check_bands()
    assert not caplog.text
    GeoTiffSource([plain, scaled], patch_size=16).check_bands()
    assert "scene 'scaled' has scaled values and scene 'plain' pixels as they are" in caplog.text


def three_kinds_of_cloud(folder: Path) -> tuple[Path, Path]:
    """Return a scene of 40 x 40 pixels and a mask of 20 m: opaque cloud, cirrus, snow."""
    mask = np.zeros((3, 20, 20), "uint8")
    mask[0, :, :5], mask[1, :, 5:10] = 1, 1
    scene = write_raster(folder / "a.tif", coordinates(40, 40))
    names = ("opaque", "cirrus", "snow")
    return scene, write_raster(folder / "mask.tif", mask, pixel=20, descriptions=names)


@pytest.mark.parametrize(
    ("bands", "kept"), [((), 12), ((1,), 12), ((1, 2), 8), ((1, 2, 3), 8), ((3,), 16)]
)
def test_the_bands_of_a_mask_that_are_named_count(
    bands: tuple[int, ...], kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene, mask = three_kinds_of_cloud(tmp_path)
    settings = SceneSettings(name="a", path=str(scene), mask=str(mask))
    source = GeoTiffSource(settings, patch_size=10, mask_bad=[1], mask_bands=bands)
    assert len(source.index) == kept
    said = "has 3 bands (opaque, cirrus, snow) and the first alone counts" in caplog.text
    assert said == (not bands)
    with pytest.raises(SourceError, match=r"mask\.tif has 3 bands, not 4"):
        _ = GeoTiffSource(settings, mask_bad=[1], mask_bands=[4], patch_size=10).index


def test_all_bands_of_a_mask_count_in_a_new_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene, mask = three_kinds_of_cloud(tmp_path)
    udm2 = write_raster(tmp_path / "x_udm2.tif", np.ones((8, 20, 20), "uint8"), pixel=20)
    cut = write_raster(tmp_path / "one.tif", np.ones((1, 20, 20), "uint8"), pixel=20)

    def bands(mask: Path, **options: Any) -> object:
        given = dict.fromkeys(UnopenedScenes.options, ())
        words = {"scenes": [str(scene)], "masks": [str(mask)], "mask_bad": (1,)}
        named = UnopenedScenes.named("geotiff", given | words | {"on_error": "fail"} | options)
        return named.tables["source"].get("mask_bands")

    assert bands(mask) == (1, 2, 3)
    assert "a bad value in any of them counts" in caplog.text
    assert bands(mask, mask_bands=(2,)) == (2,)
    assert bands(udm2) == (1,)
    assert bands(cut) is None


def test_cloud_mask_in_another_crs_and_pixel_size(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    grid = GeoTiffSource(path).grids["a"]
    with rasterio.open(path) as dataset:
        west, south, east, north = rasterio.warp.transform_bounds(
            grid.crs, "EPSG:4326", *dataset.bounds
        )
    n = 200
    degrees = rasterio.transform.from_bounds(west - 0.001, south, east, north + 0.001, n, n)
    x, y = degrees @ (np.arange(n) + 0.5, np.arange(n) + 0.5)
    lon, lat = np.meshgrid(x, y)
    easting, northing = rasterio.warp.transform(
        "EPSG:4326", grid.crs, lon.ravel().tolist(), lat.ravel().tolist()
    )
    cloud = (np.array(easting) < ORIGIN[0] + 100) & (np.array(northing) > ORIGIN[1] - 200)
    mask = write_raster(
        tmp_path / "clouds.tif",
        np.where(cloud, 2, 7).astype(np.uint8).reshape(1, n, n),
        crs="EPSG:4326",
        transform=degrees,
    )
    scene = SceneSettings(name="a", path=str(path), mask=str(mask))
    source = GeoTiffSource(scene, patch_size=20, min_valid=0.1, mask_bad=[2, 9])
    assert source.index["valid_fraction"].to_numpy() == pytest.approx([0.5, 1, 1, 1], abs=0.03)
    with pytest.raises(SourceError, match="mask_bad"):
        GeoTiffSource(scene)


def test_integer_scenes_without_nodata_are_not_read_by_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the last patch where a file may lack its end and its header does not tell."""
    tiff = write_raster(tmp_path / "a.tif", coordinates(64, 64))
    other = write_raster(tmp_path / "a.bil", coordinates(64, 64), driver="EHdr")
    read: list[tuple[int, int, int, int]] = []
    whole = SceneReader._read

    def spy(self: SceneReader, chunk: Any, all_bands: bool) -> reader.Pixels:
        read.append((chunk.row, chunk.col, chunk.height, chunk.width))
        return whole(self, chunk, all_bands)

    monkeypatch.setattr(SceneReader, "_read", spy)
    assert len(GeoTiffSource(tiff).index) == 4
    assert read == []
    assert len(GeoTiffSource(other).index) == 4
    assert read == [(32, 32, 32, 32)]


def test_a_stored_index_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(64, 64, dtype="float32"))
    settings = GeoTiffSettings(scenes=(SceneSettings(name="a", path=str(path)),), patch_size=16)
    index = GeoTiffSource.from_settings(settings).index.iloc[[5, 3, 9]].reset_index(drop=True)
    monkeypatch.setattr(SceneReader, "valid", None)
    source = GeoTiffSource.from_settings(settings, index=index)
    assert source.index is index
    assert source.summary == ()
    assert [i for part, _ in source.stream() for i in part] == [0, 1, 2]
    assert np.array_equal(streamed(source), naive(source, path))
    with pytest.raises(SourceError, match="reaches past the edge"):
        GeoTiffSource(path, patch_size=60, index=index)
    with pytest.raises(SourceError, match="index has scene 'a', the settings have b"):
        GeoTiffSource(SceneSettings(name="b", path=str(path)), patch_size=16, index=index)


def test_progress_counts_windows(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(64, 64, dtype="float32"))
    calls: list[tuple[int, int]] = []
    source = GeoTiffSource(path, patch_size=16, progress=lambda *call: calls.append(call))
    assert calls == []  # the scan waits until it is needed
    assert len(source.index) == 16
    assert calls[-1] == (16, 16)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


# --- arithmetic -----------------------------------------------------------------------------------


def test_fill_takes_the_median_of_valid_pixels() -> None:
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(9, 3, 5, 5)).astype(np.float32)
    valid = rng.random((9, 5, 5)) < 0.6
    patches[0, :, ~valid[0]] = np.nan
    filled = fill(patches, valid)
    for patch, seen, result in zip(patches, valid, filled, strict=True):
        assert np.array_equal(result[:, seen], patch[:, seen])
        medians = np.median(patch[:, seen], axis=1)
        assert np.allclose(result[:, ~seen], medians[:, None])


def test_valid_shares_are_means() -> None:
    valid = np.random.default_rng(0).random((30, 40)) < 0.7
    row, col = np.array([0, 3, 20]), np.array([0, 30, 7])
    windows = windows_at(row + 100, col + 50, 10)
    expected = [valid[r : r + 10, c : c + 10].mean() for r, c in zip(row, col, strict=True)]
    assert np.allclose(valid_shares(valid, Chunk(100, 50, 30, 40, 0, 3), windows), expected)


# --- reading ahead --------------------------------------------------------------------------------


def test_prefetch_is_one_item_ahead_and_closes_in_its_own_thread() -> None:
    made: list[int] = []
    closed: list[int] = []

    def items() -> Generator[int, None, None]:
        try:
            for i in range(9):
                made.append(i)
                yield i
        finally:
            closed.append(threading.get_ident())

    before = threading.active_count()
    source = items()
    ahead = prefetched(source)
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2]
    assert len(closed) == 1
    assert closed[0] != threading.get_ident()
    assert threading.active_count() == before
    assert list(prefetched(items())) == list(range(9))


def test_prefetch_passes_errors_on() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise SourceError("cannot read")

    ahead = prefetched(items())
    assert next(ahead) == 1
    with pytest.raises(SourceError, match="cannot read"):
        next(ahead)


# --- area of interest -----------------------------------------------------------------------------


def _area(path: Path, box: tuple[float, float, float, float], crs: str = "EPSG:32631") -> Path:
    table = gpd.GeoDataFrame(geometry=[shapely.box(*box)], crs=crs)
    table.to_file(path)
    return path


def test_area_of_interest_keeps_patches_by_their_centre(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    x, y = ORIGIN
    # from the upper left corner to just past the centre of patch (0, 1), 300 m to the east
    box = (x, y - 199, x + 301, y)
    for name, crs in (("same.gpkg", "EPSG:32631"), ("other.geojson", "EPSG:4326")):
        area = _area(tmp_path / "utm.gpkg", box)
        gpd.read_file(area).to_crs(crs).to_file(tmp_path / name)
        source = GeoTiffSource(path, patch_size=20, aoi=tmp_path / name)
        assert source.index["patch_id"].tolist() == ["a/0/0", "a/0/20"]
        (summary,) = source.summary
        assert (summary.windows, summary.outside, summary.kept) == (4, 2, 2)


def test_area_of_interest_elsewhere_names_both_extents(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    area = _area(tmp_path / "area.geojson", (10, 20, 11, 21), "EPSG:4326")
    source = GeoTiffSource(path, aoi=area)
    with pytest.raises(SourceError, match=r"lon 10\.0000 to 11.*lon 3\.0000 to 3\.00"):
        _ = source.index


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type": "FeatureCollection", "features": []}', "has no polygon"),
        ("hello", "cannot read the area of interest"),
    ],
)
def test_area_of_interest_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    (tmp_path / "area.geojson").write_text(content)
    with pytest.raises(SourceError, match=message):
        GeoTiffSource(path, aoi=tmp_path / "area.geojson")


# --- what goes wrong ------------------------------------------------------------------------------


def test_empty_pools_say_why(tmp_path: Path) -> None:
    values = np.zeros((1, 40, 40), np.uint8)
    values[0, :5] = 1
    path = write_raster(tmp_path / "a.tif", values, nodata=0)
    with pytest.raises(SourceError, match=r"1 window was dropped, the best of them has 15\.6 %"):
        _ = GeoTiffSource(path).index
    with pytest.raises(SourceError, match=r"64 x 64 pixels, scene 'a' has 40 rows and 40 columns"):
        _ = GeoTiffSource(path, patch_size=64).index


def test_two_scenes_of_one_name(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "x" / "a.tif", coordinates(40, 40))
    two = write_raster(tmp_path / "y" / "a.tif", coordinates(40, 40))
    with pytest.raises(SourceError, match="two scenes are named 'a'"):
        GeoTiffSource([one, two])
    scenes = [SceneSettings(name=n, path=str(p)) for n, p in (("a", one), ("b", two))]
    assert len(GeoTiffSource(scenes).index) == 2


def test_bad_arguments_are_one_line(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    for arguments in ({"patch_size": 0}, {"stride": 0}, {"min_valid": 1.5}):
        with pytest.raises(SourceError, match=next(iter(arguments))) as error:
            GeoTiffSource(path, **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    with pytest.raises(SourceError, match="scenes"):
        GeoTiffSource([])


@pytest.mark.parametrize("options", [{}, BLOCKS])
def test_a_truncated_file_names_scene_file_and_rows(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    noise = np.random.default_rng(0).integers(0, 60_000, (2, 512, 512)).astype(np.uint16)
    path = write_raster(tmp_path / "cut.tif", noise, nodata=0, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"cut") as error:
        _ = GeoTiffSource(path, min_valid=0.5).index
    message = str(error.value)
    assert "\n" not in message
    assert "scene 'cut'" in message
    assert "rows 0 to 512" in message
    assert str(path) in message


def test_a_mask_that_cannot_be_opened_names_the_scene(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(40, 40))
    scene = SceneSettings(name="a", path=str(path), mask=str(tmp_path / "none.tif"))
    with pytest.raises(SourceError, match=r"mask of scene 'a'.*none\.tif"):
        _ = GeoTiffSource(scene, mask_bad=[1]).index


def test_a_scene_that_changed_since_the_scan(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, 32, 32), np.uint8), nodata=0)
    source = GeoTiffSource(path)
    index = source.index
    source.close()
    write_raster(path, np.zeros((1, 32, 32), np.uint8), nodata=0)
    with pytest.raises(SourceError, match="no valid pixel any more"):
        GeoTiffSource(path, index=index).read(["a/0/0"])


FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not FILES.is_dir(), reason="the system does not list open files")
def test_few_files_stay_open(tmp_path: Path) -> None:
    """Some systems allow a process a few hundred."""
    paths = [write_raster(tmp_path / f"{n}.tif", coordinates(8, 8), nodata=1) for n in range(60)]
    source = GeoTiffSource(paths, patch_size=8, min_valid=0.1)
    assert len(streamed(source)) == 60
    opened = [file.readlink() for file in list(FILES.iterdir()) if file.is_symlink()]
    assert 0 < sum(file.parent == tmp_path for file in opened) <= 40
    source.close()


def test_a_forked_process_opens_files_of_its_own(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(256, 256), **BLOCKS)
    source = GeoTiffSource(path, patch_size=64)  # of several blocks: GDAL starts its threads
    assert read_at_once(source) == {digest(source)}


# --- real scenes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "options", "kept"),
    [
        ("apartado/CO_001.tif", {"bands": ("red", "nir", "ndvi")}, 68),
        ("north_carolina", {"bands": ("10", "20", "30", "40"), "patch_size": 8}, 2786),
        ("lommel", {}, 512),
        ("majortom", {"bands": ("B2", "B3", "B4", "B8")}, 1089),
        ("olinda/L7_ETMs.tif", {"stride": 16}, 420),
    ],
)
def test_real_scenes(test_data: Path, place: str, options: dict[str, Any], kept: int) -> None:
    source = GeoTiffSource(test_data / place, **options)
    assert len(source.index) == kept
    ids = source.index["patch_id"].tolist()
    patches = source.read(ids[::5])
    assert np.isfinite(patches).all()
    assert np.array_equal(streamed(source)[::5], patches)


def test_a_mask_elsewhere_is_refused_and_one_in_part_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = write_raster(tmp_path / "scene.tif", np.ones((1, 16, 16), dtype=np.uint16))
    half = write_raster(tmp_path / "half.tif", np.ones((1, 16, 8), dtype=np.uint8))
    far = write_raster(
        tmp_path / "far.tif",
        np.ones((1, 16, 16), dtype=np.uint8),
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    )

    def source(mask: Path, bad: int = 7) -> GeoTiffSource:
        settings = SceneSettings(name="s", path=str(scene), mask=str(mask))
        return GeoTiffSource(settings, patch_size=8, mask_bad=[bad])

    with pytest.raises(SourceError, match=r"far\.tif covers nothing of scene 's'"):
        _ = source(far).index
    assert len(source(half).index) == 4
    assert "half.tif covers 50 % of scene 's'; beyond it every pixel counts as clear" in caplog.text
    assert len(source(half, bad=0).index) == 2
    assert "beyond it every pixel counts as bad" in caplog.text


def test_an_area_of_interest_of_several_layers_is_refused(tmp_path: Path) -> None:
    scene = write_raster(tmp_path / "scene.tif", np.ones((1, 16, 16), dtype=np.uint16))
    area = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32632")
    for name in ("here", "there"):
        area.to_file(tmp_path / "area.gpkg", layer=name)
    with pytest.raises(SourceError, match="several layers: here, there"):
        GeoTiffSource(scene, patch_size=8, aoi=tmp_path / "area.gpkg")


# --- missing data that nobody declares ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "options", "says"),
    [
        (0, {}, "20 of 100 patches that were looked at, for example s/0/0, are 0 in every pixel"),
        (65535, {}, "are 65535 in every pixel"),
        (0, {"scales": (0.0001,) * 3, "offsets": (-0.1,) * 3}, "are -0.1 in every pixel"),
        (0, {"nodata": 0}, ""),
        (None, {}, ""),
    ],
)
def test_empty_ground_that_no_value_declares_is_said(
    fill: int | None,
    options: dict[str, Any],
    says: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = coordinates(80, 80) + 1
    if fill is not None:
        values[:, :16] = fill
    path = write_raster(tmp_path / "s.tif", values, **options)
    band_statistics(GeoTiffSource(path, patch_size=8), np.random.default_rng(0))
    assert ("declare the no-data value" in caplog.text) == bool(says)
    assert says in caplog.text


@pytest.mark.parametrize("bands", [1, 3])
def test_pixels_far_from_all_others_are_said(
    bands: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Too few, or too scattered, for a whole patch of them."""
    values = np.random.default_rng(0).integers(300, 900, (bands, 80, 80)).astype("float32")
    values[:, ::8, ::8] = -9999
    path = write_raster(tmp_path / "s.tif", values)
    band_statistics(GeoTiffSource(path, patch_size=8), np.random.default_rng(0))
    assert "2 % are -9999, far from all others (300 to 899)" in caplog.text
    caplog.clear()
    path = write_raster(tmp_path / "t.tif", values, nodata=-9999)
    band_statistics(GeoTiffSource(path, patch_size=8), np.random.default_rng(0))
    assert not caplog.text


@pytest.mark.parametrize(
    ("scale", "offset", "bands", "says"),
    [
        (10_000, 0, 2, "less than a thousandth"),  # reflectance, and as Earth Engine has it
        (-20, 0, 2, "negative and of the other positive"),
        (30, 0, 2, ""),  # sunny beside dark
        (10_000, 0, 1, ""),  # heights
    ],
)
def test_scenes_whose_values_measure_another_thing_are_said(
    scale: float,
    offset: float,
    bands: int,
    says: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = np.random.default_rng(0).uniform(0.05, 0.4, (bands, 32, 32)).astype("float32")
    one = write_raster(tmp_path / "one.tif", values)
    there = rasterio.Affine(10, 0, 501_000, 0, -10, 5_000_000)
    other = write_raster(tmp_path / "other.tif", values * scale + offset, transform=there)
    band_statistics(GeoTiffSource([one, other], patch_size=8), np.random.default_rng(0))
    assert ("cannot measure the same thing" in caplog.text) == bool(says)
    assert says in caplog.text


def test_one_band_or_an_image_without_contrast_may_be_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classes = (coordinates(80, 80, 1) // 40).astype("uint8")
    even = np.full((3, 80, 80), 7, "uint8")
    for name, values in (("classes", classes), ("even", even)):
        path = write_raster(tmp_path / f"{name}.tif", values)
        band_statistics(GeoTiffSource(path, patch_size=8), np.random.default_rng(0))
    assert not caplog.messages
