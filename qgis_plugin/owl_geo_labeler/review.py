"""The review of a batch of predictions: connects its panel to the labelling that stores answers."""

from __future__ import annotations

from bisect import bisect_right

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QWidget

from .gallery import PatchModel, probability
from .hectares import growing_hectares
from .keys import LabelKeys
from .labelling import Labelling
from .review_dock import ReviewDock
from .thumbnails import Thumbnails

_USUAL = 0.5  # the threshold at first, as of owl-geo predict
_STEP = 0.01  # of the threshold, by a key


class Review(QObject):
    """A second way to see a batch that is labelled; every answer goes through ``labelling``."""

    def __init__(
        self, labelling: Labelling, dock: ReviewDock, canvas: QgsMapCanvas, panel: QWidget
    ) -> None:
        """``panel`` is the one of labelling; the keys of the review also work over it."""
        super().__init__(labelling)
        self._labelling, self._dock, self._gallery = labelling, dock, dock.gallery
        batch, session = labelling.batch, labelling.session
        self._model = PatchModel(session, dock)
        self._probabilities = [-probability(patch) for patch in self._model.patches]  # ascending
        self._hectares = growing_hectares(
            [batch.features[patch.fid].geometry() for patch in self._model.patches],
            batch.layer.crs(),
        )
        self._canvas = canvas
        self._accept = batch.positive
        others = [name for name in batch.classes if name != batch.positive]
        # another program may have left only one class
        self._reject = "absent" if "absent" in others else next(iter(others), None)
        self._thumbnails = Thumbnails(batch, labelling.sight.imagery, labelling.map.context, self)
        self._gallery.begin(self._model, self._thumbnails, batch.classes, batch.positive)
        n = len(self._model.patches)
        least = -max(self._probabilities)
        dock.begin(self._accept, self._reject, least, n, self._hectares[n])
        dock.set_threshold(_USUAL)
        labelling.watch(self._gallery)
        labelling.watch(dock)
        self._keys = LabelKeys([self._gallery, dock, canvas, panel], self)
        self._bind_keys()
        self._wires = [
            (dock.accepted, self.accept),
            (dock.rejected, self.reject),
            (dock.undone, labelling.undo),
            (dock.threshold_moved, self._on_threshold),
            (dock.visibilityChanged, self._on_visibility),
            (self._gallery.chosen, labelling.go_to_fid),
            (labelling.updated, self._show),
            (labelling.sight.looks_changed, self._draw_anew),
            (labelling.sight.frames_switched, self._show_outlines),
        ]
        for signal, slot in self._wires:
            signal.connect(slot)
        self._on_threshold(dock.threshold)
        self.show()

    # --- what the analyst does --------------------------------------------------------------------

    def show(self) -> None:
        """Show the panel, and give it the keyboard."""
        self._dock.open_below(self._canvas)
        self._labelling.home = self._gallery
        self._labelling.take_keyboard()
        self._show()

    def switch(self) -> None:
        """Hide the panel if it is shown, else show it."""
        if self._dock.isHidden():
            self.show()
        else:
            self._dock.hide()

    def accept(self) -> None:
        """Answer that the current patch is a target."""
        self._answer(self._accept)

    def reject(self) -> None:
        """Answer that it is none, if there is a class to say so."""
        if self._reject is not None:
            self._answer(self._reject)

    def move(self, step: int) -> None:
        """Go on or back by so many pictures, as far as there are any."""
        last = len(self._model.patches) - 1
        row = min(max(self._gallery.row + step, 0), last)
        if row != self._gallery.row:
            self._labelling.go_to_fid(self._model.patches[row].fid)

    def move_rows(self, rows: int) -> None:
        """Go up or down by so many rows of pictures, if there are as many."""
        row = self._gallery.row + rows * self._gallery.columns
        if 0 <= row < len(self._model.patches):
            self.move(rows * self._gallery.columns)

    def close(self) -> None:
        """End the review."""
        for signal, slot in self._wires:
            signal.disconnect(slot)
        self._keys.remove()
        self._gallery.end()
        self._thumbnails.close()
        self._dock.hide()

    # --- what happens -----------------------------------------------------------------------------

    def _answer(self, label: str) -> None:
        if self._gallery.row >= 0:
            self._labelling.answer(label)

    def _on_threshold(self, threshold: float) -> None:
        self._gallery.set_threshold(threshold)
        n = self._n_above()
        self._dock.show_above(n, len(self._model.patches), self._hectares[n])
        self._show_answers()
        if self.sender() is self._dock and n:
            self._gallery.show_row(n - 1)

    def _raise(self, step: float) -> None:
        """Move the threshold up, or down if negative."""
        self._dock.set_threshold(self._dock.threshold + step)

    def _n_above(self) -> int:
        return bisect_right(self._probabilities, -self._dock.threshold)

    def _show(self) -> None:
        self._gallery.show_patch(self._labelling.session.patch.fid)
        self._show_answers()

    def _show_answers(self) -> None:
        counts = self._labelling.session.counts()
        others = [name for name in self._labelling.batch.classes if name != self._accept]
        above = self._model.patches[: self._n_above()]
        self._dock.show_answers(
            counts[self._accept],
            sum(counts[name] for name in others),
            sum(patch.answer.label is None for patch in above),
            self._labelling.session.can_undo,
        )

    def _draw_anew(self) -> None:
        self._thumbnails.draw_anew(self._labelling.map.context)
        self._gallery.viewport().update()
        self._gallery.look_again()

    def _show_outlines(self, are_visible: bool) -> None:
        self._gallery.has_outlines = are_visible
        self._gallery.viewport().update()

    def _on_visibility(self, is_visible: bool) -> None:
        # behind another tab, it is not visible, but the analyst is still reviewing
        self._keys.is_on = not self._dock.isHidden()
        if is_visible:
            self._gallery.look_again()
        elif self._dock.isHidden():
            self._labelling.home = None
            self._labelling.take_keyboard()

    def _bind_keys(self) -> None:
        key, bind = Qt.Key, self._keys.bind
        bind(key.Key_A, self.accept)
        bind(key.Key_X, self.reject)
        last = len(self._model.patches)
        for arrow, step in ((key.Key_Left, -1), (key.Key_Right, 1)):
            bind(arrow, lambda step=step: self.move(step), repeats=True)
        for arrow, rows in ((key.Key_Up, -1), (key.Key_Down, 1)):
            bind(arrow, lambda rows=rows: self.move_rows(rows), repeats=True)
        for arrow, pages in ((key.Key_PageUp, -1), (key.Key_PageDown, 1)):
            bind(arrow, lambda pages=pages: self.move(pages * self._gallery.page), repeats=True)
        bind(key.Key_Home, lambda: self.move(-last))
        bind(key.Key_End, lambda: self.move(last))
        for sign, step in ((key.Key_Comma, -_STEP), (key.Key_Period, _STEP)):
            for shift in (False, True):  # French keyboards have the full stop on Shift
                bind(sign, lambda step=step: self._raise(step), shift=shift, repeats=True)
