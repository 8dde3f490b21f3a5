"""One round of the search on disk: learn from the answers, choose what to ask, write it down.

Answers come in by ``intake``, at another time and in another process; all that the two share is the
run folder. What a round does with the answers is told in ``search``.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

import geopandas as gpd
import numpy as np

from owl_geo import scoring
from owl_geo.audit import prediction_stability
from owl_geo.batches import write_batch
from owl_geo.errors import RunError
from owl_geo.metrics import RoundMetrics
from owl_geo.run_folder import Round, Run
from owl_geo.search import Batch, Search
from owl_geo.types import Progress
from owl_geo.workers import Workers

log = logging.getLogger("owl_geo")


def query(
    run: Run,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Round:
    """Choose and write the next batch; return its round.

    Until the last batch has an answer, that batch is returned again. ``workers`` do the pool's
    work; threads of this process if none are named. Raises RunError when every patch is answered.
    """
    with run.locked():
        run.sync_metrics()  # a process that was killed may not have come to it
        return run.waiting() or _advance(run, device, workers, progress, ask=True)


def conclude(
    run: Run,
    *,
    device: str = "auto",
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Round:
    """Fit and measure once more on all answers, without asking anything."""
    with run.locked():
        return _advance(run, device, workers, progress, ask=False)


def _advance(
    run: Run, device: str, workers: Workers | None, progress: Progress | None, *, ask: bool
) -> Round:
    started = time.perf_counter()
    rounds = run.rounds()
    number = len(rounds)
    current = run.labels.current()
    search = run.search(scoring.pick_device(device), workers, progress)
    answers = run.answers(current, rounds[-1].answers_seen if rounds else 0)
    n_pool = int(search.askable(answers).sum())
    if ask and not n_pool:
        raise RunError(f"{run.path}: every patch is answered; there is nothing left to ask")
    log.info("round %d: learning from %d labels", number, len(answers.labels))
    before = run.model_path(number - 1) if rounds else None
    learner, lesson = search.taught(answers, number, before)
    batch = search.choose(learner, answers, number, progress) if ask else None
    batch_id = f"{run.settings.run_id}-{number:03d}" if ask else None
    has_learnt = len(answers.labels) > 0
    test = search.test(learner, number) if has_learnt else None
    watched = search.watched(learner, number) if has_learnt else np.empty(0, np.int64)
    # of another pool, other patches are watched
    same_pool = bool(rounds) and rounds[-1].number >= run.pool_since
    last_watched = rounds[-1].watched if same_pool else ()
    by_hand = has_learnt and run.truth is None
    asked = () if batch is None else tuple(run.patches["patch_id"].iloc[batch.positions])
    entry = Round(
        number=number,
        batch_id=batch_id,
        patch_ids=asked,
        answers_seen=int(current["seq"].max()) if len(current) else 0,
        metrics=RoundMetrics(
            round=number,
            n_labeled=len(answers.labels),
            positives_found=int((answers.labels == search.positive).sum()),
            train_loss=lesson.train_loss,
            test_auc=test.auc if test else math.nan,
            meta_query_loss=lesson.meta_query_loss,
            n_pool=n_pool,
            seconds=round(time.perf_counter() - started, 3),
            test_ap=test.ap if test else math.nan,
            test_ece=test.ece if test else math.nan,
            cv_auc=search.cross_validated_auc(answers, number) if by_hand else math.nan,
            stability=(
                prediction_stability(np.array(last_watched), watched)
                if len(last_watched) == len(watched) > 0
                else math.nan
            ),
        ),
        audit={} if batch is None else _audit(batch, asked),
        watched=tuple(watched.tolist()),
    )

    def write(folder: Path) -> None:
        learner.save(folder / run.model_path(number).name)
        if batch is not None and batch_id is not None:
            write_batch(
                folder / run.batch_path(number).name,
                _table(run, search, batch),
                classes=run.settings.classes,
                positive=run.settings.positive,
                concepts=list(run.settings.concepts),
                batch_id=batch_id,
                round=number,
            )

    run.publish(entry, write)
    return entry


def _audit(batch: Batch, asked: tuple[str, ...]) -> dict[str, float]:
    """Return the patches that were drawn at random, with the model's probability for each."""
    return {
        asked[place]: float(batch.terms.probability[place])
        for place in np.flatnonzero(batch.audited)
    }


def _table(run: Run, search: Search, batch: Batch) -> gpd.GeoDataFrame:
    """Return the batch in rank order, with the terms of each patch's score."""
    rows = run.patches.iloc[batch.positions].reset_index(drop=True)
    table = gpd.GeoDataFrame(
        rows, geometry=run.footprints(rows["patch_id"].tolist()).array, crs=run.crs
    )
    table["score"] = batch.terms.score
    table["uncertainty"] = batch.terms.uncertainty
    table["relevance"] = batch.terms.relevance
    table["probability"] = batch.terms.probability
    table["scene_crs"] = [search.source.grids[scene].crs for scene in table["scene"]]
    return table
