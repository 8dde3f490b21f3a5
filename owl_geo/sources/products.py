"""Sentinel-2 and Landsat products as their providers deliver them.

A product gives more than a folder of rasters does: the scale and offset that make reflectance of
pixels, the value of missing pixels, common band names, and a cloud mask.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # for its types

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.errors import SourceError
from owl_geo.sources.bands import Band, unpadded
from owl_geo.sources.files import read_bands
from owl_geo.sources.scene_dates import date_of
from owl_geo.sources.sensors import SENTINEL_2

_NO_MASK = "{} has no {}, so that clouds are not masked; to mask them, give --mask"
SURFACE, TOP_OF_ATMOSPHERE = "surface reflectance", "top-of-atmosphere reflectance"


@dataclass(frozen=True)
class CloudMask:
    """A raster that says which pixels are bad: those with one of ``values``, or any of ``bits``."""

    path: str
    values: tuple[int, ...] = ()
    bits: int = 0
    bands: tuple[int, ...] = ()  # numbers of those that count; empty = the first

    def is_bad(self, value: float) -> bool:
        """Return whether a pixel with this value is bad; one that is not finite is not."""
        return math.isfinite(value) and (value in self.values or bool(int(value) & self.bits))


@dataclass(frozen=True)
class Product:
    """What a file or folder offers: bands, those taken by default, and a mask if it has one."""

    kind: str
    bands: tuple[Band, ...]
    default: tuple[Band, ...]
    mask: CloudMask | None = None
    unusable: tuple[str, ...] = ()  # files beside the bands that cannot be read, with the reason
    doubtful: tuple[str, ...] = ()  # bands by default that look like a mask or a truth
    side_files: tuple[str, ...] = ()  # paths of those whose bands count only where they are named
    left_out: tuple[str, ...] = ()  # a clause on each thing that a person may miss
    taken: datetime.date | None = None  # day of acquisition, where the product's metadata have it
    measure: str = ""  # what its values are


def is_product(folder: Path) -> bool:
    """Return whether a folder is a product that is read as such."""
    return is_sentinel2(folder) or is_landsat(folder)


def product_of(path: Path) -> Path | None:
    """Return the folder of the product that a file is the metadata of; None of any other file."""
    name = path.name.casefold()
    if is_mtl(path) or name == "manifest.safe" or re.fullmatch(r"mtd_msil\w+\.xml", name):
        folder = path.parent
    elif name == "mtd_tl.xml":  # GRANULE/L2A_.../MTD_TL.xml
        folder = path.absolute().parent.parent.parent
    else:
        return None
    return folder if path.is_file() and is_product(folder) else None


# --- Sentinel-2 -----------------------------------------------------------------------------------

# The order of band_id in the metadata, level 2A included although it has no B10.
_S2_ORDER = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A"),
    *("B09", "B10", "B11", "B12"),
)
# When the ground was seen, in the metadata of a product; GENERATION_TIME is when it was processed.
_S2_STARTS = ("PRODUCT_START_TIME", "DATATAKE_SENSING_START")
_S2_DEFAULT = ("B02", "B03", "B04", "B08")
_S2_IMAGE = re.compile(r"_(B\d\d|B8A)(?:_(\d\d)m)?\.jp2", re.IGNORECASE)
# T32TNT_20230615T103629_B02_10m, as bands are called that were taken out of a product
_S2_BAND = re.compile(r"(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}_(?:B\d\d|B8A)(?:_\d\dm)?", re.IGNORECASE)
_S2_SCL = re.compile(r"_SCL_(\d\d)m\.jp2", re.IGNORECASE)
# no data, saturated or defective, cloud shadow, cloud of medium and high probability, cirrus
SCL_BAD = (0, 1, 3, 8, 9, 10)


def is_sentinel2(folder: Path) -> bool:
    """Return whether the folder is a Sentinel-2 product (.SAFE)."""
    return folder.name.upper().endswith(".SAFE") or any(folder.glob("MTD_MSIL*.xml"))


def sentinel2_around(folder: Path) -> Path | None:
    """Return the Sentinel-2 product that a folder is a part of; None where it is of none."""
    parents = folder.absolute().parents[:4]  # GRANULE/L2A_.../IMG_DATA/R10m
    return next((parent for parent in parents if is_sentinel2(parent)), None)


def sentinel2(folder: Path) -> Product:
    """Read a Sentinel-2 product of level 1C or 2A; bands become reflectance.

    Each band is taken at its finest resolution. Raises SourceError where the metadata or the images
    are missing or damaged, or the metadata have an offset for other bands only.
    """
    metadata = sorted(folder.glob("MTD_MSIL*.xml"))
    if not metadata:
        inside = [
            one for one in sorted(folder.glob("*.SAFE")) if is_sentinel2(one)
        ]  # unzipped twice
        raise SourceError(
            f"{folder} has no MTD_MSIL1C.xml or MTD_MSIL2A.xml: not a whole product",
            remedy=f"did you mean {str(inside[0])!r}?" if inside else "",
        )
    level = "2A" if "L2A" in metadata[0].name.upper() else "1C"
    files = _s2_images(folder)
    told = _S2Metadata.of(metadata[0], level)
    bands = []
    for code in _S2_ORDER:
        if code in files:
            (band,) = read_bands(files[code], prefix=code)
            if told.offsets and code not in told.offsets:
                raise SourceError(
                    f"{metadata[0]} has an offset for other bands, and none for {code}"
                )
            bands.append(
                replace(
                    band,
                    nodata=told.nodata,
                    scale=1.0 / told.quantification,
                    offset=told.offsets.get(code, 0.0) / told.quantification,
                    common=SENTINEL_2.get(unpadded(code)),
                )
            )
    mask = CloudMask(str(files["SCL"]), values=SCL_BAD) if "SCL" in files else None
    default = tuple(band for band in bands if band.name in _S2_DEFAULT)
    kind = f"Sentinel-2 level {level}"
    measure = SURFACE if level == "2A" else TOP_OF_ATMOSPHERE
    chosen = default or tuple(bands)
    notes = (_NO_MASK.format(folder, "scene classification (SCL)"),) if level == "2A" else ()
    return Product(
        *(kind, tuple(bands), chosen, mask),
        left_out=() if mask else notes,
        taken=told.taken,
        measure=measure,
    )


def _s2_images(folder: Path) -> dict[str, Path]:
    """Return the finest image of each band, and of the scene classification as ``SCL``."""
    granules = sorted(path for path in folder.glob("GRANULE/*") if path.is_dir())
    if len(granules) != 1:
        raise SourceError(
            f"{folder} has {len(granules)} granules", remedy="a product of one tile is needed"
        )
    finest: dict[str, tuple[int, Path]] = {}
    for path in sorted((granules[0] / "IMG_DATA").rglob("*.jp2")):
        if match := _S2_IMAGE.search(path.name):
            code, metres = match[1].upper(), int(match[2] or 0)
        elif match := _S2_SCL.search(path.name):
            code, metres = "SCL", int(match[1])
        else:
            continue
        if code not in finest or metres < finest[code][0]:
            finest[code] = (metres, path)
    if not finest.keys() - {"SCL"}:
        raise SourceError(f"{granules[0]} has no band images (IMG_DATA/**/*_B02*.jp2 and so on)")
    return {code: path for code, (_, path) in finest.items()}


@dataclass(frozen=True)
class _S2Metadata:
    quantification: float
    offsets: Mapping[str, float]  # by band; empty before processing baseline 04.00
    nodata: float | None
    taken: datetime.date | None

    @classmethod
    def of(cls, path: Path, level: str) -> _S2Metadata:
        try:
            root = parse_xml(path).getroot()
            if root is None:
                raise ValueError("no root element")
            tag = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
            # Level 2A of before 2018 writes L2A_BOA_QUANTIFICATION_VALUE.
            values = [_number(e) for e in root.iter() if e.tag in (tag, f"L2A_{tag}")]
            names = {
                int(e.attrib["bandId"]): _s2_code(e.attrib["physicalBand"])
                for e in root.iter("Spectral_Information")
            } or dict(enumerate(_S2_ORDER))
            tag = "RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"
            offsets = {names[int(e.attrib["band_id"])]: _number(e) for e in root.iter(tag)}
            nodata = [
                float(e.findtext("SPECIAL_VALUE_INDEX", ""))
                for e in root.iter("Special_Values")
                if e.findtext("SPECIAL_VALUE_TEXT") == "NODATA"
            ]
        except (OSError, ParseError, DefusedXmlException, KeyError, ValueError) as error:
            raise SourceError(f"cannot read the metadata {path}: {error!r}") from error
        if not values or not values[0] > 0:
            raise SourceError(f"{path} has no usable {level} quantification value")
        starts = [root.findtext(f".//{tag}") for tag in _S2_STARTS]
        taken = next((date for start in starts if (date := date_of(start)) is not None), None)
        return cls(values[0], offsets, nodata[0] if nodata else None, taken)


def _number(element: Element) -> float:
    return _finite(element.text or "")


def _finite(text: str) -> float:
    """Return a number of metadata; raises ValueError for one that is not finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _s2_code(physical: str) -> str:
    """``B1`` -> ``B01``, ``B8A`` -> ``B8A``: the metadata and the file names differ."""
    return re.sub(r"^B(\d)$", r"B0\1", physical)


