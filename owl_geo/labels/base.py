"""What every label store promises, and how many answers to one patch become one label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.errors import RunError
from owl_geo.ground.projections import is_in_degrees, reproject, turned
from owl_geo.labels.sharing import Administration, Layers
from owl_geo.schema import LABELS_COLUMNS, UNSURE
from owl_geo.types import Answer

HISTORY_COLUMNS = ("seq", *LABELS_COLUMNS)


@dataclass(frozen=True)
class Appended:
    """How many of the given answers were stored, and how many stood there already."""

    new: int
    unchanged: int


@dataclass(frozen=True)
class AnsweredRun:
    """The run whose answers a store keeps.

    ``crs`` is that of the footprints that the store is given; None will do to read answers.
    """

    folder: Path
    run_id: str
    crs: object


class LabelStore(ABC):
    """All answers of a run, for ever; several processes may append at once.

    An answer is unchanged, and not stored again, where an equal one stands already: same patch,
    annotator, batch, label, comment and time. One whose time is not the annotator's own
    (``stamped`` is False) is unchanged where it repeats the annotator's newest answer to that patch
    in that batch. So the same file taken in twice changes nothing.

    A new kind of store implements what is abstract here, and stands in ``settings.stores.STORES``.
    """

    has_layers: ClassVar[bool] = False  # whether ``layers`` is there
    has_administration: ClassVar[bool] = False  # whether ``administration`` is there

    @classmethod
    @abstractmethod
    def of_run(cls, address: str | None, run: AnsweredRun) -> Self:
        """Return a run's store at the address in its settings, without opening it yet.

        ``address`` is None for the store that needs none. Raises RunError where the address cannot
        be understood, or what this installation lacks is needed.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the answers are, for messages: a path, or an address without a password."""

    @property
    def name(self) -> str:
        """``place`` in short, where it is clear which run is meant."""
        return self.place

    @abstractmethod
    def append(
        self, answers: Sequence[Answer], footprints: Mapping[str, shapely.Polygon]
    ) -> Appended:
        """Store the answers that are new, all or none; ``footprints`` is by patch_id.

        Raises RunError where the store cannot be written.
        """

    @abstractmethod
    def history(self) -> pd.DataFrame:
        """Return all answers in order of arrival, numbered by ``seq``: HISTORY_COLUMNS.

        One without a label takes its annotator's earlier answer back. Raises RunError where the
        store cannot be read.
        """

    def current(self) -> pd.DataFrame:
        """Return one label per answered patch: patch_id, label, seq, as ``consensus`` has them."""
        return consensus(self.history())

    def count(self) -> int:
        """Return how many answers the history has."""
        return len(self.history())

    def lacks(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return those of the answers that do not stand in the store."""
        return not_stored(answers, self.history())

    def check_ready(self) -> None:  # noqa: B027 - most stores are
        """Raise RunError where something must be done before the store can take answers."""

    def reproject(self) -> None:  # noqa: B027 - a store may keep footprints in a CRS of its own
        """Bring the footprints that are kept to the run's CRS, which has become EPSG:4326."""

    def layers(self) -> Layers:
        """Return where batches become layers; raises RunError where the store has none."""
        raise RunError(
            f"the label store {self.place} has no layers to label in",
            remedy="label the batch's file, and take it in by `owl-geo ingest`",
        )

    def administration(self) -> Administration:
        """Return what whoever runs the store does; raises RunError where there is nothing to do."""
        raise RunError(
            f"the label store {self.place} has nothing to set up or look after",
            remedy="go on with `owl-geo query`",
        )


