"""Whether the files of a scene are what they were: by size and time, then by a digest of samples.

A copy has another time and the same bytes, so the time alone says little; and to read a scene from
end to end would take as long as to learn from it. So a file is recorded by its size and a digest of
its beginning, its end and blocks in between. The files that a VRT or a raster tile index shows
count with it, and so does what stands beside a raster and makes other values of its pixels; what
lies behind a URL is not looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError  # nosec B405 # for its type

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.disk.listing import files_below
from owl_geo.disk.presence import is_dir, is_file
from owl_geo.settings.paths import is_local
from owl_geo.sources.virtual import files_behind, is_virtual

GONE: list[list[Any]] = [["gone"]]

_WHOLE = 2**20  # bytes up to which a file is read from end to end
_ENDS = 2**16  # bytes at its beginning, with the header, and at its end
_BLOCKS, _BLOCK = 32, 2**12  # in between
_RASTERS = (".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".img")
_METADATA = (".xml", ".txt", ".json")
_STORES = (".zmetadata", ".zarray", ".zattrs")
_BESIDE = ".aux.xml"  # written by GIS programs beside a raster that they show
_DECLARING = ("NoDataValue", "Scale", "Offset")  # what makes other values of a raster in it

# What is kept of a file: its name within its folder, size, time of change in ns, digest. Of what
# is declared beside a raster, the digest alone.
FileRecord = tuple[str, int, int, str]


def file_states(path: str | None, *, whole: bool = True) -> list[list[Any]]:
    """Return size and time of a file, or with its name of each in a folder; nothing of a URL.

    Those of the files behind a virtual raster follow. Not ``whole`` looks at what stands in the
    folder itself: a store may have a million chunks.
    """
    if path is None or not is_local(path):
        return []
    top = Path(path)
    try:
        files = [top]
        if is_dir(top):
            found = files_below(top) if whole else top.iterdir()
            files = sorted(f for f in found if is_file(f) or not whole)
        names = [(str(file.relative_to(top)), file) for file in files]
        if whole:
            names += [(_name(file, top), file) for file in _behind(files)]
        states = [(name, file.stat()) for name, file in names]
    except OSError:  # whoever opens it says so
        return GONE
    of_files = [[name, state.st_size, state.st_mtime_ns] for name, state in states]
    declared = "" if is_dir(top) else _declared_beside(top)  # a folder's files are all there
    return [*of_files, [_BESIDE, declared]] if declared else of_files


def record_files(path: str, files_in: Callable[[Path], Iterable[Path]]) -> list[FileRecord]:
    """Return what tells later whether a file changed, or of a folder those of ``files_in``.

    The files behind a virtual raster follow. Nothing of a URL. Raises OSError.
    """
    if not is_local(path):
        return []
    top = Path(path)
    records = []
    files = list(files_in(top)) if is_dir(top) else [top]
    for file in (*files, *_behind(files)):
        state = file.stat()
        digest = _digest(file, state.st_size)
        name = _name(file, top)
        records.append((name, state.st_size, state.st_mtime_ns, digest))
        if file == top or file.name.lower().endswith(_RASTERS):
            records.append((name + _BESIDE, 0, 0, _declared_beside(file)))
    return records


def changes(path: str, records: Sequence[FileRecord]) -> list[FileRecord]:
    """Return new records of the files that are not as they were recorded.

    One that is gone has size 0: files of other names may show the scene now, such as another date's
    in a folder. Raises OSError where ``path`` itself is gone or cannot be read.
    """
    changed = []
    top = Path(path)
    if records:
        top.stat()
    for name, size, time, digest in records:
        if name.endswith(_BESIDE):
            declared = _declared_beside(_file(top, name.removesuffix(_BESIDE)))
            changed += [(name, 0, 0, declared)] if declared != digest else []
            continue
        file = _file(top, name)
        if not is_file(file):
            changed.append((name, 0, 0, ""))
            continue
        state = file.stat()
        if (state.st_size, state.st_mtime_ns) == (size, time):
            continue
        now = _digest(file, state.st_size)
        if (state.st_size, now) != (size, digest):
            changed.append((name, state.st_size, state.st_mtime_ns, now))
    return changed


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield the files that stand in a folder, sorted by name; hidden ones are left out."""
    for file in sorted(folder.iterdir()):
        if not file.name.startswith(".") and is_file(file):
            yield file


def imagery_files(folder: Path) -> Iterator[Path]:
    """Yield the rasters and metadata of a folder, or the metadata of a store, sorted by path.

    Other files may be many, as a store's chunks are, or come and go.
    """
    is_safe = is_dir(folder / "GRANULE")  # of Sentinel-2; the others are flat
    for file in sorted(files_below(folder) if is_safe else folder.iterdir()):
        name = file.name.lower()
        counts = name.endswith((*_RASTERS, *_METADATA)) and not name.endswith(_BESIDE)
        counts |= name in _STORES
        if counts and is_file(file):
            yield file


def _declared_beside(raster: Path) -> str:
    """Return a digest of no-data values, scales and a mask in files beside a raster, if any.

    What programs that show the raster write there, such as statistics, does not count.
    """
    terms: list[Any] = []
    with suppress(OSError, ParseError, DefusedXmlException, ValueError):
        bands = parse_xml(f"{raster}{_BESIDE}").iter("PAMRasterBand")
        terms += [(b.get("band"), e.tag, e.text) for b in bands for e in b if e.tag in _DECLARING]
    with suppress(OSError):
        mask = Path(f"{raster}.msk")
        terms.append(_digest(mask, mask.stat().st_size))
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:16] if terms else ""


def _behind(files: Sequence[Path]) -> list[Path]:
    """Return the files behind the virtual rasters among some files, without these themselves."""
    behind = {file: None for one in files if is_virtual(one) for file in files_behind(one)}
    known = {os.path.realpath(file) for file in files} if behind else set()
    return [file for file in behind if os.path.realpath(file) not in known]


def _name(file: Path, top: Path) -> str:
    """Return what a file is called in the records of ``top``: relative to it, or to its folder."""
    if file == top:
        return ""
    base = top if is_dir(top) else top.parent
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)


def _file(top: Path, name: str) -> Path:
    """Return the file that is called ``name`` in the records of ``top``."""
    if not name:
        return top
    return (top if is_dir(top) else top.parent) / name


def _digest(file: Path, size: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        if size <= _WHOLE:
            digest.update(handle.read())
        else:
            digest.update(handle.read(_ENDS))
            for number in range(1, _BLOCKS + 1):
                handle.seek(number * (size - _ENDS) // (_BLOCKS + 1))
                digest.update(handle.read(_BLOCK))
            handle.seek(size - _ENDS)
            digest.update(handle.read(_ENDS))
    return digest.hexdigest()[:16]
