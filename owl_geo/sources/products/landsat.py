"""Landsat products: Collection 2, analysis-ready data, and level 1 of what was before."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from owl_geo.disk.presence import is_file
from owl_geo.errors import SourceError
from owl_geo.settings.known_masks import BQA, QA_PIXEL
from owl_geo.settings.paths import path_at
from owl_geo.sources.files import read_bands
from owl_geo.sources.products.mtl import CONTENTS, IMAGE, RESCALING, Groups, is_mtl, read_mtl
from owl_geo.sources.products.product import (
    RADIANCE,
    SURFACE,
    TOP_OF_ATMOSPHERE,
    CloudMask,
    Family,
    Product,
    finite,
    unmasked,
)
from owl_geo.sources.scene_dates import date_of

_OLI = "coastal blue green red nir swir1 swir2 pan cirrus thermal"
_TM = "blue green red nir swir1 thermal swir2 pan"
_MSS = "green red rededge1 nir"
# Common names by sensor, from band 1; of MSS on Landsat 1 to 3 from band 4.
_COMMON_NAMES = {
    "OLI_TIRS": _OLI.split(),
    "OLI": _OLI.split(),
    "TM": _TM.split(),
    "ETM": _TM.split(),
    "MSS": _MSS.split(),
}
_DEFAULT = ("blue", "green", "red", "nir")
_MASKS = {"02": ("QA_PIXEL", QA_PIXEL.bits), "01": ("BQA", BQA.bits)}  # by collection
_FILL = 0.0
_GEOTIFF = (".tif", ".tiff")

_SR_GROUP = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
_ST_GROUP = "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"

# Scale and offset of every product of level 2 in Collection 2, by the kind of its bands: the USGS
# gives them in its Science Product Guides, and each product's metadata repeats them.
_LEVEL_2_TERMS = {"SR": (2.75e-05, -0.2), "ST": (0.00341802, 149.0)}
# LC08_L2SP_193029_20200715_20200912_02_T1_SR_B4: the product, its sensor and its band; or
# LC08_CU_010009_20200715_20210504_02_SR_B4 of the analysis-ready data of the USA
_LEVEL_2_BAND = re.compile(
    r"(?P<product>L(?P<sensor>[COTE])\d\d_(?:L2S[PR]_\d{6}_\d{8}_\d{8}_02_(?:T1|T2|RT)"
    r"|(?:CU|AK|HI)_\d{6}_\d{8}_\d{8}_02))_S[RT]_B\d+",
    re.IGNORECASE,
)
_LEVEL_1_BAND = re.compile(r"L[COTEM]\d\d_L1[A-Z]{2}_\d{6}_\d{8}_\d{8}_.*_B\d+", re.IGNORECASE)
_SENSORS = {"C": "OLI_TIRS", "O": "OLI", "T": "TM", "E": "ETM"}


def _is_landsat(folder: Path) -> bool:
    """Return whether the folder holds a Landsat product: its metadata, or its bands of level 2."""
    return any(is_mtl(path) or _level_2_product(path) for path in folder.iterdir())


def _level_2_product(path: Path) -> str | None:
    """Return the product that a band of level 2 is of, by its name; None of any other file."""
    match = _LEVEL_2_BAND.fullmatch(path.stem)
    return match["product"] if match and path.suffix.casefold() in _GEOTIFF else None


def level_2_terms(path: str) -> tuple[float, float] | None:
    """Return scale and offset of a Landsat band of level 2 by its name; None of any other file."""
    name = PurePosixPath(path_at(path))
    if name.suffix.casefold() not in _GEOTIFF or not _LEVEL_2_BAND.fullmatch(name.stem):
        return None
    return _LEVEL_2_TERMS[name.stem.upper().rpartition("_B")[0][-2:]]


def _read(folder: Path) -> Product:
    """Read a Landsat product of Collection 2, or one of level 1 from before.

    Bands of level 2 become surface reflectance, its ``ST`` band kelvin; bands of level 1 become
    top-of-atmosphere reflectance, with the sun's height at the scene's centre taken into account,
    or radiance (W / (m2 sr um)) where old metadata say no more. The metadata are MTL.txt, MTL.xml
    or MTL.json, the first that says something of the image; level 2 does without, since its terms
    are always the same.

    Raises SourceError where the metadata or the images are missing or damaged.
    """
    files = sorted(path for path in folder.iterdir() if is_file(path))
    metadata = [path for path in files if is_mtl(path)]
    stem = _stem(folder, metadata, files)
    images = {
        path.stem[len(stem) + 1 :].upper(): path
        for path in files
        if path.suffix.casefold() in _GEOTIFF and path.stem.upper().startswith(f"{stem}_".upper())
    }
    level = 2 if any(re.match(r"S[RT]_B\d", code) for code in images) else 1
    source, groups = read_mtl(metadata) or (folder, _level_2_groups(stem, images))
    try:
        names = _COMMON_NAMES.get(groups[IMAGE]["SENSOR_ID"])
        if names is None:
            raise ValueError("a sensor that is known")
        first = _first_band(groups, level)
        measure = SURFACE if level == 2 else _measure_of_level_1(groups)
        height = _sun_height(groups, stem) if measure == TOP_OF_ATMOSPHERE else 1.0
        bands = []
        for code in sorted(images, key=_band_order):
            if (terms := _terms(groups, code, measure, height)) is None:
                continue
            (band,) = read_bands(images[code], prefix=code)
            common = names[int(code.rpartition("B")[2]) - first]
            scale, offset = terms
            bands.append(replace(band, scale=scale, offset=offset, nodata=_FILL, common=common))
    except (KeyError, ValueError, IndexError) as error:
        raise SourceError(
            f"{source} lacks what the metadata of a Landsat product have in them: {error}",
            remedy=f"fetch {stem}_MTL.txt of the product anew and put it beside the bands",
        ) from error
    if not bands:
        raise SourceError(f"{folder} has no band files beside {source.name}")
    collection = groups.get(CONTENTS, {}).get("COLLECTION_NUMBER", "02")
    name, bits = _MASKS.get(collection, ("mask that is known", 0))
    quality = images.get(name)
    return Product(
        kind=(
            f"Landsat Collection {collection.lstrip('0')} level {level}"
            if collection
            else f"Landsat level {level}"
        ),
        bands=tuple(bands),
        default=tuple(band for band in bands if band.common in _DEFAULT) or tuple(bands),
        mask=None if quality is None else CloudMask(str(quality), bits=bits),
        left_out=(unmasked(folder, name),) if quality is None else (),
        taken=date_of(groups[IMAGE].get("DATE_ACQUIRED")),
        measure=measure,
    )


def _stem(folder: Path, metadata: Sequence[Path], files: Sequence[Path]) -> str:
    """Return what the names of a product's files begin with.

    Raises SourceError where the folder holds several products.
    """
    stems = {path.name[: path.name.upper().rindex("_MTL.")] for path in metadata}
    stems |= {product for path in files if (product := _level_2_product(path)) is not None}
    if len({stem.upper() for stem in stems}) > 1:
        one, other, *_ = sorted(stems)
        raise SourceError(
            f"{folder} holds several Landsat products ({one}, {other})",
            remedy="give each a folder of its own",
        )
    return min(stems)


def _level_2_groups(stem: str, images: Mapping[str, Path]) -> Groups:
    """Return what metadata of level 2 would say of the bands: it is the same for every product."""
    match = _LEVEL_2_BAND.fullmatch(f"{stem}_SR_B1")
    groups: dict[str, dict[str, str]] = {_SR_GROUP: {}, _ST_GROUP: {}}
    groups[IMAGE] = {"SENSOR_ID": _SENSORS[match["sensor"].upper()] if match else ""}
    for code in images:
        kind, _, number = code.partition("_B")
        if kind in _LEVEL_2_TERMS and number.isdecimal():
            scale, offset = _LEVEL_2_TERMS[kind]
            group, term, band = (
                (_ST_GROUP, "TEMPERATURE", code)
                if kind == "ST"
                else (_SR_GROUP, "REFLECTANCE", number)
            )
            groups[group][f"{term}_MULT_BAND_{band}"] = repr(scale)
            groups[group][f"{term}_ADD_BAND_{band}"] = repr(offset)
    return groups


def _first_band(groups: Groups, level: int) -> int:
    """Return the number of the sensor's first band: 1, but 4 of MSS on Landsat 1 to 3."""
    if level == 2 or groups[IMAGE]["SENSOR_ID"] != "MSS":
        return 1
    return 1 if any(key.endswith("_MULT_BAND_1") for key in groups[RESCALING]) else 4