def newest_answers(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a history that count: each annotator's newest answer to each patch.

    Newest by ``labelled_at``, and then by arrival. So a file of last week that arrives after this
    week's does not undo it; and where a clock was set back, what was said before still counts. An
    answer without a label takes the annotator's earlier one back.
    """
    newest = _newest(history)
    return newest[newest["label"].notna()].drop(columns="time")


def consensus(history: pd.DataFrame) -> pd.DataFrame:
    """Reduce a history to one row per labelled patch: patch_id, label and seq, in order of seq.

    The newest answer of each annotator counts, and of several annotators the majority decides. A
    patch where labels tie has no row: it is to be asked again, see ``disputed``. If they tie once
    more after it was asked again, it is ``unsure``. ``seq`` is the latest of the annotators' newest
    answers to the patch, be it one that takes another back.
    """
    decided = _decided(history)
    is_open = decided["patch_id"].isin(_open(history, decided))
    return decided.loc[~is_open, ["patch_id", "label", "seq"]].reset_index(drop=True)


def disputed(history: pd.DataFrame) -> list[str]:
    """Return the patches where labels tie and that are to be asked again, the oldest ties first."""
    return _open(history, _decided(history))


def _timed(history: pd.DataFrame) -> pd.DataFrame:
    times = pd.to_datetime(history["labelled_at"], utc=True, format="ISO8601")
    return history.assign(time=times)


def _newest(history: pd.DataFrame) -> pd.DataFrame:
    by_time = _timed(history).sort_values(["time", "seq"], kind="stable")
    return by_time.drop_duplicates(["patch_id", "annotator"], keep="last")


def _decided(history: pd.DataFrame) -> pd.DataFrame:
    """Return patch_id, label, seq and whether labels tie, in which case the label is unsure."""
    newest = _newest(history)
    said = newest[newest["label"].notna()]
    votes = said.groupby(["patch_id", "label"], sort=False).size().rename("votes").reset_index()
    most = votes[votes["votes"] == votes.groupby("patch_id")["votes"].transform("max")]
    tied = most["patch_id"].duplicated(keep=False)
    label = most.assign(label=most["label"].mask(tied, UNSURE), tied=tied)
    seq = newest.groupby("patch_id", sort=False)["seq"].max().reset_index()
    table = label.drop_duplicates("patch_id").drop(columns="votes").merge(seq, on="patch_id")
    return table.sort_values("seq", ignore_index=True)


def _open(history: pd.DataFrame, decided: pd.DataFrame) -> list[str]:
    """Return the tied patches that no later batch has asked of anyone since they tied."""
    tied = decided.loc[decided["tied"], "patch_id"].tolist()
    answers = _timed(history[history["patch_id"].isin(tied)])
    told = dict(list(answers.groupby("patch_id", sort=False)))
    return [patch for patch in tied if not _asked_since_tie(told[patch])]


def _asked_since_tie(answers: pd.DataFrame) -> bool:
    """Whether a batch of its own brought an answer to a patch after its labels had tied."""
    newest: dict[str, tuple[pd.Timestamp, str]] = {}
    batches: set[str] = set()
    has_tied = False
    for row in answers.itertuples(index=False):  # in order of arrival
        if has_tied and row.batch_id not in batches:
            return True
        batches.add(row.batch_id)
        if row.annotator not in newest or row.time >= newest[row.annotator][0]:
            newest[row.annotator] = (row.time, row.label)
        votes = Counter(label for _, label in newest.values() if label is not None)
        two = votes.most_common(2)
        has_tied = has_tied or (len(two) == 2 and two[0][1] == two[1][1])
    return False


def not_stored(answers: Sequence[Answer], history: pd.DataFrame) -> list[Answer]:
    """Return the answers that do not stand in the history or earlier among themselves.

    ``history`` needs no more than the rows of the answers' patches; see ``LabelStore.append``.
    """
    equal: set[tuple[object, ...]] = set()
    newest: dict[tuple[str, str, str], tuple[object, object, str]] = {}

    def remember(who: tuple[str, str, str], said: tuple[object, object, str]) -> None:
        equal.add((*who, *said))
        if who not in newest or said[2] >= newest[who][2]:
            newest[who] = said

    for row in history.itertuples(index=False):
        who = (row.patch_id, row.annotator, row.batch_id)
        remember(who, (row.label, row.comment, row.labelled_at))
    new = []
    for answer in answers:
        who = (answer.patch_id, answer.annotator, answer.batch_id)
        said = (answer.label, answer.comment, answer.labelled_at)
        repeated = not answer.stamped and who in newest and newest[who][:2] == said[:2]
        if repeated or (*who, *said) in equal:
            continue
        remember(who, said)
        new.append(answer)
    return new


def brought(polygons: Iterable[shapely.Polygon], source: CRS, target: CRS) -> list[shapely.Polygon]:
    """Return polygons in another CRS, whole where they lie on the antimeridian."""
    if source == target:
        return list(polygons)

    def bring(points: NDArray[np.float64]) -> NDArray[np.float64]:
        brought = reproject(points, source, target)
        if is_in_degrees(target) and not is_in_degrees(source):
            brought[:, 0] = turned(brought[:, 0], brought[0, 0])
        return brought

    return [shapely.transform(polygon, bring) for polygon in polygons]
