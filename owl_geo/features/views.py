"""Features of views: what they show of a patch, and how the scene differs from it.

They are spectral statistics whatever the model's own features are, so that a frozen backbone, which
knows the bands of photographs and of products, is left to those of the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np

from owl_geo.features.embedding import MeanVector
from owl_geo.features.statistics import SpectralStatistics, in_loops
from owl_geo.types import BandStatistics, FloatArray

_OF_VALUES = ("mean", "spread")
_OF_CHANGE = ("mean", "spread", "q2", "q98")  # the outer ones show what changed in a part of it


class WithViews:
    """Maps patches with the bands of views, float32 ``(n, bands, h, w)``, to features ``(n, d)``.

    The scene's own features come first, then those of each view: a few statistics of its bands and
    of the change, and the share of the patch that it shows. Where that is none, its other features
    are not-a-number, and stand for "not known" until the whole pool is there; see
    ``without_unknown``.

    As many statistics of a view as of the scene would drown out what matters: they describe what
    else there is, fields for example, and a search for clearings then found half as many in its
    first rounds (``benchmarks/change.py``).

    Args:
        own: the features of the scene's own bands.
        statistics: of all bands.
    """

    def __init__(self, own: Callable[[FloatArray], FloatArray], statistics: BandStatistics) -> None:
        self._own = own
        self._bands = list(statistics.of(""))
        self._views = [_OfView(view, statistics) for view in statistics.views]

    def in_loops(self) -> WithViews:
        """Return the same, computed by compiled loops where there are any."""
        fused = copy(self)
        fused._own = in_loops(self._own)
        fused._views = [view.in_loops() for view in self._views]
        return fused

    @property
    def directions(self) -> list[slice]:
        """Which of these features are the direction of a vector, one slice for each embedding."""
        found, start = [], 0
        for view in self._views:
            found += [slice(start + at.start, start + at.stop) for at in view.directions]
            start += len(view.names)
        return found

    @property
    def view_names(self) -> tuple[str, ...]:
        """The names of the features that are not of the scene's own bands."""
        return tuple(name for view in self._views for name in view.names)

    def __call__(self, patches: FloatArray) -> FloatArray:
        own = self._own(np.ascontiguousarray(patches[:, self._bands]))
        return np.concatenate([own, *(view(patches) for view in self._views)], axis=1)


class _OfView:
    def __init__(self, view: str, statistics: BandStatistics) -> None:
        (self._seen,) = statistics.of(view, "seen")
        groups = {
            _OF_VALUES: list(statistics.of(view)),
            _OF_CHANGE: list(statistics.of(view, "change")),
        }
        self._parts = [
            part for which, bands in groups.items() for part in _parts(bands, statistics, which)
        ]
        names = [name for _, part in self._parts for name in part.names]
        # the values come first, and of an embedding its direction before anything else
        is_vector = bool(self._parts) and isinstance(self._parts[0][1], MeanVector)
        self.directions = [slice(0, len(self._parts[0][0]))] if is_vector else []
        self.names = (*names, f"{statistics.bands[self._seen]}_mean")

    def in_loops(self) -> _OfView:
        fused = copy(self)
        fused._parts = [(bands, in_loops(part)) for bands, part in self._parts]
        return fused

    def __call__(self, patches: FloatArray) -> FloatArray:
        seen = patches[:, self._seen].mean(axis=(1, 2))[:, None]
        columns = np.concatenate([part(patches[:, bands]) for bands, part in self._parts], axis=1)
        columns[seen[:, 0] == 0] = np.nan
        return np.concatenate([columns, seen], axis=1)


def _parts(
    bands: Sequence[int], statistics: BandStatistics, which: Sequence[str]
) -> list[tuple[list[int], MeanVector | SpectralStatistics]]:
    """Return positions of bands of a view, and the features of those; apart for an embedding."""
    dimensions = statistics.dimensions(bands)
    others = [i for i in bands if i not in dimensions]
    parts: list[tuple[list[int], MeanVector | SpectralStatistics]] = []
    if dimensions and which == _OF_VALUES:
        names = [statistics.bands[i] for i in dimensions]
        spread = f"{statistics.origins[dimensions[0]].view}:embedding_spread"
        parts.append((list(dimensions), MeanVector(names, spread)))
    elif dimensions:
        parts.append((list(dimensions), _statistics(dimensions, statistics, ("mean",))))
    if others:
        parts.append((others, _statistics(others, statistics, which)))
    return parts


def _statistics(
    bands: Sequence[int], statistics: BandStatistics, which: Sequence[str]
) -> SpectralStatistics:
    part = statistics.take(bands)
    return SpectralStatistics(part.bands, [None] * len(part.bands), part, which=which, pairs=False)


def without_unknown(values: FloatArray, n: int) -> FloatArray:
    """Put each column's median over the rows that know it into those that do not, in place.

    ``values`` are ``(N, d)``; the median is over the first ``n`` rows. So patches that a view does
    not show are like any other in it. A column that none of them knows becomes 0.
    """
    for column in values.T:
        unknown = np.isnan(column)
        if unknown.any():
            known = column[:n][~unknown[:n]]
            column[unknown] = np.median(known) if len(known) else 0.0
    return values
