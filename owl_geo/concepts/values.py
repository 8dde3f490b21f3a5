"""Attribute values compared with what people type, whatever type a format gives them.

GDAL reads a yes/no attribute as bool, as text, or, where some are missing, as the floats 0 and 1;
it reads dates as dates or as text. What is typed matches all of these alike.
"""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from numbers import Number

import numpy as np
import pandas as pd

from owl_geo.ground.whole_numbers import EXACT_IN_FLOATS, as_column
from owl_geo.types import AnyArray, BoolArray

_YES_OR_NO = {
    **dict.fromkeys(("true", "yes", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "f", "n", "0"), False),
}
_PAIRS = ({"true", "false"}, {"yes", "no"}, {"0", "1"})  # what columns of yes and no consist of
_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?(?P<time>[T ].+)?")
_LIST = re.compile(r"\[.*\]|\(\d+:.*\)", re.DOTALL)
# what Python and NumPy write in the brackets of a list as text, with and without commas
_PART = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|"""
    r"""(?<![^\s,])(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|None|True|False)(?![^\s,])""",
    re.IGNORECASE | re.DOTALL,
)
_FLOAT32 = 6e-8  # by how much a number in 32 bits may differ from what was written
_SHOWN = 8


def has_value(column: pd.Series, wanted: Collection[str]) -> BoolArray:
    """Return bool ``(n,)``: which values are one of those that were typed.

    Text has to be the same, or one of several values that semicolons separate, as OpenStreetMap has
    them: ``gold;copper`` is gold and is copper. So are lists, whether a format has them as such or
    as text. Numbers are compared as numbers, so that ``5.0`` is 5; ``true``, ``yes`` and ``1`` are
    the same in a column of yes and no, as are their opposites; a date without a time matches every
    moment of that day; ``null`` matches what is missing.
    """
    written = _written(column)
    text = _unpacked(written)
    matching = np.array(text.isin(wanted) | written.isin(wanted), dtype=bool)
    lists = np.asarray(text.str.contains(";", regex=False), dtype=bool)
    matching[lists] |= np.array([_holds(several, wanted) for several in text[lists]], dtype=bool)
    numbers, flags = _numbers(column), _flags(column, text)
    for typed in wanted:
        if typed.lower() == "null":
            matching |= np.asarray(text == "", dtype=bool)
        if flags is not None and typed.lower() in _YES_OR_NO:
            matching |= flags == _YES_OR_NO[typed.lower()]
        if numbers is not None:
            matching |= _equals(numbers, typed)
        if _DATE.fullmatch(typed):
            matching |= _on(column, text, typed)
    return matching


def _holds(several: str, wanted: Collection[str]) -> bool:
    return any(value.strip() in wanted for value in several.split(";"))


def is_given(column: pd.Series) -> BoolArray:
    """Return bool ``(n,)``: which values are neither missing nor ``no`` (or false)."""
    text = text_of(column)
    flags = _flags(column, text)
    given = np.array(~text.isin(("", "no")), dtype=bool)
    return given if flags is None else given & (flags != False)  # noqa: E712 - may be None


def text_of(column: pd.Series) -> pd.Series:
    """Return a column as text without blanks around it; ``""`` where it is missing.

    Integers that GDAL read as floats because some are missing become ``5`` and not ``5.0``. Lists,
    as GeoJSON and GeoParquet have them, become ``gold;copper``; so do those that formats without
    lists have as text, ``["gold", "copper"]`` or ``(2:gold,copper)``, in a column of nothing else,
    and those that geopandas writes as Python shows them, ``['gold', 'copper']`` or, of an array,
    ``['gold' 'copper']``.
    """
    return _unpacked(_written(column))


def _written(column: pd.Series) -> pd.Series:
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "mixed":
        column = column.map(_joined)
    if pd.api.types.is_float_dtype(column):
        present = column.dropna()
        if (present % 1 == 0).all() and (present.abs() < EXACT_IN_FLOATS).all():
            column = column.astype("Int64")
    return column.astype("string").fillna("").str.strip()


def _unpacked(text: pd.Series) -> pd.Series:
    """Return text with its lists as ``gold;copper``, unless any of it is something else."""
    kinds = [value for value in text.unique() if value]
    if not all(_LIST.fullmatch(value) for value in kinds):
        return text
    lists = {value: _list_in(value) for value in kinds}
    if not lists or None in lists.values():
        return text
    return text.map(lambda value: _joined(lists.get(value, value))).astype("string")


def _list_in(text: str) -> list[object] | None:
    """Return the list that was written as text, see ``text_of``; None of other text."""
    if text.startswith("("):
        length, _, rest = text[1:-1].partition(":")
        parts: list[object] = [*rest.split(",")] if rest else []
        return parts if len(parts) == int(length) else None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _shown_list_in(text[1:-1])
    return None if any(isinstance(part, list | dict) for part in found) else list(found)


def _shown_list_in(text: str) -> list[object] | None:
    """Return the list of which Python or NumPy shows this in brackets; None of other text."""
    if _PART.sub("", text).strip(" ,\n"):
        return None
    try:
        parts = [
            None if part in ("nan", "None") else ast.literal_eval(part)
            for part in _PART.findall(text)
        ]
    except (ValueError, SyntaxError):
        return None
    return parts or None


def _joined(value: object) -> object:
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    return ";".join(str(part) for part in value if part is not None)


def folded(text: str) -> str:
    """Return text as it is compared where case, blanks and how accents are composed do not count.

    A blank that does not break a line is a blank, and one letter may be a letter and an accent.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shown(column: pd.Series) -> str:
    """Return the values of a column for a message, the most frequent ones of many."""
    # pandas 2 leaves values that are equally frequent in any order
    counts = Counter(text_of(column)).most_common()
    values = [str(value) for value, _ in counts if value != ""]
    more = len(values) - _SHOWN
    rest = f" and {more:,} more" if more > 0 else ""
    return ", ".join(sorted(values[:_SHOWN])) + rest if values else "no value at all"


