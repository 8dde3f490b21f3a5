"""The scale of each feature, which is that of the pool, or of a vector as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BoolArray, FloatArray

_NORMAL_IQR = 1.349  # interquartile range of a standard normal
_LIMIT = 10.0  # scaled units; one odd patch should not stretch a feature's scale for all


@dataclass(frozen=True)
class Scaling:
    """How the columns of a table of features are scaled."""

    median: NDArray[np.float64]  # (d,)
    scale: FloatArray  # (d,), 1 for a constant column
    limited: BoolArray  # (d,); columns of no vector: one odd patch must not stretch their scale
    limit: float

    @classmethod
    def none(cls, d: int) -> Scaling:
        """Leave d columns as they are."""
        nothing = np.zeros(d, dtype=bool)
        return cls(np.zeros(d), np.ones(d, dtype=np.float32), nothing, np.inf)

    def apply(self, values: FloatArray) -> FloatArray:
        """Scale features ``(n, d)`` in place."""
        values -= self.median
        values /= self.scale
        if self.limited.all():
            return np.clip(values, -self.limit, self.limit, out=values)
        if self.limited.any():
            columns = values[:, self.limited]
            values[:, self.limited] = np.clip(columns, -self.limit, self.limit)
        return values


def fitted_scaling(
    some: FloatArray, deviation: Callable[[int], float], together: Sequence[slice] = ()
) -> Scaling:
    """Return how columns are scaled, by some of their rows; a constant column becomes 0.

    ``deviation`` is asked for the standard deviation of a column whose quartiles are equal. Columns
    ``together`` have one scale, the root of the mean of their squares. So the distance of two
    vectors of unit length follows from the angle between them, whatever their dimensions vary.
    """
    scales, medians = np.empty((2, some.shape[1]))
    for number, column in enumerate(some.T):
        low, medians[number], high = np.quantile(column, [0.25, 0.5, 0.75])
        scales[number] = (high - low) / _NORMAL_IQR or deviation(number)
    apart = np.ones(some.shape[1], dtype=bool)
    for at in together:
        scales[at] = np.sqrt((scales[at] ** 2).mean())
        apart[at] = False  # no vector is longer than 1
    scales = np.where(scales > 0, scales, 1.0)
    return Scaling(medians, scales.astype(np.float32), apart, _LIMIT)
