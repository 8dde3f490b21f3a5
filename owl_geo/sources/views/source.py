"""A source whose patches show views too, as further bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.errors import SourceError
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.bands import Band
from owl_geo.sources.base import (
    PoolSource,
    known_bands_of,
    positions_of,
    read_at,
    windows_of,
)
from owl_geo.sources.cutting import fill
from owl_geo.sources.reader import ReaderPool
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.opening import View, bands_of, shared_bands
from owl_geo.sources.views.reading import ViewReader
from owl_geo.types import AnyArray, BoolArray, FailedScene, FloatArray, IntArray, SceneGrid

_SHOWN = 0.5  # of a patch's pixels: a view that has fewer of them does not show the patch


class ViewedSource(PoolSource):
    """The patches of another source, with what views show of the same ground.

    Its bands are those of the other source, and behind them for each view

    - ``VIEW:BAND``: the view's values, resampled to the patch's pixels, bilinear;
    - ``VIEW:change:BAND``, for each band that scene and view share: by how many scales the scene
      differs from the view after both were brought to one level; see ``levels``;
    - ``VIEW:seen``: 1 where the view has data, 0 elsewhere.

    A view shows a patch if it has data for at least half of the pixels. Missing ones then get the
    median of the band over the patch's others, as in every source. Of a patch that a view does not
    show, nothing is invented: its values are the band's median over the pool, its change is 0, and
    so is ``seen`` everywhere in it.

    Args:
        source: the other source; scenes and patches are its own.
        views: the views, each under a name of its own.
        levels: of each view, by its name.

    Raises SourceError where a band of the source is called as one of a view.
    """

    def __init__(
        self, source: PoolSource, views: Sequence[View], levels: Mapping[str, ViewLevels]
    ) -> None:
        self._source = source
        self._views = tuple(views)
        self._levels = {view.name: levels[view.name] for view in views}
        readers = ReaderPool()
        own = known_bands_of(source)
        self._shown = [
            _Shown(ViewReader(view, readers), levels[view.name], shared_bands(own, view.bands))
            for view in views
        ]
        self._known_bands = (*own, *(band for view in views for band in bands_of(view, own)))
        names = [band.name for band in self._known_bands]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SourceError(
                f"a band of the scenes and one of a view are both called {twice!r}",
                remedy="give the view another name",
            )
        self._windows: PoolWindows | None = None

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the second axis of ``read``."""
        return tuple(band.name for band in self._known_bands)

    @property
    def known_bands(self) -> tuple[KnownBand, ...]:
        """The same bands with what is known of each."""
        return self._known_bands

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self._source.patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""
        return self._source.grids

    @property
    def index(self) -> pd.DataFrame:
        """The patches of the other source."""
        return self._source.index

    @property
    def chunk_starts(self) -> IntArray:
        """Where reading moves on in the other source."""
        return self._source.chunk_starts

    @property
    def labels(self) -> IntArray | None:  # type: ignore[override] # a plain value in the protocol
        """The class of each patch, where the other source knows it."""
        return self._source.labels

    @property
    def failed(self) -> tuple[FailedScene, ...]:
        """Scenes of the other source that were left out."""
        return self._source.failed

    @property
    def summary(self) -> Sequence[object]:
        """What became of the windows of each scene."""
        return self._source.summary

    def leave_out(self, scenes: Sequence[FailedScene]) -> None:
        """Leave out scenes that turned out to be of no use; raises NoSceneLeft where all are."""
        self._source.leave_out(scenes)
        self._windows = None

    def check_bands(self, truth: str | None = None) -> None:
        """Check the bands of the scenes; see ``PoolSource.check_bands``."""
        self._source.check_bands(truth)

    def raster_bands(self, scene: str) -> tuple[Band, ...]:
        """Return the scene's own bands, which come before those of views."""
        return self._source.raster_bands(scene)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as the other source does, with views and levels: files are opened on arrival."""
        return ViewedSource, (self._source, self._views, self._levels)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index or pixels that cannot be read.
        """
        return read_at(self, positions_of(self.index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, as the index has them.

        Scenes and views are read together, batch by batch.
        """
        if self._windows is None:
            self._windows = windows_of(self._source)
        for part, patches in self._source.stream(positions, batch_size=batch_size):
            yield part, self._with_views(self._windows.take(part), patches)

    def _with_views(self, windows: PoolWindows, patches: FloatArray) -> FloatArray:
        n, own, height, width = patches.shape
        whole = np.empty((n, len(self._known_bands), height, width), dtype=np.float32)
        whole[:, :own] = patches
        for members, of_scene in windows.by_scene():
            start = own
            for shown in self._shown:
                stop = start + shown.n_bands
                whole[members, start:stop] = shown.patches(of_scene, patches[members])
                start = stop
        return whole


@dataclass(frozen=True)
class _Shown:
    """What one view adds to patches."""

    reader: ViewReader
    levels: ViewLevels
    pairs: tuple[tuple[int, int], ...]  # positions of the shared bands among the scene's, its own

    @property
    def n_bands(self) -> int:
        return len(self.reader.view.bands) + len(self.pairs) + 1

    def patches(self, windows: Windows, own: FloatArray) -> FloatArray:
        """Return ``(n, n_bands, size, size)`` for patches of one scene, whose bands are ``own``."""
        values, valid = self.reader.patches(windows)
        is_shown = shows(valid)
        ours, theirs = ([pair[side] for pair in self.pairs] for side in (0, 1))
        levels = self.levels.of(windows.grid.name)
        change = levels.change(own[:, ours], values[:, theirs])
        both = np.concatenate([values, change], axis=1)
        holed = np.flatnonzero(is_shown & ~valid.all(axis=(1, 2)))
        if len(holed):
            both[holed] = fill(both[holed], valid[holed])
        hidden = np.flatnonzero(~is_shown)
        both[hidden, : values.shape[1]] = self.levels.fill[:, None, None]
        both[hidden, values.shape[1] :] = 0.0
        seen = (valid & is_shown[:, None, None])[:, None].astype(np.float32)
        return np.concatenate([both, seen], axis=1)


def shows(valid: BoolArray) -> BoolArray:
    """Return which patches a view shows, ``(n,)``, by where it has data, ``(n, size, size)``."""
    share: AnyArray = valid.mean(axis=(1, 2))
    shown: BoolArray = share >= _SHOWN
    return shown
