"""The wavelengths of EnMAP's and DESIS' images, which stand in a file beside them alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # for its types

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.disk.presence import is_file
from owl_geo.settings.paths import is_local

_IMAGE = re.compile(r"SPECTRAL_IMAGE(?:_COG)?$", re.IGNORECASE)
_METADATA = ("METADATA.XML", "METADATA.xml", "metadata.xml")
_CENTRE = "wavelengthCenterOfBand"
_WIDTHS = ("FWHMOfBand", "wavelengthWidthOfBand")  # EnMAP's, DESIS'
_MOST_BYTES = 64 * 2**20


class Line(NamedTuple):
    """Where a band lies in the spectrum, in nanometres; None where nothing tells."""

    centre: float | None
    width: float | None  # full width at half maximum


def spectrum_beside(path: str, count: int) -> list[Line] | None:
    """Return where each of ``count`` bands lies, by the metadata of the product that a file is of.

    None for any other file, and where its metadata are missing, broken or about other bands.
    """
    image = Path(path)
    if not is_local(path) or not _IMAGE.search(image.stem):
        return None
    beside = (image.with_name(_IMAGE.sub("", image.stem) + name) for name in _METADATA)
    metadata = next(filter(is_file, beside), None)
    if metadata is None:
        return None
    try:
        if metadata.stat().st_size > _MOST_BYTES:
            return None
        root: Element | None = parse_xml(metadata).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError, RecursionError):
        return None
    # both have such elements elsewhere, too, about what is wrong with a band
    bands = [] if root is None else [e for e in root.iter() if e.find(_CENTRE) is not None]
    by_number = {_number(band): band for band in bands}
    if len(bands) != count or set(by_number) != {str(i) for i in range(1, count + 1)}:
        return None
    return [_line(by_number[str(i)]) for i in range(1, count + 1)]


def _number(band: Element) -> str:
    return (band.get("number") or band.findtext("bandNumber") or "").strip()


def _line(band: Element) -> Line:
    widths = (band.findtext(name) for name in _WIDTHS)
    return Line(_float(band.findtext(_CENTRE)), _float(next(filter(None, widths), None)))


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
