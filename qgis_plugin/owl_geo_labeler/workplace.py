"""What every sitting works with, whichever batch it labels."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.gui import QgsMapCanvas

from .dock import LabelDock
from .lingering import Lingering
from .messages import Messages
from .settings import PluginSettings


@dataclass(frozen=True)
class Workplace:
    """Panel and map, what is said and what is chosen, and answers that an earlier sitting left."""

    dock: LabelDock
    canvas: QgsMapCanvas
    messages: Messages
    settings: PluginSettings
    lingering: Lingering
