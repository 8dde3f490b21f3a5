"""Patches side by side as small pictures, in order of probability; thousands are no burden."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.PyQt.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    pyqtSignal,
)
from qgis.PyQt.QtGui import QColor, QPainter, QPalette, QPen, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from . import schema
from .session import Patch, Session
from .thumbnails import Picture, Thumbnails

EDGES = (128, 112, 96)  # pixels of a picture, on large and small screens
_FRAME = 4  # around it, with a gap of 1
_GAP = 3  # between two frames
_AROUND = 2 * (_FRAME + 1 + _GAP)
_CURRENT = "#FF00FF"  # as the outline on the map
_ACCEPTED, _REJECTED = "✓", "✗"


class PatchModel(QAbstractListModel):
    """Patches in the order of their probability, those without one last.

    ``session`` knows who answers here, whose name is not said with each answer.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        patches = session.patches[: session.n_asked]
        self.patches = sorted(patches, key=lambda patch: -probability(patch))
        self.rows = {patch.fid: row for row, patch in enumerate(self.patches)}

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many there are."""
        return 0 if parent is not None and parent.isValid() else len(self.patches)

    def data(self, index: QModelIndex, role: int = 0) -> object:
        """Return what a tool tip or a screen reader says; the delegate draws the rest."""
        wanted = (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
        if not index.isValid() or role not in wanted:
            return None
        text = self._said(self.patches[index.row()])
        # Qt renders what looks like HTML in a tip, and names are what others typed
        return f"<qt>{escape(text)}</qt>" if role == wanted[0] else text

    def _said(self, patch: Patch) -> str:
        text = f"{patch.patch_id}: {number(probability(patch))}"
        if patch.answer.label is None:
            return text
        who = self.other(patch)
        said = self.tr("{label} ({who})") if who else "{label}"
        return f"{text}, {said.format(label=patch.answer.label, who=who)}"

    def other(self, patch: Patch) -> str:
        """Return who answered a patch, if that was somebody else."""
        who = patch.answer.annotator
        is_other = patch.answer.label is not None and who != self._session.annotator
        return who or "" if is_other else ""


def probability(patch: Patch) -> float:
    """Return the probability of a patch; -1 if it has none."""
    value = patch.why.get("probability")
    return float(value) if isinstance(value, (int, float)) else -1.0


def number(share: float) -> str:
    """Return a probability as it is written; three digits, cut off, so that it does not reach 1."""
    return f"{int(share * 1000 + 1e-6) / 1000:.3f}" if share >= 0 else ""


class _Delegate(QStyledItemDelegate):
    """Draws a picture, a frame that says what is thought of the patch, and its probability."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__(gallery)
        self._gallery = gallery

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the same for all."""
        return self._gallery.gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one patch."""
        gallery = self._gallery
        patch = index.model().patches[index.row()]
        margin, edge = _FRAME + 1 + _GAP, gallery.edge
        place = QRect(option.rect.left() + margin, option.rect.top() + margin, edge, edge)
        painter.save()
        picture = gallery.picture(patch.fid)
        if picture is not None and picture.image is not None:
            painter.drawImage(place, picture.image)
            if gallery.has_outlines:
                _draw_outline(painter, place, picture)
        else:
            painter.fillRect(place, option.palette.color(QPalette.ColorRole.Mid))
            says = "…" if picture is None else gallery.tr("no image")
            painter.setPen(option.palette.color(QPalette.ColorRole.Text))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, says)
        frame = gallery.frame(patch)
        if frame is not None:
            painter.setPen(_pen(*frame))
            half = _FRAME / 2 + 1
            painter.drawRect(QRectF(place).adjusted(-half, -half, half, half))
        under = QRect(place.left(), place.bottom() + _FRAME + 2, edge, gallery.text_height)
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        digits, metrics = number(probability(patch)), painter.fontMetrics()
        painter.drawText(under, Qt.AlignmentFlag.AlignLeft, digits)
        room = edge - metrics.horizontalAdvance(f"{digits} ")
        text = gallery.said(patch, index.model().other(patch), room)
        painter.drawText(under, Qt.AlignmentFlag.AlignRight, text)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(_pen(_CURRENT, Qt.PenStyle.SolidLine, 3))
            painter.drawRect(QRectF(option.rect).adjusted(1.5, 1.5, -1.5, -1.5))
        painter.restore()


def _pen(colour: str, style: Qt.PenStyle, width: float) -> QPen:
    pen = QPen(QColor(colour), width, style)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    return pen


def _draw_outline(painter: QPainter, place: QRect, picture: Picture) -> None:
    """Draw where the patch is within its surroundings: white on black, seen on any ground."""
    painter.save()
    painter.setClipRect(place)
    painter.translate(QPointF(place.topLeft()))
    painter.scale(place.width(), place.height())
    for colour, width in (("#000000", 3.0), ("#FFFFFF", 1.0)):
        pen = _pen(colour, Qt.PenStyle.SolidLine, width)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawPolygon(picture.outline)
    painter.restore()


