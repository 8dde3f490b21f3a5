"""Answers on their way into storage: one at a time, kept and retried until they are stored."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .batch import Batch
from .session import Answer, NewRow, Patch

_RETRY_MS = 400


class Trouble(Enum):
    """Why answers cannot be saved at the moment."""

    LOCKED = "locked"
    DELETED = "deleted"
    REPLACED = "replaced"
    REFUSED = "refused"  # the disk is full, or became read-only
    OFFLINE = "offline"  # the database does not answer
    TAKEN = "taken"  # somebody else is labelling this patch, or has labelled it; not retried
    GONE = "gone"  # the row of this patch was deleted; not retried


class AnswerStore(QObject):
    """Writes the answers of one batch, in the order in which they were given.

    What cannot be written waits in memory and is retried every 0.4 seconds. Where and how it is
    written is up to ``_commit`` in a subclass.
    """

    saved = pyqtSignal(int)  # feature id
    troubled = pyqtSignal(object, str)  # Trouble, or None once it is over; the reason
    refused = pyqtSignal(int, object, str)  # feature id, the answer that was not taken, why
    changed = pyqtSignal(object)  # what ``current`` says, when others have answered
    # feature id, the answer that was not taken, and the one of somebody else that is stored instead
    overtaken = pyqtSignal(int, object, object)
    added = pyqtSignal(object)  # rows that others have added
    gone = pyqtSignal(str)  # one line about an answer that has no row any more

    def __init__(self, batch: Batch, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._batch = batch
        self._queue: deque[tuple[int, Answer]] = deque()
        self._given: dict[int, Answer] = {}
        self._rows: dict[int, NewRow] = {}
        self._trouble: Trouble | None = None
        self._is_open = True
        self._retry = self._timer(_RETRY_MS, self.flush)

    @property
    def trouble(self) -> Trouble | None:
        """Why answers wait; None while all is well."""
        return self._trouble

    @property
    def n_waiting(self) -> int:
        """Answers that are not stored yet."""
        return len(self._queue)

    @property
    def n_lost(self) -> int:
        """Answers that cannot be stored, as their rows were deleted."""
        return 0

    @property
    def waiting(self) -> set[int]:
        """Patches whose answers are not stored yet, by feature id."""
        return {fid for fid, _ in self._queue}

    @property
    def given(self) -> dict[int, Answer]:
        """Every answer of this sitting by feature id, saved or not."""
        return dict(self._given)

    @property
    def rows(self) -> dict[int, NewRow]:
        """The rows that this sitting added, by feature id."""
        return dict(self._rows)

    def write(self, patch: Patch) -> None:
        """Save the current answer of a patch."""
        self._given[patch.fid] = patch.answer
        self._queue.append((patch.fid, patch.answer))
        self.flush()

    def flush(self) -> bool:
        """Try to save everything that waits; return whether it is all stored."""
        self._retry.stop()
        while self._queue and self._is_open:
            fid, answer = self._queue[0]
            trouble, reason = self._commit(fid, answer)
            if trouble is Trouble.TAKEN:
                self._queue.popleft()
                self._given.pop(fid, None)
                self.refused.emit(fid, answer, reason)
            elif trouble is not None:
                self._say(trouble, reason)
                self._retry.start()
                return False
            else:
                self._queue.popleft()
                self.saved.emit(fid)
            if not self._queue:
                self._say(None, "")
        return not self._queue

    def forget(self) -> None:
        """Drop what waits: it was saved elsewhere."""
        self._queue.clear()
        self._given.clear()
        self._rows.clear()
        self._retry.stop()

    def close(self) -> bool:
        """Stop; return whether every answer of this sitting is stored."""
        done = self.flush()
        self._retry.stop()
        self._is_open = False
        return done

    def hold(self, fid: int) -> str:
        """Reserve a patch while it is looked at; return why not, if somebody else has it."""
        return ""

    def let_go(self, fid: int) -> None:
        """Release a patch that was held but not answered."""

    def take_over(self, fid: int) -> str:
        """Take a patch from whoever has it; return the reason if that fails."""
        return ""

    def current(self) -> dict[int, Answer]:
        """Return what others have answered by now, by feature id; {} if there are no others."""
        return {}

    def _commit(self, fid: int, answer: Answer) -> tuple[Trouble | None, str]:
        """Store one answer; return what prevented it, and the reason."""
        raise NotImplementedError

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
