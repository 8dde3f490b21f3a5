"""The features of a pool as rows of a table, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from owl_geo.types import FloatArray, IntArray
from owl_geo.work.workers import Workers


class FeatureRows(Protocol):
    """The features of every patch of the index, in memory or on disk.

    Each column has median 0 and scale 1 over the pool, within +-10.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the d features."""

    def __len__(self) -> int:
        """The number of patches."""

    def rows(self, positions: IntArray) -> FloatArray:
        """Return the features of some patches, in any order, float32 ``(k, d)``."""

    def components(self, width: int, workers: Workers | None = None) -> FloatArray:
        """Return the first principal components of all patches, float32 ``(N, width)``."""


@dataclass(frozen=True)
class FeatureTable:
    """``FeatureRows`` in memory."""

    values: FloatArray  # float32 (N, d)
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: IntArray) -> FloatArray:
        """Return the features of some patches, in any order, float32 ``(k, d)``.

        Those of patches that lie behind one another are not copied.
        """
        if len(positions) and (np.diff(positions) == 1).all():
            return self.values[positions[0] : positions[-1] + 1]
        return self.values[positions]

    def components(self, width: int, workers: Workers | None = None) -> FloatArray:
        """Return the first principal components of all patches, float32 ``(N, width)``."""
        from sklearn.decomposition import PCA

        width = min(width, *self.values.shape)
        pca = PCA(width, random_state=0, svd_solver="covariance_eigh")
        with np.errstate(invalid="ignore"):  # where all are alike, none has a share of no variance
            return np.asarray(pca.fit_transform(self.values), dtype=np.float32)
