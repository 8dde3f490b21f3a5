"""A pool with what learns from the answers to its patches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from owl_geo.acquisition.strategies import build_sampler
from owl_geo.learners.base import Learner, Lesson, Material
from owl_geo.search.pool import Pool, Purpose
from owl_geo.search.records import Answers
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.progress import Progress


class Search(Pool):
    """The steps of a round over a pool; whoever takes them keeps the learner and the answers."""

    def prepare(self) -> None:
        """Compute what the next round needs whatever the answers are, and load its libraries.

        That is the features and, where the strategy compares patches, their map. A round does this
        by itself where it was not done before, with the same result.
        """
        learner = self.learner()
        settings, loop = self.settings.acquisition, self.settings.loop
        sampler = build_sampler(settings, self.settings.uncertainty.measure, 1, loop.rounds)
        if sampler.needs_features or 0 < settings.candidates < len(self.patches):
            _ = self.map
        if settings.min_distance > 0:
            _ = self.places
        _ = self.followed
        if not learner.goes_on and len(self.patches) > 1:
            two = np.array([0, 1])  # what two patches teach is thrown away
            learner.learn(two, two, two > 0, seed=0)

    def learner(self) -> Learner:
        """Return a learner that has learnt nothing."""
        from owl_geo.learners.choice import build_learner

        nowhere = np.empty((len(self.patches), 0), dtype=np.float32)
        material = Material(
            source=self.source,
            workers=self.workers,
            statistics=self.statistics,
            concepts=self.concepts.matrix,
            places=self.places_in_patches if self.settings.model.neighbours else nowhere,
        )
        return build_learner(
            self.settings,
            material,
            lambda: self.features,
            seed=self.seed(0, Purpose.WEIGHTS),
            device=self.device,
        )

    def resumed(self, before: Path | None) -> Learner:
        """Return the learner, restored from the previous round's file ``before`` if it goes on."""
        learner = self.learner()
        if before is not None and learner.goes_on:
            learner.restore(before)
        return learner

    def learn(self, learner: Learner, answers: Answers, number: int) -> Lesson:
        """Teach the learner all answers, as round ``number`` does; the first may have none yet."""
        if number == 0 and len(answers.labels) == 0:
            return Lesson(math.nan, math.nan)
        return learner.learn(
            answers.positions,
            answers.labels,
            answers.fresh,
            self.seed(number, Purpose.LEARN),
            self.report("Learning"),
        )

    def members(
        self,
        learner: Learner,
        positions: IntArray,
        number: int,
        progress: Progress | None = None,
    ) -> FloatArray:
        """Return the predictions of the learner of round ``number``; see ``Learner.members``."""
        return learner.members(positions, seed=self.seed(number, Purpose.SCORE), progress=progress)

    def watched(self, learner: Learner, number: int) -> IntArray:
        """Return the predicted classes, ``(w,)``, of the patches that are ``followed``."""
        members = self.members(learner, self.followed, number)
        return np.asarray(members.mean(axis=0).argmax(axis=1), dtype=np.int64)
