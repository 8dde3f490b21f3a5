"""Answers into the batch's GeoPackage: one commit each, and no key waits for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from qgis.PyQt.QtCore import QLockFile, QObject, QSysInfo, pyqtSignal

from .batch import Batch
from .batch_rows import Row
from .batch_writer import BatchWriter, Write, Written, identity
from .session import Answer, Patch
from .store import AnswerStore, Trouble

# Marks of batches that are open in this process, by the identity of the file.
_held: dict[tuple[int, int] | None, Path] = {}

_WATCH_MS = 1000
# Usually an answer is stored within this time, before the next patch is drawn. No key waits longer.
_KEY_SECONDS = 0.03
_FLUSH_SECONDS = 3.0  # for a slow disk; a lock ends it
_OPEN_FOR_MS = 12 * 3600 * 1000  # after that, a mark that a crash left behind means nothing


class FileStore(AnswerStore):
    """Writes the answers of one batch file, in a thread of its own.

    Each answer is a separate transaction. It goes past QGIS's edit buffer, so that nothing can be
    rolled back and the analyst's other edits stay separate. What somebody else has stored meanwhile
    is never overwritten before it was shown. ``watches`` tells whether to look for such answers.
    """

    emptied = pyqtSignal()  # nothing waits any more, after something did
    _woken = pyqtSignal()

    def __init__(self, batch: Batch, parent: QObject | None = None, watches: bool = True) -> None:
        super().__init__(batch, parent)
        self.path: Path = batch.path
        self.batch = batch
        self._identity = identity(self.path)
        self._seen = {patch.fid: patch.answer for patch in batch.patches}
        self._stored_as: dict[int, int] = {}  # rows of the file, by what the sitting calls them
        self._lost: set[int] = set()  # patches whose answers have no row any more
        self._woken.connect(self._take)
        self._writer = BatchWriter(self.path, self._wake)
        self._guard = QLockFile(str(self.path.with_name(_mark(self.path))))
        self._guard.setStaleLockTime(_OPEN_FOR_MS)
        self._held_as: tuple[int, int] | None = None  # the file that is the mark
        self.opened_by = self._hold()
        self._watch = self._timer(_WATCH_MS, self._look, single=False)
        if watches:
            self._watch.start()
        self._writer.start()

    def write(self, patch: Patch) -> None:
        """Save the current answer of a patch; returns at once, whatever locks the file."""
        seen = self._seen.get(patch.fid, Answer())
        stored_as = patch.fid if patch.older is None else patch.older_fid
        is_own = self._given.get(patch.fid) == seen
        self.put(
            Write(
                patch.fid,
                patch.answer,
                seen,
                stored_as,
                patch.patch_id,
                patch.row,
                keeps=not is_own,
            )
        )
        if self._trouble is None:
            self._writer.wait(_KEY_SECONDS)
        self._take()

    def put(self, write: Write) -> None:
        """Save an answer, after all that wait."""
        if not self._queue and self._trouble is not None:
            # the way out was taken, or the message closed, and it is wanted again
            self.troubled.emit(self._trouble, "")
        self._given[write.fid] = self._seen[write.fid] = write.answer
        self._stored_as[write.fid] = write.stored_as
        if write.row is not None:
            self._rows[write.fid] = write.row
        self._queue.append((write.fid, write.answer))
        self._writer.put(write)

    @property
    def given_by_row(self) -> dict[int, Answer]:
        """Every answer of this sitting by the row of the file; added rows are negative."""
        return {self._stored_as.get(fid, fid): answer for fid, answer in self._given.items()}

    @property
    def n_lost(self) -> int:
        """Answers that cannot be stored, as their rows were deleted."""
        return len(self._lost)

    def lose(self, write: Write) -> None:
        """Say of an answer that the file has no row for it any more; of none, there is no need."""
        answer = write.answer
        if not (answer.label or answer.comment):
            self._lost.discard(write.fid)
            return
        self._lost.add(write.fid)
        text = self.tr("{patch} was deleted from {path}; your answer to it is not stored: {label}")
        label = answer.label or self.tr("a comment")
        self.gone.emit(text.format(patch=write.patch_id, path=self.path, label=label))

    def known(self, patch: Patch) -> None:
        """Note that what a patch shows is what the file holds."""
        self._seen[patch.fid] = patch.answer

    def flush(self) -> bool:
        """Wait a moment for everything that waits; return whether it is all stored."""
        self._writer.wait(_FLUSH_SECONDS if self._trouble is None else _KEY_SECONDS)
        self._take()
        return not self._queue

    def take_over(self, fid: int) -> str:
        """Nothing is reserved in a file."""
        return ""

    def forget(self) -> None:
        """Drop what waits: it was saved elsewhere."""
        self._writer.drop()
        self._queue.clear()
        self._given.clear()
        self._rows.clear()
        self._lost.clear()

    def close(self) -> bool:
        """Stop; return whether every answer of this sitting is in the file that the path names.

        If not, the answers that wait are still being tried: call ``give_up`` to end that.
        """
        done = self.flush()
        self._watch.stop()
        self._let_go()
        if self._given and not self.is_in_place:
            done = False
        if done:
            self._writer.end()
        return done

    @property
    def may_still_be_saved(self) -> bool:
        """Whether waiting helps: the file is there and only locked."""
        return self._trouble in (None, Trouble.LOCKED) and self.is_in_place

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        return identity(self.path) == self._identity

    def give_up(self) -> list[Write]:
        """Stop writing, and return what was not written."""
        left = self._writer.give_up()
        self._take()
        return left

    def _hold(self) -> str:
        """Mark the batch as open, and return the computer on which another window has it open."""
        if self._try_to_hold():
            return ""
        mark = self.path.with_name(_mark(self.path))
        found, process, computer, _program = self._guard.getLockInfo()
        is_ours = found and (process, computer) == (os.getpid(), QSysInfo.machineHostName())
        if is_ours and _held.get(identity(mark)) != mark:  # it moved here with the batch's folder
            with suppress(OSError):
                mark.unlink()
            if self._try_to_hold():
                return ""
        return _holder(self._guard)

    def _try_to_hold(self) -> bool:
        if not self._guard.tryLock(0):
            return False
        mark = self.path.with_name(_mark(self.path))
        self._held_as = identity(mark)
        _held[self._held_as] = mark
        return True

    def _let_go(self) -> None:
        """Take back the mark that says that the batch is open."""
        _held.pop(self._held_as, None)
        self._held_as = None
        self._guard.unlock()

    def _look(self) -> None:
        """Look for what others have stored, and notice that the file has gone."""
        if not self._queue:
            moved = identity(self.path)
            if moved is None:
                self._say(Trouble.DELETED, "")
            else:
                self._say(None if moved == self._identity else Trouble.REPLACED, "")
        self._writer.look()

    def _take(self) -> None:
        """Pass on what the other thread has done."""
        for news in self._writer.take():
            if isinstance(news, list):
                self._compare(news)
            else:
                self._note(news)

    def _note(self, news: Written) -> None:
        fid = news.write.fid
        if not news.is_over:
            self._say(news.trouble, news.reason)
            return
        if self._queue:
            self._queue.popleft()
        if not self._queue:
            self._say(None, "")
        if news.trouble is None:
            self._lost.discard(fid)
            self.saved.emit(fid)
        elif news.trouble is Trouble.GONE:
            self.lose(news.write)
        else:
            self._given.pop(fid, None)
            self._seen[fid] = news.theirs or Answer()
            self.overtaken.emit(fid, news.write.answer, self._seen[fid])
        if not self._queue:
            self.emptied.emit()

    def _compare(self, rows: list[Row]) -> None:
        """Tell what others have stored since."""
        waiting = self.waiting
        news: dict[int, Answer] = {}
        added: list[Row] = []
        for row in rows:
            fid = self._writer.known_as(row.fid)
            if fid in waiting:
                continue
            if fid not in self._seen:
                if row.is_noticed and row.answer.label is not None:
                    self._seen[fid] = row.answer
                    added.append(row)
            elif self._seen[fid] != row.answer:
                self._seen[fid] = news[fid] = row.answer
        if added:
            self.added.emit(added)
        if news:
            self.changed.emit(news)

    def _wake(self) -> None:
        """Called by the other thread."""
        with suppress(RuntimeError):  # this store is gone
            self._woken.emit()


def _mark(path: Path) -> str:
    """Return the name of the file that says that a batch is open."""
    return f".{path.name}.open"


def _holder(guard: QLockFile) -> str:
    """Return the computer on which another program has the batch open."""
    if guard.error() != QLockFile.LockError.LockFailedError:
        return ""
    found = guard.getLockInfo()
    return str(found[2]) if found[0] else "?"
