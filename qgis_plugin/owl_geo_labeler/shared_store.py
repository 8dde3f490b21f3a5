"""Answers into a team's database: one UPDATE each; patches are held while they are looked at."""

from __future__ import annotations

import re

from qgis.core import QgsFeatureRequest
from qgis.PyQt.QtCore import QObject

from . import schema
from .batch import Batch, answer_of
from .session import Answer
from .store import AnswerStore, Trouble

_LOOK_MS = 10_000  # how often to look for the answers of others
_RETRY_MS = 2000
_SAYS = re.compile(r"ERROR:\s*(.+?)\s*(?:\n|$)")
_TAKEN = re.compile(r"is being labelled by|was labelled by")
_LOST = re.compile(r"connection|server closed|terminat|could not translate|timeout", re.IGNORECASE)


class SharedStore(AnswerStore):
    """Writes the answers of one published batch, in the name of the database's role.

    If somebody else has taken a patch, the database refuses the answer, which is not retried. While
    the database does not respond, answers wait.
    """

    def __init__(self, batch: Batch, parent: QObject | None = None) -> None:
        super().__init__(batch, parent)
        self._retry.setInterval(_RETRY_MS)
        fields = batch.layer.fields()
        self._label = fields.indexOf("label")
        self._comment = fields.indexOf("comment")
        self._time = fields.indexOf("labelled_at")
        self._lease = fields.indexOf(schema.LEASE_COLUMN)
        self._held: set[int] = set()
        self._known = {patch.fid: patch.answer for patch in batch.patches}
        self._known = self.current()
        self._look = self._timer(_LOOK_MS, self.look, single=False)
        self._look.start()

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
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
        rows = self._batch.layer.dataProvider().getFeatures(request)
        found = {row.id(): answer_of(row) for row in rows}
        return found or dict(self._known)

    def look(self) -> None:
        """Emit ``changed`` if others have answered since the last look."""
        found = self.current()
        if found != self._known:
            self._known = found
            self.changed.emit(found)

    def close(self) -> bool:
        """Stop, and release what is held; return whether every answer is stored."""
        done = super().close()
        self._look.stop()
        for fid in list(self._held):
            self.let_go(fid)
        return done

    def _commit(self, fid: int, answer: Answer) -> tuple[Trouble | None, str]:
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
        provider = self._batch.layer.dataProvider()
        provider.clearErrors()
        if provider.changeAttributeValues({fid: values}):
            return None, ""
        whole = "\n".join(provider.errors())
        provider.clearErrors()
        says = _SAYS.search(whole)
        reason = says[1] if says else " ".join(whole.split())
        if _TAKEN.search(reason):
            return Trouble.TAKEN, reason
        # a running database says ERROR, one that shuts down FATAL, and one that is gone nothing
        is_offline = says is None or _LOST.search(reason)
        return (Trouble.OFFLINE if is_offline else Trouble.REFUSED), reason
