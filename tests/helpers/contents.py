"""What a run folder holds, file by file, without the hour at which it was made."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

LOCKS = {".lock"}
_OF_THE_HOUR = {"seconds", "last_change", "timestamp", "update_time"}


def contents(folder: Path, *, hours: bool = True) -> dict[str, Any]:
    """Every file below ``folder`` by its relative path; also what no reader looks at.

    Databases are given as the rows of their tables, all else by digest; without ``hours`` the times
    of answers are left out.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                found[name] = "an empty folder"
        elif path.name not in LOCKS:
            found[name] = _content(path, {*_OF_THE_HOUR, *([] if hours else ["labelled_at"])})
    return found


def _content(path: Path, ignored: set[str]) -> Any:
    if path.suffix == ".gpkg":
        return _tables(path, ignored)
    if path.name == "metrics.csv":
        return pd.read_csv(path).drop(columns="seconds").to_csv()
    if path.name == "round.json":
        values = json.loads(path.read_text(encoding="utf-8"))
        values["metrics"].pop("seconds")
        return values
    if path.suffix == ".toml":
        return path.read_text(encoding="utf-8")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tables(path: Path, ignored: set[str]) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = {}
        for (name,) in names:
            if name.startswith("rtree_") or name == "gpkg_contents":
                continue
            rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            tables[name] = [
                {key: row[key] for key in row.keys() if key not in ignored}  # noqa: SIM118
                for row in rows
            ]
        return tables


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Name the files in which two folders differ."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or one[name] != other[name]
    )
