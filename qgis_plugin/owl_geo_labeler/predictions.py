"""The maps that owl-geo predict wrote, as layers under the batches."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qgis.core import QgsMapLayer, QgsMapLayerStyle, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .errors import Problem, reading
from .layer_tree import FRAMES, MAP, add_below, opened_again
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
    hidden = False
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        layer = node.layer()
        if layer is None:
            continue
        is_map = run is not None and _is_map(layer, run)
        if is_map or layer.customProperty(_PROPERTY):
            hidden = hidden or node.isVisible()
            node.setItemVisibilityChecked(False)
    return hidden


class ClosedMaps(QObject):
    """The layers of a run's maps, closed while owl-geo replaces these: Windows keeps what is open.

    Made in the thread of the layers. From any thread, ``replaced`` opens them again as they were.
    """

    replaced = pyqtSignal()

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._layers: list[tuple[QgsMapLayer, str, QgsMapLayerStyle]] = []
        for layer in QgsProject.instance().mapLayers().values():
            if _is_map(layer, run):
                style = QgsMapLayerStyle()
                style.readFromLayer(layer)
                self._layers.append((layer, layer.source(), style))
                layer.setDataSource("", layer.name(), layer.providerType(), False)
        _closed.add(self)
        self.replaced.connect(self._open)

    def _open(self) -> None:
        _closed.discard(self)
        for layer, source, style in self._layers:
            with suppress(RuntimeError):  # removed from the project meanwhile
                layer.setDataSource(source, layer.name(), layer.providerType(), False)
                style.writeToLayer(layer)
                layer.triggerRepaint()


_closed: set[ClosedMaps] = set()  # until they are opened: who closed them may be gone by then


def _is_map(layer: QgsMapLayer, run: Path) -> bool:
    return run.absolute() / FOLDER in Path(layer.source().split("|")[0]).parents


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
            if opened_again(layer):
                layer.dataProvider().reloadData()
                layer.triggerRepaint()
            return layer
    return None
