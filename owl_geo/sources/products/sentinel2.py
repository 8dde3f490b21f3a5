"""Sentinel-2 products (.SAFE) of level 1C and 2A, of every processing baseline."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # for its types

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.disk.listing import entries, files_below
from owl_geo.disk.presence import is_dir
from owl_geo.errors import SourceError
from owl_geo.settings.known_masks import SCL
from owl_geo.sources.bands import unpadded
from owl_geo.sources.files import read_bands
from owl_geo.sources.named_bands import taking
from owl_geo.sources.products.product import (
    SURFACE,
    TOP_OF_ATMOSPHERE,
    CloudMask,
    Family,
    Product,
    finite,
    unmasked,
)
from owl_geo.sources.scene_dates import date_of
from owl_geo.sources.sensors import SENTINEL_2 as COMMON_NAMES

# The order of band_id in the metadata, level 2A included although it has no B10.
_ORDER = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A"),
    *("B09", "B10", "B11", "B12"),
)
# When the ground was seen, in the metadata of a product; GENERATION_TIME is when it was processed.
_STARTS = ("PRODUCT_START_TIME", "DATATAKE_SENSING_START")
_DEFAULT = ("B02", "B03", "B04", "B08")
_IMAGE = re.compile(r"_(B\d\d|B8A)(?:_(\d\d)m)?\.jp2", re.IGNORECASE)
# T32TNT_20230615T103629_B02_10m, as bands are called that were taken out of a product
_BAND = re.compile(r"(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}_(?:B\d\d|B8A)(?:_\d\dm)?", re.IGNORECASE)
_SCL = re.compile(r"_SCL_(\d\d)m\.jp2", re.IGNORECASE)
_WITH_OFFSETS = 4.0  # the first processing baseline that has them
_SENTINEL_1 = ("S1A_", "S1B_", "S1C_", "S1D_")
_DEPTH = 4  # GRANULE/L2A_.../IMG_DATA/R10m


def _is_sentinel2(folder: Path) -> bool:
    """Return whether the folder is a Sentinel-2 product (.SAFE)."""
    return folder.name.upper().endswith(".SAFE") or any(folder.glob("MTD_MSIL*.xml"))


def _read(folder: Path) -> Product:
    """Read a Sentinel-2 product of level 1C or 2A; bands become reflectance.

    Each band is taken at its finest resolution. Raises SourceError where the metadata or the images
    are missing or damaged, or the metadata have an offset for other bands only.
    """
    path = _metadata_in(folder)
    level = "2A" if "L2A" in path.name.upper() else "1C"
    files = _images(folder)
    metadata = _Metadata.of(path, level)
    codes = [code for code in _ORDER if code in files]
    without = [code for code in codes if code not in metadata.offsets]
    if metadata.offsets and without:
        raise SourceError(f"{path} has an offset for other bands, and none for {without[0]}")
    bands = tuple(
        replace(
            read_bands(files[code], prefix=code)[0],
            nodata=metadata.nodata,
            scale=1.0 / metadata.quantification,
            offset=metadata.offsets.get(code, 0.0) / metadata.quantification,
            common=COMMON_NAMES.get(unpadded(code)),
        )
        for code in codes
    )
    mask = CloudMask(str(files["SCL"]), values=SCL.values) if "SCL" in files else None
    note = unmasked(folder, "scene classification (SCL)")
    return Product(
        kind=f"Sentinel-2 level {level}",
        bands=bands,
        default=tuple(band for band in bands if band.name in _DEFAULT) or bands,
        mask=mask,
        left_out=(note,) if mask is None and level == "2A" else (),
        no_offset=_no_offset(path, metadata),
        taken=metadata.taken,
        measure=SURFACE if level == "2A" else TOP_OF_ATMOSPHERE,
    )


def _no_offset(path: Path, metadata: _Metadata) -> tuple[str, ...]:
    """Say where metadata lack the offset that their processing baseline has."""
    if metadata.offsets or metadata.baseline is None or metadata.baseline < _WITH_OFFSETS:
        return ()
    return (
        f"{path} is of processing baseline {metadata.baseline:05.2f} and has no offset, so none is "
        "applied; since 04.00 pixels have one, unless somebody took it out; if they do, set "
        f"offset = [{-1000 / metadata.quantification:g}] for the scene in owl.toml, then run "
        "`owl-geo init RUN --update`",
    )


def _metadata_in(folder: Path) -> Path:
    """Return the metadata file of a product; raises SourceError where it has none."""
    if files := sorted(folder.glob("MTD_MSIL*.xml")):
        return files[0]
    inside = [one for one in sorted(folder.glob("*.SAFE")) if _is_sentinel2(one)]  # unpacked twice
    if not inside and folder.name.upper().startswith(_SENTINEL_1):
        raise SourceError(
            f"{folder} is a product of Sentinel-1, whose images do not lie on a grid of the map",
            remedy="correct its terrain, for example with SNAP, or fetch an RTC product of it",
        )
    raise SourceError(
        f"{folder} has no MTD_MSIL1C.xml or MTD_MSIL2A.xml: not a whole product",
        remedy=f"did you mean {str(inside[0])!r}?" if inside else "",
    )


def _images(folder: Path) -> dict[str, Path]:
    """Return the finest image of each band, and of the scene classification as ``SCL``."""
    granules = [path for path in entries(folder / "GRANULE") if is_dir(path)]
    if len(granules) != 1:
        raise SourceError(
            f"{folder} has {len(granules)} granules", remedy="a product of one tile is needed"
        )
    finest: dict[str, tuple[int, Path]] = {}
    images = granules[0] / "IMG_DATA"
    for path in sorted(files_below(images)) if is_dir(images) else ():
        if not path.match("*.jp2"):
            continue
        if match := _IMAGE.search(path.name):
            code, metres = match[1].upper(), int(match[2] or 0)
        elif match := _SCL.search(path.name):
            code, metres = "SCL", int(match[1])
        else:
            continue
        if code not in finest or metres < finest[code][0]:
            finest[code] = (metres, path)
    if not finest.keys() - {"SCL"}:
        raise SourceError(f"{granules[0]} has no band images (IMG_DATA/**/*_B02*.jp2 and so on)")
    return {code: path for code, (_, path) in finest.items()}


@dataclass(frozen=True)
class _Metadata:
    quantification: float
    offsets: Mapping[str, float]  # by band; empty before processing baseline 04.00
    nodata: float | None
    taken: datetime.date | None
    baseline: float | None

    @classmethod
    def of(cls, path: Path, level: str) -> _Metadata:
        try:
            root = parse_xml(path).getroot()
            if root is None:
                raise ValueError("no root element")
            tag = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
            # Level 2A of before 2018 writes L2A_BOA_QUANTIFICATION_VALUE.
            values = [_number(e) for e in root.iter() if e.tag in (tag, f"L2A_{tag}")]
            names = {
                int(e.attrib["bandId"]): _code(e.attrib["physicalBand"])
                for e in root.iter("Spectral_Information")
            } or dict(enumerate(_ORDER))
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
        starts = [root.findtext(f".//{tag}") for tag in _STARTS]
        taken = next((date for start in starts if (date := date_of(start)) is not None), None)
        baseline = _baseline(root.findtext(".//PROCESSING_BASELINE"))
        return cls(values[0], offsets, nodata[0] if nodata else None, taken, baseline)


def _baseline(text: str | None) -> float | None:
    try:
        return finite(text or "")
    except ValueError:
        return None


def _number(element: Element) -> float:
    return finite(element.text or "")


def _code(physical: str) -> str:
    """``B1`` -> ``B01``, ``B8A`` -> ``B8A``: the metadata and the file names differ."""
    return re.sub(r"^B(\d)$", r"B0\1", physical)


def _described_by(path: Path) -> Path | None:
    """Return the folder of the product that a file would be the metadata of, by its name."""
    name = path.name.casefold()
    if name == "manifest.safe" or re.fullmatch(r"mtd_msil\w+\.xml", name):
        return path.parent
    return path.absolute().parent.parent.parent if name == "mtd_tl.xml" else None  # of a granule


def _raw_bands(paths: Sequence[Path]) -> str:
    """Say what images of a product lack without it; nothing where none is one."""
    image = next((path for path in paths if _BAND.fullmatch(path.stem)), None)
    if image is None or image.suffix.casefold() != ".jp2":
        return ""
    parents = image.absolute().parents[1 : 1 + _DEPTH]
    folders = (parent for parent in parents if parent.is_dir())  # not those in an archive
    around = next((folder for folder in folders if _is_sentinel2(folder)), None)
    remedy = "set scale, offset and nodata in owl.toml, and give --mask"
    remedy = remedy if around is None else f"name the product: {taking(around)}"
    return (
        f"{image.stem} and the other Sentinel-2 bands are read as raw numbers, without offset, "
        f"no-data value and cloud mask, since these are in a product's other files; {remedy}"
    )


SENTINEL_2 = Family(_is_sentinel2, _read, _described_by, _raw_bands, _DEPTH)
