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

import geopandas as gpd
import numpy as np
import pandas as pd

from owl_geo.batches import dealt, n_shared, write_batch
from owl_geo.errors import RunError, SourceError, check_list
from owl_geo.labels import newest_answers
from owl_geo.measures.audit import prediction_stability
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.records import BatchKind, Round, batch_name
from owl_geo.schema import WHY_COLUMNS
from owl_geo.search.quality import can_cross_validate
from owl_geo.search.records import Answers, Batch, Outcome
from owl_geo.search.rounds import Choose, do_round
from owl_geo.search.search import Search
from owl_geo.settings import owl_toml
from owl_geo.settings.acquisition import TeamSettings
from owl_geo.types import IntArray, ShownRaster, ShownScene
from owl_geo.verbs.measure import depends_on, measure_rest
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner

log = logging.getLogger("owl_geo")

_DEALING = 100  # the purpose of the random numbers, distinct from those in ``search``


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

    The last batch is returned again until every annotator who has a part of it has answered, unless
    ``go_on`` is set.

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
    return run.rounds()[entry.number]


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
                "%d of the %d patches in batch %s, which is waiting, are for everyone; --overlap "
                "takes effect with the next batch",
                *(len(in_all), len(waits.patch_ids), waits.batch_id),
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
    return owl_toml.parse(run.settings.model_dump() | {"team": team}, "the options").team


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
    return run.rounds()[entry.number]


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
        *(search, learner, outcome),
        watched=search.watched(learner, number) if has_learnt else np.empty(0, np.int64),
        scenes=() if outcome.batch is None else _scenes(run, outcome.batch),
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
    asked first otherwise. The caller must hold
    the run's lock, and may let it go before ``measure_rest`` does what the round lacks, with the
    search that is returned too.
    """
    started = time.perf_counter()
    rounds = run.rounds()
    number = len(rounds)
    history = run.labels.history()
    answers = run.answers(history, rounds[-1].answers_seen if rounds else 0)
    lost = run.lacking(history)
    if lost is not None:
        log.warning(
            "%s lacks answers that round %d learned from: restore where they are kept, or take the "
            "labelled batches in again",
            *(run.path, lost.number),
        )
    done = None if foreseen is None else foreseen(answers, number, report)
    search = run.search(device, workers, report)
    askable = search.askable(answers)
    n_pool = int(askable.sum())
    if team is not None and choose is None and not n_pool:
        raise RunError(
            f"{run.path}: every patch is answered, so there is nothing left to ask",
            remedy="map the result with `owl-geo predict`",
        )
    log.info("round %d: learning from %d labels", number, len(answers.labels))
    if done is None or done.search is not search:  # which may have been opened anew meanwhile
        done = foresee(run, search, answers, number, asks=team is not None, choose=choose)
    learner, outcome, watched = done.learner, done.outcome, done.watched
    batch, test = outcome.batch, outcome.test
    name = batch_name(run.settings.run_id, number, kind)
    batch_id = name if batch is not None else None
    if (history["batch_id"] == batch_id).any():
        log.warning(
            "%s has answers to another batch %s, whose round is gone from it, or that came from a "
            "run made alike: they are learnt, but the audit cannot count them",
            *(run.path, batch_id),
        )
    has_learnt = len(answers.labels) > 0
    # a pool that has changed since has other patches to watch
    same_pool = bool(rounds) and rounds[-1].number >= run.index.since
    last_watched = rounds[-1].watched if same_pool else ()
    by_hand = has_learnt and run.truth is None
    asked = () if batch is None else tuple(run.patches["patch_id"].iloc[batch.positions])
    entry = Round(
        number=number,
        batch_id=batch_id,
        patch_ids=asked,
        answers_seen=int(history["seq"].max()) if len(history) else 0,
        metrics=RoundMetrics(
            round=number,
            n_labeled=len(answers.labels),
            positives_found=int((answers.labels == search.positive).sum()),
            train_loss=outcome.lesson.train_loss,
            test_auc=test.auc if test else math.nan,
            meta_query_loss=outcome.lesson.meta_query_loss,
            n_pool=n_pool,
            seconds=round(time.perf_counter() - started, 3),
            test_ap=test.ap if test else math.nan,
            test_ece=test.ece if test else math.nan,
            stability=(
                prediction_stability(np.array(last_watched), watched)
                if len(last_watched) == len(watched) > 0
                else math.nan
            ),
        ),
        audit={} if batch is None else _audit(batch, asked),
        watched=tuple(watched.tolist()),
        team={} if team is None else _parts(run, history, asked, team, number),
        unmeasured=depends_on(run) if by_hand and can_cross_validate(search, answers) else None,
        expected=None if batch is None or math.isnan(batch.expected) else batch.expected,
    )

    def write(folder: Path) -> None:
        learner.save(folder / run.files.model(number).name)
        if batch is None or batch_id is None:
            return
        table = _table(run, search, batch)
        views = _views(run)
        may_answer = askable.copy()
        may_answer[answers.closed] = True  # people may answer again
        grid = run.index.pool_grids.info(may_answer)
        for annotator, path in run.batch_paths(entry).items():
            own = slice(None) if annotator is None else list(entry.team[annotator])
            write_batch(
                folder / path.name,
                table.iloc[own],
                classes=run.settings.classes,
                positive=run.settings.positive,
                concepts=list(run.settings.concepts),
                batch_id=batch_id,
                round=number,
                annotator=annotator,
                units=run.settings.units,
                patch_size=run.settings.patch_size,
                scenes=done.scenes,
                views=views,
                grid=grid,
            )

    run.journal.publish(entry, write)
    return entry, search


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


def _scenes(run: Run, batch: Batch) -> Sequence[ShownScene]:
    """Return the scenes of a batch as the run knows them, for QGIS to show."""
    rows = run.patches.iloc[batch.positions]
    shown: list[ShownScene] = []
    for name, of_scene in rows.groupby("scene", sort=False, observed=True):
        corners = of_scene.sort_values(["row_off", "col_off"])
        try:
            shown += run.source.shown(
                str(name), corners["row_off"].to_numpy(), corners["col_off"].to_numpy()
            )
        except SourceError as error:
            log.warning("scene %r is not shown as the run knows it: %s", name, error)
    return shown


def _views(run: Run) -> Sequence[ShownRaster]:
    """Return the rasters of the run's views, for QGIS to show."""
    if not run.settings.views:
        return ()
    from owl_geo.sources.shown_views import shown_views  # imports rasterio

    return shown_views(run.settings_here.views)


def _table(run: Run, search: Search, batch: Batch) -> gpd.GeoDataFrame:
    """Return the batch in rank order, with the terms of each patch's score."""
    rows = run.patches.iloc[batch.positions].reset_index(drop=True)
    table = gpd.GeoDataFrame(
        rows, geometry=run.footprints(rows["patch_id"].tolist()).array, crs=run.crs
    )
    for column in WHY_COLUMNS:
        table[column.name] = getattr(batch.terms, column.name)
    table["scene_crs"] = [search.source.grids[scene].crs for scene in table["scene"]]
    return table
