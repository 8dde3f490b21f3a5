"""What a strategy knows about the patches it may choose from, and how it scores each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.types import FloatArray, IntArray

Scores = NDArray[np.float64]


def _no_rows() -> FloatArray:
    return np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Candidates:
    """The patches that may be asked, and what is known about the answered ones.

    Raises ValueError if two fields differ in their number of rows.
    """

    concepts: pd.DataFrame  # one row per candidate, one column per concept
    members: NDArray[np.floating] | None = None  # (members, n, classes); None = no model was used
    positive: int = -1  # number of the class that is searched for
    relevance: Scores | None = None  # (n,); None = the product of the sampler's own weights
    features: FloatArray = field(default_factory=_no_rows)  # (n, d), for diverse batches
    places: Scores | None = None  # (n, dimensions) in metres, for distances on the ground
    known_features: FloatArray = field(default_factory=_no_rows)  # (k, d), of answered patches
    known_labels: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # (k,)
    spent: float = 0.0  # share of the planned rounds that are over, 0 to 1

    def __post_init__(self) -> None:
        n = len(self.concepts)
        if self.members is not None and (self.members.ndim != 3 or self.members.shape[1] != n):
            raise ValueError(
                f"{n} candidates, but members have the shape {self.members.shape}, not "
                "(members, candidates, classes)"
            )
        for name in ("relevance", "places"):
            rows = getattr(self, name)
            if rows is not None and len(rows) != n:
                raise ValueError(f"{n} candidates, but {len(rows)} rows of {name}")

    def __len__(self) -> int:
        return len(self.concepts)

    def __getitem__(self, rows: IntArray) -> Candidates:
        """Return the candidates at ``rows``, ``(k,)``, in that order."""
        return replace(
            self,
            concepts=self.concepts.iloc[rows],
            members=None if self.members is None else self.members[:, rows],
            relevance=None if self.relevance is None else self.relevance[rows],
            features=self.features[rows],
            places=None if self.places is None else self.places[rows],
        )

    @property
    def probability(self) -> Scores:
        """The probability of the positive class, ``(n,)``; not-a-number if no model was used."""
        if self.members is None:
            return constant(math.nan, len(self))
        return np.asarray(self.members.mean(axis=0)[:, self.positive], dtype=np.float64)

    @property
    def n_found(self) -> int:
        """How many answers are of the positive class."""
        return int((self.known_labels == self.positive).sum())

    @property
    def one_class_only(self) -> bool:
        """Whether the answers so far, if any, cannot teach a model to separate classes."""
        return len(np.unique(self.known_labels)) < 2


def constant(value: float, n: int) -> Scores:
    """Return one value for each of n candidates, read only; a pool of millions takes no memory."""
    return np.broadcast_to(np.float64(value), (n,))


@dataclass(frozen=True)
class Terms:
    """The score of each candidate and what it is made of, each float64 ``(n,)``.

    ``schema.WHY_COLUMNS`` names the fields that a batch shows.
    """

    score: Scores
    uncertainty: Scores  # in the measure's unit; not-a-number if no model was used
    relevance: Scores  # 0 or more, 1 = neutral
    probability: Scores  # of the positive class; not-a-number if no model was used

    def __getitem__(self, rows: IntArray) -> Terms:
        """Return the terms of the candidates at ``rows``, ``(k,)``, in that order."""
        return Terms(**{term.name: getattr(self, term.name)[rows] for term in fields(self)})