# --- Landsat --------------------------------------------------------------------------------------

_OLI = "coastal blue green red nir swir1 swir2 pan cirrus thermal"
_TM = "blue green red nir swir1 thermal swir2 pan"
_MSS = "green red rededge1 nir"
# Common names by sensor, from band 1; of MSS on Landsat 1 to 3 from band 4.
_LANDSAT = {
    "OLI_TIRS": _OLI.split(),
    "OLI": _OLI.split(),
    "TM": _TM.split(),
    "ETM": _TM.split(),
    "MSS": _MSS.split(),
}
_LANDSAT_DEFAULT = ("blue", "green", "red", "nir")
# QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow.
_QA_BITS = 0b11111
_LANDSAT_FILL = 0.0
_GEOTIFF = (".tif", ".tiff")

_SR_GROUP = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
_ST_GROUP = "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"
_TOA_GROUP = "LEVEL1_RADIOMETRIC_RESCALING"

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

_Groups = Mapping[str, Mapping[str, str]]


def is_landsat(folder: Path) -> bool:
    """Return whether the folder holds a Landsat product: its metadata, or its bands of level 2."""
    return any(is_mtl(path) or _level_2_product(path) for path in folder.iterdir())


def is_mtl(path: Path) -> bool:
    """Return whether a file is the metadata of a Landsat product, in any of its three forms."""
    return path.name.upper().endswith(("_MTL.TXT", "_MTL.XML", "_MTL.JSON"))


