"""Concepts as numbers: the matrix that a model of concepts learns from.

An encoding is fitted on the whole pool, so that a patch has the same row in every round, whichever
patches have been answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.concepts import UNKNOWN
from owl_geo.errors import ConfigError
from owl_geo.types import FloatArray

_IQR_OF_NORMAL = 1.349
_FARTHEST = 5.0  # spreads from the median; an outlier must not outweigh all other concepts


@dataclass(frozen=True)
class Encoded:
    """The concepts of n patches as k numbers each."""

    matrix: FloatArray  # (n, k), finite
    names: tuple[str, ...]  # "urban", "land_cover=water", "dist_industrial missing"


@dataclass(frozen=True)
class _Column(ABC):
    """How one column of the matrix is computed from one concept."""

    concept: str

    @property
    def name(self) -> str:
        return self.concept

    @property
    @abstractmethod
    def condition(self) -> str:
        """Where the column is 1, worded so that it can follow "where"."""

    @abstractmethod
    def values(self, column: pd.Series) -> NDArray[np.float64]:
        """Return the numbers of patches, ``(n,)``, finite."""


@dataclass(frozen=True)
class _YesNo(_Column):
    @property
    def condition(self) -> str:
        return f"{self.concept} is yes"

    def values(self, column: pd.Series) -> NDArray[np.float64]:
        return np.asarray(column, dtype=np.float64)


@dataclass(frozen=True)
class _Class(_Column):
    category: str

    @property
    def name(self) -> str:
        return f"{self.concept}={self.category}"

    @property
    def condition(self) -> str:
        return f"{self.concept} is {self.category}"

    def values(self, column: pd.Series) -> NDArray[np.float64]:
        return np.asarray(_as_text(column) == self.category, dtype=np.float64)


@dataclass(frozen=True)
class _Number(_Column):
    logarithm: bool = False
    centre: float = 0.0
    scale: float = 1.0

    @property
    def condition(self) -> str:
        as_it_is = (self.centre, self.scale) == (0.0, 1.0)
        step = "1 rather than 0" if as_it_is else "higher by one typical spread"
        return f"{self.concept} is {step}"

    def values(self, column: pd.Series) -> NDArray[np.float64]:
        numbers = _as_numbers(column)
        if self.logarithm:
            numbers = np.log1p(np.maximum(numbers, 0.0))  # other patches may go below the pool's 0
        scaled = ((numbers - self.centre) / self.scale).clip(-_FARTHEST, _FARTHEST)
        return np.where(np.isnan(scaled), 0.0, scaled)


@dataclass(frozen=True)
class _Missing(_Column):
    """Flags the patches of which a number is not known."""

    @property
    def name(self) -> str:
        return f"{self.concept} missing"

    @property
    def condition(self) -> str:
        return f"{self.concept} is not known"

    def values(self, column: pd.Series) -> NDArray[np.float64]:
        return np.isnan(_as_numbers(column)).astype(np.float64)


@dataclass(frozen=True)
class Encoding:
    """What was learned from a pool's concepts; ``encode`` gives patches their rows."""

    columns: tuple[_Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One name per column of the matrix, in its order."""
        return tuple(column.name for column in self.columns)

    @property
    def conditions(self) -> dict[str, str]:
        """Where each column counts, by its name: "land_cover=water" where "land_cover is water"."""
        return {column.name: column.condition for column in self.columns}

    def differing(self, other: Encoding) -> set[str]:
        """Return the concepts that become other numbers in another encoding."""
        return {column.concept for column in {*self.columns} ^ {*other.columns}}

    def encode(self, concepts: pd.DataFrame) -> Encoded:
        """Return the rows of these patches; a class that was not in the pool is all zeros.

        Raises ConfigError where a concept of the pool is missing.
        """
        for column in self.columns:
            if column.concept not in concepts:
                raise ConfigError(
                    f"the table lacks concept {column.concept!r}, which the pool had",
                    remedy="run `owl-geo init RUN --update`",
                )
        matrix = np.empty((len(concepts), len(self.columns)), dtype=np.float32)
        for position, column in enumerate(self.columns):
            matrix[:, position] = column.values(concepts[column.concept])
        return Encoded(matrix, self.names)


def fit_encoding(pool: pd.DataFrame) -> Encoding:
    """Learn from the whole pool how its concepts become numbers.

    A category becomes one column per class, ``unknown`` included; a yes/no is 0 or 1; a number
    from 0 to 1, such as a share, stays as it is. Any other number is centred at the median and
    divided by the interquartile range / 1.349, after log1p where none is negative: ten metres more
    matter close by and not far away. (On simulated distances log1p gains 0.02 to 0.05 AUC where
    the odds fade with distance, and loses as much where they fall linearly, which is rare.)
    Missing numbers become 0 and are flagged in a column of their own. Constant columns are
    dropped. Columns follow the order of the concepts, and classes are sorted alphabetically.
    """
    candidates = [column for name in pool for column in _columns_of(str(name), pool[name])]
    return Encoding(tuple(c for c in candidates if _varies(c.values(pool[c.concept]))))


def encode(concepts: pd.DataFrame, fitted_on: int | None = None) -> Encoded:
    """Fit an encoding on these patches, or the first of them, and return the rows of all.

    See ``fit_encoding``.
    """
    return fit_encoding(concepts[:fitted_on]).encode(concepts)


def _columns_of(name: str, column: pd.Series) -> list[_Column]:
    if column.dtype == bool:
        return [_YesNo(name)]
    if not pd.api.types.is_numeric_dtype(column):
        return [_Class(name, category) for category in sorted(set(_as_text(column)))]
    return [_number(name, _as_numbers(column)), _Missing(name)]


def _number(name: str, numbers: NDArray[np.float64]) -> _Number:
    finite = numbers[~np.isnan(numbers)]
    if len(finite) == 0 or (finite.min() >= 0 and finite.max() <= 1):
        return _Number(name)
    logarithm = bool(finite.min() >= 0)
    if logarithm:
        finite = np.log1p(finite)
    low, centre, high = np.percentile(finite, [25, 50, 75])
    # over half of the pool may share one value; the standard deviation then takes over
    scale = float(high - low) / _IQR_OF_NORMAL or float(finite.std()) or 1.0
    return _Number(name, logarithm, float(centre), scale)


def _as_text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), UNKNOWN).astype(str)


def _as_numbers(column: pd.Series) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _varies(values: NDArray[np.float64]) -> bool:
    return len(values) > 0 and bool(values.min() < values.max())
