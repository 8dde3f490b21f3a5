"""The part of the panel for the map: how patches are seen there, and what else it can show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .panels import plain_label, tool_button

_BRIGHTEST = 8  # steps, and as many darker


class MapPanel(QWidget):
    """Sliders and buttons, which only say what is wanted, and the name of the shown view."""

    context_changed = pyqtSignal(int)  # place among the steps
    brightness_changed = pyqtSignal(int)  # steps
    colours_changed = pyqtSignal(bool)  # whether they are false
    view_wanted = pyqtSignal()  # the next one
    overview_wanted = pyqtSignal()
    frames_hidden = pyqtSignal(bool)
    predictions_wanted = pyqtSignal()  # shown, or hidden if they are
    review_wanted = pyqtSignal()  # of what the model finds; hidden if it is shown
    more_wanted = pyqtSignal()  # like the patch in view
    linked_wanted = pyqtSignal()  # the linked maps opened, or closed if they are open

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._sliders())
        layout.addLayout(self._buttons())
        layout.addWidget(self._shown_row())

    # --- what it shows ----------------------------------------------------------------------------

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

    # --- how it is built --------------------------------------------------------------------------

    def _sliders(self) -> QGridLayout:
        grid = QGridLayout()
        self._context = self._slider("context")
        self._context.valueChanged.connect(self.context_changed)
        self._brightness = self._slider("brightness")
        self._brightness.setRange(-_BRIGHTEST, _BRIGHTEST)
        self._brightness.setToolTip(
            self.tr("Show the scene brighter (B) or darker (D) than the batch says")
        )
        self._brightness.valueChanged.connect(self.brightness_changed)
        rows = ((self.tr("Surroundings"), self._context), (self.tr("Brightness"), self._brightness))
        for row, (text, slider) in enumerate(rows):
            grid.addWidget(QLabel(text, self), row, 0)
            grid.addWidget(slider, row, 1)
        return grid

    def _slider(self, name: str) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setObjectName(name)
        slider.setPageStep(1)
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return slider

    def _buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)

        def button(name: str, text: str, tip: str = "") -> QToolButton:
            made = tool_button(self, text, tip, name)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            grid.addWidget(made, grid.count() // 2, grid.count() % 2)
            return made

        self.false_colours = button("false_colours", self.tr("False colours"))
        self.false_colours.setCheckable(True)
        self.false_colours.clicked.connect(self.colours_changed)
        hide = button(
            "hide_frames",
            self.tr("Hide frames"),
            self.tr("Show the imagery alone, for as long as this or the key H is held"),
        )
        hide.pressed.connect(lambda: self.frames_hidden.emit(True))
        hide.released.connect(lambda: self.frames_hidden.emit(False))
        for name, text, tip, wanted in (
            (
                "overview",
                self.tr("Overview"),
                self.tr("Show the whole batch, and once more the patch again (O)"),
                self.overview_wanted,
            ),
            (
                "predictions",
                self.tr("Predictions"),
                self.tr("Show the maps that owl-geo predict made, or hide them (P)"),
                self.predictions_wanted,
            ),
            (
                "review",
                self.tr("Review"),
                self.tr("Accept or reject what the model finds, the most probable first (R)"),
                self.review_wanted,
            ),
            (
                "more_like",
                self.tr("More like this"),
                self.tr("Make the next batch of the patches most like this one (M)"),
                self.more_wanted,
            ),
            (
                "linked_maps",
                self.tr("Linked maps"),
                self.tr("Show views or layers of the project side by side with the map (L)"),
                self.linked_wanted,
            ),
        ):
            button(name, text, tip).clicked.connect(wanted)
        return grid

    def _shown_row(self) -> QWidget:
        self._views_row = QWidget(self)
        row = QHBoxLayout(self._views_row)
        row.setContentsMargins(0, 0, 0, 0)
        self._view = plain_label(self._views_row)
        self._view.setObjectName("view")
        # a long name must not widen the dock
        self._view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.next_view = tool_button(self._views_row, self.tr("Next view"), name="next_view")
        self.next_view.clicked.connect(self.view_wanted)
        row.addWidget(QLabel(self.tr("Shown"), self._views_row))
        row.addWidget(self._view, 1)
        row.addWidget(self.next_view)
        self._views_row.hide()
        return self._views_row
