"""The pool of a search: its patches, and what all rounds share of what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Scores, constant
from owl_geo.acquisition.nearby import Neighbours, Part, near_known
from owl_geo.acquisition.relevance import Evidence, LearnedRelevance, RelevanceKind, learn_relevance
from owl_geo.concepts.encoding import Encoded, encode
from owl_geo.ground.blocks import ground_blocks
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.windows import PoolWindows
from owl_geo.search.askable import askable, best_first
from owl_geo.search.records import Answers
from owl_geo.settings.choices import RELEVANCE, chosen
from owl_geo.settings.config import Settings
from owl_geo.sources.base import PatchSource
from owl_geo.types import BandStatistics, BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Threads, Workers

if TYPE_CHECKING:  # torch and scikit-learn take seconds to import; a run is opened without them
    from owl_geo.features.rows import FeatureRows
    from owl_geo.models.devices import Device

_MAP_WIDTH = 8  # principal components; k-means and distances work best with few
_FOLLOWED_PATCHES = 1000  # whose predictions are followed from round to round
_TRANSFORMED = 1_000_000  # centres of patches at a time
_FOLD_BLOCKS = 50  # blocks of ground by which cross-validation divides the answers


class Purpose(IntEnum):
    """What random numbers are for; each purpose has its own stream in each round."""

    WEIGHTS = 0
    LEARN = 1
    CHOICE = 2
    SCORE = 3
    AUDIT = 4
    FEATURES = 5
    FOLDS = 6
    FOLLOWED = 7
    CANDIDATES = 8
    LIKENESS = 9


class Pool:
    """The patches of one run, and what is computed from them once, when it is first needed.

    Args:
        settings: settings of the run.
        patches: the patch index with one column per concept, in the source's order.
        source: the pixels.
        statistics: statistics of the bands.
        truth: patch_id, label, held_out, tested in index order; None without an oracle.
        device: where networks learn and score; looked for only if there is one.
        keep: a folder for features, in one that is there, or None.
        scene_ids: for each scene, an id that changes with its patches or pixels, for kept features.
        workers: what reads and computes over the pool; by default threads of this process.
        report: takes the name of a long task, and returns the function that reports its progress.
        n_encoded: patches, from the first, that the concepts' encoding is fitted on; None = all.
        n_scaled: patches, from the first, that features are scaled by; None = all. The kept
            features of other scenes then stay valid.
        places_once: whether no two patches show one place; else that is looked for.
    """

    def __init__(
        self,
        settings: Settings,
        patches: pd.DataFrame,
        source: PatchSource,
        statistics: BandStatistics,
        truth: pd.DataFrame | None = None,
        *,
        device: Device,
        keep: Path | None = None,
        scene_ids: Mapping[str, str] | None = None,
        workers: Workers | None = None,
        report: Reporter = silent,
        n_encoded: int | None = None,
        n_scaled: int | None = None,
        places_once: bool = False,
    ) -> None:
        self.settings = settings
        self.patches = patches
        self.source = source
        self.truth = truth
        self.statistics = statistics
        self.device = device
        self._keep = keep
        self._scene_ids = scene_ids
        self.workers = workers or Threads()
        self.report = report
        self._n_encoded = n_encoded
        self._n_scaled = n_scaled
        self._places_once = places_once

    def work_for(self, workers: Workers | None, report: Reporter) -> None:
        """Let others do the pool's work from now on, and others be told of it."""
        self.workers = workers or Threads()
        self.report = report

    @cached_property
    def features(self) -> FeatureRows:
        """The model's features, or spectral statistics for a model that computes its own."""
        from owl_geo.features.table import feature_table

        return feature_table(
            self.source,
            self.statistics,
            self.settings.model,
            device=self.device,
            seed=self.seed(0, Purpose.FEATURES),
            keep=self._keep,
            scene_ids=self._scene_ids,
            n_scaled=self._n_scaled,
            workers=self.workers,
            progress=self.report("Features"),
        )

    @cached_property
    def concepts(self) -> Encoded:
        """The concepts of every patch as numbers."""
        return encode(self.concept_table, self._n_encoded)

    @property
    def positive(self) -> int:
        """The number of the class that the search is for."""
        return self.settings.classes.index(self.settings.positive)

    def askable(self, answers: Answers) -> BoolArray:
        """Return which patches may be labelled, bool ``(N,)``; see ``askable``."""
        return askable(self.patches, self.shared, self.truth, answers.closed, answers.again)

    def worth_scoring(self, pool: IntArray, answers: Answers, number: int) -> Part:
        """Return the pool, or the part of a large one that a model should score."""
        most = self.settings.acquisition.candidates
        if not 0 < most < len(pool):
            return Part.whole(pool)
        rng = np.random.default_rng(self.seed(number, Purpose.CANDIDATES))
        return near_known(self.map, answers.positions, pool, most, rng, self.neighbours)

    def relevance(self, answers: Answers, positions: IntArray) -> Scores:
        """Return the relevance of some patches, ``(n,)``."""
        weights = self.settings.acquisition.weights
        if not self.settings.concepts and not weights:
            return constant(1.0, len(positions))
        kind: RelevanceKind = chosen(RELEVANCE, self.settings.acquisition.relevance)
        of_all = kind.of(
            Evidence(
                self.concept_table,
                lambda: (self.concepts.matrix, self.concepts.names),
                weights,
                answers.positions,
                answers.labels == self.positive,
            )
        )
        return of_all[positions]

    @cached_property
    def neighbours(self) -> Neighbours:
        """What rounds have found of the neighbours of answered patches in a large pool."""
        return Neighbours(self.map)

    @cached_property
    def map(self) -> FloatArray:
        """Principal components of the features, float32 ``(N, 8)``: similar patches are close."""
        if len(self.features) < 2:  # a single patch has no variance
            return np.zeros((len(self.features), 1), dtype=np.float32)
        return self.features.components(_MAP_WIDTH, self.workers)

    @cached_property
    def followed(self) -> IntArray:
        """The positions of up to 1,000 patches whose predictions are followed."""
        rng = np.random.default_rng(self.seed(0, Purpose.FOLLOWED))
        order = rng.permutation(len(self.patches))
        return np.sort(order[self.shows_each_place_once[order]][:_FOLLOWED_PATCHES])

    @cached_property
    def fold_blocks(self) -> IntArray:
        """The block of ground of each patch, by which the answers are divided, ``(N,)``."""
        return ground_blocks(self.windows, _FOLD_BLOCKS)

    @cached_property
    def windows(self) -> PoolWindows:
        """The windows of the patches, in the order of the index."""
        return PoolWindows.from_index(self.patches, self.source.grids, self.source.patch_size)

    @cached_property
    def shared(self) -> SharedGround | None:
        """Which patches show the same place; None where none do."""
        return None if self._places_once else SharedGround(self.windows)

    @cached_property
    def shows_each_place_once(self) -> BoolArray:
        """Which patches to count so that no place counts twice, ``(N,)``."""
        if self.shared is None:
            return np.ones(len(self.patches), dtype=bool)
        return self.shared.once(best_first(self.patches))

    @cached_property
    def places(self) -> Scores:
        """Centres of the patches in metres from the Earth's centre, ``(N, 3)``, in any CRS."""
        return _centres(self.windows)

    @cached_property
    def places_in_patches(self) -> FloatArray:
        """Centres of the patches relative to their mean, in edge lengths of a patch, ``(N, 3)``."""
        sample = np.linspace(0, len(self.patches) - 1, min(len(self.patches), 100)).astype(int)
        here = self.windows.take(sample)
        ends = [
            windows.centres_on_earth() for windows in (here, here.shifted_down(here.patch_size))
        ]
        with np.errstate(invalid="ignore"):  # the row below the last may not be on Earth
            edge = float(np.nanmedian(np.linalg.norm(ends[1] - ends[0], axis=1)))
        # not kept: of a large pool, they take more memory than all else but the features
        places = self.places.copy() if "places" in vars(self) else _centres(self.windows)
        places -= places.mean(axis=0)
        places /= edge
        return places.astype(np.float32)

    @cached_property
    def concept_table(self) -> pd.DataFrame:
        """The columns of the concepts, a row per patch."""
        return pd.DataFrame(self.patches[list(self.settings.concepts)])

    def seed(self, number: int, purpose: Purpose) -> int:
        """Return a seed that depends only on the run's seed, the round and the purpose."""
        sequence = np.random.SeedSequence([self.settings.seed, number, purpose])
        return int(sequence.generate_state(1)[0])


def _centres(windows: PoolWindows) -> Scores:
    """Return the centres of windows, ``(N, 3)``, some at a time: transforming them takes memory."""
    centres = np.empty((len(windows), 3))
    for start in range(0, len(windows), _TRANSFORMED):
        part = slice(start, start + _TRANSFORMED)
        centres[part] = windows.take(part).centres_on_earth()
    return centres


def relevance_model(
    settings: Settings, concepts: pd.DataFrame, answers: Answers, n_encoded: int | None
) -> LearnedRelevance:
    """Return what the answers say about the concepts (N rows), starting from the given weights.

    ``n_encoded`` is what a ``Search`` has.
    """
    encoded = encode(concepts, n_encoded)
    return learn_relevance(
        concepts,
        encoded.matrix,
        encoded.names,
        settings.acquisition.weights,
        answers.positions,
        answers.labels == settings.classes.index(settings.positive),
    )
