"""What a run stores as JSON, its rounds and its index, with checks when it is read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from pyproj.exceptions import CRSError

from owl_geo.ground.crs import crs_of
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.schema import REVIEW
from owl_geo.sources.file_states import FileRecord
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.types import BandOrigin, BandStatistics, SceneGrid

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

# What reading the values of damaged or foreign JSON raises.
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError),
    CRSError,
)


BatchKind = Literal["chosen", "review", "like"]  # by the strategy, the probabilities, or likeness
# what the id of a batch ends in
_MARKS: Mapping[BatchKind, str] = {"chosen": "", "review": REVIEW, "like": "-like"}


def batch_name(run_id: str, number: int, kind: BatchKind = "chosen") -> str:
    """Return the id of a round's batch, which also marks the answers to a review for ever."""
    return f"{run_id}-{number:03d}{_MARKS[kind]}"


def is_review(batch_id: str) -> bool:
    """Return whether a batch, of this run or another, was a review of predictions."""
    return batch_id.endswith(REVIEW)


@dataclass(frozen=True)
class Round:
    """The batch of one round, and what was known when it was chosen."""

    number: int  # 0 is the first batch
    batch_id: str | None  # None: a last fit on all answers, without a batch
    patch_ids: tuple[str, ...]  # the batch, most wanted first
    answers_seen: int  # sequence number of the newest answer that the model was fitted to
    metrics: RoundMetrics
    # patches drawn at random: their probability, NaN without a model; annotators need not see it
    audit: Mapping[str, float] = field(repr=False)
    # predicted classes of the patches that are followed from round to round
    watched: tuple[int, ...] = field(repr=False)
    # by annotator, the positions in patch_ids of their part; empty for an undivided batch
    team: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    # a digest of what cv_auc depends on, as long as that has not been measured; None afterwards,
    # and where there is nothing to measure
    unmeasured: str | None = None
    # targets that the model expected among all that could be asked, if it could tell
    expected: float | None = None

    @property
    def kind(self) -> BatchKind:
        """What the batch was chosen by; ``chosen`` also without a batch."""
        ends = (self.batch_id or "").endswith
        return next((kind for kind, mark in _MARKS.items() if mark and ends(mark)), "chosen")

    @property
    def is_review(self) -> bool:
        """Whether the batch holds what the model takes for targets, for people to check."""
        return self.kind == "review"

    def to_json(self) -> str:
        """Return the text of round.json."""
        values: dict[str, object] = {
            "round": self.number,
            "batch_id": self.batch_id,
            "answers_seen": self.answers_seen,
            "metrics": self.metrics.to_json(),
            "patch_ids": list(self.patch_ids),
            "audit": {name: None if math.isnan(p) else p for name, p in self.audit.items()},
            "watched": list(self.watched),
            "team": {name: list(ranks) for name, ranks in self.team.items()},
        }
        if self.unmeasured is not None:
            values["unmeasured"] = self.unmeasured
        if self.expected is not None:
            values["expected"] = self.expected
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Round:
        """Read round.json back; raises one of ``DAMAGE`` for anything else."""
        values = json.loads(text)
        batch_id = values["batch_id"]
        return cls(
            number=_typed(values["round"], int),
            batch_id=None if batch_id is None else _typed(batch_id, str),
            patch_ids=tuple(_typed(patch, str) for patch in _typed(values["patch_ids"], list)),
            answers_seen=_typed(values["answers_seen"], int),
            metrics=RoundMetrics.from_json(values["metrics"]),
            audit={
                name: math.nan if p is None else float(p) for name, p in values["audit"].items()
            },
            watched=_watched(values["watched"]),
            team={
                name: tuple(_typed(rank, int) for rank in ranks)
                for name, ranks in _typed(values.get("team", {}), dict).items()
            },
            unmeasured=_typed(values["unmeasured"], str) if "unmeasured" in values else None,
            expected=_typed(values["expected"], float) if "expected" in values else None,
        )

    def measured(self, text: str) -> Round:
        """Return the round with what was measured later, as ``later_text`` wrote it.

        Raises one of ``DAMAGE`` for anything else.
        """
        cv_auc = _typed(json.loads(text), dict)["cv_auc"]
        number = math.nan if cv_auc is None else _typed(cv_auc, float)
        return replace(self, metrics=replace(self.metrics, cv_auc=number), unmeasured=None)


def in_order_asked(answered: pd.DataFrame, rounds: Sequence[Round]) -> pd.DataFrame:
    """Return the rows of patches in the order in which rounds asked for them, by rank.

    Those that nobody asked for, such as imported ones, come first, by their names. So the order
    does not depend on whose answers came first.
    """
    asked = (name for entry in rounds for name in entry.patch_ids)
    place = {name: number for number, name in enumerate(asked)}  # the last, of one asked again
    names = answered["patch_id"].tolist()
    order = sorted(range(len(names)), key=lambda row: (place.get(names[row], -1), names[row]))
    return answered.iloc[order]


def later_text(cv_auc: float) -> str:
    """Return the text of the file of what was measured after a round was written."""
    return json.dumps({"cv_auc": None if math.isnan(cv_auc) else cv_auc}) + "\n"


def _watched(value: object) -> tuple[int, ...]:
    """Return the class numbers, even if an older version wrote them as one string of digits.

    With more than ten classes such digits are ambiguous; there are then more of them than patches,
    and the next round does not compare itself with them.
    """
    if isinstance(value, str):
        return tuple(int(digit) for digit in value)
    return tuple(_typed(number, int) for number in _typed(value, list))


