"""Which files are OpenStreetMap files, and which of these hold a map rather than its history."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any, cast

import osmium

from owl_geo.disk.presence import check_exists, is_dir, is_file
from owl_geo.errors import LayerError

_PACKED = ("", ".gz", ".bz2")
SUFFIXES = (".pbf", ".o5m", *(form + end for form in (".osm", ".opl") for end in _PACKED))  # maps
_HISTORIES = (".osh.pbf", *(".osh" + end for end in _PACKED))
_CHANGES = (".o5c", *(".osc" + end for end in _PACKED))

_BEGINNING = 1024  # bytes of a file in which its root element, or its origin, is looked for
_OUTLINE = re.compile(rb"<center\s|<member\b[^>]*[^/>]>")  # a member that does not end at once
_DELETED = re.compile(rb"""\baction=["']delete["']""")  # as JOSM and other editors mark objects
_OBJECT = re.compile(rb"""<(node|way|relation)\b[^<]*?\sid=["'](-?\d+)["']""")
_CHUNK = 2**20  # bytes
IN_FULL = "ask Overpass for [out:xml] and `out body; >; out skel qt;`, and save that as .osm"


def is_osm(path: str) -> bool:
    """Return whether the name is that of an OSM file: .osm.pbf, .osm.gz, .o5m, .opl, ...

    An .xml file is an OSM file if it begins like one.
    """
    name = path.lower()
    return name.endswith((*SUFFIXES, *_HISTORIES, *_CHANGES)) or (
        name.endswith(".xml") and b"<osm" in _beginning(path)
    )


def is_xml(path: str) -> bool:
    """Return whether the name is that of an OSM file in XML."""
    return path.lower().endswith((".xml", *(".osm" + end for end in _PACKED)))


def is_overpass_json(path: str) -> bool:
    """Return whether a file holds objects in Overpass's own JSON, which is no GeoJSON."""
    return path.lower().endswith(".json") and b"Overpass API" in _beginning(path)


def has_outlines(path: str) -> bool:
    """Return whether an XML file holds what Overpass writes in place of nodes, and osmium refuses.

    These are the centres of ``out center``, and the members of relations of ``out geom``.
    """
    if not path.lower().endswith((".osm", ".xml")) or not Path(path).stat().st_size:
        return False
    with Path(path).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        return _OUTLINE.search(text) is not None


def deleted(path: str) -> frozenset[tuple[str, int]]:
    """Return kind (``n``, ``w`` or ``r``) and id of what an editor has deleted, in an XML file.

    JOSM keeps deleted objects in its files until they are uploaded; osmium does not know the mark.
    A file that is packed and damaged is read as far as possible; osmium says what is wrong with it.
    """
    if not is_xml(path):
        return frozenset()
    found = set()
    with suppress(OSError, EOFError, zlib.error):
        for part in _tags(path):
            for mark in _DELETED.finditer(part):
                start, end = part.rfind(b"<", 0, mark.start()), part.find(b">", mark.end())
                tag = _OBJECT.match(part[start : end + 1])
                if tag is not None:
                    found.add((tag[1][:1].decode(), int(tag[2])))
    return frozenset(found)


def _unpacked(path: str) -> IO[bytes]:
    if path.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path))
    if path.lower().endswith(".bz2"):
        return cast(IO[bytes], bz2.open(path))
    return Path(path).open("rb")


def _tags(path: str) -> Iterator[bytes]:
    """Yield the text of a file in parts that begin with a tag."""
    with _unpacked(path) as file:
        rest = b""
        while part := file.read(_CHUNK):
            rest += part
            cut = max(rest.rfind(b"<"), 0)
            yield rest[:cut]
            rest = rest[cut:]
        yield rest


def _beginning(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_BEGINNING)
    except OSError:
        return b""


def as_file(path: str) -> osmium.io.File:
    """Return an OSM file for osmium, which by itself would not know .OSM.PBF and .xml."""
    name = path.lower()
    endings = (suffix for suffix in (*SUFFIXES, *_HISTORIES) if name.endswith(suffix))
    suffix = max(endings, key=len, default=".osm")
    return osmium.io.File(path, suffix.removeprefix("."))


def check_is_map(path: str) -> osmium.io.Header:
    """Return the header of an OSM file that holds one state of the map.

    Raises LayerError where it is missing, or holds changes or several versions of its objects;
    RuntimeError where it is not an OSM file.
    """
    check_exists(path, LayerError)
    if not is_file(path):
        kind = "a folder" if is_dir(path) else "not a file"
        raise LayerError(f"{path} is {kind}", remedy="name an OSM extract")
    name = path.lower()
    if name.endswith(_CHANGES):
        raise LayerError(
            f"{path} holds changes to a map, not a map",
            remedy="apply them to an extract, for example with osmium apply-changes",
        )
    header = osmium.io.Reader(as_file(path), osmium.osm.NOTHING).header()
    if header.has_multiple_object_versions or name.endswith(_HISTORIES):
        raise history(path)
    return header


def history(path: str) -> LayerError:
    """Return the error for a file with several versions of its objects."""
    return LayerError(
        f"{path} is a history file, with old versions of its objects and deleted ones",
        remedy=f"extract one state of it with osmium time-filter {path} -o LATEST.osm.pbf",
    )


def write_in_order(path: str, ordered: Path) -> None:
    """Copy a map with nodes first, then ways, then relations, each once.

    Overpass writes other orders, and with ``out geom`` it writes node locations within ways. Raises
    RuntimeError where the map cannot be read.
    """
    file = as_file(path)
    ways: Iterable[Any] = osmium.FileProcessor(file, osmium.osm.WAY)
    within_ways = {
        node.ref: (node.location.lon, node.location.lat)
        for way in ways
        for node in way.nodes
        if node.location.valid()
    }
    with osmium.SimpleWriter(str(ordered)) as writer:
        for entities in (osmium.osm.NODE, osmium.osm.WAY, osmium.osm.RELATION):
            written: set[int] = set()
            for entity in osmium.FileProcessor(file, entities):
                if entity.id not in written:
                    writer.add(entity)
                    written.add(entity.id)
            if entities == osmium.osm.NODE:
                for number in within_ways.keys() - written:
                    writer.add(osmium.osm.mutable.Node(id=number, location=within_ways[number]))
