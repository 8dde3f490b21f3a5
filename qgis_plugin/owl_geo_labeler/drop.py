"""Batches that are dropped onto QGIS open for labelling."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from qgis.gui import QgsCustomDropHandler

from .batch import is_batch


class BatchDrop(QgsCustomDropHandler):
    """Takes GeoPackages that are batches, and leaves every other file to QGIS."""

    def __init__(self, open_batch: Callable[[Path], None]) -> None:
        super().__init__()
        self._open_batch = open_batch

    def handleFileDrop(self, file: str) -> bool:
        """Open the file if it is a batch; return whether it was."""
        path = Path(file)
        if path.suffix.lower() != ".gpkg" or not is_batch(path):
            return False
        self._open_batch(path)
        return True
