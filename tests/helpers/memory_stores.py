"""Label stores in memory, registered for the length of a test: nobody may ask of which kind one is.

``memory://NAME`` keeps answers and does nothing else; ``studio://NAME`` is shared by a team too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Self

import pandas as pd
import pytest
import shapely

from owl_geo.labels.base import HISTORY_COLUMNS, AnsweredRun, Appended, LabelStore
from owl_geo.labels.sharing import BatchLayer, Publication, Published, StoreState
from owl_geo.schema import LABELS_COLUMNS
from owl_geo.settings.stores import STORES, StoreChoice
from owl_geo.types import Answer


class MemoryLabels(LabelStore):
    """The smallest store: what every store must do, and no more."""

    kept: ClassVar[dict[str, list[Answer]]] = {}  # by address and run

    def __init__(self, address: str, run_id: str) -> None:
        self.address = address
        self.key = f"{address}/{run_id}"

    @classmethod
    def of_run(cls, address: str | None, run: AnsweredRun) -> Self:
        assert address is not None
        return cls(address, run.run_id)

    @property
    def place(self) -> str:
        return self.address

    def append(
        self, answers: Sequence[Answer], footprints: Mapping[str, shapely.Polygon]
    ) -> Appended:
        new = self.lacks(answers)
        _ = [footprints[answer.patch_id] for answer in new]
        self.kept.setdefault(self.key, []).extend(new)
        return Appended(new=len(new), unchanged=len(answers) - len(new))

    def history(self) -> pd.DataFrame:
        rows = [
            (seq, *(getattr(answer, name) for name in LABELS_COLUMNS))
            for seq, answer in enumerate(self.kept.get(self.key, []), start=1)
        ]
        table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), dtype=object)
        return table.astype({"seq": "int64", "round": "int64"})


class StudioLabels(MemoryLabels):
    """A store with layers and administration, which forgets as the other does."""

    has_layers = True
    has_administration = True
    people: ClassVar[set[str]] = set()
    published: ClassVar[dict[str, BatchLayer]] = {}

    def layers(self) -> StudioLabels:
        return self

    def administration(self) -> StudioLabels:
        return self

    def publish(
        self, batch: BatchLayer, *, shared: Collection[str], n_annotators: int
    ) -> Publication:
        is_new = batch.name not in self.published
        self.published.setdefault(batch.name, batch)
        address = f"{self.address}#{batch.name}"
        return Publication(batch.name, address, f"the studio's {batch.name}", is_new)

    def set_up(
        self, classes: Sequence[str], positive: str, lease_time: timedelta | None = None
    ) -> bool:
        is_new = self.key not in self.kept
        self.kept.setdefault(self.key, [])
        return is_new

    def has_account(self, name: str) -> bool:
        return name in self.people

    def add_annotator(self, name: str, password: str | None) -> bool:
        is_new = name not in self.people
        self.people.add(name)
        return is_new

    def revoke_annotator(self, name: str) -> None:
        self.people.discard(name)

    def annotators(self) -> list[str]:
        return sorted(self.people)

    def state(self) -> StoreState:
        answers = self.history()["annotator"].value_counts().to_dict()
        batches = [
            Published(layer.batch_id, name, len(layer.rows), 0)
            for name, layer in self.published.items()
        ]
        return StoreState(answers, tuple(batches), ())


KINDS = {"memory": MemoryLabels, "studio": StudioLabels}


@pytest.fixture
def memory_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds are registered, and empty."""
    for scheme, kind in KINDS.items():
        choice = StoreChoice(f"{__name__}:{kind.__name__}", scheme, f"{scheme}://NAME")
        monkeypatch.setitem(STORES, scheme, choice)
    monkeypatch.setattr(MemoryLabels, "kept", {})
    monkeypatch.setattr(StudioLabels, "people", set())
    monkeypatch.setattr(StudioLabels, "published", {})
