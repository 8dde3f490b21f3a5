"""Vector files that hold less than they should: cut off, left out by a server, or linked.

GDAL reads what is there, and says nothing.
"""

from __future__ import annotations

import json
import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.parsers import expat

import numpy as np

from owl_geo.disk.gpkg import lacks_wal
from owl_geo.disk.text_files import encoding_of, is_utf8
from owl_geo.ground.kml_files import n_images, n_in_parts
from owl_geo.wording import counted

_ENDS = 8192  # bytes at both ends of a file, where servers say how much they left out
_CHUNK = 2**20
_SQLITE_HEADER = 100  # bytes
_DGN_END = b"\xff\xff"
_SHX_HEADER = 25  # words of four bytes, of which the first is the mark
_SHX_MARK = 9994
_RECORD_HEADER = 8  # bytes
_DBF_HEADER = 32  # bytes
_FROM_SERVERS = (".json", ".geojson", ".gml", ".xml")
_SEQUENCES = (".geojsonl", ".geojsons", ".ndjson", ".jsonl")
_TILES = (".mbtiles", ".pmtiles", ".mvt")
_HREF = re.compile(  # of a link to another file of KML
    rb"<(?:\w+:)?NetworkLink\b(?:(?!</(?:\w+:)?NetworkLink>).)*?<(?:\w+:)?href>\s*(.*?)\s*<",
    re.DOTALL,
)
_PROTECTED = re.compile(r"(?i)(?:wdpa|wdoecm).*[-_]shp[-_]?[012](?![0-9])")  # of Protected Planet
_NUMBERED = re.compile(r"(gis_osm_\w+_free_)(\d+)", re.IGNORECASE)  # of Geofabrik
_LINKS = (
    "it links to other files (NetworkLink), which are not read; save what they show as a file of "
    "its own, for example in Google Earth"
)
_AT_LIMIT = re.compile(rb'"exceededTransferLimit"\s*:\s*true')  # of ArcGIS
_NUMBERS = (  # of WFS and of OGC API Features, in JSON and in XML
    re.compile(rb'\bnumberMatched"?\s*[:=]\s*"?(\d+)'),
    re.compile(rb'\bnumberReturned"?\s*[:=]\s*"?(\d+)'),
)


