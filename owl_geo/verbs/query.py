"""The next batch of a run, or the one that still waits for answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from owl_geo.batches import n_shared
from owl_geo.errors import ConfigError, RunError, check_list
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.records import Round
from owl_geo.settings import owl_toml
from owl_geo.settings.acquisition import TeamSettings
from owl_geo.verbs.advance import Foresight, advance
from owl_geo.verbs.measure import measure_rest
from owl_geo.wording import counted
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

log = logging.getLogger("owl_geo")


def query(
    run: AnyRun,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
    annotators: Sequence[str] | None = None,
    overlap: float | None = None,
    go_on: bool = False,
    published: Callable[[Round], None] | None = None,
    measure: bool = True,
    foreseen: Foresight | None = None,
) -> Round:
    """Choose and write the next batch; return its round.

    The last batch is returned again until every annotator who has a part of it has answered, or all
    its patches have labels in another way, unless ``go_on`` is set.

    Args:
        run: the run, or its folder.
        device: where networks learn and score.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.
        annotators: who gets a part of the batch, replacing ``team.annotators`` in owl.toml.
        overlap: share of the batch that all of them get, replacing ``team.overlap``.
        go_on: make a new batch although nobody, or not everybody, has answered yet.
        published: called with the round as soon as its batch is there; what takes longer to measure
            follows.
        measure: whether to wait for that, which is the cross-validation; else a later call does it.
        foreseen: asked for the round in case that it was done ahead.

    Raises RunError if every patch is answered, or the batch that is waiting is for people other
    than ``annotators``, or gone; ConfigError if the names or the overlap do not make a valid team.
    """
    run = Run.of(run)
    team = _team(run, annotators, overlap)
    search = None
    with run.locked():
        run.journal.sync_metrics()  # a process that was killed may not have got that far
        entry = None if go_on else run.waiting()
        if entry is None:
            entry, search = advance(run, device, workers, report, team, foreseen=foreseen)
    if search is None:
        _check_fits(entry, annotators, overlap)
        run.check_waiting(entry)
    if published is not None:
        published(entry)
    if not measure:
        return entry
    measure_rest(run, search, device=device, workers=workers, report=report)
    return run.journal.now(entry)


def _check_fits(waits: Round, annotators: Sequence[str] | None, overlap: float | None) -> None:
    """Raise RunError if the batch that waits is for others; warn if it is divided otherwise."""
    if annotators is not None and set(annotators) != set(waits.team):
        whom = " and ".join(waits.team) or "one annotator"
        raise RunError(
            f"batch {waits.batch_id}, for {whom}, waits for answers",
            remedy="label and ingest it first, or leave it with --go-on",
        )
    if overlap is not None and len(waits.team) > 1:
        in_all = set.intersection(*map(set, waits.team.values()))
        if len(in_all) != n_shared(len(waits.patch_ids), overlap):
            log.warning(
                "batch %s waits as it was made, with %s of its %s for everyone; --overlap takes "
                "effect with the next batch",
                *(waits.batch_id, f"{len(in_all):,}", counted(len(waits.patch_ids), "patch")),
            )


def _team(run: Run, annotators: Sequence[str] | None, overlap: float | None) -> TeamSettings:
    if annotators is None and overlap is None:
        return run.settings.team
    team = run.settings.team.model_dump()
    if annotators is not None:
        check_list("annotators", annotators)
        team["annotators"] = tuple(annotators)
    if overlap is not None:
        team["overlap"] = overlap
    try:
        return owl_toml.parse(run.settings.model_dump() | {"team": team}, "the options").team
    except ConfigError as error:
        if not error.fault:
            raise
        raise ConfigError(  # programs give arguments, which are named like the settings
            error.fault.replace("team.", "", 1),
            remedy=error.remedy,
            settings=error.settings,
            fault=error.fault,
        ) from error


def conclude(
    run: Run,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Round:
    """Fit and measure once more on all answers, without making a batch."""
    with run.locked():
        entry, search = advance(run, device, workers, report, None)
    measure_rest(run, search)
    return run.journal.now(entry)
