"""Yes/no concepts derived from other concepts; a missing value means no."""

from __future__ import annotations

import numpy as np
import pandas as pd

from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.settings.concepts import AboveConcept, BelowConcept, EqualsConcept
from owl_geo.types import AnyArray


class Equals(ConceptKind[EqualsConcept]):
    """Whether a category equals a value."""

    compares = "category"

    @property
    def of(self) -> str:
        """The name of the category concept."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``yes/no``."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``."""
        return np.asarray(work.columns[self.of] == self.settings.value, dtype=bool)


class Below(ConceptKind[BelowConcept]):
    """Whether a number is below a value."""

    compares = "number"

    @property
    def of(self) -> str:
        """The name of the number concept."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``yes/no``."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``; comparisons with NaN are false."""
        return np.asarray(work.columns[self.of] < self.settings.value, dtype=bool)


class Above(ConceptKind[AboveConcept]):
    """Whether a number is above a value."""

    compares = "number"

    @property
    def of(self) -> str:
        """The name of the number concept."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``yes/no``."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return which patches it holds for, bool ``(n,)``; comparisons with NaN are false."""
        return np.asarray(work.columns[self.of] > self.settings.value, dtype=bool)
