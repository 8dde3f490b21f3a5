"""Spectral statistics of a patch: features that need no learned weights.

They are the level, spread, quantiles and texture of each band, and normalised differences of bands:
of every pair if there are few bands, and otherwise the usual indices of bands with a common name:
NDVI (Rouse et al. 1974), NDWI (McFeeters 1996), MNDWI (Xu 2006), NDMI (Gao 1996), NDTI (van
Deventer et al. 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from importlib.util import find_spec
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BandStatistics, FloatArray, IntArray

T = TypeVar("T")

# the outer ones show a part of a patch
_QUANTILES = {q: f"q{round(100 * q)}" for q in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)}
STATISTICS = ("mean", "spread", *_QUANTILES.values(), "texture")  # of each band
_INDICES = {
    "ndvi": ("nir", "red"),
    "ndwi": ("green", "nir"),
    "mndwi": ("green", "swir1"),
    "ndmi": ("nir", "swir1"),
    "ndti": ("swir1", "swir2"),
}
_MOST_PAIRS = 15  # those of six bands; more would drown out the other features
_FLOOR = 1e-3  # of a band's scale: the logarithm of a perfectly even patch stays finite

# Values of a pool, pixels times bands, from which compiled loops pay off: they cost a second or
# less to load, and five or so where they were never compiled before.
WORTH_IT = 2**28


class SpectralStatistics:
    """Maps patches, float32 ``(n, bands, height, width)``, to features, float32 ``(n, d)``.

    Args:
        bands: names of the bands, used in ``names``.
        common_names: the common name of each band (red, nir, ...), None if it has none.
        statistics: statistics of the bands, in the source's own values.
        which: the statistics of each band, of ``STATISTICS``.
        pairs: whether there are normalised differences of bands.

    Attributes:
        names: the names of the ``d`` features.
    """

    def __init__(
        self,
        bands: Sequence[str],
        common_names: Sequence[str | None],
        statistics: BandStatistics,
        *,
        which: Sequence[str] = STATISTICS,
        pairs: bool = True,
    ) -> None:
        self._fused = False
        self._floor = np.maximum(_FLOOR * statistics.scale, np.finfo(np.float32).tiny)
        self._which = tuple(name for name in STATISTICS if name in which)
        self._quantiles = tuple(q for q, name in _QUANTILES.items() if name in which)
        self._quantile_names = tuple(_QUANTILES[q] for q in self._quantiles)
        self._pairs = _pairs(bands, common_names) if pairs else []
        self.names = tuple(
            [f"{band}_{statistic}" for statistic in self._which for band in bands]
            + [name for name, _, _ in self._pairs]
        )

    def in_loops(self) -> SpectralStatistics:
        """Return the same, computed by compiled loops; see ``features.fused``, to within 1e-6."""
        fused = copy(self)
        fused._fused = True
        return fused

    def __call__(self, patches: FloatArray) -> FloatArray:
        return self._by_loops(patches) if self._fused else self._by_numpy(patches)

    def _by_numpy(self, patches: FloatArray) -> FloatArray:
        n, n_bands = patches.shape[:2]
        pixels = patches.reshape(n, n_bands, -1)  # (n, bands, pixels)
        columns = []
        if "mean" in self._which:
            columns.append(pixels.mean(axis=2))
        if "spread" in self._which:
            columns.append(np.log(pixels.std(axis=2) + self._floor))
        if self._quantiles:
            columns.extend(_quantiles(pixels, self._quantiles))
        if "texture" in self._which:
            columns.append(np.log(_steps(patches) + self._floor))
        for _, first, second in self._pairs:
            a, b = pixels[:, first], pixels[:, second]
            # dividing by magnitudes, so that bands that may be negative never sum to zero
            size = np.maximum(np.abs(a) + np.abs(b), self._floor[[first, second]].sum())
            columns.append(((a - b) / size).mean(axis=1, keepdims=True))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def _by_loops(self, patches: FloatArray) -> FloatArray:
        from owl_geo.features.fused import summarise  # imports Numba

        below, above, share = _ranks(self._quantiles, patches.shape[2] * patches.shape[3])
        ranks = np.unique(np.concatenate([below, above]))
        pairs = np.array([bands for _, *bands in self._pairs], dtype=np.int64).reshape(-1, 2)
        found = summarise(patches, ranks, pairs, self._floor[pairs].sum(axis=1))
        low, high = (found.ordered[:, :, np.searchsorted(ranks, at)] for at in (below, above))
        of_bands = {
            "mean": found.mean,
            "spread": np.log(found.spread + self._floor),
            "texture": np.log(found.step + self._floor),
            **dict(zip(self._quantile_names, _between(low, high, share), strict=True)),
        }
        columns = [of_bands[name] for name in self._which]
        values = np.concatenate([*columns, found.differences], axis=1).astype(np.float32)
        if not found.done.all():
            values[~found.done] = self._by_numpy(patches[~found.done])
        return values


def in_loops(features: T) -> T:
    """Return features computed by compiled loops, or as they are where they have none."""
    has_loops = getattr(features, "in_loops", None)
    return features if has_loops is None else has_loops()


def worth_fusing(n_values: int) -> bool:
    """Whether so many pixels, times bands, are worth compiled loops, and Numba is installed."""
    return n_values >= WORTH_IT and find_spec("numba") is not None


def has_no_index(bands: Sequence[str], common_names: Sequence[str | None]) -> bool:
    """Return whether bands too many for every pair of them have no usual index either."""
    return len(bands) > 1 and not _pairs(bands, common_names)


def _steps(patches: FloatArray) -> FloatArray:
    """Return the mean step from pixel to pixel, down and to the right, ``(n, bands)``."""
    steps = np.zeros(patches.shape[:2], dtype=np.float32)
    for axis in (2, 3):
        if patches.shape[axis] > 1:  # a pixel alone has no texture
            steps += np.abs(np.diff(patches, axis=axis)).mean(axis=(2, 3))
    return steps


def _quantiles(pixels: FloatArray, quantiles: Sequence[float]) -> NDArray[np.float64]:
    """Return quantiles of the last axis, ``(q, n, bands)``, linear between the two nearest values.

    Sorting is several times faster than the partial sorting that NumPy's own quantiles do.
    """
    ordered = np.sort(pixels, axis=2)
    below, above, share = _ranks(quantiles, pixels.shape[2])
    return _between(ordered[..., below], ordered[..., above], share)


def _ranks(quantiles: Sequence[float], n: int) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return the ranks among n values that quantiles lie between, and how far from the lower."""
    rank = np.array(quantiles) * (n - 1)
    below = np.floor(rank).astype(np.int64)
    return below, np.minimum(below + 1, n - 1), rank - below


def _between(low: FloatArray, high: FloatArray, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(q, n, bands)`` between two values, ``(n, bands, q)`` each."""
    first = low.astype(np.float64)
    return np.moveaxis(first + (high - first) * share, 2, 0)


def _pairs(bands: Sequence[str], common_names: Sequence[str | None]) -> list[tuple[str, int, int]]:
    """Return name, first and second band of each normalised difference."""
    band = {name: number for number, name in enumerate(common_names) if name is not None}
    named = {
        (band[first], band[second]): name
        for name, (first, second) in _INDICES.items()
        if first in band and second in band
    }
    every = list(combinations(range(len(bands)), 2))
    if len(every) > _MOST_PAIRS:
        return [(name, *pair) for pair, name in named.items()]
    # a pair in the other order gives the same value with the opposite sign
    names = {tuple(sorted(pair)): name for pair, name in named.items()}
    return [(names.get((i, j), f"nd_{bands[i]}_{bands[j]}"), i, j) for i, j in every]
