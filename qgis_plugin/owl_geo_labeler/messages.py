"""One line above the map, in place of a stack trace."""

from __future__ import annotations

from html import escape
from typing import Callable

from qgis.core import Qgis, QgsMessageLog
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt.QtWidgets import QPushButton

_TITLE = "owl-geo"
_GOOD_SECONDS = 5
_WARN_SECONDS = 12  # or as long as it takes to read
_LETTERS_A_SECOND = 12


class Messages:
    """Shows messages in QGIS's message bar, and keeps them in its log."""

    def __init__(self, bar: QgsMessageBar) -> None:
        self._bar = bar
        self._kept: dict[str, QgsMessageBarItem] = {}
        self._with_button: list[QgsMessageBarItem] = []

    def good(self, text: str, stays: bool = False, key: str = "") -> None:
        """Say that something worked out; what is to be read in any case stays until closed.

        With a ``key``, it is no longer said once another message has that key.
        """
        self._push(text, Qgis.MessageLevel.Success, 0 if stays else _GOOD_SECONDS, key)

    def warn(
        self,
        text: str,
        key: str = "",
        action: str | None = None,
        call: Callable[[], None] | None = None,
    ) -> None:
        """Say what is not as it should be. With a ``key`` it stays until ``clear`` is called."""
        seconds = 0 if key or action else _to_read(text)
        self._push(text, Qgis.MessageLevel.Warning, seconds, key, action, call)

    def note(self, text: str) -> None:
        """Say what was done that the analyst did not ask for."""
        self._push(text, Qgis.MessageLevel.Info, _to_read(text))

    def fail(
        self,
        text: str,
        key: str = "",
        action: str | None = None,
        call: Callable[[], None] | None = None,
    ) -> None:
        """Say what went wrong; stays until it is closed, or until ``clear`` or another of its key.

        Without a ``key``, it is about something that nobody can bring back.
        """
        self._push(text, Qgis.MessageLevel.Critical, 0, key, action, call)

    def clear(self, key: str) -> None:
        """Take the message of this key away."""
        item = self._kept.pop(key, None)
        self._pop(item)

    def close(self) -> None:
        """Take away what has a button or a key: nobody will be there to do what it says."""
        for item in (*self._with_button, *self._kept.values()):
            self._pop(item)
        self._with_button.clear()
        self._kept.clear()

    def _push(
        self,
        text: str,
        level: Qgis.MessageLevel,
        seconds: int,
        key: str = "",
        action: str | None = None,
        call: Callable[[], None] | None = None,
    ) -> None:
        QgsMessageLog.logMessage(text, _TITLE, level, False)
        # the bar takes its text for HTML, and a file may be called anything
        shown = escape(text, quote=False)
        for before in self._bar.items():  # said again, it is said once
            if (before.title(), before.text()) == (_TITLE, shown):
                self._pop(before)
        item = self._bar.createMessage(_TITLE, shown)
        item.setToolTip(f"<span>{shown}</span>")  # the bar shows two lines, and scrolls
        if action is not None and call is not None:
            button = QPushButton(action, item)
            button.clicked.connect(lambda: self._act(item, call))
            item.layout().addWidget(button)
            shown = self._bar.items()
            self._with_button = [one for one in self._with_button if one in shown] + [item]
        if key:
            self.clear(key)
            self._kept[key] = item
        self._bar.pushWidget(item, level, seconds)

    def _pop(self, item: QgsMessageBarItem | None) -> None:
        if item is not None and item in self._bar.items():
            self._bar.popWidget(item)

    def _act(self, item: QgsMessageBarItem, call: Callable[[], None]) -> None:
        self._bar.popWidget(item)
        call()


def _to_read(text: str) -> int:
    """Return how many seconds a message is shown that goes by itself."""
    return max(_WARN_SECONDS, len(text) // _LETTERS_A_SECOND)
