"""Answers into a team's database: one UPDATE each; patches are held while they are looked at."""

from __future__ import annotations

import re
from time import monotonic

from qgis.core import QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt.QtCore import QObject

from . import schema
from .batch import Batch, answer_of
from .reach import Reach, said_in
from .session import Answer, Patch
from .store import AnswerStore, Trouble

_LOOK_MS = 10_000  # how often to look for the answers of others
_RETRY_MS = 2000
_REST = 4.0  # times what a failed attempt took: so long the window is free before the next one
# The store's own words, which are in English whatever language the server speaks.
_TAKEN = re.compile(r"is being labelled by|was labelled by")


class SharedStore(AnswerStore):
    """Writes the answers of one published batch, in the name of the database's role.

    If somebody else has taken a patch, the database refuses the answer, which is not retried. While
    the database does not respond, answers wait. They go through a layer of this store's own: the
    one on the map may be in a transaction that the user takes back, or show only some of the rows.
    """

    def __init__(self, batch: Batch, parent: QObject | None = None) -> None:
        super().__init__(batch, parent)
        self._retry.setInterval(_RETRY_MS)
        self._reach = Reach(batch.place)
        self._layer = QgsVectorLayer(batch.place.layer_uri(), batch.place.layer, "postgres")
        if not self._layer.isValid():  # the server has gone just now
            self._layer = batch.layer
        self._failure: tuple[Trouble | None, str] = (None, "")
        self._rests_until = 0.0
        self._fresh: set[int] = set()  # patches that were answered since the last look
        self._lost: set[int] = set()  # patches that have an answer here and no row there
        fields = self._layer.dataProvider().fields()
        self._label = fields.indexOf("label")
        self._comment = fields.indexOf("comment")
        self._time = fields.indexOf("labelled_at")
        self._lease = fields.indexOf(schema.LEASE_COLUMN)
        self._held: set[int] = set()
        self._known = {patch.fid: patch.answer for patch in batch.patches}
        self._known = self.current()
        self._look = self._timer(_LOOK_MS, self.look, single=False)
        self._look.start()

    @property
    def n_lost(self) -> int:
        """Answers that may not be stored, as their rows were deleted."""
        return len(self._lost)

    def write(self, patch: Patch) -> None:
        """Save the current answer of a patch."""
        self._fresh.add(patch.fid)
        super().write(patch)

    def forget(self) -> None:
        """Drop what waits: it was saved elsewhere."""
        super().forget()
        self._fresh.clear()
        self._lost.clear()

    def hold(self, fid: int) -> str:
        """Take a patch, visibly to others; return why not, if somebody else has it."""
        if fid in self._held:
            return ""
        trouble, reason = self._change(fid, {self._lease: schema.TAKE})
        if trouble is None:
            self._held.add(fid)
        return reason if trouble is Trouble.TAKEN else ""

    def let_go(self, fid: int) -> None:
        """Release a patch that was taken but not answered."""
        if fid in self._held:
            self._held.discard(fid)
            self._change(fid, {self._lease: schema.RELEASE})

    def take_over(self, fid: int) -> str:
        """Take a patch from whoever has it; return the reason if that fails."""
        trouble, reason = self._change(fid, {self._lease: schema.TAKE_OVER})
        if trouble is None:
            self._held.add(fid)
            return ""
        return reason or str(self._batch.place)

    def current(self) -> dict[int, Answer]:
        """Return every answer that this user may see, by feature id; offline, the last known."""
        return self._read() or dict(self._known)

    def look(self) -> None:
        """Emit ``changed`` if others have answered since the last look."""
        found = self._read()
        if not found:
            return
        self._look_for_lost(found)
        if found != self._known:
            self._known = found
            self.changed.emit(found)

    def close(self) -> bool:
        """Stop, and release what is held; return whether every answer is stored."""
        self._rests_until = 0.0
        done = super().close()
        self._look.stop()
        if self._fresh and done:
            self._look_for_lost(self._read() or self._known)
        for fid in list(self._held):
            self.let_go(fid)
        return done and not self._lost

    def _read(self) -> dict[int, Answer]:
        """Return what the database holds by feature id; {} while it does not respond."""
        if not self._reach.responds():
            return {}
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
        rows = self._layer.dataProvider().getFeatures(request)
        return {row.id(): answer_of(row) for row in rows}

    def _look_for_lost(self, found: dict[int, Answer]) -> None:
        """Say of which answers the rows are gone: to change a row that is not there is no error."""
        for patch in self._batch.patches:
            fid, label = patch.fid, patch.answer.label
            if fid in found or fid in self.waiting or fid not in self._fresh or not label:
                continue
            self._lost.add(fid)
            text = self.tr(
                "{patch} was deleted from {path}; your answer to it may not be stored: {label}"
            )
            place = self._batch.place
            self.gone.emit(text.format(patch=patch.patch_id, path=place, label=label))
        self._fresh &= self.waiting

    def _commit(self, fid: int, answer: Answer) -> tuple[Trouble | None, str]:
        if answer.annotator not in (None, self._batch.annotator):
            answer = Answer()  # undone: it is theirs again, and was never this user's
        values = {
            self._label: answer.label,
            self._comment: answer.comment,
            self._time: answer.labelled_at,
        }
        trouble, reason = self._change(fid, values)
        if trouble is None and answer.label is not None:
            self._held.discard(fid)  # the database releases it
        return trouble, reason

    def _change(self, fid: int, values: dict[int, str | None]) -> tuple[Trouble | None, str]:
        """Change a row; after a failure that took long, only once the window was free for a while.

        A lock that somebody holds takes ten seconds, and each key asks twice.
        """
        begun = monotonic()
        if begun < self._rests_until:
            return self._failure
        trouble, reason = (
            self._try(fid, values) if self._reach.responds() else (Trouble.OFFLINE, "")
        )
        if trouble in (Trouble.OFFLINE, Trouble.REFUSED):
            now = monotonic()
            self._failure, self._rests_until = (trouble, reason), now + _REST * (now - begun)
        return trouble, reason

    def _try(self, fid: int, values: dict[int, str | None]) -> tuple[Trouble | None, str]:
        provider = self._layer.dataProvider()
        provider.clearErrors()
        if provider.changeAttributeValues({fid: values}):
            return None, ""
        whole = "\n".join(provider.errors())
        provider.clearErrors()
        says = said_in(whole)
        reason = says or " ".join(whole.split())
        if _TAKEN.search(reason):
            return Trouble.TAKEN, reason
        # one that is gone says nothing, and one that shuts down takes no connection any more
        is_offline = says is None or not self._reach.responds()
        return (Trouble.OFFLINE if is_offline else Trouble.REFUSED), reason
