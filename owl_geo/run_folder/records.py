"""What a run writes down as JSON, its rounds and its index, and checks when it reads that back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pyproj.exceptions import CRSError

from owl_geo.ground.projections import crs_of
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.types import SceneGrid

T = TypeVar("T")

# What JSON that is damaged, or somebody else's, raises where its values are taken apart.
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError),
    CRSError,
)


@dataclass(frozen=True)
class Round:
    """What one round asked, and what was known when it did."""

    number: int  # 0 is the first batch, before there is a model
    batch_id: str | None  # None: a last fit on all answers, nothing asked
    patch_ids: tuple[str, ...]  # the batch, most wanted first
    answers_seen: int  # sequence number of the newest answer that the model knows
    metrics: RoundMetrics
    # patches drawn at random: what the model gave them, nan = no model; annotators need not see it
    audit: Mapping[str, float] = field(repr=False)
    watched: tuple[int, ...] = field(
        repr=False
    )  # predicted classes of the patches that are followed
    # by annotator, which of patch_ids are in that part; empty for a batch that was not dealt out
    team: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of round.json."""
        values = {
            "round": self.number,
            "batch_id": self.batch_id,
            "answers_seen": self.answers_seen,
            "metrics": self.metrics.to_json(),
            "patch_ids": list(self.patch_ids),
            "audit": {name: None if math.isnan(p) else p for name, p in self.audit.items()},
            "watched": list(self.watched),
            "team": {name: list(places) for name, places in self.team.items()},
        }
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Round:
        """Read round.json back; raises one of ``DAMAGE`` for what it is not."""
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
                name: tuple(_typed(place, int) for place in places)
                for name, places in _typed(values.get("team", {}), dict).items()
            },
        )


def _watched(value: object) -> tuple[int, ...]:
    """Return the class numbers, also of a round that an older version wrote as one digit each.

    Where it had more than ten classes its digits cannot be told apart again; they are then more
    than there are patches, and the next round compares nothing with them.
    """
    if isinstance(value, str):
        return tuple(int(digit) for digit in value)
    return tuple(_typed(number, int) for number in _typed(value, list))


def index_record(values: dict[str, Any]) -> dict[str, Any]:
    """Return what index.json says, checked; raises one of ``DAMAGE``."""
    record = {name: values[name] for name in ("made_from", "scenes", "statistics")}
    for name, scene in _typed(record["scenes"], dict).items():
        grid_of(name, scene)
    statistics = record["statistics"]
    bands = [_typed(name, str) for name in statistics["bands"]]
    for name in ("median", "scale"):
        terms = np.array(statistics[name], dtype=np.float32)
        if terms.shape != (len(bands),) or not np.isfinite(terms).all():
            raise ValueError(f"{name} is not one number a band")
    _typed(statistics["n_patches"], int)
    return record | {
        "parts": [_typed(n, int) for n in values.get("parts", ())],
        "since": _typed(values.get("since", 0), int),
        # runs that were made before these were kept lack them
        "made_from_elsewhere": values.get("made_from_elsewhere"),
        "files": _typed(values.get("files", {}), dict),
    }


def grid_of(name: str, record: Sequence[Any]) -> SceneGrid:
    """Return the grid that ``grid_record`` wrote down; raises one of ``DAMAGE``."""
    crs, a, b, c, d, e, f, height, width = record
    crs_of(_typed(crs, str))  # raises where it is none
    transform = (float(a), float(b), float(c), float(d), float(e), float(f))
    if not np.isfinite(transform).all():
        raise ValueError("a transform is not finite")
    return SceneGrid(name, crs, transform, _typed(height, int), _typed(width, int))


def grid_record(grid: SceneGrid) -> list[Any]:
    """Return what tells whether a scene is still the one that was indexed, as JSON keeps it."""
    return [grid.crs, *grid.transform, grid.height, grid.width]


def _typed(value: object, kind: type[T]) -> T:
    """Return the value if it is of this kind; raises TypeError."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:80]!r} is no {kind.__name__}")
    return value
