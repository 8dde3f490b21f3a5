"""What every label store guarantees, and how several answers to one patch become one label."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.errors import RunError
from owl_geo.ground.crs import is_in_degrees, place_of, same_datum, turned
from owl_geo.ground.transformations import reproject
from owl_geo.labels.sharing import Administration, Layers
from owl_geo.schema import LABELS_COLUMNS, UNSURE
from owl_geo.types import Answer

HISTORY_COLUMNS = ("seq", *LABELS_COLUMNS)


@dataclass(frozen=True)
class Appended:
    """How many of the given answers were stored, and how many were there already."""

    new: int
    unchanged: int


@dataclass(frozen=True)
class AnsweredRun:
    """The run whose answers a store keeps.

    ``crs`` is that of the footprints passed to the store; None suffices to read answers. Messages
    name the folder as it is ``called``, None = as it is. A store refuses to read answers that count
    and have none of the ``labels``, None = any.
    """

    folder: Path
    run_id: str
    crs: object
    called: Path | None = None
    labels: tuple[str, ...] | None = None


class LabelStore(ABC):
    """All answers of a run, for ever; several processes may append at once.

    An answer is unchanged, and not stored again, where the store has an equal one: same patch,
    annotator, batch, label, comment and time. One whose time is not the annotator's own
    (``stamped`` is False) is unchanged where it repeats the annotator's newest answer to that patch
    in that batch. Ingesting the same file twice therefore changes nothing.

    A new kind of store implements the abstract methods and is listed in ``settings.stores.STORES``.
    """

    has_layers: ClassVar[bool] = False  # whether it offers ``layers``
    has_administration: ClassVar[bool] = False  # whether it offers ``administration``

    @classmethod
    @abstractmethod
    def of_run(cls, address: str | None, run: AnsweredRun) -> Self:
        """Return a run's store at the address in its settings, without opening it yet.

        ``address`` is None for the store that needs none. Raises RunError where the address cannot
        be parsed, or where the store needs a package that is not installed.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """The location of the answers, for messages: a path, or an address without a password."""

    @property
    def name(self) -> str:
        """``place`` in short, for use where the run is clear."""
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

        One without a label withdraws its annotator's earlier answer. Raises RunError where the
        store cannot be read.
        """

    def current(self) -> pd.DataFrame:
        """Return one label per answered patch: patch_id, label, seq, as ``consensus`` has them."""
        return consensus(self.history())

    def count(self) -> int:
        """Return how many answers the history has."""
        return len(self.history())

    def as_now(self) -> Self:
        """Return the store with the history as it is now, whoever adds to it later; for reading.

        Raises RunError where the store cannot be read.
        """
        then = copy.copy(self)
        vars(then)["history"] = self.history().copy  # in place of the method
        return then

    def lacks(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return those of the answers that the store does not have."""
        return not_stored(answers, self.history())

    def check_ready(self) -> None:  # noqa: B027 - most stores are ready
        """Raise RunError where something must be done before the store can take answers."""

    def ground(self) -> dict[str, shapely.Polygon]:
        """Return footprints of patches that the store knows, in EPSG:4326, by patch_id.

        At least one of each scene, where a run over other ground may have filled the store: one
        that was made alike, or whose file was copied. Others have none to tell.
        """
        return {}

    def elsewhere(self, patch_id: str, called: Path) -> RunError:
        """Return the error where ``ground`` shows a patch elsewhere than the run ``called`` so."""
        return RunError(
            f"{self.place} has answers on other ground, where {patch_id} is elsewhere than in "
            f"{called}",
            remedy="restore the store, or make the run anew with another one",
        )

    def reproject(self) -> None:  # noqa: B027 - a store may keep footprints in a CRS of its own
        """Reproject the stored footprints to the run's CRS, which has become EPSG:4326."""

    def add_class(self, classes: Sequence[str], name: str) -> None:  # noqa: B027 - most take any
        """Take answers of a further class of the run, which had ``classes``; twice is as once.

        Raises RunError where the store does not allow it.
        """

    def layers(self) -> Layers:
        """Return the store's layers of batches; raises RunError where it offers none."""
        raise RunError(
            f"the label store {self.place} has no layers to label in",
            remedy="label the batch's file, then read it with `owl-geo ingest RUN BATCH`",
        )

    def administration(self) -> Administration:
        """Return the store's administration; raises RunError where there is none."""
        raise RunError(
            f"the label store {self.place} has nothing to set up or administer",
            remedy="go on with `owl-geo query RUN`",
        )


