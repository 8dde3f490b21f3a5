"""Answers onto the disk: one commit each, kept and tried again until the file takes them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Callable

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from . import schema
from .batch import Batch
from .session import Answer, Patch

_RETRY_MS = 400
_WATCH_MS = 1000
_SETTLE_MS = 1500
# SQLite waits this long for a lock; while it waits, QGIS stands still
_BUSY_TIMEOUT_MS = "100"


class Trouble(Enum):
    """Why answers cannot be saved at the moment."""

    LOCKED = "locked"
    DELETED = "deleted"
    REPLACED = "replaced"
    REFUSED = "refused"  # the disk is full, or became read-only


class AnswerStore(QObject):
    """Writes the answers of one batch, in the order in which they were given.

    Each is a transaction of its own. It goes through the layer's data provider and past QGIS's edit
    buffer, so that nothing can be rolled back, and what the analyst edits otherwise stays apart.
    What cannot be written waits in memory and is tried again every 0.4 seconds.
    ``is_drawing`` says whether a map is reading the file just now.
    """

    saved = pyqtSignal(int)  # feature id
    troubled = pyqtSignal(object, str)  # Trouble, or None once it is over; what SQLite said

    def __init__(
        self, batch: Batch, is_drawing: Callable[[], bool], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._path = batch.path
        self._layer: QgsVectorLayer | None = batch.layer
        self._columns = {
            name: batch.layer.fields().indexOf(name) for name in schema.EDITABLE_COLUMNS
        }
        self._is_drawing = is_drawing
        self._identity = _identity(batch.path)
        self._queue: deque[tuple[int, Answer]] = deque()
        self._given: dict[int, Answer] = {}
        self._trouble: Trouble | None = None
        self._is_updating = False
        self._retry = self._timer(_RETRY_MS, self.flush)
        self._settle = self._timer(_SETTLE_MS, self.settle)
        self._watch = self._timer(_WATCH_MS, self._look, single=False)
        self._watch.start()

    @property
    def trouble(self) -> Trouble | None:
        """Why answers wait; None while all is well."""
        return self._trouble

    @property
    def n_waiting(self) -> int:
        """Answers that are not on the disk yet."""
        return len(self._queue)

    @property
    def given(self) -> dict[int, Answer]:
        """Every answer of this sitting by feature id, saved or not."""
        return dict(self._given)

    def write(self, patch: Patch) -> None:
        """Save the answer of a patch as it stands now."""
        self._given[patch.fid] = patch.answer
        self._queue.append((patch.fid, patch.answer))
        self.flush()

    def flush(self) -> bool:
        """Try to save all that waits; says whether everything is on the disk."""
        self._retry.stop()
        while self._queue and self._layer is not None:
            trouble, reason = self._commit(*self._queue[0])
            if trouble is not None:
                self._say(trouble, reason)
                self._retry.start()
                return False
            fid, _ = self._queue.popleft()
            self.saved.emit(fid)
            if not self._queue:
                self._say(None, "")
        return not self._queue

    def settle(self) -> None:
        """Close the file for writing, so that no journal stays beside it while nothing happens."""
        if not self._is_updating or self._layer is None:
            return
        if self._queue or self._is_drawing():  # reopening under a drawing map costs it patches
            self._settle.start()
            return
        self._stop_updating()

    def forget(self) -> None:
        """Drop what waits: it was saved elsewhere."""
        self._queue.clear()
        self._given.clear()
        self._retry.stop()

    def close(self) -> bool:
        """Stop; says whether every answer of this sitting is in the file that the path names."""
        done = self.flush()
        if self._given and self._moved() is not None:
            done = False
        for timer in (self._retry, self._settle, self._watch):
            timer.stop()
        if self._is_updating and self._layer is not None:
            self._stop_updating()
        self._layer = None
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
        """Notice a file that went away although no answer was given."""
        if not self._queue:
            self._say(self._moved(), "")

    def _moved(self) -> Trouble | None:
        identity = _identity(self._path)
        if identity is None:
            return Trouble.DELETED
        return None if identity == self._identity else Trouble.REPLACED

    def _say(self, trouble: Trouble | None, reason: str) -> None:
        if trouble is not self._trouble:
            self._trouble = trouble
            self.troubled.emit(trouble, reason)

    def _timer(self, milliseconds: int, call: Callable[[], object], single: bool = True) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(milliseconds)
        timer.setSingleShot(single)
        timer.timeout.connect(call)
        return timer


def _identity(path: Path) -> tuple[int, int] | None:
    """What stays the same as long as the path leads to the same file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _short_wait() -> Iterator[None]:
    """Let SQLite connections that open now give up on a lock soon; QGIS has no setting for it."""
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
