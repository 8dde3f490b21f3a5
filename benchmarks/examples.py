"""What known targets are worth at the start of a search, and what the first batch makes of them.

    python -m benchmarks.examples [--seeds 10] [--jobs 2] [--known 1,3,10]

Searches paired by seed, with the truth in place of an annotator: without a known target; with some
that are known but a first batch that is typical all the same; and with a first batch that is like
them. Prints the targets found besides the known ones after 20, 40 and 100 labels, and the gain of
the like over the typical, with 95 % t intervals. The searches run on the sample and, if the folder
OWL_TEST_DATA contains it, on a Landsat scene of North Carolina with four targets.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from benchmarks.targets import NORTH_CAROLINA
from owl_geo import Run, init
from owl_geo.models.threads import one_thread_each
from owl_geo.search.choosing import choose
from owl_geo.search.records import Answers, class_numbers
from owl_geo.search.search import Search
from owl_geo.settings import owl_toml
from owl_geo.types import IntArray
from owl_geo.work.workers import Threads

SAMPLE = Path(__file__).parents[1] / "sample_data"
LABELS = (20, 40, 100)
_BATCH = 20
_NONE, _TYPICAL, _LIKE = "none known", "typical", "like them"


@dataclass(frozen=True)
class Job:
    """Some searches over one pool with one seed."""

    run: Path
    seed: int
    known: tuple[int, ...]


def main() -> None:
    """Search every pool with every seed, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--known", default="1,3,10")
    options = parser.parse_args()
    known = tuple(int(word) for word in options.known.split(","))
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            Job(made(Path(folder) / name, tables), seed, known)
            for name, tables in pools().items()
            for seed in range(options.seeds)
        ]
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        with ProcessPoolExecutor(options.jobs, mp_context=context) as executor:
            records = [record for found in executor.map(searched, jobs) for record in found]
    show(pd.DataFrame(records))


def pools() -> dict[str, Mapping[str, Any]]:
    """Return the settings of the run over each pool, by name."""
    from owl_geo.concepts.preset import osm_preset

    tables: dict[str, Mapping[str, Any]] = {}
    data = os.environ.get("OWL_TEST_DATA")
    scene = Path(data) / "north_carolina" if data else None
    if scene is None or not scene.is_dir():
        print("there is no north_carolina/ in OWL_TEST_DATA: real imagery is left out")
    else:
        files = [str(scene / f"lsat7_2000_{band}.tif") for band in range(10, 60, 10)]
        source = {"kind": "geotiff", "scenes": [{"name": "nc", "files": files}], "patch_size": 8}
        for name, (value, share) in NORTH_CAROLINA.items():
            oracle = {"path": str(scene / "strata.tif"), "values": {"present": [value]}}
            tables[name] = {"source": source, "oracle": {**oracle, "min_share": float(share)}}
    tables["sample"] = {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "scene", "path": str(SAMPLE / "scene.tif")}],
            "patch_size": 16,
        },
        "layers": {"osm": {"path": str(SAMPLE / "area.osm")}},
        "concepts": {name: c.model_dump() for name, c in osm_preset("osm").items()},
        "acquisition": {"weights": {"urban": 2.0, "near_industrial": 3.0}},
        "oracle": {
            "path": str(SAMPLE / "truth.gpkg"),
            "column": "class",
            "values": {"present": ["contaminated"]},
            "min_share": 0.1,
        },
    }
    return tables


def made(path: Path, tables: Mapping[str, Any]) -> Path:
    """Make a run without held-out patches, which are not needed, unless it exists."""
    if not path.exists():
        loop = {"initial": _BATCH, "batch_size": _BATCH}
        init(path, {**tables, "loop": loop, "evaluation": {"test_share": 0.0}})
    return path


def searched(job: Job) -> list[dict[str, Any]]:
    """Return the finds of the searches of a job, one record per number of labels."""
    one_pool = _search(job.run, job.seed)
    assert one_pool.truth is not None
    targets = np.flatnonzero(one_pool.truth["label"] == one_pool.settings.positive)
    order = np.random.default_rng([job.seed, 1]).permutation(targets)
    plans = [(_NONE, 0), *((way, k) for k in job.known for way in (_TYPICAL, _LIKE))]
    records = []
    with one_thread_each():
        for way, k in plans:
            finds = _finds(one_pool, order[:k], typical=way == _TYPICAL)
            for n, found in zip(range(_BATCH, LABELS[-1] + 1, _BATCH), finds, strict=True):
                row = {"pool": job.run.name, "seed": job.seed, "way": way, "known": k}
                records.append({**row, "labels": n, "found": found})
    return records


def _finds(search: Search, known: IntArray, *, typical: bool) -> Iterator[int]:
    """Yield the targets found after each batch, besides the known ones."""
    answers = _answered(search, Answers.none(), known)
    found = 0
    for number in range(LABELS[-1] // _BATCH):
        learner = search.learner()
        if number == 0 and typical:
            batch = _typical(search, answers)
        else:
            search.learn(learner, answers, number)
            batch = choose(search, learner, answers, number).positions
        before = len(answers.positions)
        answers = _answered(search, answers, batch)
        found += int((answers.labels[before:] == search.positive).sum())
        yield found


def _typical(search: Search, answers: Answers) -> IntArray:
    """Return a first batch that does not look at the answers, but asks none of them again."""
    blind = replace(answers, positions=answers.positions[:0], labels=answers.labels[:0])
    return choose(search, search.learner(), blind, 0).positions


def _answered(search: Search, answers: Answers, batch: IntArray) -> Answers:
    """Let the truth answer a batch; patches that it does not cover are skipped."""
    assert search.truth is not None
    new = batch[search.truth["label"].notna().to_numpy()[batch]]
    labels = class_numbers(search.settings.classes, search.truth["label"].iloc[new])
    return Answers(
        positions=np.concatenate([answers.positions, new]),
        labels=np.concatenate([answers.labels, labels]),
        fresh=np.ones(len(answers.positions) + len(new), dtype=bool),
        closed=np.concatenate([answers.closed, batch]),
    )


@cache
def _run(path: Path) -> Run:
    return Run(path)


def _search(path: Path, seed: int) -> Search:
    run = _run(path)
    settings = owl_toml.parse(run.settings_here.model_dump() | {"seed": seed}, "the benchmark")
    return Search(
        settings,
        run.patches,
        run.source,
        run.index.statistics,
        run.truth,
        device=torch.device("cpu"),
        keep=path / "features",
        scene_ids=run.scenes.ids,
        workers=Threads(1),
        places_once=run.index.record.places_once,
    )


def show(records: pd.DataFrame) -> None:
    """Print the finds per pool and number of known targets, and their means over the pools."""
    seeds = records["seed"].nunique()
    print(f"Targets found besides the known ones, {seeds} seeds; gain of like over typical")
    print(f"{'':<12}{'known':>6}{'labels':>8}" + "".join(f"{way:>12}" for way in _WAYS))
    names = list(records["pool"].unique())
    for name in [*names, "mean"]:
        own = records if name == "mean" else records[records["pool"] == name]
        for k in sorted(set(records["known"]) - {0}):
            for n in LABELS:
                rows = own[(own["labels"] == n) & own["known"].isin([0, k])]
                table = rows.pivot_table(index="seed", columns="way", values="found")
                cells = "".join(f"{table[way].mean():>12.1f}" for way in _WAYS)
                gain = _interval(table[_LIKE] - table[_TYPICAL])
                print(f"{name:<12}{k:>6}{n:>8}{cells}   {gain}", flush=True)


_WAYS = (_NONE, _TYPICAL, _LIKE)


def _interval(values: pd.Series) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
