"""Coordinates in a CSV that have lost digits: cut at a comma, or rounded by a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from owl_geo.wording import counted

_DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")
_WITH_EXPONENT = re.compile(r"\s*[+-]?(\d)[.,](\d+)e([+-]?\d{1,3})\s*", re.IGNORECASE)
_DEGREES = 360  # no greater number can be some
_COARSE_DEGREES, _COARSE = 0.01, 100.0  # steps of degrees, and of metres or feet


def check_coordinates(path: str, columns: Sequence[str]) -> None:
    """Raise ValueError for a row whose coordinates are cut at a decimal comma, or that are rounded.

    ``columns`` are those of x and y; nothing is looked at where there are fewer. Where the values
    are separated by commas too, a row with a decimal comma has more of them than the header, and
    GDAL leaves out the last ones. A text at the end, such as a note, may have commas.
    """
    if len(columns) < 2:
        return
    for delimiter in _DELIMITERS:
        with (
            Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file,
            suppress(csv.Error),  # a value that is too long for Python
        ):
            rows = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(rows, [])]
            at = [header.index(name) for name in map(str.strip, columns) if name in header]
            if len(at) < 2:
                continue
            rounded = [_Rounded() for _ in at]
            for row in rows:
                for column, seen in zip(at, rounded, strict=True):
                    seen.add(row[column] if column < len(row) else "")
                if len(row) <= len(header) or not any(row[len(header) :]):
                    continue
                if _may_be_cut(row, len(header), at):
                    raise ValueError(
                        f"line {rows.line_num} has {counted(len(row), 'value')}, the header "
                        f"{len(header)}: a comma within a value, such as a decimal comma or one in "
                        "a note, needs quotes, or a file whose values are separated by semicolons"
                    )
            for column, seen in zip(at, rounded, strict=True):
                seen.check(header[column])
            return


class _Rounded:
    """Whether all numbers of a column have an exponent and equally few digits.

    Spreadsheets write them so, by the format of the cells; other programs leave out zeros at the
    end, and the digits that are there are all that the number has.
    """

    def __init__(self) -> None:
        self._may_be = True
        self._example = ""
        self._digits = 0
        self._step = 0.0

    def add(self, text: str) -> None:
        """Look at the value of one row."""
        if not self._may_be or not text.strip():
            return
        found = _WITH_EXPONENT.fullmatch(text)
        if found is None or (self._example and len(found[2]) != self._digits):
            self._may_be = False
            return
        self._example, self._digits = self._example or text.strip(), len(found[2])
        step = 10.0 ** (int(found[3]) - self._digits)
        value = float(f"{found[1]}.{found[2]}e{found[3]}")
        if step >= (_COARSE_DEGREES if value <= _DEGREES else _COARSE):
            self._step = max(self._step, step)

    def check(self, name: str) -> None:
        """Raise ValueError where the numbers of the column called so are rounded much too far."""
        if self._may_be and self._step:
            raise ValueError(
                f"the numbers of its column {name} are rounded to {self._step:,g}, such as "
                f"{self._example}: save it again with all digits, by another format of the cells"
            )


def _may_be_cut(row: list[str], n: int, at: list[int]) -> bool:
    """Return whether a comma before the last of n columns may have moved coordinates, or cut one.

    What stands behind a coordinate that is cut is a number: its other part, or the next coordinate.
    """
    if all("." in row[column] for column in at):
        # they may be others than the header says; but nothing stands before the first
        return sorted(at) != [0, 1] and all(map(_NUMBER.fullmatch, row[n - 1 :]))
    return _NUMBER.fullmatch(row[max(at) + 1]) is not None
