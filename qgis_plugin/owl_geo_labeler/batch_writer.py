"""Answers into a batch's GeoPackage, in a thread of their own: no key waits for a lock.

Nothing here knows of widgets or layers. The file is opened for each burst of answers by a
connection of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from osgeo import gdal, ogr

from . import schema
from .batch_rows import (
    GdalFailure,
    Row,
    add_row,
    answer_of,
    begin_reading,
    checked,
    has_place,
    keep_beside,
    opened,
    place_rows,
    set_answer,
)
from .session import Answer, NewRow
from .store import Trouble

_RETRY_SECONDS = 0.2
_END_SECONDS = 2.0  # for the end of what has begun


@dataclass(frozen=True)
class Write:
    """An answer on its way into the file."""

    fid: int  # as the sitting knows the row
    answer: Answer
    seen: Answer  # what the annotator saw in the file; another answer is not overwritten
    stored_as: int  # the row in the file; negative for one that the sitting added
    patch_id: str
    row: NewRow | None = None  # the row to add, if the file does not have it
    keeps: bool = True  # what it replaces, if that is of somebody else and not of this sitting


@dataclass(frozen=True)
class Written:
    """How that went: ``trouble`` is None where it is stored, TAKEN where somebody was faster.

    It is GONE where the file has no such row any more.
    """

    write: Write
    trouble: Trouble | None
    reason: str = ""
    theirs: Answer | None = None  # what is in the file instead

    @property
    def is_over(self) -> bool:
        """Whether it is not tried again."""
        return self.trouble in (None, Trouble.TAKEN, Trouble.GONE)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what is constant while the path leads to the same file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class BatchWriter(threading.Thread):
    """Writes what is put into it, in that order, and keeps trying while the file is locked.

    ``woken`` is called from this thread whenever there is news to ``take``.
    """

    def __init__(self, path: Path, woken: Callable[[], None]) -> None:
        super().__init__(name=f"owl-geo {path.name}", daemon=True)
        self._path = path
        self._identity = identity(path)
        self._woken = woken
        self._waking = threading.Lock()
        self._queue: deque[Write] = deque()
        self._news: deque[Written | list[Row]] = deque()
        self._fids: dict[int, int] = {}  # rows that this sitting added, by what it calls them
        self._changed = threading.Condition()
        self._look = False
        self._has_failed = False
        self._stamp: object = None
        self._stops = False  # once there is nothing left to write
        self._gives_up = False

    # --- from the other thread --------------------------------------------------------------------

    def put(self, write: Write) -> None:
        """Write this after all that waits."""
        with self._changed:
            self._queue.append(write)
            self._changed.notify_all()

    def look(self) -> None:
        """Read the rows if the file has changed since the last look."""
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until everything is written, or cannot be now; return whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or self._has_failed, seconds)
            return not self._queue

    def take(self) -> list[Written | list[Row]]:
        """Return what happened since the last call."""
        with self._changed:
            news = list(self._news)
            self._news.clear()
            return news

    def known_as(self, fid: int) -> int:
        """Return what the sitting calls a row of the file."""
        with self._changed:
            return next((mine for mine, real in list(self._fids.items()) if real == fid), fid)

    def drop(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._queue.clear()
            self._changed.notify_all()

    def end(self) -> None:
        """Stop, as everything is written; nobody is woken from now on.

        A look that has begun is waited for: GDAL must not be in use when QGIS ends.
        """
        self._hush()
        with self._changed:
            self._stops = True
            self._look = False
            self._changed.notify_all()
        self.join(_END_SECONDS)

    def give_up(self, seconds: float = _END_SECONDS) -> list[Write]:
        """Stop now, and return what was not written; nobody is woken from now on."""
        self._hush()
        with self._changed:
            self._stops = self._gives_up = True
            self._changed.notify_all()
        self.join(seconds)
        with self._changed:
            return list(self._queue)

    def _hush(self) -> None:
        """Wake nobody any more, and wait while somebody is woken, who may be gone after this."""
        with self._waking:
            self._woken = _nobody

    # --- in its own thread ------------------------------------------------------------------------

    def run(self) -> None:
        """Write until told to stop."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._look or self._stops)
                if self._gives_up or (self._stops and not self._queue):
                    return
                look, self._look = self._look, False
            try:
                done = self._write_all()
                if look and done:
                    self._read()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
                self._tell_trouble(Trouble.REFUSED, " ".join(str(error).split()))
                done = False
            if not done:
                with self._changed:
                    self._changed.wait_for(lambda: self._gives_up, _RETRY_SECONDS)

    def _write_all(self) -> bool:
        """Write what waits; return whether nothing does any more."""
        if not self._queue:
            return True
        moved = self._moved()
        if moved is not None:
            self._note_failure(True)
            self._tell_trouble(moved, "")
            return False
        try:
            with opened(self._path, gdal.OF_UPDATE) as file:
                while self._queue:
                    self._tell(self._put(file, self._queue[0]))
        except GdalFailure as error:
            had_failed = self._note_failure(True)
            if not error.is_lock:
                self._tell_trouble(Trouble.REFUSED, str(error))
            elif had_failed:  # not only while another window stored an answer
                self._tell_trouble(Trouble.LOCKED, str(error))
            return False
        self._note_failure(False)
        return True

    def _note_failure(self, has_failed: bool) -> bool:
        """Note whether the last attempt failed, and return whether the one before did."""
        with self._changed:
            before, self._has_failed = self._has_failed, has_failed
            self._changed.notify_all()
            return before

    def _put(self, file: gdal.Dataset, write: Write) -> Written:
        """Store one answer in a transaction of its own, unless the row holds what nobody saw."""
        checked(file.StartTransaction)
        try:
            layer = file.GetLayerByName(schema.BATCH_LAYER)
            if layer is None:
                raise GdalFailure(f"no layer {schema.BATCH_LAYER}")
            feature = self._find(file, layer, write)
            if feature is None and write.row is None:
                checked(file.CommitTransaction)
                return Written(write, Trouble.GONE)
            theirs = answer_of(feature) if feature is not None else Answer()
            is_new = theirs not in (write.seen, write.answer)
            if is_new and (theirs.label or theirs.comment):
                if write.answer.label and write.answer.annotator != theirs.annotator:
                    keep_beside(layer, feature, write.answer)
                checked(file.CommitTransaction)
                return Written(write, Trouble.TAKEN, theirs=theirs)
            if write.keeps and theirs.label and theirs.annotator != write.answer.annotator:
                keep_beside(layer, feature, theirs)
            if feature is None:
                self._fids[write.fid] = add_row(layer, write.row, write.answer)
            else:
                set_answer(layer, feature, write.answer)
            checked(file.CommitTransaction)
            return Written(write, None)
        except BaseException:
            with suppress(RuntimeError):  # the first error says more than one about the way back
                file.RollbackTransaction()
            if write.row is not None:
                self._fids.pop(write.fid, None)
            raise

    def _find(self, file: gdal.Dataset, layer: ogr.Layer, write: Write) -> ogr.Feature | None:
        """Return the row of an answer; None if there is none, or none yet."""
        begin_reading(file)
        fid = self._fids.get(write.fid, write.stored_as)
        if fid >= 0:
            return layer.GetFeature(fid)
        for feature in layer:  # few enough, and no text becomes SQL
            is_it = feature.GetField("patch_id") == write.patch_id
            if is_it and has_place(feature):
                self._fids[write.fid] = feature.GetFID()
                layer.ResetReading()
                return feature
        return None

    def _read(self) -> None:
        stamp = self._file_stamp()
        if stamp == self._stamp or self._moved() is not None:
            return
        try:
            with opened(self._path, 0) as file:
                layer = file.GetLayerByName(schema.BATCH_LAYER)
                rows = [] if layer is None else place_rows(layer)
        except GdalFailure:  # locked; the next look will do
            return
        self._stamp = stamp
        self._tell(rows)

    def _file_stamp(self) -> object:
        """Return what changes with the content of the file."""
        stamps = []
        for path in (self._path, self._path.with_name(self._path.name + "-wal")):
            try:
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append(None)
        return stamps

    def _moved(self) -> Trouble | None:
        now = identity(self._path)
        if now is None:
            return Trouble.DELETED
        return None if now == self._identity else Trouble.REPLACED

    def _tell(self, news: Written | list[Row]) -> None:
        with self._changed:
            is_over = isinstance(news, Written) and news.is_over
            if is_over and self._queue and self._queue[0] is news.write:
                self._queue.popleft()
            self._news.append(news)
            self._changed.notify_all()
        with self._waking:
            self._woken()

    def _tell_trouble(self, trouble: Trouble, reason: str) -> None:
        with self._changed:
            first = self._queue[0] if self._queue else None
        if first is not None:
            self._tell(Written(first, trouble, reason))


def _nobody() -> None:
    """Be woken where nobody is left to be."""
