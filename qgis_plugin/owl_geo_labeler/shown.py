"""What a batch says of its scenes and views: the rasters of each, their colours and contrast."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from qgis.core import QgsFeature, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .batch import metadata_in
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
    table = QgsVectorLayer(f"{batch}|layername={schema.VIEWS_TABLE}", "views", "ogr")
    rasters: dict[str, list[ShownRaster]] = {}
    for row in table.getFeatures() if table.isValid() else ():
        try:
            rasters.setdefault(str(row["name"]), []).append(_of_row(row))
        except (KeyError, ValueError) as error:
            message = translate(
                "OwlGeo", "the views of {path} cannot be read; was the file changed?"
            )
            raise Problem(message.format(path=batch)) from error
    return [View(name, tuple(of_view)) for name, of_view in rasters.items()]


def scenes_in(batch: Path) -> dict[str, KnownScene]:
    """Return the scenes of a batch file by name; none if it says nothing of them, as older ones.

    Raises Problem if what it says makes no sense.
    """
    texts = metadata_in(batch, schema.SHOWN_URI)
    plain: dict[str, KnownScene] = {}
    false: dict[str, ShownRaster] = {}
    try:
        for way in json.loads(texts[0])["scenes"] if texts else ():
            scene, colours, paths, bands, stretch, unknown = (way[key] for key in schema.SHOWN_KEYS)
            raster = _raster(paths, bands, stretch)
            if colours == FALSE:
                false[str(scene)] = raster
            else:
                words = tuple(map(str, unknown))
                plain[str(scene)] = KnownScene(str(scene), raster, None, words, colours == FIRST)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        message = translate("OwlGeo", "the scenes of {path} cannot be read; was the file changed?")
        raise Problem(message.format(path=batch)) from error
    return {name: replace(one, false=false.get(name)) for name, one in plain.items()}


def _of_row(row: QgsFeature) -> ShownRaster:
    """Read a row as ``schema.VIEWS_COLUMNS`` says; raises KeyError or ValueError."""
    stretch = [text.split() for text in str(row["stretch"]).split(",")]
    return _raster(str(row["path"]).split("\n"), str(row["bands"]).split(","), stretch)


def _raster(
    paths: Iterable[object], bands: Iterable[object], stretch: Iterable[Iterable[object]]
) -> ShownRaster:
    """Check what says how to show a raster; raises TypeError or ValueError."""
    shown = ShownRaster(
        tuple(map(str, paths)),
        tuple(int(band) for band in bands),
        tuple((float(low), float(high)) for low, high in stretch),
    )
    # GDAL would take a text that begins with < for the description of a raster
    n = len(shown.bands)
    if not all(path and path[0] != "<" for path in shown.paths) or len(shown.paths) not in (1, n):
        raise ValueError("not a path, or not one for each band")
    if n not in (1, 3) or min(shown.bands) < 1 or len(shown.stretch) != n:
        raise ValueError("not one band or three with a stretch each")
    if not all(math.isfinite(low) and low < high < math.inf for low, high in shown.stretch):
        raise ValueError("not a stretch")
    return shown
