"""owl-geo in the Processing toolbox, the model builder and qgis_process."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import CreateRun, Ingest, NextBatch, Predict


class OwlGeoProvider(QgsProcessingProvider):
    """The algorithms of the owl-geo program."""

    def __init__(self, icon: QIcon) -> None:
        super().__init__()
        self._icon = icon

    def id(self) -> str:
        """Return the first part of each algorithm's id."""
        return "owlgeo"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "owl-geo"

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return self._icon

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        for algorithm in (CreateRun, NextBatch, Ingest, Predict):
            self.addAlgorithm(algorithm())
