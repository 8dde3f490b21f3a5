"""Features of embeddings: where a patch points, and how far its pixels point apart.

The dimensions of an embedding mean nothing one by one: their quantiles and texture would be ten
times as many numbers, of noise. What a patch shows is the mean of its pixels' vectors, as a
direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from owl_geo.errors import ConfigError
from owl_geo.features.statistics import SpectralStatistics, in_loops
from owl_geo.settings.choices import MODELS, default
from owl_geo.settings.learning import ModelSettings
from owl_geo.types import EMBEDDING, BandStatistics, FloatArray

_FLOOR = 1e-3  # the logarithm of a perfectly even patch stays finite; a vector has length 1


class MeanVector:
    """Maps patches of an embedding, float32 ``(n, bands, h, w)``, to features ``(n, bands + 1)``.

    These are the mean of the pixels' vectors, brought to unit length, and the logarithm of their
    spread: the root of the mean squared distance from the mean.

    Args:
        bands: names of the dimensions.
        spread: name of the last feature.

    Attributes:
        names: the names of the features.
    """

    def __init__(self, bands: Sequence[str], spread: str = "embedding_spread") -> None:
        self.names = (*(f"{band}_mean" for band in bands), spread)
        self._fused = False

    def in_loops(self) -> MeanVector:
        """Return the same, computed by compiled loops; see ``features.fused``, to within 1e-6."""
        fused = copy(self)
        fused._fused = True
        return fused

    def __call__(self, patches: FloatArray) -> FloatArray:
        n, n_bands = patches.shape[:2]
        pixels = patches.reshape(n, n_bands, -1)  # (n, bands, pixels)
        if pixels.shape[2] == 1:  # what follows would give the same, in three times the time
            mean, apart = pixels[:, :, 0].astype(np.float64), np.zeros(n)
        elif self._fused:
            from owl_geo.features.fused import mean_vectors  # imports Numba

            mean, apart = mean_vectors(pixels)
        else:
            mean = pixels.mean(axis=2, dtype=float)
            apart = ((pixels - mean[:, :, None]) ** 2).sum(axis=1).mean(axis=1)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        direction = mean / np.maximum(length, np.finfo(np.float32).tiny)
        features = np.empty((n, n_bands + 1), dtype=np.float32)
        features[:, :n_bands] = direction
        features[:, n_bands] = np.log(np.sqrt(apart) + _FLOOR)
        return features


class EmbeddingFeatures:
    """The features of an embedding, and spectral statistics of bands that are none behind them.

    Args:
        bands: names of all bands.
        common_names: what each is; see ``types.EMBEDDING``.
        statistics: statistics of the bands, in the source's own values.

    Attributes:
        names: the names of the features.
        n_dimensions: how many of them, the first, are the direction of a vector.
    """

    def __init__(
        self,
        bands: Sequence[str],
        common_names: Sequence[str | None],
        statistics: BandStatistics,
    ) -> None:
        every = range(len(bands))
        self._dimensions = [i for i in every if common_names[i] == EMBEDDING]
        self._others = [i for i in every if common_names[i] != EMBEDDING]
        self._parts: list[tuple[list[int], MeanVector | SpectralStatistics]] = []
        if self._dimensions:
            vector = MeanVector([bands[i] for i in self._dimensions])
            self._parts.append((self._dimensions, vector))
        if self._others:
            part = statistics.take(self._others)
            commons = [common_names[i] for i in self._others]
            self._parts.append((self._others, SpectralStatistics(part.bands, commons, part)))
        self.n_dimensions = len(self._dimensions)
        self.names = tuple(name for _, part in self._parts for name in part.names)

    def in_loops(self) -> EmbeddingFeatures:
        """Return the same, computed by compiled loops."""
        fused = copy(self)
        fused._parts = [(at, in_loops(part)) for at, part in self._parts]
        return fused

    def __call__(self, patches: FloatArray) -> FloatArray:
        """Return the features, float32 ``(n, d)``, of patches ``(n, bands, height, width)``."""
        if len(self._parts) == 1:  # which sees all bands
            return self._parts[0][1](np.ascontiguousarray(patches))
        columns = [part(np.ascontiguousarray(patches[:, at])) for at, part in self._parts]
        return np.concatenate(columns, axis=1)


def check_vectors(model: ModelSettings, statistics: BandStatistics) -> None:
    """Raise ConfigError for a model of vectors where no band is a dimension of an embedding."""
    of_vectors = MODELS[model.features].of_vectors
    if of_vectors and not statistics.dimensions(range(len(statistics.bands))):
        raise ConfigError(
            f"model.kind is {model.kind}, but neither a scene nor a view is an embedding",
            remedy=f"set model.kind to {default(MODELS)}",
        )
