"""Answers that were still waiting for a lock when their batch was closed."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QObject

from .batch_writer import Write
from .errors import Problem
from .file_store import FileStore
from .messages import Messages
from .rescue import rescue_answers
from .session import Answer


class Lingering(QObject):
    """Keeps stores of closed batches until their answers are written.

    Whoever opens such a batch again gets what waits; what is left when QGIS ends goes into files.
    """

    def __init__(self, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages = messages
        self._stores: list[FileStore] = []  # one file may have several
        self.is_ending = False  # QGIS is: nothing can wait any longer

    def keep(self, store: FileStore) -> None:
        """Let a store go on until all of its answers are written, and say so."""
        self.hold(store)
        text = self.tr(
            "{path} is locked by another program; answers that wait until it is free: {n}"
        )
        self._messages.warn(text.format(path=store.path, n=f"{store.n_waiting:,}"))

    def hold(self, store: FileStore) -> None:
        """Keep a store whose answers are not safe yet."""
        store.setParent(self)
        self._stores.append(store)
        store.emptied.connect(self._on_emptied)
        store.troubled.connect(self._on_troubled)
        store.gone.connect(self._messages.fail)

    def take(self, path: Path) -> tuple[list[Write], dict[int, Answer]]:
        """Return the answers that wait for a batch, which from now on are the caller's.

        With them come all answers of that sitting, by the row of the file: of those that do not
        wait, some may be in it only since the caller has read it. If another file has the batch's
        place by now, whose rows may be of other patches, the answers go into a new file instead.
        """
        left: list[Write] = []
        given: dict[int, Answer] = {}
        for store in [one for one in self._stores if one.path == path]:
            if not store.is_in_place:
                self._rescue(store)
                continue
            self._messages.clear(_key(store))  # whoever has them says what keeps them waiting
            self._stores.remove(store)  # first: the last of its answers may be written right now
            left += store.give_up()
            given.update(store.given_by_row)
            store.deleteLater()
        return left, given

    def finish(self) -> None:
        """Put what still waits into files beside the batches."""
        self.is_ending = True
        for store in list(self._stores):
            if not store.close():
                store.give_up()
                rescue(store, self._messages, is_last=True)
            store.deleteLater()
        self._stores.clear()

    def _rescue(self, store: FileStore) -> None:
        """Put a store's answers into a new file; if nothing takes them, they go on waiting."""
        if rescue(store, self._messages):
            self._stores.remove(store)
            store.give_up()
            store.deleteLater()

    def _on_troubled(self, *_trouble: object) -> None:
        """Notice that waiting is of no use any more, as where the file was replaced."""
        store = self.sender()
        if store in self._stores and not store.may_still_be_saved:
            self._rescue(store)

    def _on_emptied(self) -> None:
        store = self.sender()
        if store not in self._stores or not store.close():
            return
        self._stores.remove(store)
        self._messages.clear(_key(store))
        if not store.n_lost:
            text = self.tr("{path} can be written again; all answers are saved")
            self._messages.good(text.format(path=store.path), key=_key(store))
        store.deleteLater()


def rescue(store: FileStore, messages: Messages, is_last: bool = False) -> bool:
    """Save a batch with the answers of this sitting as a new file, and say where, or why not.

    ``is_last`` is whether they will not be saved otherwise.
    """
    try:
        path = rescue_answers(store.batch, store.given_by_row, store.rows)
    except Problem as problem:
        messages.fail(str(problem), key="" if is_last else _key(store))
        return False
    messages.clear(_key(store))
    store.forget()
    message = store.tr("the batch with your answers was saved as {path}; owl-geo ingest accepts it")
    messages.good(message.format(path=path), stays=True)
    return True


def _key(store: FileStore) -> str:
    return f"waiting {store.path}"
