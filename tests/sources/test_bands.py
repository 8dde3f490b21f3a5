"""What a band is, by what its file says of it, and that it stays the same band in a run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from in_process import Owl, owl
from rasterio.transform import from_origin
from rasters import make_landsat, make_safe, write_raster

import owl_geo
from owl_geo import Run
from owl_geo.errors import ConfigError, SourceError
from owl_geo.sources.band_choice import KnownBand, like_known
from owl_geo.sources.bands import described
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene

__all__ = ["owl"]


def numbered(path: Path, n: int, descriptions: tuple[str, ...] = (), **profile: object) -> Path:
    """Write bands whose every pixel is 10 times their number."""
    dtype = str(profile.pop("dtype", "uint8"))
    values = np.stack([np.full((32, 32), 10 * (i + 1)) for i in range(n)]).astype(dtype)
    return write_raster(path, values, descriptions=descriptions, **profile)


def value(path: object, word: str) -> float:
    source = GeoTiffSource(path, bands=[word], patch_size=16)
    return float(source.read(source.index["patch_id"][:1].tolist()).max())


def commons(path: Path) -> list[str | None]:
    return [band.common for band in describe_scene(path).bands]


def test_numbers_of_bands_may_be_written_as_numbers(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", 4, ("B2", "B3", "B4", "B8"))
    for bands in ([4, 3], ["4", 3], np.array([4, 3]), ("B8", "B4")):
        assert GeoTiffSource(path, bands=bands, patch_size=16).bands == ("B8", "B4")
    source = {"kind": "geotiff", "patch_size": 16, "bands": [4, 3]}
    run = owl_geo.init(
        tmp_path / "r", {"source": source | {"scenes": [{"name": "a", "path": path}]}}
    )
    assert run.bands == ("B8", "B4") and repr(run.run) == f"Run('{tmp_path / 'r'}')"
    for bands, wrong in (([True], "bands.0 is True"), ([4.0], "bands.0 is 4.0")):
        with pytest.raises(SourceError, match=wrong):
            GeoTiffSource(path, bands=bands)
    for kind in (GeoTiffSource, owl_geo.CubeSource):
        with pytest.raises(ConfigError, match="bands is '43', but it must be a list"):
            kind(path, bands="43")  # not bands 4 and 3


# --- what a band is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "descriptions",
    [
        ("B08", "B04", "B03"),
        ("Near Infrared", "Red band", "Green band"),
        ("B8 (NIR)", "B4 - Red", "Band 3: green"),
        ("B8, central wavelength 842 nm", "B4, central wavelength 665 nm", "560 Nanometers"),
        ("nir", "red", "green"),
    ],
)
def test_the_colour_in_which_a_band_is_shown_is_not_what_it_is(
    descriptions: tuple[str, ...], tmp_path: Path
) -> None:
    path = numbered(tmp_path / "a.tif", 3, descriptions)  # GDAL writes three of 8 bits as RGB
    assert [value(path, word) for word in ("nir", "red", "green")] == [10, 20, 30]
    with pytest.raises(SourceError, match="no band 'blue'"):
        GeoTiffSource(path, bands=["blue"])


def test_a_code_without_its_sensor_is_nothing_and_no_colour_either(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", 3, ("SR_B5", "SR_B4", "SR_B3"))
    assert commons(path) == [None, None, None]
    path = numbered(tmp_path / "LC09_a.tif", 3, ("SR_B5", "SR_B4", "SR_B3"))
    assert commons(path) == ["nir", "red", "green"]


@pytest.mark.parametrize("descriptions", [(), ("Band 1", "Band_2", "layer 3")])
def test_colours_count_where_nothing_else_is_said(
    descriptions: tuple[str, ...], tmp_path: Path
) -> None:
    path = numbered(tmp_path / "a.tif", 3, descriptions)
    assert commons(path) == ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("units", "wavelengths"),
    [
        ("wavelength units = Nanometers\n", "490, 560, 665, 842"),
        ("wavelength units = Micrometers\n", "0.49, 0.56, 0.665, 0.842"),
        ("", "490, 560, 665, 842"),
    ],
)
@pytest.mark.parametrize("names", ["", "band names = {a, b, c, d}\n"])
def test_envi_says_it_by_wavelengths(
    units: str, wavelengths: str, names: str, tmp_path: Path
) -> None:
    pixels = np.stack([np.full((32, 32), 10 * (i + 1)) for i in range(4)]).astype("<u2")
    pixels.tofile(tmp_path / "e.dat")
    (tmp_path / "e.hdr").write_text(
        "ENVI\nsamples = 32\nlines = 32\nbands = 4\ndata type = 12\ninterleave = bsq\n"
        "byte order = 0\nmap info = {UTM, 1, 1, 500000, 5000000, 10, 10, 31, North, WGS-84}\n"
        f"wavelength = {{{wavelengths}}}\n{units}{names}default bands = {{4, 3, 2}}\n"
    )
    path = tmp_path / "e.dat"
    assert commons(path) == ["blue", "green", "red", "nir"]
    assert [value(path, word) for word in ("red", "nir", "blue")] == [30, 40, 10]


def test_gdal_s_own_wavelengths_go_before_descriptions_and_colours(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", 3, ("red", "", ""))
    with rasterio.open(path, "r+") as dataset:
        for number, micrometres in enumerate((0.842, 0.665, 0.56), start=1):
            dataset.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=micrometres)
    assert commons(path) == ["nir", "red", "green"]
    assert value(path, "red") == 20
    bare = numbered(tmp_path / "b.tif", 2, ("red", ""), dtype="uint16")
    with rasterio.open(bare, "r+") as dataset:
        dataset.update_tags(1, wavelength="842", wavelength_units="nm")
    with pytest.raises(SourceError, match="the band of that name is nir by its wavelength"):
        GeoTiffSource(bare, bands=["red"])


def test_tags_that_name_the_satellite(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tif", 5, tuple(f"B{i}" for i in range(1, 6)), dtype="uint16")
    assert commons(path) == [None] * 5
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(SPACECRAFT_ID="LANDSAT_7")
    assert commons(path) == ["blue", "green", "red", "nir", "swir1"]


@pytest.mark.parametrize(
    ("text", "common"),
    [
        ("Red band", "red"),
        ("Surface reflectance NIR", "nir"),
        ("SWIR 1 (B11)", "swir1"),
        ("Band 4 red", "red"),
        ("250m 16 days NIR reflectance", "nir"),
        ("Red_Median", "red"),
        ("nir_p25", "nir"),
        ("red_stdDev", None),
        ("Deep Blue", "coastal"),  # of Pleiades Neo
        ("Near-IR", "nir"),
        ("NIR1", "nir"),
        ("Panchro", "pan"),
        ("NIR 2", None),  # WorldView's second one
        ("vegetation red edge", None),
        ("red and nir", None),
        ("x_red", None),
        ("red / nir", None),
    ],
)
def test_what_descriptions_say(text: str, common: str | None) -> None:
    assert described(text) == common


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("site_red", "site_nir", "site_red_edge"), "red nir rededge1"),
        (("x_transparent_reflectance_red", "x_transparent_reflectance_nir"), "red nir"),
        (("nbart_red", "nbart_swir_1", "nbart_swir_2", "count"), "red swir1 swir2 -"),
        (("S_RED_2014-02-18", "S_NIR_2014-02-18", "S_NDVI_2014-02-18"), "red nir -"),
        (("may_red", "may_nir", "june_red", "june_nir"), "red nir red nir"),
        # Digital Earth Australia's Sentinel-2: 1,610 and 2,190 nm
        (("nbart_swir_2", "nbart_swir_3", "nbart_red"), "swir1 swir2 red"),
        (("swir_2", "swir_3", "red"), "swir1 swir2 red"),
        # WorldView-3's first is at 1,210 nm, its third at 1,660
        (("SWIR1", "SWIR2", "SWIR3", "SWIR4", "red"), "- - - - red"),
        (("x_red", "ndvi"), "- -"),  # one alone says nothing
        (("std_red", "std_nir"), "- -"),
        (("dist_red", "count_nir"), "- -"),
    ],
)
def test_names_that_end_in_what_a_band_is(
    names: tuple[str, ...], wanted: str, tmp_path: Path
) -> None:
    path = numbered(tmp_path / "a.tif", len(names), names, dtype="uint16")
    assert [common or "-" for common in commons(path)] == wanted.split()


def test_separate_files_are_known_by_the_ends_of_their_names(tmp_path: Path) -> None:
    """As Pix4D and DJI Terra write the bands of one flight."""
    for word in ("Green", "NIR", "Red", "RedEdge"):
        numbered(tmp_path / f"result_{word}.tif", 1, dtype="uint16")
    assert commons(tmp_path) == ["green", "nir", "red", "rededge1"]


def test_names_with_commas_are_put_together_again(tmp_path: Path) -> None:
    names = ("B4, central wavelength 665 nm", "B8, central wavelength 842 nm")
    path = numbered(tmp_path / "a.tif", 2, names)
    for words in ([*names[1].split(","), names[0]], ["B8", "B4"], ["2", "1"]):
        source = GeoTiffSource(path, bands=words, patch_size=16)
        assert source.bands == names[::-1]


# --- the same band in all scenes ------------------------------------------------------------------


def test_two_landsats_and_a_sentinel_2_have_the_same_bands(tmp_path: Path) -> None:
    new = make_landsat(tmp_path, sensor="OLI_TIRS")
    old, safe = make_landsat(tmp_path, sensor="TM"), make_safe(tmp_path)
    source = GeoTiffSource([new, old, safe])
    assert source.bands == ("SR_B2", "SR_B3", "SR_B4", "SR_B5")
    bands = [[Path(b.path).stem[-2:] for b in source.raster_bands(s)] for s in source.grids]
    assert bands[:2] == [["B2", "B3", "B4", "B5"], ["B1", "B2", "B3", "B4"]]
    assert [b.common for b in source.raster_bands(safe.stem)] == ["blue", "green", "red", "nir"]
    with pytest.raises(SourceError, match=r"its SR_B2 is green, SR_B2 of the other scenes is blue"):
        GeoTiffSource([new, old], bands=["SR_B2"])
    reopened = pickle.loads(pickle.dumps(source))
    assert reopened.known_bands == source.known_bands


def test_a_narrow_near_infrared_serves_where_there_is_no_other(tmp_path: Path) -> None:
    narrow = numbered(tmp_path / "one.tif", 2, ("red", "nir08"))
    both = numbered(tmp_path / "two.tif", 3, ("nir08", "nir", "red"))
    assert value(narrow, "nir") == value(narrow, "nir08") == 20
    source = GeoTiffSource([narrow, both], bands=["nir"], patch_size=32)
    assert source.read(["one/0/0", "two/0/0"])[:, 0, 0, 0].tolist() == [20, 20]
    assert [band.common for band in source.known_bands] == ["nir"]


def test_a_number_means_the_same_band_of_scenes_in_another_order(tmp_path: Path) -> None:
    one = numbered(tmp_path / "one.tif", 3, ("a", "b", "c"))
    two = numbered(tmp_path / "two.tif", 3, ("c", "b", "a"))
    source = GeoTiffSource([one, two], bands=["1", "2"], patch_size=32)
    assert source.read(["two/0/0"])[0, :, 0, 0].tolist() == [30, 20]


def test_bands_with_the_size_of_their_pixels_behind_the_code(tmp_path: Path) -> None:
    """As those in a Sentinel-2 product of level 2, copied out of it."""
    for i, code in enumerate(("B02", "B03", "B04", "B08"), start=1):
        values = np.full((1, 16, 16), 10 * i, np.uint16)
        write_raster(tmp_path / f"T31TFM_20230616T103629_{code}_10m.tif", values)
    assert commons(tmp_path) == ["blue", "green", "red", "nir"]
    assert [value(tmp_path, word) for word in ("B04", "b8", "green")] == [30, 40, 20]


def test_bands_with_what_they_were_reduced_by_behind_the_code(tmp_path: Path) -> None:
    """As Earth Engine exports them, and sits its files."""
    path = numbered(tmp_path / "a.tif", 3, ("B4_mean", "B4_stdDev", "B8_mean"))
    assert commons(path) == ["red", None, "nir"]
    assert [value(path, word) for word in ("B4", "nir", "B4_stdDev")] == [10, 30, 20]
    several = numbered(tmp_path / "b.tif", 2, ("B4_p25", "B4_p75"), dtype="uint16")
    with pytest.raises(SourceError, match="'B4' may mean B4_p25, B4_p75"):
        GeoTiffSource(several, bands=["B4"])
    for i, code in enumerate(("B04", "B08"), start=1):
        values = np.full((1, 16, 16), 10 * i, np.uint16)
        write_raster(tmp_path / "c" / f"SENTINEL-2_MSI_20LKP_{code}_2020-06-04.tif", values)
    assert [value(tmp_path / "c", word) for word in ("B08", "red")] == [20, 10]


@pytest.mark.parametrize("named_first", [True, False])
def test_bands_that_only_their_order_tells_are_said(
    named_first: bool, tmp_path: Path, owl: Owl
) -> None:
    for km, (name, words) in enumerate(
        [("named", ("B8", "B4", "B3")), ("plain", ()), ("more", ())]
    ):
        to_map = from_origin(500_000 + 1000 * km, 5_000_000, 10, 10)
        numbered(tmp_path / f"{name}.tif", 3, words, dtype="uint16", transform=to_map)
    first, second = ("named", "plain") if named_first else ("plain", "named")
    own, stands = ("band_1", "B8") if named_first else ("B8", "band_1")
    note = f"scene '{second}': only their order tells which bands these are: {own} is taken for "
    scenes = [tmp_path / f"{name}.tif" for name in (first, second)]
    run = tmp_path / "run"

    done = owl("init", run, "--scene", scenes[0], "--scene", scenes[1], "--patch-size", 8)
    assert f"{note}{stands}, " in done.err
    source = Run(run).source
    assert source.read([f"{second}/0/0"])[0, :, 0, 0].tolist() == [10, 20, 30]
    assert "only their order" not in owl("query", run).err  # it has been said

    done = owl("init", tmp_path / "grows", "--scene", scenes[0], "--patch-size", 8)
    assert "only their order" not in done.err
    done = owl("add", tmp_path / "grows", "--scene", scenes[1])
    assert f"{note}{stands}, " in done.err

    done = owl(
        *("init", tmp_path / "beside", "--scene", scenes[0], "--patch-size", 8),
        *("--scene", tmp_path / "more.tif", "--scene", tmp_path / "plain.tif"),
    )
    assert ("'more' and 1 more: " in done.err) == named_first


def test_bands_are_not_taken_by_order_for_others_than_they_are(tmp_path: Path) -> None:
    """Here they have no names, and wavelengths that contradict the order."""
    named = numbered(tmp_path / "named.tif", 3, ("red", "green", "nir"), dtype="uint16")
    other = numbered(tmp_path / "other.tif", 3, dtype="uint16")
    with rasterio.open(other, "r+") as dataset:
        for band, micrometres in enumerate(("0.49", "0.56", "0.66"), start=1):
            dataset.update_tags(
                band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=micrometres, FWHM_UM="0.03"
            )
    with pytest.raises(SourceError, match="scene 'other' has no band 'nir'"):
        GeoTiffSource([named, other], patch_size=8)


@pytest.mark.parametrize("named_first", [True, False])
def test_dimensions_of_an_embedding_are_not_taken_by_order(
    named_first: bool, tmp_path: Path
) -> None:
    names = tuple(f"A{i:02d}" for i in range(64))
    paths = [tmp_path / "named.tif", tmp_path / "plain.tif"]
    for path, words in zip(paths, (names, ()), strict=True):
        write_raster(path, np.ones((64, 16, 16), np.int8), descriptions=words, nodata=-128)
    with pytest.raises(SourceError, match=r"has no band '(A00|band_1)'.*set `names` of a scene"):
        GeoTiffSource(paths if named_first else paths[::-1], patch_size=4)


# --- in a run -------------------------------------------------------------------------------------


def _init(path: Path, scene: Path, **source: object) -> Run:
    scenes = [{"name": "s", "path": str(scene)}]
    return owl_geo.init(
        path,
        {
            "source": {"kind": "geotiff", "patch_size": 8, "scenes": scenes, **source},
            "loop": {"initial": 4},
        },
    ).run


def test_a_run_keeps_what_its_bands_are(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path)
    run = _init(tmp_path / "run", folder)
    assert run.index.statistics.common_names == ("blue", "green", "red", "nir")
    assert Run(run.path).source.known_bands[3].common == "nir"
    assert owl_geo.query(run).number == 0


def test_a_run_finds_its_bands_by_name_in_whatever_order_they_come(tmp_path: Path) -> None:
    path = numbered(tmp_path / "s.tif", 3, ("a", "b", "c"))
    run = _init(tmp_path / "run", path)
    before = run.source.read(["s/0/0"])
    numbered(path, 3, ("c", "b", "a"))
    after = Run(run.path).source
    assert after.bands == ("a", "b", "c")
    assert np.array_equal(after.read(["s/0/0"])[0], before[0, ::-1])


def test_a_run_of_before_goes_by_its_names(tmp_path: Path) -> None:
    """As index.json was before it said what bands are, and numbers were the ends of names first."""
    path = numbered(tmp_path / "s.tif", 3, ("T_0", "T_1", "T_2"))
    run = _init(tmp_path / "run", path, bands=["2", "3"])
    index = run.path / "index.json"
    record = json.loads(index.read_text(encoding="utf-8"))
    assert record["statistics"]["bands"] == ["T_1", "T_2"]
    del record["statistics"]["common_names"]
    record["statistics"]["bands"] = ["T_2", "T_0"]
    index.write_text(json.dumps(record), encoding="utf-8")
    source = Run(run.path).source
    assert source.bands == ("T_2", "T_0")
    assert source.read(["s/0/0"])[0, :, 0, 0].tolist() == [30, 10]


@pytest.mark.parametrize(
    ("descriptions", "words", "taken"),
    [
        (("B08", "B04", "B03"), ["red"], "red is B04, but the run may have been made with B08"),
        (
            tuple(f"sur_refl_b0{i}" for i in range(1, 5)),
            ["red"],
            "red is sur_refl_b01, but the run may have been made with sur_refl_b04",
        ),
        (("B02", "B03", "B04"), ["red"], None),
        ((), ["red"], None),
    ],
)
def test_a_run_that_took_another_band_for_red_is_not_gone_on_with(
    descriptions: tuple[str, ...], words: list[str], taken: str | None, tmp_path: Path
) -> None:
    n = len(descriptions) or 3
    path = numbered(tmp_path / "s.tif", n, descriptions, dtype="uint8" if n == 3 else "uint16")
    if taken is None and descriptions:
        path = numbered(tmp_path / "s.tif", n, descriptions, dtype="uint16")
    run = _init(tmp_path / "run", path, bands=words)
    index = run.path / "index.json"
    record = json.loads(index.read_text(encoding="utf-8"))
    del record["statistics"]["common_names"]  # as it was before
    index.write_text(json.dumps(record), encoding="utf-8")
    if taken is None:
        assert Run(run.path).source.bands == ("red",)
        return
    with pytest.raises(SourceError, match=taken):
        _ = Run(run.path).source


def test_a_product_of_a_run_of_before_has_the_bands_it_had(tmp_path: Path) -> None:
    for folder, code in (
        (make_landsat(tmp_path, sensor="TM"), "B3"),
        (make_landsat(tmp_path), "B4"),
        (make_safe(tmp_path), "B04"),
    ):
        bands = describe_scene(folder).bands
        (band,) = like_known(bands, [KnownBand("red")], ["red"], "scene 's'")
        assert band.name == "red"
        assert code in Path(band.path).stem


def test_bands_that_nothing_tells_apart_are_said(tmp_path: Path, owl: Owl) -> None:
    note = "nothing tells which of the 7 bands are red, near infrared and so on"
    path = numbered(tmp_path / "s.tif", 7, dtype="uint16")
    done = owl("init", tmp_path / "run", "--scene", path, "--patch-size", 8)
    assert note in done.out + done.err
    six = numbered(tmp_path / "six.tif", 6, dtype="uint16")  # of six, every pair is compared
    done = owl("init", tmp_path / "six", "--scene", six, "--patch-size", 8)
    assert "nothing tells" not in done.out + done.err


def test_a_range_of_numbers_stands_for_the_bands_in_it(tmp_path: Path, owl: Owl) -> None:
    path = numbered(tmp_path / "s.tif", 12, dtype="uint16")
    done = owl("init", tmp_path / "run", "--scene", path, "--common", "nir=2-4")
    assert done.code == 1
    assert "'2-4' is several bands, which cannot all be nir" in done.err
    source = GeoTiffSource(path, bands=("2-4", "9", "11 - 12"), patch_size=8)
    assert source.bands == ("band_2", "band_3", "band_4", "band_9", "band_11", "band_12")
    first = source.read(source.index["patch_id"][:1].tolist())[0, :, 0, 0]
    assert first.tolist() == [20, 30, 40, 90, 110, 120]
    with pytest.raises(SourceError, match="no band '11-13'"):
        GeoTiffSource(path, bands=("11-13",), patch_size=8)
    with pytest.raises(SourceError, match="'band_3' is asked for twice"):
        GeoTiffSource(path, bands=("1-3", "3"), patch_size=8)
    dates = numbered(tmp_path / "d.tif", 12, ("1-2", *map(str, range(11))))
    assert GeoTiffSource(dates, bands=("1-2",), patch_size=8).bands == ("1-2",)


def test_a_spectrum_is_told_which_head_suits_it(tmp_path: Path, owl: Owl) -> None:
    note = "if the 60 bands are a spectrum"
    path = numbered(tmp_path / "s.tif", 60, dtype="uint16")
    for name, extra, is_said in (
        ("blend", (), True),
        ("logistic", ("--head", "logistic"), False),
        ("few", ("--bands", "1,2,3,4,5,6"), False),
    ):
        done = owl("init", tmp_path / name, "--scene", path, "--patch-size", 8, *extra)
        assert (note in done.out + done.err) == is_said


def test_bands_of_a_stack_in_a_folder_are_what_it_describes(tmp_path: Path) -> None:
    names = ("coastal_blue", "blue", "green_i", "green")
    numbered(tmp_path / "order" / "3B_AnalyticMS_SR_8b_clip.tif", 4, names)
    assert commons(tmp_path / "order") == ["coastal", "blue", None, "green"]
    assert [value(tmp_path / "order", word) for word in names] == [10, 20, 30, 40]


def test_what_stands_in_brackets_behind_a_code_hides_no_code(tmp_path: Path) -> None:
    for number, code in enumerate(("B02", "B03", "B08"), start=1):
        values = np.full((1, 32, 32), number, "uint16")
        write_raster(tmp_path / "s" / f"2023-06-15_Sentinel-2_L2A_{code}_(Raw).tiff", values)
    assert [value(tmp_path / "s", word) for word in ("blue", "green", "nir")] == [1, 2, 3]
