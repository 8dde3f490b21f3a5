"""What starts each thing that the analyst does: the keys, and the panel's signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QWidget

from .dock import LabelDock
from .keys import LabelKeys
from .panels import N_KEYS

if TYPE_CHECKING:
    from .labelling import Labelling


class Controls(QObject):
    """Connects keys and panel to one sitting, until ``remove`` is called.

    The keys work over ``widgets``, unless the panel is hidden.
    """

    def __init__(self, labelling: Labelling, dock: LabelDock, widgets: Sequence[QWidget]) -> None:
        super().__init__(labelling)
        self._labelling, self._dock = labelling, dock
        self._keys = LabelKeys(widgets, self)
        self._bind_answers()
        self._bind_moves()
        self._bind_sight()
        self._bind_steps()
        self._wires = self._panel_wires()
        for signal, slot in self._wires:
            signal.connect(slot)

    def watch(self, widget: QWidget) -> None:
        """Let the keys work over a further widget."""
        self._keys.watch(widget)

    def remove(self) -> None:
        """Let go of keys and panel."""
        for signal, slot in self._wires:
            signal.disconnect(slot)
        self._wires.clear()
        self._keys.remove()

    # --- keys -------------------------------------------------------------------------------------

    def _bind_answers(self) -> None:
        key, bind, labelling = Qt.Key, self._keys.bind, self._labelling
        for place, label in enumerate(labelling.batch.classes[:N_KEYS]):
            digit = getattr(key, f"Key_{place + 1}")
            bind(digit, lambda label=label: labelling.answer(label))
        bind(key.Key_U, lambda: labelling.answer("unsure"))
        bind(key.Key_S, lambda: labelling.answer("skip"))
        bind(key.Key_C, labelling.write_comment)
        bind(key.Key_Z, labelling.undo, ctrl=True, repeats=True)
        bind(key.Key_Z, labelling.redo, ctrl=True, shift=True, repeats=True)
        for enter in (key.Key_Return, key.Key_Enter):
            bind(enter, labelling.go_on)

    def _bind_moves(self) -> None:
        key, bind, labelling = Qt.Key, self._keys.bind, self._labelling
        for arrow, step in (
            (key.Key_Left, -1),
            (key.Key_Right, 1),
            (key.Key_Up, -1),
            (key.Key_Down, 1),
        ):
            bind(arrow, lambda step=step: labelling.move(step), repeats=True)
            bind(arrow, lambda step=step: labelling.move_to_unanswered(step), ctrl=True)
        bind(key.Key_N, labelling.go_to_nearest)
        bind(key.Key_M, self._dock.map_panel.more_wanted.emit)

    def _bind_sight(self) -> None:
        """Bind what changes what is seen of a patch."""
        key, bind, labelling = Qt.Key, self._keys.bind, self._labelling
        bind(key.Key_F, labelling.sight.switch_colours)
        bind(key.Key_O, labelling.map.overview)
        bind(key.Key_P, self._dock.map_panel.predictions_wanted.emit)
        bind(key.Key_R, self._dock.map_panel.review_wanted.emit)
        bind(key.Key_L, self._dock.map_panel.linked_wanted.emit)
        hide = labelling.sight.hide_frames
        bind(key.Key_H, lambda: hide(True), released=lambda: hide(False))
        if labelling.sight.views.names:
            bind(key.Key_V, labelling.sight.views.press, released=labelling.sight.views.release)

    def _bind_steps(self) -> None:
        """Bind what goes step by step; on many keyboards, + is on Shift, and its key is =."""
        key, bind, labelling = Qt.Key, self._keys.bind, self._labelling
        for sign, step in (
            (key.Key_Plus, -1),
            (key.Key_Equal, -1),
            (key.Key_Minus, 1),
            (key.Key_Underscore, 1),
        ):
            for shift in (False, True):
                bind(sign, lambda step=step: labelling.sight.widen(step), shift=shift, repeats=True)
        for letter, step in ((key.Key_B, 1), (key.Key_D, -1)):
            bind(letter, lambda step=step: labelling.sight.brighten(step), repeats=True)

    # --- the panel --------------------------------------------------------------------------------

    def _panel_wires(self) -> list[tuple[object, Callable[..., object]]]:
        dock, labelling = self._dock, self._labelling
        return [
            (dock.answered, labelling.answer),
            (dock.moved, labelling.move),
            (dock.moved_to_unanswered, labelling.move_to_unanswered),
            (dock.undone, labelling.undo),
            (dock.redone, labelling.redo),
            (dock.wanted, labelling.go_to),
            (dock.commented, labelling.take_comment),
            (dock.map_panel.context_changed, labelling.sight.set_context),
            (dock.map_panel.brightness_changed, labelling.sight.set_brightness),
            (dock.map_panel.overview_wanted, labelling.map.overview),
            (dock.map_panel.frames_hidden, labelling.sight.hide_frames),
            (dock.advance_changed, labelling.set_auto_advance),
            (dock.map_panel.colours_changed, labelling.sight.set_false_colours),
            (dock.map_panel.view_wanted, labelling.sight.views.next),
            (dock.left_text, labelling.leave_text),
            (dock.visibilityChanged, self._on_visibility),
        ]

    def _on_visibility(self, _visible: bool) -> None:
        # a dock behind another tab is not visible, but the analyst is still labelling
        self._keys.is_on = not self._dock.isHidden()