def _level_2_product(path: Path) -> str | None:
    """Return the product that a band of level 2 is of, by its name; None of any other file."""
    match = _LEVEL_2_BAND.fullmatch(path.stem)
    return match["product"] if match and path.suffix.casefold() in _GEOTIFF else None


def level_2_terms(path: str) -> tuple[float, float] | None:
    """Return scale and offset of a Landsat band of level 2 by its name; None of any other file."""
    name = PurePosixPath(urlsplit(path).path if "://" in path else path)
    if name.suffix.casefold() not in _GEOTIFF or not _LEVEL_2_BAND.fullmatch(name.stem):
        return None
    return _LEVEL_2_TERMS[name.stem.upper().rpartition("_B")[0][-2:]]


def lacks_metadata(paths: Sequence[Path]) -> str:
    """Say what bands of a product among some files lack without its metadata; else nothing."""
    image = next((path for path in paths if _S2_BAND.fullmatch(path.stem)), None)
    if image is not None and image.suffix.casefold() == ".jp2":
        around = sentinel2_around(image.parent)
        remedy = "set scale, offset and nodata in owl.toml, and give --mask"
        remedy = remedy if around is None else f"name the product: --scene {around}"
        return (
            f"{image.stem} and the other Sentinel-2 bands are read as raw numbers, without offset, "
            f"no-data value and cloud mask, since these are in a product's other files; {remedy}"
        )
    stem = next((path.stem for path in paths if _LEVEL_1_BAND.fullmatch(path.stem)), None)
    if stem is None:
        return ""
    return (
        f"{stem} and the other Landsat bands of level 1 are read as raw numbers and without a "
        "cloud mask, since their metadata are missing; put MTL.txt beside them, or give --mask"
    )


