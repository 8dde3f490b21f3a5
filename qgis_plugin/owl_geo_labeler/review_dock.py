"""The panel of a review: small pictures, a threshold to slide, accept and reject."""

from __future__ import annotations

from html import escape

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from .gallery import Gallery, number
from .panels import tool_button

_STEPS = 1000  # of the slider, between the probabilities 0 and 1


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
        layout.addLayout(self._threshold_row(page))
        layout.addLayout(self._answer_row(page))
        self.gallery = Gallery(page)
        layout.addWidget(self.gallery, 1)
        self.setWidget(page)

    # --- what it shows ----------------------------------------------------------------------------

    def begin(self, accept: str, reject: str | None, least: float) -> None:
        """Show a newly opened review: the classes that accept and reject, and where it begins.

        Without a class to reject with, that button is of no use.
        """
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
        text = self.tr("{threshold} or more: {n} of {total} patches, {hectares} ha")
        said = in_words(hectares)
        self._above.setText(
            text.format(
                threshold=number(self.threshold), n=f"{n:,}", total=f"{of:,}", hectares=said
            )
        )

    def show_answers(self, accepted: int, rejected: int, left: int, can_undo: bool) -> None:
        """Say what is answered, and what is left of that which reaches the threshold."""
        text = self.tr("{accepted} accepted, {rejected} rejected, {left} open above the threshold")
        said = {"accepted": accepted, "rejected": rejected, "left": left}
        self._answers.setText(text.format(**{name: f"{n:,}" for name, n in said.items()}))
        self._undo.setEnabled(can_undo)

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

    def _words(self, name: str, page: QWidget) -> QLabel:
        """Return a label whose text neither moves the slider nor widens the panel."""
        label = QLabel(page)
        label.setObjectName(name)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        return label


def in_words(hectares: float) -> str:
    """Return hectares with two digits that mean something, and whole ones from 100 on."""
    if hectares >= 100:
        return f"{hectares:,.0f}"
    return f"{hectares:.1f}" if hectares >= 1 else f"{hectares:.2g}"
