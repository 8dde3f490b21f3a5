"""Where in an archive the vector data set is, which GDAL has to be told."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

import pyogrio

from owl_geo.wording import counted

_OSM = (".osm", ".pbf")
_IN_ARCHIVES = (
    *_OSM,
    ".shp",
    ".gpkg",
    ".geojson",
    ".json",
    ".geojsonl",
    ".fgb",
    ".kml",
    ".gml",
    ".tab",
)
_READ_TOGETHER = (".shp", ".tab")
_PLACEMARK = re.compile(rb"<(?:\w+:)?Placemark[\s>]")


def in_kmz(path: str) -> str:
    """Return the only KML of a KMZ, whose attributes GDAL reads only where it opens the KML.

    Of several, GDAL reads the first, or else those that it links to. Raises ValueError where others
    have places too, and where the file is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.lower().endswith(".kml")]
            if len(inside) == 1:
                return f"/vsizip/{Path(path).absolute()}/{inside[0]}"
            with_places = {
                name: count
                for name in inside
                if (count := len(_PLACEMARK.findall(archive.read(name))))
            }
    except zipfile.BadZipFile as error:
        raise ValueError("it is not a KMZ archive, or is damaged") from error
    if len(with_places) > 1:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        infos = (pyogrio.read_info(path, layer=n, force_feature_count=True) for n in layers)
        read, there = sum(int(info["features"]) for info in infos), sum(with_places.values())
        if read < there:
            raise ValueError(
                f"the archive holds {counted(there, 'place')} in several KML files "
                f"({', '.join(with_places)}), of which GDAL finds {read:,}. Unpack it and name one"
            )
    return path


def in_archive(path: str) -> str:
    """Return the data set in a zip archive; GDAL itself finds it only at the top.

    Raises ValueError where there are several.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = [PurePosixPath(name) for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError("it is not a zip archive, or is damaged") from error
    files = [file for file in files if file.parts[:1] != ("__MACOSX",) and file.name[:2] != "._"]
    inside = {file for file in files if file.suffix.lower() in _IN_ARCHIVES}
    databases = {p for file in files for p in (file, *file.parents) if p.suffix.lower() == ".gdb"}
    inside = {file for file in inside if databases.isdisjoint(file.parents)} | databases
    folders = {file.parent for file in inside}
    if len(folders) > 1 or _is_read_in_part(inside):
        names = ", ".join(sorted(map(str, inside)))
        raise ValueError(f"the archive holds several data sets: {names}. Unpack it and name one")
    if any(file.suffix.lower() in _OSM for file in inside):
        raise ValueError("the archive holds an OSM file. Unpack it and name that")
    if not inside or (folders == {PurePosixPath(".")} and not databases):
        return path
    (folder,) = folders
    within = inside.pop() if len(inside) == 1 else folder
    return f"/vsizip/{Path(path).absolute()}/{within}"


def _is_read_in_part(files: Collection[PurePosixPath]) -> bool:
    """Return whether GDAL reads only some of the data sets in a folder, or none where they differ.

    It reads all Shapefiles of a folder, or all MapInfo files. One data set may be there in several
    formats, and JSON beside others is as often what is said of them.
    """
    formats = {file.suffix.lower() for file in files}
    as_one = next((one for one in _READ_TOGETHER if one in formats), None)
    if as_one is None:
        return len(files) > 1
    read = {file.stem.casefold() for file in files if file.suffix.lower() == as_one}
    others = (file for file in files if file.suffix.lower() not in (as_one, ".json"))
    return any(file.stem.casefold() not in read for file in others)
