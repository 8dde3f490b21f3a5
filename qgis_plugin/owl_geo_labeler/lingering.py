"""Answers that were still waiting for a lock when their batch was closed."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QObject

from .batch_writer import Write
from .errors import Problem
from .file_store import FileStore
from .messages import Messages
from .rescue import rescue_path, save_answers
from .session import Answer


class Lingering(QObject):
    """Keeps stores of closed batches until their answers are written.

    Whoever opens such a batch again gets what waits; what is left when QGIS ends goes into files.
    """

    def __init__(self, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages = messages
        self._stores: dict[Path, FileStore] = {}
        self.is_ending = False  # QGIS is: nothing can wait any longer

    def keep(self, store: FileStore) -> None:
        """Let a store go on until all of its answers are written."""
        store.setParent(self)
        self._stores[store.path] = store
        store.emptied.connect(self._on_emptied)
        text = self.tr(
            "{path} is locked by another program; {n} answers are written as soon as it is not"
        )
        self._messages.warn(text.format(path=store.path, n=store.n_waiting))

    def take(self, path: Path) -> tuple[list[Write], dict[int, Answer]]:
        """Return the answers that wait for a batch, which from now on are the caller's.

        With them come all answers of that sitting, by feature id: of those that do not wait, some
        may be in the file only since the caller has read it.
        """
        store = self._stores.pop(path, None)
        if store is None:
            return [], {}
        left = store.give_up()
        store.deleteLater()
        return left, store.given

    def finish(self) -> None:
        """Put what still waits into files beside the batches."""
        self.is_ending = True
        for store in list(self._stores.values()):
            if not store.close():
                store.give_up()
                rescue(store, self._messages)
            store.deleteLater()
        self._stores.clear()

    def _on_emptied(self) -> None:
        store = self.sender()
        if self._stores.pop(store.path, None) is not None:
            store.close()
            text = self.tr("{path} can be written again; all answers are saved")
            self._messages.good(text.format(path=store.path))
            store.deleteLater()


def rescue(store: FileStore, messages: Messages) -> None:
    """Save a batch with the answers of this sitting as a new file, and say where."""
    path = rescue_path(store.batch)
    try:
        save_answers(path, store.batch, store.given, store.rows)
    except Problem as problem:
        messages.fail(str(problem))
        return
    store.forget()
    message = store.tr("the batch with your answers was saved as {path}; owl-geo ingest accepts it")
    messages.good(message.format(path=path))
