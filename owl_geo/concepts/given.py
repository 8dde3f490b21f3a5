"""Concepts that the source itself provides, as the synthetic source does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from owl_geo.concepts import UNKNOWN
from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.errors import ConfigError, suggestion
from owl_geo.settings.concepts import GivenConcept
from owl_geo.types import AnyArray

_NOT_CONCEPTS = frozenset({"patch_id", "scene", "row_off", "col_off", "valid_fraction", "geometry"})


class Given(ConceptKind[GivenConcept]):
    """A column of the source's index, with any type of values."""

    def values(self, index: pd.DataFrame) -> Values:
        """Return the type of the column's values; raises ConfigError if there is no such column."""
        column = self._column(index)
        if pd.api.types.is_bool_dtype(column):
            return "yes/no"
        return "number" if pd.api.types.is_numeric_dtype(column) else "category"

    def column(self, work: Work) -> AnyArray:
        """Return the column as object (text), float64 or bool, ``(n,)``."""
        column, values = self._column(work.index), self.values(work.index)
        if values == "category":
            return np.asarray(column.astype(object).where(column.notna(), UNKNOWN), dtype=object)
        return np.asarray(column, dtype=bool if values == "yes/no" else np.float64)

    def _column(self, index: pd.DataFrame) -> pd.Series:
        if self.name not in index.columns:
            own = [column for column in index.columns if column not in _NOT_CONCEPTS]
            raise ConfigError(
                f"concepts.{self.name} has kind 'given', but the source provides no such concept",
                remedy=suggestion(self.name, own),
            )
        return index[self.name]
