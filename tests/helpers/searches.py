"""Small searches for tests: made in a second, answered by a program in the annotator's place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from owl_geo import Run, init
from owl_geo.settings import config, owl_toml, presets

CONCEPTS = {
    "land_cover": {"kind": "given"},
    "dist_industrial": {"kind": "given"},
    "urban": {"kind": "equals", "of": "land_cover", "value": "urban"},
    "near_industrial": {"kind": "below", "of": "dist_industrial", "value": 0.3},
}


# the models that the loop must be able to live with: one that is fitted anew, one that goes on
MODELS: dict[str, Mapping[str, Any]] = {"default": {}, "tutorial": presets.TUTORIAL}


def over(one: Mapping[str, Any], **tables: Any) -> dict[str, Any]:
    """Tables laid over others, entry by entry."""
    both = {**one, **tables}
    for name, table in tables.items():
        if isinstance(table, dict):
            both[name] = {**one.get(name, {}), **table}
    return both


def settings(**tables: Any) -> config.Settings:
    """Settings of a small synthetic search; each argument is a table of owl.toml or a value."""
    values: dict[str, Any] = {
        "source": {"kind": "synthetic", "n_samples": 80, "image_size": 8, "n_bands": 2},
        "concepts": CONCEPTS,
        "acquisition": {"weights": {"urban": 2.0, "near_industrial": 3.0}},
        "loop": {"initial": 6, "rounds": 3, "batch_size": 4},
        "evaluation": {"split": "random"},
    }
    for name, table in tables.items():
        values[name] = values.get(name, {}) | table if isinstance(table, dict) else table
    return owl_toml.parse(values, "test")


def make(path: Path, **tables: Any) -> Run:
    """Make a small run; without ``oracle={}`` people answer it."""
    return init(path, settings(**tables)).run


@contextmanager
def editing(batch: Path) -> Iterator[sqlite3.Connection]:
    """Open a batch as another program would, and save at the end of the block."""
    with closing(sqlite3.connect(batch)) as connection, connection:
        # the R-tree's triggers name functions that GDAL brings; for labels none of them is called
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            connection.create_function(name, 1, lambda _geometry: None)
        yield connection


def label(batch: Path, answers: Mapping[str, str], annotator: str | None = "ana") -> None:
    """Write labels into a batch as another program would: SQL, without the core."""
    with editing(batch) as connection:
        connection.executemany(
            "UPDATE batch SET label = ?, annotator = ?, labelled_at = ? WHERE patch_id = ?",
            [
                (word, annotator, "2026-03-01T10:00:00Z" if annotator else None, patch)
                for patch, word in answers.items()
            ],
        )


def story(path: Path) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    """What a search did, without its wall times: batches, answers, metrics."""
    run = Run(path)
    batches = [
        # as text, since not-a-number equals nothing
        (entry.number, entry.batch_id, entry.patch_ids, str(entry.audit), entry.watched)
        for entry in run.rounds()
    ]
    answers = run.labels.history().drop(columns="labelled_at")
    metrics = pd.read_csv(path / "metrics.csv").drop(columns="seconds")
    return batches, answers, metrics


def assert_same_story(one: Path, other: Path) -> None:
    """Fail unless two searches asked, heard and measured the same."""
    first, second = story(one), story(other)
    assert first[0] == second[0]
    pd.testing.assert_frame_equal(first[1], second[1])
    pd.testing.assert_frame_equal(first[2], second[2])
