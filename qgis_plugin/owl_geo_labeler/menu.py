"""The plugin's menu in QGIS, and a toolbar with what is most wanted of it."""

from __future__ import annotations

from typing import Callable

from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QAction, QToolBar

_NAME = "owl-geo"


class Menu:
    """Entries in the order in which they are added; ``remove`` takes all of them away."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        self._actions: list[QAction] = []
        self._toolbar: QToolBar = iface.addToolBar(_NAME)
        self._toolbar.setObjectName("OwlGeoToolBar")

    def add(self, text: str, call: Callable[[], None], in_toolbar: bool = False) -> QAction:
        """Add an entry that calls something, and return its action."""
        action = QAction(text, self._iface.mainWindow())
        action.triggered.connect(call)
        self.add_action(action, in_toolbar)
        return action

    def add_action(self, action: QAction, in_toolbar: bool = False) -> None:
        """Add an action that exists."""
        self._iface.addPluginToMenu(_NAME, action)
        self._actions.append(action)
        if in_toolbar:
            self._toolbar.addAction(action)

    def remove(self) -> None:
        """Take away the entries and the toolbar."""
        for action in self._actions:
            self._iface.removePluginMenu(_NAME, action)
            if action.parent() is self._iface.mainWindow():  # a dock keeps its own
                action.deleteLater()
        self._actions.clear()
        self._toolbar.deleteLater()
