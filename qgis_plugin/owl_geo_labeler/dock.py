"""The dock: what the analyst reads and presses. It shows a session and emits what is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDockWidget,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .footer import Footer
from .map_panel import MapPanel
from .panels import AnswerButtons, ProgressPanel, WrappedLabel, plain_label, tool_button
from .session import Session
from .why import Line, why_html


class LabelDock(QDockWidget):
    """Shows one session at a time, or how to begin."""

    answered = pyqtSignal(str)
    moved = pyqtSignal(int)  # patches on or back
    moved_to_unanswered = pyqtSignal(int)  # 1 forward, -1 back
    undone = pyqtSignal()
    redone = pyqtSignal()
    wanted = pyqtSignal(str)  # rank or patch_id
    commented = pyqtSignal(str)
    advance_changed = pyqtSignal(bool)
    batch_wanted = pyqtSignal()
    run_wanted = pyqtSignal()
    left_text = pyqtSignal()  # a text field is done, so the map can have the keyboard again
    typed = pyqtSignal()  # nothing is typed into a text field any more

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("owl-geo labelling"))
        self.setObjectName("OwlGeoLabelDock")
        self._shown_id = ""
        self.take_back_key = ""  # brings clicks and keys back to labelling
        self._area = QScrollArea(self)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._start_page())
        self._pages.addWidget(self._label_page())
        area = self._area
        area.setWidget(self._pages)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # a scroll bar narrows the page, whose text is as wide as the theme makes it
        bar = area.verticalScrollBar().sizeHint().width()
        area.setMinimumWidth(max(280, self._pages.minimumSizeHint().width() + bar))
        whole = QWidget(self)
        # as its texts are written, whatever QGIS speaks; a translation says RTL, as Qt's own do
        is_from_right = self.tr("QT_LAYOUT_DIRECTION") == "RTL"
        whole.setLayoutDirection(
            Qt.LayoutDirection.RightToLeft if is_from_right else Qt.LayoutDirection.LeftToRight
        )
        layout = QVBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        self.footer = Footer(whole)
        layout.addWidget(self.footer)  # visible even in a small window
        self.setWidget(whole)
        for field in (self.comment, self.go_to):
            field.editingFinished.connect(self.typed)

    @property
    def is_typing(self) -> bool:
        """Whether keys write into a text field of the panel."""
        return self.comment.hasFocus() or self.go_to.hasFocus()

    # --- what it shows ----------------------------------------------------------------------------

    def begin(
        self, title: str, classes: Sequence[str], n: int, advance: bool, may_leave: bool = False
    ) -> None:
        """Show a newly opened batch of ``n`` patches.

        ``may_leave`` is whether the next batch may be asked for without any answer.
        """
        self._shown_id = ""  # a patch of that name may have another comment in this batch
        self._title.setText(title)
        self.buttons.set_classes(classes, n)
        self._advance.setChecked(advance)
        self._pages.setCurrentIndex(1)
        # a bar that comes and goes with the length of the reasons would make the buttons jump
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.footer.begin(may_leave)

    def end(self) -> None:
        """Return to the start page."""
        self._pages.setCurrentIndex(0)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.footer.end()

    def show_session(self, session: Session, why: Sequence[Line], is_saved: bool) -> None:
        """Show the current patch, its answer, and the progress of the session.

        ``is_saved`` tells whether every answer is stored.
        """
        patch = session.patch
        if not patch.beside:
            text = self.tr("Patch {place} of {n}")
            place = text.format(place=f"{session.current + 1:,}", n=f"{session.n_asked:,}")
        elif patch.older is not None:
            place = self.tr("Patch of an older batch")
        else:
            place = self.tr("Noticed beside the batch")
        self._place.setText(f"<b>{place}</b>")
        self._patch_id.setText(patch.patch_id)
        self.buttons.show_answer(patch.answer.label)
        if patch.patch_id != self._shown_id or not self.comment.hasFocus():
            self.comment.setText(patch.answer.comment or "")
        self._shown_id = patch.patch_id
        self._undo.setEnabled(session.can_undo)
        self._redo.setEnabled(session.can_redo)
        self._why.setText(why_html(why))
        self.buttons.show_counts(session.counts())
        self.progress.show_session(session)
        self.footer.show_session(session, is_saved)

    # --- how it is built --------------------------------------------------------------------------

    def _start_page(self) -> QWidget:
        page = QWidget(self)
        layout = QVBoxLayout(page)
        says = QLabel(
            self.tr(
                "Open a batch written by owl-geo (batch.gpkg), or a run folder to continue with "
                "its newest batch. You can also drop a batch onto the map."
            ),
            page,
        )
        says.setWordWrap(True)
        layout.addWidget(says)
        for text, signal in (
            (self.tr("Open batch…"), self.batch_wanted),
            (self.tr("Open run folder…"), self.run_wanted),
        ):
            button = QPushButton(text, page)
            button.clicked.connect(signal)
            layout.addWidget(button)
        layout.addStretch()
        return page

    def _label_page(self) -> QWidget:
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(6)
        self._title = WrappedLabel(page)
        self.buttons = AnswerButtons(page)
        self.buttons.answered.connect(self.answered)
        self.progress = ProgressPanel(page)
        layout.addWidget(self._title)
        layout.addWidget(self.progress)
        layout.addLayout(self._patch_row(page))
        layout.addWidget(self._patch_id)
        layout.addWidget(self.buttons)
        layout.addLayout(self._move_row(page))
        layout.addWidget(self._comment_field(page))
        layout.addWidget(self._advance_switch(page))
        self.map_panel = MapPanel(page)
        layout.addWidget(self.map_panel)
        layout.addWidget(self._why_box(page))
        layout.addStretch()
        return page

    def _patch_row(self, page: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        self._place = QLabel(page)
        self._patch_id = plain_label(page)
        self._patch_id.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._patch_id.setMinimumWidth(20)
        self.go_to = QLineEdit(page)
        self.go_to.setObjectName("go_to")
        self.go_to.setPlaceholderText(self.tr("rank or id"))
        self.go_to.setToolTip(self.tr("Go to a patch by rank or id"))
        self.go_to.setMaximumWidth(110)
        self.go_to.returnPressed.connect(self._go)
        row.addWidget(self._place)
        row.addStretch()
        row.addWidget(self.go_to)
        return row

    def _move_row(self, page: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(2)

        def tool(text: str, tip: str, call: object, name: str = "") -> QToolButton:
            button = tool_button(page, text, tip, name)
            button.clicked.connect(call)
            row.addWidget(button)
            return button

        tool("◀", self.tr("Previous patch (Left)"), lambda: self.moved.emit(-1))
        tool("▶", self.tr("Next patch (Right)"), lambda: self.moved.emit(1))
        tool(
            self.tr("Unanswered ▶"),
            self.tr("Next unanswered patch (Ctrl+Right)"),
            lambda: self.moved_to_unanswered.emit(1),
        )
        row.addStretch()
        self._undo = tool("↶", self.tr("Undo the last answer (Ctrl+Z)"), self.undone, "undo")
        self._redo = tool("↷", self.tr("Redo (Ctrl+Shift+Z)"), self.redone, "redo")
        return row

    def _comment_field(self, page: QWidget) -> QLineEdit:
        self.comment = QLineEdit(page)
        self.comment.setObjectName("comment")
        self.comment.setPlaceholderText(self.tr("Comment on this patch (C)"))
        self.comment.editingFinished.connect(lambda: self.commented.emit(self.comment.text()))
        self.comment.returnPressed.connect(self.left_text)
        return self.comment

    def _advance_switch(self, page: QWidget) -> QCheckBox:
        self._advance = QCheckBox(self.tr("Auto-advance"), page)
        self._advance.setObjectName("auto_advance")
        self._advance.setToolTip(self.tr("After an answer, go to the next unanswered patch"))
        self._advance.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._advance.toggled.connect(self.advance_changed)
        return self._advance

    def _why_box(self, page: QWidget) -> QGroupBox:
        box = QGroupBox(self.tr("Why this patch"), page)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(6, 4, 6, 4)
        self._why = QLabel(box)
        self._why.setObjectName("why")
        self._why.setTextFormat(Qt.TextFormat.RichText)
        self._why.setWordWrap(True)
        layout.addWidget(self._why)
        return box

    def _go(self) -> None:
        self.wanted.emit(self.go_to.text())
        self.go_to.clear()
        self.left_text.emit()
