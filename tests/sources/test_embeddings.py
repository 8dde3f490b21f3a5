"""AlphaEarth's rasters: recognised, dequantized before anything is averaged, refused where lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from embeddings import (
    ALPHAEARTH,
    NODATA,
    by_hand,
    quantized,
    south_up,
    unit_vectors,
    write_alphaearth,
)
from rasters import ORIGIN, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings, ViewSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.band_wording import explained, in_short
from owl_geo.sources.base import windows_of
from owl_geo.sources.embeddings import values_in
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.quantization import dequantized
from owl_geo.sources.reader import ReaderPool
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.views.opening import check_views, open_views, shared_bands
from owl_geo.sources.views.reading import ViewReader
from owl_geo.types import EMBEDDING, AnyArray


@pytest.fixture(scope="module")
def pixels() -> AnyArray:
    return quantized(unit_vectors(16, 16))


@pytest.fixture(scope="module")
def tile(pixels: AnyArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_alphaearth(tmp_path_factory.mktemp("aef") / "x.tiff", pixels)


def first_patch(path: Path, size: int = 4) -> AnyArray:
    source = GeoTiffSource(path, patch_size=size)
    return source.read([source.index["patch_id"].iloc[0]])[0]


def test_the_values_are_those_of_the_publishers_page(tmp_path: Path) -> None:
    pixels = np.zeros((64, 4, 4), np.int8)
    pixels[:4] = np.array([127, -127, 51, -1], np.int8)[:, None, None]
    values = first_patch(write_alphaearth(tmp_path / "x.tif", pixels))
    # (127 / 127.5)^2 = 0.992172, (51 / 127.5)^2 = 0.16, (1 / 127.5)^2 = 0.0000615
    expected = [0.992172, -0.992172, 0.16, -6.1515e-05]
    np.testing.assert_allclose(values[:4, 0, 0], expected, rtol=1e-4)
    assert (values[4:] == 0).all()


def test_every_pixel_is_dequantized(tile: Path, pixels: AnyArray) -> None:
    values = first_patch(tile, size=16)
    np.testing.assert_allclose(values, by_hand(pixels), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(values, axis=0), 1.0, atol=0.02)
    assert all(band.common == EMBEDDING for band in GeoTiffSource(tile).known_bands)


def test_each_value_is_the_nearest_to_what_the_formula_gives() -> None:
    every = np.arange(-127, 128)
    exact = np.sign(every) * (np.abs(every) / 127.5) ** 2
    np.testing.assert_array_equal(dequantized(every.astype(np.int8)), exact.astype(np.float32))
    long = np.tile(every.astype(np.int8), 300).reshape(100, -1)  # longer than what is done at once
    np.testing.assert_array_equal(
        dequantized(long), np.tile(exact, 300).reshape(100, -1).astype(np.float32)
    )


def test_only_quantized_bands_are_made_values(tile: Path) -> None:
    (embedding, *_) = describe_scene(tile).bands
    plain = replace(embedding, quantized=False)
    pixels = np.array([[[51], [51]]], dtype=np.int8)
    assert values_in(pixels, [plain, embedding]).ravel().tolist() == [51, np.float32(0.16)]
    assert values_in(pixels, [plain, plain]) is pixels
    decoded = pixels.astype(np.float32)  # as where GDAL has averaged values
    assert values_in(decoded, [embedding, embedding]) is decoded


def test_a_tile_with_south_up_shows_the_same_ground(
    tile: Path, pixels: AnyArray, tmp_path: Path
) -> None:
    turned = write_alphaearth(tmp_path / "s.tiff", pixels[:, ::-1].copy(), transform=south_up(16))
    np.testing.assert_array_equal(first_patch(turned, 16)[:, ::-1], first_patch(tile, 16))


def test_a_vrt_that_turns_a_tile_is_recognised(pixels: AnyArray, tmp_path: Path) -> None:
    turned = write_alphaearth(tmp_path / "s.tiff", pixels[:, ::-1].copy(), transform=south_up(16))
    north_up = rasterio.Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
    with (
        rasterio.open(turned) as dataset,
        rasterio.vrt.WarpedVRT(dataset, transform=north_up, width=16, height=16) as view,
    ):
        rasterio.shutil.copy(view, tmp_path / "n.vrt", driver="VRT")
    np.testing.assert_allclose(first_patch(tmp_path / "n.vrt", 16), by_hand(pixels), rtol=1e-6)


def test_vectors_in_floating_point_are_taken_as_they_are(tmp_path: Path) -> None:
    vectors = unit_vectors(4, 4).astype(np.float32)
    path = write_raster(tmp_path / "x.tif", vectors, descriptions=ALPHAEARTH)
    np.testing.assert_array_equal(first_patch(path), vectors)
    assert GeoTiffSource(path).known_bands[63] == KnownBand("A63", EMBEDDING)


def test_a_pixel_that_one_band_lacks_is_missing(pixels: AnyArray, tmp_path: Path) -> None:
    holed = pixels.copy()
    holed[17, 0, 0] = NODATA  # in one band of 64
    holed[:, 1, 1] = NODATA
    source = GeoTiffSource(write_alphaearth(tmp_path / "x.tif", holed), patch_size=4, min_valid=0.5)
    assert source.index["valid_fraction"].iloc[0] == 14 / 16
    # holes are filled with the mean, so that the mean of the patch is that of its valid pixels
    valid = (holed[:, :4, :4] != NODATA).all(axis=0)
    expected = by_hand(holed[:, :4, :4])[:, valid].mean(axis=1)
    patch = source.read([source.index["patch_id"].iloc[0]])[0]
    np.testing.assert_allclose(patch.mean(axis=(1, 2)), expected, atol=1e-6)


def test_without_a_stated_no_data_value_it_is_the_published_one(
    pixels: AnyArray, tmp_path: Path
) -> None:
    holed = pixels.copy()
    holed[:, :4, :4] = NODATA
    path = write_alphaearth(tmp_path / "x.tif", holed, nodata=None)
    assert len(GeoTiffSource(path, patch_size=4).index) == 15


def test_what_an_old_gdal_made_of_it_is_refused(pixels: AnyArray, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "x.tif", pixels.view(np.uint8), descriptions=ALPHAEARTH)
    with pytest.raises(SourceError, match=r"scene 'x'.* uint8.*GDAL before 3\.7") as caught:
        GeoTiffSource(path)
    assert caught.value.remedy and "\n" not in str(caught.value)


def test_a_part_of_the_vector_is_refused(tile: Path, pixels: AnyArray, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="names 2 of the 64 bands of an embedding"):
        GeoTiffSource(tile, bands=["A00", "A05"])
    part = write_raster(
        tmp_path / "part.tif", pixels[:8], descriptions=ALPHAEARTH[:8], nodata=NODATA
    )
    with pytest.raises(SourceError, match="scene 'part' has 8 of the 64 bands"):
        GeoTiffSource(part)


def test_other_rasters_of_int8_are_left_alone(tmp_path: Path) -> None:
    values = np.full((2, 4, 4), -3, np.int8)
    path = write_raster(tmp_path / "x.tif", values, descriptions=("A1", "slope"), nodata=NODATA)
    assert not any(band.quantized for band in describe_scene(path).bands)
    assert (first_patch(path) == -3).all()


def test_a_run_made_before_goes_on_with_the_integers(tile: Path, pixels: AnyArray) -> None:
    source = GeoTiffSource.from_settings(
        GeoTiffSettings(scenes=(SceneSettings(name="x", path=str(tile)),), patch_size=16),
        known=[KnownBand(name) for name in ALPHAEARTH],
    )
    np.testing.assert_array_equal(source.read(["x/0/0"])[0], pixels)


def test_a_scale_in_the_settings_goes_before(tile: Path, pixels: AnyArray) -> None:
    scene = SceneSettings(name="x", path=str(tile), scale=(2.0,))
    source = GeoTiffSource(scene, patch_size=16)
    np.testing.assert_array_equal(source.read(["x/0/0"])[0], 2.0 * pixels)


def test_a_view_averages_values_and_not_integers(tmp_path: Path) -> None:
    # two columns of pixels, 127 and -1, seen from pixels that lie half way between them
    columns = np.array([127, -1] * 8, np.int8)
    pixels = np.broadcast_to(columns, (64, 16, 16)).copy()
    pixels[:, :, 8:] = NODATA
    view = write_alphaearth(tmp_path / "view.tif", pixels)
    half = rasterio.Affine(10, 0, ORIGIN[0] + 5, 0, -10, ORIGIN[1])
    scene = write_raster(tmp_path / "s.tif", np.ones((1, 8, 8), np.uint16), transform=half)
    source = GeoTiffSource(scene, patch_size=4)
    (opened,) = open_views({"aef": ViewSettings(scenes=(SceneSettings(name="v", path=str(view)),))})
    seen = ViewReader(opened, ReaderPool()).patches(windows_of(source).of_scene("s"))
    first = seen.values[0, :, 0, 0]
    np.testing.assert_allclose(first, (0.992172 - 6.1515e-05) / 2, rtol=1e-4)
    assert seen.valid[0].all()
    # beside no data a pixel is that of the one that has some
    np.testing.assert_allclose(seen.values[1, :, 0, -1], -6.1515e-05, rtol=1e-4)


def test_two_embeddings_share_their_dimensions_by_name() -> None:
    bands = [KnownBand("A00", EMBEDDING), KnownBand("A01", EMBEDDING)]
    assert shared_bands(bands, bands[::-1]) == ((0, 1), (1, 0))


def test_many_numbered_names_are_printed_by_their_ends() -> None:
    assert in_short(ALPHAEARTH) == "A00 ... A63"
    assert in_short(["red", *(f"v:A{n:02}" for n in range(64)), "v:seen"]) == (
        "red, v:A00 ... v:A63, v:seen"
    )
    assert in_short(["B1", "B2", "B3"]) == "B1, B2, B3"
    few = [KnownBand("B04", "red"), KnownBand("x_nir", "nir"), KnownBand("A00", "embedding")]
    assert explained([*few, KnownBand("B9")]) == "B04 (red), x_nir, A00, B9"
    assert explained([KnownBand(f"b{n}", "red") for n in range(200)]) == "b0 ... b199"


def test_what_all_names_begin_with_is_printed_once() -> None:
    stem = "20230601_101010_78_2461_3B_AnalyticMS_SR_8b_clip_"
    bands = [KnownBand(f"{stem}{name}", name) for name in ("blue", "green", "nir")]
    bands += [KnownBand(f"{stem}green_i", None)]
    assert explained(bands) == f"blue, green, nir, green_i; their names begin with {stem}"
    assert explained(bands[:1]) == f"{stem}blue"
    assert explained([KnownBand("sr_band1"), KnownBand("sr_band2")]) == "sr_band1, sr_band2"
    numbers = [KnownBand(f"{stem}band_{n}") for n in (1, 10, 11)]
    assert explained(numbers) == f"band_1, band_10, band_11; their names begin with {stem}"


def test_a_spectrum_is_printed_by_its_ends_and_by_what_is_known_of_it() -> None:
    spectrum = [f"{400 + 9.4 * n:.1f} nm" for n in range(224)]
    assert in_short(spectrum) == "400.0 nm ... 2496.2 nm"
    bands = [KnownBand(name, {"663.2 nm": "red"}.get(name)) for name in spectrum]
    assert explained(bands) == "400.0 nm ... 2496.2 nm; among them 663.2 nm (red)"
    numbered = [f"band {n} ({400 + 9.4 * n:.1f} nm)" for n in range(1, 100)]
    assert in_short(numbered) == "band 1 (409.4 nm) ... band 99 (1330.6 nm)"
    falling = [f"{n} nm" for n in range(20, 0, -1)]
    assert in_short(falling) == ", ".join(falling)


# --- TESSERA --------------------------------------------------------------------------------------


def write_tessera(path: Path, version: str = "", variant: str = "") -> Path:
    values = np.arange(128, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    values[:, 0, 0] = np.nan
    names = tuple(f"Tessera_Band_{i}" for i in range(128))
    write_raster(path, values, descriptions=names, nodata=np.nan)
    tags = {"TESSERA_DATASET_VERSION": version, "TESSERA_DATASET_VARIANT": variant}
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{name: text for name, text in tags.items() if text})
    return path


def test_tessera_is_recognised(tmp_path: Path) -> None:
    path = write_tessera(tmp_path / "grid_0.15_52.05_2024.tiff", "v1")
    source = GeoTiffSource(path, patch_size=2)
    assert source.known_bands[127] == KnownBand("Tessera_Band_127", EMBEDDING)
    assert source.bands == tuple(f"Tessera_Band_{i}" for i in range(128))
    assert in_short(source.bands) == "Tessera_Band_0 ... Tessera_Band_127"
    # three of the four patches are whole
    assert source.index["valid_fraction"].tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(source.read(source.index["patch_id"])[0, :, 0, 0], np.arange(128))
    with pytest.raises(SourceError, match="names 3 of the 128 bands"):
        GeoTiffSource(path, bands=["1", "2", "3"])


def test_versions_of_tessera_are_never_mixed(tmp_path: Path) -> None:
    old = write_tessera(tmp_path / "old.tiff", "v1")
    new = write_tessera(tmp_path / "new.tiff", "v1.1", "cambridge")
    with pytest.raises(SourceError) as caught:
        GeoTiffSource([old, new], patch_size=2).check_bands()
    assert "scene 'old' is of TESSERA 1 and scene 'new' of TESSERA 1.1 (cambridge)" in str(
        caught.value
    )
    view = ViewSettings(
        scenes=tuple(SceneSettings(name=p.stem, path=str(p)) for p in (old, new)),
    )
    with pytest.raises(SourceError, match="cannot be compared"):
        check_views(open_views({"t": view}))
    # what joins a run is compared with the run's first scene
    beside = (SceneSettings(name="old", path=str(old)),)
    with pytest.raises(SourceError, match="cannot be compared"):
        GeoTiffSource(new, patch_size=2, beside=beside).check_bands()
    GeoTiffSource([old, write_tessera(tmp_path / "unknown.tiff")], patch_size=2).check_bands()


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (("v1", ""), ("1", ""), True),
        (("1.1", "cambridge"), ("1.1", ""), True),
        (("1.1", "cambridge"), ("1.1", "other"), False),
        (("1", ""), ("1.1", ""), False),
        (("v1", ""), ("1.0", "vultr"), True),
        (("v1.0", ""), ("v10", ""), False),
    ],
)
def test_which_editions_are_one(
    one: tuple[str, str], other: tuple[str, str], fits: bool, tmp_path: Path
) -> None:
    a = write_tessera(tmp_path / "a.tiff", *one)
    b = write_tessera(tmp_path / "b.tiff", *other)
    source = GeoTiffSource([a, b], patch_size=2)
    if fits:
        source.check_bands()
    else:
        with pytest.raises(SourceError, match="cannot be compared"):
            source.check_bands()


@pytest.mark.parametrize("named", ["grid_0.15_52.05/grid_0.15_52.05.npy", "grid_0.15_52.05", ""])
def test_arrays_are_pointed_to_their_source(named: str, tmp_path: Path) -> None:
    tile = tmp_path / "grid_0.15_52.05"
    tile.mkdir()
    np.save(tile / "grid_0.15_52.05.npy", np.zeros((4, 4, 128), np.int8))
    np.save(tile / "grid_0.15_52.05_scales.npy", np.ones((4, 4), np.float32))
    with pytest.raises(SourceError, match=r"cannot open|no rasters to read") as caught:
        GeoTiffSource(tmp_path / named)
    assert "add --source arrays" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "named",
    [
        "",
        "global_0.1_degree_representation",
        "global_0.1_degree_tiff_all",
        "global_0.1_degree_tiff_all/grid_0.15_52.05.tiff",
        "flat",
        "flat/grid_0.15_52.05.tiff",
    ],
)
def test_the_land_mask_that_places_an_array_is_no_scene(named: str, tmp_path: Path) -> None:
    tile = tmp_path / "global_0.1_degree_representation/2024/grid_0.15_52.05"
    for folder in (tile, tmp_path / "flat"):
        folder.mkdir(parents=True)
        np.save(folder / "grid_0.15_52.05.npy", np.zeros((4, 4, 128), np.int8))
        np.save(folder / "grid_0.15_52.05_scales.npy", np.ones((4, 4), np.float32))
    for folder in ("global_0.1_degree_tiff_all", "flat"):
        path = tmp_path / folder / "grid_0.15_52.05.tiff"
        write_raster(path, np.ones((1, 4, 4), np.uint8))
    with pytest.raises(SourceError) as caught:
        GeoTiffSource(tmp_path / named, patch_size=1)
    assert str(caught.value).count("add --source arrays") == 1
    assert ("is the land mask" in str(caught.value)) == (
        named.startswith(("flat", "global_0.1_degree_t"))
    )


def test_a_tile_that_lost_the_names_of_its_bands_is_told(
    pixels: AnyArray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_alphaearth(tmp_path / "t.tif", pixels, descriptions=None)
    scene = SceneSettings(name="t", path=str(path))
    named = scene.model_copy(update={"names": tuple(f"A{n:02}" for n in range(64))})
    says = "has 64 bands of int8 without names; if they are AlphaEarth's, name them A00 to A63"
    for settings, warns in ((scene, True), (named, False)):
        caplog.clear()
        source = GeoTiffSource.from_settings(GeoTiffSettings(scenes=(settings,), patch_size=8))
        source.check_bands()
        assert (f"scene 't' {says}" in caplog.text) == warns
        caplog.clear()
        check_views(open_views({"aef": ViewSettings(scenes=(settings,))}))
        assert (f"scene 'aef:t' {says}" in caplog.text) == warns
