"""Small parts of the panel: labels, buttons, the answers to press, the progress of the batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QFontMetrics, QIcon, QPainter, QPixmap, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from . import schema
from .session import Session

N_KEYS = 9  # digits that answer
_NO_KEY = "\u2007"  # a space as wide as a digit, so that names stand below each other
_LONG_WORD = re.compile(r"[^\s\u200b]{20,}")
_JOINT = re.compile(r"([/\\_.:=?&-]+|[^\W_]{16})")
_PADDING = 30  # pixels on a button between its edges, icon, text and count, in dark themes too


def key_of(label: str, classes: Sequence[str]) -> str:
    """Return the key that gives a label: ``1`` to ``9``, ``U``, ``S``; empty for none."""
    special = {schema.UNSURE: "U", schema.SKIP: "S"}
    if label in special:
        return special[label]
    place = classes.index(label) + 1
    return str(place) if place <= N_KEYS else ""


def plain_label(parent: QWidget) -> QLabel:
    """Return a label that shows text literally; by default, Qt renders what looks like HTML."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def breakable(text: str) -> str:
    """Return a text whose long words, such as paths, may be broken: Qt breaks few by itself.

    A label that cannot break one is as wide as it, and makes the whole panel so.
    """
    return _LONG_WORD.sub(lambda word: _JOINT.sub("\\1\u200b", word[0]), text)


