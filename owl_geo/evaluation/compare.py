"""Comparing strategies: the same searches, repeated with different seeds.

A seed determines the held-out part, the first batch and every draw; strategies that share a seed
share the held-out part, so their differences can be paired. Each search runs in memory, in its own
process, and its records are saved in a file: an interrupted comparison resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from owl_geo.disk.atomic import clear_partials, disk_errors, writing_file
from owl_geo.disk.presence import exists
from owl_geo.errors import ConfigError, OwlError, RunError
from owl_geo.evaluation.contestants import FULL, Contestant
from owl_geo.evaluation.curves import COLUMNS
from owl_geo.evaluation.processes import in_processes
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

PLAN = "compare.json"
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
class _Job:
    plan: Plan
    source: str
    contestant: Contestant
    seed: int
    state: str = ""  # of the run as the comparison began; "" = any

    @property
    def path(self) -> Path:
        searches = self.plan.folder / SEARCHES / self.source / self.contestant.file_name
        return searches / f"{self.seed}.csv"


def compare(
    plan: Plan,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    on_done: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Do every search that is still missing and return all records; see ``curves.COLUMNS``.

    Args:
        plan: what is compared.
        jobs: number of processes; each computes with one thread.
        overwrite: redo all searches.
        on_done: called with the number of searches done and their total number.

    Raises ConfigError for invalid settings, RunError for a run without an oracle, a folder that
    holds another comparison, or a search that failed; finished searches are kept.
    """
    _check(plan)
    states = _claim(plan, overwrite)
    todo = [
        _Job(plan, source, contestant, seed, states[source])
        for seed in plan.seeds  # outermost, so that an interrupted comparison has complete seeds
        for source in plan.runs
        for contestant in (*plan.contestants, Contestant(FULL))
    ]
    total = len(todo)
    left = [job for job in todo if not exists(job.path)]
    if on_done is not None:
        on_done(total - len(left), total)
    for done, _ in enumerate(in_processes(_do, left, jobs), start=total - len(left) + 1):
        if on_done is not None:
            on_done(done, total)
    return _gathered(todo)


def _check(plan: Plan) -> None:
    """Raise an error for a plan that cannot work, before hours are spent on it."""
    if not 0 < plan.budget <= 1:
        raise ConfigError(
            f"the budget is {plan.budget:g}, but must be a share of the pool, above 0 and up to 1"
        )
    if not plan.contestants or not plan.seeds:
        raise ConfigError("there is nothing to compare", remedy="give strategies and seeds")
    for name, path in plan.runs.items():
        run = Run(path)
        if run.truth is None:
            raise RunError(
                f"{path} has no oracle to judge strategies by",
                remedy="give a run that was made with --oracle",
            )
        for contestant in plan.contestants:
            _settings(run, contestant, plan, plan.seeds[0], name)