def check_is_whole(path: str) -> None:
    """Raise ValueError for a file that ends too early; OSError.

    That is a Shapefile, zipped or not, that ends before its last feature, and a database of SQLite,
    such as SpatiaLite's, of which GDAL reads the pages that are there. A Shapefile whose index is
    missing or damaged is left to GDAL, which refuses it.
    """
    _check_database(Path(path))
    for size, index, _ in _shapefiles(Path(path)):
        words = np.frombuffer(index[: len(index) // 4 * 4], dtype=">i4")
        if len(words) == 0 or words[0] != _SHX_MARK:
            continue
        records = words[_SHX_HEADER:]
        # offset and length of each, in words of two bytes
        places = records[: len(records) // 2 * 2].reshape(-1, 2).astype(np.int64) * 2
        beyond = int((places.sum(axis=1) + _RECORD_HEADER > size).sum())
        if beyond:
            raise ValueError(
                f"it ends before {beyond:,} of its {counted(len(places), 'feature')}: fetch it anew"
            )


def _check_database(file: Path) -> None:
    if not file.is_file():
        return
    with file.open("rb") as opened:
        header = opened.read(_SQLITE_HEADER)
    if len(header) < _SQLITE_HEADER or not header.startswith(b"SQLite format 3\0"):
        return
    page = int.from_bytes(header[16:18], "big")
    size = (2**16 if page == 1 else page) * int.from_bytes(header[28:32], "big")  # bytes
    # else a program wrote it that leaves this number as it was, or pages wait in a file beside it
    is_known = header[24:28] == header[92:96] and not Path(f"{file}-wal").exists()
    if is_known and file.stat().st_size < size:
        raise ValueError(
            f"it has {file.stat().st_size:,} bytes, and its header says {size:,}: fetch it anew"
        )


def _shapefiles(file: Path) -> Iterator[tuple[int, bytes, int | None]]:
    """Yield the size of each Shapefile, its index, and how many rows its table says to have."""
    suffix = file.suffix.lower()
    if suffix == ".shp" and file.is_file():
        index, table = _beside(file, ".shx"), _beside(file, ".dbf")
        rows = None
        if table is not None:
            with table.open("rb") as opened:
                rows = _n_rows(opened.read(_DBF_HEADER))
        if index is not None:
            yield file.stat().st_size, index.read_bytes(), rows
    elif suffix == ".zip" and file.is_file():
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
            members = {one.filename.lower(): one for one in archive.infolist()}
            for name in archive.namelist():
                shapes = members.get(f"{name[:-4].lower()}.shp")
                if not name.lower().endswith(".shx") or shapes is None:
                    continue
                table_inside = members.get(f"{name[:-4].lower()}.dbf")
                rows = None
                if table_inside is not None:
                    with archive.open(table_inside) as inside:
                        rows = _n_rows(inside.read(_DBF_HEADER))
                yield shapes.file_size, archive.read(name), rows


def _n_rows(header: bytes) -> int | None:
    """Return how many rows the header of a DBF says that there are; taken out ones count."""
    return int.from_bytes(header[4:8], "little") if len(header) == _DBF_HEADER else None


def what_lies_elsewhere(path: str) -> list[str]:
    """Return sentences on changes that a program keeps beside a file, and that are not there.

    To be asked before GDAL opens the file, which takes in what lies beside it.
    """
    file = Path(path)
    if file.suffix.lower() != ".gpkg" or not lacks_wal(file):
        return []
    return [
        f"it was saved by a program that keeps changes in {file.name}-wal, which is not next to "
        "it; if it was copied while open there, for example in QGIS, copy both files"
    ]


def what_is_missing(path: str, n: int) -> list[str]:
    """Return sentences on what a file of which n features were read lacks; raises OSError."""
    file = Path(path)
    if not file.is_file():
        return []
    suffix = file.suffix.lower()
    if suffix == ".gml" and n == 0:
        return _broken(file)
    if suffix == ".kml":
        return [*_linked(file), *_images(file), *_in_parts(file)]
    if suffix == ".kmz":
        return [*_linked_outside(file), *_images(file), *_in_parts(file)]
    if suffix == ".zip":
        return [*_images(file), *_in_parts(file), *_other_parts(file), *_rows_of_others(file)]
    if suffix == ".shp":
        return [*_other_parts(file), *_rows_of_others(file)]
    if suffix == ".dgn":
        return _without_end(file)
    if suffix in (".csv", ".tsv"):
        return _open_quotes(file)
    if suffix == ".mif":
        return _without_shapes(file, n)
    if suffix in _TILES:
        return [
            "it holds vector tiles, in which shapes are simplified and may lie off by metres or "
            "much more; take the layer that they were made from"
        ]
    if suffix in _SEQUENCES:
        return _unread_lines(file, n)
    return _left_out(file, n) if suffix in _FROM_SERVERS else []


def _left_out(file: Path, n: int) -> list[str]:
    with file.open("rb") as opened:
        ends = opened.read(_ENDS)
        opened.seek(max(len(ends), file.stat().st_size - _ENDS))
        ends += opened.read()
    if _AT_LIMIT.search(ends):
        return [
            f"it is a part of a layer: its server stopped after {counted(n, 'feature')} "
            "(exceededTransferLimit); fetch the others too"
        ]
    matched, returned = (int(found[1]) if (found := one.search(ends)) else 0 for one in _NUMBERS)
    if matched > max(returned, n):
        return [
            f"it is a part of a layer: it has {n:,} of the {counted(matched, 'feature')} that its "
            "server found; fetch the others too"
        ]
    return []


def _unread_lines(file: Path, n: int) -> list[str]:
    with file.open("rb") as opened:
        first = opened.readline()
        is_a_feature_a_line = first.startswith(b"\x1e")
        with suppress(ValueError):
            is_a_feature_a_line |= isinstance(json.loads(first), dict)
        if not is_a_feature_a_line:
            return []
        opened.seek(0)
        if first.startswith(b"\x1e"):  # which begins each feature, of any number of lines
            lines = sum(part.count(b"\x1e") for part in iter(lambda: opened.read(_CHUNK), b""))
        else:
            lines = sum(1 for line in opened if line.strip())
    if lines <= n:
        return []
    what = counted(lines - n, "line holds", "lines hold")
    return [f"{what} no feature that can be read (is the file whole?); left out"]


def _without_end(file: Path) -> list[str]:
    """Tell of a drawing of MicroStation that has no end, behind which anything may stand."""
    content = file.read_bytes()
    at = 0
    while content[at : at + 2] != _DGN_END:
        if at + 4 > len(content):
            return ["it ends without the mark for its end (is the file whole?)"]
        at += 4 + 2 * int.from_bytes(content[at + 2 : at + 4], "little")
    return []


def _open_quotes(file: Path) -> list[str]:
    """Tell of a table that ends within a value; a text alone may have an odd number of quotes."""
    count, last = 0, b""
    if not is_utf8(encoding_of(file)):
        return []
    with file.open("rb") as opened:
        for part in iter(lambda: opened.read(_CHUNK), b""):
            count, last = count + part.count(b'"'), part[-1:]
    if count % 2 == 0 or last in b"\r\n":
        return []
    return ["it ends within a value in quotes (is the file whole?)"]


def _without_shapes(file: Path, n: int) -> list[str]:
    """Tell of rows of MapInfo's table of attributes for which there are no shapes."""
    table = _beside(file, ".mid")
    if table is None:
        return []
    with table.open("rb") as opened:
        rows = sum(1 for line in opened if line.strip())
    if rows <= n:  # a value may hold the end of a line
        return []
    what = counted(rows, "row")
    return [f"it has {n:,} of the shapes of the {what} in {table.name} (is the file whole?)"]


def _broken(file: Path) -> list[str]:
    """Say where XML ends too early, of which GDAL says that nothing is in it."""
    with file.open("rb") as opened:
        try:
            expat.ParserCreate().ParseFile(opened)
        except expat.ExpatError as error:
            return [f"it is not whole ({error}): fetch it anew"]
    return []


def _other_parts(file: Path) -> list[str]:
    """Tell of what is published as several Shapefiles, which cannot be of any size."""
    names = [file.stem, *(parent.name for parent in file.absolute().parents[:2])]
    if any(map(_PROTECTED.search, names)):
        return [
            "by its name it is one of the three parts in which the WDPA is published; merge them, "
            "for example with ogrmerge.py -single"
        ]
    if found := _NUMBERED.fullmatch(file.stem):
        alike = (_NUMBERED.fullmatch(one.stem) for one in file.parent.glob(f"*{file.suffix}"))
        parts = {one[2] for one in alike if one and one[1] == found[1]}
        if len(parts) > 1:
            return [
                f"it is one of {len(parts):,} parts of a layer, by the names beside it; merge "
                "them, for example with ogrmerge.py -single"
            ]
    return []


def _rows_of_others(file: Path) -> list[str]:
    """Tell of a Shapefile whose table was shortened or lengthened, so that rows may have moved."""
    for _, index, rows in _shapefiles(file):
        shapes = (len(index) // 4 - _SHX_HEADER) // 2
        if rows is not None and shapes > 0 and rows != shapes:
            return [
                f"its table (.dbf) has {counted(rows, 'row')} for {counted(shapes, 'shape')}, so "
                "that attributes may be those of other shapes; fetch it anew, or edit it in a GIS"
            ]
    return []


def _images(file: Path) -> list[str]:
    count = n_images(file)
    if not count:
        return []
    what = counted(count, "image on the map", "images on the map")
    return [f"{what} (GroundOverlay) {'is' if count == 1 else 'are'} left out, being no place"]


def _in_parts(file: Path) -> list[str]:
    count = n_in_parts(file)
    if not count:
        return []
    has = "polygon has" if count == 1 else "polygons have"
    return [
        f"{count:,} {has} several outer boundaries, of which the last is read; save each as a "
        "polygon of its own"
    ]


def _linked(file: Path) -> list[str]:
    sign, before = b"NetworkLink>", b""
    with file.open("rb") as opened:
        for part in iter(lambda: opened.read(_CHUNK), b""):
            if sign in before + part:
                return [_LINKS]
            before = part[-len(sign) :]
    return []


def _linked_outside(file: Path) -> list[str]:
    """Tell of links out of an archive; those within it are followed."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        for name in names:
            if not name.lower().endswith(".kml"):
                continue
            for link in _HREF.findall(archive.read(name)):
                target = posixpath.join(posixpath.dirname(name), link.decode(errors="replace"))
                if posixpath.normpath(target) not in names:
                    return [_LINKS]
    return []


def _beside(file: Path, suffix: str) -> Path | None:
    found = (file.with_suffix(one) for one in (suffix, suffix.upper()))
    return next((path for path in found if path.is_file()), None)