class WrappedLabel(QLabel):
    """A label that shows text literally, and is no wider than its place, whatever the words.

    Its tip has the text in full, where a small window leaves no room for all lines.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)

    def setText(self, text: str) -> None:
        """Show a text."""
        self._text = text
        super().setText(breakable(text))
        self.setToolTip(escape(breakable(text)))

    def text(self) -> str:
        """The text as it was given."""
        return self._text


def tool_button(parent: QWidget, text: str, tip: str = "", name: str = "") -> QToolButton:
    """Return a button that leaves the keyboard where it is."""
    button = QToolButton(parent)
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button


class AnswerButtons(QWidget):
    """A button per label, in the colour that the label has on the map."""

    answered = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self._n_classes = 0
        self._columns = 0
        self._buttons: dict[str, QPushButton] = {}
        self._texts: dict[QPushButton, str] = {}  # in full
        self._counts: dict[str, QLabel] = {}

    def set_classes(self, classes: Sequence[str], n: int) -> None:
        """Make the buttons of a batch of ``n`` patches: its classes, unsure, skip."""
        for button in self._buttons.values():
            self._grid.removeWidget(button)
            button.deleteLater()
        self._texts.clear()
        colours = schema.label_colours(tuple(classes))
        labels = (*classes, *schema.RESERVED_LABELS)
        self._buttons = {
            label: self._button(label, key_of(label, classes), colours[label]) for label in labels
        }
        self._counts = {label: _count(button, n) for label, button in self._buttons.items()}
        self._n_classes = len(classes)
        self._columns = 0
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stand in one column or two, as there is room for the texts."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        widest = max((_needed(button, text) for button, text in self._texts.items()), default=0)
        columns = 2 if 2 * widest + self._grid.spacing() <= self.width() else 1
        for button, text in self._texts.items():  # in two columns, all have room
            _say(button, _fitting(button, text, self.width()))
        if columns == self._columns:
            return
        self._columns = columns
        # columns of equal width, whatever is on the buttons
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, columns - 1)
        n = self._n_classes
        for place, button in enumerate(self._buttons.values()):
            self._grid.removeWidget(button)
            if columns == 1:
                self._grid.addWidget(button, place, 0)
                continue
            last = n % 2 and place == n - 1
            row = place // 2 if place < n else (n + 1) // 2
            column = place % 2 if place < n else place - n
            self._grid.addWidget(button, row, column, 1, 2 if last else 1)

    def show_answer(self, label: str | None) -> None:
        """Show the button of the current patch's answer as pressed."""
        for name, button in self._buttons.items():
            button.setChecked(name == label)
            font = button.font()
            font.setBold(name == label)
            button.setFont(font)

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show on each button how many patches have its label."""
        for label, shown in self._counts.items():
            shown.setText(str(counts[label]))

    def _button(self, label: str, key: str, colour: str) -> QPushButton:
        button = QPushButton(self)
        self._texts[button] = f"{key or _NO_KEY}   {label}"
        _say(button, self._texts[button])
        button.setObjectName(f"answer_{label}")
        button.setIcon(_swatch(colour))
        button.setIconSize(QSize(16, 16))
        button.setCheckable(True)
        button.setMinimumHeight(30)
        button.setMinimumWidth(40)
        # its text, bold or not, does not affect its width
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.setToolTip(self._help(label, key))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _checked=False, label=label: self.answered.emit(label))
        return button

    def _help(self, label: str, key: str) -> str:
        says = {
            schema.UNSURE: self.tr(
                "seen, but ambiguous: not used for training, and not shown again"
            ),
            schema.SKIP: self.tr("unusable, for example under cloud: not shown again"),
        }.get(label, escape(label))  # Qt renders what looks like HTML
        return self.tr("{says} (key {key})").format(says=says, key=key) if key else says


def _say(button: QPushButton, text: str) -> None:
    """Write a text on a button; a single & would make a shortcut of the next letter."""
    button.setText(text.replace("&", "&&"))


def _needed(button: QPushButton, text: str) -> int:
    """Return the width that a button needs for a text that is bold, with icon and count."""
    return _bold(button).horizontalAdvance(text) + _besides(button)


def _fitting(button: QPushButton, text: str, width: int) -> str:
    """Return as much of the text as a button of this width has room for, without the middle.

    Where long names differ, it is at one end or the other.
    """
    room = max(width - _besides(button), 0)
    return _bold(button).elidedText(text, Qt.TextElideMode.ElideMiddle, room)


def _bold(button: QPushButton) -> QFontMetrics:
    font = button.font()
    font.setBold(True)
    return QFontMetrics(font)


def _besides(button: QPushButton) -> int:
    """Return how many pixels of a button are not for its text."""
    room = max((label.width() for label in button.findChildren(QLabel)), default=0)
    return int(room + button.iconSize().width() + _PADDING)


def _count(button: QPushButton, n: int) -> QLabel:
    """Return a label at the right end of a button, with room for numbers up to ``n``."""
    count = QLabel(button)
    count.setObjectName("count")
    count.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    # dark themes of QGIS give labels a padding, which would cut the digits
    count.setStyleSheet("QLabel { border: none; margin: 0; padding: 0 }")
    room = count.fontMetrics().horizontalAdvance("0" * len(str(n))) + 2
    count.setFixedWidth(room)
    row = QHBoxLayout(button)
    row.setContentsMargins(8, 0, 8, 0)
    row.addWidget(count, 0, Qt.AlignmentFlag.AlignRight)
    button.setStyleSheet(f"QPushButton {{ text-align: left; padding: 4px {room + 12}px 4px 8px }}")
    return count


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setBrush(QColor(colour))
    painter.setPen(QColor("#000000"))
    painter.drawRect(1, 1, 13, 13)
    painter.end()
    return QIcon(pixmap)


class ProgressPanel(QWidget):
    """A bar, the pace and the time left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)  # on it, dark themes of QGIS show black on grey
        self.bar.setMaximumHeight(12)
        self.answered = QLabel(self)
        self.pace = QLabel(self)
        # its line is there from the start, so that nothing below moves when it appears
        self.pace.setFixedHeight(self.pace.fontMetrics().height() + 2)
        self.pace.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for widget in (self.answered, self.bar, self.pace):
            layout.addWidget(widget)

    def show_session(self, session: Session) -> None:
        """Show the progress of a session."""
        self.bar.setMaximum(session.n_asked)
        self.bar.setValue(session.n_answered)
        says = self.tr("{n} of {total} answered").format(
            n=f"{session.n_answered:,}", total=f"{session.n_asked:,}"
        )
        if session.n_noticed:
            says += self.tr(", {n} noticed").format(n=f"{session.n_noticed:,}")
        self.answered.setText(says)
        self.pace.setText(self._pace(session))

    def _pace(self, session: Session) -> str:
        rate = session.pace.per_hour()
        seconds = session.pace.seconds_left(session.n_left)
        if rate is None or seconds is None or session.is_done:
            return ""
        text = self.tr("{rate} answers per hour, {time} left")
        return text.format(rate=f"{rate:,.0f}", time=_duration(seconds))


def _duration(seconds: float) -> str:
    """Return seconds as ``40 s``, ``12 min`` or ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
