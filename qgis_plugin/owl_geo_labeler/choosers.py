"""Dialogs that ask which batch or run is to be opened, and remember where it was found."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QWidget

from .places import SharedPlace
from .settings import PluginSettings
from .shared_batch import newest_published

translate = QCoreApplication.translate


def choose_batch(window: QWidget, settings: PluginSettings) -> Path | None:
    """Ask for a batch; None if none is chosen."""
    path, _ = QFileDialog.getOpenFileName(
        window,
        translate("OwlGeo", "Open batch"),
        settings.folder,
        translate("OwlGeo", "Batches (*.gpkg)"),
    )
    if not path:
        return None
    settings.folder = str(Path(path).parent)
    return Path(path)


def choose_run(window: QWidget, settings: PluginSettings) -> Path | None:
    """Ask for a run folder; None if none is chosen."""
    path = QFileDialog.getExistingDirectory(
        window, translate("OwlGeo", "Open run folder"), settings.folder
    )
    if not path:
        return None
    settings.folder = path
    return Path(path)


def choose_shared(window: QWidget, settings: PluginSettings) -> SharedPlace | None:
    """Ask for the address of a batch in a team's database; None if none is given.

    Of a database without a batch's name, it is the newest batch there. Raises Problem, with one
    line, for what is no address, or where there is no such batch.
    """
    text, accepted = QInputDialog.getText(
        window,
        translate("OwlGeo", "Open shared batch"),
        translate("OwlGeo", "Address, as printed by owl-geo query --to-store:"),
        QLineEdit.EchoMode.Normal,
        settings.shared or "postgresql://HOST/DB",
    )
    if not accepted or not text.strip():
        return None
    place = SharedPlace.parse(text)
    if not place.layer:
        place = newest_published(place)
    settings.shared = text.strip()
    return place
