"""A raster of a view as a layer of the map, in the colours and the contrast that the batch says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication

from .colouring import PLAIN, set_ways
from .errors import Problem
from .known_layer import layer_of
from .shown import ShownRaster, View


def view_layer(
    view: View, raster: ShownRaster, beside: Sequence[Path], brightness: int = 0
) -> QgsRasterLayer:
    """Return the layer of a raster, named after its view.

    A file that is not where the batch says is looked for in the folders ``beside``. Raises Problem
    if the raster cannot be opened or lacks a band.
    """
    found = layer_of({PLAIN: raster}, view.name, beside)
    if found is None:
        message = QCoreApplication.translate(
            "OwlGeo", "the view {name} is not at {path}; put it there, or into the batch's folder"
        )
        raise Problem(message.format(name=view.name, path=raster.paths[0]))
    layer, ways = found
    several = len(view.rasters) > 1
    layer.setName(f"{view.name}: {Path(raster.paths[0]).stem}" if several else view.name)
    set_ways(layer, ways, PLAIN, brightness)
    return layer
