"""Landsat products: reflectance of every sensor, names of bands, clouds, damage."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from rasters import make_landsat, write_raster

from owl_geo.errors import SourceError
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene


@pytest.mark.parametrize(
    ("sensor", "numbers"),
    [("OLI_TIRS", [2, 3, 4, 5]), ("TM", [1, 2, 3, 4]), ("ETM", [1, 2, 3, 4])],
)
@pytest.mark.parametrize("level", [1, 2])
def test_landsat_gives_reflectance(
    tmp_path: Path, sensor: str, numbers: list[int], level: int
) -> None:
    folder = make_landsat(tmp_path, level, sensor=sensor)
    scene = describe_scene(folder)
    assert scene.kind == f"Landsat Collection 2 level {level}"
    assert [band.common for band in scene.default] == ["blue", "green", "red", "nir"]
    source = GeoTiffSource(folder)
    prefix = "SR_B" if level == 2 else "B"
    assert source.bands == tuple(f"{prefix}{n}" for n in numbers)
    pixels = np.array(numbers) * 1000.0 + 40
    if level == 2:
        expected = 2.75e-05 * pixels - 0.2 - np.array(numbers) / 100
    else:
        expected = (2.0e-05 * pixels - 0.1) / 0.5  # the sun is 30 degrees high
    patch = source.read([f"{folder.name}/32/0"])[0]
    assert patch[:, 8, 0] == pytest.approx(expected, abs=1e-6)
    # row 0 is fill
    first = source.index["valid_fraction"].to_numpy()[0]
    assert first == 31 / 32


def test_landsat_bands_by_any_name(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path)
    assert [band.name for band in describe_scene(folder).bands] == [
        *(f"SR_B{n}" for n in range(1, 8)),
        "ST_B10",
    ]
    source = GeoTiffSource(folder, bands=("B4", "swir2", "sr_b06", "thermal"))
    assert source.bands == ("SR_B4", "swir2", "SR_B6", "thermal")
    patch = source.read([f"{folder.name}/32/0"])[0]
    assert patch[3, 0, 0] == pytest.approx(10_032 * 0.00341802 + 149, rel=1e-6)  # kelvin


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 5, 6])
def test_landsat_quality_band_masks_clouds(tmp_path: Path, bit: int) -> None:
    quality = np.full((64, 64), 1 << 6, np.uint16)
    quality[32:, :16] = 1 << bit
    folder = make_landsat(tmp_path, quality=quality)
    source = GeoTiffSource(folder, min_valid=0.1)
    bad = bit <= 4  # fill, dilated cloud, cirrus, cloud, shadow; not snow, not clear
    assert source.index["valid_fraction"].to_numpy()[2] == (0.5 if bad else 1.0)


def test_landsat_scenes_of_two_missions_by_common_name(tmp_path: Path) -> None:
    old, new = make_landsat(tmp_path, sensor="TM"), make_landsat(tmp_path, sensor="OLI_TIRS")
    source = GeoTiffSource([old, new], bands=("red", "nir"))
    assert source.bands == ("red", "nir")
    patches = source.read([f"{old.name}/32/0", f"{new.name}/32/0"])
    numbers = np.array([[3, 4], [4, 5]])
    expected = 2.75e-05 * (numbers * 1000 + 32) - 0.2 - numbers / 100
    assert patches[:, :, 0, 0] == pytest.approx(expected, abs=1e-6)


_RADIANCE = "RADIANCE_MULT_BAND_{0} = 0.5\n    RADIANCE_ADD_BAND_{0} = -2.0\n"


def _of_old(folder: Path, collection: str, *, reflectance: bool = True) -> Path:
    """Write of a product what it would be in Collection 1, or before ("")."""
    metadata = next(folder.glob("*_MTL.txt"))
    text = metadata.read_text()
    sensor = text[text.index("    SPACECRAFT_ID") : text.index("    SUN_ELEVATION")]
    product = f"  GROUP = PRODUCT_METADATA\n{sensor}    DATE_ACQUIRED = 2017-08-13\n"
    number = f"    COLLECTION_NUMBER = {collection}\n" if collection else ""
    text = text.replace(sensor, "").replace("LEVEL1_RADIOMETRIC", "RADIOMETRIC")
    text = text.replace("LANDSAT_METADATA_FILE", "L1_METADATA_FILE")
    if not reflectance:
        kept = [line for line in text.splitlines() if "REFLECTANCE_" not in line]
        radiance = "".join(_RADIANCE.format(n) for n in ("1", "2", "3", "4", "5", "7", "6_VCID_1"))
        group = "GROUP = RADIOMETRIC_RESCALING\n"
        text = "\n".join(kept).replace(group, group + radiance, 1)
    head, _, rest = text.partition("\n")
    about = f"  GROUP = METADATA_FILE_INFO\n{number}  END_GROUP = METADATA_FILE_INFO\n"
    metadata.write_text(f"{head}\n{about}{product}  END_GROUP = PRODUCT_METADATA\n{rest}")
    quality = next(folder.glob("*_QA_PIXEL.TIF"))
    quality.rename(quality.with_name(quality.name.replace("QA_PIXEL", "BQA")))
    return folder


@pytest.mark.parametrize("sensor", ["OLI_TIRS", "TM"])
@pytest.mark.parametrize(("bit", "bad"), [(0, 1), (4, 1), (8, 1), (12, 1), (5, 0), (7, 0), (10, 0)])
def test_landsat_of_collection_1(sensor: str, bit: int, bad: int, tmp_path: Path) -> None:
    quality = np.full((64, 64), 1 << 6, np.uint16)
    quality[32:, :16] = 1 << bit
    folder = _of_old(make_landsat(tmp_path, 1, sensor=sensor, quality=quality), "01")
    scene = describe_scene(folder)
    assert scene.kind == "Landsat Collection 1 level 1"
    assert scene.date_of(scene.default) == datetime.date(2017, 8, 13)
    source = GeoTiffSource(folder, min_valid=0.1)
    first = 2 if sensor == "OLI_TIRS" else 1
    pixels = np.arange(first, first + 4) * 1000.0 + 40
    patch = source.read([f"{folder.name}/32/32"])[0]
    assert patch[:, 8, 0] == pytest.approx((2.0e-05 * pixels - 0.1) / 0.5, abs=1e-6)
    assert source.index["valid_fraction"].to_numpy()[2] == 1.0 - 0.5 * bad


def test_landsat_of_before_the_collections_gives_radiance(tmp_path: Path) -> None:
    folder = _of_old(make_landsat(tmp_path, 1, sensor="ETM"), "", reflectance=False)
    thermal = next(folder.glob("*_B6.TIF"))
    thermal.rename(thermal.with_name(thermal.name.replace("_B6.", "_B6_VCID_1.")))
    scene = describe_scene(folder)
    assert scene.measure == "top-of-atmosphere radiance"
    assert [band.name for band in scene.bands] == ["B1", "B2", "B3", "B4", "B5", "B7"]
    assert scene.mask is None and "clouds are not masked" in scene.left_out[0]  # of other bits
    patch = GeoTiffSource(folder).read([f"{folder.name}/32/0"])[0]
    assert patch[:, 8, 0].tolist() == [0.5 * (1000 * n + 40) - 2 for n in (1, 2, 3, 4)]


def test_old_metadata_without_terms_are_refused(tmp_path: Path) -> None:
    folder = _of_old(make_landsat(tmp_path, 1), "01")
    metadata = next(folder.glob("*_MTL.txt"))
    metadata.write_text(metadata.read_text().replace("RADIOMETRIC_RESCALING", "OTHER"))
    with pytest.raises(SourceError, match="in them: 'LEVEL1_RADIOMETRIC_RESCALING'; fetch"):
        describe_scene(folder)


@pytest.mark.parametrize("first", [1, 4])
def test_the_bands_of_the_scanner_of_landsat_1_to_5(first: int, tmp_path: Path) -> None:
    """They are 4 to 7 on the first three and 1 to 4 on the others, whatever the metadata give."""
    folder = _of_old(make_landsat(tmp_path, 1, sensor="TM"), "", reflectance=False)
    metadata = next(folder.glob("*_MTL.txt"))
    text = metadata.read_text().replace('"TM"', '"MSS"')
    numbers = range(first, first + 4)
    for n in range(1, 8):
        if n not in numbers:
            text = text.replace(_RADIANCE.format(n), "")
            for path in folder.glob(f"*_B{n}.TIF"):
                path.unlink()
    if 6 in numbers:
        text = text.replace("BAND_6_VCID_1 ", "BAND_6 ")
    metadata.write_text(text)
    bands = describe_scene(folder).bands
    assert [band.name for band in bands] == [f"B{n}" for n in numbers]
    assert [band.common for band in bands] == ["green", "red", "rededge1", "nir"]


def test_damaged_landsat_products(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path)
    metadata = next(folder.glob("*_MTL.txt"))
    text = metadata.read_text()
    metadata.write_text(text.replace("SENSOR_ID", "SENSOR"))
    with pytest.raises(
        SourceError, match="lacks what the metadata of a Landsat product have in them: 'SENSOR_ID'"
    ):
        GeoTiffSource(folder)
    metadata.write_text(text)
    (folder / "LT05_other_MTL.txt").write_text(text)
    with pytest.raises(SourceError, match="holds several Landsat products"):
        GeoTiffSource(folder)


def _as_xml(text: str) -> str:
    lines = []
    for line in text.splitlines():
        key, _, value = (part.strip().strip('"') for part in line.partition("="))
        if key == "GROUP":
            lines.append(f"<{value}>")
        elif key == "END_GROUP":
            lines.append(f"</{value}>")
        elif value:
            lines.append(f"<{key}>{value}</{key}>")
    return "\n".join(lines)


def _as_json(text: str) -> str:
    lines = []
    for line in text.splitlines():
        key, _, value = (part.strip().strip('"') for part in line.partition("="))
        if key == "GROUP":
            lines.append(f'"{value}": {{')
        elif key == "END_GROUP":
            lines[-1] = lines[-1].rstrip(",")
            lines.append("},")
        elif value:
            lines.append(f'"{key}": "{value}",')
    return "{" + "\n".join(lines).rstrip(",") + "}"


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("form", ["txt", "xml", "json", "lower case"])
def test_each_form_of_landsat_metadata_says_the_same(level: int, form: str, tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, level)
    expected = GeoTiffSource(folder)
    patch = expected.read([f"{folder.name}/32/0"])
    (metadata,) = folder.glob("*_MTL.txt")
    text = metadata.read_text()
    if form == "xml":
        metadata.with_suffix(".xml").write_text(_as_xml(text))
    elif form == "json":
        metadata.with_suffix(".json").write_text(_as_json(text))
    if form in ("xml", "json"):
        metadata.unlink()
    if form == "lower case":
        for path in folder.glob("*.TIF"):
            path.rename(path.with_suffix(".tif"))
    source = GeoTiffSource(folder)
    assert source.bands == expected.bands
    assert np.array_equal(source.read([f"{folder.name}/32/0"]), patch)
    assert describe_scene(folder).mask is not None


@pytest.mark.parametrize("left", ["nothing", "files that say nothing"])
def test_landsat_of_level_2_does_without_metadata(left: str, tmp_path: Path) -> None:
    folder = make_landsat(tmp_path)
    (metadata,) = folder.glob("*_MTL.txt")
    metadata.unlink()
    if left != "nothing":
        metadata.with_suffix(".xml").write_text("<LANDSAT_METADATA_FILE/>")
        metadata.with_suffix(".json").write_text("{}")
    source = GeoTiffSource(folder)
    assert source.bands == ("SR_B2", "SR_B3", "SR_B4", "SR_B5")
    pixels = np.array([2, 3, 4, 5]) * 1000.0 + 40
    patch = source.read([f"{folder.name}/32/0"])[0]
    assert patch[:, 8, 0] == pytest.approx(2.75e-05 * pixels - 0.2, abs=1e-6)
    assert describe_scene(folder).mask is not None
    heat = GeoTiffSource(folder, bands=("thermal",)).read([f"{folder.name}/32/0"])[0]
    assert heat[0, 8, 0] == pytest.approx(10_040 * 0.00341802 + 149)


@pytest.mark.parametrize("tile", ["CU_010009", "AK_010009", "HI_010009"])
def test_analysis_ready_landsat_of_the_usa_is_reflectance(tile: str, tmp_path: Path) -> None:
    product = make_landsat(tmp_path)
    next(product.glob("*_MTL.txt")).unlink()
    name = f"LC08_{tile}_20200715_20210504_02"
    folder = tmp_path / name
    for path in sorted(product.iterdir()):
        code = path.name.removeprefix(f"{product.name}_")
        path.rename(product / f"{name}_{code}")
    product.rename(folder)
    source = GeoTiffSource(folder)
    assert source.bands == ("SR_B2", "SR_B3", "SR_B4", "SR_B5")
    patch = source.read([f"{name}/32/0"])[0]
    pixels = np.array([2, 3, 4, 5]) * 1000.0 + 40
    assert patch[:, 8, 0] == pytest.approx(2.75e-05 * pixels - 0.2, abs=1e-6)
    told = describe_scene(folder)
    assert told.mask is not None and told.mask.path.endswith("_QA_PIXEL.TIF")
    assert told.date == datetime.date(2020, 7, 15)


def test_landsat_of_level_1_without_metadata_has_no_quality_files_among_its_bands(
    tmp_path: Path,
) -> None:
    folder = make_landsat(tmp_path, 1)
    next(folder.glob("*_MTL.txt")).unlink()
    assert not [band for band in describe_scene(folder).default if "QA" in band.name]
    assert any("raw numbers" in note for note in describe_scene(folder).left_out)


def test_metadata_of_level_1_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, 1)
    next(folder.glob("*_MTL.txt")).write_text("")
    with pytest.raises(SourceError, match=r"a sensor that is known; fetch LC08_.*_MTL.txt"):
        GeoTiffSource(folder)


@pytest.mark.parametrize("degrees", ["-5.5", "0"])
def test_landsat_of_the_night_is_refused(degrees: str, tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, 1)
    (metadata,) = folder.glob("*_MTL.txt")
    metadata.write_text(metadata.read_text().replace("30.00000000", degrees))
    with pytest.raises(SourceError, match=f"^{folder.name} was taken at night and has no refl"):
        GeoTiffSource(folder)


@pytest.mark.parametrize("term", ["30.00000000", "2e-05", "-0.1"])
def test_landsat_whose_terms_are_no_numbers_is_refused(term: str, tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, 1)
    (metadata,) = folder.glob("*_MTL.txt")
    metadata.write_text(metadata.read_text().replace(f"= {term}\n", "= nan\n"))
    with pytest.raises(SourceError, match="nan is no number"):
        GeoTiffSource(folder)


@pytest.mark.parametrize("first", [1, 4])
def test_the_multispectral_scanner_counts_from_4_on_landsat_1_to_3(
    first: int, tmp_path: Path
) -> None:
    stem = "LM01_L1TP_212030_19730601_20200909_02_T2"
    terms = ""
    for number in range(first, first + 4):
        pixels = np.full((1, 32, 32), 10 * number, np.uint8)
        write_raster(tmp_path / stem / f"{stem}_B{number}.TIF", pixels, pixel=60)
        terms += f"REFLECTANCE_MULT_BAND_{number} = 0.002\nREFLECTANCE_ADD_BAND_{number} = 0\n"
    (tmp_path / stem / f"{stem}_MTL.txt").write_text(
        'GROUP = IMAGE_ATTRIBUTES\nSENSOR_ID = "MSS"\nSUN_ELEVATION = 30\n'
        "END_GROUP = IMAGE_ATTRIBUTES\nGROUP = LEVEL1_RADIOMETRIC_RESCALING\n"
        f"{terms}END_GROUP = LEVEL1_RADIOMETRIC_RESCALING\nEND\n"
    )
    source = GeoTiffSource(tmp_path / stem, bands=("green", "red", "nir"))
    patch = source.read([f"{stem}/0/0"])[0, :, 0, 0]
    assert patch == pytest.approx(np.array([first, first + 1, first + 3]) * 0.04)
