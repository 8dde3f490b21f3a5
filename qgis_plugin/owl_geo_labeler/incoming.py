"""What others have stored while a batch was open: taken into the sitting, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsFeatureRequest
from qgis.PyQt.QtCore import QObject

from .batch import patch_of
from .batch_rows import Row
from .offers import Offers
from .session import Answer
from .store import AnswerStore

if TYPE_CHECKING:
    from .labelling import Labelling
    from .stores import Wires


class Incoming(QObject):
    """Listens to what the stores of one sitting say of other people's answers.

    The map stays where it is: the next key is meant for the patch that it shows.
    """

    def __init__(self, labelling: Labelling, offers: Offers) -> None:
        super().__init__(labelling)
        self._labelling, self._offers = labelling, offers

    def wires(self, store: AnswerStore) -> Wires:
        """Return which signals of a store are listened to, and by what."""
        return [
            (store.refused, self._on_refused),
            (store.changed, self._on_changed),
            (store.overtaken, self._on_overtaken),
            (store.added, self._on_added),
        ]

    def _on_refused(self, fid: int, answer: Answer, reason: str) -> None:
        """Show what is stored instead of an answer that the database refused."""
        sitting = self._labelling
        sitting.session.correct(fid, sitting.store.current().get(fid, Answer()))
        self._redraw()
        self._offers.make(fid, reason, self.tr("Take over"), lambda: sitting.take_over(fid, answer))

    def _on_changed(self, answers: dict[int, Answer]) -> None:
        """Show what others have answered in the meantime."""
        session, waiting = self._labelling.session, self._labelling.store.waiting
        news = [
            patch
            for patch in session.patches
            if patch.fid not in waiting and _differs(patch.answer, answers.get(patch.fid))
        ]
        for patch in news:
            session.correct(patch.fid, answers[patch.fid])
        if news:
            self._labelling.others.count({patch.fid: answers[patch.fid] for patch in news})
            self._redraw()

    def _on_added(self, rows: list[Row]) -> None:
        """Show places that others have noticed."""
        sitting = self._labelling
        for row in rows:
            feature = sitting.batch.layer.dataProvider().getFeatures(QgsFeatureRequest(row.fid))
            for found in feature:
                sitting.map.add(row.fid, found.geometry())
                sitting.session.add(patch_of(found))
        sitting.others.count({row.fid: row.answer for row in rows})
        self._redraw()

    def _on_overtaken(self, fid: int, answer: Answer, theirs: Answer) -> None:
        """Show what somebody else has stored before; an answer from now on replaces that."""
        sitting = self._labelling
        index = sitting.session.index_of(fid)
        sitting.session.correct(fid, theirs)
        sitting.others.count({fid: theirs})
        self._redraw()
        if answer.label is None or index is None:
            return
        text = (
            self.tr("{who} answered {patch} before you: {label}; both answers are kept")
            if answer.annotator != theirs.annotator
            else self.tr("{patch} was answered in another window: {label}; yours is not stored")
        )
        self._offers.make(
            fid,
            text.format(
                who=theirs.annotator or self.tr("somebody"),
                patch=sitting.session.patches[index].patch_id,
                label=theirs.label or self.tr("a comment"),
            ),
            self.tr("Replace with {label}").format(label=answer.label),
            lambda: sitting.take_over(fid, answer),
        )

    def _redraw(self) -> None:
        self._labelling.map.redraw()
        self._labelling.show_anew()


def _differs(shown: Answer, stored: Answer | None) -> bool:
    """Whether the stored answer differs from the one shown, apart from its time."""
    return stored is not None and (shown.label, shown.comment or "") != (
        stored.label,
        stored.comment or "",
    )
