"""Where the answers of one sitting are kept: in its batch, and in older ones that were clicked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from qgis.PyQt.QtCore import QObject

from .beside import Beside
from .file_store import FileStore
from .session import Patch
from .store import AnswerStore
from .troubles import Troubles

Wires = list[tuple[object, Callable[..., None]]]  # signals, and what listens to them


class Stores:
    """Finds the store of a patch, and opens and closes those of older batches with the sitting.

    ``own`` is the store of the batch itself. ``wires`` says what listens to a store, and ``parent``
    owns those that are opened here.
    """

    def __init__(
        self,
        own: AnswerStore,
        beside: Beside,
        troubles: Troubles,
        wires: Callable[[AnswerStore], Wires],
        parent: QObject,
    ) -> None:
        self._own, self._beside, self._troubles = own, beside, troubles
        self._wires, self._parent = wires, parent
        self._older: dict[Path, FileStore] = {}  # of older batches whose patches were clicked
        self._changed: dict[Path, None] = {}  # of these, the ones whose answers were changed
        self._connect(own)

    @property
    def all(self) -> list[AnswerStore]:
        """The store of the batch, and those of older batches that are open."""
        return [self._own, *self._older.values()]

    @property
    def changed_batches(self) -> list[Path]:
        """The older batches whose answers were changed in this sitting."""
        return list(self._changed)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is not stored yet."""
        return any(store.n_waiting for store in self.all)

    @property
    def is_saved(self) -> bool:
        """Whether every answer is stored: none waits, and none has lost its row."""
        return not self.is_waiting and not any(store.n_lost for store in self.all)

    def of(self, patch: Patch) -> AnswerStore:
        """Return where the answer of a patch is kept; that of an older batch is opened."""
        if patch.older is None:
            return self._own
        if patch.older not in self._older:
            store = FileStore(self._beside.batch_of(patch), self._parent, watches=False)
            self._connect(store)
            self._older[patch.older] = store
        return self._older[patch.older]

    def write(self, patch: Patch) -> None:
        """Save the current answer of a patch."""
        if patch.older is not None:
            self._changed[patch.older] = None
        self.of(patch).write(patch)

    def flush(self) -> bool:
        """Save what waits; return whether everything is stored."""
        return all(store.flush() for store in self.all)

    def close(self) -> None:
        """Let go of all stores, whatever fails in one of them.

        Answers that could not be saved are left to ``Troubles``.
        """
        with ExitStack() as steps:
            # layers that Python still held would keep their files open, and outlive QGIS
            steps.callback(self._older.clear)
            for store in reversed(self.all):
                steps.callback(self._close, store)

    def _connect(self, store: AnswerStore) -> None:
        self._troubles.watch(store)
        for signal, slot in self._wires(store):
            signal.connect(slot)

    def _close(self, store: AnswerStore) -> None:
        """Let go of a store, whose news may come after the panel has another batch."""
        done = store.close()
        for signal, slot in self._wires(store):
            signal.disconnect(slot)
        self._troubles.unwatch(store)
        if not done:
            self._troubles.leave(store)
