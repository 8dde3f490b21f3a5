"""The foot of the panel: what there is to say of the batch, and the way to the next one.

It is seen whatever the window's height, and however far the panel is scrolled.
"""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .panels import WrappedLabel
from .session import Session

# ground and ink, fixed, since they have to be legible in light and dark themes
_WARNING = ("#FFE08A", "#332600")
_NEWS = ("#D6E6F5", "#0B2A45")
_GOOD = ("#CDEBD3", "#0B3D1B")


class Footer(QWidget):
    """Says one line each of trouble, others, clicks and keys, and shows what owl-geo is doing."""

    next_wanted = pyqtSignal()
    cancelled = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_labelling = self._may_leave = False
        self._next_texts = ["", ""]  # of the button for the next batch: in full, and short
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 4, 8, 8)
        self._trouble = self._line("trouble", _WARNING)
        self._others = self._line("others", _NEWS)
        self._where = self._line("where", _WARNING)
        self._note = self._line("note", _NEWS)
        self._done = self._line("done", _GOOD)
        self._done.setText(self.tr("All patches are answered and saved."))
        self._layout.addWidget(self._work_row())
        self._layout.addWidget(self._next())
        self.end()

    # --- what it shows ----------------------------------------------------------------------------

    def begin(self, may_leave: bool) -> None:
        """Show it for a newly opened batch, with nothing to say yet.

        ``may_leave`` is whether the next batch may be asked for without any answer.
        """
        self._may_leave = may_leave
        self._is_labelling = True
        for clear in (self.set_trouble, self.set_note, self.set_where, self.set_others):
            clear("")
        self.next_button.setVisible(self._work.isHidden())
        self.show()

    def end(self) -> None:
        """Show only the work that goes on without a batch."""
        self._is_labelling = False
        for label in (self._trouble, self._others, self._where, self._note, self._done):
            label.hide()
        self.next_button.hide()
        self.setVisible(not self._work.isHidden())

    def show_session(self, session: Session, is_saved: bool) -> None:
        """Show whether a session is done, and how many patches the next batch would leave.

        ``is_saved`` tells whether every answer is stored.
        """
        self._done.setVisible(session.is_done and is_saved)
        text = short = self.tr("Next batch")
        if session.n_left and session.n_answered:
            text = self.tr("Next batch, leaving {n} unanswered").format(n=f"{session.n_left:,}")
            short = self.tr("Next batch, without {n}").format(n=f"{session.n_left:,}")
        self._next_texts = [text, short]
        self._fit_next()
        self.next_button.setEnabled(session.n_answered > 0 or self._may_leave)
        self.next_button.setDefault(session.is_done)

    def set_trouble(self, text: str) -> None:
        """Show why answers are not being saved; an empty text hides it."""
        _say(self._trouble, text)

    def set_note(self, text: str) -> None:
        """Say what came of the last click or key; an empty text hides it."""
        _say(self._note, text)

    def set_where(self, text: str) -> None:
        """Say where clicks and keys go, if they do not label; an empty text hides it."""
        _say(self._where, text)

    def set_others(self, text: str) -> None:
        """Say who else is answering this batch; an empty text hides it."""
        _say(self._others, text)

    def set_working(self, step: str, line: str = "") -> None:
        """Show what owl-geo is doing and its progress; an empty step ends it."""
        self._work.setVisible(bool(step))
        self.next_button.setVisible(not step and self._is_labelling)
        self.setVisible(bool(step) or self._is_labelling)
        self._work_says.setText(step)
        self._work_line.setText(line)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit texts to the new width."""
        super().resizeEvent(event)
        self._fit_next()

    def _fit_next(self) -> None:
        """Write on the button for the next batch what there is room for."""
        text, short = self._next_texts
        room = self.next_button.width() - 2 * self.next_button.fontMetrics().height()
        fits = self.next_button.fontMetrics().horizontalAdvance(text) <= room
        self.next_button.setText(text if fits else short)

    # --- how it is built --------------------------------------------------------------------------

    def _line(self, name: str, colours: tuple[str, str]) -> QLabel:
        """Add a line that stands out."""
        label = WrappedLabel(self)
        label.setObjectName(name)
        ground, ink = colours
        label.setStyleSheet(f"background: {ground}; color: {ink}; padding: 6px")
        self._layout.addWidget(label)
        return label

    def _work_row(self) -> QWidget:
        self._work = QWidget(self)
        layout = QVBoxLayout(self._work)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._work_says = WrappedLabel(self._work)
        self._work_line = WrappedLabel(self._work)
        self._work_line.setObjectName("progress")
        # room for two lines, so that what is above stays put while lines come and go
        self._work_line.setFixedHeight(2 * self._work_line.fontMetrics().lineSpacing() + 4)
        self._work_line.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        stop = QPushButton(self.tr("Stop"), self._work)
        stop.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        stop.clicked.connect(self.cancelled)
        row = QHBoxLayout()
        row.addWidget(self._work_says, 1)
        row.addWidget(stop)
        layout.addLayout(row)
        layout.addWidget(self._work_line)
        self._work.hide()
        return self._work

    def _next(self) -> QPushButton:
        self.next_button = QPushButton(self.tr("Next batch"), self)
        self.next_button.setObjectName("next_batch")
        self.next_button.setMinimumHeight(32)
        # its text changes with the first answer, and would make the dock wider
        self.next_button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.next_button.setToolTip(
            self.tr("Store the answers in the run and choose the next patches")
        )
        self.next_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.next_button.clicked.connect(self.next_wanted)
        return self.next_button


def _say(label: QLabel, text: str) -> None:
    """Show a text; without one, the label takes no room."""
    label.setText(text)
    label.setVisible(bool(text))
