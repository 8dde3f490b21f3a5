"""Answers that were still waiting when their batch was closed, once it is opened again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from qgis.core import QgsGeometry

from .batch import Batch
from .batch_writer import Write
from .beside import Beside
from .file_store import FileStore
from .lingering import Lingering
from .map import PatchMap
from .session import NewRow, Session


@dataclass(frozen=True)
class Places:
    """The patches of a sitting, and where those that an earlier one noticed are shown."""

    session: Session
    beside: Beside
    map: PatchMap

    def index_of(self, write: Write) -> int | None:
        """Return where the patch of an answer is that another sitting gave; None if nowhere.

        What that sitting called its new rows, this one may call others.
        """
        if write.row is None:
            return self.session.index_of(write.stored_as)
        name = write.patch_id
        places = enumerate(self.session.patches)
        known = (i for i, p in places if p.beside and p.older is None and p.patch_id == name)
        index = next(known, None)
        return self._add_row(write.row) if index is None else index

    def _add_row(self, row: NewRow) -> int:
        """Show a place that was noticed, but whose row is not in the file yet."""
        values = row.values
        names = ("patch_id", "scene", "scene_crs")
        patch = self.beside.new(*(str(values[name]) for name in names), row)
        polygon = QgsGeometry()
        polygon.fromWkb(row.wkb)
        self.map.add(patch.fid, polygon)
        return self.session.add(patch)


def go_on_with(batch: Batch, store: FileStore, places: Places, lingering: Lingering) -> None:
    """Take over answers that were waiting when the batch was closed; ``store`` writes them.

    Of those that were given there, some may have been written since this batch was read. Where
    showing them fails half-way, they are written all the same.
    """
    writes, given = lingering.take(batch.path)
    left, session = deque(writes), places.session
    added: dict[str, int] = {}  # what this sitting calls the new rows, by patch
    try:
        for fid, answer in given.items():
            index = session.index_of(fid)
            if index is not None:
                session.correct(fid, answer)
                store.known(session.patches[index])
        while left:
            write = left[0]
            index = places.index_of(write)
            if index is None:  # deleted since
                store.lose(write)
            else:
                patch = session.patches[index]
                session.correct(patch.fid, write.answer)
                if write.row is not None:
                    added[write.patch_id] = patch.fid
                store.put(replace(write, fid=patch.fid, stored_as=patch.fid, row=patch.row))
            left.popleft()
    except BaseException:
        for write in left:  # in their order, after those that were put
            fid = write.stored_as
            if write.row is not None:
                fid = added.setdefault(write.patch_id, min([0, *added.values()]) - 1)
            store.put(replace(write, fid=fid, stored_as=fid))
        raise
    if session.patch.answer.label is not None:
        session.move_to_unanswered(1)
