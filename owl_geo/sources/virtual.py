"""Virtual rasters: the files that a VRT or a raster tile index shows in place of pixels of its own.

They are read here as XML and tables, not by GDAL, so that any command can ask, and so that nothing
but the virtual raster itself is opened.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # for its types

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.disk.presence import is_file
from owl_geo.settings.paths import is_local

_TILE_INDEX = (".gti", ".gti.gpkg")
_NAMING = ("SourceFilename", "SourceDataset", "IndexDataset")
_LOCATION = "location"  # the column that GDAL takes unless it is told of another
_MOST_BYTES = 64 * 2**20  # a mosaic of a hundred thousand files needs less


def is_virtual(path: str | Path) -> bool:
    """Return whether a path is one of a VRT or of a raster tile index, by its name."""
    return str(path).lower().endswith((".vrt", *_TILE_INDEX))


def sources_of(path: Path) -> list[Path]:
    """Return the local files that a virtual raster names, in its order; they need not exist.

    Nothing of one that cannot be read, which whoever opens it says.
    """
    names = _tiles(path) if path.name.lower().endswith(".gpkg") else _named(path)
    # a relative path is kept as it is: behind a link, .. leads elsewhere
    return list(dict.fromkeys(path.parent / name for name in names if name and is_local(name)))


def files_behind(path: Path) -> Iterator[Path]:
    """Yield the existing files behind a virtual raster, and those behind them, each once."""
    seen = {os.path.realpath(path)}
    waiting = [path]
    while waiting:
        for file in sources_of(waiting.pop(0)):
            real = os.path.realpath(file)
            if real in seen or not is_file(file):
                continue
            seen.add(real)
            yield file
            if is_virtual(file):
                waiting.append(file)


def _named(path: Path) -> Iterator[str]:
    """Yield the files that are named in the XML of a VRT, or the index in that of a tile index."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return
        root: Element | None = parse_xml(path).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError, RecursionError):
        return
    for element in () if root is None else root.iter():
        text = (element.text or "").strip()
        if element.tag not in _NAMING or text.startswith("<"):
            continue
        is_relative = element.get("relativeToVRT") == "1"
        yield text if is_relative else os.path.abspath(text)  # noqa: PTH100 - a path is not needed


def _tiles(path: Path) -> Iterator[str]:
    """Yield the files that a raster tile index in a GeoPackage lists."""
    from owl_geo.disk.gpkg import connect_to_foreign, layers, quoted

    try:
        with closing(connect_to_foreign(path)) as connection:
            for layer in layers(connection) or ():
                query = f"SELECT {quoted(_LOCATION)} FROM {quoted(layer)}"  # noqa: S608 - quoted
                for (name,) in connection.execute(query):
                    if isinstance(name, str):
                        yield name
    except (OSError, sqlite3.Error):
        return
