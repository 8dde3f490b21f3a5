"""What keeps answers from being saved: said on the panel, with a button where one helps."""

from __future__ import annotations

from typing import Callable

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .batch import Batch, open_batch
from .batch_writer import Write
from .errors import Problem
from .file_store import FileStore
from .lingering import rescue
from .rescue import rescue_answers
from .session import Answer, Session
from .store import AnswerStore, Trouble
from .workplace import Workplace


class Troubles(QObject):
    """Looks after the answers of one sitting that cannot be saved where they belong.

    ``store`` is that of the batch itself; those of older batches are watched as well.
    """

    adopted = pyqtSignal(object)  # Path: another file took the batch's place, and has the answers
    collecting = pyqtSignal()  # the answers go elsewhere: what is being typed is one of them

    def __init__(
        self,
        batch: Batch,
        session: Session,
        store: AnswerStore,
        workplace: Workplace,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._batch, self._session, self._store = batch, session, store
        self._dock, self._messages = workplace.dock, workplace.messages
        self._lingering = workplace.lingering
        self._known: dict[AnswerStore, tuple[Trouble, str]] = {}  # what each store last said

    def watch(self, store: AnswerStore) -> None:
        """Say from now on what keeps a store from saving."""
        store.troubled.connect(self._show)
        store.gone.connect(self._messages.fail)

    def unwatch(self, store: AnswerStore) -> None:
        """Say nothing more of a store."""
        store.troubled.disconnect(self._show)
        store.gone.disconnect(self._messages.fail)
        self._known.pop(store, None)

    def leave(self, store: AnswerStore) -> None:
        """Take over a store that closed before everything was saved.

        Answers that wait for a lock are written once it is gone; others go into a file beside the
        batch.
        """
        if isinstance(store, FileStore):
            self._keep_trying(store)
            return
        try:
            self._rescue()
        except Problem as problem:
            self._messages.fail(str(problem))

    def clear(self) -> None:
        """Take back what is said."""
        self._messages.clear("trouble")

    def _keep_trying(self, store: FileStore) -> None:
        if store.may_still_be_saved and not self._lingering.is_ending:
            self._lingering.keep(store)
        elif rescue(store, self._messages):
            store.give_up()
        else:
            self._lingering.hold(store)

    def _show(self, trouble: Trouble | None, reason: str) -> None:
        store = self.sender()
        self._known.pop(store, None)
        if trouble is not None:
            self._known[store] = trouble, reason
        self.clear()
        if self._known:
            text, action, call = self._told()
            self._dock.footer.set_trouble(text)
            self._messages.warn(text, key="trouble", action=action, call=call)
            return
        self._dock.footer.set_trouble("")
        if not store.n_lost:
            text = self.tr("the batch can be written again; all answers are saved")
            self._messages.good(text, key="trouble")

    def _told(self) -> tuple[str, str | None, Callable[[], None] | None]:
        """Return the message, the text of a button if one helps, and what the button does.

        It is of the store that was troubled last.
        """
        store, (trouble, reason) = list(self._known.items())[-1]
        path = store.path if isinstance(store, FileStore) else self._batch.place
        if trouble is Trouble.OFFLINE:
            text = self.tr(
                "{path} does not respond, or no longer lets you in; carry on, your answers are "
                "kept and will be saved as soon as it does"
            )
            return text.format(path=path), None, None
        if trouble is Trouble.LOCKED:
            text = self.tr(
                "another program has locked {path}; carry on, your answers are kept and will be "
                "saved once the lock is gone"
            )
            return text.format(path=path), None, None
        if trouble is Trouble.REPLACED:
            text = self.tr(
                "{path} was replaced by another program; your answers are kept, open the new "
                "file to save them there"
            )
            adopt = self._adopt if store is self._store else None
            return text.format(path=path), self.tr("Open the new file"), adopt
        if trouble is Trouble.DELETED:
            text = self.tr(
                "{path} was deleted or moved; put it back, "
                "or save the batch with your answers as a new file"
            )
            save = self._rescue_beside if store is self._store else None
            return text.format(path=path), self.tr("Save as a new file"), save
        if not isinstance(store, FileStore):
            text = self.tr(
                "answers cannot be saved in {path} ({reason}); carry on, they are kept and tried "
                "again; tell whoever looks after the database"
            )
            return text.format(path=path, reason=reason), None, None
        text = self.tr(
            "answers cannot be saved in {path} ({reason}); carry on, they are kept; see that there "
            "is room on the disk and that the file may be written"
        )
        return text.format(path=path, reason=reason), None, None

    def _adopt(self) -> None:
        """Transfer this sitting's answers to the file that replaced the batch."""
        self.collecting.emit()
        try:
            fresh = open_batch(self._batch.path)
            if fresh.batch_id == self._batch.batch_id:
                self._write_into(fresh)
            else:
                self._rescue()
                message = self.tr(
                    "{path} now holds batch {new}; your answers to {old} were saved as a new file"
                )
                self._messages.warn(
                    message.format(path=fresh.path, new=fresh.batch_id, old=self._batch.batch_id)
                )
        except Problem as problem:
            self._offer_again(problem)
        else:
            self.adopted.emit(fresh.path)

    def _offer_again(self, problem: Problem) -> None:
        """Say why a button did not help, with the button, as pressing it took it away."""
        action, call = self._told()[1:] if self._known else (None, None)
        self._messages.fail(str(problem), key="trouble", action=action, call=call)

    def _write_into(self, fresh: Batch) -> None:
        given, rows = self._store.given, self._store.rows
        there = {patch.patch_id: patch for patch in fresh.patches}
        store = FileStore(fresh, self, watches=False)
        store.gone.connect(self._messages.fail)
        for mine in [patch for patch in self._session.patches if patch.fid in given]:
            fid, name, theirs = mine.fid, mine.patch_id, there.get(mine.patch_id)
            if theirs is None:
                write = Write(fid, given[fid], Answer(), fid, name, rows.get(fid))
                store.lose(write) if write.row is None else store.put(write)
            elif _wins(mine.answer, theirs.answer):
                theirs.answer = mine.answer
                store.write(theirs)
        store.gone.disconnect(self._messages.fail)
        if not store.close():
            self._keep_trying(store)
        self._store.forget()

    def _rescue_beside(self) -> None:
        self.collecting.emit()
        try:
            self._rescue()
        except Problem as problem:
            self._offer_again(problem)

    def _rescue(self) -> None:
        """Save the batch with this sitting's answers as a new file; raises Problem if it cannot."""
        answers = {p.fid: p.answer for p in self._session.patches if p.older is None}
        path = rescue_answers(self._batch, answers, self._store.rows)
        self._store.forget()
        message = self.tr(
            "the batch with your answers was saved as {path}; owl-geo ingest accepts it"
        )
        self._messages.good(message.format(path=path), stays=True)


def _wins(mine: Answer, theirs: Answer) -> bool:
    """Whether this sitting's answer replaces the one in the file that replaced the batch.

    The later one counts; one without a time is an answer that was undone here.
    """
    if mine == theirs:
        return False
    return mine.labelled_at is None or mine.labelled_at >= (theirs.labelled_at or "")
