"""Yes/no concepts derived from other concepts; a missing value means no."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd

from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.settings.concepts import AboveConcept, BelowConcept, EqualsConcept
from owl_geo.types import AnyArray

D = TypeVar("D", bound=AboveConcept | BelowConcept | EqualsConcept)


class Derived(ConceptKind[D]):
    """Whether the value of another concept is what the settings ask for."""

    @property
    def of(self) -> str:
        """The name of the other concept."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``yes/no``."""
        return "yes/no"


class Equals(Derived[EqualsConcept]):
    """Whether a category equals a value."""

    compares = "category"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``."""
        return np.asarray(work.columns[self.of] == self.settings.value, dtype=bool)


class Below(Derived[BelowConcept]):
    """Whether a number is below a value."""

    compares = "number"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``; comparisons with NaN are false."""
        return np.asarray(work.columns[self.of] < self.settings.value, dtype=bool)


class Above(Derived[AboveConcept]):
    """Whether a number is above a value."""

    compares = "number"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``; comparisons with NaN are false."""
        return np.asarray(work.columns[self.of] > self.settings.value, dtype=bool)
