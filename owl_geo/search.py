"""A search in memory: learn from the answers, score the pool, choose the next batch.

    answers -> learner (Reptile, fit) -> members -> terms -> batch, a part of it drawn at random

It reads only pixels from disk, and writes only the features that it keeps. Runs and the comparison
of strategies both use this code, so that what is compared is what is used. Every random number
depends on the run's seed, the round's number and a purpose, so that repeating a round gives the
same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Candidates, Scores, Terms
from owl_geo.acquisition.nearby import Neighbours, marked, near_known, some_of
from owl_geo.acquisition.relevance import (
    Evidence,
    LearnedRelevance,
    RelevanceKind,
    learn_relevance,
)
from owl_geo.acquisition.samplers import RandomSampler, Sampler
from owl_geo.acquisition.spread import Spread
from owl_geo.acquisition.start import Start, Unanswered
from owl_geo.acquisition.strategies import build_sampler
from owl_geo.concepts.encoding import Encoded, encode, fit_encoding
from owl_geo.errors import RunError
from owl_geo.ground.blocks import ground_blocks
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.windows import PoolWindows
from owl_geo.learners.base import Learner, Lesson, Material
from owl_geo.measures.audit import FEW_OF_A_CLASS
from owl_geo.measures.metrics import average_precision, expected_calibration_error, roc_auc
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.measures.validation import blocked_cv_auc
from owl_geo.settings.choices import RELEVANCE, STARTS, chosen
from owl_geo.settings.config import Settings
from owl_geo.sources.base import PatchSource
from owl_geo.types import BandStatistics, BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Progress, Reporter, silent
from owl_geo.work.workers import Threads, Workers

if TYPE_CHECKING:  # torch and scikit-learn take seconds to import; a run is opened without them
    from owl_geo.features.table import FeatureRows
    from owl_geo.models.devices import Device

# The purposes of random numbers; each purpose has its own stream in each round.
_WEIGHTS, _LEARN, _CHOICE, _SCORE, _AUDIT, _FEATURES, _FOLDS, _WATCHED, _CANDIDATES = range(9)
_LIKENESS = 9

_MAP_WIDTH = 8  # principal components; k-means and distances work best with few
_WATCHED_PATCHES = 1000  # whose predictions are followed from round to round
_TRANSFORMED = 1_000_000  # centres of patches at a time
COMMON = 0.1  # share of targets in the pool from which on fewer patches are drawn at random
_FOLD_BLOCKS = 50  # blocks of ground by which cross-validation divides the answers


@dataclass(frozen=True)
class Answers:
    """The answers so far, as positions in the index."""

    positions: IntArray  # patches answered with a class, (n,)
    labels: IntArray  # numbers of their classes, (n,)
    fresh: BoolArray  # which are new since the learner last learnt, (n,)
    closed: IntArray  # all answered patches, including the unsure and skipped
    # patches that must be labelled again because annotators disagree; the most urgent first
    again: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def none(cls) -> Answers:
        """Return no answers, as before the first batch."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, np.empty(0, bool), nothing)

    def are(self, others: Answers) -> bool:
        """Return whether the others are the same."""
        return all(np.array_equal(mine, vars(others)[name]) for name, mine in vars(self).items())


@dataclass(frozen=True)
class Batch:
    """The patches to label in a round, most wanted first; the terms have one row per patch."""

    positions: IntArray  # in the index, (k,)
    terms: Terms
    audited: BoolArray  # which were drawn at random from all patches that may be labelled, (k,)
    # targets among all that may be labelled, by the model; NaN where it did not score each of them
    expected: float = math.nan


