"""Tag filters: ``key``, ``key=value`` and ``key=a|b``, parsed once and tested column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.errors import ConfigError
from owl_geo.types import BoolArray


@dataclass(frozen=True)
class TagFilter:
    """One filter: a feature passes if its tag ``key`` has one of ``values``.

    Without values, any value but ``no`` passes: ``building=no`` means that there is no building.
    """

    key: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key}={'|'.join(self.values)}" if self.values else self.key


def parse(text: str, where: str) -> TagFilter:
    """Parse a filter; raises ConfigError, with ``where`` in its message, for a malformed one."""
    key, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in rest.split("|")) if equals else ()
    if not key.strip() or "|" in key or "" in values:
        raise ConfigError(
            f"{where}: {text!r} is not a tag filter", remedy="write 'key', 'key=value' or 'key=a|b'"
        )
    return TagFilter(key.strip(), () if values == ("*",) else values)


def parse_all(texts: Iterable[str], where: str) -> tuple[TagFilter, ...]:
    """Parse several filters; raises ConfigError as ``parse`` does."""
    return tuple(parse(text, where) for text in texts)


def matches(features: pd.DataFrame, filters: Sequence[TagFilter]) -> BoolArray:
    """Return bool ``(n,)``: which features pass at least one of the filters.

    Without filters every feature passes; a filter whose column is missing passes none.
    """
    if not filters:
        return np.ones(len(features), dtype=bool)
    passed = np.zeros(len(features), dtype=bool)
    for wanted in filters:
        if wanted.key not in features.columns:
            continue
        text = text_of(features[wanted.key])
        if wanted.values:
            passed |= text.isin(wanted.values).to_numpy()
        else:
            passed |= ~text.isin(("", "no")).to_numpy()
    return passed


def text_of(column: pd.Series) -> pd.Series:
    """Return a column as text without blanks around it; ``""`` where it is missing.

    Integers that GDAL read as floats because some are missing become ``5`` and not ``5.0``.
    """
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype("string").fillna("").str.strip()
