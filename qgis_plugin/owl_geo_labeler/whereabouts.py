"""Where clicks and keys go while a batch is open, said on the panel if they do not label."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from .dock import LabelDock
from .keys import edits
from .map import PatchMap


class Whereabouts(QObject):
    """Watches the map's tool and the keyboard's focus; ``ours`` is where keys label."""

    def __init__(
        self,
        canvas: QgsMapCanvas,
        map_: PatchMap,
        dock: LabelDock,
        ours: list[QWidget],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._map, self._dock, self._ours = canvas, map_, dock, ours
        self._keys_elsewhere = ""  # the panel that has the keyboard, if it is not ours
        map_.tool_changed.connect(self._say)
        QApplication.instance().focusChanged.connect(self._on_focus)
        self._on_focus(None, QApplication.focusWidget())

    def close(self) -> None:
        """Stop watching."""
        QApplication.instance().focusChanged.disconnect(self._on_focus)

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        """Notice that keys go elsewhere; windows of their own, such as dialogs, do not count."""
        if now is None or now.window() is not self._canvas.window():
            return
        is_ours = any(now is widget or widget.isAncestorOf(now) for widget in self._ours)
        self._keys_elsewhere = "" if is_ours else _panel_of(now) or self.tr("QGIS")
        self._say()

    def _say(self, *_is_on: object) -> None:
        lines = []
        if not self._map.takes_clicks:
            text = self.tr("Clicks on the map go to: {tool}.")
            lines.append(text.format(tool=_tool_name(self._canvas) or self.tr("another tool")))
        elsewhere = self._keys_elsewhere
        if edits(QApplication.focusWidget()):
            elsewhere = _tool_name(self._canvas) or self.tr("another tool")
        if elsewhere:
            lines.append(self.tr("Keys go to: {panel}.").format(panel=elsewhere))
        if lines:
            text = self.tr("{key} brings them back.")
            entry = self.tr("Plugins > owl-geo > Label with clicks and keys")
            lines.append(text.format(key=self._dock.take_back_key or entry))
        self._dock.footer.set_where(" ".join(lines))


def types_elsewhere(dock: LabelDock) -> bool:
    """Whether keys write into a text field of QGIS; then they must not label all of a sudden."""
    field = QApplication.focusWidget()
    kinds = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox, QComboBox)
    return isinstance(field, kinds) and not dock.isAncestorOf(field)


def _panel_of(widget: QWidget) -> str:
    """Return the title of the panel that a widget is in; empty if it is in none."""
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget.windowTitle() if widget is not None else ""


def _tool_name(canvas: QgsMapCanvas) -> str:
    """Return the name of the tool that clicks on the map go to; empty if it has none."""
    tool = canvas.mapTool()
    if tool is None:
        return ""
    action = tool.action()
    return action.text().replace("&", "") if action is not None else tool.toolName()
