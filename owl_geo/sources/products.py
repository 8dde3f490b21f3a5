"""Sentinel-2 and Landsat products as their providers deliver them.

A product gives more than a folder of rasters does: the scale and offset that make reflectance of
pixels, the value of missing pixels, common band names, and a cloud mask.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # for its types

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.errors import SourceError
from owl_geo.sources.bands import Band, unpadded
from owl_geo.sources.files import read_bands
from owl_geo.sources.sensors import SENTINEL_2


@dataclass(frozen=True)
class CloudMask:
    """A raster that says which pixels are bad: those with one of ``values``, or any of ``bits``."""

    path: str
    values: tuple[int, ...] = ()
    bits: int = 0


@dataclass(frozen=True)
class Product:
    """What a file or folder offers: bands, those taken by default, and a mask if it has one."""

    kind: str
    bands: tuple[Band, ...]
    default: tuple[Band, ...]
    mask: CloudMask | None = None
    unusable: tuple[str, ...] = ()  # files beside the bands that cannot be read, with the reason
    doubtful: tuple[str, ...] = ()  # bands by default that look like a mask or a truth


# --- Sentinel-2 -----------------------------------------------------------------------------------

# The order of band_id in the metadata, level 2A included although it has no B10.
_S2_ORDER = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A"),
    *("B09", "B10", "B11", "B12"),
)
_S2_DEFAULT = ("B02", "B03", "B04", "B08")
_S2_IMAGE = re.compile(r"_(B\d\d|B8A)(?:_(\d\d)m)?\.jp2", re.IGNORECASE)
_S2_SCL = re.compile(r"_SCL_(\d\d)m\.jp2", re.IGNORECASE)
# no data, saturated or defective, cloud shadow, cloud of medium and high probability, cirrus
SCL_BAD = (0, 1, 3, 8, 9, 10)


def is_sentinel2(folder: Path) -> bool:
    """Return whether the folder is a Sentinel-2 product (.SAFE)."""
    return folder.name.upper().endswith(".SAFE") or any(folder.glob("MTD_MSIL*.xml"))


def sentinel2(folder: Path) -> Product:
    """Read a Sentinel-2 product of level 1C or 2A; bands become reflectance.

    Each band is taken at its finest resolution. Raises SourceError where the metadata or the images
    are missing or damaged.
    """
    metadata = sorted(folder.glob("MTD_MSIL*.xml"))
    if not metadata:
        raise SourceError(f"{folder} has no MTD_MSIL1C.xml or MTD_MSIL2A.xml: not a whole product")
    level = "2A" if "L2A" in metadata[0].name.upper() else "1C"
    files = _s2_images(folder)
    radiometry = _S2Radiometry.of(metadata[0], level)
    bands = []
    for code in _S2_ORDER:
        if code in files:
            (band,) = read_bands(files[code], prefix=code)
            bands.append(
                replace(
                    band,
                    nodata=radiometry.nodata,
                    scale=1.0 / radiometry.quantification,
                    offset=radiometry.offsets.get(code, 0.0) / radiometry.quantification,
                    common=SENTINEL_2.get(unpadded(code)),
                )
            )
    mask = CloudMask(str(files["SCL"]), values=SCL_BAD) if "SCL" in files else None
    default = tuple(band for band in bands if band.name in _S2_DEFAULT)
    return Product(f"Sentinel-2 level {level}", tuple(bands), default or tuple(bands), mask)


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
class _S2Radiometry:
    quantification: float
    offsets: Mapping[str, float]  # by band; empty before processing baseline 04.00
    nodata: float | None

    @classmethod
    def of(cls, path: Path, level: str) -> _S2Radiometry:
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
        return cls(values[0], offsets, nodata[0] if nodata else None)


def _number(element: Element) -> float:
    return float(element.text or "")


def _s2_code(physical: str) -> str:
    """``B1`` -> ``B01``, ``B8A`` -> ``B8A``: the metadata and the file names differ."""
    return re.sub(r"^B(\d)$", r"B0\1", physical)


# --- Landsat --------------------------------------------------------------------------------------

_OLI = "coastal blue green red nir swir1 swir2 pan cirrus thermal"
_TM = "blue green red nir swir1 thermal swir2 pan"
_MSS = "green red rededge1 nir"
# Common names by sensor, from band 1.
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

_SR_GROUP = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
_ST_GROUP = "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"
_TOA_GROUP = "LEVEL1_RADIOMETRIC_RESCALING"

_Groups = Mapping[str, Mapping[str, str]]


def is_landsat(folder: Path) -> bool:
    """Return whether the folder holds a Landsat product (``*_MTL.txt``)."""
    return any(folder.glob("*_MTL.txt"))


def landsat(folder: Path) -> Product:
    """Read a Landsat Collection 2 product of level 1 or 2.

    Bands of level 2 become surface reflectance, its ``ST`` band kelvin; bands of level 1 become
    top-of-atmosphere reflectance, with the sun's height at the scene's centre taken into account.
    Raises SourceError where the metadata or the images are missing or damaged.
    """
    metadata = sorted(folder.glob("*_MTL.txt"))
    if len(metadata) > 1:
        raise SourceError(
            f"{folder} holds several Landsat products ({metadata[0].name}, {metadata[1].name})",
            remedy="give each a folder of its own",
        )
    stem = metadata[0].name.removesuffix("_MTL.txt")
    groups = _read_mtl(metadata[0])
    level = 2 if any(folder.glob(f"{stem}_SR_B*.TIF")) else 1
    try:
        names = _LANDSAT[groups["IMAGE_ATTRIBUTES"]["SENSOR_ID"]]
        bands = []
        for path in sorted(folder.glob(f"{stem}_*.TIF"), key=_band_order):
            code = path.stem.removeprefix(f"{stem}_")
            terms = _terms(groups, code, level)
            if terms is None:
                continue
            (band,) = read_bands(path, prefix=code)
            number = int(code.rpartition("B")[2])
            scale, offset = terms
            bands.append(
                replace(
                    band, scale=scale, offset=offset, nodata=_LANDSAT_FILL, common=names[number - 1]
                )
            )
    except (KeyError, ValueError, IndexError) as error:
        raise SourceError(
            f"{metadata[0]} lacks what Landsat Collection 2 has in it: {error!r}"
        ) from error
    if not bands:
        raise SourceError(f"{folder} has no band files beside {metadata[0].name}")
    quality = folder / f"{stem}_QA_PIXEL.TIF"
    mask = CloudMask(str(quality), bits=_QA_BITS) if quality.exists() else None
    default = tuple(band for band in bands if band.common in _LANDSAT_DEFAULT)
    kind = f"Landsat Collection 2 level {level}"
    return Product(kind, tuple(bands), default or tuple(bands), mask)


def _terms(groups: _Groups, code: str, level: int) -> tuple[float, float] | None:
    """Return scale and offset of a band file; None for a file that is not a reflective band."""
    if level == 2:
        group, number, kind = (
            (_ST_GROUP, code, "TEMPERATURE")
            if code.startswith("ST_B")
            else (_SR_GROUP, code.removeprefix("SR_B"), "REFLECTANCE")
        )
        height = 1.0
    else:
        group, number, kind = _TOA_GROUP, code.removeprefix("B"), "REFLECTANCE"
        height = math.sin(math.radians(float(groups["IMAGE_ATTRIBUTES"]["SUN_ELEVATION"])))
        if height <= 0:
            raise ValueError("the sun is below the horizon: no reflectance")
    values = groups[group]
    if f"{kind}_MULT_BAND_{number}" not in values:
        return None  # thermal bands of level 1, quality bands
    scale = float(values[f"{kind}_MULT_BAND_{number}"])
    offset = float(values[f"{kind}_ADD_BAND_{number}"])
    return scale / height, offset / height


def _band_order(path: Path) -> tuple[bool, int, str]:
    """Sort B2 before B10, and surface temperature after reflectance."""
    digits = re.search(r"B(\d+)$", path.stem)
    return "_ST_" in path.name, int(digits[1]) if digits else 0, path.name


def _read_mtl(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of a metadata file."""
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