def newest_answers(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a history that count: each annotator's newest answer to each patch.

    The newest is the latest by ``labelled_at``, then by arrival: a file from last week that arrives
    after this week's does not undo it, and where a clock was set back, the earlier answer still
    counts. An answer without a label withdraws the annotator's earlier one.
    """
    newest = _newest(history)
    return newest[newest["label"].notna()].drop(columns="time")


def not_withdrawn(history: pd.DataFrame) -> pd.DataFrame:
    """Return the labels of a history, old and new, without those that annotators took back."""
    standing = newest_answers(history)[["patch_id", "annotator"]]
    return history[history["label"].notna()].merge(standing, on=["patch_id", "annotator"])


def consensus(history: pd.DataFrame) -> pd.DataFrame:
    """Reduce a history to one row per labelled patch: patch_id, label and seq, in order of seq.

    The newest answer of each annotator counts, and among several annotators the majority decides.
    A patch where labels tie has no row: it must be labelled again, see ``disputed``. If they tie
    once more after that, it is ``unsure``. ``seq`` is the latest of the annotators' newest answers
    to the patch, even if that one withdraws another.
    """
    return settled(history)[0]


def disputed(history: pd.DataFrame) -> list[str]:
    """Return the patches with tied labels that must be labelled again, the oldest ties first."""
    return settled(history)[1]


def settled(history: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return ``consensus`` and ``disputed`` of a history, in the time of one of them."""
    decided = _decided(history)
    tied = _open(history, decided)
    labels = decided[["patch_id", "label", "seq"]]
    if tied:
        labels = labels[~labels["patch_id"].isin(tied)].reset_index(drop=True)
    return labels, tied


def _timed(history: pd.DataFrame) -> pd.DataFrame:
    return history.assign(time=_moments(history))


def _newest(history: pd.DataFrame) -> pd.DataFrame:
    by_time = _timed(history).sort_values(["time", "seq"], kind="stable")
    return by_time.drop_duplicates(["patch_id", "annotator"], keep="last")


def _decided(history: pd.DataFrame) -> pd.DataFrame:
    """Return patch_id, label, seq and whether labels tie, in which case the label is unsure.

    Row by row, which takes a tenth of the time that pandas needs for some hundred answers.
    """
    newest: dict[str, dict[str, tuple[object, int, str | None]]] = {}
    columns = (history[name].tolist() for name in ("patch_id", "annotator", "seq", "label"))
    for patch, annotator, seq, label, time in zip(*columns, _moments(history), strict=True):
        of_patch = newest.setdefault(patch, {})
        if annotator not in of_patch or (time, seq) >= of_patch[annotator][:2]:
            of_patch[annotator] = (time, seq, label)
    rows = []
    for patch, answers in newest.items():
        votes = Counter(label for _, _, label in answers.values() if isinstance(label, str))
        if votes:
            (label, most), *others = votes.most_common(2)
            tied = bool(others) and others[0][1] == most
            seq = max(seq for _, seq, _ in answers.values())
            rows.append((patch, UNSURE if tied else label, seq, tied))
    rows.sort(key=lambda row: row[2])
    table = pd.DataFrame(rows, columns=["patch_id", "label", "seq", "tied"])
    return table.astype({"seq": np.int64, "tied": bool})


def _moments(history: pd.DataFrame) -> list[str]:
    """Return the times of answers as texts, to be compared."""
    written: list[str] = history["labelled_at"].tolist()
    if all(map(is_plain_time, written)):
        return written
    return [sortable_time(text) or "" for text in written]


_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def is_plain_time(text: object) -> bool:
    """Return whether a time is of TIME_FORMAT, in which the order of the texts is theirs."""
    return isinstance(text, str) and _PLAIN_TIME.fullmatch(text) is not None


def sortable_time(text: str) -> str | None:
    """Return an ISO 8601 time as a text in the order of all such texts; None if it is not a time.

    Without an offset it is taken as UTC. Earlier versions stored years of less than four digits.
    """
    year, dash, rest = text.partition("-")
    try:
        moment = datetime.fromisoformat(f"{year.zfill(4)}{dash}{rest}")
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):  # the latter at the ends of the calendar
        return None


