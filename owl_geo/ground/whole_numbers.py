"""Whole numbers of attributes, of which pandas makes floats where any of them is missing.

Floats hold each whole number up to 2**53. Among larger ones, such as identifiers of 17 digits,
neighbours become equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

EXACT_IN_FLOATS = 2.0**53  # every whole number below it is one of the floats


def doubtful(table: pd.DataFrame) -> list[str]:
    """Return the columns of floats that may have been larger whole numbers in the file."""
    floats = table.select_dtypes("float64")
    return [str(name) for name in floats if (floats[name].abs() >= EXACT_IN_FLOATS).any()]


def as_column(values: Sequence[Any], index: pd.Index | None = None) -> pd.Series:
    """Return values, None where one is missing, as pandas does but for such whole numbers."""
    there = [value for value in values if value is not None]
    are_whole = bool(there) and all(type(value) is int for value in there)
    if are_whole and EXACT_IN_FLOATS <= max(map(abs, there)) < 2**64:
        dtype = "UInt64" if max(there) >= 2**63 else "Int64"
        return pd.Series(pd.array(list(values), dtype=dtype), index=index)
    return pd.Series(values, index=index)


def with_exact(table: pd.DataFrame, found: pa.Table) -> None:
    """Put the columns of whole numbers that Arrow found, with as many rows, in place of floats."""
    for name in found.column_names:
        if pa.types.is_integer(found.schema.field(name).type):
            table[name] = as_column(found[name].to_pylist(), table.index)
