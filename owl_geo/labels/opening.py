"""The label store of a run, of the kind that its settings name."""

from __future__ import annotations

from owl_geo.errors import RunError
from owl_geo.labels.base import AnsweredRun, LabelStore
from owl_geo.settings.choices import implementation
from owl_geo.settings.stores import store_choice
from owl_geo.types import Answer
from owl_geo.wording import as_typed, counted


def store_class(address: str | None) -> type[LabelStore]:
    """Return the kind of store that ``labels`` in owl.toml names, without loading its libraries."""
    kind: type[LabelStore] = implementation(store_choice(address).home)
    return kind


def open_store(address: str | None, run: AnsweredRun, *, check: bool = True) -> LabelStore:
    """Return a run's store at ``address``, or in its folder if that is None.

    Raises RunError where the store is not ready for the run, or lacks answers that were kept in
    the run's folder before; without ``check`` neither is checked.
    """
    store = store_class(address).of_run(address, run)
    if check:
        store.check_ready()
        if address is not None:
            _check_has_all(store, open_store(None, run), run)
    return store


def _check_has_all(store: LabelStore, former: LabelStore, run: AnsweredRun) -> None:
    """Raise RunError where the store lacks answers from the run's former store."""
    answers = [Answer(**row) for row in former.history().drop(columns="seq").to_dict("records")]
    lacking = store.lacks(answers) if answers else []
    if lacking:
        raise RunError(
            f"{former.place} holds {counted(len(lacking), 'answer')} that {store.place} lacks",
            remedy=f"run `owl-geo labels import {as_typed(run.folder)} {as_typed(former.place)}`, "
            "or move the file away",
        )
