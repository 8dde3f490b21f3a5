"""Yes/no concepts made of other concepts, and what kind of value each concept has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from owl_geo.concepts import UNKNOWN
from owl_geo.errors import ConfigError, suggestion
from owl_geo.settings.config import (
    AboveConcept,
    BelowConcept,
    CategoryConcept,
    Concept,
    EqualsConcept,
    GivenConcept,
    RasterConcept,
)
from owl_geo.types import AnyArray, BoolArray

Derived = EqualsConcept | BelowConcept | AboveConcept


def derive(concept: Derived, values: AnyArray) -> BoolArray:
    """Return which patches the concept holds for, bool ``(n,)``; a missing value is a no."""
    if isinstance(concept, EqualsConcept):
        return np.asarray(values == concept.value, dtype=bool)
    # comparisons with NaN are false
    below = isinstance(concept, BelowConcept)
    return np.asarray(values < concept.value if below else values > concept.value, dtype=bool)


def check(concepts: Mapping[str, Concept], index: pd.DataFrame) -> None:
    """Raise ConfigError for a derived concept that does not fit the concept it is made of."""
    kinds: dict[str, str] = {}
    for name, concept in concepts.items():
        kinds[name] = _kind_of_value(name, concept, index)
        if not isinstance(concept, Derived):
            continue
        if concept.of not in kinds or concept.of == name:
            above = [other for other in kinds if other != name]
            raise ConfigError(
                f"concepts.{name}: no concept {concept.of!r} above it",
                remedy=suggestion(concept.of, above),
            )
        wanted = "category" if isinstance(concept, EqualsConcept) else "number"
        if kinds[concept.of] != wanted:
            raise ConfigError(
                f"concepts.{name}: {concept.kind} compares a {wanted}, "
                f"but {concept.of!r} is a {kinds[concept.of]}"
            )


def _kind_of_value(name: str, concept: Concept, index: pd.DataFrame) -> str:
    if isinstance(concept, Derived):
        return "yes/no"
    if isinstance(concept, CategoryConcept):
        return "category"
    if isinstance(concept, RasterConcept):
        return "category" if concept.reduce == "majority" else "number"
    if isinstance(concept, GivenConcept):
        return _kind_of_column(given(name, index))
    return "number"


def given(name: str, index: pd.DataFrame) -> AnyArray:
    """Return the source's own column, as text, float64 or bool; raises ConfigError without one."""
    if name not in index.columns:
        own = [column for column in index.columns if column not in _NOT_CONCEPTS]
        raise ConfigError(
            f"concepts.{name} is given by the source, but this source gives no such concept",
            remedy=suggestion(name, own),
        )
    column = index[name]
    kind = _kind_of_column(column)
    if kind == "category":
        return np.asarray(column.astype(object).where(column.notna(), UNKNOWN), dtype=object)
    return np.asarray(column, dtype=bool if kind == "yes/no" else np.float64)


def _kind_of_column(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "yes/no"
    return "number" if pd.api.types.is_numeric_dtype(column) else "category"


_NOT_CONCEPTS = frozenset({"patch_id", "scene", "row_off", "col_off", "valid_fraction", "geometry"})