def _measure_of_level_1(groups: Groups) -> str:
    has_reflectance = any(key.startswith("REFLECTANCE_MULT_BAND_") for key in groups[RESCALING])
    return TOP_OF_ATMOSPHERE if has_reflectance else RADIANCE


def _sun_height(groups: Groups, stem: str) -> float:
    """Return the sine of the sun's elevation; raises SourceError for a product of the night."""
    height = math.sin(math.radians(finite(groups[IMAGE]["SUN_ELEVATION"])))
    if height <= 0:
        raise SourceError(
            f"{stem} was taken at night and has no reflectance", remedy="take one of the day"
        )
    return height


def _terms(groups: Groups, code: str, measure: str, height: float) -> tuple[float, float] | None:
    """Return scale and offset of a band file; None for a file that is not a reflective band."""
    if measure == SURFACE:
        group, number, kind = (
            (_ST_GROUP, code, "TEMPERATURE")
            if code.startswith("ST_B")
            else (_SR_GROUP, code.removeprefix("SR_B"), "REFLECTANCE")
        )
    else:
        kind = "REFLECTANCE" if measure == TOP_OF_ATMOSPHERE else "RADIANCE"
        group, number = RESCALING, code.removeprefix("B")
    values = groups[group]
    if f"{kind}_MULT_BAND_{number}" not in values or "_VCID_" in number:
        return None  # thermal bands of level 1, quality bands
    scale = finite(values[f"{kind}_MULT_BAND_{number}"])
    offset = finite(values[f"{kind}_ADD_BAND_{number}"])
    return scale / height, offset / height


def _band_order(code: str) -> tuple[bool, int, str]:
    """Sort B2 before B10, and surface temperature after reflectance."""
    digits = re.search(r"B(\d+)$", code)
    return code.startswith("ST_"), int(digits[1]) if digits else 0, code


def _described_by(path: Path) -> Path | None:
    """Return the folder of the product that a file would be the metadata of, by its name."""
    return path.parent if is_mtl(path) else None


def _raw_bands(paths: Sequence[Path]) -> str:
    """Say what bands of level 1 lack without their metadata; nothing where none is one."""
    stem = next((path.stem for path in paths if _LEVEL_1_BAND.fullmatch(path.stem)), None)
    if stem is None:
        return ""
    return (
        f"{stem} and the other Landsat bands of level 1 are read as raw numbers and without a "
        "cloud mask, since their metadata are missing; put MTL.txt beside them, or give --mask"
    )


LANDSAT = Family(_is_landsat, _read, _described_by, _raw_bands)
