"""Features of embeddings: where a patch points, and how far its pixels point apart.

The dimensions of an embedding mean nothing one by one: their quantiles and texture would be ten
times as many numbers, of noise. What a patch shows is the mean of its pixels' vectors, as a
direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from owl_geo.types import FloatArray

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

    def __call__(self, patches: FloatArray) -> FloatArray:
        n, n_bands = patches.shape[:2]
        pixels = patches.reshape(n, n_bands, -1)  # (n, bands, pixels)
        mean = pixels.mean(axis=2, dtype=np.float64)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        direction = mean / np.maximum(length, np.finfo(np.float32).tiny)
        apart = ((pixels - mean[:, :, None]) ** 2).sum(axis=1).mean(axis=1)
        spread = np.log(np.sqrt(apart) + _FLOOR)
        return np.concatenate([direction, spread[:, None]], axis=1).astype(np.float32)


class WithEmbedding:
    """The features of an embedding, and those of bands that are none behind them.

    Args:
        bands: names of all bands.
        dimensions: positions of those of the embedding.
        others: positions of the others.
        of_others: their features; None where there are no others.
    """

    def __init__(
        self,
        bands: Sequence[str],
        dimensions: Sequence[int],
        others: Sequence[int],
        of_others: Callable[[FloatArray], FloatArray] | None,
        names_of_others: Sequence[str],
    ) -> None:
        self._dimensions, self._others = list(dimensions), list(others)
        self._vector = MeanVector([bands[i] for i in dimensions])
        self._of_others = of_others
        self.names = (*self._vector.names, *names_of_others)

    def __call__(self, patches: FloatArray) -> FloatArray:
        vectors = self._vector(patches[:, self._dimensions])
        if self._of_others is None:
            return vectors
        others = self._of_others(np.ascontiguousarray(patches[:, self._others]))
        return np.concatenate([vectors, others], axis=1)
