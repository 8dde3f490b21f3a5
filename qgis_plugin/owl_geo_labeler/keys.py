"""The keyboard of labelling: keys that work over the map and the dock, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QEvent, QObject, Qt, QTimer
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import QWidget

from .alphabets import digit_of_place, key_of_event

Key = tuple[int, bool, bool]  # Qt's key code, Ctrl, Shift

# X11 reports a held key as releases and presses, in pairs of one time. If the press of a pair comes
# too late for Qt to know it by that, Qt takes both for real.
_WAIT_MS = 60  # for the press of such a pair
_SAME_MS = 2  # between the two


def edits(widget: QObject) -> bool:
    """Whether a widget is a map whose tool edits a layer: Ctrl+Z then takes back a vertex."""
    tool = widget.mapTool() if isinstance(widget, QgsMapCanvas) else None
    return tool is not None and bool(tool.flags() & QgsMapTool.Flag.EditTool)


class LabelKeys(QObject):
    """Catches keys on some widgets while it is on.

    Text fields take their own keys, so typing there answers nothing; and what is caught never
    reaches a shortcut of QGIS, whose Ctrl+Z means something else. While a map's tool edits a layer,
    keys over that map are the tool's.
    """

    def __init__(self, widgets: Iterable[QWidget], parent: QObject) -> None:
        super().__init__(parent)
        self.is_on = True
        self._bindings: dict[Key, Callable[[], object]] = {}
        self._repeating: list[Key] = []
        self._on_release: dict[int, Callable[[], object]] = {}
        self._down: set[int] = set()  # keys that call on release, while they are pressed
        self._last = (0, 0)  # the key that was let go last, and when
        self._late: int | None = None  # a key that calls on release and was let go, it seems
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.timeout.connect(self._end_late)
        self._widgets: list[QWidget] = []
        for widget in widgets:
            self.watch(widget)

    def watch(self, widget: QWidget) -> None:
        """Catch keys on a further widget."""
        self._widgets.append(widget)
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
        self._late = None

    def remove(self) -> None:
        """Let go of the widgets, and of what the keys call."""
        self._wait.stop()
        self.clear()
        for widget in self._widgets:
            widget.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take a bound key before a shortcut can."""
        if event.type() == QEvent.Type.KeyRelease:
            return self._let_go(event)
        kinds = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)
        if not self.is_on or event.type() not in kinds or edits(watched):
            return False
        binding = self._binding(event)
        call = self._bindings.get(binding)
        if call is None:
            return False
        event.accept()
        if event.type() == QEvent.Type.ShortcutOverride:
            return True
        is_held = self._is_held(event)
        if is_held and self._late == binding[0]:
            self._wait.stop()
            self._late = None
        self._end_late()
        if not is_held or binding in self._repeating:
            if binding[0] in self._on_release:
                self._down.add(binding[0])
            call()
        return True

    def _is_held(self, event: QKeyEvent) -> bool:
        """Whether a press comes from a key that is held down."""
        key, time = self._last
        is_pair = key_of_event(event) == key and 0 <= int(event.timestamp()) - time <= _SAME_MS
        return event.isAutoRepeat() or (is_pair and time > 0)

    def _let_go(self, event: QKeyEvent) -> bool:
        """End a press, whatever Ctrl and Shift are by now; a held key also reports releases."""
        key = key_of_event(event)
        self._last = key, int(event.timestamp())
        if key not in self._down:
            return False
        if not event.isAutoRepeat():
            self._end_late()
            self._late = key
            if self._last[1]:
                self._wait.start(_WAIT_MS)
            else:  # nothing to know a pair by
                self._end_late()
        return True

    def _end_late(self) -> None:
        self._wait.stop()
        key, self._late = self._late, None
        if key is not None:
            self._down.discard(key)
            self._on_release[key]()

    def _binding(self, event: QKeyEvent) -> Key:
        pressed = event.modifiers()
        others = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
        if pressed & others:
            return -1, False, False
        key = key_of_event(event)
        # French keyboards have digits on Shift; if Shift gives another character, the key differs
        is_digit = int(Qt.Key.Key_0) <= key <= int(Qt.Key.Key_9)
        shift = bool(pressed & Qt.KeyboardModifier.ShiftModifier) and not is_digit
        ctrl = bool(pressed & Qt.KeyboardModifier.ControlModifier)
        by_place = digit_of_place(event), False, False
        if not (ctrl or shift or is_digit) and by_place in self._bindings:
            return by_place  # without Shift, its character may mean something else, as - does
        return key, ctrl, shift
