"""One round of the search on disk: learn from the answers, choose what to ask, write the batch.

Answers arrive through ``ingest``, at another time and in another process; the two share only the
run folder. ``search`` describes what a round does with the answers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.batches import dealt
from owl_geo.errors import ConfigError, RunError, check_number
from owl_geo.labels import newest_answers
from owl_geo.measures.audit import prediction_stability
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import BatchKind, Round, batch_name
from owl_geo.search.quality import can_cross_validate
from owl_geo.search.records import Answers, Batch, Outcome, TestScores
from owl_geo.search.rounds import Choose, do_round
from owl_geo.search.search import Search
from owl_geo.settings.acquisition import TeamSettings
from owl_geo.types import IntArray, ShownScene
from owl_geo.verbs.batch_files import shown_scenes, write_batch_files
from owl_geo.verbs.measure import depends_on
from owl_geo.wording import as_typed, counted
from owl_geo.work.progress import Reporter
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner

log = logging.getLogger("owl_geo")

_DEALING = 100  # the purpose of the random numbers, distinct from those in ``search``


@dataclass(frozen=True)
class Foreseen:
    """What a round learns and chooses, as far as nothing of it is written."""

    search: Search
    learner: Learner
    outcome: Outcome
    watched: IntArray  # see ``Search.watched``
    scenes: Sequence[ShownScene]  # of the batch, if there is one


# Asked for the round of some answers and a number: returns it if it was done ahead.
Foresight = Callable[[Answers, int, Reporter], Foreseen | None]


def foresee(
    run: Run,
    search: Search,
    answers: Answers,
    number: int,
    *,
    asks: bool = True,
    choose: Choose | None = None,
) -> Foreseen:
    """Do what a round does before it is written; see ``advance``. The folder stays as it is."""
    learner = search.resumed(run.files.model(number - 1) if number else None)
    outcome = do_round(search, learner, answers, number, ask=asks, choose=choose)
    has_learnt = len(answers.labels) > 0
    return Foreseen(
        search=search,
        learner=learner,
        outcome=outcome,
        watched=search.watched(learner, number) if has_learnt else np.empty(0, np.int64),
        scenes=() if outcome.batch is None else shown_scenes(run, outcome.batch),
    )


def advance(
    run: Run,
    device: str,
    workers: Workers | None,
    report: Reporter,
    team: TeamSettings | None,
    choose: Choose | None = None,
    kind: BatchKind = "chosen",
    foreseen: Foresight | None = None,
) -> tuple[Round, Search]:
    """Do a round; it makes no batch if ``team`` is None (an empty team still gets one).

    ``choose`` chooses the batch of another ``kind``, in the strategy's place; ``foreseen`` is
    asked first otherwise. The caller must hold the run's lock, and may let it go before
    ``measure_rest`` does what the round lacks, with the search that is returned too.

    Raises RunError if a batch is wanted but every patch is answered, BusyError where another
    process has replaced the pool since the run was opened.
    """
    started = time.perf_counter()
    run.index.check_not_replaced()  # between the opening of the run and the lock
    rounds = run.rounds()
    number = len(rounds)
    history = run.labels.history()
    answers = run.answers(history, rounds[-1].answers_seen if rounds else 0, rounds)
    _warn_of_lost_answers(run, history)
    done = None if foreseen is None else foreseen(answers, number, report)
    search = run.search(device, workers, report)
    askable = search.askable(answers)
    if team is not None and choose is None and not askable.any():
        raise RunError(
            f"{run.path}: every patch is answered, so there is nothing left to ask",
            remedy=f"map the result with `owl-geo predict {as_typed(run.path)}`",
        )
    log.info("round %d: learning from %s", number, counted(len(answers.labels), "label"))
    if done is None or done.search is not search:  # which may have been opened anew meanwhile
        done = foresee(run, search, answers, number, asks=team is not None, choose=choose)
    batch_id = None
    if done.outcome.batch is not None:
        batch_id = batch_name(run.settings.run_id, number, kind)
        _warn_of_a_namesake(run, history, batch_id)
    metrics = _metrics(run, done, answers, rounds, n_pool=int(askable.sum()), started=started)
    entry = _record(run, done, answers, history, team, batch_id, metrics)

    may_answer = askable.copy()
    may_answer[answers.closed] = True  # people may answer again

    def write(folder: Path) -> None:
        done.learner.save(folder / run.files.model(number).name)
        if done.outcome.batch is not None:
            write_batch_files(folder, run, entry, done.outcome.batch, done.scenes, may_answer)
        run.index.check_not_replaced()  # by another run, whose lock is another

    run.journal.publish(entry, write)
    return entry, search


def advance_unless_waiting(
    run: Run,
    device: str,
    workers: Workers | None,
    report: Reporter,
    choose: Choose,
    kind: BatchKind,
    *,
    go_on: bool,
) -> tuple[Round, Search | None]:
    """Do a round with a batch of ``kind``, unless one waits for answers: then return that.

    With ``go_on``, a batch that waits is left. A round that was done comes with the search, to
    measure what it lacks.

    Raises RunError where a batch of another kind waits, or the one that waits is gone.
    """
    with run.locked():
        run.journal.sync_metrics()  # a process that was killed may not have got that far
        waits = None if go_on else run.waiting()
        if waits is None:
            return advance(run, device, workers, report, run.settings.team, choose, kind)
    if waits.kind != kind:
        raise RunError(
            f"batch {waits.batch_id} waits for answers",
            remedy="label and ingest it first, or leave it with --go-on",
        )
    run.check_waiting(waits)
    return waits, None


def size_of_batch(run: Run, size: int | None) -> int:
    """Return how many patches a batch holds at most; None = as many as the settings say.

    Raises ConfigError for a size below 1.
    """
    if size is None:
        return run.settings.loop.query_budget
    check_number("size", size, whole=True)
    if size < 1:
        raise ConfigError(f"size is {size}, but must be at least 1")
    return size


def _warn_of_lost_answers(run: Run, history: pd.DataFrame) -> None:
    lacks = run.lacking(history)
    if lacks is not None:
        log.warning(
            "%s lacks answers that round %d learned from: restore where they are kept, or take the "
            "labelled batches in again",
            *(run.path, lacks.number),
        )


def _warn_of_a_namesake(run: Run, history: pd.DataFrame, batch_id: str) -> None:
    if (history["batch_id"] == batch_id).any():
        log.warning(
            "%s has answers to another batch %s, whose round is gone from it, or that came from a "
            "run made alike: they are learnt, but the audit cannot count them",
            *(run.path, batch_id),
        )


def _record(
    run: Run,
    done: Foreseen,
    answers: Answers,
    history: pd.DataFrame,
    team: TeamSettings | None,
    batch_id: str | None,
    metrics: RoundMetrics,
) -> Round:
    """Return what round.json says of a round."""
    batch = done.outcome.batch
    asked = () if batch is None else tuple(run.patches["patch_id"].iloc[batch.positions])
    by_hand = len(answers.labels) > 0 and run.truth is None
    is_measured_later = by_hand and can_cross_validate(done.search, answers)
    return Round(
        number=metrics.round,
        batch_id=batch_id,
        patch_ids=asked,
        answers_seen=int(history["seq"].max()) if len(history) else 0,
        metrics=metrics,
        audit={} if batch is None else _audit(batch, asked),
        watched=tuple(done.watched.tolist()),
        team={} if team is None else _parts(run, history, asked, team, metrics.round),
        unmeasured=depends_on(run) if is_measured_later else None,
        expected=None if batch is None or math.isnan(batch.expected) else batch.expected,
    )


def _metrics(
    run: Run,
    done: Foreseen,
    answers: Answers,
    rounds: Sequence[Round],
    *,
    n_pool: int,
    started: float,
) -> RoundMetrics:
    """Return the round's row of metrics.csv, except for what is measured later."""
    lesson, test = done.outcome.lesson, done.outcome.test or TestScores.unknown()
    return RoundMetrics(
        round=len(rounds),
        n_labeled=len(answers.labels),
        positives_found=int((answers.labels == done.search.positive).sum()),
        train_loss=lesson.train_loss,
        test_auc=test.auc,
        meta_query_loss=lesson.meta_query_loss,
        n_pool=n_pool,
        seconds=round(time.perf_counter() - started, 3),
        test_ap=test.ap,
        test_ece=test.ece,
        stability=_stability(run, rounds, done.watched),
    )


