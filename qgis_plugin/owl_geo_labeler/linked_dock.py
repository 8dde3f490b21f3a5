"""The dock of the linked maps: each has a list of what it can show, and none takes the keyboard."""

from __future__ import annotations

from collections.abc import Mapping

from qgis.core import QgsGeometry, QgsMapLayer, QgsPointXY, QgsVectorLayer, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QCloseEvent, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDockWidget,
    QHBoxLayout,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from .map import Caption, ClickTool, outline
from .panels import tool_button

MOST = 4  # maps beside the main one

_LEAST_SIZE = 120  # pixels of a map


class LinkedMap(QWidget):
    """A map, and above it what it shows."""

    chosen = pyqtSignal(str)  # the key of what is to be shown
    moved = pyqtSignal()  # the user, or a call from here, moved the map
    resized = pyqtSignal()
    clicked = pyqtSignal(QgsPointXY)
    added = pyqtSignal()  # a further map is wanted
    removed = pyqtSignal()  # this one is not wanted any more

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.key = ""  # of what is shown
        self.canvas = QgsMapCanvas(self)
        self.canvas.setMinimumSize(_LEAST_SIZE, _LEAST_SIZE)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys keep going to the main map
        # without a cache: a job that was called off may end after its canvas, and would use it
        self.canvas.setParallelRenderingEnabled(True)
        self.canvas.enableAntiAliasing(True)
        self._band = QgsRubberBand(self.canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setSymbol(outline())
        self._caption = Caption(self.canvas)
        self._tool = ClickTool(self.canvas)
        self._tool.clicked.connect(self.clicked)
        self.canvas.setMapTool(self._tool)
        self.canvas.extentsChanged.connect(self.moved)
        self.canvas.rotationChanged.connect(self.moved)
        self.canvas.installEventFilter(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(self._header())
        layout.addWidget(self.canvas, 1)

    def offer(self, choices: Mapping[str, str]) -> None:
        """List what can be shown, text by key; what is shown stays in the list."""
        self.choice.blockSignals(True)
        self.choice.clear()
        for key, text in choices.items():
            self.choice.addItem(text, key)
        self.choice.setCurrentIndex(self.choice.findData(self.key))
        self.choice.blockSignals(False)

    def show_layers(self, layers: list[QgsMapLayer], caption: str) -> None:
        """Draw some layers, the first on top; an empty caption takes that away."""
        if self.canvas.layers() != layers:
            self.canvas.setLayers(layers)
        self._caption.say(caption)

    def set_outline(self, polygon: QgsGeometry | None, batch: QgsVectorLayer) -> None:
        """Outline a patch of a batch; None takes the outline away."""
        if polygon is None:
            self._band.hide()
        else:
            self._band.setToGeometry(polygon, batch.crs())
            self._band.show()

    def set_place(self, is_only: bool, is_last: bool, is_full: bool) -> None:
        """Offer to take this map away, or after the last one to add another."""
        self._remove.setVisible(not is_only)
        self._add.setVisible(is_last and not is_full)

    def close_map(self) -> None:
        """Let go of all layers, before the project or QGIS takes them away."""
        self.canvas.stopRendering()
        self.canvas.setLayers([])
        self._band.hide()
        self._caption.say("")

    def remove(self) -> None:
        """Take the map apart, outside in: a canvas that dies with its tool set would crash."""
        self.close_map()
        self.canvas.removeEventFilter(self)
        self.canvas.unsetMapTool(self._tool)
        self.canvas.scene().removeItem(self._band)
        self.hide()
        self.setParent(None)
        self.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Say that the canvas has another size."""
        if watched is self.canvas and event.type() == QEvent.Type.Resize:
            self.resized.emit()
        return False

    def _header(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(4, 2, 4, 0)
        row.setSpacing(2)
        self.choice = QComboBox(self)
        self.choice.setObjectName("linked_choice")
        self.choice.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.choice.setToolTip(self.tr("What this map shows"))
        # a long name must not widen the dock
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.activated.connect(self._choose)
        self._add = tool_button(self, "+", self.tr("A further map"), "linked_add")
        self._add.clicked.connect(self.added)
        self._remove = tool_button(self, "×", self.tr("Take this map away"), "linked_remove")
        self._remove.clicked.connect(self.removed)
        row.addWidget(self.choice, 1)
        row.addWidget(self._add)
        row.addWidget(self._remove)
        return row

    def _choose(self, place: int) -> None:
        self.chosen.emit(str(self.choice.itemData(place)))


class LinkedDock(QDockWidget):
    """Holds up to ``MOST`` maps, above or beside each other as its shape is."""

    closed = pyqtSignal()  # by the user

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("owl-geo linked maps"))
        self.setObjectName("OwlGeoLinkedDock")
        self.maps: list[LinkedMap] = []
        self.is_wanted = False  # whether there is a batch to show
        self._splitter = QSplitter(self)
        self._splitter.setChildrenCollapsible(False)
        self.setWidget(self._splitter)
        self.toggleViewAction().setEnabled(False)

    def add_map(self) -> LinkedMap:
        """Add a map after the others."""
        one = LinkedMap(self._splitter)
        self._splitter.addWidget(one)
        self.maps.append(one)
        self._place()
        return one

    def remove_map(self, one: LinkedMap) -> None:
        """Take a map away."""
        self.maps.remove(one)
        one.remove()
        self._place()

    def clear(self) -> None:
        """Take every map away."""
        for one in list(self.maps):
            self.remove_map(one)

    def set_wanted(self, is_wanted: bool) -> None:
        """Choose whether QGIS's own list of panels can open the dock."""
        self.is_wanted = is_wanted
        self.toggleViewAction().setEnabled(is_wanted)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Tell a close by the user from a dock that is hidden."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the maps where there is more room."""
        super().resizeEvent(event)
        is_high = self.height() > self.width()
        way = Qt.Orientation.Vertical if is_high else Qt.Orientation.Horizontal
        if self._splitter.orientation() != way:
            self._splitter.setOrientation(way)

    def _place(self) -> None:
        n = len(self.maps)
        for place, one in enumerate(self.maps):
            one.set_place(n == 1, place == n - 1, n == MOST)
