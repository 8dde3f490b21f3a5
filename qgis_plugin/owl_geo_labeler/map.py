"""The map canvas: the current patch in view with its surroundings, and clicks on others."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsSimpleLineSymbolLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapToolPan, QgsRubberBand
from qgis.PyQt.QtCore import QObject, QPoint, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel

_OUTLINE = "255,0,255,255"  # magenta, not the colour of any class, nor of imagery
_WIDTH = 3  # pixels of the outline, with another of white on both sides
_GAP_PIXELS = 3  # on the screen, between the edge of the patch and the outline
_OVERVIEW = 1.05  # times the extent of the batch
_DRAG_PIXELS = 4
_MARGIN = 12  # pixels between the caption and the edges of the map


class PatchMap(QObject):
    """Shows where the analyst is.

    ``context`` is how many times wider than the patch the view is.
    """

    clicked = pyqtSignal(int)  # feature id
    missed = pyqtSignal(QgsPointXY)  # a click where no patch is, in the project's CRS
    tool_changed = pyqtSignal(bool)  # whether clicks on the map choose patches
    outlined = pyqtSignal()  # another patch has the outline, or it was shown or hidden

    def __init__(
        self,
        canvas: QgsMapCanvas,
        layer: QgsVectorLayer,
        features: dict[int, QgsFeature],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._layer = layer
        self._boxes: list[tuple[int, QgsGeometry, QgsRectangle]] = [
            (fid, feature.geometry(), feature.geometry().boundingBox())
            for fid, feature in features.items()
        ]
        self._geometries = {fid: geometry for fid, geometry, _ in self._boxes}
        self.context = 4.0
        self._shown: int | None = None
        self._is_overview = False
        self._band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setSymbol(outline())
        self._caption = Caption(canvas)
        self._tool = ClickTool(canvas)
        self._tool.clicked.connect(self.choose)
        # the first layer of a project makes QGIS zoom by itself, after everything else
        self._zoom_later = QTimer(self)
        self._zoom_later.setSingleShot(True)
        self._zoom_later.timeout.connect(self._zoom)
        self._canvas.mapToolSet.connect(self._on_tool)
        self._canvas.destinationCrsChanged.connect(self._outline)
        self.use_tool()

    def use_tool(self) -> None:
        """Let a click choose a patch, and a drag move the map."""
        self._canvas.setMapTool(self._tool)

    @property
    def takes_clicks(self) -> bool:
        """Whether clicks on the map choose patches."""
        return self._canvas.mapTool() is self._tool

    def add(self, fid: int, geometry: QgsGeometry) -> None:
        """Take in a further patch, in the CRS of the layer."""
        self._boxes.append((fid, geometry, geometry.boundingBox()))
        self._geometries[fid] = geometry

    def nearest(self, fids: Iterable[int]) -> int | None:
        """Return which of these patches is nearest to the middle of the map; None if there is none.

        Distances are in the project's CRS, as the analyst sees them.
        """
        centre, move = self._canvas.center(), self._to_canvas()
        found = []
        for fid in fids:
            try:
                there = move.transform(self._geometries[fid].boundingBox().center())
            except QgsCsException:
                continue
            found.append((there.sqrDist(centre), fid))
        return min(found)[1] if found else None

    def show(self, fid: int) -> None:
        """Outline a patch and bring it into view with its surroundings."""
        self._shown = fid
        self._outline()
        self._is_overview = False
        self._zoom_later.start(0)
        self.outlined.emit()

    def set_context(self, context: float) -> None:
        """Show more or less around the patch."""
        self.context = context
        self._is_overview = False
        if self._shown is not None:
            self._zoom_later.start(0)

    def overview(self) -> None:
        """Show the whole batch; once more, the current patch again."""
        self._is_overview = not self._is_overview
        if not self._is_overview:
            self._zoom_later.start(0)
            return
        whole = QgsRectangle()
        for geometry in self._geometries.values():
            whole.combineExtentWith(geometry.boundingBox())
        try:
            whole = self._to_canvas().transformBoundingBox(whole)
        except QgsCsException:  # the project's CRS does not cover the batch
            return
        whole.scale(_OVERVIEW)
        self._zoom_later.stop()
        self._show_box(whole)

    def set_outline_visible(self, is_visible: bool) -> None:
        """Show or hide the outline of the current patch."""
        self._band.setVisible(is_visible)
        self.outlined.emit()

    @property
    def outlined_patch(self) -> QgsGeometry | None:
        """The patch that has the outline, in the batch's CRS; None while that is hidden."""
        if self._shown is None or not self._band.isVisible():
            return None
        return self._geometries[self._shown]

    def redraw(self) -> None:
        """Draw the patches anew, after one has changed its colour."""
        self._layer.triggerRepaint()

    def box(self, fid: int) -> QgsRectangle:
        """Return the bounding box of a patch in the batch's CRS."""
        return self._geometries[fid].boundingBox()

    def set_caption(self, text: str) -> None:
        """Say in a corner of the map what it shows; an empty text takes that away."""
        self._caption.say(text)

    def choose(self, point: QgsPointXY) -> None:
        """Say which patch is at a point in the project's CRS, or that none is."""
        try:
            place = self._to_canvas().transform(point, Qgis.TransformDirection.Reverse)
        except QgsCsException:
            return
        hits = [
            (box.center().sqrDist(place), fid)
            for fid, geometry, box in self._boxes
            if box.contains(place) and geometry.contains(place)
        ]
        if hits:
            self.clicked.emit(min(hits)[1])
        else:
            self.missed.emit(point)

    def close(self) -> None:
        """Take the outline off the canvas and give the map tool back."""
        self._zoom_later.stop()
        self._caption.deleteLater()
        self._canvas.mapToolSet.disconnect(self._on_tool)
        self._canvas.destinationCrsChanged.disconnect(self._outline)
        self._canvas.unsetMapTool(self._tool)
        self._canvas.scene().removeItem(self._band)

    def _outline(self) -> None:
        """Put the outline around the patch that is shown, in the project's CRS of the moment."""
        if self._shown is not None:
            self._band.setToGeometry(self._geometries[self._shown], self._layer.crs())

    def _zoom(self) -> None:
        if self._shown is None:
            return
        box = self._geometries[self._shown].boundingBox()
        try:
            box = self._to_canvas().transformBoundingBox(box)
        except QgsCsException:  # the project's CRS does not cover the patch
            return
        box.scale(self.context)
        self._show_box(box)

    def _show_box(self, box: QgsRectangle) -> None:
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def _on_tool(self, *_tools: object) -> None:
        self.tool_changed.emit(self.takes_clicks)

    def _to_canvas(self) -> QgsCoordinateTransform:
        crs: QgsCoordinateReferenceSystem = self._canvas.mapSettings().destinationCrs()
        return QgsCoordinateTransform(self._layer.crs(), crs, QgsProject.instance())


