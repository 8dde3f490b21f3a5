"""Images that lie on the map in KML and KMZ (GroundOverlay), which are no places.

GDAL takes the outline of each for a polygon among the places of its folder, and tells it apart by
nothing that is always there.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 2**20
_SIGN = b"GroundOverlay"
_IMAGE = re.compile(rb"<((?:\w+:)?)GroundOverlay\b.*?</\1GroundOverlay\s*>", re.DOTALL)
_ARCHIVES = (".kmz", ".zip")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp")


def n_images(file: Path) -> int:
    """Return how many images lie on the map in a file of KML, or in those of an archive.

    None in any other file. Raises OSError.
    """
    return sum(len(_IMAGE.findall(text)) for text in _texts(file).values())


@contextmanager
def without_images(file: Path) -> Iterator[Path]:
    """Give a vector file as it is, or a copy of it without images on the map; raises OSError."""
    texts = _texts(file)
    if not texts:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name  # GDAL may call a layer as the file is called
        if _is_archive(file):
            with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as slimmer:
                for name in archive.namelist():
                    if not name.lower().endswith(_PICTURES):
                        text = texts.get(name)
                        slimmer.writestr(
                            name, archive.read(name) if text is None else _IMAGE.sub(b"", text)
                        )
        else:
            copy.write_bytes(_IMAGE.sub(b"", texts[file.name]))
        yield copy


def _texts(file: Path) -> dict[str, bytes]:
    """Return the text of each KML that has images on the map, by its name."""
    if file.suffix.lower() == ".kml":
        return {file.name: file.read_bytes()} if _has_sign(file) else {}
    if not _is_archive(file):
        return {}
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".kml")]
            texts = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):  # who opens it says so
        return {}
    return {name: text for name, text in texts.items() if _SIGN in text}


def _is_archive(file: Path) -> bool:
    return file.suffix.lower() in _ARCHIVES


def _has_sign(file: Path) -> bool:
    before = b""
    with file.open("rb") as opened:
        for part in iter(lambda: opened.read(_CHUNK), b""):
            if _SIGN in before + part:
                return True
            before = part[-len(_SIGN) :]
    return False
