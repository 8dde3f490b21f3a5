"""Comparing strategies: the same searches, repeated with different seeds.

A seed determines the held-out part, the first batch and every draw; strategies that share a seed
share the held-out part, so their differences can be paired. The records of each search are saved in
a file: an interrupted comparison resumes where it stopped. ``searches`` does one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from owl_geo.disk.atomic import disk_errors
from owl_geo.disk.presence import exists
from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation.contestants import FULL, Contestant
from owl_geo.evaluation.curves import COLUMNS
from owl_geo.evaluation.processes import in_processes
from owl_geo.evaluation.searches import (
    SEARCHES,
    Job,
    Plan,
    digest_of_pool,
    digest_of_settings,
    do_search,
    settings_of,
    state_of,
    write_whole,
)
from owl_geo.run_folder.folder import Run

PLAN = "compare.json"


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
        Job(plan, source, contestant, seed, states[source])
        for seed in plan.seeds  # outermost, so that an interrupted comparison has complete seeds
        for source in plan.runs
        for contestant in (*plan.contestants, Contestant(FULL))
    ]
    total = len(todo)
    left = [job for job in todo if not exists(job.path)]
    if on_done is not None:
        on_done(total - len(left), total)
    for done, _ in enumerate(in_processes(do_search, left, jobs), start=total - len(left) + 1):
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
            settings_of(run, contestant, plan, plan.seeds[0], name)


def _claim(plan: Plan, overwrite: bool) -> dict[str, str]:
    """Claim the folder for this comparison, or check that it holds the same one.

    Seeds and strategies may be added to a comparison; what each search does must not change.
    Returns the ``state_of`` of each run.
    """
    runs = {name: Run(path) for name, path in plan.runs.items()}
    record: dict[str, Any] = {
        "sources": {name: digest_of_settings(run) for name, run in runs.items()},
        "pools": {name: digest_of_pool(run) for name, run in runs.items()},
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
        write_whole(path, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return {name: state_of(run) for name, run in runs.items()}


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


def _gathered(jobs: Sequence[Job]) -> pd.DataFrame:
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
