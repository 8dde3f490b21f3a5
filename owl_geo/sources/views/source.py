"""A source whose patches show views too, as further bands."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from owl_geo.errors import SourceError
from owl_geo.ground.windows import PoolWindows
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
from owl_geo.sources.views.reading import Seen, Strips, ViewReader
from owl_geo.types import (
    EMBEDDING,
    BoolArray,
    FailedScene,
    FloatArray,
    IntArray,
    SceneGrid,
    ShownScene,
)


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
        own: the bands of the scenes, as a run has them written down; None = as the source says.

    Raises SourceError where a band of the source is called as one of a view.
    """

    def __init__(
        self,
        source: PoolSource,
        views: Sequence[View],
        levels: Mapping[str, ViewLevels],
        own: Sequence[KnownBand] | None = None,
    ) -> None:
        self._source = source
        self._views = tuple(views)
        self._levels = {view.name: levels[view.name] for view in views}
        readers = ReaderPool()
        self._own = own = tuple(known_bands_of(source) if own is None else own)
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
    def dates(self) -> Mapping[str, datetime.date]:
        """The day on which each scene of the other source was taken, as far as it is known."""
        return self._source.dates

    @property
    def failed(self) -> tuple[FailedScene, ...]:
        """Scenes of the other source that were left out."""
        return self._source.failed

    @property
    def summary(self) -> Sequence[object]:
        """What became of the windows of each scene."""
        return self._source.summary

    def keep(self, rows: BoolArray) -> None:
        """Leave out all patches but those marked in ``rows``, ``(n,)``."""
        self._source.keep(rows)
        self._forget_index()

    def leave_out(self, scenes: Sequence[FailedScene]) -> None:
        """Leave out scenes that turned out to be of no use; raises NoSceneLeft where all are."""
        self._source.leave_out(scenes)
        self._forget_index()

    def _forget_index(self) -> None:
        for name in ("_all_windows", "_starts"):
            self.__dict__.pop(name, None)

    def check_bands(self, truth: str | None = None) -> None:
        """Check the bands of the scenes; see ``PoolSource.check_bands``."""
        self._source.check_bands(truth)

    def raster_bands(self, scene: str) -> tuple[Band, ...]:
        """Return the scene's own bands, which come before those of views."""
        return self._source.raster_bands(scene)

    def shown(self, scene: str, rows: IntArray, cols: IntArray) -> tuple[ShownScene, ...]:
        """Return the ways in which QGIS can show a scene, without its views."""
        return self._source.shown(scene, rows, cols)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as the other source does, with views and levels: files are opened on arrival."""
        return ViewedSource, (self._source, self._views, self._levels, self._own)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index or pixels that cannot be read.
        """
        return read_at(self, positions_of(self.index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, as the index has them.

        Scenes and views are read together, strip by strip.
        """
        if positions is None:
            positions = np.arange(len(self.index), dtype=np.int64)
        windows = self._all_windows.take(positions)
        chunks = np.searchsorted(self._starts, positions, side="right")
        strips = [Strips(shown.reader, windows, chunks) for shown in self._shown]
        start = 0
        for part, patches in self._source.stream(positions, batch_size=batch_size):
            stop = start + len(part)
            seen = [strip.patches(start, stop) for strip in strips]
            yield part, self._with_views(windows.take(slice(start, stop)), patches, seen)
            start = stop

    def _with_views(
        self, windows: PoolWindows, patches: FloatArray, seen: Sequence[Seen]
    ) -> FloatArray:
        n, own, height, width = patches.shape
        whole = np.empty((n, len(self._known_bands), height, width), dtype=np.float32)
        whole[:, :own] = patches
        for positions, of_scene in windows.by_scene():
            # a slice copies nothing
            members = slice(None) if len(positions) == n else positions
            start, name = own, of_scene.grid.name
            for shown, of_view in zip(self._shown, seen, strict=True):
                stop = start + shown.n_bands
                added = shown.bands(name, patches[members], of_view.take(members))
                whole[members, start:stop] = added
                start = stop
        return whole

    @cached_property
    def _all_windows(self) -> PoolWindows:
        return windows_of(self._source)

    @cached_property
    def _starts(self) -> IntArray:
        return self._source.chunk_starts


@dataclass(frozen=True)
class _Shown:
    """What one view adds to patches."""

    reader: ViewReader
    levels: ViewLevels
    pairs: tuple[tuple[int, int], ...]  # positions of the shared bands among the scene's, its own

    @property
    def _dimensions(self) -> list[int]:
        bands = self.reader.view.bands
        return [number for number, band in enumerate(bands) if band.common == EMBEDDING]

    @property
    def n_bands(self) -> int:
        return len(self.reader.view.bands) + len(self.pairs) + 1

    def bands(self, scene: str, own: FloatArray, seen: Seen) -> FloatArray:
        """Return ``(n, n_bands, size, size)`` for patches of a scene, whose own bands are given."""
        ours, theirs = ([pair[side] for pair in self.pairs] for side in (0, 1))
        change = self.levels.of(scene).change(own[:, ours], seen.values[:, theirs])
        both = np.concatenate([seen.values, change], axis=1)
        is_shown, n_values = seen.is_shown, seen.values.shape[1]
        holed = np.flatnonzero(is_shown & ~seen.valid.all(axis=(1, 2)))
        if len(holed):
            both[holed] = fill(both[holed], seen.valid[holed], self._dimensions)
        both[~is_shown, :n_values] = self.levels.fill[:, None, None]
        both[~is_shown, n_values:] = 0.0
        where = seen.valid & is_shown[:, None, None]
        return np.concatenate([both, where[:, None].astype(np.float32)], axis=1)
