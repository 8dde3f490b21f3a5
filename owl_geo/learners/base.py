"""What a learner is given, what it returns, and what it must be able to do."""

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
    """What any learner may use; arrays are in the order of the index."""

    source: PatchSource
    workers: Workers
    statistics: BandStatistics
    concepts: FloatArray  # float32 (N, k), encoded and scaled; k may be 0
    places: FloatArray  # float32 (N, dimensions), relative positions in units of a patch


@dataclass(frozen=True)
class Lesson:
    """The losses of one call of ``learn``, in nats; not-a-number if there is none."""

    train_loss: float
    meta_query_loss: float


class Learner(Protocol):
    """A model of any kind, as samplers and the loop see it."""

    goes_on: bool  # learning continues from earlier weights, so these must be restored first

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
            positions: the positions of the patches in the index, in any order.
            labels: their class numbers.
            fresh: which answers are new since the last call.
            seed: the seed of every random number drawn.
            progress: called as the fit proceeds.
        """

    def members(
        self, positions: IntArray, *, seed: int, progress: Progress | None = None
    ) -> FloatArray:
        """Return probabilities, float32 ``(members, n, classes)``, of patches at sorted positions.

        The mean over the members is the prediction; where they differ, the model is unsure.
        """

    def save(self, path: Path) -> None:
        """Write one safetensors file with the spec in its header; raises OSError."""

    def restore(self, path: Path) -> None:
        """Load what ``save`` wrote.

        Raises RunError if the file is missing or damaged, is not a model of owl-geo, or was made
        for another search.
        """