def _stability(run: Run, rounds: Sequence[Round], watched: IntArray) -> float:
    """Return how far the predictions agree with the last round's; NaN if nothing tells."""
    # a pool that has changed since has other patches to watch
    same_pool = bool(rounds) and rounds[-1].number >= run.index.since
    last = rounds[-1].watched if same_pool else ()
    if not len(last) == len(watched) > 0:
        return math.nan
    return prediction_stability(np.array(last), watched)


def _parts(
    run: Run, history: pd.DataFrame, asked: tuple[str, ...], team: TeamSettings, number: int
) -> dict[str, tuple[int, ...]]:
    """Deal a batch out to the team; return each annotator's share as positions in ``asked``."""
    if not team.annotators:
        return {}
    newest = newest_answers(history)
    answered_by = newest[newest["patch_id"].isin(asked)].groupby("patch_id")["annotator"].agg(set)
    rng = np.random.default_rng([run.settings.seed, number, _DEALING])
    parts = dealt(asked, team.annotators, team.overlap, rng, answered_by.to_dict())
    position = {patch: number for number, patch in enumerate(asked)}
    return {name: tuple(position[patch] for patch in part) for name, part in parts.items()}


def _audit(batch: Batch, asked: tuple[str, ...]) -> dict[str, float]:
    """Return the patches that were drawn at random, with the model's probability for each."""
    return {
        asked[position]: float(batch.terms.probability[position])
        for position in np.flatnonzero(batch.audited)
    }
