"""What a batch says of its views: the rasters of each, their colours and their contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsFeature, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .errors import Problem


@dataclass(frozen=True)
class ViewRaster:
    """One raster of a view. There is one path, or a path for each of the bands."""

    paths: tuple[str, ...]
    bands: tuple[int, ...]  # red, green and blue, or one in grey; from 1
    stretch: tuple[tuple[float, float], ...]  # of each band, what is black and what is brightest


@dataclass(frozen=True)
class View:
    """Further rasters of the ground, such as an earlier date, to be shown in the scene's place."""

    name: str
    rasters: tuple[ViewRaster, ...]


def views_in(batch: Path) -> list[View]:
    """Return the views of a batch file; none if it has no table of them.

    Raises Problem if a row of the table makes no sense.
    """
    table = QgsVectorLayer(f"{batch}|layername={schema.VIEWS_TABLE}", "views", "ogr")
    if not table.isValid():
        return []
    rasters: dict[str, list[ViewRaster]] = {}
    for row in table.getFeatures():
        try:
            rasters.setdefault(str(row["name"]), []).append(_raster(row))
        except (KeyError, ValueError) as error:
            message = QCoreApplication.translate(
                "OwlGeo", "the views of {path} cannot be read; was the file changed?"
            )
            raise Problem(message.format(path=batch)) from error
    return [View(name, tuple(of_view)) for name, of_view in rasters.items()]


def _raster(row: QgsFeature) -> ViewRaster:
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
    return ViewRaster(paths, bands, tuple(stretch))
