"""The searches of a comparison: each in memory, in a process of its own, and truth answers it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from owl_geo.disk.atomic import clear_partials, disk_errors, writing_file
from owl_geo.errors import ConfigError, OwlError, RunError
from owl_geo.evaluation.contestants import FULL, Contestant
from owl_geo.learners.base import Learner
from owl_geo.run_folder.folder import Run
from owl_geo.search import rounds
from owl_geo.search.quality import held_out_scores
from owl_geo.search.records import Answers, Outcome, TestScores, class_numbers
from owl_geo.search.search import Search
from owl_geo.settings import owl_toml
from owl_geo.settings.choices import implementation
from owl_geo.settings.config import Settings
from owl_geo.truth.held_out import hold_out
from owl_geo.types import BoolArray, IntArray
from owl_geo.work.workers import Threads

SEARCHES = "searches"
FEATURES = "features"
# what defines the pool and how searches are judged, which all strategies share
_POOL = ("source", "views", "layers", "concepts", "oracle", "classes", "positive")
_SHARED = (*_POOL, "evaluation", "seed")


@dataclass(frozen=True)
class Plan:
    """A comparison: every contestant on every source with every seed."""

    folder: Path  # where records are kept
    runs: Mapping[str, Path]  # a run folder with an oracle, by the name of the source
    contestants: tuple[Contestant, ...]
    seeds: tuple[int, ...]
    budget: float  # share of the patches that may be asked
    batch_size: int | None = None  # None = the run's own
    initial: int | None = None


@dataclass(frozen=True)
class Job:
    """One search of a comparison."""

    plan: Plan
    source: str
    contestant: Contestant
    seed: int
    state: str = ""  # of the run as the comparison began; "" = any

    @property
    def path(self) -> Path:
        """The file of its records."""
        searches = self.plan.folder / SEARCHES / self.source / self.contestant.file_name
        return searches / f"{self.seed}.csv"


def do_search(job: Job) -> None:
    """Do a search, and write its records; raises RunError, which names the search."""
    from owl_geo.work.one_thread import one_thread

    try:
        with one_thread():
            search = search_of(job)
            do_round = rounds.do_round
            if job.contestant.round:
                do_round = implementation(job.contestant.round)
            records = _full(search) if job.contestant.name == FULL else _records(search, do_round)
    except OwlError as error:
        raise RunError(
            f"{job.contestant.name} on {job.source}, seed {job.seed}: {error}"
        ) from error
    table = pd.DataFrame(list(records))
    table.insert(0, "source", job.source)
    table.insert(1, "strategy", job.contestant.name)
    table.insert(2, "seed", job.seed)
    with disk_errors(job.path):
        job.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(job.path, table.to_csv(index=False))


def write_whole(path: Path, text: str) -> None:
    """Write a file of a comparison, whole or not at all."""
    with writing_file(path, shared=True) as partial:  # two comparisons may share a folder
        partial.write_text(text, encoding="utf-8")
    clear_partials(path.parent)


@lru_cache(maxsize=8)
def _run(path: Path, state: str) -> Run:
    """Open a run once for all searches that a process does on it.

    Raises RunError if it is no longer as it was when the comparison began.
    """
    run = Run(path)
    if state and state_of(run) != state:
        raise RunError(
            f"{path} was changed since the comparison began",
            remedy="restore it, or start afresh with --overwrite",
        )
    return run


def digest_of_settings(run: Run) -> str:
    """Return a digest that tells whether a run is still the one that was compared."""
    text = run.settings.model_dump_json(exclude={"run_id", "labels"})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_of(run: Run) -> str:
    """Return a digest of a run's settings and pool."""
    return digest_of_settings(run) + digest_of_pool(run)


def digest_of_pool(run: Run) -> str:
    """Return a digest of a run's patches, concepts, truth and pixels as its index has them."""
    assert run.truth is not None
    digest = hashlib.sha256()
    for table in (run.patches, run.truth[["label"]]):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    for numbers in (run.index.statistics.median, run.index.statistics.scale):
        digest.update(numbers.tobytes())
    return digest.hexdigest()[:16]


