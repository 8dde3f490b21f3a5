"""What a learner is given, what it says, and what it must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from owl_geo.sources.base import PatchSource
from owl_geo.types import BandStatistics, BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Workers


@dataclass(frozen=True)
class Material:
    """What any learner may look at, all of it in the order of the index."""

    source: PatchSource
    workers: Workers
    statistics: BandStatistics
    concepts: FloatArray  # float32 (N, k), encoded and scaled; k may be 0
    places: FloatArray  # float32 (N, dimensions), where patches lie to each other, in patches


@dataclass(frozen=True)
class Lesson:
    """What came of one call of ``learn``; nats, not-a-number where there is nothing to say."""

    train_loss: float
    meta_query_loss: float


class Learner(Protocol):
    """A model of whatever kind, as samplers and the loop see it."""

    goes_on: bool  # learning starts from what was learnt before, so that is to be restored first

    def learn(
        self,
        positions: IntArray,
        labels: IntArray,
        fresh: BoolArray,
        seed: int,
        progress: Progress | None = None,
    ) -> Lesson:
        """Fit on all answered patches, each ``(n,)``.

        Args:
            positions: of the patches in the index, in any order.
            labels: numbers of their classes.
            fresh: which answers are new since the last call.
            seed: of every random number drawn.
            progress: told how far the fit is.
        """

    def members(
        self, positions: IntArray, *, seed: int, progress: Progress | None = None
    ) -> FloatArray:
        """Return probabilities, float32 ``(members, n, classes)``, of patches at SORTED positions.

        The mean over the members is the prediction; where they differ, the model is unsure.
        """

    def save(self, path: Path) -> None:
        """Write one safetensors file with the spec in its header; raises OSError."""

    def restore(self, path: Path) -> None:
        """Take over what ``save`` wrote.

        Raises RunError where the file is missing, damaged, foreign, or made for another search.
        """
