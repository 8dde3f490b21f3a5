"""Whether the files of a scene are what they were: by size and time, then by a digest of samples.

A copy has another time and the same bytes, so the time alone says little; and to read a scene from
end to end would take as long as to learn from it. So a file is known by its size and a digest of
its beginning, its end and blocks in between. What lies behind a URL or a VRT is not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from owl_geo.settings.owl_toml import is_local

GONE: list[list[Any]] = [["gone"]]

_WHOLE = 2**20  # bytes up to which a file is read from end to end
_ENDS = 2**16  # bytes at its beginning, with the header, and at its end
_BLOCKS, _BLOCK = 32, 2**12  # in between
# Which files of a folder count: rasters, and what says how they are to be read. Others may be many,
# as a store's chunks are, or come and go, as what GIS programs write beside a raster they show.
_COUNT = (".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".img", ".xml", ".txt", ".json")
_STORES = (".zmetadata", ".zarray", ".zattrs")
_BESIDE = ".aux.xml"

# What is kept of a file: its name within its place, size, time of change in ns, digest.
Known = tuple[str, int, int, str]


def file_states(place: str | None, *, whole: bool = True) -> list[list[Any]]:
    """Return size and time of a file, or with its name of each in a folder; nothing of a URL.

    Not ``whole`` looks at what stands in the folder itself: a store may have a million chunks.
    """
    if place is None or not is_local(place):
        return []
    path = Path(place)
    try:
        files = [path]
        if path.is_dir():
            found = path.rglob("*") if whole else path.iterdir()
            files = sorted(f for f in found if f.is_file() or not whole)
        states = [(file, file.stat()) for file in files]
    except OSError:  # whoever opens it says so
        return GONE
    return [
        [str(file.relative_to(path)), state.st_size, state.st_mtime_ns] for file, state in states
    ]


def known_files(place: str) -> list[Known]:
    """Return what the files of a scene, or of a store, are known by later; raises OSError.

    Of a folder the rasters and their metadata count, of a store its metadata, of a URL nothing.
    """
    if not is_local(place):
        return []
    path = Path(place)
    known = []
    for file in _files(path):
        state = file.stat()
        digest = _digest(file, state.st_size)
        known.append((_name(file, path), state.st_size, state.st_mtime_ns, digest))
    return known


def changes(place: str, known: Sequence[Known]) -> list[Known]:
    """Return what is now there of the files that are not as they were known; raises OSError."""
    path = Path(place)
    found = []
    for name, size, changed, digest in known:
        file = path / name
        state = file.stat()
        if (state.st_size, state.st_mtime_ns) == (size, changed):
            continue
        now = _digest(file, state.st_size)
        if (state.st_size, now) != (size, digest):
            found.append((name, state.st_size, state.st_mtime_ns, now))
    return found


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    is_safe = (path / "GRANULE").is_dir()  # of Sentinel-2; the others are flat
    for file in sorted(path.rglob("*") if is_safe else path.iterdir()):
        name = file.name.lower()
        counts = (name.endswith(_COUNT) and not name.endswith(_BESIDE)) or name in _STORES
        if counts and file.is_file():
            yield file


def _name(file: Path, path: Path) -> str:
    return "" if file == path else file.relative_to(path).as_posix()


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
