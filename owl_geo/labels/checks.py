"""Checks of what a store holds, since other programs may edit it: a GeoPackage opens anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import UnionType

import pandas as pd

from owl_geo.errors import RunError, brief, not_a_label
from owl_geo.labels.base import is_plain_time, newest_answers, sortable_time
from owl_geo.schema import LABELS_COLUMNS

_KINDS: Mapping[str, type | UnionType] = {
    "seq": int,
    **dict.fromkeys(LABELS_COLUMNS, str),
    **dict.fromkeys(("label", "comment"), str | None),
    "round": int,
}


def check_rows(rows: Iterable[Sequence[object]], place: str) -> None:
    """Raise RunError for the first row that is no answer; its values are of HISTORY_COLUMNS."""
    for row in rows:
        for (name, kind), value in zip(_KINDS.items(), row, strict=True):
            if isinstance(value, kind):
                continue
            if value is None:
                raise _edited(place, row[0], f"has no {name}")
            what = "a whole number" if kind is int else "text"
            raise _edited(place, row[0], f"has {brief(value)} as {name}, which is not {what}")


def check_meaning(history: pd.DataFrame, place: str, allowed: Collection[str] | None) -> None:
    """Raise RunError where a time is none, or a label that counts not ``allowed``; None = any is.

    An answer that another one has replaced may have the label of a class that is no more.
    """
    for seq, text in zip(history["seq"], history["labelled_at"], strict=True):
        if not is_plain_time(text) and sortable_time(text) is None:
            raise _edited(place, seq, f"has {brief(text)} as labelled_at, which is not a time")
    if allowed is None:
        return
    unknown = history["label"].notna() & ~history["label"].isin(list(allowed))
    if not unknown.any():
        return
    newest = newest_answers(history)
    rows = newest[newest["seq"].isin(history["seq"][unknown])]
    if len(rows):
        seq, label = rows["seq"].iloc[0], rows["label"].iloc[0]
        raise _edited(place, seq, not_a_label(label, allowed))


def _edited(place: str, seq: object, what: str) -> RunError:
    return RunError(
        f"{place}: answer {seq} {what}", remedy="correct it where it was edited, or restore it"
    )
