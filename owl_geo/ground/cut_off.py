"""Raster files that end too early, where that is to be known before any pixel is read.

GDAL takes what a file of ENVI or of classic NetCDF lacks for zeros, also where a VRT shows it, and
reads a grid of text from its beginning on.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from owl_geo.errors import Fault
from owl_geo.settings.subdatasets import file_of
from owl_geo.wording import counted

_TEXT = ("AAIGrid", "GRASSASCIIGrid")
_HEADER_WORDS = 10  # of such a grid, at least
_CHUNK = 2**24  # bytes
# of formats whose missing ends GDAL tells of, and of what lies beside others
_TELLING = (".tif", ".tiff", ".jp2", ".jpg", ".png", ".xml", ".ovr", ".hdr")


def cut_off(dataset: rasterio.DatasetReader) -> Fault | None:
    """Return that a raster ends before its last pixel, and what to do; None where it does not."""
    find = _FIND.get(dataset.driver)
    file = Path(file_of(dataset.name))
    if dataset.driver == "VRT" and file.is_file():
        return _behind(dataset, file)
    if find is None or not file.is_file():
        return None
    what = find(dataset, file)
    return Fault(what, "fetch it anew") if what else None


def _behind(dataset: rasterio.DatasetReader, file: Path) -> Fault | None:
    """Return that a file which a VRT shows ends too early; None where none does."""
    seen, waiting = {str(file)}, [*dataset.files]
    while waiting:
        name = waiting.pop()
        if name in seen or name.lower().endswith(_TELLING) or not Path(name).is_file():
            continue
        seen.add(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                shown = rasterio.open(name)
        except RasterioError:  # a file beside it, or one that whoever reads it tells of
            continue
        with shown:
            if shown.driver == "VRT":
                waiting += shown.files
            elif fault := cut_off(shown):
                return Fault(f"shows {name}, which {fault.what}", fault.remedy)
    return None


def is_known_whole(dataset: rasterio.DatasetReader) -> bool:
    """Return whether its header, or ``cut_off``, tells that a raster does not end too early.

    Of a GeoTIFF it is the header's to tell. GDAL finds out about one when it comes to its end, so
    the rest can be read.
    """
    file = Path(file_of(dataset.name))
    if not file.is_file():
        return False
    if dataset.driver == "GTiff":
        return _end_of_tiff(dataset) <= file.stat().st_size
    return dataset.driver in _FIND


def _end_of_tiff(dataset: rasterio.DatasetReader) -> int:
    """Return where the last row of blocks ends, which programs write last, in bytes."""
    height, width = dataset.block_shapes[0]
    row = (dataset.height - 1) // height
    each = dataset.indexes if dataset.interleaving != Interleaving.pixel else [1]
    end = 0
    for band in each:
        for column in range(math.ceil(dataset.width / width)):
            begin, size = (
                dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=band)
                for what in ("OFFSET", "SIZE")
            )
            if begin is not None and size is not None:  # else the block is empty
                end = max(end, int(begin) + int(size))
    return end


def _envi(dataset: rasterio.DatasetReader, file: Path) -> str:
    header = dataset.tags(ns="ENVI")
    if header.get("file_compression", "0").strip() not in ("", "0"):
        return ""
    begin = header.get("header_offset", "0").strip()
    per_pixel = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    least = (int(begin) if begin.isdecimal() else 0) + dataset.height * dataset.width * per_pixel
    size = file.stat().st_size
    return f"has {size:,} bytes, and its header says {least:,}" if size < least else ""


def _netcdf(dataset: rasterio.DatasetReader, file: Path) -> str:
    """Tell of the classic format; of the newer one, the library does."""
    with file.open("rb") as opened:
        if opened.read(4) not in (b"CDF\x01", b"CDF\x02"):
            return ""
    from scipy.io import netcdf_file

    try:
        netcdf_file(file, mmap=True).close()  # which maps every variable, and reads none
    except ValueError:
        return "ends before the last of its values"
    except (OSError, TypeError, IndexError, KeyError):  # of a kind that this reader does not know
        return ""
    return ""


def _text(dataset: rasterio.DatasetReader, file: Path) -> str:
    state = file.stat()
    n = _n_words(str(file), state.st_size, state.st_mtime_ns) - _HEADER_WORDS
    least = dataset.height * dataset.width
    return f"ends before the last of its {counted(least, 'pixel')}" if n < least else ""


_FIND = {"ENVI": _envi, "netCDF": _netcdf} | dict.fromkeys(_TEXT, _text)


@lru_cache(maxsize=64)
def _n_words(path: str, size: int, changed: int) -> int:
    """Return how many words a file of text has; ``size`` and ``changed`` tell whether it is new."""
    count, is_blank = 0, True
    with Path(path).open("rb", buffering=0) as opened:
        while part := opened.read(_CHUNK):
            blank = np.frombuffer(part, dtype=np.uint8) <= ord(" ")
            count += int((blank[:-1] & ~blank[1:]).sum()) + int(is_blank and not blank[0])
            is_blank = bool(blank[-1])
    return count
