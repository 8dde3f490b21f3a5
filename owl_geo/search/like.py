"""What is most like some patches, whatever the answers teach."""

from __future__ import annotations

import numpy as np

from owl_geo.acquisition.candidates import Scores, Terms
from owl_geo.acquisition.nearby import near_known
from owl_geo.errors import RunError
from owl_geo.learners.base import Learner
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.search.pool import Pool, Purpose
from owl_geo.search.records import Answers, Batch
from owl_geo.search.search import Search
from owl_geo.types import IntArray


def like(pool: Pool, known: IntArray, unlike: IntArray) -> tuple[IntArray, Scores]:
    """Return patches from the most to the least like those at ``known``, and how like they are.

    Patches at ``unlike`` say what else looks alike. Neither is among those returned. In a pool of
    more than ``acquisition.candidates`` patches, only that many are compared.
    """
    return _ranked(pool, np.arange(len(pool.patches), dtype=np.int64), known, unlike)


def most_like(
    search: Search,
    learner: Learner,
    answers: Answers,
    number: int,
    known: IntArray,
    unlike: IntArray,
    count: int,
) -> Batch:
    """Return a batch of what is most like the patches at ``known``, and may be labelled.

    Its score is the likeness, see ``like``; the probability is that of the learner, where the
    answers teach one to tell targets from others. No patch shows the place of one that is given:
    another image of it says nothing about others. Raises RunError where nothing is left.
    """
    may_ask = search.askable(answers)
    if search.shared is not None:
        may_ask &= ~search.shared.shown_with(np.union1d(known, unlike))
    positions, alike = _ranked(search, np.flatnonzero(may_ask), known, unlike)
    if len(positions) == 0:
        raise RunError(
            "every patch is answered, so there is nothing left to compare",
            remedy="map the result with `owl-geo predict RUN`",
        )
    positions, alike = positions[:count], alike[:count]
    probability, doubt = np.full((2, len(positions)), np.nan)
    if len(np.unique(answers.labels)) > 1:
        order = np.argsort(positions)
        members = search.members(learner, positions[order], number)
        probability[order] = members.mean(axis=0)[:, search.positive]
        doubt[order] = uncertainty(members, search.settings.uncertainty.measure)
    terms = Terms(alike, doubt, search.relevance(answers, positions), probability)
    return Batch(positions, terms, np.zeros(len(positions), dtype=bool))


def _ranked(
    pool: Pool, positions: IntArray, known: IntArray, unlike: IntArray
) -> tuple[IntArray, Scores]:
    """Return some patches of a pool, the most alike first, and how like they are; see ``like``."""
    rest = np.setdiff1d(positions, [*known, *unlike])
    if len(rest) == 0:
        return rest, np.empty(0)
    most = pool.settings.acquisition.candidates
    seed = pool.seed(0, Purpose.LIKENESS)
    if 0 < most < len(rest):
        rng = np.random.default_rng(seed)
        rest = near_known(pool.map, known, rest, most, rng, pool.neighbours).positions
    alike = likeness_of(pool, rest, known, seed, unlike if len(unlike) else None)
    order = np.argsort(-alike, kind="stable")
    return rest[order], alike[order]


def likeness_of(
    pool: Pool, positions: IntArray, known: IntArray, seed: int, unlike: IntArray | None = None
) -> Scores:
    """Return how like those at ``known`` patches are, ``(n,)``; see ``learners.likeness``."""
    from owl_geo.learners.likeness import likeness

    width = None if pool.settings.model.concepts else 0
    return likeness(
        pool.features,
        pool.concepts.matrix[:, :width],
        known,
        positions,
        seed=seed,
        unlike=unlike,
        workers=pool.workers,
        progress=pool.report("Comparing"),
    ).astype(np.float64)
