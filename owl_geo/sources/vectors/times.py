"""Places that a table has at several times, of which only one row counts.

Embeddings are published by year, as a folder of each or as a column; what was taken for one
table then holds every place again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from owl_geo.sources.vectors.table import VectorTable, by_group
from owl_geo.types import AnyArray, BoolArray, IntArray
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_SHOWN = 4
_TIMES = r"(?:year|month|quarter|season|date|day|datetime|time|timestamp|acquired|vintage)"
_CALLED = re.compile(rf"(?:.*[_.:-])?{_TIMES}(?:[_.:-].*)?|acquisition.*|sensing.*", re.IGNORECASE)
_OF_THE_FILE = re.compile(r"creat|updat|modif|process|publish|download|upload|ingest|insert", re.I)
_IN_NAMES = re.compile(  # 2024, 2024-05, 20240517
    r"(?<![0-9A-Za-z])(?:19[7-9]\d|20\d\d)(?:[-_]?(?:0[1-9]|1[0-2])(?:[-_]?[0-3]\d)?)?"
    r"(?![0-9A-Za-z])"
)


@dataclass(frozen=True)
class _Times:
    """What tells the times of rows, and the time of each kept and each lost row ``(n,)``."""

    said_by: str
    kept: AnyArray
    lost: AnyArray

    @property
    def differ(self) -> BoolArray:
        return np.asarray(self.kept != self.lost, dtype=bool)


def warn_of_times(table: VectorTable, path: str, kept: IntArray, lost: IntArray) -> None:
    """Warn where rows show places at another time than those that count for them.

    ``lost`` are rows of the table, ``(n,)``, and ``kept`` those that count in their stead.
    """
    seen = _told(table, Path(path), kept, lost)
    found = next((times for times in seen if times.differ.any()), None)
    if found is None:
        return
    differ = found.differ
    counting, others = (_listed(part[differ]) for part in (found.kept, found.lost))
    _log.warning(
        "%s shows %s at several times, by %s: the row of %s counts, which comes first, and not "
        "that of %s; to choose, name the folder or the file of one time, or write a table of it",
        path,
        counted(len(np.unique(kept[differ])), "place"),
        found.said_by,
        counting,
        others,
    )


def _told(table: VectorTable, folder: Path, kept: IntArray, lost: IntArray) -> Iterator[_Times]:
    """Yield what names of files say of the time of rows, and what columns do."""
    if len(table.paths) > 1:
        names = np.array([_in_name(path.relative_to(folder)) for path in table.paths], dtype=object)
        files = np.array([group.file for group in table.groups])
        of_rows = (names[files[by_group(table.groups, rows)]] for rows in (kept, lost))
        yield _Times("the names of its parts", *of_rows)
    for name in table.columns:
        if _CALLED.fullmatch(name) and not _OF_THE_FILE.search(name):
            both = _texts(table, name, np.concatenate([kept, lost]))
            yield _Times(f"its column {name!r}", both[: len(kept)], both[len(kept) :])


def _in_name(path: Path) -> str:
    """Return the times in the names of a part and of its folders, as they stand there."""
    times = []
    for name in (*path.parts[:-1], path.stem):
        key, equals, value = name.partition("=")
        if equals and _CALLED.fullmatch(key):
            times.append(f"{key}={value}")
        elif not equals:
            times += _IN_NAMES.findall(name)
    return "/".join(times)


def _texts(table: VectorTable, column: str, rows: IntArray) -> AnyArray:
    """Return the values of a column in some rows, as text ``(n,)``; "" where one is missing."""
    found = np.full(len(rows), "", dtype=object)
    groups = by_group(table.groups, rows)
    for number in np.unique(groups).tolist():
        group = table.groups[number]
        here = np.flatnonzero(groups == number)
        values = table.column(group, column)
        if values is not None:
            taken = values.take(pa.array(rows[here] - group.start))
            found[here] = ["" if value is None else str(value) for value in taken.to_pylist()]
    return found


def _listed(times: AnyArray) -> str:
    """Return times for a message, in their order."""
    every = sorted({str(time) or "no time" for time in times})
    shown = ", ".join(every[:_SHOWN])
    return shown + (f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else "")
