"""What every label store promises, and how many answers to one patch become one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd
import shapely

from owl_geo.schema import LABELS_COLUMNS, UNSURE
from owl_geo.types import Answer

HISTORY_COLUMNS = ("seq", *LABELS_COLUMNS)


@dataclass(frozen=True)
class Appended:
    """How many of the given answers were stored, and how many stood there already."""

    new: int
    unchanged: int


@runtime_checkable
class LabelStore(Protocol):
    """All answers of a run, for ever; several processes may append at once.

    An answer is unchanged, and not stored again, where an equal one stands already: same patch,
    annotator, batch, label, comment and time. One whose time is not the annotator's own
    (``stamped`` is False) is unchanged where it repeats the annotator's newest answer to that patch
    in that batch. So the same file taken in twice changes nothing.
    """

    def append(
        self, answers: Sequence[Answer], footprints: Mapping[str, shapely.Polygon]
    ) -> Appended:
        """Store the answers that are new, all or none; ``footprints`` is by patch_id.

        Raises RunError where the store cannot be written.
        """

    def history(self) -> pd.DataFrame:
        """Return all answers in order of arrival, numbered by ``seq``: HISTORY_COLUMNS."""

    def current(self) -> pd.DataFrame:
        """Return one label per answered patch: patch_id, label, seq, as ``consensus`` has them."""

    def count(self) -> int:
        """Return how many answers the history has."""


def newest_answers(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a history that count: the newest of each annotator for each patch.

    Newest by ``labelled_at``, then by arrival. So a file of last week that arrives after this
    week's does not undo it; and where a clock was set back, what was said before still counts.
    """
    times = pd.to_datetime(history["labelled_at"], utc=True, format="ISO8601")
    by_time = history.assign(_time=times).sort_values(["_time", "seq"], kind="stable")
    return by_time.drop_duplicates(["patch_id", "annotator"], keep="last").drop(columns="_time")


def consensus(history: pd.DataFrame) -> pd.DataFrame:
    """Reduce a history to one row per patch: patch_id, label and seq, in the order of seq.

    The newest answer of each annotator counts, see ``newest_answers``. Of several annotators the
    majority decides, and a tie becomes ``unsure``. ``seq`` is the patch's latest answer among those
    that count.
    """
    newest = newest_answers(history)
    votes = newest.groupby(["patch_id", "label"], sort=False).size().rename("votes").reset_index()
    most = votes[votes["votes"] == votes.groupby("patch_id")["votes"].transform("max")]
    tied = most["patch_id"].duplicated(keep=False)
    label = most.assign(label=most["label"].mask(tied, UNSURE)).drop_duplicates("patch_id")
    seq = newest.groupby("patch_id", sort=False)["seq"].max().reset_index()
    table = label[["patch_id", "label"]].merge(seq, on="patch_id")
    return table.sort_values("seq", ignore_index=True)
