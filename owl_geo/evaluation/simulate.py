"""A search in which the ground truth answers in place of an annotator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from owl_geo.errors import RunError
from owl_geo.labels import Answer
from owl_geo.run_folder.folder import ORACLE, AnyRun, Run
from owl_geo.run_folder.kept import KeptRun
from owl_geo.run_folder.records import Round
from owl_geo.schema import SKIP, TIME_FORMAT
from owl_geo.verbs.query import conclude, query
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers


def simulate(
    run: Run,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    on_round: Callable[[Round], None] | None = None,
    report: Reporter = silent,
) -> list[Round]:
    """Run all remaining rounds and return all rounds; a finished run is left alone.

    ``on_round`` is called with each round as it ends, ``report`` with the name of each long piece
    of work. Raises RunError for a run without an oracle.
    """
    if run.truth is None:
        raise RunError(
            f"{run.path} has no oracle",
            remedy="label its batches yourself, or set [oracle] in owl.toml",
        )
    run = KeptRun.of_run(run)  # the rounds share the pool
    while not run.is_finished():
        waiting = run.waiting()
        if waiting is not None:
            answer(run, waiting)
            continue
        step = query if run.budget_is_left(run.rounds()) else conclude
        entry = step(run, device=device, workers=workers, report=report)
        if on_round is not None:
            on_round(entry)
    run.journal.sync_metrics()
    return run.rounds()


def run(run: AnyRun, *, device: str = "auto", workers: Workers | None = None) -> list[Round]:
    """Run as many rounds as possible: all with an oracle, else up to the next batch to label."""
    opened = Run.of(run)
    if opened.truth is not None:
        return simulate(opened, device=device, workers=workers)
    query(opened, device=device, workers=workers)
    return opened.rounds()


def answer(run: Run, entry: Round) -> None:
    """Answer a batch from the truth; patches that the truth does not cover are skipped."""
    assert run.truth is not None and entry.batch_id is not None
    truth = run.truth.set_index("patch_id")["label"]
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    answers = [
        Answer(
            patch_id=patch_id,
            label=truth[patch_id] if isinstance(truth[patch_id], str) else SKIP,
            annotator=ORACLE,
            labelled_at=now,
            batch_id=entry.batch_id,
            round=entry.number,
        )
        for patch_id in entry.patch_ids
    ]
    run.labels.append(answers, run.footprints(entry.patch_ids))
