"""From a path to a scene: names, bands, products, and files that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasters import coordinates, make_landsat, make_safe, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.band_choice import select
from owl_geo.sources.bands import Band, common_name, unpadded, with_common_names
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.scene_names import scene_name
from owl_geo.sources.scenes import open_scenes
from owl_geo.types import SceneGrid

GRID = SceneGrid("a", "EPSG:32631", (10, 0, 0, 0, -10, 0), 10, 10)


def named(*names: str) -> tuple[Band, ...]:
    return with_common_names(
        [
            Band(name, "a.tif", i, GRID, "uint16", "GTiff", (1, 10))
            for i, name in enumerate(names, 1)
        ]
    )


def chosen(bands: tuple[Band, ...], *words: str) -> list[tuple[str, int]]:
    return [(band.name, band.number) for band in select(bands, words, "scene 'a'")]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/CO_001.tif", "CO_001"),
        ("data/a.b.tif", "a.b"),
        ("S2B_MSIL2A_x.SAFE", "S2B_MSIL2A_x"),
        ("https://example.org/cogs/B04.tif?sig=a/b.c", "B04"),
        ("/vsizip/a.zip/inner/scene.tif", "scene"),
    ],
)
def test_scene_name(path: str, name: str) -> None:
    assert scene_name(path) == name


def test_scene_name_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "v1.2"
    folder.mkdir()
    assert scene_name(folder) == "v1.2"
    monkeypatch.chdir(folder)
    assert scene_name(".") == "v1.2"


# --- bands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "plain"),
    [("B02", "b2"), ("b2", "b2"), ("B10", "b10"), ("lsat_2000_070", "lsat_2000_70")],
)
def test_padding_does_not_matter(word: str, plain: str) -> None:
    assert unpadded(word) == plain


def test_bands_by_description_number_and_common_name() -> None:
    bands = named("ndvi", "B2", "B3", "B4", "B8")
    assert chosen(bands, "NDVI", "b04", "nir", "2") == [
        ("ndvi", 1),
        ("B4", 4),
        ("nir", 5),
        ("B2", 2),
    ]


def test_a_number_is_a_position(caplog: pytest.LogCaptureFixture) -> None:
    from_0 = named(*(f"Tessera_Band_{i}" for i in range(12)))
    assert chosen(from_0, "1", "2", "12") == [
        ("Tessera_Band_0", 1),
        ("Tessera_Band_1", 2),
        ("Tessera_Band_11", 12),
    ]
    assert chosen(from_0, "0", "1") == [("Tessera_Band_0", 1), ("Tessera_Band_1", 2)]
    assert not caplog.messages
    assert chosen(named("0", "1", "2"), "1", "2") == [("0", 1), ("1", 2)]
    assert caplog.messages == [
        "band 1 is the one at this position, 0; the band called 1 is number 2"
    ]


def test_a_number_that_is_no_position_is_a_name() -> None:
    assert chosen(named("490", "560", "665"), "665", "490") == [("665", 3), ("490", 1)]
    assert chosen(named("lsat_20", "lsat_10"), "10") == [("lsat_10", 2)]


def test_a_description_goes_before_a_common_name() -> None:
    assert chosen(named("x_red", "red"), "red") == [("red", 2)]


def test_spellings_of_common_names() -> None:
    assert common_name("Near Infrared") == "nir"
    assert common_name("SWIR_16") == "swir1"
    assert common_name("B8") is None
    assert chosen(named("Near Infrared", "Red"), "nir", "red") == [("nir", 1), ("Red", 2)]
    assert [band.common for band in named("XS1", "XS2", "XS3")] == ["green", "red", "nir"]


def test_letters_tell_what_bands_are_where_three_of_them_stand_together() -> None:
    def commons(*names: str) -> list[str | None]:
        return [band.common for band in named(*names)]

    assert commons("R", "G", "B", "NIR") == ["red", "green", "blue", "nir"]
    assert commons("n", "r", "g", "b", "x") == ["nir", "red", "green", "blue", None]
    assert commons("B", "G") == [None, None]
    assert commons("R_2019", "G", "B") == [None, None, None]


@pytest.mark.parametrize(
    ("names", "near_infrared"),
    [
        (("B02", "B03", "B04", "B08"), "B08"),
        (("B2", "B3", "B4", "B8"), "B8"),
        (("x_B2", "x_B3", "x_B8"), "x_B8"),
        (("B4", "B5", "B8", "B8A"), "B8"),
        (("B1", "B2", "B3", "B4", "B5"), None),  # Landsat, of a mission we cannot know
        (("B2", "B3", "B4", "B5", "B8"), None),  # Landsat 8 with the panchromatic band
        (("HLS.L30.B02", "HLS.L30.B08"), None),
    ],
)
def test_sentinel2_codes_are_told_from_landsat(
    names: tuple[str, ...], near_infrared: str | None
) -> None:
    found = [band.name for band in named(*names) if band.common == "nir"]
    assert found == ([near_infrared] if near_infrared else [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["redd"], "scene 'a' has no band 'redd'; did you mean 'red'?"),
        (["9"], r"scene 'a' has 4 bands, no band 9: 1 B02 \(blue\), 2 B03 \(green\)"),
        (["0"], "no band 0"),
        (["thermal"], "no band 'thermal'; it has B02, B03"),
        (["B02", "blue"], "the band 'B02' is asked for twice"),
        (["B02", "b2"], "the band 'B02' is asked for twice"),
    ],
)
def test_bands_that_are_not_there(words: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        select(named("B02", "B03", "B04", "B08"), words, "scene 'a'")


def test_a_word_for_several_bands() -> None:
    with pytest.raises(SourceError, match="'red' may mean a_red, b_red"):
        select(named("a_red", "b_red"), ["red"], "scene 'a'")


def test_names_of_bands_without_descriptions(tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain.tif", coordinates(8, 8))
    assert [band.name for band in describe_scene(plain).bands] == ["band_1", "band_2", "band_3"]
    colour = write_raster(
        tmp_path / "colour.tif", coordinates(8, 8, 4, "uint8"), photometric="rgb", alpha="yes"
    )
    scene = describe_scene(colour)
    assert [band.name for band in scene.bands] == ["red", "green", "blue", "alpha"]
    assert [band.name for band in scene.default] == ["red", "green", "blue"]
    twice = write_raster(tmp_path / "twice.tif", coordinates(8, 8), descriptions=("x", "X", "y"))
    assert [band.name for band in describe_scene(twice).bands] == ["x_1", "X_2", "y"]


# --- generic scenes -------------------------------------------------------------------------------


def test_description_of_a_file(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(30, 40), descriptions=("B2", "B3", "B8"))
    scene = describe_scene(path)
    assert (scene.name, scene.kind) == ("a", "GTiff")
    assert (scene.grid.height, scene.grid.width) == (30, 40)
    assert (scene.grid.crs, scene.pixel_size) == ("EPSG:32631", (10, 10))
    assert [band.common for band in scene.default] == ["blue", "green", "nir"]
    assert scene.mask is None


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lsat"
    for i, number in enumerate((10, 20, 30)):
        write_raster(folder / f"lsat7_{number}.tif", coordinates(32, 32)[i : i + 1])
    (folder / "readme.txt").write_text("no raster")
    return folder


def test_a_folder_of_single_band_files(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    source = GeoTiffSource(folder)
    assert source.bands == ("lsat7_10", "lsat7_20", "lsat7_30")
    assert np.array_equal(source.read(["lsat/0/0"])[0], coordinates(32, 32))
    assert GeoTiffSource(folder, bands=("30", "10")).bands == ("lsat7_30", "lsat7_10")


def test_files_listed_one_by_one_keep_their_order(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    files = tuple(str(folder / f"lsat7_{n}.tif") for n in (30, 10))
    source = GeoTiffSource(SceneSettings(name="s", files=files))
    assert source.bands == ("lsat7_30", "lsat7_10")
    assert np.array_equal(source.read(["s/0/0"])[0], coordinates(32, 32)[[2, 0]])


@pytest.mark.parametrize(
    ("stray", "message"),
    [("crs", "strata.tif is in EPSG:3358"), ("broken", "strata.tif as a raster")],
)
def test_a_stray_raster_in_a_folder_only_matters_unless_bands_are_named(
    tmp_path: Path, stray: str, message: str
) -> None:
    folder = _folder(tmp_path)
    if stray == "crs":
        write_raster(folder / "strata.tif", coordinates(32, 32, 1), crs="EPSG:3358")
    else:
        (folder / "strata.tif").write_text("no raster")
    with pytest.raises(SourceError, match=message):
        GeoTiffSource(folder)
    assert len(GeoTiffSource(folder, bands=("10", "20")).index) == 1


def test_the_mask_in_a_folder_is_no_band(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    mask = write_raster(folder / "clouds.tif", np.zeros((1, 32, 32), np.uint8))
    scene = SceneSettings(name="s", path=str(folder), mask=str(mask))
    assert GeoTiffSource(scene, mask_bad=[1]).bands == ("lsat7_10", "lsat7_20", "lsat7_30")


def test_files_that_lie_elsewhere_name_both_extents(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    write_raster(folder / "lsat7_40.tif", coordinates(32, 64, 1))
    with pytest.raises(SourceError, match=r"x 500000 to 500640.*x 500000 to 500320"):
        GeoTiffSource(folder)


def test_half_a_pixel_between_fine_and_coarse_bands_is_allowed(tmp_path: Path) -> None:
    # as between Landsat's panchromatic and other bands
    fine = write_raster(tmp_path / "pan.tif", coordinates(64, 64, 1), pixel=15)
    coarse = tmp_path / "red.tif"
    shifted = coordinates(32, 32, 1)
    write_raster(coarse, shifted, transform=from_origin(500_000 - 7.5, 5_700_000 + 7.5, 30, 30))
    scene = SceneSettings(name="s", files=(str(coarse), str(fine)))
    source = GeoTiffSource(scene, min_valid=0.5)
    assert source.grids["s"].height == 64
    assert np.array_equal(source.read(["s/0/0"])[0, 1], coordinates(32, 32, 1)[0])


def test_scenes_of_different_bands_name_both(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "one.tif", coordinates(32, 32), descriptions=("r", "g", "b"))
    two = write_raster(tmp_path / "two.tif", coordinates(32, 32), descriptions=("r", "g", "x"))
    plain = write_raster(tmp_path / "plain.tif", coordinates(32, 32))
    short = write_raster(tmp_path / "short.tif", coordinates(32, 32, 2))
    with pytest.raises(SourceError, match=r"no band 'b'; it has r, g, x; the first scene, 'one'"):
        GeoTiffSource([one, two])
    with pytest.raises(SourceError, match=r"scene 'short' has no band 'r'"):
        GeoTiffSource([one, short])
    assert GeoTiffSource([one, plain]).bands == ("r", "g", "b")
    assert GeoTiffSource([one, two], bands=("g", "r")).bands == ("g", "r")


def test_same_bands_in_another_order_are_found_by_name(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "one.tif", coordinates(32, 32), descriptions=("B2", "B3", "B4"))
    two = write_raster(tmp_path / "two.tif", coordinates(32, 32), descriptions=("B4", "B3", "B2"))
    source = GeoTiffSource([one, two])
    assert np.array_equal(source.read(["two/0/0"])[0], coordinates(32, 32)[::-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "a.tif does not exist"),
        (lambda p: p.write_text("hello"), "cannot open .*a.tif as a raster"),
        (lambda p: write_raster(p, coordinates(8, 8), crs=None), "a.tif has no CRS"),
        (
            lambda p: write_raster(p, coordinates(8, 8, 2, "complex64")),
            r"a.tif has complex pixels \(complex64\)",
        ),
        (lambda p: p.mkdir(), "a.tif has no rasters to read"),
    ],
)
def test_what_cannot_be_a_scene(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "a.tif"
    make(path)  # type: ignore[operator]
    with pytest.raises(SourceError, match=message) as error:
        GeoTiffSource(path)
    assert "\n" not in str(error.value)


def test_a_crs_without_a_place_on_the_map(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(8, 8), transform=rasterio.Affine.identity())
    with pytest.raises(SourceError, match="no geotransform"):
        GeoTiffSource(path)


def test_a_vrt_and_a_jp2_are_scenes(tmp_path: Path) -> None:
    jp2 = write_raster(
        tmp_path / "a.jp2",
        coordinates(64, 64),
        driver="JP2OpenJPEG",
        quality="100",
        reversible="YES",
    )
    source = GeoTiffSource(jp2)
    assert np.array_equal(source.read(["a/32/32"])[0], coordinates(64, 64)[:, 32:, 32:])


# --- masks ----------------------------------------------------------------------------------------


def test_which_values_of_a_mask_are_bad(tmp_path: Path) -> None:
    safe = SceneSettings(name="safe", path=str(make_safe(tmp_path)))
    landsat = SceneSettings(name="landsat", path=str(make_landsat(tmp_path)))
    quality = next(tmp_path.rglob("*QA_RADSAT.TIF"))
    own = landsat.model_copy(update={"mask": str(quality)})
    words = ("red", "nir")

    def masks(scenes: list[SceneSettings], bad: list[int]) -> list[tuple[tuple[int, ...], int]]:
        found = [scene.mask for scene in open_scenes(scenes, words, bad)]
        return [(mask.values, mask.bits) for mask in found if mask]

    assert masks([safe, landsat], []) == [((0, 1, 3, 8, 9, 10), 0), ((), 31)]
    assert masks([safe, landsat], [3]) == [((3,), 0), ((3,), 0)]
    # the values belong to the mask that a scene names itself
    assert masks([safe, own], [3]) == [((0, 1, 3, 8, 9, 10), 0), ((3,), 0)]


def test_bands_keep_their_place_when_renamed() -> None:
    band = named("B08")[0]
    (found,) = select([band], ["nir"], "scene 'a'")
    assert found == replace(band, name="nir")


@pytest.mark.parametrize(
    ("files", "doubtful"),
    [
        ({"B02": "uint16", "B03": "uint16", "B8A": "uint16", "classes": "uint8"}, "classes"),
        ({"B02": "uint16", "B03": "uint16", "SCL": "uint8"}, ""),  # left out, see test_folders
        ({"x_B2_10m": "uint16", "x_B3_10m": "uint16", "x_truth_20m": "uint16"}, "x_truth_20m"),
        ({"l7_10": "float32", "l7_20": "float32", "l7_70": "int16"}, ""),
        ({"l7_10": "float32", "l7_20": "float32", "strata": "float32"}, "strata"),
        ({"blue": "uint16", "green": "uint16", "nir": "uint16"}, ""),
        ({"blue": "uint8", "green": "uint8", "nir": "uint16"}, ""),
        ({"vv": "float32", "vh": "float32"}, ""),
        ({"vv": "float32", "sites": "uint8"}, "sites"),
        ({"vv": "float32", "vh": "float32", "dem": "int16"}, "dem"),
        ({"one": "uint8"}, ""),
    ],
)
def test_what_looks_like_no_band_of_a_folder(files, doubtful: str, tmp_path: Path) -> None:
    for name, dtype in files.items():
        write_raster(tmp_path / "f" / f"{name}.tif", coordinates(8, 8, 1, dtype))
    assert ",".join(describe_scene(tmp_path / "f").doubtful) == doubtful


def test_a_lone_band_beside_a_raster_of_many_looks_like_none(tmp_path: Path) -> None:
    write_raster(tmp_path / "f" / "CO_001.tif", coordinates(8, 8, 4))
    write_raster(tmp_path / "f" / "CO_001_result.tif", coordinates(8, 8, 1))
    assert describe_scene(tmp_path / "f").doubtful == ("CO_001_result",)