class Gallery(QListView):
    """Shows a ``PatchModel``; asks for the pictures of what is in view, then of what comes next."""

    chosen = pyqtSignal(int)  # feature id, by the mouse

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("gallery")
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.positive = ""
        self.threshold = 0.5
        self.has_outlines = True
        self.text_height = self.fontMetrics().lineSpacing() + 2
        self.set_edge(EDGES[0])
        self._colours: dict[str, str] = {}
        self._thumbnails: Thumbnails | None = None
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.timeout.connect(self._want)
        self.setItemDelegate(_Delegate(self))
        self.clicked.connect(self._on_click)
        self.verticalScrollBar().valueChanged.connect(self.look_again)

    # --- what it shows ----------------------------------------------------------------------------

    def begin(
        self, model: PatchModel, thumbnails: Thumbnails, classes: Sequence[str], positive: str
    ) -> None:
        """Show the patches of a model."""
        self.positive = positive
        self._colours = schema.label_colours(tuple(classes))
        self._thumbnails = thumbnails
        thumbnails.drawn.connect(self._on_drawn)
        self.setModel(model)
        self.look_again()

    def end(self) -> None:
        """Show nothing any more."""
        self._look.stop()
        self._thumbnails = None
        self.setModel(None)

    def picture(self, fid: int) -> Picture | None:
        """Return the picture of a patch; None while it is not drawn."""
        return self._thumbnails.picture(fid) if self._thumbnails is not None else None

    def frame(self, patch: Patch) -> tuple[str, Qt.PenStyle, float] | None:
        """Return colour, style and width of a patch's frame; None for one that has none.

        An answer has a line in its colour, as on the map. What has none is framed if its
        probability reaches the threshold.
        """
        label = patch.answer.label
        if label is not None:
            return self._colours.get(label, "#000000"), Qt.PenStyle.SolidLine, _FRAME
        if probability(patch) >= self.threshold:
            return self._colours[self.positive], Qt.PenStyle.DotLine, _FRAME
        return None

    def said(self, patch: Patch, who: str, room: int) -> str:
        """Return what is said of an answer within ``room`` pixels, and of ``who`` gave it, if any.

        Where a class is too long for that, its frame and the sign before it say enough.
        """
        label = patch.answer.label
        if label is None:
            return ""
        sign = _ACCEPTED if label == self.positive else _REJECTED
        if label in schema.RESERVED_LABELS:
            sign = ""
        text, metrics = f"{sign} {who or label}".strip(), self.fontMetrics()
        if metrics.horizontalAdvance(text) > room and sign and not who:
            return sign
        return metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)

    def show_patch(self, fid: int) -> None:
        """Make a patch the current one and bring it into view; none if it is not here."""
        row = self.model().rows.get(fid)
        if row is None:
            self.clearSelection()
            return
        index = self.model().index(row, 0)
        if index != self.currentIndex() or not self.selectedIndexes():
            self.setCurrentIndex(index)
            self.scrollTo(index)
        self.viewport().update()

    def show_row(self, row: int) -> None:
        """Bring a row into view without making it the current one."""
        self.scrollTo(self.model().index(row, 0), QAbstractItemView.ScrollHint.PositionAtCenter)

    def set_threshold(self, threshold: float) -> None:
        """Frame what reaches a threshold."""
        self.threshold = threshold
        self.viewport().update()

    def set_edge(self, edge: int) -> None:
        """Give pictures a width and height, in pixels."""
        self.edge = edge
        self.setGridSize(QSize(edge + _AROUND, self.row_height(edge)))

    def row_height(self, edge: int) -> int:
        """Return the height of a row of pictures of this height."""
        return edge + _AROUND + self.text_height

    # --- where it is ------------------------------------------------------------------------------

    @property
    def row(self) -> int:
        """The row of the current patch; -1 without one."""
        return int(self.currentIndex().row()) if self.selectedIndexes() else -1

    @property
    def columns(self) -> int:
        """How many pictures are side by side."""
        return max(1, self.viewport().width() // self.gridSize().width())

    @property
    def page(self) -> int:
        """How many pictures there is room for."""
        return self.columns * max(1, self.viewport().height() // self.gridSize().height())

    def in_view(self) -> range:
        """Return the rows that are in view, at least in part."""
        tall = self.gridSize().height()
        top = self.verticalScrollBar().value()
        first = top // tall * self.columns
        last = ((top + self.viewport().height() - 1) // tall + 1) * self.columns
        n = self.model().rowCount() if self.model() is not None else 0
        return range(min(first, n), min(last, n))

    def look_again(self) -> None:
        """Ask for the pictures of what is in view, once that has come to rest."""
        self._look.start(20)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as many as there is room for."""
        super().resizeEvent(event)
        self.look_again()

    def _want(self) -> None:
        model = self.model()
        if model is None or self._thumbnails is None or not self.isVisible():
            return
        seen = self.in_view()
        after = range(seen.stop, min(seen.stop + len(seen), model.rowCount()))
        before = range(max(seen.start - len(seen), 0), seen.start)
        fids = [model.patches[row].fid for row in (*seen, *after, *reversed(before))]
        self._thumbnails.want(fids, round(self.edge * self.devicePixelRatioF()))

    def _on_drawn(self, fid: int) -> None:
        if self.model() is not None and fid in self.model().rows:
            self.update(self.model().index(self.model().rows[fid], 0))

    def _on_click(self, index: QModelIndex) -> None:
        self.chosen.emit(self.model().patches[index.row()].fid)