def _claim(plan: Plan, overwrite: bool) -> dict[str, str]:
    """Claim the folder for this comparison, or check that it holds the same one.

    Seeds and strategies may be added to a comparison; what each search does must not change.
    Returns the ``_state`` of each run.
    """
    runs = {name: Run(path) for name, path in plan.runs.items()}
    record: dict[str, Any] = {
        "sources": {name: _digest(run) for name, run in runs.items()},
        "pools": {name: _pool_digest(run) for name, run in runs.items()},
        "budget": plan.budget,
        "batch_size": plan.batch_size,
        "initial": plan.initial,
        "strategies": {one.name: _plan_of(one) for one in plan.contestants},
    }
    path = plan.folder / PLAN
    if exists(plan.folder) and any(plan.folder.iterdir()) and not exists(path):
        raise RunError(
            f"{plan.folder} is not empty and is not a comparison", remedy="choose another folder"
        )
    if exists(path) and not overwrite:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            record = _with_kept(record, kept, plan.folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is damaged", remedy="use --overwrite") from error
    with disk_errors(plan.folder):
        plan.folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            for old in plan.folder.glob(f"{SEARCHES}/*/*/*.csv"):
                old.unlink()
        _write(path, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return {name: _state(run) for name, run in runs.items()}


def _with_kept(record: dict[str, Any], kept: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the record of a comparison with what its folder holds already.

    Raises RunError where they disagree; other errors mean that ``kept`` is damaged.
    """
    elsewhere = "choose another folder, or use --overwrite"
    for part in ("budget", "batch_size", "initial"):
        if kept[part] != record[part]:
            raise RunError(
                f"{folder} holds a comparison with another {part.replace('_', ' ')}, {kept[part]}",
                remedy=elsewhere,
            )
    kept.setdefault("pools", {})  # comparisons of older versions lack it
    both = dict(record)
    for part in ("sources", "pools", "strategies"):
        changed = [n for n, v in record[part].items() if kept[part].get(n, v) != v]
        if changed:
            raise RunError(f"{folder}: {changed[0]} has changed since", remedy=elsewhere)
        both[part] = kept[part] | record[part]
    return both


def _plan_of(contestant: Contestant) -> list[Any]:
    """Return what a contestant does, as JSON."""
    rounds = [contestant.round] if contestant.round else []
    return [dict(contestant.over), contestant.shuffled, *rounds]


def _digest(run: Run) -> str:
    """Return a digest that tells whether a run is still the one that was compared."""
    text = run.settings.model_dump_json(exclude={"run_id", "labels"})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _state(run: Run) -> str:
    return _digest(run) + _pool_digest(run)


def _pool_digest(run: Run) -> str:
    """Return a digest of a run's patches, concepts, truth and pixels as its index has them."""
    assert run.truth is not None
    digest = hashlib.sha256()
    for table in (run.patches, run.truth[["label"]]):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    for numbers in (run.index.statistics.median, run.index.statistics.scale):
        digest.update(numbers.tobytes())
    return digest.hexdigest()[:16]


def _do(job: _Job) -> None:
    from owl_geo.work.one_thread import one_thread

    try:
        with one_thread():
            search = _search(job)
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
        _write(job.path, table.to_csv(index=False))


def _write(path: Path, text: str) -> None:
    with writing_file(path, shared=True) as partial:  # two comparisons may share a folder
        partial.write_text(text, encoding="utf-8")
    clear_partials(path.parent)


@lru_cache(maxsize=8)
def _run(path: Path, state: str) -> Run:
    """Open a run once for all searches that a process does on it.

    Raises RunError if it is no longer as it was when the comparison began.
    """
    run = Run(path)
    if state and _state(run) != state:
        raise RunError(
            f"{path} was changed since the comparison began",
            remedy="restore it, or start afresh with --overwrite",
        )
    return run


def _settings(run: Run, contestant: Contestant, plan: Plan, seed: int, source: str) -> Settings:
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
    rounds = max(0, math.ceil(left / settings.loop.query_budget))
    return settings.model_copy(update={"loop": settings.loop.model_copy(update={"rounds": rounds})})


def _search(job: _Job) -> Search:
    run = _run(job.plan.runs[job.source], job.state)
    settings = _settings(run, job.contestant, job.plan, job.seed, job.source)
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


def _gathered(jobs: Sequence[_Job]) -> pd.DataFrame:
    try:
        # as they are named: pandas would read a strategy "NA" as none, a source "007" as 7
        tables = pd.concat(
            [
                pd.read_csv(job.path).assign(source=job.source, strategy=job.contestant.name)
                for job in jobs
            ],
            ignore_index=True,
        )
    except (OSError, ValueError) as error:
        raise RunError(
            f"a search's records are damaged ({error})", remedy="use --overwrite"
        ) from error
    full = tables[tables["strategy"] == FULL].rename(columns={"test_auc": "full_auc"})
    records = tables[tables["strategy"] != FULL].merge(
        full[["source", "seed", "full_auc"]], on=["source", "seed"], how="left"
    )
    whole = dict.fromkeys(("n_labeled", "positives_found", "targets", "pool", "seed"), "int64")
    return records.astype(whole)[[*COLUMNS, "full_auc"]]
