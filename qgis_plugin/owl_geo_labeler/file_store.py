"""Answers into the batch's GeoPackage: one commit each, past QGIS's edit buffer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from qgis.PyQt.QtCore import QObject

from . import schema
from .batch import Batch
from .session import Answer
from .store import AnswerStore, Trouble

_WATCH_MS = 1000
_SETTLE_MS = 1500
# SQLite waits this long for a lock; meanwhile, QGIS is frozen
_BUSY_TIMEOUT_MS = "100"


class FileStore(AnswerStore):
    """Writes the answers of one batch file.

    Each answer is a separate transaction. It goes through the layer's data provider and past QGIS's
    edit buffer, so that nothing can be rolled back and the analyst's other edits stay separate.
    ``is_drawing`` tells whether a map is reading the file at the moment.
    """

    def __init__(
        self, batch: Batch, is_drawing: Callable[[], bool], parent: QObject | None = None
    ) -> None:
        super().__init__(batch, parent)
        self._path = batch.path
        self._layer = batch.layer
        self._columns = {
            name: batch.layer.fields().indexOf(name) for name in schema.EDITABLE_COLUMNS
        }
        self._is_drawing = is_drawing
        self._identity = _identity(batch.path)
        self._is_updating = False
        self._settle = self._timer(_SETTLE_MS, self.settle)
        self._watch = self._timer(_WATCH_MS, self._look, single=False)
        self._watch.start()

    def settle(self) -> None:
        """Close the file for writing, so that no journal stays beside it meanwhile."""
        if not self._is_updating or not self._is_open:
            return
        if self._queue or self._is_drawing():  # reopening under a drawing map costs it patches
            self._settle.start()
            return
        self._stop_updating()

    def close(self) -> bool:
        """Stop; return whether every answer of this sitting is in the file that the path names."""
        done = super().close()
        if self._given and self._moved() is not None:
            done = False
        for timer in (self._settle, self._watch):
            timer.stop()
        if self._is_updating:
            self._stop_updating()
        return done

    def _stop_updating(self) -> None:
        provider = self._layer.dataProvider()
        provider.reloadData()  # closes the connections that maps have left; they keep the journal
        provider.leaveUpdateMode()
        self._is_updating = False

    def _commit(self, fid: int, answer: Answer) -> tuple[Trouble | None, str]:
        moved = self._moved()
        if moved is not None:
            return moved, ""
        provider = self._layer.dataProvider()
        values = {self._columns[name]: value for name, value in answer.values().items()}
        with _short_wait():
            if not self._is_updating:
                self._is_updating = provider.enterUpdateMode()
            done = self._is_updating and provider.changeAttributeValues({fid: values})
        reason = "; ".join(provider.errors())
        provider.clearErrors()
        if done:
            self._settle.start()
            return None, ""
        is_locked = "locked" in reason or "busy" in reason or not self._is_updating
        return (Trouble.LOCKED if is_locked else Trouble.REFUSED), reason

    def _look(self) -> None:
        """Notice that the file has gone, even if no answer was given."""
        if not self._queue:
            self._say(self._moved(), "")

    def _moved(self) -> Trouble | None:
        identity = _identity(self._path)
        if identity is None:
            return Trouble.DELETED
        return None if identity == self._identity else Trouble.REPLACED


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what is constant while the path leads to the same file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _short_wait() -> Iterator[None]:
    """Make SQLite connections opened now give up early on a lock; QGIS has no setting for it."""
    name = "SQLITE_BUSY_TIMEOUT"
    before = os.environ.get(name)
    os.environ[name] = _BUSY_TIMEOUT_MS
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