class Caption(QLabel):
    """A text over the map's upper left corner, which lets clicks through."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setObjectName("owl_geo_caption")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            "background: rgba(0, 0, 0, 190); color: #FFFFFF; font-weight: bold; padding: 5px 10px"
        )
        self.move(_MARGIN, _MARGIN)
        self.hide()

    def say(self, text: str) -> None:
        """Show a text; hide if it is empty."""
        self.setText(text)
        self.adjustSize()
        self.setVisible(bool(text))


class ClickTool(QgsMapToolPan):
    """Moves the map when dragged; a click without a drag says where."""

    clicked = pyqtSignal(QgsPointXY)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._pressed: QPoint | None = None

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Remember where, to tell a click from a drag."""
        self._pressed = event.pos()
        super().canvasPressEvent(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Choose at a click; the plain tool would move the map there."""
        pressed, self._pressed = self._pressed, None
        moved = pressed is None or (event.pos() - pressed).manhattanLength() > _DRAG_PIXELS
        if moved:
            super().canvasReleaseEvent(event)
        else:
            self.canvas().setCursor(Qt.CursorShape.OpenHandCursor)
            self.clicked.emit(self.toMapCoordinates(event.pos()))


def outline() -> QgsFillSymbol:
    """Return two lines around a patch, which leave all of it free, with straight corners."""
    symbol = QgsFillSymbol()
    symbol.deleteSymbolLayer(0)
    for colour, width in (("255,255,255,255", _WIDTH + 2), (_OUTLINE, _WIDTH)):
        line = QgsSimpleLineSymbolLayer.create(
            {
                "line_color": colour,
                "line_width": str(width),
                "line_width_unit": "Pixel",
                "offset": str(-_GAP_PIXELS - _WIDTH / 2 - 1),
                "offset_unit": "Pixel",
                "joinstyle": "miter",
            }
        )
        symbol.appendSymbolLayer(line)
    return symbol
