"""The maps that owl-geo predict wrote, as layers under the batches."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem, reading
from .layer_tree import FRAMES, MAP, add_below
from .on_disk import is_file
from .run_folder import SETTINGS_FILE, RunFolder

FOLDER = "predictions"
PROBABILITY = "probability.vrt"
PATCHES = "patches.gpkg"
_PROPERTY = "owl_geo_predictions"  # marks the layers that were added here


def show_predictions(run: Path, batch: QgsMapLayer | None) -> list[QgsMapLayer]:
    """Add a run's probability and its most probable patches to the project, below its batches.

    Existing layers are reloaded, stay where they are, and are made visible. Raises Problem if the
    folder is not a run, or has no predictions.
    """
    folder = RunFolder(run).path / FOLDER
    probability, patches = folder / PROBABILITY, folder / PATCHES
    with reading(folder):
        missing = [path for path in (probability, patches) if not is_file(path)]
    if missing:
        message = QCoreApplication.translate(
            "OwlGeo", "{path} is missing; make it with owl-geo predict"
        )
        raise Problem(message.format(path=missing[0]))
    title = QCoreApplication.translate("OwlGeo", "{run}: probability").format(run=run.name)
    raster = _known(probability) or QgsRasterLayer(str(probability), title)
    title = QCoreApplication.translate("OwlGeo", "{run}: most probable patches")
    best = _known(patches) or QgsVectorLayer(
        f"{patches}|layername=predictions", title.format(run=run.name), "ogr"
    )
    for layer in (best, raster):
        if not layer.isValid():
            message = QCoreApplication.translate("OwlGeo", "{path} cannot be opened")
            raise Problem(message.format(path=layer.source()))
    project = QgsProject.instance()
    for layer, level in ((best, FRAMES), (raster, MAP)):
        layer.setCustomProperty(_PROPERTY, True)
        if project.mapLayer(layer.id()) is None:
            add_below(layer, level, batch, run)
        node = project.layerTreeRoot().findLayer(layer.id())
        if node is not None:
            node.setItemVisibilityCheckedParentRecursive(True)
    return [best, raster]


def hide_predictions(run: Path | None) -> bool:
    """Hide the layers that show what a model says; return whether one was visible.

    These are the layers of ``show_predictions``, and any other map of the run.
    """
    folder = run.absolute() / FOLDER if run is not None else None
    hidden = False
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        layer = node.layer()
        if layer is None:
            continue
        is_map = folder is not None and folder in Path(layer.source().split("|")[0]).parents
        if is_map or layer.customProperty(_PROPERTY):
            hidden = hidden or node.isVisible()
            node.setItemVisibilityChecked(False)
    return hidden


def run_of_map(layer: QgsMapLayer) -> Path | None:
    """Return the run whose predictions a layer shows; None for any other layer."""
    place = Path(layer.source().split("|")[0])
    with suppress(OSError):  # a run that cannot be reached cannot be reviewed
        for folder in list(place.parents)[:2]:
            if folder.name == FOLDER and is_file(folder.parent / SETTINGS_FILE):
                return folder.parent
    return None


def _known(path: Path) -> QgsMapLayer | None:
    """Return the project's layer of a file, reloaded; None if there is none."""
    for layer in QgsProject.instance().mapLayers().values():
        if Path(layer.source().split("|")[0]) == path:
            layer.dataProvider().reloadData()
            layer.triggerRepaint()
            return layer
    return None
