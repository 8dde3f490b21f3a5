"""Who else is answering a batch, said on the panel."""

from __future__ import annotations

from collections.abc import Mapping

from qgis.PyQt.QtCore import QObject

from .batch import Batch
from .dock import LabelDock
from .file_store import FileStore
from .session import Answer
from .store import AnswerStore


class Others(QObject):
    """Counts the answers of others that came in while a batch was open."""

    def __init__(
        self, batch: Batch, store: AnswerStore, dock: LabelDock, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._batch, self._store, self._dock = batch, store, dock
        self._answers: dict[str, int] = {}  # by name
        self._own: set[int] = set()  # rows of the layer whose edits were saved in this window
        batch.layer.committedAttributeValuesChanges.connect(self._on_own)

    def count(self, answers: Mapping[int, Answer]) -> None:
        """Count answers of others by the row of the layer, and say whose they are."""
        for fid, answer in answers.items():
            if fid in self._own:  # edited in the layer's table or form
                self._own.discard(fid)
                continue
            name = answer.annotator or self.tr("somebody")
            self._answers[name] = self._answers.get(name, 0) + 1
        self.say()

    def _on_own(self, _layer: str, changes: Mapping[int, object]) -> None:
        self._own.update(changes)

    def say(self) -> None:
        """Say who answers this batch too, or where else it is open."""
        if self._answers and self._batch.path is not None:
            text = self.tr("Others are answering this batch too: {names}.")
            names = ", ".join(f"{name} ({n:,})" for name, n in self._answers.items())
            self._dock.footer.set_others(text.format(names=names))
        elif isinstance(self._store, FileStore) and self._store.opened_by:
            text = self.tr(
                "This batch is also open in another window, on {computer}. No answer is replaced "
                "before you have seen it."
            )
            self._dock.footer.set_others(text.format(computer=self._store.opened_by))
        else:
            self._dock.footer.set_others("")
