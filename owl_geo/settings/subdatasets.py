"""Rasters within files as GDAL spells them: ``NETCDF:"f.nc":red``, ``GTIFF_DIR:2:f.tif``.

Such a name is no path, but it holds one, which starts where the others of the settings do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NAME = re.compile(
    r"(?P<before>(?:"
    r"NETCDF|HDF5|ZARR|GPKG|GTI|BAG|SENTINEL2_L1B|SENTINEL2_L1C(?:_TILE)?|SENTINEL2_L2A"
    r"|SENTINEL1_(?:DS|CALIB)|HDF4_EOS:\w+|HDF4_SDS:\w+|GTIFF_DIR(?::off)?:\d+|NITF_IM:\d+|PDF:\d+"
    r"):)"
    r'(?:"(?P<quoted>[^"]+)"|(?P<plain>(?:[A-Za-z]:(?=[\\/]))?[^:"]+))'
    r"(?P<after>.*)",
    re.IGNORECASE | re.DOTALL,
)


def is_subdataset(text: str) -> bool:
    """Return whether a text names a raster within a file."""
    return _NAME.fullmatch(text) is not None


def file_of(text: str) -> str:
    """Return the file that holds a subdataset; any other text as it is."""
    match = _NAME.fullmatch(text)
    return text if match is None else match["quoted"] or match["plain"]


def with_file(text: str, change: Callable[[str], str]) -> str:
    """Return a subdataset with another path for its file; any other text as it is."""
    match = _NAME.fullmatch(text)
    if match is None:
        return text
    path = change(match["quoted"] or match["plain"])
    quoted = f'"{path}"' if match["quoted"] else path
    return f"{match['before']}{quoted}{match['after']}"


def label_of(text: str) -> str:
    """Return what tells a subdataset from others of its file, in letters, digits and ``_``."""
    match = _NAME.fullmatch(text)
    if match is None:
        return ""
    number = re.search(r"\d+(?=:$)", match["before"])
    words = re.findall(r"\w+", match["after"]) or ([number[0]] if number else [])
    return "_".join(words)
