"""A batch of what the model takes for targets, for people to accept or reject."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from owl_geo.errors import RunError
from owl_geo.labels import not_withdrawn
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.records import Round, is_review
from owl_geo.search.records import Answers, Batch
from owl_geo.search.review import taken_for_targets
from owl_geo.search.search import Search
from owl_geo.sources.base import positions_of
from owl_geo.types import IntArray
from owl_geo.verbs.advance import advance_unless_waiting, size_of_batch
from owl_geo.verbs.measure import measure_rest
from owl_geo.verbs.target_areas import THRESHOLD, check_threshold
from owl_geo.wording import as_typed
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner


_log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Review:
    """A batch that reviews predictions.

    Args:
        round: its round.
        taken: patches that the model takes for targets, and that are not answered so, of which the
            batch holds the most probable; None for a review that was waiting for answers.
    """

    round: Round
    taken: int | None


def review(
    run: AnyRun,
    *,
    threshold: float | None = None,
    size: int | None = None,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
    go_on: bool = False,
    published: Callable[[Review], None] | None = None,
    measure: bool = True,
) -> Review:
    """Write a batch of the patches that the model takes for targets, the most probable first.

    They have no answer, or one of another class; what a review has answered is not asked again.
    The model is the one that the next query would learn, and the batch is a round of its own: it is
    labelled, ingested and learnt from like any other. Its id ends in ``-review``, and so the
    history says which answers come from a review. They count as labels, but never as answers of the
    audit, since the model chose the patches.

    As with ``query``, a review that waits for answers is returned again unless ``go_on`` is set.

    Args:
        run: the run, or its folder.
        threshold: the probability from which a patch is taken for a target; None = 0.5.
        size: patches at most; None = the size of a batch.
        device: where networks learn and score.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.
        go_on: make a new batch although the last one waits for answers.
        published: as for ``query``.
        measure: as for ``query``.

    Raises RunError where there is no model that can tell targets from others, where another batch
    waits for answers, and where the model takes no further patch for a target.
    """
    run = Run.of(run)
    least = THRESHOLD if threshold is None else threshold
    check_threshold(least)
    count = size_of_batch(run, size)
    if go_on or run.waiting() is None:
        _check_model(run)
    taken = 0

    def choose(search: Search, learner: Learner, answers: Answers, number: int) -> Batch:
        nonlocal taken
        found = taken_for_targets(search, learner, answers, number, least, _reviewed(run))
        taken = len(found.positions)
        most = np.arange(min(count, taken))
        return Batch(found.positions[most], found.terms[most], found.audited[most])

    entry, search = advance_unless_waiting(
        run, device, workers, report, choose, "review", go_on=go_on
    )
    if search is None and (threshold is not None or size is not None):
        _log.warning(
            "batch %s waits as it was made; threshold and size take effect with the next review",
            entry.batch_id,
        )
    done = Review(entry, None if search is None else taken)
    if published is not None:
        published(done)
    if not measure:
        return done
    measure_rest(run, search, device=device, workers=workers, report=report)
    return replace(done, round=run.journal.now(entry))


def _reviewed(run: Run) -> IntArray:
    """Return the positions of the patches that reviews have answered."""
    history = not_withdrawn(run.labels.history())
    reviewed = history[history["batch_id"].map(is_review).astype(bool)]
    return positions_of(run.patches, reviewed["patch_id"].unique().tolist())


def _check_model(run: Run) -> None:
    """Raise RunError unless a model can tell targets from others."""
    labels = run.labels.current()["label"]
    positive = run.settings.positive
    others = [name for name in run.settings.classes if name != positive]
    if run.rounds() and (labels == positive).any() and labels.isin(others).any():
        return
    raise RunError(
        f"{run.path} has no model yet that can tell {positive} from {' or '.join(others)}",
        remedy=f"label batches of `owl-geo query {as_typed(run.path)}` until both are found",
    )