@dataclass(frozen=True)
class TestScores:
    """How good the model is on held-out patches; NaN where that is not known."""

    auc: float  # ROC AUC of the positive class
    ap: float  # average precision of the positive class
    ece: float  # expected calibration error

    @classmethod
    def unknown(cls) -> TestScores:
        """Return the scores of a model that cannot be tested."""
        return cls(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Outcome:
    """The result of a round: what was learnt, the next batch, and how good the model is."""

    lesson: Lesson
    batch: Batch | None  # None if no batch was wanted
    test: TestScores | None  # None while there is no answer to learn from
    seconds: float  # spent on learning and choosing, without testing the model


class Search:
    """The pool of one run, and the steps of a round over it.

    Args:
        settings: settings of the run.
        patches: the patch index with one column per concept, in the source's order.
        source: the pixels.
        statistics: statistics of the bands.
        truth: patch_id, label, held_out, tested in index order; None without an oracle.
        device: where networks learn and score; looked for only if there is one.
        keep: a folder for features, or None.
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
        self._statistics = statistics
        self._device = device
        self._keep = keep
        self._scene_ids = scene_ids
        self._workers = workers or Threads()
        self._report = report
        self._n_encoded = n_encoded
        self._n_scaled = n_scaled
        self._places_once = places_once

    def work_for(self, workers: Workers | None, report: Reporter) -> None:
        """Let others do the pool's work from now on, and others be told of it."""
        self._workers = workers or Threads()
        self._report = report

    def prepare(self) -> None:
        """Compute what the next round needs whatever the answers are, and load its libraries.

        That is the features and, where the strategy compares patches, their map. A round does this
        by itself where it was not done before, with the same result.
        """
        learner = self.learner()
        settings, loop = self.settings.acquisition, self.settings.loop
        sampler = build_sampler(settings, self.settings.uncertainty.measure, 1, loop.rounds)
        if sampler.needs_features or 0 < settings.candidates < len(self.patches):
            _ = self._map
        if settings.min_distance > 0:
            _ = self._places
        _ = self._watched
        if not learner.goes_on and len(self.patches) > 1:
            two = np.array([0, 1])  # what two patches teach is thrown away
            learner.learn(two, two, two > 0, seed=0)

    @cached_property
    def features(self) -> FeatureRows:
        """The model's features, or spectral statistics for a model that computes its own."""
        from owl_geo.features.table import feature_table

        return feature_table(
            self.source,
            self._statistics,
            self.settings.model,
            device=self._device,
            seed=self._seed(0, _FEATURES),
            keep=self._keep,
            scene_ids=self._scene_ids,
            n_scaled=self._n_scaled,
            workers=self._workers,
            progress=self._report("Features"),
        )

    @cached_property
    def concepts(self) -> Encoded:
        """The concepts of every patch as numbers."""
        return fit_encoding(self._concept_table[: self._n_encoded]).encode(self._concept_table)

    @property
    def positive(self) -> int:
        """The number of the class that the search is for."""
        return self.settings.classes.index(self.settings.positive)

    def askable(self, answers: Answers) -> BoolArray:
        """Return which patches may be labelled, bool ``(N,)``; see ``askable``."""
        return askable(self.patches, self._shared, self.truth, answers.closed, answers.again)

    def learner(self) -> Learner:
        """Return a learner that has learnt nothing."""
        from owl_geo.learners.choice import build_learner

        model = self.settings.model
        material = Material(
            source=self.source,
            workers=self._workers,
            statistics=self._statistics,
            concepts=self.concepts.matrix,
            places=self._places_in_patches if model.neighbours else self._no_places,
        )
        return build_learner(
            self.settings,
            material,
            lambda: self.features,
            seed=self._seed(0, _WEIGHTS),
            device=self._device,
        )

    def resumed(self, before: Path | None) -> Learner:
        """Return the learner, restored from the previous round's file ``before`` if it goes on."""
        learner = self.learner()
        if before is not None and learner.goes_on:
            learner.restore(before)
        return learner

    def round(
        self,
        learner: Learner,
        answers: Answers,
        number: int,
        *,
        ask: bool,
        choose: Callable[[Search, Learner, Answers, int], Batch] | None = None,
    ) -> Outcome:
        """Do round ``number``: teach the learner all answers, choose the batch, test the model.

        Without ``ask``, no batch is chosen; ``choose`` takes the place of the method.
        """
        started = time.perf_counter()
        lesson = self.learn(learner, answers, number)
        batch = (choose or Search.choose)(self, learner, answers, number) if ask else None
        seconds = time.perf_counter() - started
        has_learnt = len(answers.labels) > 0
        return Outcome(lesson, batch, self.test(learner, number) if has_learnt else None, seconds)

    def learn(self, learner: Learner, answers: Answers, number: int) -> Lesson:
        """Teach the learner all answers, as round ``number`` does; the first may have none yet."""
        if number == 0 and len(answers.labels) == 0:
            return Lesson(math.nan, math.nan)
        return learner.learn(
            answers.positions,
            answers.labels,
            answers.fresh,
            self._seed(number, _LEARN),
            self._report("Learning"),
        )

    def members(
        self,
        learner: Learner,
        positions: IntArray,
        number: int,
        progress: Progress | None = None,
    ) -> FloatArray:
        """Return the predictions of the learner of round ``number``; see ``Learner.members``."""
        return learner.members(positions, seed=self._seed(number, _SCORE), progress=progress)

    def choose(self, learner: Learner, answers: Answers, number: int) -> Batch:
        """Choose the batch of round ``number``; 0 is the first.

        The strategy chooses once there is a model that can tell targets from others, and the start
        before; see ``_sampler``. A part of it, see ``_audit_share``, is drawn uniformly from all
        patches that may be labelled, and is mixed among the others at random: annotators should not
        know which patches these are. Patches that must be labelled again come first, and take up to
        half of the rest. In a pool of more than ``acquisition.candidates`` patches, only that many
        are scored or compared; see ``near_known``.
        """
        may_ask = self.askable(answers)
        pool = np.flatnonzero(may_ask)
        audit_rng = np.random.default_rng(self._seed(number, _AUDIT))
        loop, settings = self.settings.loop, self.settings.acquisition
        count = min(loop.query_budget if number else loop.initial, len(pool))
        rng = np.random.default_rng(self._seed(number, _CHOICE))
        start: Start = chosen(STARTS, settings.start)
        sampler = self._sampler(answers, number, start)
        knows = sampler is not None and sampler.needs_model and len(np.unique(answers.labels)) > 1
        share = self._audit_share(learner, answers, number) if knows else settings.audit_share
        drawn = pool[some_of(len(pool), partial(_share, share, count, audit_rng), audit_rng)]
        again = answers.again[may_ask[answers.again] & ~np.isin(answers.again, drawn)]
        again = again[: (count - len(drawn)) // 2]
        n_askable = len(pool)
        alike = sampler is None and start.compares and self.positive in answers.labels
        if alike or (sampler is not None and sampler.needs_model):
            worth = self.worth_scoring(pool, answers, number)
            pool = marked(len(may_ask), worth, drawn, again)
        audited, repeated = np.searchsorted(pool, drawn), np.searchsorted(pool, again)
        rest = np.delete(np.arange(len(pool)), np.concatenate([audited, repeated]))
        wanted = count - len(drawn) - len(again)
        if sampler is None:
            terms = RandomSampler().terms(self._candidates(None, answers, pool, number))
            among = Unanswered(
                terms.relevance[rest],
                lambda at: self._map[pool[rest[at]]],
                self._likeness(answers, pool[rest], number) if alike else None,
                self._places[pool[rest]] if settings.min_distance > 0 else None,
                Spread(settings.diversity, settings.min_distance),
            )
            best = start.choose(among, wanted, rng)
            uniform = start.is_uniform
        else:
            members = None
            if sampler.needs_model:
                members = self.members(learner, pool, number, self._report("Scoring"))
            mapped = sampler.needs_features
            candidates = self._candidates(members, answers, pool, number, mapped=mapped)
            terms = sampler.terms(candidates)
            best = sampler.choose(terms[rest], _rows(candidates, rest), wanted, rng)
            uniform = sampler.is_uniform
        batch, is_audit = _mixed(np.concatenate([repeated, rest[best]]), audited, audit_rng)
        drawn_at_random = is_audit | (uniform & ~np.isin(batch, repeated))
        scored_all = knows and len(pool) == n_askable
        expected = float(terms.probability.sum()) if scored_all else math.nan
        return Batch(pool[batch], terms[batch], drawn_at_random, expected)

    def _audit_share(self, learner: Learner, answers: Answers, number: int) -> float:
        """Return the share of a batch that is drawn at random.

        That is ``audit_common`` where the model takes a tenth or more of what may be labelled for
        targets, and else ``audit_share``. The estimates from the draw stay as they are: they do not
        ask why a round drew as many as it did.
        """
        settings = self.settings.acquisition
        if settings.audit_common is None or settings.audit_common >= settings.audit_share:
            return settings.audit_share
        some = self._watched[self.askable(answers)[self._watched]]
        if len(some) == 0:
            return settings.audit_share
        mean = self.members(learner, some, number).mean(axis=(0, 1), dtype=np.float64)
        return settings.audit_common if mean[self.positive] >= COMMON else settings.audit_share

    def taken_for_targets(
        self,
        learner: Learner,
        answers: Answers,
        number: int,
        threshold: float,
        settled: IntArray,
    ) -> Batch:
        """Return all patches that the model of round ``number`` takes for targets, for a review.

        Their probability is ``threshold`` or more, and they have no answer, or that of another
        class; the most probable come first. Unsure and skipped patches are not asked again, nor are
        those at the positions ``settled`` or held out, and each place is there once. Raises
        RunError if there are none.
        """
        others = np.setdiff1d(answers.positions[answers.labels != self.positive], settled)
        closed = np.setdiff1d(answers.closed, others)
        closed = np.union1d(closed, settled)
        again = np.concatenate([np.setdiff1d(answers.again, settled), others])
        pool = np.flatnonzero(askable(self.patches, self._shared, self.truth, closed, again))
        probability, doubt = self._opinions(learner, pool, number)
        order = np.argsort(-probability, kind="stable")
        order = order[probability[order] >= threshold]
        if len(order) == 0:
            name = self.settings.positive
            highest = math.floor(probability.max(initial=0) * 1000) / 1000
            most = f"; the highest is {highest:g}"
            raise RunError(
                f"no patch that is left to review has a probability of {threshold:g} or more of "
                f"{name}{most if len(probability) else ''}",
                remedy="lower --threshold, or go on with `owl-geo query`",
            )
        positions = pool[order]
        terms = Terms(
            score=probability[order],
            uncertainty=doubt[order],
            relevance=self._relevance(answers, positions),
            probability=probability[order],
        )
        return Batch(positions, terms, np.zeros(len(positions), dtype=bool))

    def _opinions(self, learner: Learner, pool: IntArray, number: int) -> tuple[Scores, Scores]:
        """Return probability and uncertainty of patches, ``(n,)`` each, as ``predict`` does.

        That is scene by scene, so that the predictions of all members are never in memory.
        """
        scores = np.empty((2, len(pool)))
        done, progress = 0, self._report("Scoring")
        scenes = self.patches["scene"].iloc[pool].reset_index(drop=True)
        for rows in scenes.groupby(scenes, sort=False, observed=True).indices.values():
            members = self.members(learner, pool[rows], number)
            scores[0, rows] = members.mean(axis=0)[:, self.positive]
            scores[1, rows] = uncertainty(members, self.settings.uncertainty.measure)
            done += len(rows)
            if progress is not None:
                progress(done, len(pool))
        return scores[0], scores[1]

    def _sampler(self, answers: Answers, number: int, start: Start) -> Sampler | None:
        """Return the strategy of a round, or None where the first batch's start chooses.

        It does so in round 0, unless the answers show targets and others. Later, one that compares
        does while targets are the only answers: these cannot teach a model, but say what to look
        for.
        """
        measure = self.settings.uncertainty.measure
        sampler = build_sampler(
            self.settings.acquisition, measure, number, self.settings.loop.rounds
        )
        has_target = self.positive in answers.labels
        has_others = bool((answers.labels != self.positive).any())
        if number == 0:
            return sampler if has_target and has_others else None
        only_targets = has_target and not has_others
        return None if only_targets and start.compares and sampler.needs_model else sampler

    def _likeness(self, answers: Answers, pool: IntArray, number: int) -> Scores:
        """Return how like the known targets patches of the pool are, ``(n,)``."""
        known = np.sort(answers.positions[answers.labels == self.positive])
        return self._alike(known, pool, self._seed(number, _LIKENESS))

    def like(self, known: IntArray, unlike: IntArray) -> tuple[IntArray, Scores]:
        """Return patches from the most to the least like those at ``known``, and how like they are.

        Patches at ``unlike`` say what else looks alike. Neither is among those returned. In a pool
        of more than ``acquisition.candidates`` patches, only that many are compared.
        """
        return self._ranked(known, unlike, np.arange(len(self.patches), dtype=np.int64))

    def most_like(
        self,
        learner: Learner,
        answers: Answers,
        number: int,
        known: IntArray,
        unlike: IntArray,
        count: int,
    ) -> Batch:
        """Return a batch of what is most like the patches at ``known``, and may be labelled.

        Its score is the likeness, see ``like``; the probability is that of the learner, where the
        answers teach one to tell targets from others. Raises RunError where nothing is left.
        """
        positions, alike = self._ranked(known, unlike, np.flatnonzero(self.askable(answers)))
        if len(positions) == 0:
            raise RunError(
                "every patch is answered, so there is nothing left to compare",
                remedy="map the result with `owl-geo predict`",
            )
        positions, alike = positions[:count], alike[:count]
        probability, doubt = np.full((2, len(positions)), np.nan)
        if len(np.unique(answers.labels)) > 1:
            order = np.argsort(positions)
            members = self.members(learner, positions[order], number)
            probability[order] = members.mean(axis=0)[:, self.positive]
            doubt[order] = uncertainty(members, self.settings.uncertainty.measure)
        terms = Terms(alike, doubt, self._relevance(answers, positions), probability)
        return Batch(positions, terms, np.zeros(len(positions), dtype=bool))

    def _ranked(self, known: IntArray, unlike: IntArray, pool: IntArray) -> tuple[IntArray, Scores]:
        """Return patches of a pool by how like the known they are, and how like; see ``like``."""
        rest = np.setdiff1d(pool, [*known, *unlike])
        if len(rest) == 0:
            return rest, np.empty(0)
        most = self.settings.acquisition.candidates
        seed = self._seed(0, _LIKENESS)
        if 0 < most < len(rest):
            rng = np.random.default_rng(seed)
            rest = near_known(self._map, known, rest, most, rng, self._neighbours)
        alike = self._alike(known, rest, seed, unlike if len(unlike) else None)
        order = np.argsort(-alike, kind="stable")
        return rest[order], alike[order]

    def _alike(
        self, known: IntArray, pool: IntArray, seed: int, unlike: IntArray | None = None
    ) -> Scores:
        from owl_geo.learners.likeness import likeness

        width = None if self.settings.model.concepts else 0
        return likeness(
            self.features,
            self.concepts.matrix[:, :width],
            known,
            pool,
            seed=seed,
            unlike=unlike,
            workers=self._workers,
            progress=self._report("Comparing"),
        ).astype(np.float64)

    def worth_scoring(self, pool: IntArray, answers: Answers, number: int) -> IntArray:
        """Return the pool, or the part of a large one that a model should score, ascending."""
        most = self.settings.acquisition.candidates
        if not 0 < most < len(pool):
            return pool
        rng = np.random.default_rng(self._seed(number, _CANDIDATES))
        return near_known(self._map, answers.positions, pool, most, rng, self._neighbours)

    def test(self, learner: Learner, number: int) -> TestScores:
        """Test the learner on the held-out patches."""
        if self.truth is None:
            return TestScores.unknown()
        has_truth = self.truth["tested"] & self.truth["label"].notna()
        positions = np.flatnonzero(has_truth.to_numpy())
        if len(positions) == 0:
            return TestScores.unknown()
        probabilities = self.members(learner, positions, number).mean(axis=0)
        labels = class_numbers(self.settings.classes, self.truth["label"].iloc[positions])
        is_positive = labels == self.positive
        of_positive = probabilities[:, self.positive]
        return TestScores(
            auc=roc_auc(is_positive, of_positive),
            ap=average_precision(is_positive, of_positive),
            ece=expected_calibration_error(probabilities, labels),
        )

    def can_cross_validate(self, answers: Answers) -> bool:
        """Return whether there are five answers of the positive class and five others.

        With fewer, it would be noise.
        """
        n_positive = int((answers.labels == self.positive).sum())
        return min(n_positive, len(answers.labels) - n_positive) >= FEW_OF_A_CLASS

    def cross_validated_auc(self, answers: Answers, number: int) -> float:
        """Return the ROC AUC from spatially blocked cross-validation over the answers.

        NaN where they are too few; see ``can_cross_validate``.
        """
        if not self.can_cross_validate(answers):
            return math.nan
        blocks = self._fold_blocks
        seed = self._seed(number, _FOLDS)

        def fit_predict(train: IntArray, labels: IntArray, test: IntArray) -> FloatArray:
            learner = self.learner()
            learner.learn(train, labels, np.ones(len(train), dtype=bool), seed)
            order = np.argsort(test)
            probabilities = learner.members(test[order], seed=seed).mean(axis=0)
            return np.asarray(probabilities[np.argsort(order)])

        return blocked_cv_auc(
            fit_predict,
            answers.positions,
            answers.labels,
            blocks[answers.positions],
            seed=seed,
            positive=self.positive,
            overlaps=SharedGround(self._windows.take(answers.positions)).overlaps(),
            progress=self._report("Cross-validation"),
        )

    @cached_property
    def _fold_blocks(self) -> IntArray:
        """The block of ground of each patch, by which the answers are divided, ``(N,)``."""
        return ground_blocks(self._windows, _FOLD_BLOCKS)

    def watched(self, learner: Learner, number: int) -> IntArray:
        """Return the predicted classes, ``(w,)``, of up to 1,000 patches, the same every round."""
        members = self.members(learner, self._watched, number)
        return np.asarray(members.mean(axis=0).argmax(axis=1), dtype=np.int64)

    @cached_property
    def _watched(self) -> IntArray:
        """The positions of the patches whose predictions are followed."""
        rng = np.random.default_rng(self._seed(0, _WATCHED))
        order = rng.permutation(len(self.patches))
        return np.sort(order[self._shows_each_place_once[order]][:_WATCHED_PATCHES])

    @cached_property
    def _neighbours(self) -> Neighbours:
        """What rounds have found of the neighbours of answered patches in a large pool."""
        return Neighbours(self._map)

    def _candidates(
        self,
        members: FloatArray | None,
        answers: Answers,
        pool: IntArray,
        number: int,
        *,
        mapped: bool = False,
    ) -> Candidates:
        map_ = self._map if mapped else np.empty((len(self.patches), 0), np.float32)
        return Candidates(
            concepts=self._concept_table.iloc[pool],
            members=members,
            positive=self.positive,
            relevance=self._relevance(answers, pool),
            features=map_[pool],
            places=self._places[pool] if self.settings.acquisition.min_distance > 0 else None,
            known_features=map_[answers.positions],
            known_labels=answers.labels,
            spent=min(1.0, number / max(self.settings.loop.rounds, 1)),
        )

    def _relevance(self, answers: Answers, positions: IntArray) -> Scores:
        """Return the relevance of some patches, ``(n,)``."""
        weights = self.settings.acquisition.weights
        if not self.settings.concepts and not weights:
            return np.ones(len(positions))
        kind: RelevanceKind = chosen(RELEVANCE, self.settings.acquisition.relevance)
        of_all = kind.of(
            Evidence(
                self._concept_table,
                lambda: (self.concepts.matrix, self.concepts.names),
                weights,
                answers.positions,
                answers.labels == self.positive,
            )
        )
        return of_all[positions]

    @cached_property
    def _map(self) -> FloatArray:
        """Principal components of the features, float32 ``(N, 8)``: similar patches are close."""
        if len(self.features) < 2:  # a single patch has no variance
            return np.zeros((len(self.features), 1), dtype=np.float32)
        return self.features.components(_MAP_WIDTH, self._workers)

    @cached_property
    def _windows(self) -> PoolWindows:
        """The windows of the patches, in the order of the index."""
        return PoolWindows.from_index(self.patches, self.source.grids, self.source.patch_size)

    @cached_property
    def _shared(self) -> SharedGround | None:
        """Which patches show the same place; None where none do."""
        return None if self._places_once else SharedGround(self._windows)

    @cached_property
    def _shows_each_place_once(self) -> BoolArray:
        """Which patches to count so that no place counts twice, ``(N,)``."""
        if self._shared is None:
            return np.ones(len(self.patches), dtype=bool)
        return self._shared.once(_best_first(self.patches))

    @cached_property
    def _places(self) -> Scores:
        """Centres of the patches in metres from the Earth's centre, ``(N, 3)``, in any CRS."""
        return _centres(self._windows)

    @cached_property
    def _places_in_patches(self) -> FloatArray:
        """Centres of the patches relative to their mean, in edge lengths of a patch, ``(N, 3)``."""
        sample = np.linspace(0, len(self.patches) - 1, min(len(self.patches), 100)).astype(int)
        here = self._windows.take(sample)
        ends = [
            windows.centres_on_earth() for windows in (here, here.shifted_down(here.patch_size))
        ]
        with np.errstate(invalid="ignore"):  # the row below the last may not be on Earth
            edge = float(np.nanmedian(np.linalg.norm(ends[1] - ends[0], axis=1)))
        # not kept: of a large pool, they take more memory than all else but the features
        places = self._places.copy() if "_places" in vars(self) else _centres(self._windows)
        places -= places.mean(axis=0)
        places /= edge
        return places.astype(np.float32)

    @property
    def _no_places(self) -> FloatArray:
        return np.empty((len(self.patches), 0), dtype=np.float32)

    @cached_property
    def _concept_table(self) -> pd.DataFrame:
        return pd.DataFrame(self.patches[list(self.settings.concepts)])

    def _seed(self, number: int, purpose: int) -> int:
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


def askable(
    patches: pd.DataFrame,
    shared: SharedGround | None,
    truth: pd.DataFrame | None,
    closed: IntArray,
    again: IntArray,
) -> BoolArray:
    """Return which patches of a pool may be labelled, bool ``(N,)``.

    They are neither answered nor held out, nor do they show a place that has an answer under
    another name. Each place is there once: from the patch that must be labelled again if there is
    one, or else from the one with the most valid pixels.

    Args:
        patches: the patch index.
        shared: which of its patches show the same place; None if none do.
        truth: with ``held_out``, in index order; None without an oracle.
        closed: positions of all answered patches.
        again: positions of those that must be labelled again.
    """
    free = np.ones(len(patches), dtype=bool)
    free[closed] = False
    if truth is not None:
        free &= ~truth["held_out"].to_numpy()
    if shared is None or len(shared.crowded) == 0:
        return free
    free &= ~shared.shown_with(closed)
    rank = _best_first(patches)
    rank[again] = -2.0
    rank[~free] = 2.0  # behind all that are, so that they keep none of these out
    return free & shared.once(rank)


def _best_first(patches: pd.DataFrame) -> Scores:
    """Return a rank by which the patch with the most valid pixels comes first, ``(N,)``."""
    return np.asarray(-patches["valid_fraction"].to_numpy(dtype=np.float64))


def class_numbers(classes: Sequence[str], labels: pd.Series) -> IntArray:
    """Return the number of each label's class, ``(n,)``; KeyError if a label is not a class."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def relevance_model(
    settings: Settings, concepts: pd.DataFrame, answers: Answers
) -> LearnedRelevance:
    """Return what the answers say about the concepts (N rows), starting from the given weights."""
    encoded = encode(concepts)
    return learn_relevance(
        concepts,
        encoded.matrix,
        encoded.names,
        settings.acquisition.weights,
        answers.positions,
        answers.labels == settings.classes.index(settings.positive),
    )


def _share(share: float, count: int, rng: np.random.Generator) -> int:
    """Return a share of ``count`` as a whole number, rounded up or down at random."""
    exact = share * count
    return int(exact) + int(rng.random() < exact - int(exact))


def _mixed(
    chosen: IntArray, audited: IntArray, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Insert the audited at random positions among the chosen, whose order stays."""
    is_audit = np.zeros(len(chosen) + len(audited), dtype=bool)
    is_audit[rng.permutation(len(is_audit))[: len(audited)]] = True
    both = np.empty(len(is_audit), dtype=np.int64)
    both[is_audit], both[~is_audit] = audited, chosen
    return both, is_audit


def _rows(candidates: Candidates, rows: IntArray) -> Candidates:
    return Candidates(
        concepts=candidates.concepts.iloc[rows],
        members=None if candidates.members is None else candidates.members[:, rows],
        positive=candidates.positive,
        relevance=None if candidates.relevance is None else candidates.relevance[rows],
        features=candidates.features[rows],
        places=None if candidates.places is None else candidates.places[rows],
        known_features=candidates.known_features,
        known_labels=candidates.known_labels,
        spent=candidates.spent,
    )
