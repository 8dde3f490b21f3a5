"""Labelling one batch: connects the session to the file, the map, the dock and the keys."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from qgis.core import QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from .batch import Batch, shown_layer, titles_of
from .beside import Beside
from .controls import Controls
from .errors import Problem
from .file_store import FileStore
from .incoming import Incoming
from .lull import Lull
from .map import PatchMap
from .offers import Offers
from .others import Others
from .run_folder import RunFolder
from .session import Answer, Patch, Session
from .shared_store import SharedStore
from .sight import Sight
from .store import AnswerStore
from .stores import Stores, Wires
from .take_up import Places, go_on_with
from .troubles import Troubles
from .whereabouts import Whereabouts
from .why import why_lines
from .workplace import Workplace


class Labelling(QObject):
    """One sitting with one batch, from opening to closing it."""

    ended = pyqtSignal()  # the batch's layer left the project
    completed = pyqtSignal()  # every patch has an answer, and all are saved
    reopened = pyqtSignal(object)  # Path: the file was replaced, and the new one is wanted
    updated = pyqtSignal()  # another patch is shown, or an answer has changed

    def __init__(
        self,
        batch: Batch,
        run: RunFolder | None,
        workplace: Workplace,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.batch = batch
        self.run = run
        self._workplace = workplace
        self._dock, self._canvas = workplace.dock, workplace.canvas
        self._messages, self._settings = workplace.messages, workplace.settings
        self.home: QWidget | None = None  # what gets the keyboard, if not the map
        self._ours: list[QWidget] = [self._canvas, self._dock]  # where keys label
        self._offers = Offers(self._messages)
        self.n_given = 0  # answers that keys and buttons gave in this sitting
        self._shown: Patch | None = None
        self._typed = False  # whether the key that is being handled was typed into a text field
        self._ending = ExitStack()  # the steps that end the sitting, those of its first parts last
        try:
            self._begin_sight()
            self._begin_storing()
            self._begin_labelling()
        except BaseException:  # half a sitting would answer keys, and keep the file open
            self.deleteLater()
            self.close()
            raise

    # --- how it begins ----------------------------------------------------------------------------

    def _begin_sight(self) -> None:
        """Show the batch on panel and map, and let keys and clicks do what they do."""
        batch, dock, at_end = self.batch, self._dock, self._ending.callback
        self.session = Session(
            batch.patches, batch.classes, batch.annotator or self._settings.annotator
        )
        at_end(dock.end)
        dock.begin(
            self._title(),
            batch.classes,
            self.session.n_asked,
            self._settings.auto_advance,
            may_leave=batch.is_review,
        )
        self._beside = Beside(batch, self.run, self.session.annotator)
        # layers that Python still held would keep their files open, and outlive QGIS
        at_end(self._beside.close)
        at_end(self._offers.take_back)
        self.map = PatchMap(self._canvas, batch.layer, batch.features, self)
        at_end(self.map.close)
        self.map.clicked.connect(self.go_to_fid)
        self.map.missed.connect(self.notice)
        self._whereabouts = Whereabouts(self._canvas, self.map, dock, self._ours, self)
        at_end(self._whereabouts.close)
        self.sight = Sight(batch, self.run, self._workplace, self.map, self)
        at_end(self.sight.close)
        self._lull = Lull(self._canvas, self)
        at_end(self._lull.close)
        self._controls = Controls(self, dock, self._ours)
        at_end(self._controls.remove)

    def _begin_storing(self) -> None:
        """Let answers go where they are kept, after those that wait from an earlier sitting.

        The end of that comes before the panel's and the map's, which show what comes of it.
        """
        batch, at_end = self.batch, self._ending.callback
        self.store: AnswerStore = (
            SharedStore(batch, self) if batch.path is None else FileStore(batch, self)
        )
        self._troubles = Troubles(batch, self.session, self.store, self._workplace, self)
        self._troubles.adopted.connect(self.reopened)
        self._troubles.collecting.connect(self.take_comment)
        at_end(self._troubles.clear)
        self._incoming = Incoming(self, self._offers)
        self.stores = Stores(self.store, self._beside, self._troubles, self._wires, self)
        at_end(self.stores.close)
        self.others = Others(batch, self.store, self._dock, self)
        if isinstance(self.store, FileStore):
            places = Places(self.session, self._beside, self.map)
            go_on_with(batch, self.store, places, self._workplace.lingering)
        self.others.say()

    def _begin_labelling(self) -> None:
        """Show the first patch that is to be answered."""
        removed = QgsProject.instance().layersWillBeRemoved
        removed.connect(self._on_layers_removed)
        self._ending.callback(removed.disconnect, self._on_layers_removed)
        patch = self.session.patch
        if patch.answer.label is None and self.store.hold(patch.fid):
            self._advance(1)
        self._show(move=True)
        # until now, the field may hold a comment on a patch of another batch
        self._ending.callback(self.take_comment)

    # --- what the analyst does --------------------------------------------------------------------

    def answer(self, label: str, comment: str | None = None) -> None:
        """Answer the current patch; the answer is saved before anything else happens.

        Its comment stays, unless another one is given.
        """
        if self._lull.holds():
            text = self.tr(
                "the next batch opened while you answered; what you pressed then answers none of "
                "its patches"
            )
            self._dock.footer.set_note(text)
            return
        self.take_comment()
        self.n_given += 1
        patch = self.session.answer(label, comment)
        self._offers.answered(patch.fid)
        self.stores.write(patch)
        advanced = self._settings.auto_advance and self._go_on(patch)
        self._show(move=advanced)
        if self._dock.comment.hasFocus():
            self.take_keyboard()

    def take_over(self, fid: int, answer: Answer) -> None:
        """Take a patch from whoever has it, and give it the label and comment that there are."""
        reason = self.store.take_over(fid)
        if reason:
            self._messages.warn(reason)
            return
        self.session.go_to(self.session.index_of(fid) or 0)
        self._show(move=True)
        if answer.label is not None:
            self.answer(answer.label, answer.comment)
        elif answer.comment:
            self.take_comment(answer.comment)

    def take_comment(self, text: str | None = None) -> None:
        """Save the text of the comment field if it is new."""
        patch = self.session.comment(self._dock.comment.text() if text is None else text)
        if patch is not None:
            self.stores.write(patch)
            self.show_anew()

    def undo(self) -> None:
        """Undo the last answer, in the file as well."""
        self.take_keyboard()  # ends an edit of the comment, which is then undone
        self._rewrite(self.session.undo())

    def redo(self) -> None:
        """Redo the answer that was undone."""
        self.take_keyboard()
        self._rewrite(self.session.redo())

    def move(self, step: int) -> None:
        """Go to the next or previous patch."""
        self.take_comment()
        if self.session.move(step):
            self._show(move=True)

    def move_to_unanswered(self, step: int) -> None:
        """Go to the next or previous unanswered patch."""
        self.take_comment()
        if self._advance(step):
            self._show(move=True)

    def go_to(self, text: str) -> None:
        """Go to a patch by its rank or its id."""
        index = self.session.find(text)
        if index is None:
            self._messages.warn(
                self.tr("this batch has no patch {text}; type a rank or an id").format(text=text)
            )
            return
        self.take_comment()
        self.session.go_to(index)
        self._show(move=True)

    def go_to_fid(self, fid: int) -> None:
        """Go to the patch of a feature."""
        self.take_comment()
        self.session.go_to(self.session.index_of(fid) or 0)
        self._show(move=True)

    def go_to_nearest(self) -> None:
        """Go to the unanswered patch of the batch that is nearest to the middle of the map."""
        self.take_comment()
        here = self.session.patch
        fid = self.map.nearest(
            patch.fid
            for patch in self.session.patches
            if not patch.beside and patch.answer.label is None and patch is not here
        )
        if fid is None:
            self._dock.footer.set_note(self.tr("every other patch of the batch is answered"))
        else:
            self.go_to_fid(fid)

    def notice(self, point: QgsPointXY) -> None:
        """Take the place at a point of the map, beside the batch, as a patch to answer."""
        self.take_comment()
        try:
            patch, polygon = self._beside.at(point, self._canvas.mapSettings().destinationCrs())
        except Problem as problem:
            self._dock.footer.set_note(str(problem))
            return
        self.map.add(patch.fid, polygon)
        self.session.go_to(self.session.add(patch))
        if patch.older is not None:
            self.stores.of(patch).known(patch)
        self._show(move=True)

    def take_back(self) -> None:
        """Let clicks on the map and keys label again, wherever they went."""
        self.map.use_tool()
        self.take_keyboard()

    def write_comment(self) -> None:
        """Let keys write the comment, until Return."""
        self._dock.comment.setFocus()
        self._dock.comment.selectAll()

    def go_on(self) -> None:
        """Ask for the next batch if every patch has an answer."""
        if self._typed:  # Return ended a comment
            return
        if self.session.is_done:
            self._dock.footer.next_wanted.emit()
        else:
            text = self.tr(
                "patches without an answer: {n}; the button for the next batch leaves them"
            )
            self._dock.footer.set_note(text.format(n=f"{self.session.n_left:,}"))

    def set_auto_advance(self, on: bool) -> None:
        """Choose whether an answer moves on to the next unanswered patch."""
        self._settings.auto_advance = on

    def take_keyboard(self) -> None:
        """Give the keyboard to the map, or to what has taken its place."""
        (self.home or self._canvas).setFocus()

    def show_anew(self) -> None:
        """Show the current patch as it is now, without moving the map."""
        self._show(move=False)

    def watch(self, widget: QWidget) -> None:
        """Let keys label over a further widget, too."""
        self._ours.append(widget)
        self._controls.watch(widget)

    def carry_over(self, answers: Mapping[str, Answer]) -> None:
        """Give patches the answers that the same person gave them in the batch before.

        That is, while this one was made, so that nobody is asked twice. A review shows what the
        model thinks, and takes none: what it answers is marked as such.
        """
        session, n = self.session, 0
        if self.batch.is_review or self.batch.path is None:  # a database shows them itself
            return
        for patch in session.patches[: session.n_asked]:
            answer = answers.get(patch.patch_id)
            if answer is None or patch.answer.label or answer.annotator != session.annotator:
                continue
            session.correct(patch.fid, answer)
            self.stores.write(patch)
            n += 1
        if not n:
            return
        if session.patch.answer.label is not None:
            self._advance(1)
        self._show(move=True)
        text = self.tr("patches that you answered while this batch was made: {n}")
        self._dock.footer.set_note(text.format(n=f"{n:,}"))

    def wait_for_eyes(self) -> None:
        """Take no answer before the analyst can have seen which patch is shown."""
        self._lull.begin()

    def leave_text(self) -> None:
        """Take the keyboard from a text field, in which Return was typed."""
        self._typed = True
        QTimer.singleShot(0, self._forget_typed)
        self.take_keyboard()

    def is_saved(self) -> bool:
        """Save what waits; return whether everything is stored."""
        self.take_comment()
        return self.stores.flush()

    def close(self) -> None:
        """End the sitting.

        Answers that wait for a lock are written once it is gone; others that could not be saved go
        into a file beside the batch.
        """
        self._offers.stop()
        self._ending.close()  # each step is gone through, whatever fails in another

    # --- what happens -----------------------------------------------------------------------------

    def _wires(self, store: AnswerStore) -> Wires:
        """Return what listens to a store."""
        return [(store.saved, self._on_saved), *self._incoming.wires(store)]

    def _go_on(self, patch: Patch) -> bool:
        """Go on after an answer: back from beside the batch, else to the next unanswered patch."""
        if not patch.beside:
            return self._advance(1)
        self.session.go_back()
        if self.session.patch.answer.label is not None:
            self._advance(1)
        return True

    def _rewrite(self, patch: Patch | None) -> None:
        if patch is not None:
            self._offers.answered(patch.fid)
            self.stores.write(patch)
            self._show(move=True)

    def _show(self, move: bool) -> None:
        patch = self.session.patch
        if move:
            self._take(patch)
            self.sight.show(patch)
        batch, n = self.batch, self.session.n_asked
        distances = self.sight.distances
        lines = why_lines(patch, n, batch.positive, distances, titles_of(batch.layer))
        self._dock.show_session(self.session, lines, self.stores.is_saved)
        if move:
            self._dock.footer.set_note("")
        self.updated.emit()

    def _advance(self, step: int) -> bool:
        """Go to the next unanswered patch that nobody else is labelling; return whether any is."""
        start, tried = self.session.current, set()
        while self.session.move_to_unanswered(step) and self.session.current not in tried:
            if not self.store.hold(self.session.patch.fid):
                return True
            tried.add(self.session.current)
        self.session.go_to(start)
        if tried:
            self._messages.warn(
                self.tr("others are labelling everything that is left in this batch")
            )
        return False

    def _take(self, patch: Patch) -> None:
        """Hold the patch that is shown, and release the previous one if it was left unanswered."""
        before, self._shown = self._shown, patch
        if before is not None and before is not patch:
            self._offers.left(before.fid)
            if before.answer.label is None:
                self.store.let_go(before.fid)
        reason = self.store.hold(patch.fid) if patch.answer.label is None else ""
        if reason:
            self._offers.make(
                patch.fid,
                reason,
                self.tr("Take over"),
                lambda: self.take_over(patch.fid, Answer()),
                while_shown=True,
            )

    def _on_saved(self, fid: int) -> None:
        self.map.redraw()
        index = self.session.index_of(fid)
        if index is not None and self.session.patches[index].older is not None:
            layer = shown_layer(self.session.patches[index].older)
            if layer is not None:
                layer.triggerRepaint()
        if self.session.is_done and self.store.n_waiting == 0:
            self.show_anew()
            if not self.stores.is_waiting:
                self.completed.emit()

    def _on_layers_removed(self, ids: list[str]) -> None:
        if self.batch.layer.id() in ids:
            try:
                self.close()
            finally:  # whatever failed, this sitting is over
                self.ended.emit()

    def _forget_typed(self) -> None:
        self._typed = False

    def _title(self) -> str:
        batch = self.batch
        if batch.annotator:
            text = self.tr("Batch {batch}, round {round}, for {name}")
            return text.format(batch=batch.batch_id, round=batch.round, name=batch.annotator)
        text = self.tr("Batch {batch}, round {round}")
        return text.format(batch=batch.batch_id, round=batch.round)
