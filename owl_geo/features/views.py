"""Features of views: what they show of a patch, and how the scene differs from it.

They are spectral statistics whatever the model's own features are, so that a frozen backbone, which
knows the bands of photographs and of products, is left to those of the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from owl_geo.features.statistics import SpectralStatistics
from owl_geo.types import BandStatistics, FloatArray


class WithViews:
    """Maps patches with the bands of views, float32 ``(n, bands, h, w)``, to features ``(n, d)``.

    The scene's own features come first, then those of each view: the statistics of its bands, with
    normalised differences of those that have a common name, the statistics of the change, and the
    share of the patch that it shows. Where that is none, its other features are not-a-number, and
    stand for "not known" until the whole pool is there; see ``without_unknown``.

    Args:
        own: the features of the scene's own bands.
        statistics: of all bands.
    """

    def __init__(self, own: Callable[[FloatArray], FloatArray], statistics: BandStatistics) -> None:
        self._own = own
        self._bands = list(statistics.of(""))
        self._views = [_OfView(view, statistics) for view in statistics.views]

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
        values, change = statistics.of(view), statistics.of(view, "change")
        commons = {i: statistics.origins[i].common for i in (*values, *change)}
        named = [i for i in values if commons[i] is not None]
        unnamed = [i for i in values if commons[i] is None]
        groups = [(named, True), (unnamed, False), (list(change), False)]
        self._parts = [
            (bands, _statistics(view, bands, statistics, pairs=pairs))
            for bands, pairs in groups
            if bands
        ]
        names = [name for _, part in self._parts for name in part.names]
        self.names = (*names, f"{statistics.bands[self._seen]}_mean")

    def __call__(self, patches: FloatArray) -> FloatArray:
        seen = patches[:, self._seen].mean(axis=(1, 2))[:, None]
        columns = np.concatenate([part(patches[:, bands]) for bands, part in self._parts], axis=1)
        columns[seen[:, 0] == 0] = np.nan
        return np.concatenate([columns, seen], axis=1)


def _statistics(
    view: str, bands: Sequence[int], statistics: BandStatistics, *, pairs: bool
) -> SpectralStatistics:
    part = statistics.take(bands)
    commons = [origin.common for origin in part.origins]
    if "nir" not in commons:  # then the narrow one is it
        commons = ["nir" if common == "nir08" else common for common in commons]
    made = SpectralStatistics(part.bands, commons, part, pairs=pairs)
    # those of bands begin with the view's name already
    made.names = tuple(
        name if name.startswith(f"{view}:") else f"{view}:{name}" for name in made.names
    )
    return made


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