def landsat(folder: Path) -> Product:
    """Read a Landsat Collection 2 product of level 1 or 2.

    Bands of level 2 become surface reflectance, its ``ST`` band kelvin; bands of level 1 become
    top-of-atmosphere reflectance, with the sun's height at the scene's centre taken into account.
    The metadata are MTL.txt, MTL.xml or MTL.json, the first that says something of the image;
    level 2 of Collection 2 does without, since its terms are always the same.

    Raises SourceError where the metadata or the images are missing or damaged.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    metadata = [path for path in files if is_mtl(path)]
    stems = {path.name[: path.name.upper().rindex("_MTL.")] for path in metadata}
    stems |= {product for path in files if (product := _level_2_product(path)) is not None}
    if len({stem.upper() for stem in stems}) > 1:
        one, other, *_ = sorted(stems)
        raise SourceError(
            f"{folder} holds several Landsat products ({one}, {other})",
            remedy="give each a folder of its own",
        )
    stem = min(stems)
    images = {
        path.stem[len(stem) + 1 :].upper(): path
        for path in files
        if path.suffix.casefold() in _GEOTIFF and path.stem.upper().startswith(f"{stem}_".upper())
    }
    level = 2 if any(code.startswith(("SR_B", "ST_B")) for code in images) else 1
    source, groups = _metadata(metadata) or (folder, _level_2_groups(stem, images))
    try:
        names = _LANDSAT[groups["IMAGE_ATTRIBUTES"]["SENSOR_ID"]]
        first = _first_band(groups, level)
        height = _sun_height(groups, stem) if level == 1 else 1.0
        bands = []
        for code in sorted(images, key=_band_order):
            terms = _terms(groups, code, level, height)
            if terms is None:
                continue
            (band,) = read_bands(images[code], prefix=code)
            number = int(code.rpartition("B")[2])
            scale, offset = terms
            bands.append(
                replace(
                    band,
                    scale=scale,
                    offset=offset,
                    nodata=_LANDSAT_FILL,
                    common=names[number - first],
                )
            )
    except (KeyError, ValueError, IndexError) as error:
        raise SourceError(
            f"{source} lacks what Landsat Collection 2 has in it: {error!r}",
            remedy=f"fetch {stem}_MTL.txt of the product anew and put it beside the bands",
        ) from error
    if not bands:
        raise SourceError(f"{folder} has no band files beside {source.name}")
    quality = images.get("QA_PIXEL")
    mask = CloudMask(str(quality), bits=_QA_BITS) if quality is not None else None
    default = tuple(band for band in bands if band.common in _LANDSAT_DEFAULT)
    kind = f"Landsat Collection 2 level {level}"
    taken = date_of(groups["IMAGE_ATTRIBUTES"].get("DATE_ACQUIRED"))
    measure = SURFACE if level == 2 else TOP_OF_ATMOSPHERE
    chosen = default or tuple(bands)
    notes = () if mask else (_NO_MASK.format(folder, "QA_PIXEL"),)
    return Product(
        *(kind, tuple(bands), chosen, mask), left_out=notes, taken=taken, measure=measure
    )


def _level_2_groups(stem: str, images: Mapping[str, Path]) -> _Groups:
    """Return what metadata of level 2 would say of the bands: it is the same for every product."""
    match = _LEVEL_2_BAND.fullmatch(f"{stem}_SR_B1")
    groups: dict[str, dict[str, str]] = {_SR_GROUP: {}, _ST_GROUP: {}}
    groups["IMAGE_ATTRIBUTES"] = {"SENSOR_ID": _SENSORS[match["sensor"].upper()] if match else ""}
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


def _first_band(groups: _Groups, level: int) -> int:
    """Return the number of the sensor's first band: 1, but 4 of MSS on Landsat 1 to 3."""
    if level == 2 or groups["IMAGE_ATTRIBUTES"]["SENSOR_ID"] != "MSS":
        return 1
    return 1 if "REFLECTANCE_MULT_BAND_1" in groups[_TOA_GROUP] else 4


