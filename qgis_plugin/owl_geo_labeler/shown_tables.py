"""What a batch says of its scenes and views: the rasters of each, their colours and contrast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsFeature, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .errors import Problem

translate = QCoreApplication.translate

FALSE = "false"  # of near infrared, red and green
FIRST = "first"  # the first bands, since nothing says what they are


@dataclass(frozen=True)
class ShownRaster:
    """A raster, or bands of several. There is one path, or a path for each of the bands."""

    paths: tuple[str, ...]
    bands: tuple[int, ...]  # red, green and blue, or one in grey; from 1
    stretch: tuple[tuple[float, float], ...]  # of each band, what is black and what is brightest


@dataclass(frozen=True)
class View:
    """Further rasters of the ground, such as an earlier date, to be shown in the scene's place."""

    name: str
    rasters: tuple[ShownRaster, ...]


@dataclass(frozen=True)
class KnownScene:
    """A scene as the run knows it."""

    name: str
    plain: ShownRaster  # in natural colours, or its first bands
    false: ShownRaster | None
    unknown: tuple[str, ...]  # of red, green, blue and nir, what no band is known to be
    is_guess: bool  # the first bands are shown


def views_in(batch: Path) -> list[View]:
    """Return the views of a batch file; none if it has no table of them.

    Raises Problem if a row of the table makes no sense.
    """
    rasters: dict[str, list[ShownRaster]] = {}
    message = translate("OwlGeo", "the views of {path} cannot be read; was the file changed?")
    for row, raster in _rows(batch, schema.VIEWS_TABLE, message):
        rasters.setdefault(str(row["name"]), []).append(raster)
    return [View(name, tuple(of_view)) for name, of_view in rasters.items()]


def scenes_in(batch: Path) -> dict[str, KnownScene]:
    """Return the scenes of a batch file by name; none if it has no table of them, as older ones.

    Raises Problem if a row of the table makes no sense.
    """
    message = translate("OwlGeo", "the scenes of {path} cannot be read; was the file changed?")
    plain: dict[str, KnownScene] = {}
    false: dict[str, ShownRaster] = {}
    for row, raster in _rows(batch, schema.SCENES_TABLE, message):
        name, colours = str(row["name"]), str(row["colours"])
        if colours == FALSE:
            false[name] = raster
            continue
        unknown = tuple(word for word in str(row["unknown"] or "").split(",") if word)
        plain[name] = KnownScene(name, raster, None, unknown, colours == FIRST)
    return {
        name: KnownScene(name, one.plain, false.get(name), one.unknown, one.is_guess)
        for name, one in plain.items()
    }


def _rows(batch: Path, name: str, message: str) -> Iterator[tuple[QgsFeature, ShownRaster]]:
    """Yield the rows of a table with the raster in each; raises Problem, with the message."""
    table = QgsVectorLayer(f"{batch}|layername={name}", name, "ogr")
    for row in table.getFeatures() if table.isValid() else ():
        try:
            yield row, _raster(row)
        except (KeyError, ValueError) as error:
            raise Problem(message.format(path=batch)) from error


def _raster(row: QgsFeature) -> ShownRaster:
    """Read a row as ``schema.VIEWS_COLUMNS`` says; raises KeyError or ValueError."""
    paths = tuple(str(row["path"]).split("\n"))
    bands = tuple(int(text) for text in str(row["bands"]).split(","))
    stretch = []
    for text in str(row["stretch"]).split(","):
        low, high = (float(word) for word in text.split())
        stretch.append((low, high))
    # GDAL would take a text that begins with < for the description of a raster
    if not all(path and path[0] != "<" for path in paths) or len(paths) not in (1, len(bands)):
        raise ValueError("not a path, or not one for each band")
    if len(bands) not in (1, 3) or min(bands) < 1 or len(stretch) != len(bands):
        raise ValueError("not one band or three with a stretch each")
    if not all(math.isfinite(low) and low < high < math.inf for low, high in stretch):
        raise ValueError("not a stretch")
    return ShownRaster(paths, bands, tuple(stretch))
