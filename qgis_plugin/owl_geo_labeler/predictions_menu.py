"""An entry in the context menu of maps that owl-geo predict made: review what they show."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QAction

from .predictions import run_of_map


class PredictionsMenu(QObject):
    """Offers the review in the layer tree, for maps of any run, however they were loaded."""

    wanted = pyqtSignal(object)  # Path of the run

    def __init__(self, iface: QgisInterface, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._iface = iface
        self._actions: dict[object, QAction] = {}  # by type of layer
        QgsProject.instance().layersAdded.connect(self._on_added)

    def remove(self) -> None:
        """Take the entry away."""
        QgsProject.instance().layersAdded.disconnect(self._on_added)
        for action in self._actions.values():
            self._iface.removeCustomActionForLayerType(action)
            action.deleteLater()
        self._actions.clear()

    def _on_added(self, layers: list[QgsMapLayer]) -> None:
        for layer in layers:
            if run_of_map(layer) is None:
                continue
            kind = layer.type()
            if kind not in self._actions:
                action = QAction(self.tr("Review what the model finds"), self)
                action.triggered.connect(self._on_triggered)
                self._iface.addCustomActionForLayerType(action, "", kind, False)
                self._actions[kind] = action
            self._iface.addCustomActionForLayer(self._actions[kind], layer)

    def _on_triggered(self) -> None:
        layer = self._iface.activeLayer()
        run: Path | None = run_of_map(layer) if layer is not None else None
        if run is not None:
            self.wanted.emit(run)