def _sun_height(groups: _Groups, stem: str) -> float:
    """Return the sine of the sun's elevation; raises SourceError for a product of the night."""
    height = math.sin(math.radians(_finite(groups["IMAGE_ATTRIBUTES"]["SUN_ELEVATION"])))
    if height <= 0:
        raise SourceError(
            f"{stem} was taken at night and has no reflectance", remedy="take one of the day"
        )
    return height


def _terms(groups: _Groups, code: str, level: int, height: float) -> tuple[float, float] | None:
    """Return scale and offset of a band file; None for a file that is not a reflective band."""
    if level == 2:
        group, number, kind = (
            (_ST_GROUP, code, "TEMPERATURE")
            if code.startswith("ST_B")
            else (_SR_GROUP, code.removeprefix("SR_B"), "REFLECTANCE")
        )
    else:
        group, number, kind = _TOA_GROUP, code.removeprefix("B"), "REFLECTANCE"
    values = groups[group]
    if f"{kind}_MULT_BAND_{number}" not in values:
        return None  # thermal bands of level 1, quality bands
    scale = _finite(values[f"{kind}_MULT_BAND_{number}"])
    offset = _finite(values[f"{kind}_ADD_BAND_{number}"])
    return scale / height, offset / height


def _band_order(code: str) -> tuple[bool, int, str]:
    """Sort B2 before B10, and surface temperature after reflectance."""
    digits = re.search(r"B(\d+)$", code)
    return code.startswith("ST_"), int(digits[1]) if digits else 0, code


def _metadata(files: Sequence[Path]) -> tuple[Path, _Groups] | None:
    """Return the first of a product's metadata files that says something, and what it says.

    None where none does. Raises SourceError where the only one cannot be read.
    """
    for path in sorted(files, key=lambda path: _FORMS.index(path.suffix.casefold())):
        try:
            groups = _READERS[path.suffix.casefold()](path)
        except SourceError:
            if len(files) == 1:
                raise
            continue
        if groups:
            return path, groups
    return None


def _read_text(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.txt."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error}") from error
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in lines:
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            group = groups.setdefault(value, {})
        elif key != "END_GROUP" and value:
            group[key] = value.strip('"')
    return groups


def _read_xml(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.xml."""
    try:
        root = parse_xml(path).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error!r}") from error
    groups = () if root is None else root
    return {group.tag: {one.tag: (one.text or "").strip() for one in group} for group in groups}


def _read_json(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.json."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error}") from error
    groups = data.get("LANDSAT_METADATA_FILE", data) if isinstance(data, dict) else {}
    return {
        str(name): {str(key): str(value) for key, value in group.items()}
        for name, group in (groups.items() if isinstance(groups, dict) else ())
        if isinstance(group, dict)
    }


_READERS = {".txt": _read_text, ".xml": _read_xml, ".json": _read_json}
_FORMS = tuple(_READERS)
