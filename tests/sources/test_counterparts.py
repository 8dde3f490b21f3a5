"""Bands that are the same in scenes whose names for them differ; and what is said if none is."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import coordinates, make_landsat, make_safe, write_raster

import owl_geo
from owl_geo import Run
from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.counterparts import own_words, said_by
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scenes import open_scenes
from owl_geo.sources.unopened_scenes import UnopenedScenes


def files(folder: Path, *stems: str, name: str = "") -> SceneSettings:
    """Return a scene of single-band files, each of whose pixels are ten times its place."""
    paths = [
        write_raster(folder / f"{stem}.tif", np.full((1, 16, 16), 10 * i, "uint16"))
        for i, stem in enumerate(stems, start=1)
    ]
    scene = name or stems[0]
    return SceneSettings(name=scene, files=tuple(map(str, paths)))


def stems(*scenes: SceneSettings, bands: tuple[str, ...] = ()) -> list[list[str]]:
    """Return the files that the bands of each scene come from, after the names of the bands."""
    source = GeoTiffSource(scenes, bands=bands, patch_size=16)
    read = [[Path(band.path).stem for band in source.raster_bands(s)] for s in source.grids]
    return [list(source.bands), *read]


# --- by words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        # in another order, so that it is the name that counts
        (("d1_10", "d1_20", "d1_30"), ("d2_30", "d2_10", "d2_20"), (1, 2, 0)),
        (("may_red", "may_nir"), ("nir_june", "red_june"), (1, 0)),
        (("may_red", "may_nir"), ("nir", "red"), (1, 0)),
        (("red", "nir"), ("may_nir", "may_red"), (1, 0)),
        (("may_red", "may_nir"), ("june_nir", "june_red_edge", "june_red"), (2, 0)),
        (("red2019", "nir2019"), ("nir2020", "red2020"), (1, 0)),
        (("a_10", "a_20", "dem"), ("dem", "b_10", "b_20"), (1, 2, 0)),
        (("x_B4", "x_B5"), ("y_B05", "y_B04"), (1, 0)),
        (
            ("s1a-iw-grd-vv-20190630t053522-001", "s1a-iw-grd-vh-20190630t053522-002"),
            ("s1a-iw-grd-vh-20190712t053522-002", "s1a-iw-grd-vv-20190712t053522-001"),
            (1, 0),
        ),
        (
            ("LE07_L1TP_193029_20200715_20200912_02_T1_B3", "LE07_L1TP_193029_20200715_x_B4"),
            ("LC08_L1TP_193029_20200716_20200912_02_T1_B4", "LC08_L1TP_193029_20200716_x_B5"),
            (0, 1),
        ),
        (
            ("T32UQD_20190630T104031_B04_10m", "T32UQD_20190630T104031_B08_10m"),
            ("LC08_193029_20200716_B5", "LC08_193029_20200716_B4"),
            (1, 0),
        ),
    ],
)
def test_separate_files_are_joined_by_what_differs_between_them(
    first: tuple[str, ...], second: tuple[str, ...], same: tuple[int, ...], tmp_path: Path
) -> None:
    scenes = files(tmp_path / "1", *first, name="a"), files(tmp_path / "2", *second, name="b")
    names, own, other = stems(*scenes)
    assert names == own == list(first)
    assert other == [second[i] for i in same]


def test_folders_of_files_are_joined_as_files_are(tmp_path: Path) -> None:
    files(tmp_path / "may", "may_red", "may_nir")
    files(tmp_path / "june", "june_nir", "june_red", "june_swir")
    folders = [SceneSettings(name=n, path=str(tmp_path / n)) for n in ("may", "june")]
    assert stems(*folders)[1:] == [["may_nir", "may_red"], ["june_nir", "june_red"]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("may_red", "may_nir"), ("june_red_edge", "june_nir")),  # red is not a red edge
        (("may_red", "may_nir"), ("june_red_a", "june_red_b", "june_nir")),  # either
        (("s_20190101", "s_20190201"), ("t_20200101", "t_20200201")),  # bands of other months
        (("q1",), ("q2",)),  # of one file nothing differs
        # of Sentinel-2 a red edge, of Landsat near infrared, of nobody knows what
        (("T32UQD_20190630T104031_B04", "T32UQD_20190630T104031_B05"), ("LC08_B4", "LC08_B5")),
        (("x_B4", "x_B5"), ("LC08_193029_20200716_B4", "LC08_193029_20200716_B5")),
    ],
)
def test_what_may_be_another_band_is_refused(
    first: tuple[str, ...], second: tuple[str, ...], tmp_path: Path
) -> None:
    scenes = files(tmp_path / "1", *first, name="a"), files(tmp_path / "2", *second, name="b")
    with pytest.raises(SourceError, match=r"scene 'b' has no band .*; the first scene, 'a', has"):
        stems(*scenes)


def test_numbers_in_the_names_of_a_stack_are_positions_and_nothing_more(tmp_path: Path) -> None:
    for name, descriptions in (("a", ("one_0", "one_1")), ("b", ("two_0", "two_1"))):
        write_raster(tmp_path / f"{name}.tif", coordinates(16, 16, 2), descriptions=descriptions)
    with pytest.raises(SourceError, match="has no band 'one_0'"):
        GeoTiffSource([tmp_path / "a.tif", tmp_path / "b.tif"])


def test_bands_that_are_asked_for_are_found_in_all_scenes(tmp_path: Path) -> None:
    one = files(tmp_path, "d1_10", "d1_20", "d1_30")
    two = files(tmp_path, "d2_30", "d2_10", "d2_20")
    for word in ("20", "d1_20"):
        assert stems(one, two, bands=(word,)) == [["d1_20"], ["d1_20"], ["d2_20"]]


def test_a_number_that_means_another_file_in_each_scene_is_refused(tmp_path: Path) -> None:
    one, two = files(tmp_path, "d1_10", "d1_20"), files(tmp_path, "d2_20", "d2_10")
    with pytest.raises(SourceError, match=r"d1_10 of 'd1_10' is d2_20 here, by its name d2_10"):
        stems(one, two, bands=("1", "2"))
    assert stems(one, files(tmp_path, "d3_10", "d3_20"), bands=("2",))[2] == ["d3_20"]


def test_words_that_speak_of_a_scene() -> None:
    june, may = ("june_red", "june_nir"), ("may_red", "may_nir", "dem")
    assert dict(own_words(may, june)) == {
        "may_red": ("red",),
        "may_nir": ("nir",),
        "dem": ("dem",),
    }


def test_what_names_say_without_what_they_share() -> None:
    names = ("T31_x_B04_10m", "T31_x_B05_10m")
    assert dict(said_by(("red_may_1", "nir_may_1"))) == {"red_may_1": "red", "nir_may_1": "nir"}
    assert set(said_by(names).values()) == {None}  # codes of nobody
    tiles = said_by([name.replace("T31_x", "T31UFS_20190630T104031") for name in names])
    assert list(tiles.values()) == ["red", "rededge1"]
    assert said_by(("may_red",)) == {}
    assert list(said_by(("band_red", "band_red_edge")).values()) == ["red", "rededge1"]


# --- by what they are -----------------------------------------------------------------------------


def test_files_stand_beside_products_by_what_their_names_say(tmp_path: Path) -> None:
    product = SceneSettings(name="l", path=str(make_landsat(tmp_path, size=16)))
    may = files(tmp_path, "may_nir", "may_red")
    whole = stems(may, product)
    assert [stem[-5:] for stem in whole[2]] == ["SR_B5", "SR_B4"]
    assert stems(product, may, bands=("red", "nir"))[2] == ["may_red", "may_nir"]


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("products")
    return [
        make_landsat(folder / "2", size=16),
        make_landsat(folder / "2", sensor="ETM", size=16),
        make_landsat(folder / "1", level=1, size=16),
        make_safe(folder / "2A", size=24),
        make_safe(folder / "1C", level="1C", size=24),
    ]


@pytest.mark.parametrize("first", range(5))
def test_products_of_any_level_and_sensor_have_the_same_bands(
    first: int, products: list[Path]
) -> None:
    ordered = [products[first], *products[:first], *products[first + 1 :]]
    scenes = [SceneSettings(name=str(i), path=str(path)) for i, path in enumerate(ordered)]
    for wanted in ((), ("blue", "green", "red", "nir")):
        opened = open_scenes(scenes, wanted)
        assert [[band.common for band in scene.bands] for scene in opened] == [
            ["blue", "green", "red", "nir"]
        ] * 5
        assert len({tuple(band.name for band in scene.bands) for scene in opened}) == 1


# --- in a run -------------------------------------------------------------------------------------


def test_a_run_on_files_grows_by_others_and_opens_again(tmp_path: Path) -> None:
    may = files(tmp_path, "d1_10", "d1_20", "d1_30", name="may")
    scenes = [may.model_dump(exclude_none=True)]
    source = {"kind": "geotiff", "patch_size": 4, "scenes": scenes, "bands": ["d1_20"]}
    source["same_ground"] = "keep"
    run = owl_geo.init(tmp_path / "run", {"source": source, "loop": {"initial": 4}}).run
    june = files(tmp_path, "d2_30", "d2_20", "d2_10", name="june")
    owl_geo.add(run.path, [f"june={','.join(june.files)}"])
    for opened in (Run(run.path).source, pickle.loads(pickle.dumps(Run(run.path).source))):
        assert opened.bands == ("d1_20",)
        assert opened.read(["may/0/0", "june/0/0"])[:, 0, 0, 0].tolist() == [20, 20]
    run = Run(run.path)
    part = UnopenedScenes(run.settings_here.source).open_in_part(
        run.patches, run.grids, opened.known_bands
    )
    assert part[1] == {}
    with pytest.raises(SourceError, match=r"; the run has d1_20; add scenes that have"):
        owl_geo.add(run.path, [str(write_raster(tmp_path / "x.tif", coordinates(16, 16, 2)))])


# --- what is said ---------------------------------------------------------------------------------


def test_both_lists_are_said_and_what_both_have(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "one.tif", coordinates(8, 8), descriptions=("red", "nir", "b"))
    two = write_raster(tmp_path / "two.tif", coordinates(8, 8), descriptions=("nir", "Red", "x"))
    with pytest.raises(SourceError) as caught:
        GeoTiffSource([one, two])
    assert str(caught.value) == (
        "scene 'two' has no band 'b'; it has nir, Red, x; the first scene, 'one', has red, nir, b; "
        "both have --bands red,nir"
    )
    assert GeoTiffSource([one, two], bands=("red", "nir"), patch_size=4).bands == ("red", "nir")


def test_a_code_that_is_another_band_is_said_with_both_lists(tmp_path: Path) -> None:
    new, old = make_landsat(tmp_path, size=16), make_landsat(tmp_path, sensor="TM", size=16)
    with pytest.raises(SourceError) as caught:
        GeoTiffSource([new, old], bands=("B2", "B3"))
    text = str(caught.value)
    assert "its SR_B2 is green, SR_B2 of the other scenes is blue; it has SR_B1 (blue)" in text
    assert "the first scene, 'LC08_L2SP_193029_20200715_20200912_02_T1', has SR_B1 (coas" in text
    assert text.endswith("; both have --bands blue,green")


def test_a_code_that_means_something_else_to_another_sensor_is_refused(tmp_path: Path) -> None:
    """B05 of ASTER is nobody's common name, SR_B5 of Landsat 8 near infrared."""
    aster = ("B01", "B02", "B3N", "B04", "B05")
    modis = ("sur_refl_b01", "sur_refl_b02", "sur_refl_b05")
    for name, names in (("aster", aster), ("modis", modis)):
        values = coordinates(16, 16, len(names))
        write_raster(tmp_path / f"{name}.tif", values, descriptions=names)
    landsat = make_landsat(tmp_path, size=16)
    one, two = tmp_path / "aster.tif", tmp_path / "modis.tif"
    with pytest.raises(SourceError, match=r"its SR_B5 is nir, and nothing tells what B05 is; it"):
        GeoTiffSource([one, landsat], bands=["B05"])
    with pytest.raises(SourceError, match=r"its sur_refl_b05 is of another sensor than B05 of 'as"):
        GeoTiffSource([one, two], bands=["red", "B05"])
    assert GeoTiffSource([one, two, landsat], bands=["red"], patch_size=16).bands == ("red",)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    names = tuple(f"wave {i}" for i in range(20))
    many = write_raster(tmp_path / "m.tif", coordinates(8, 8, 20), descriptions=names)
    few = write_raster(tmp_path / "few.tif", coordinates(8, 8, 1), descriptions=("y",))
    with pytest.raises(SourceError, match=r"wave 6, wave 7 and 12 more; name bands that both have"):
        GeoTiffSource([many, few])


