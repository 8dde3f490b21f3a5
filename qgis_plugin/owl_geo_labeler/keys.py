"""The keyboard of labelling: keys that work over the map and the dock, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import QWidget

Key = tuple[int, bool, bool]  # Qt's key code, Ctrl, Shift


class LabelKeys(QObject):
    """Catches keys on some widgets while it is on.

    Text fields take their own keys, so typing there answers nothing; and what is caught never
    reaches a shortcut of QGIS, whose Ctrl+Z means something else.
    """

    def __init__(self, widgets: Iterable[QWidget], parent: QObject) -> None:
        super().__init__(parent)
        self.is_on = True
        self._bindings: dict[Key, Callable[[], object]] = {}
        self._repeating: list[Key] = []
        self._on_release: dict[int, Callable[[], object]] = {}
        self._down: set[int] = set()  # keys that call on release, while they are pressed
        self._widgets = list(widgets)
        for widget in self._widgets:
            widget.installEventFilter(self)

    def bind(
        self,
        key: Qt.Key,
        call: Callable[[], object],
        *,
        ctrl: bool = False,
        shift: bool = False,
        repeats: bool = False,
        released: Callable[[], object] | None = None,
    ) -> None:
        """Bind a key to a call; a key held down calls again only if it ``repeats``.

        ``released`` is called when the key is let go, after a press that was taken here.
        """
        binding = (int(key), ctrl, shift)
        self._bindings[binding] = call
        if released is not None:
            self._on_release[int(key)] = released
        if repeats:
            self._repeating.append(binding)

    def clear(self) -> None:
        """Forget every key."""
        self._bindings.clear()
        self._repeating.clear()
        self._on_release.clear()
        self._down.clear()

    def remove(self) -> None:
        """Let go of the widgets."""
        for widget in self._widgets:
            widget.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take a bound key before a shortcut can."""
        if event.type() == QEvent.Type.KeyRelease:
            return self._let_go(event)
        if not self.is_on or event.type() not in (
            QEvent.Type.ShortcutOverride,
            QEvent.Type.KeyPress,
        ):
            return False
        binding = self._binding(event)
        call = self._bindings.get(binding)
        if call is None:
            return False
        event.accept()
        may_call = not event.isAutoRepeat() or binding in self._repeating
        if event.type() == QEvent.Type.KeyPress and may_call:
            if binding[0] in self._on_release:
                self._down.add(binding[0])
            call()
        return True

    def _let_go(self, event: QKeyEvent) -> bool:
        """End a press, whatever Ctrl and Shift are by now; a held key also reports releases."""
        key = int(event.key())
        if key not in self._down:
            return False
        if not event.isAutoRepeat():
            self._down.discard(key)
            self._on_release[key]()
        return True

    @staticmethod
    def _binding(event: QKeyEvent) -> Key:
        pressed = event.modifiers()
        others = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
        if pressed & others:
            return -1, False, False
        key = int(event.key())
        # French keyboards have digits on Shift; if Shift gives another character, the key differs
        is_digit = int(Qt.Key.Key_0) <= key <= int(Qt.Key.Key_9)
        shift = bool(pressed & Qt.KeyboardModifier.ShiftModifier) and not is_digit
        return key, bool(pressed & Qt.KeyboardModifier.ControlModifier), shift
