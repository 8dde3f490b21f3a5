"""Virtual rasters: the files that one shows in place of pixels of its own.

A VRT is read as XML here, not by GDAL, so that any command can ask, and so that nothing but the
VRT itself is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import ParseError  # nosec B405 # for its type

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.settings.owl_toml import is_local

_NAMING = ("SourceFilename", "SourceDataset")
_MOST_BYTES = 64 * 2**20  # a mosaic of a hundred thousand files needs less


def is_virtual(path: str | Path) -> bool:
    """Return whether a path is one of a VRT, by its name."""
    return str(path).lower().endswith(".vrt")


def sources_of(path: Path) -> list[Path]:
    """Return the local files that a VRT names, each once, in its order; they need not exist.

    Nothing of a VRT that cannot be read, which whoever opens it says.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            return []
        root = parse_xml(path).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError, RecursionError):
        return []
    named: dict[Path, None] = {}
    for element in [] if root is None else root.iter():
        text = (element.text or "").strip()
        if element.tag not in _NAMING or not text or not is_local(text) or text.startswith("<"):
            continue
        is_relative = element.get("relativeToVRT", element.get("relativetoVRT")) == "1"
        named[Path(os.path.normpath(path.parent / text if is_relative else Path(text)))] = None
    return list(named)


def files_behind(path: Path) -> Iterator[Path]:
    """Yield the existing files behind a VRT, and those behind them, each once."""
    seen = {os.path.realpath(path)}
    waiting = [path]
    while waiting:
        virtual = waiting.pop(0)
        for file in sources_of(virtual):
            real = os.path.realpath(file)
            if real in seen or not file.is_file():
                continue
            seen.add(real)
            yield file
            if is_virtual(file):
                waiting.append(file)