# --- units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("stored", "scaled"), "'scaled' has scaled values and scene 'stored' pixels as they are"),
        (("floats", "stored"), "'floats' has floating-point values and scene 'stored' pixels as"),
        (("stored", "2A"), "'2A' has surface reflectance and scene 'stored' pixels as they are"),
        (("2A", "1C"), "'2A' has surface reflectance and scene '1C' top-of-atmosphere reflectance"),
        (("2A", "L1"), "'2A' has surface reflectance and scene 'L1' top-of-atmosphere reflectance"),
        (("L1", "L2"), "'L1' has top-of-atmosphere reflectance and scene 'L2' surface reflectance"),
        (("2A", "L2", "scaled", "floats"), ""),
        (("1C", "L1"), ""),
        (("stored", "offset"), ""),  # an offset alone leaves digital numbers
        (("stored", "stored"), ""),
    ],
)
def test_units_that_differ_are_said_once(
    made: tuple[str, ...], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    makers = {
        "stored": lambda p: write_raster(p, coordinates(16, 16), descriptions=RGB),
        "offset": lambda p: write_raster(
            p, coordinates(16, 16), descriptions=RGB, offsets=(-1000.0,) * 3, scales=(1.0,) * 3
        ),
        "scaled": lambda p: write_raster(
            p, coordinates(16, 16), descriptions=RGB, scales=(1e-4,) * 3
        ),
        "floats": lambda p: write_raster(p, coordinates(16, 16, 3, "float32"), descriptions=RGB),
        "2A": lambda p: make_safe(p, size=24),
        "1C": lambda p: make_safe(p, "1C", size=24),
        "L1": lambda p: make_landsat(p, 1, size=16),
        "L2": lambda p: make_landsat(p, 2, size=16),
    }
    scenes = [
        SceneSettings(name=f"{one}{'' if i == made.index(one) else i}", path=str(makers[one](p)))
        for i, one in enumerate(made)
        for p in [tmp_path / f"{i}.tif"]
    ]
    source = GeoTiffSource(scenes, bands=("red", "green", "blue"), patch_size=8)
    with caplog.at_level(logging.WARNING):
        source.check_bands()
    of_values = [line for line in caplog.messages if "pixels of the scenes" not in line]
    assert len(of_values) == bool(said)
    assert said in "".join(of_values)


RGB = ("red", "green", "blue")


def test_a_scene_that_is_added_in_other_units_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = write_raster(tmp_path / "plain.tif", coordinates(16, 16))
    scaled = write_raster(tmp_path / "scaled.tif", coordinates(16, 16), scales=(1e-4,) * 3)
    settings = {"kind": "geotiff", "patch_size": 4, "scenes": [{"name": "p", "path": str(plain)}]}
    run = owl_geo.init(tmp_path / "run", {"source": settings, "loop": {"initial": 4}}).run
    owl_geo.add(run.path, [str(scaled)])
    said = [text for text in caplog.messages if "as they are stored" in text]
    assert said == [
        "scene 'scaled' has scaled values and scene 'p' pixels as they are stored; if both measure "
        "one thing, set scale and offset of the latter in owl.toml"
    ]


# --- pixel sizes ----------------------------------------------------------------------------------


def scene_of(pixel: float, path: Path, crs: str = "EPSG:32631") -> SceneSettings:
    y = 52.0 if crs == "EPSG:4326" else 5_700_000.0
    x = 5.0 if crs == "EPSG:4326" else 500_000.0
    write_raster(path, coordinates(16, 16), crs=crs, transform=from_origin(x, y, pixel, pixel))
    return SceneSettings(name=path.stem, path=str(path))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (
            [(10, "EPSG:32631"), (30, "EPSG:32631"), (10, "EPSG:32632")],
            ("10 m in 's0' and 1 more",),
        ),
        ([(30, "EPSG:32631"), (10, "EPSG:32631")], ("30 m in 's0'", "80 m and 240 m of ground")),
        ([(10, "EPSG:32631"), (0.0003, "EPSG:4326")], ("10 m in 's0'", "26.2 m in 's1'")),
        ([(10, "EPSG:3857"), (10, "EPSG:32631")], ("7.01 m in 's0'", "10 m in 's1'")),  # at 45.5 N
        ([(10, "EPSG:32631"), (0.0001, "EPSG:4326")], ()),  # 8.7 m
        ([(10, "EPSG:32631"), (10, "EPSG:32632"), (12, "EPSG:32631")], ()),
    ],
)
def test_pixels_of_clearly_different_size_are_said_once(
    made: list[tuple[float, str]],
    says: tuple[str, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scenes = [scene_of(p, tmp_path / f"s{i}.tif", crs) for i, (p, crs) in enumerate(made)]
    GeoTiffSource(scenes, patch_size=8).check_bands()
    assert len(caplog.messages) == bool(says)
    assert all(word in caplog.text for word in (*says, *(["resample the scenes"] if says else [])))


def test_a_scene_that_is_added_with_other_pixels_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = (scene_of(p, tmp_path / f"s{p:g}.tif") for p in (10.0, 30.0))
    settings = {"kind": "geotiff", "patch_size": 4, "scenes": [first.model_dump()]}
    run = owl_geo.init(tmp_path / "run", {"source": settings, "loop": {"initial": 4}}).run
    assert "pixels of the scenes" not in caplog.text
    owl_geo.add(run.path, [str(other.path)])
    assert "10 m in 's10', 30 m in 's30'" in caplog.text
