"""KML and KMZ of which GDAL would read something else than their places.

It takes the outlines of images that lie on the map (GroundOverlay) for polygons, and tells them
apart by nothing that is always there. Of several folders or places that stand side by side at the
top, without the one document that the format wants, it reads the last alone. Of several holes that
share one element it reads one, and so it does of several outer boundaries. A closed line that is a
ring of no polygon comes out of it as a shape that nothing reads.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.parsers import expat

_IMAGE = re.compile(rb"<((?:\w+:)?)GroundOverlay\b.*?</\1GroundOverlay\s*>", re.DOTALL)
_FEATURES = ("Document", "Folder", "Placemark", "NetworkLink")
_FIRST = re.compile(rb"<(?:\w+:)?(Document|Folder|Placemark|NetworkLink)\b")
_DOCUMENT = re.compile(rb"<(?:\w+:)?Document\b")
_ROOT = re.compile(rb"<((?:\w+:)?)kml\b[^>]*>")
_HOLES = re.compile(rb"<((?:\w+:)?)innerBoundaryIs\b[^>]*>.*?</\1innerBoundaryIs\s*>", re.DOTALL)
_NEXT_HOLE = re.compile(rb"(</((?:\w+:)?)LinearRing\s*>)(\s*<\2LinearRing\b)")
_AREA = re.compile(rb"<((?:\w+:)?)Polygon\b.*?</\1Polygon\s*>", re.DOTALL)
_OUTER = re.compile(rb"<((?:\w+:)?)outerBoundaryIs\b.*?</\1outerBoundaryIs\s*>", re.DOTALL)
_RING = re.compile(rb"<(?:\w+:)?LinearRing\b")
_RINGS = re.compile(_AREA.pattern + rb"|(</?(?:\w+:)?)LinearRing\b", re.DOTALL)
_LINE = b"LineString"
_ARCHIVES = (".kmz", ".zip")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp")


def n_images(file: Path) -> int:
    """Return how many images lie on the map in a file of KML, or in those of an archive.

    None in any other file. Raises OSError.
    """
    return sum(len(_IMAGE.findall(text)) for text in _texts(file).values())


def n_in_parts(file: Path) -> int:
    """Return how many polygons of such a file have several outer boundaries; raises OSError."""
    areas = (area[0] for text in _texts(file).values() for area in _AREA.finditer(text))
    return sum(_n_outer(area) > 1 for area in areas)


def _n_outer(area: bytes) -> int:
    return sum(len(_RING.findall(outer[0])) for outer in _OUTER.finditer(area))


@contextmanager
def with_places_alone(file: Path) -> Iterator[Path]:
    """Give a vector file as it is, or a copy of it of which GDAL reads all places and no images.

    Raises OSError.
    """
    texts = _texts(file)
    mended = {
        name: _in_one_document(_with_lines(_with_each_hole(_IMAGE.sub(b"", text))))
        for name, text in texts.items()
    }
    if mended == texts:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name  # GDAL may call a layer as the file is called
        if _is_archive(file):
            with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as slimmer:
                for name in archive.namelist():
                    if not name.lower().endswith(_PICTURES):
                        text = mended.get(name)
                        slimmer.writestr(name, archive.read(name) if text is None else text)
        else:
            copy.write_bytes(mended[file.name])
        yield copy


def _texts(file: Path) -> dict[str, bytes]:
    """Return the text of each KML, by its name."""
    if file.suffix.lower() == ".kml":
        return {file.name: file.read_bytes()}
    if not _is_archive(file):
        return {}
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".kml")]
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):  # whoever opens it says so
        return {}


def _is_archive(file: Path) -> bool:
    return file.suffix.lower() in _ARCHIVES


def _with_each_hole(text: bytes) -> bytes:
    """Return KML with an innerBoundaryIs for each hole, of which Google Earth takes several."""
    between = rb"\1</\2innerBoundaryIs><\2innerBoundaryIs>\3"
    return _HOLES.sub(lambda holes: _NEXT_HOLE.sub(between, holes[0]), text)


def _with_lines(text: bytes) -> bytes:
    """Return KML in which a closed line that is no boundary of a polygon is a line."""
    return _RINGS.sub(lambda found: found[0] if found[2] is None else found[2] + _LINE, text)


def _in_one_document(text: bytes) -> bytes:
    """Return KML with what stands side by side at its top in a document, as is usual."""
    first = _FIRST.search(text)
    if first is None or (first[1] == b"Document" and len(_DOCUMENT.findall(text)) == 1):
        return text
    root = _ROOT.search(text)
    if root is None or _n_at_top(text) < 2:
        return text
    end = text.rindex(b"</" + root[1] + b"kml")
    inside = text[root.end() : end]
    begin, close = b"<" + root[1] + b"Document>", b"</" + root[1] + b"Document>"
    return text[: root.end()] + begin + inside + close + text[end:]


def _n_at_top(text: bytes) -> int:
    """Return how many features are children of the root; 0 of what is no whole XML."""
    depth = count = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth, count
        count += depth == 1 and name.rpartition(":")[2] in _FEATURES
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        return 0
    return count
