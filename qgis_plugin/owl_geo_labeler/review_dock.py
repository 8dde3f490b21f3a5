"""The panel of a review: small pictures, a threshold to slide, accept and reject."""

from __future__ import annotations

from html import escape

from qgis.PyQt.QtCore import QEvent, QObject, QRect, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QBoxLayout,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from .gallery import EDGES, Gallery, number
from .panels import tool_button

_STEPS = 1000  # of the slider, between the probabilities 0 and 1
_ONE_ROW = 760  # pixels of width from which slider and buttons are side by side
_LEAST_MAP = 200  # pixels of height that the map keeps above the panel
_MOST_LINES = 3  # of a text beside slider and buttons
_MOST_FITS = 3  # until the height is right
_SETTLED_MS = 50  # after which a dock that was shown has its place


class ReviewDock(QDockWidget):
    """Shows one review at a time."""

    accepted = pyqtSignal()
    rejected = pyqtSignal()
    undone = pyqtSignal()
    threshold_moved = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("owl-geo review"))
        self.setObjectName("OwlGeoReviewDock")
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.setSpacing(4)
        self._rows = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._rows.setSpacing(4)
        self._rows.addLayout(self._threshold_row(page), 1)
        self._rows.addLayout(self._answer_row(page), 1)
        layout.addLayout(self._rows)
        self.gallery = Gallery(page)
        layout.addWidget(self.gallery, 1)
        self.setWidget(page)
        self._was_shown = False
        self._canvas: QWidget | None = None
        self._n_fits = 0  # how often its height may still be chosen
        self._fitted_in = 0  # height of the window that it was chosen for
        self._fit_later = QTimer(self)
        self._fit_later.setSingleShot(True)
        self._fit_later.timeout.connect(self._fit)

    # --- where it is ------------------------------------------------------------------------------

    def open_below(self, canvas: QWidget) -> None:
        """Show the panel; for the first time, as high as the map above it can spare.

        It then takes two rows of pictures if the map keeps its room, else one; on a small screen,
        the pictures are smaller. When the window gets another height, that is chosen anew, unless
        the user has moved what is between map and panel.
        """
        bottom = Qt.DockWidgetArea.BottomDockWidgetArea
        is_below = self.parentWidget().dockWidgetArea(self) == bottom and not self.isFloating()
        if not self._was_shown and is_below and self.isHidden():
            self._canvas = canvas
            self.parentWidget().installEventFilter(self)
            self._begin_to_fit()
        self._was_shown = True
        self.show()
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Choose the height anew in a window of another height, such as one that opens."""
        is_other = event.type() == QEvent.Type.Resize and watched is self.parentWidget()
        if is_other and self._canvas is not None and watched.height() != self._fitted_in:
            self._begin_to_fit()
        return super().eventFilter(watched, event)

    def _begin_to_fit(self) -> None:
        self._n_fits, self._fitted_in = _MOST_FITS, self.parentWidget().height()
        self._fit_later.start(_SETTLED_MS)

    def _fit(self) -> None:
        """Choose the size of pictures, and show as many rows as there is room for."""
        if not self.isVisible() or self._canvas is None:  # closed again, or behind another tab
            self._n_fits = 0
            return
        besides = self.height() - self.gallery.viewport().height()
        room = self._canvas.height() + self.height()
        heights = {
            (rows, edge): besides + rows * self.gallery.row_height(edge)
            for rows in (2, 1)
            for edge in EDGES
        }
        fits = (choice for choice, height in heights.items() if room - height >= _LEAST_MAP)
        choice = next(fits, (1, EDGES[-1]))
        height = heights[choice]
        self.gallery.set_edge(choice[1])
        if height == self.height():
            self._n_fits = 0
        if self._n_fits:  # the texts may have got other lines by then
            self._n_fits -= 1
            self.parentWidget().resizeDocks([self], [height], Qt.Orientation.Vertical)
            self._fit_later.start(_SETTLED_MS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put slider and buttons side by side where there is room for both.

        In a window that stays as it is, only the user changes the height once it was chosen.
        """
        super().resizeEvent(event)
        window = self.parentWidget()
        is_moved = event.oldSize().height() != self.height() and not self._n_fits
        if self._canvas is not None and is_moved and window.height() == self._fitted_in:
            self._canvas = None
            window.removeEventFilter(self)
        direction = QBoxLayout.Direction
        is_wide = self.width() >= _ONE_ROW
        self._rows.setDirection(direction.LeftToRight if is_wide else direction.TopToBottom)

    # --- what it shows ----------------------------------------------------------------------------

    def begin(self, accept: str, reject: str | None, least: float, n: int, hectares: float) -> None:
        """Show a newly opened review: the classes that accept and reject, and where it begins.

        Without a class to reject with, that button is of no use. ``n`` patches of so many
        ``hectares`` say how long the texts may get.
        """
        self._above.make_room(self._above_text(0.0, n, n, hectares))
        self._answers.make_room(self._answers_text(n, n, n))
        self._accept.setText(self.tr("Accept (A)"))
        self._accept.setToolTip(self.tr("Answer {name}").format(name=escape(accept)))
        self._reject.setText(self.tr("Reject (X)"))
        self._reject.setToolTip(
            self.tr("This batch has no other class")
            if reject is None
            else self.tr("Answer {name}").format(name=escape(reject))
        )
        self._reject.setEnabled(reject is not None)
        self._slider.blockSignals(True)
        self._slider.setRange(int(max(least, 0.0) * _STEPS), _STEPS)
        self._slider.blockSignals(False)

    @property
    def threshold(self) -> float:
        """The probability that the slider stands at."""
        return float(self._slider.value() / _STEPS)

    def set_threshold(self, threshold: float) -> None:
        """Move the slider, which says so if that changes anything."""
        self._slider.setValue(round(threshold * _STEPS))

    def show_above(self, n: int, of: int, hectares: float) -> None:
        """Say how many of all patches reach the threshold, and how much ground they are."""
        self._above.setText(self._above_text(self.threshold, n, of, hectares))

    def show_answers(self, accepted: int, rejected: int, left: int, can_undo: bool) -> None:
        """Say what is answered, and what is left of that which reaches the threshold."""
        self._answers.setText(self._answers_text(accepted, rejected, left))
        self._undo.setEnabled(can_undo)

    def _above_text(self, threshold: float, n: int, of: int, hectares: float) -> str:
        text = self.tr("{threshold} or more: {n} of {total} patches, {hectares} ha")
        said = in_words(hectares)
        return text.format(threshold=number(threshold), n=f"{n:,}", total=f"{of:,}", hectares=said)

    def _answers_text(self, accepted: int, rejected: int, left: int) -> str:
        text = self.tr("{accepted} accepted, {rejected} rejected, {left} open above the threshold")
        said = {"accepted": accepted, "rejected": rejected, "left": left}
        return text.format(**{name: f"{n:,}" for name, n in said.items()})

    # --- how it is built --------------------------------------------------------------------------

    def _threshold_row(self, page: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        self._slider = QSlider(Qt.Orientation.Horizontal, page)
        self._slider.setObjectName("threshold")
        self._slider.setSingleStep(_STEPS // 100)
        self._slider.setPageStep(_STEPS // 20)
        self._slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._slider.setMinimumWidth(80)
        self._slider.setToolTip(
            self.tr(
                "The probability from which a patch counts (comma lower, full stop higher); "
                "owl-geo predict takes it as --threshold"
            )
        )
        self._slider.valueChanged.connect(lambda: self.threshold_moved.emit(self.threshold))
        self._above = self._words("above", page)
        row.addWidget(QLabel(self.tr("Threshold"), page))
        row.addWidget(self._slider, 1)
        row.addWidget(self._above, 1)
        return row

    def _answer_row(self, page: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        self._accept, self._reject = QPushButton(page), QPushButton(page)
        for button, name, signal in (
            (self._accept, "accept", self.accepted),
            (self._reject, "reject", self.rejected),
        ):
            button.setObjectName(name)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _checked=False, signal=signal: signal.emit())
            row.addWidget(button)
        self._undo = tool_button(page, "↶", self.tr("Undo the last answer (Ctrl+Z)"), "undo")
        self._undo.clicked.connect(lambda: self.undone.emit())
        row.addWidget(self._undo)
        self._answers = self._words("answers", page)
        row.addWidget(self._answers, 1)
        return row

    def _words(self, name: str, page: QWidget) -> _Words:
        label = _Words(page)
        label.setObjectName(name)
        return label


class _Words(QLabel):
    """A label whose text neither widens the panel nor moves what is around it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._longest = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def make_room(self, longest: str) -> None:
        """Be as high as a text needs, whatever is shown."""
        self._longest = longest
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the height to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics, room = self.fontMetrics(), QRect(0, 0, max(self.width(), 1), 10_000)
        words = metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, self._longest)
        # while nothing is laid out yet, the width means nothing
        self.setFixedHeight(min(words.height(), _MOST_LINES * metrics.lineSpacing()) + 2)


def in_words(hectares: float) -> str:
    """Return hectares with two digits that mean something, and whole ones from 100 on."""
    if hectares >= 100:
        return f"{hectares:,.0f}"
    return f"{hectares:.1f}" if hectares >= 1 else f"{hectares:.2g}"
