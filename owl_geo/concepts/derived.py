"""Yes/no concepts made of other concepts; a missing value is a no."""

from __future__ import annotations

import numpy as np
import pandas as pd

from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.settings.config import AboveConcept, BelowConcept, EqualsConcept
from owl_geo.types import AnyArray


class Equals(ConceptKind[EqualsConcept]):
    """Whether a category has a value."""

    compares = "category"

    @property
    def of(self) -> str:
        """The category."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Yes or no."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return where it holds."""
        return np.asarray(work.columns[self.of] == self.settings.value, dtype=bool)


class Below(ConceptKind[BelowConcept]):
    """Whether a number is below a value."""

    compares = "number"

    @property
    def of(self) -> str:
        """The number."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Yes or no."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return where it holds; comparisons with not-a-number are false."""
        return np.asarray(work.columns[self.of] < self.settings.value, dtype=bool)


class Above(ConceptKind[AboveConcept]):
    """Whether a number is above a value."""

    compares = "number"

    @property
    def of(self) -> str:
        """The number."""
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        """Yes or no."""
        return "yes/no"

    def column(self, work: Work) -> AnyArray:
        """Return where it holds; comparisons with not-a-number are false."""
        return np.asarray(work.columns[self.of] > self.settings.value, dtype=bool)