def _open(history: pd.DataFrame, decided: pd.DataFrame) -> list[str]:
    """Return the tied patches that no later batch has put to anyone since they tied."""
    tied = decided.loc[decided["tied"], "patch_id"].tolist()
    if not tied:
        return []
    answers = _timed(history[history["patch_id"].isin(tied)])
    of_patch = dict(list(answers.groupby("patch_id", sort=False)))
    return [patch for patch in tied if not _asked_since_tie(of_patch[patch])]


def _asked_since_tie(answers: pd.DataFrame) -> bool:
    """Return whether a further batch brought an answer to a patch after its labels had tied."""
    newest: dict[str, tuple[Any, str]] = {}
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


def with_answers(history: pd.DataFrame, answers: Sequence[Answer]) -> pd.DataFrame:
    """Return the history that a store has after ``append``, with the ``seq`` that follow."""
    new = not_stored(answers, history)
    first = int(history["seq"].max()) + 1 if len(history) else 1
    rows = [[getattr(answer, name) for name in LABELS_COLUMNS] for answer in new]
    table = pd.DataFrame(rows, columns=list(LABELS_COLUMNS), dtype=object)
    table.insert(0, "seq", np.arange(first, first + len(new)))
    return pd.concat([history, table.astype({"round": np.int64})], ignore_index=True)


def not_stored(answers: Sequence[Answer], history: pd.DataFrame) -> list[Answer]:
    """Return the answers that are neither in the history nor earlier in ``answers``.

    ``history`` needs only the rows of the answers' patches; see ``LabelStore.append``.
    """
    equal: set[tuple[object, ...]] = set()
    newest: dict[tuple[str, str, str], tuple[object, object, str]] = {}

    def remember(key: tuple[str, str, str], value: tuple[object, object, str]) -> None:
        equal.add((*key, *value))
        if key not in newest or value[2] >= newest[key][2]:
            newest[key] = value

    for row in history.itertuples(index=False):
        key = (row.patch_id, row.annotator, row.batch_id)
        remember(key, (row.label, row.comment, row.labelled_at))
    new = []
    for answer in answers:
        key = (answer.patch_id, answer.annotator, answer.batch_id)
        value = (answer.label, answer.comment, answer.labelled_at)
        is_known = (*key, *value) in equal
        if not answer.stamped and key in newest:
            *said, moment = newest[key]
            # an equal one of the same second counts no more where another has replaced it since
            is_known = tuple(said) == value[:2] or (is_known and moment > value[2])
        if is_known:
            continue
        remember(key, value)
        new.append(answer)
    return new


def reprojected(
    polygons: Iterable[shapely.Polygon], source: CRS, target: CRS
) -> list[shapely.Polygon]:
    """Return polygons in another CRS, in one piece where they lie on the antimeridian."""
    if source == target:
        return list(polygons)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        near = None if same_datum(source, target) else place_of(source, *points[0].tolist())
        moved = reproject(points, source, target, near)
        if is_in_degrees(target) and not is_in_degrees(source):
            moved[:, 0] = turned(moved[:, 0], moved[0, 0])
        return moved

    return [shapely.transform(polygon, move) for polygon in polygons]
