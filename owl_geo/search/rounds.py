"""A whole round of a search."""

from __future__ import annotations

import time
from collections.abc import Callable

from owl_geo.learners.base import Learner
from owl_geo.search.choosing import choose as by_strategy
from owl_geo.search.quality import held_out_scores
from owl_geo.search.records import Answers, Batch, Outcome
from owl_geo.search.search import Search

# (search, learner, answers, number of the round) -> the batch to label
Choose = Callable[[Search, Learner, Answers, int], Batch]


def do_round(
    search: Search,
    learner: Learner,
    answers: Answers,
    number: int,
    *,
    ask: bool,
    choose: Choose | None = None,
) -> Outcome:
    """Do round ``number``: teach the learner all answers, choose the batch, test the model.

    Without ``ask``, no batch is chosen; ``choose`` takes the strategy's place.
    """
    started = time.perf_counter()
    lesson = search.learn(learner, answers, number)
    batch = (choose or by_strategy)(search, learner, answers, number) if ask else None
    seconds = time.perf_counter() - started
    test = held_out_scores(search, learner, number) if len(answers.labels) else None
    return Outcome(lesson, batch, test, seconds)
