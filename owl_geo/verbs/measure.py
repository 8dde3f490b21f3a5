"""What takes longer to measure than to choose a batch is measured when the batch is there.

That is the cross-validation. It depends on nothing but the answers that the round has seen, so that
whoever does it, and whenever, comes to the same number: the command that wrote the batch, an engine
while people label, or the next one of them where a process was killed in between.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from owl_geo.errors import OwlError
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.identity import digest_of
from owl_geo.run_folder.journal import Journal
from owl_geo.search.quality import cross_validated_auc
from owl_geo.search.records import Answers
from owl_geo.search.search import Search
from owl_geo.verbs.current_model import model_settings
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Unmeasured:
    """A round that was not measured completely."""

    number: int
    answers: Answers | None  # that it has learnt from; None if the pool or the model is another now


def depends_on(run: Run) -> str:
    """Return a digest of what the number depends on besides the answers: the pool and the model."""
    record = run.index.record
    statistics = [values.tolist() for values in (record.statistics.median, record.statistics.scale)]
    return digest_of(
        [model_settings(run), record.made_from, list(record.parts), record.since, statistics]
    )


def unmeasured(run: Run) -> list[Unmeasured]:
    """Return the rounds that are not measured completely, the newest first."""
    rounds = run.rounds()
    entries = [entry for entry in reversed(rounds) if entry.unmeasured is not None]
    if not entries:
        return []
    history, now = run.labels.history(), depends_on(run)
    return [
        Unmeasured(
            entry.number,
            run.answers(history[history["seq"] <= entry.answers_seen], 0, rounds[: entry.number])
            if entry.unmeasured == now
            else None,
        )
        for entry in entries
    ]


def measure(journal: Journal, missing: Sequence[Unmeasured], search: Search) -> None:
    """Measure rounds, and add the numbers to the run, each as soon as it is known.

    The number of a model or a pool that is no more stays unknown. Raises RunError where the run
    cannot be written.
    """
    for one in missing:
        value = math.nan
        if one.answers is None:
            log.info(
                "round %d: the pool or the model changed before it was cross-validated, so how "
                "well its model ranks stays unknown",
                one.number,
            )
        else:
            value = cross_validated_auc(search, one.answers, one.number)
        journal.complete(one.number, value)


def measure_rest(
    run: Run,
    search: Search | None = None,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> None:
    """Measure all rounds that are not measured completely.

    ``search`` is the run's if there is one already. Where it is not possible, a warning says why: a
    batch is not to be lost over it, and it can be done later.
    """
    try:
        missing = unmeasured(run)
        if missing:
            search = run.search(device, workers, report) if search is None else search
            measure(run.journal, missing, search)
    except OwlError as error:
        log.warning("cross-validation is left to the next query: %s", error)
