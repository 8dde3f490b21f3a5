"""A moment in which no answer counts: the one before a batch that came by itself was seen."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QElapsedTimer, QObject

_NOTICED_MS = 500  # nobody sees another patch, and stops typing, in less
_PAINTED_MS = 3000  # a map that is not drawn by then holds answers back no longer


class Lull(QObject):
    """Holds answers back from ``begin`` until the map was drawn, and nothing is typed any more.

    Who answers while the next batch is made is in the middle of the one before when it comes, and
    would answer patches that nobody has seen.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._is_on = self._is_drawn = False
        self._since_begun, self._since_typed = QElapsedTimer(), QElapsedTimer()
        canvas.mapCanvasRefreshed.connect(self._on_drawn)

    def begin(self) -> None:
        """Hold answers back from now on."""
        self._is_on, self._is_drawn = True, False
        self._since_begun.start()
        self._since_typed.start()

    def holds(self) -> bool:
        """Whether an answer that is given now is held back."""
        if not self._is_on:
            return False
        is_typing = self._since_typed.restart() < _NOTICED_MS
        is_drawn = self._is_drawn or self._since_begun.elapsed() >= _PAINTED_MS
        self._is_on = is_typing or not is_drawn
        return self._is_on

    def close(self) -> None:
        """Stop watching the map."""
        self._canvas.mapCanvasRefreshed.disconnect(self._on_drawn)

    def _on_drawn(self) -> None:
        self._is_drawn = True
