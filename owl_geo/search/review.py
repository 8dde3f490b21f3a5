"""What the model takes for targets, for people to look through."""

from __future__ import annotations

import math

import numpy as np

from owl_geo.acquisition.candidates import Scores, Terms
from owl_geo.errors import RunError
from owl_geo.learners.base import Learner
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.search.askable import askable
from owl_geo.search.records import Answers, Batch
from owl_geo.search.search import Search
from owl_geo.types import IntArray


def taken_for_targets(
    search: Search,
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
    others = np.setdiff1d(answers.positions[answers.labels != search.positive], settled)
    closed = np.setdiff1d(answers.closed, others)
    closed = np.union1d(closed, settled)
    again = np.concatenate([np.setdiff1d(answers.again, settled), others])
    pool = np.flatnonzero(askable(search.patches, search.shared, search.truth, closed, again))
    probability, doubt = _opinions(search, learner, pool, number)
    order = np.argsort(-probability, kind="stable")
    order = order[probability[order] >= threshold]
    if len(order) == 0:
        name = search.settings.positive
        highest = math.floor(probability.max(initial=0) * 1000) / 1000
        most = f"; the highest is {f'{highest:g}' if highest else 'below 0.001'}"
        raise RunError(
            f"no patch that is left to review has a probability of {threshold:g} or more of "
            f"{name}{most if len(probability) else ''}",
            remedy="lower --threshold, or go on with `owl-geo query RUN`",
        )
    positions = pool[order]
    terms = Terms(
        score=probability[order],
        uncertainty=doubt[order],
        relevance=search.relevance(answers, positions),
        probability=probability[order],
    )
    return Batch(positions, terms, np.zeros(len(positions), dtype=bool))


def _opinions(
    search: Search, learner: Learner, pool: IntArray, number: int
) -> tuple[Scores, Scores]:
    """Return probability and uncertainty of patches, ``(n,)`` each, as ``predict`` does.

    That is scene by scene, so that the predictions of all members are never in memory.
    """
    scores = np.empty((2, len(pool)))
    done, progress = 0, search.report("Scoring")
    scenes = search.patches["scene"].iloc[pool].reset_index(drop=True)
    for rows in scenes.groupby(scenes, sort=False, observed=True).indices.values():
        members = search.members(learner, pool[rows], number)
        scores[0, rows] = members.mean(axis=0)[:, search.positive]
        scores[1, rows] = uncertainty(members, search.settings.uncertainty.measure)
        done += len(rows)
        if progress is not None:
            progress(done, len(pool))
    return scores[0], scores[1]