@dataclass(frozen=True)
class IndexRecord:
    """What index.json records about the patch index."""

    made_from: str  # digest of the settings that it was made from
    made_from_elsewhere: str | None  # the same wherever the files are; older runs lack it
    scenes: Mapping[str, Sequence[Any]]  # each scene's grid as ``grid_record`` returned it
    statistics: BandStatistics
    parts: tuple[int, ...]  # number of patches at first, and after each addition of scenes
    since: int  # the first round that could choose from today's whole pool
    files: Mapping[str, list[list[FileRecord]]]  # state of each scene's files, path by path
    places_once: bool = False  # whether it is known that no place is there twice
    scaled: bool = True  # whether concepts and truth have the scale and offset of their rasters
    views: Mapping[str, ViewLevels] = field(default_factory=dict)  # what is written down of each
    # state of each view's files, path by path
    view_files: Mapping[str, list[list[FileRecord]]] = field(default_factory=dict)
    made_with: Mapping[str, Any] | None = None  # those settings; older runs lack them
    positive: str | None = None  # the class that is searched for; older runs lack it

    @classmethod
    def read(cls, path: Path) -> IndexRecord:
        """Read and check the file; raises one of ``DAMAGE``."""
        values = json.loads(path.read_text(encoding="utf-8"))
        scenes = _typed(values["scenes"], dict)
        for name, scene in scenes.items():
            grid_of(name, scene)
        statistics = _statistics(values["statistics"])
        return cls(
            made_from=values["made_from"],
            # older runs lack the following
            made_from_elsewhere=values.get("made_from_elsewhere"),
            made_with=_typed(values["made_with"], dict) if "made_with" in values else None,
            positive=_typed(values.get("made_for", {}), dict).get("positive"),
            scenes=scenes,
            statistics=statistics,
            parts=tuple(_typed(n, int) for n in values.get("parts", ())),
            since=_typed(values.get("since", 0), int),
            files=_typed(values.get("files", {}), dict),
            places_once=values.get("places_once") is True,
            scaled=values.get("scaled") is True,
            **_views(_typed(values.get("views", {}), dict), statistics),
        )

    @cached_property
    def grids(self) -> dict[str, SceneGrid]:
        """The pixel grid of each scene when it was indexed."""
        return {name: grid_of(name, scene) for name, scene in self.scenes.items()}


def _views(values: Mapping[str, Any], statistics: BandStatistics) -> dict[str, Any]:
    """Return the levels of views and the states of their files, which fit the bands."""
    levels = {name: ViewLevels.from_json(view) for name, view in values.items()}
    if set(levels) != set(statistics.views):
        raise ValueError("the views are not those of the bands")
    for name, one in levels.items():
        sizes = (len(statistics.of(name, what)) for what in ("values", "change", "seen"))
        if tuple(sizes) != (len(one.fill), one.k, 1):
            raise ValueError(f"the levels of {name} are not those of its bands")
    return {
        "views": levels,
        "view_files": {name: _typed(view["files"], list) for name, view in values.items()},
    }


def views_record(
    levels: Mapping[str, ViewLevels], files: Mapping[str, list[list[FileRecord]]]
) -> dict[str, Any]:
    """Return the views as JSON values, by name."""
    return {name: {**view.to_json(), "files": files[name]} for name, view in levels.items()}


def statistics_record(statistics: BandStatistics) -> dict[str, Any]:
    """Return the statistics as JSON values."""
    origins = [[origin.view, origin.what, origin.common] for origin in statistics.origins]
    return {
        "bands": list(statistics.bands),
        "median": statistics.median.tolist(),
        "scale": statistics.scale.tolist(),
        "n_patches": statistics.n_patches,
        "by_product": statistics.by_product,
        **({"common_names": statistics.common_names} if statistics.common_names else {}),
        **({"origins": origins} if origins else {}),
    }


def _origin(values: Sequence[Any]) -> BandOrigin:
    view, what, common = values
    if what not in ("values", "change", "seen"):
        raise ValueError(f"a band of a view is {str(what)[:80]!r}")
    return BandOrigin(_typed(view, str), what, None if common is None else _typed(common, str))


def _statistics(values: Mapping[str, Any]) -> BandStatistics:
    bands = tuple(_typed(name, str) for name in values["bands"])
    terms = {name: np.array(values[name], dtype=np.float32) for name in ("median", "scale")}
    for name, numbers in terms.items():
        if numbers.shape != (len(bands),) or not np.isfinite(numbers).all():
            raise ValueError(f"{name} is not one number per band")
    commons = tuple(_typed(name, str) if name else None for name in values.get("common_names", ()))
    if commons and len(commons) != len(bands):
        raise ValueError("common_names are not one per band")
    origins = tuple(_origin(one) for one in values.get("origins", ()))
    if origins and len(origins) != len(bands):
        raise ValueError("origins are not one per band")
    n_patches = _typed(values["n_patches"], int)
    by_product = values.get("by_product") is True
    centre, spread = terms["median"], terms["scale"]
    return BandStatistics(bands, centre, spread, n_patches, commons, origins, by_product)


def grid_of(name: str, record: Sequence[Any]) -> SceneGrid:
    """Return the grid from what ``grid_record`` returned; raises one of ``DAMAGE``."""
    crs, a, b, c, d, e, f, height, width = record
    crs_of(_typed(crs, str))  # raises if it is not a CRS
    transform = (float(a), float(b), float(c), float(d), float(e), float(f))
    if not np.isfinite(transform).all():
        raise ValueError("a transform is not finite")
    return SceneGrid(name, crs, transform, _typed(height, int), _typed(width, int))


def grid_record(grid: SceneGrid) -> list[Any]:
    """Return the grid as JSON values, to compare later with that of the scene's file."""
    return [grid.crs, *grid.transform, grid.height, grid.width]


def _typed(value: object, kind: type[T]) -> T:
    """Return the value if it is of this kind; raises TypeError."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:80]!r} is not of type {kind.__name__}")
    return value
