"""Rasters as a batch names them, as layers of the map; files may have moved since."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
)

from .colouring import PLAIN, Way
from .on_disk import exists, is_dir, is_file
from .shown import ShownRaster
from .virtual import on_one_grid, virtual_raster

Place = tuple[QgsCoordinateReferenceSystem, QgsRectangle]


def layer_of(
    rasters: Mapping[str, ShownRaster], name: str, beside: Sequence[Path]
) -> tuple[QgsRasterLayer, dict[str, Way]] | None:
    """Return a layer and the ways to draw it; None if it cannot be opened or lacks a band.

    Bands that are files lie in one virtual raster. A way whose files do not lie on each other is
    left out; of the plain one, the first band is then shown in grey. A file that is not where the
    batch says is looked for in the folders ``beside``.
    """
    places = {
        way: [(_found(path, beside), band) for path, band in _pairs(raster)]
        for way, raster in rasters.items()
    }
    files: dict[str, QgsRasterLayer] = {}
    for path, _ in (place for of_way in places.values() for place in of_way):
        if path not in files:
            files[path] = QgsRasterLayer(path, name, "gdal")
    if not _can_show(files, places[PLAIN]):
        return None
    shown = {way: of_way for way, of_way in places.items() if _can_show(files, of_way)}
    stretch = {way: rasters[way].stretch for way in shown}
    paths = {path for path, _ in places[PLAIN]}
    if len(paths) > 1 and not on_one_grid([files[path] for path in paths]):
        shown, stretch = {PLAIN: places[PLAIN][:1]}, {PLAIN: stretch[PLAIN][:1]}
        paths = {path for path, _ in shown[PLAIN]}
    for way in [way for way in shown if way != PLAIN]:
        more = paths | {path for path, _ in shown[way]}
        if len(more) > 1 and not on_one_grid([files[path] for path in more]):
            del shown[way]
        else:
            paths = more
    bands = list(dict.fromkeys(place for of_way in shown.values() for place in of_way))
    if len(paths) == 1:
        layer = files[bands[0][0]]
        numbers = {place: place[1] for place in bands}
    else:
        described = virtual_raster([files[path] for path, _ in bands], [n for _, n in bands])
        layer = QgsRasterLayer(described, name, "gdal")
        numbers = {place: number for number, place in enumerate(bands, start=1)}
    ways = {
        way: Way(tuple(numbers[place] for place in of_way), stretch[way])
        for way, of_way in shown.items()
    }
    return layer, ways


def place_of(raster: ShownRaster, beside: Sequence[Path]) -> Place | None:
    """Return where a raster lies, from its header alone; None if it cannot be opened."""
    path = _found(raster.paths[0], beside)
    provider = QgsProviderRegistry.instance().createProvider("gdal", path)
    if provider is None or not provider.isValid():
        return None
    return provider.crs(), provider.extent()


def _pairs(raster: ShownRaster) -> list[tuple[str, int]]:
    """Return path and number of each band."""
    paths = raster.paths if len(raster.paths) > 1 else raster.paths * len(raster.bands)
    return list(zip(paths, raster.bands))


def _can_show(files: Mapping[str, QgsRasterLayer], places: Sequence[tuple[str, int]]) -> bool:
    return all(files[path].isValid() and band <= files[path].bandCount() for path, band in places)


def _found(path: str, beside: Sequence[Path]) -> str:
    """Return the path of a file, or that of its namesake elsewhere, as on another machine.

    Anything but the path of a file, such as one of GDAL's own names, is returned as it is.
    """
    is_file = path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path) is not None
    if not is_file or path.startswith("/vsi"):
        return path
    name = re.split(r"[\\/]", path)[-1]
    with suppress(OSError):  # what is disconnected is looked for elsewhere, and there as well
        if exists(Path(path)):
            return path
    for place in beside:
        with suppress(OSError):
            found = _at(place, name)
            if found is not None:
                return str(found)
    return path


def _at(place: Path, name: str) -> Path | None:
    """Return the file of this name that a place is or has; raises OSError."""
    if place.name == name and is_file(place):
        return place
    return next((path for path in (place / name, *_inside(place, name)) if exists(path)), None)


def _inside(folder: Path, name: str) -> list[Path]:
    """Return a file of a product's folder, such as a .SAFE, however deep; raises OSError."""
    is_product = folder.suffix.upper() == ".SAFE" and is_dir(folder)
    return sorted(folder.rglob(name))[:1] if is_product else []