def _numbers(column: pd.Series) -> pd.Series | None:
    """Return a column of numbers, whatever holds them; None where it has others."""
    if pd.api.types.is_bool_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column):
        return column
    present = column.dropna()
    if column.dtype == object and len(present) and present.map(_is_number).all():
        if all(math.isfinite(value) and value == int(value) for value in present):
            # as floats, neighbours may be equal
            return as_column([None if pd.isna(value) else int(value) for value in column])
        return pd.to_numeric(column.astype("Float64"))  # decimals
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | np.bool_)


def _flags(column: pd.Series, text: pd.Series) -> AnyArray | None:
    """Return True, False or None for each value, where a column has nothing but yes and no."""
    lower = text.str.lower()
    kinds = set(lower.unique()) - {""}
    words = ({"0", "1"},) if _numbers(column) is not None else _PAIRS
    if not kinds or not any(kinds <= pair for pair in words):
        return None
    return np.array([_YES_OR_NO.get(word) for word in lower], dtype=object)


def _equals(numbers: pd.Series, typed: str) -> BoolArray:
    if _INTEGER.fullmatch(typed):
        equal = numbers == int(typed)
    elif _REAL.fullmatch(typed):
        number = float(typed)
        # a share of 0.1 in 32 bits is not the 0.1 in 64 bits; a whole number is
        near = 0.0 if number.is_integer() else abs(number) * _FLOAT32
        equal = (numbers.astype("Float64") - number).abs() <= near
    else:
        return np.zeros(len(numbers), dtype=bool)
    return np.asarray(equal.fillna(False), dtype=bool)


def _on(column: pd.Series, text: pd.Series, typed: str) -> BoolArray:
    """Return which moments are the one typed, or are of the day typed.

    The day is that of the place whose time a value has: ``2024-05-01T01:00+02:00`` is of 1 May.
    """
    wanted = _moment(typed)
    if wanted is None:
        return np.zeros(len(text), dtype=bool)
    values = column.map(_iso, na_action="ignore") if column.dtype == object else text
    moment_of = _day if "T" not in wanted else _moment
    same = {value for value in values.dropna().unique() if moment_of(value) == wanted}
    return np.asarray(values.isin(same), dtype=bool)


def _iso(value: object) -> str:
    return str(value).strip()


def _day(text: str) -> str | None:
    """Return the day on which a moment is where it was written down."""
    moment = _read(text)
    return None if moment is None else str(moment.date().isoformat())


def _moment(text: str) -> str | None:
    """Return a moment in ISO 8601, in UTC if it has an offset; only the day if it has no time."""
    match, moment = _DATE.fullmatch(text), _read(text)
    if moment is None or match is None or not match["time"]:
        return _day(text)
    if moment.tzinfo is not None:
        moment = moment.tz_convert("UTC").tz_localize(None)
    return str(moment.isoformat())


def _read(text: str) -> pd.Timestamp | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return pd.Timestamp(text)
    except ValueError:
        return None