def settings_of(run: Run, contestant: Contestant, plan: Plan, seed: int, source: str) -> Settings:
    """Apply a contestant to a run's settings, with as many rounds as the budget allows."""
    for table in _SHARED:
        if table in contestant.over:
            raise ConfigError(
                f"{contestant.name} changes {table!r}, but all strategies search the same pool",
                remedy="remove that table",
            )
    base = run.settings_here
    loop: dict[str, Any] = {"batch_size": plan.batch_size, "initial": plan.initial}
    loop = {name: value for name, value in loop.items() if value is not None}
    if plan.batch_size is not None:
        loop |= {"labels_per_hour": None, "hours": None}
    values = base.model_dump()
    for table, entries in contestant.over.items():
        if isinstance(entries, Mapping) and isinstance(values.get(table), dict):
            values[table] = values[table] | dict(entries)
        else:
            values[table] = entries
    values["loop"] |= loop
    settings = owl_toml.parse(values | {"seed": seed}, f"{contestant.name} on {source}")
    n_pool = len(run.patches) - round(len(run.patches) * settings.evaluation.test_share)
    # rounded, because 27.5 % of 400 comes to slightly more than 110 and would cost another batch
    left = round(plan.budget * n_pool) - settings.loop.initial
    n_rounds = max(0, math.ceil(left / settings.loop.query_budget))
    planned = settings.loop.model_copy(update={"rounds": n_rounds})
    return settings.model_copy(update={"loop": planned})


def search_of(job: Job) -> Search:
    """Return the search in memory, with a held-out part of its seed's own."""
    run = _run(job.plan.runs[job.source], job.state)
    settings = settings_of(run, job.contestant, job.plan, job.seed, job.source)
    assert run.truth is not None
    rng = np.random.default_rng([job.seed, 1])
    labels = run.truth["label"].to_numpy(dtype=object)
    held_out, test = hold_out(
        run.index.windows, settings.evaluation, rng, labels, settings.positive
    )
    truth = run.truth.assign(held_out=held_out, tested=test)
    patches = run.patches
    if job.contestant.shuffled:
        patches = patches.copy()
        order = np.random.default_rng([job.seed, 2]).permutation(len(patches))
        for name in settings.concepts:
            patches[name] = patches[name].to_numpy()[order]
    keep = job.plan.folder / FEATURES / job.source
    with disk_errors(keep):
        keep.mkdir(parents=True, exist_ok=True)
    return Search(
        settings,
        patches,
        run.source,
        run.index.statistics,
        truth,
        device=torch.device("cpu"),
        keep=keep,
        scene_ids=run.scenes.ids,
        workers=Threads(1),  # there is already a process per processor
        places_once=run.index.record.places_once,
    )


def _records(search: Search, do_round: Callable[..., Outcome]) -> Iterator[dict[str, object]]:
    """Search to the end of the budget; yield a record per round that has learnt something."""
    is_positive, has_truth = _truth(search)
    answers, learner = Answers.none(), search.learner()
    pool = search.askable(answers)
    targets, size = int((is_positive & pool).sum()), int(pool.sum())
    for number in range(search.settings.loop.rounds + 2):
        is_last = number > search.settings.loop.rounds or not search.askable(answers).any()
        outcome = do_round(search, learner, answers, number, ask=not is_last)
        if number:
            yield {
                "n_labeled": len(answers.closed),
                "positives_found": int(is_positive[answers.positions].sum()),
                "targets": targets,
                "pool": size,
                **_scores(outcome.test),
                "seconds": round(outcome.seconds, 4),
            }
        if outcome.batch is None:
            return
        answers = _answered(search, answers, outcome.batch.positions, has_truth)


def _full(search: Search) -> Iterator[dict[str, object]]:
    """Fit on the whole pool at once, which gives the quality that searches are measured against."""
    is_positive, has_truth = _truth(search)
    pool = np.flatnonzero(search.askable(Answers.none()))
    answers = _answered(search, Answers.none(), pool, has_truth)
    learner: Learner = search.learner()
    search.learn(learner, answers, 1)
    yield {
        "n_labeled": len(answers.closed),
        "positives_found": int(is_positive[answers.positions].sum()),
        **_scores(held_out_scores(search, learner, 1)),
    }


def _truth(search: Search) -> tuple[BoolArray, BoolArray]:
    assert search.truth is not None
    label = search.truth["label"]
    return (label == search.settings.positive).to_numpy(), label.notna().to_numpy()


def _answered(search: Search, answers: Answers, batch: IntArray, has_truth: BoolArray) -> Answers:
    """Let the truth answer; patches that it does not cover are skipped."""
    assert search.truth is not None
    new = batch[has_truth[batch]]
    labels = class_numbers(search.settings.classes, search.truth["label"].iloc[new])
    return Answers(
        positions=np.concatenate([answers.positions, new]),
        labels=np.concatenate([answers.labels, labels]),
        fresh=np.concatenate([np.zeros(len(answers.positions), bool), np.ones(len(new), bool)]),
        closed=np.concatenate([answers.closed, batch]),
    )


def _scores(test: TestScores | None) -> dict[str, float]:
    test = test or TestScores.unknown()
    return {"test_auc": test.auc, "test_ap": test.ap, "test_ece": test.ece}
