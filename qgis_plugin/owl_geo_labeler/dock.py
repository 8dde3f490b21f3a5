"""The dock: what the analyst reads and presses. It shows a session and emits what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDockWidget,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .panels import AnswerButtons, ProgressPanel
from .session import Session
from .why import Line, why_html

_BRIGHTEST = 8  # steps, and as many darker


class LabelDock(QDockWidget):
    """Shows one session at a time, or how to begin."""

    answered = pyqtSignal(str)
    moved = pyqtSignal(int)  # patches on or back
    moved_to_unanswered = pyqtSignal(int)  # 1 forward, -1 back
    undone = pyqtSignal()
    redone = pyqtSignal()
    wanted = pyqtSignal(str)  # rank or patch_id
    commented = pyqtSignal(str)
    context_changed = pyqtSignal(int)  # place among the steps
    brightness_changed = pyqtSignal(int)  # steps
    advance_changed = pyqtSignal(bool)
    colours_changed = pyqtSignal(bool)  # whether they are false
    view_wanted = pyqtSignal()  # the next one
    overview_wanted = pyqtSignal()
    frames_hidden = pyqtSignal(bool)
    predictions_wanted = pyqtSignal()  # shown, or hidden if they are
    review_wanted = pyqtSignal()  # of what the model finds; hidden if it is shown
    more_wanted = pyqtSignal()  # like the patch in view
    linked_wanted = pyqtSignal()  # the linked maps opened, or closed if they are open
    batch_wanted = pyqtSignal()
    run_wanted = pyqtSignal()
    next_wanted = pyqtSignal()
    cancelled = pyqtSignal()
    left_text = pyqtSignal()  # a text field is done, so the map can have the keyboard again

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("owl-geo labelling"))
        self.setObjectName("OwlGeoLabelDock")
        self._shown_id = ""
        self._is_labelling = self._may_leave = False
        self._next_texts = ["", ""]
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
        layout = QVBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        layout.addWidget(self._footer(whole))  # visible even in a small window
        self.setWidget(whole)

    # --- what it shows ----------------------------------------------------------------------------

    def begin(
        self, title: str, classes: Sequence[str], n: int, advance: bool, may_leave: bool = False
    ) -> None:
        """Show a newly opened batch of ``n`` patches.

        ``may_leave`` is whether the next batch may be asked for without any answer.
        """
        self._may_leave = may_leave
        self._is_labelling = True
        self._shown_id = ""  # a patch of that name may have another comment in this batch
        self._title.setText(title)
        self.buttons.set_classes(classes, n)
        self._advance.setChecked(advance)
        for clear in (self.set_trouble, self.set_note, self.set_where, self.set_others):
            clear("")
        self._pages.setCurrentIndex(1)
        # a bar that comes and goes with the length of the reasons would make the buttons jump
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.next_button.setVisible(self._work.isHidden())
        self._foot.show()

    def end(self) -> None:
        """Return to the start page."""
        self._is_labelling = False
        self._pages.setCurrentIndex(0)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        for label in (self._trouble, self._others, self._where, self._note, self._done):
            label.hide()
        self.next_button.hide()
        self._foot.setVisible(not self._work.isHidden())

    def show_session(self, session: Session, why: Sequence[Line], is_saved: bool) -> None:
        """Show the current patch, its answer, and the progress of the session.

        ``is_saved`` tells whether every answer is stored.
        """
        patch = session.patch
        if not patch.beside:
            text = self.tr("Patch {place} of {n}")
            place = text.format(place=session.current + 1, n=session.n_asked)
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
        self._done.setVisible(session.is_done and is_saved)
        self._show_next(session)

    def show_colours(self, why_not: str, false: bool) -> None:
        """Show which colours the scene has, and why it has no false ones if so."""
        self.false_colours.setChecked(not why_not and false)
        self.false_colours.setEnabled(not why_not)
        tip = self.tr(
            "Show the scene in near infrared, red and green instead of natural colours (F)"
        )
        self.false_colours.setToolTip(escape(why_not) or tip)

    def show_context(self, steps: Sequence[int], place: int) -> None:
        """Show how many pixels the map is wide: one of the steps."""
        self._context.blockSignals(True)
        self._context.setRange(0, len(steps) - 1)
        self._context.setValue(place)
        self._context.blockSignals(False)
        text = self.tr("How much of the surroundings the map shows: {n} pixels across (+ and -)")
        self._context.setToolTip(text.format(n=steps[place]))

    @property
    def brightness(self) -> int:
        """How many steps brighter than its batch says the scene is shown."""
        return int(self._brightness.value())

    def show_brightness(self, steps: int) -> None:
        """Show how much brighter the scene is than its batch says."""
        self._brightness.blockSignals(True)
        self._brightness.setValue(steps)
        self._brightness.blockSignals(False)

    def offer_views(self, names: Sequence[str]) -> None:
        """Make room for what a batch has besides the scene; without views there is none."""
        self._views_row.setVisible(bool(names))
        listed = "\n".join(["", *names]) if names else ""
        tip = self.tr("Show the next view in place of the scene (V); hold V to glance at it")
        self.next_view.setToolTip(tip + listed)

    def show_view(self, text: str, is_view: bool) -> None:
        """Say what the map shows: the scene, or a view, which stands out."""
        self._view.setText(text)
        self._view.setToolTip(escape(text))
        ground = "background: #FFE08A; color: #332600; font-weight: bold;" if is_view else ""
        self._view.setStyleSheet(f"{ground} padding: 3px 6px")

    def set_trouble(self, text: str) -> None:
        """Show why answers are not being saved; an empty text hides it."""
        self._trouble.setText(text)
        self._trouble.setVisible(bool(text))

    def set_note(self, text: str) -> None:
        """Say what came of the last click or key; an empty text hides it."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def set_where(self, text: str) -> None:
        """Say where clicks and keys go, if they do not label; an empty text hides it."""
        self._where.setText(text)
        self._where.setVisible(bool(text))

    def set_others(self, text: str) -> None:
        """Say who else is answering this batch; an empty text hides it."""
        self._others.setText(text)
        self._others.setVisible(bool(text))

    def set_working(self, step: str, line: str = "") -> None:
        """Show what owl-geo is doing and its progress; an empty step ends it."""
        self._work.setVisible(bool(step))
        self.next_button.setVisible(not step and self._is_labelling)
        self._foot.setVisible(bool(step) or self._is_labelling)
        self._work_says.setText(step)
        self._work_line.setText(line)

    def _show_next(self, session: Session) -> None:
        text = short = self.tr("Next batch")
        if session.n_left and session.n_answered:
            text = self.tr("Next batch, leaving {n} unanswered").format(n=session.n_left)
            short = self.tr("Next batch, without {n}").format(n=session.n_left)
        self._next_texts = [text, short]
        self._fit_next()
        self.next_button.setEnabled(session.n_answered > 0 or self._may_leave)
        self.next_button.setDefault(session.is_done)

    def _fit_next(self) -> None:
        """Write on the button for the next batch what there is room for."""
        text, short = self._next_texts
        room = self.next_button.width() - 2 * self.next_button.fontMetrics().height()
        fits = self.next_button.fontMetrics().horizontalAdvance(text) <= room
        self.next_button.setText(text if fits else short)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit texts to the new width."""
        super().resizeEvent(event)
        self._fit_next()

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
        self._title = _plain_label(page)
        self._title.setWordWrap(True)
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
        layout.addLayout(self._sliders(page))
        layout.addLayout(self._map_buttons(page))
        layout.addWidget(self._shown_row(page))
        layout.addWidget(self._why_box(page))
        layout.addStretch()
        return page

    def _footer(self, parent: QWidget) -> QWidget:
        self._foot = QWidget(parent)
        layout = QVBoxLayout(self._foot)
        layout.setContentsMargins(8, 4, 8, 8)
        self._trouble = _plain_label(self._foot)
        self._trouble.setObjectName("trouble")
        self._done = QLabel(self.tr("All patches are answered and saved."), self._foot)
        self._done.setObjectName("done")
        self._note = _plain_label(self._foot)
        self._note.setObjectName("note")
        self._where = _plain_label(self._foot)
        self._where.setObjectName("where")
        self._others = _plain_label(self._foot)
        self._others.setObjectName("others")
        # fixed colours, legible in light and dark themes
        for label, ground, ink in (
            (self._trouble, "#FFE08A", "#332600"),
            (self._others, "#D6E6F5", "#0B2A45"),
            (self._where, "#FFE08A", "#332600"),
            (self._note, "#D6E6F5", "#0B2A45"),
            (self._done, "#CDEBD3", "#0B3D1B"),
        ):
            label.setWordWrap(True)
            label.setStyleSheet(f"background: {ground}; color: {ink}; padding: 6px")
            layout.addWidget(label)
        layout.addWidget(self._work_row(self._foot))
        layout.addWidget(self._next(self._foot))
        self._foot.hide()
        return self._foot

    def _patch_row(self, page: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        self._place = QLabel(page)
        self._patch_id = _plain_label(page)
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

        def tool(text: str, tip: str, call: object) -> QToolButton:
            button = QToolButton(page)
            button.setText(text)
            button.setToolTip(tip)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
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
        self._undo = tool("↶", self.tr("Undo the last answer (Ctrl+Z)"), self.undone)
        self._redo = tool("↷", self.tr("Redo (Ctrl+Shift+Z)"), self.redone)
        self._undo.setObjectName("undo")
        self._redo.setObjectName("redo")
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

    def _sliders(self, page: QWidget) -> QGridLayout:
        grid = QGridLayout()
        self._context = self._slider("context", page)
        self._context.valueChanged.connect(self.context_changed)
        self._brightness = self._slider("brightness", page)
        self._brightness.setRange(-_BRIGHTEST, _BRIGHTEST)
        self._brightness.setToolTip(
            self.tr("Show the scene brighter (B) or darker (D) than the batch says")
        )
        self._brightness.valueChanged.connect(self.brightness_changed)
        rows = ((self.tr("Surroundings"), self._context), (self.tr("Brightness"), self._brightness))
        for row, (text, slider) in enumerate(rows):
            grid.addWidget(QLabel(text, page), row, 0)
            grid.addWidget(slider, row, 1)
        return grid

    def _slider(self, name: str, page: QWidget) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, page)
        slider.setObjectName(name)
        slider.setPageStep(1)
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return slider

    def _map_buttons(self, page: QWidget) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)

        def tool(name: str, text: str, tip: str) -> QToolButton:
            button = QToolButton(page)
            button.setObjectName(name)
            button.setText(text)
            button.setToolTip(tip)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            grid.addWidget(button, grid.count() // 2, grid.count() % 2)
            return button

        self.false_colours = tool("false_colours", self.tr("False colours"), "")
        self.false_colours.setCheckable(True)
        self.false_colours.clicked.connect(self.colours_changed)
        hide = tool(
            "hide_frames",
            self.tr("Hide frames"),
            self.tr("Show the imagery alone, for as long as this or the key H is held"),
        )
        hide.pressed.connect(lambda: self.frames_hidden.emit(True))
        hide.released.connect(lambda: self.frames_hidden.emit(False))
        overview = tool(
            "overview",
            self.tr("Overview"),
            self.tr("Show the whole batch, and once more the patch again (O)"),
        )
        overview.clicked.connect(self.overview_wanted)
        predictions = tool(
            "predictions",
            self.tr("Predictions"),
            self.tr("Show the maps that owl-geo predict made, or hide them (P)"),
        )
        predictions.clicked.connect(self.predictions_wanted)
        review = tool(
            "review",
            self.tr("Review"),
            self.tr("Accept or reject what the model finds, the most probable first (R)"),
        )
        review.clicked.connect(lambda: self.review_wanted.emit())
        more = tool(
            "more_like",
            self.tr("More like this"),
            self.tr("Make the next batch of the patches most like this one (M)"),
        )
        more.clicked.connect(lambda: self.more_wanted.emit())
        linked = tool(
            "linked_maps",
            self.tr("Linked maps"),
            self.tr("Show views or layers of the project side by side with the map (L)"),
        )
        linked.clicked.connect(self.linked_wanted)
        return grid

    def _shown_row(self, page: QWidget) -> QWidget:
        self._views_row = QWidget(page)
        row = QHBoxLayout(self._views_row)
        row.setContentsMargins(0, 0, 0, 0)
        self._view = _plain_label(self._views_row)
        self._view.setObjectName("view")
        # a long name must not widen the dock
        self._view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.next_view = QToolButton(self._views_row)
        self.next_view.setObjectName("next_view")
        self.next_view.setText(self.tr("Next view"))
        self.next_view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.next_view.clicked.connect(self.view_wanted)
        row.addWidget(QLabel(self.tr("Shown"), self._views_row))
        row.addWidget(self._view, 1)
        row.addWidget(self.next_view)
        self._views_row.hide()
        return self._views_row

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

    def _work_row(self, page: QWidget) -> QWidget:
        self._work = QWidget(page)
        layout = QVBoxLayout(self._work)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._work_says = _plain_label(self._work)
        self._work_line = _plain_label(self._work)
        self._work_line.setObjectName("progress")
        for label in (self._work_says, self._work_line):
            label.setWordWrap(True)
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

    def _next(self, page: QWidget) -> QPushButton:
        self.next_button = QPushButton(self.tr("Next batch"), page)
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

    def _go(self) -> None:
        self.wanted.emit(self.go_to.text())
        self.go_to.clear()
        self.left_text.emit()


def _plain_label(parent: QWidget) -> QLabel:
    """Return a label that shows text literally; by default, Qt renders what looks like HTML."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
