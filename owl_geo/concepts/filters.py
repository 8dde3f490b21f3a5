"""Tag filters: ``key``, ``key=value`` and ``key=a|b``, parsed once and tested column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.concepts.values import has_value, is_given
from owl_geo.errors import ConfigError
from owl_geo.types import BoolArray


@dataclass(frozen=True)
class TagFilter:
    """One filter: a feature passes if its tag ``key`` has one of ``values``.

    Without values, any value but ``no`` (or false) passes: ``building=no`` means that there is no
    building. How values are compared, ``values.has_value`` says.
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
        column = features[wanted.key]
        passed |= has_value(column, wanted.values) if wanted.values else is_given(column)
    return passed
