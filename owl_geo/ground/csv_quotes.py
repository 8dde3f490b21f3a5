"""Rows of a CSV that a quote too many, or one too few, has made a part of a value."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from owl_geo.wording import counted

_DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"\s*[+-]?\d+([.,]\d*)?(e[+-]?\d+)?\s*", re.IGNORECASE)
_SHAPE = re.compile(r"\s*(SRID=\d+;)?[A-Z]+( ?[ZM]{1,2})? ?\(", re.IGNORECASE)  # in WKT
_END = "\x1a"  # a line that no row is


def check_quotes(path: str, columns: Sequence[str]) -> None:
    """Raise ValueError where a value in quotes holds lines that are rows themselves; OSError.

    ``columns`` are those of the coordinates, or the one of WKT. A text may have several lines, but
    no line of it has as many values as the header, with coordinates among them. GDAL reads all
    lines up to the next quote, or to the end of the file, as that text, and says nothing.
    """
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline()
        found = next((one for one in _DELIMITERS if _places(first, one, columns)), None)
        if found is None:  # none is between two values, so no line can be a row by that
            return
        header, at = _places(first, found, columns) or ([], [])
        with suppress(csv.Error):  # a value that is too long for Python
            _look_at(file, len(header), at, found)


def _places(
    line: str, delimiter: str, columns: Sequence[str]
) -> tuple[list[str], list[int]] | None:
    """Return the header by a delimiter, and where the columns are; None if it is not in use."""
    header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    names = [name.strip() for name in columns]
    if len(header) < 2 or not names or not set(names) <= set(header):
        return None
    return header, [header.index(name) for name in names]


def _look_at(lines: Iterable[str], n: int, at: list[int], delimiter: str) -> None:
    kept: list[str] = []  # the lines of the row that is read now

    def each() -> Iterator[str]:
        for line in chain(lines, [_END]):  # which joins a row that nothing closes
            kept.append(line)
            yield line if line.endswith(("\n", "\r")) else f"{line}\n"

    number = 2  # of the line that a row begins with; the first one is the header
    for row in csv.reader(each(), delimiter=delimiter):
        # the last line may be the end of a text, before values that follow it
        ends_within = len(row) <= n or kept[-1] is _END
        inside = kept[1:-1] if ends_within else kept[1:]
        inside = [line for line in inside if _is_row(line, n, at, delimiter)]
        if inside:
            raise ValueError(
                f"a value in quotes that begins on line {number} holds "
                f"{counted(len(inside), 'line that is a row', 'lines that are rows')}: a quote "
                "within a value has to be doubled, and one that nothing closes taken out"
            )
        number += len(kept)
        kept.clear()


def _is_row(line: str, n: int, at: list[int], delimiter: str) -> bool:
    """Return whether a line has n values, with a number or WKT at each of the places."""
    values = next(csv.reader([line], delimiter=delimiter), [])
    return len(values) == n and all(
        _NUMBER.fullmatch(values[i]) or _SHAPE.match(values[i]) for i in at
    )
