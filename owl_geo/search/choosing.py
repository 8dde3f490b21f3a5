"""The next batch: by the strategy, or by the start while there is nothing to judge by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from owl_geo.acquisition.candidates import Candidates, Scores, Terms
from owl_geo.acquisition.nearby import Part, marked, some_of
from owl_geo.acquisition.samplers import RandomSampler, Sampler
from owl_geo.acquisition.spread import Spread
from owl_geo.acquisition.start import Start, Unanswered
from owl_geo.acquisition.strategies import build_sampler
from owl_geo.learners.base import Learner
from owl_geo.search.like import likeness_of
from owl_geo.search.pool import Purpose
from owl_geo.search.records import Answers, Batch
from owl_geo.search.search import Search
from owl_geo.settings.choices import STARTS, chosen
from owl_geo.types import BoolArray, FloatArray, IntArray

COMMON = 0.1  # share of targets in the pool from which on fewer patches are drawn at random


def choose(search: Search, learner: Learner, answers: Answers, number: int) -> Batch:
    """Choose the batch of round ``number``; 0 is the first.

    The strategy chooses once there is a model that can tell targets from others, and the start
    before; see ``_Choice.sampler``. A part of it, see ``_Choice.audit_share``, is drawn uniformly
    from all patches that may be labelled, and is mixed among the others at random: annotators
    should not know which patches these are. Patches that must be labelled again come first, and
    take up to half of the rest. In a pool of more than ``acquisition.candidates`` patches, only
    that many are scored or compared; see ``near_known``.
    """
    choice = _Choice(search, learner, answers, number)
    loop, audit_rng = search.settings.loop, choice.rng(Purpose.AUDIT)
    may_ask = search.askable(answers)
    pool = np.flatnonzero(may_ask)
    n_askable = len(pool)
    count = min(loop.query_budget if number else loop.initial, n_askable)
    draws = partial(_share, choice.audit_share(may_ask), count, audit_rng)
    drawn = pool[some_of(n_askable, draws, audit_rng)]
    again = answers.again[may_ask[answers.again] & ~np.isin(answers.again, drawn)]
    again = again[: (count - len(drawn)) // 2]

    part = Part.whole(pool)
    if choice.compares or choice.needs_model:
        part = search.worth_scoring(pool, answers, number)
        pool = marked(len(may_ask), part.positions, drawn, again)
    audited, repeated = np.searchsorted(pool, drawn), np.searchsorted(pool, again)
    rest = np.delete(np.arange(len(pool)), np.concatenate([audited, repeated]))
    terms, best, uniform = choice.best(pool, rest, count - len(drawn) - len(again))

    batch, is_audit = _mixed(np.concatenate([repeated, rest[best]]), audited, audit_rng)
    drawn_at_random = is_audit | (uniform & ~np.isin(batch, repeated))
    expected = math.nan
    if choice.knows:
        only_drawn = np.setdiff1d(part.positions[part.is_drawn], [*drawn, *again])
        sample = np.searchsorted(pool, only_drawn)
        expected = _in_all(terms.probability, sample, n_askable)
    return Batch(pool[batch], terms[batch], drawn_at_random, expected)


def _in_all(probability: Scores, sample: IntArray, n: int) -> float:
    """Return how many targets a model expects among n patches of which it scored k.

    Those at the rows ``sample`` of the k were drawn uniformly from all but the other k, and stand
    for what was not scored. Not-a-number where nothing does.

    Args:
        probability: of the k patches, ``(k,)``.
        sample: rows of the drawn ones, ``(s,)``.
        n: how many patches there are.
    """
    total, n_left = float(probability.sum()), n - len(probability)
    if n_left == 0:
        return total
    return total + n_left * float(probability[sample].mean()) if len(sample) else math.nan


@dataclass(frozen=True)
class _Choice:
    """What decides a round's batch."""

    search: Search
    learner: Learner
    answers: Answers
    number: int

    def rng(self, purpose: Purpose) -> np.random.Generator:
        return np.random.default_rng(self.search.seed(self.number, purpose))

    @cached_property
    def start(self) -> Start:
        start: Start = chosen(STARTS, self.search.settings.acquisition.start)
        return start

    @cached_property
    def sampler(self) -> Sampler | None:
        """The strategy of the round, or None where the first batch's start chooses.

        It does so in round 0, unless the answers show targets and others. Later, one that compares
        does while targets are the only answers: these cannot teach a model, but say what to look
        for.
        """
        settings, positive = self.search.settings, self.search.positive
        measure, rounds = settings.uncertainty.measure, settings.loop.rounds
        sampler = build_sampler(settings.acquisition, measure, self.number, rounds)
        has_target = positive in self.answers.labels
        has_others = bool((self.answers.labels != positive).any())
        if self.number == 0:
            return sampler if has_target and has_others else None
        only_targets = has_target and not has_others
        return None if only_targets and self.start.compares and sampler.needs_model else sampler

    @property
    def compares(self) -> bool:
        """Whether the start chooses, by how like the known targets patches are."""
        has_target = self.search.positive in self.answers.labels
        return self.sampler is None and self.start.compares and has_target

    @property
    def needs_model(self) -> bool:
        """Whether the strategy chooses, by what the model says."""
        return self.sampler is not None and self.sampler.needs_model

    @property
    def knows(self) -> bool:
        """Whether that model can tell classes apart."""
        return self.needs_model and len(np.unique(self.answers.labels)) > 1

    def audit_share(self, may_ask: BoolArray) -> float:
        """Return the share of a batch that is drawn at random from what may be labelled, ``(N,)``.

        That is ``audit_common`` where the model takes a tenth or more of it for targets, and else
        ``audit_share``. The estimates from the draw stay as they are: they do not ask why a round
        drew as many as it did.
        """
        search, settings = self.search, self.search.settings.acquisition
        common = settings.audit_common
        if not self.knows or common is None or common >= settings.audit_share:
            return settings.audit_share
        some = search.followed[may_ask[search.followed]]
        if len(some) == 0:
            return settings.audit_share
        mean = search.members(self.learner, some, self.number).mean(axis=(0, 1), dtype=np.float64)
        return common if mean[search.positive] >= COMMON else settings.audit_share

    def best(self, pool: IntArray, rest: IntArray, wanted: int) -> tuple[Terms, IntArray, bool]:
        """Choose among the patches of a pool at the rows ``rest``.

        Returns the terms of the whole pool, the chosen rows of ``rest``, ``(wanted,)``, and whether
        all were equally likely to be chosen.
        """
        rng = self.rng(Purpose.CHOICE)
        if self.sampler is None:
            terms = RandomSampler().terms(self._candidates(pool, None))
            unanswered = self._unanswered(pool[rest], terms.relevance[rest])
            return terms, self.start.choose(unanswered, wanted, rng), self.start.is_uniform
        members = None
        if self.needs_model:
            progress = self.search.report("Scoring")
            members = self.search.members(self.learner, pool, self.number, progress)
        candidates = self._candidates(pool, members, mapped=self.sampler.needs_features)
        terms = self.sampler.terms(candidates)
        best = self.sampler.choose(terms[rest], candidates[rest], wanted, rng)
        return terms, best, self.sampler.is_uniform

    def _unanswered(self, positions: IntArray, relevance: Scores) -> Unanswered:
        search, settings = self.search, self.search.settings.acquisition
        alike = None
        if self.compares:
            known = np.sort(self.answers.positions[self.answers.labels == search.positive])
            seed = search.seed(self.number, Purpose.LIKENESS)
            alike = likeness_of(search, positions, known, seed)
        return Unanswered(
            relevance,
            lambda at: search.map[positions[at]],
            alike,
            search.places[positions] if settings.min_distance > 0 else None,
            Spread(settings.diversity, settings.min_distance),
        )

    def _candidates(
        self, pool: IntArray, members: FloatArray | None, *, mapped: bool = False
    ) -> Candidates:
        """Return what a strategy knows of the patches of a pool; ``mapped`` adds their features."""
        search, settings = self.search, self.search.settings
        map_ = search.map if mapped else np.empty((len(search.patches), 0), np.float32)
        return Candidates(
            concepts=search.concept_table.iloc[pool],
            members=members,
            positive=search.positive,
            relevance=search.relevance(self.answers, pool),
            features=map_[pool],
            places=search.places[pool] if settings.acquisition.min_distance > 0 else None,
            known_features=map_[self.answers.positions],
            known_labels=self.answers.labels,
            spent=min(1.0, self.number / max(settings.loop.rounds, 1)),
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
