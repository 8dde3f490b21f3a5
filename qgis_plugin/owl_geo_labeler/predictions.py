"""The maps that owl-geo predict wrote, as layers under the batch."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsLayerTreeLayer, QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem
from .run_folder import RunFolder

FOLDER = "predictions"
PROBABILITY = "probability.vrt"
PATCHES = "patches.gpkg"


def show_predictions(run: Path, below: QgsMapLayer | None) -> list[QgsMapLayer]:
    """Add the probability and the most probable patches of a run to the project, below a layer.

    Layers that are there already are read anew and stay where they are. Raises Problem where the
    folder is no run, or has no predictions.
    """
    folder = RunFolder(run).path / FOLDER
    probability, patches = folder / PROBABILITY, folder / PATCHES
    for path in (probability, patches):
        if not path.is_file():
            message = QCoreApplication.translate(
                "OwlGeo", "{path} is missing; make it with owl-geo predict"
            )
            raise Problem(message.format(path=path))
    title = QCoreApplication.translate("OwlGeo", "{run}: probability").format(run=run.name)
    raster = _known(probability) or QgsRasterLayer(str(probability), title)
    title = QCoreApplication.translate("OwlGeo", "{run}: most probable patches")
    best = _known(patches) or QgsVectorLayer(
        f"{patches}|layername=predictions", title.format(run=run.name), "ogr"
    )
    layers = [best, raster]
    for layer in layers:
        if not layer.isValid():
            message = QCoreApplication.translate("OwlGeo", "{path} cannot be opened")
            raise Problem(message.format(path=layer.source()))
    _add(layers, below)
    return layers


def _known(path: Path) -> QgsMapLayer | None:
    """Return the project's layer of a file, with what the file says now."""
    for layer in QgsProject.instance().mapLayers().values():
        if Path(layer.source().split("|")[0]) == path:
            layer.dataProvider().reloadData()
            layer.triggerRepaint()
            return layer
    return None


def _add(layers: list[QgsMapLayer], below: QgsMapLayer | None) -> None:
    project = QgsProject.instance()
    root = project.layerTreeRoot()
    place = 0
    node = root.findLayer(below.id()) if below is not None else None
    if node is not None and node.parent() is root:
        place = root.children().index(node) + 1
    for layer in layers:
        if project.mapLayer(layer.id()) is None:
            project.addMapLayer(layer, False)
            root.insertChildNode(place, QgsLayerTreeLayer(layer))
            place += 1
