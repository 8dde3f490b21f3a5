"""One round of the search: learn from the answers so far, and choose what to ask next.

    answers -> Reptile on the new ones -> fit on all -> score the pool -> choose -> batch

Answers come in by ``intake``, at another time and in another process; all that the two share is the
run folder. Every random number is drawn from the run's seed and the round's number, so that a round
which is done again is the same round.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import torch

from owl_geo import scoring
from owl_geo.acquisition.samplers import RandomSampler, Sampler, build_sampler
from owl_geo.batches import write_batch
from owl_geo.errors import RunError
from owl_geo.learners.base import Learner, Lesson, Material
from owl_geo.learners.network import NetworkLearner
from owl_geo.metrics import RoundMetrics, roc_auc
from owl_geo.run_folder import Round, Run
from owl_geo.sources.base import positions_of
from owl_geo.types import BoolArray, FloatArray, IntArray, Progress

log = logging.getLogger("owl_geo")

# What a random number is for; each purpose has a stream of its own in each round.
_WEIGHTS, _LEARN, _CHOICE, _SCORE = range(4)


def query(run: Run, *, device: str = "auto", progress: Progress | None = None) -> Round:
    """Choose and write the next batch; return its round.

    Until the last batch has an answer, that batch is returned again. Raises RunError when every
    patch is answered.
    """
    with run.locked():
        run.sync_metrics()  # a process that was killed may not have come to it
        return run.waiting() or _advance(run, scoring.pick_device(device), progress, ask=True)


def conclude(run: Run, *, device: str = "auto", progress: Progress | None = None) -> Round:
    """Fit and measure once more on all answers, without asking anything."""
    with run.locked():
        return _advance(run, scoring.pick_device(device), progress, ask=False)


def _advance(run: Run, device: torch.device, progress: Progress | None, *, ask: bool) -> Round:
    started = time.perf_counter()
    rounds = run.rounds()
    number = len(rounds)
    current = run.labels.current()
    pool = run.pool(current)
    if ask and not pool.any():
        raise RunError(f"{run.path}: every patch is answered; there is nothing left to ask")
    known = current[current["label"].isin(run.settings.classes)]
    log.info("round %d: learning from %d labels", number, len(known))
    learner, lesson = _learn(run, rounds, known, device)
    batch = _choose(run, learner, pool, number, progress) if ask else None
    batch_id = f"{run.settings.run_id}-{number:03d}" if ask else None
    metrics = RoundMetrics(
        round=number,
        n_labeled=len(known),
        positives_found=int((known["label"] == run.settings.positive).sum()),
        train_loss=lesson.train_loss,
        test_auc=_test_auc(run, learner, number) if len(known) else math.nan,
        meta_query_loss=lesson.meta_query_loss,
        n_pool=int(pool.sum()),
        seconds=round(time.perf_counter() - started, 3),
    )
    entry = Round(
        number=number,
        batch_id=batch_id,
        patch_ids=() if batch is None else tuple(batch["patch_id"]),
        answers_seen=int(current["seq"].max()) if len(current) else 0,
        metrics=metrics,
    )

    def write(folder: Path) -> None:
        learner.save(folder / run.model_path(number).name)
        if batch is not None and batch_id is not None:
            write_batch(
                folder / run.batch_path(number).name,
                batch,
                classes=run.settings.classes,
                positive=run.settings.positive,
                concepts=list(run.settings.concepts),
                batch_id=batch_id,
                round=number,
            )

    run.publish(entry, write)
    return entry


def _learn(
    run: Run, rounds: list[Round], known: pd.DataFrame, device: torch.device
) -> tuple[Learner, Lesson]:
    """Take the last round's model to the present, on all answers."""
    settings = run.settings
    number = len(rounds)
    learner = NetworkLearner(
        Material(
            source=run.source,
            ids=run.patches["patch_id"].tolist(),
            statistics=run.statistics,
            concepts=np.empty((len(run.patches), 0), dtype=np.float32),
        ),
        settings.classes,
        model=settings.model,
        training=settings.training,
        reptile=settings.reptile,
        uncertainty=settings.uncertainty,
        seed=_seed(run, 0, _WEIGHTS),
        device=device,
    )
    if not rounds:
        return learner, Lesson(math.nan, math.nan)
    learner.restore(run.model_path(number - 1))
    lesson = learner.learn(
        positions_of(run.patches, known["patch_id"].tolist()),
        _class_numbers(settings.classes, known),
        (known["seq"] > rounds[-1].answers_seen).to_numpy(),
        _seed(run, number, _LEARN),
    )
    return learner, lesson


def _choose(
    run: Run,
    learner: Learner,
    pool: BoolArray,
    number: int,
    progress: Progress | None,
) -> gpd.GeoDataFrame:
    """Return the batch in rank order, with the terms of each patch's score."""
    settings = run.settings
    candidates = run.patches[pool].reset_index(drop=True)
    concepts = candidates[list(settings.concepts)]
    sampler: Sampler
    if number == 0:
        sampler, budget = RandomSampler(settings.acquisition.weights), settings.loop.initial
    else:
        sampler = build_sampler(settings.acquisition, number, settings.loop.rounds)
        budget = settings.loop.query_budget
    probabilities: FloatArray | None = None
    if sampler.needs_model:
        members = learner.members(
            np.flatnonzero(pool), seed=_seed(run, number, _SCORE), progress=progress
        )
        probabilities = members.mean(axis=0)
    terms = sampler.terms(probabilities, concepts)
    rng = np.random.default_rng(_seed(run, number, _CHOICE))
    chosen = sampler.choose(terms, budget, rng)
    batch = candidates.iloc[chosen].reset_index(drop=True)
    positive = settings.classes.index(settings.positive)
    batch["score"] = terms.score[chosen]
    batch["uncertainty"] = terms.uncertainty[chosen]
    batch["relevance"] = terms.relevance[chosen]
    batch["probability"] = np.nan if probabilities is None else probabilities[chosen, positive]
    batch["scene_crs"] = [run.source.grids[scene].crs for scene in batch["scene"]]
    return batch


def _test_auc(run: Run, learner: Learner, number: int) -> float:
    """ROC AUC on the held-out patches; not-a-number without truth, or where it has one class."""
    if run.truth is None:
        return math.nan
    test = run.truth[run.truth["held_out"] & run.truth["label"].notna()]
    if test.empty:
        return math.nan
    positions = positions_of(run.patches, test["patch_id"].tolist())
    probabilities = learner.members(positions, seed=_seed(run, number, _SCORE)).mean(axis=0)
    positive = run.settings.classes.index(run.settings.positive)
    is_positive = (test["label"] == run.settings.positive).to_numpy()
    return roc_auc(is_positive, probabilities[:, positive])


def _class_numbers(classes: Sequence[str], known: pd.DataFrame) -> IntArray:
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[label] for label in known["label"]], dtype=np.int64)


def _seed(run: Run, number: int, purpose: int) -> int:
    """Return a seed that depends on the run's seed, the round and the purpose only."""
    sequence = np.random.SeedSequence([run.settings.seed, number, purpose])
    return int(sequence.generate_state(1)[0])
