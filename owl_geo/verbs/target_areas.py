"""How much ground is a target: what people answered, what the model predicts, what the audit says.

A patch that has an answer counts as that says, whatever other images of its place look like, and
any other if its probability reaches a threshold. The audit estimates the number of targets without
trusting the model, see ``measures.audit``; times the size of a patch, that is an area.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import geopandas as gpd
import numpy as np

from owl_geo.errors import ConfigError, check_number
from owl_geo.ground.areas import hectares
from owl_geo.ground.footprints import footprints
from owl_geo.ground.same_ground import SharedGround, have_gaps
from owl_geo.maps.areas import dissolved
from owl_geo.measures.audit import FEW, Estimate
from owl_geo.run_folder.folder import Run
from owl_geo.sources.base import find_positions
from owl_geo.types import FloatArray, IntArray
from owl_geo.verbs.prediction_folder import PredictionFolder
from owl_geo.verbs.status import status

THRESHOLD = 0.5  # of the probability, unless another is given
_SAMPLE = 1000  # patches by which the size of one is measured


@dataclass(frozen=True)
class TargetArea:
    """The ground of the targets in hectares; what several patches show counts once.

    Args:
        hectares: of all targets, answered or predicted.
        answered: of these, the ground that people answered.
        places: polygons that it is in; patches that are side by side make one.
        threshold: the probability from which a patch that has no answer counts.
        by_audit: of all targets, estimated from the audit, with its 95 % interval; None while there
            are too few audit answers, where patches overlap, so that their number says nothing
            about areas, and where only a part of the pool is predicted.
    """

    hectares: float
    answered: float
    places: int
    threshold: float
    by_audit: Estimate | None


def check_threshold(threshold: float) -> None:
    """Raise ConfigError unless it is a probability above 0."""
    check_number("threshold", threshold)
    if not 0 < threshold <= 1:
        raise ConfigError(f"the threshold is {threshold:g}, but it must be above 0 and at most 1")


class Targets:
    """The patches of the finished scenes that are targets.

    Args:
        folder: the predictions.
        threshold: the probability from which a patch that has no answer counts.
    """

    def __init__(self, folder: PredictionFolder, threshold: float) -> None:
        self._folder = folder
        self._threshold = threshold
        run, labels = folder.run, folder.model.labels.dropna()
        at = find_positions(run.patches, labels.index.tolist())
        known, labels = at[at >= 0], labels[at >= 0]
        is_answered, is_target = np.zeros((2, len(run.patches)), dtype=bool)
        is_answered[known] = True
        is_target[known] = labels == run.settings.positive
        may_count = ~is_answered  # an answer is one to the place, in whichever image it was given
        if run.index.shared is not None:
            may_count &= ~run.index.shared.shown_with(np.sort(known))
        positions, probability = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for here, table in chain.from_iterable(map(folder.parts, folder.finished)):
            of_part = table["probability"].to_numpy(dtype=np.float32)
            counts = is_target[here] | (may_count[here] & (of_part >= threshold))
            positions.append(here[counts])
            probability.append(of_part[counts])
        self._positions: IntArray = np.concatenate(positions)
        self._probability: FloatArray = np.concatenate(probability)
        self._answered = is_answered[self._positions]

    def areas(self) -> gpd.GeoDataFrame:
        """Return the polygons that they make together; see ``maps.areas.dissolved``."""
        run = self._folder.run
        windows = run.index.windows.take(self._positions)
        return dissolved(windows, self._probability, self._answered, run.crs)

    def area(self, areas: gpd.GeoDataFrame) -> TargetArea:
        """Return how much ground they are; ``areas`` is what the method of that name returned."""
        run = self._folder.run
        known = self._positions[self._answered]
        windows = run.index.windows.take(known)
        none = np.zeros(len(known), np.float32)
        answered = dissolved(windows, none, np.ones(len(known), bool), run.crs)
        found = float(answered["area_ha"].sum())
        return TargetArea(
            hectares=float(areas["area_ha"].sum()),
            answered=found,
            places=len(areas),
            threshold=self._threshold,
            by_audit=self._by_audit(found),
        )

    def _by_audit(self, found: float) -> Estimate | None:
        run = self._folder.run
        if len(self._folder.finished) < len(self._folder.scenes) or run.truth is not None:
            return None
        left, windows = status(run).left, run.index.windows
        if left is None or left.n_audit < FEW or not have_gaps(windows):
            return None
        if len(SharedGround(windows).overlaps()[0]):
            return None
        patch = _size_of_a_patch(run)
        return Estimate(
            *(found + patch * n for n in (left.left.value, left.left.low, left.left.high))
        )


def _size_of_a_patch(run: Run) -> float:
    """Return the mean area of the patches of a run in hectares, of a sample of them."""
    n = len(run.patches)
    sample = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
    some = footprints(run.index.windows.take(sample))
    return float(hectares(some.to_numpy(), some.crs).mean())
