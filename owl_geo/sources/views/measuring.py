"""Looking at views once, when a run is made or scenes join it: levels, and what they show."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from pyproj.exceptions import ProjError

from owl_geo.errors import SourceError
from owl_geo.ground.windows import PoolWindows
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.band_grids import crs_text, extent_text
from owl_geo.sources.base import PoolSource, known_bands_of, read_at, windows_of
from owl_geo.sources.reader import ReaderPool
from owl_geo.sources.views.levels import Levels, ViewLevels
from owl_geo.sources.views.opening import View, shared_bands
from owl_geo.sources.views.reading import ViewReader
from owl_geo.sources.views.source import ViewedSource
from owl_geo.types import BoolArray, FloatArray, IntArray, SceneGrid
from owl_geo.wording import counted
from owl_geo.work.progress import Progress, part_of

_PURPOSE = 2  # of random numbers; 0 and 1 are those of the band statistics and the held-out part
_SAMPLE = 4096  # patches of the pool that are looked at in a view
_FEWEST, _MOST = 16, 2048  # of each scene
_AT_ONCE = 128  # patches in memory
_COMPARED = 32  # patches of a scene whose pixels give its levels
_KEPT = 32  # pixels of each of them that count in the pool's median


@dataclass(frozen=True)
class ViewSummary:
    """What a view shows of a pool."""

    name: str
    content: str  # "3 bands of 1 scene"
    share: float  # of the patches
    is_exact: bool  # every patch was looked at

    def __str__(self) -> str:
        about = "" if self.is_exact else "about "
        return f"{self.name}: {self.content}, shows {about}{_percent(self.share)} of the patches"


def described_view(view: View) -> str:
    """Return how many bands and scenes a view has: ``3 bands of 1 scene``."""
    return f"{counted(len(view.bands), 'band')} of {counted(len(view.scenes), 'scene')}"


def _percent(share: float) -> str:
    """Return a share in words; never 0 % or 100 % of what is not."""
    percent = round(100 * share)
    if percent == 0 and share > 0:
        return "less than 1 %"
    return "99 %" if percent == 100 and share < 1 else f"{percent} %"


def check_ground(views: Sequence[View], grids: Mapping[str, SceneGrid]) -> None:
    """Raise SourceError for a view that lies elsewhere than all scenes, by headers alone."""
    with closing(ReaderPool()) as readers:
        for view in views:
            reader = ViewReader(view, readers)
            try:
                is_there = any(reader.overlaps(grid) for grid in grids.values())
            except ProjError as error:
                raise _no_way(view, error) from error
            if not is_there:
                raise _shows_nothing(view, grids)


def with_views(
    source: PoolSource,
    views: Sequence[View],
    seed: int,
    progress: Progress | None = None,
    *,
    before: Mapping[str, ViewLevels] | None = None,
    own: Sequence[KnownBand] | None = None,
) -> tuple[PoolSource, dict[str, ViewLevels], tuple[ViewSummary, ...]]:
    """Look at views of a pool; return the source with them, their levels, and what they show.

    Args:
        source: the pool, or the scenes that join one.
        views: views, opened.
        seed: of the patches that are looked at; the same give the same levels.
        progress: called with the number of scenes done, counted once per view.
        before: the levels that the pool had before these scenes join it.
        own: the bands of the scenes, as a run has them written down; None = as the source says.

    Without views it is the source as it is. Raises SourceError for a view that shows nothing of the
    pool, unless the pool was there before, and for pixels that cannot be read.
    """
    if not views:
        return source, {}, ()
    if before is not None and not len(source.index):
        return ViewedSource(source, views, before, own), dict(before), ()
    own = known_bands_of(source) if own is None else own
    windows = windows_of(source)
    levels, summaries = {}, []
    with closing(ReaderPool()) as readers:
        for number, view in enumerate(views):
            pairs = shared_bands(own, view.bands)
            look = _Look(source, windows, ViewReader(view, readers), pairs, seed)
            found = look.over_scenes(part_of(progress, number, len(views)))
            if found.n_shown == 0 and before is None:
                raise _shows_nothing(view, source.grids)
            start = ViewLevels(found.fill, {}, len(pairs)) if before is None else before[view.name]
            levels[view.name] = start.with_scenes(found.levels, source.grids)
            share = found.n_shown / len(windows)
            summaries.append(ViewSummary(view.name, described_view(view), share, found.is_exact))
    return ViewedSource(source, views, levels, own), levels, tuple(summaries)


@dataclass(frozen=True)
class _Found:
    n_shown: float  # patches of the pool, estimated from those that were looked at
    is_exact: bool
    fill: FloatArray  # (bands,)
    levels: dict[str, Levels]


class _Look:
    """One look at one view of a pool."""

    def __init__(
        self,
        source: PoolSource,
        windows: PoolWindows,
        reader: ViewReader,
        pairs: Sequence[tuple[int, int]],
        seed: int,
    ) -> None:
        self._source = source
        self._windows = windows
        self._reader = reader
        self._pairs = pairs
        self._seed = seed

    def over_scenes(self, progress: Progress | None) -> _Found:
        """Look at some patches of each scene that lie where the view does."""
        try:
            candidates = self._reader.may_show(self._windows)
        except ProjError as error:
            raise _no_way(self._reader.view, error) from error
        by_scene = list(self._windows.by_scene())
        most = int(np.clip(_SAMPLE // len(by_scene), _FEWEST, _MOST))
        n_shown, is_exact = 0.0, True
        levels: dict[str, Levels] = {}
        pixels: list[FloatArray] = []
        for done, (positions, of_scene) in enumerate(by_scene, start=1):
            name = of_scene.grid.name
            there = positions[candidates[positions]]
            sample = self._sample(name, there, most)
            shown = self._shown(sample, name, pixels)
            if len(sample):
                n_shown += len(there) * len(shown) / len(sample)
            is_exact &= len(sample) == len(there)
            if len(shown) and self._pairs:
                levels[name] = self._levels(shown, name)
            if progress is not None:
                progress(done, len(by_scene))
        bands = len(self._reader.view.bands)
        fill = np.median(np.concatenate(pixels, axis=1), axis=1) if pixels else np.zeros(bands)
        return _Found(n_shown, is_exact, fill.astype(np.float32), levels)

    def _shown(self, sample: IntArray, scene: str, pixels: list[FloatArray]) -> IntArray:
        """Return those of a scene's patches that the view shows; some of their pixels are kept."""
        shown = [sample[:0]]
        for start in range(0, len(sample), _AT_ONCE):
            part = sample[start : start + _AT_ONCE]
            seen = self._reader.patches(self._windows.take(part).of_scene(scene))
            which = np.flatnonzero(seen.is_shown)
            shown.append(part[which])
            if len(which):
                valid = seen.valid[which]
                pixels.append(_thinned(_pixels(seen.values[which], valid), _KEPT * len(part)))
        return np.concatenate(shown)

    def _sample(self, scene: str, positions: IntArray, most: int) -> IntArray:
        """Return some of a scene's patches, ascending, whatever the other scenes are."""
        rng = np.random.default_rng([self._seed, _PURPOSE, zlib.crc32(scene.encode())])
        return np.sort(rng.permutation(positions)[:most])

    def _levels(self, shown: IntArray, scene: str) -> Levels:
        """Return the levels of a scene, over some of the patches that the view shows."""
        few = np.unique(np.linspace(0, len(shown) - 1, _COMPARED).round().astype(np.int64))
        seen = self._reader.patches(self._windows.take(shown[few]).of_scene(scene))
        ours, theirs = ([pair[side] for pair in self._pairs] for side in (0, 1))
        own = read_at(self._source, shown[few])[:, ours]
        return Levels.of(_pixels(own, seen.valid), _pixels(seen.values[:, theirs], seen.valid))


def _pixels(patches: FloatArray, valid: BoolArray) -> FloatArray:
    """Return the valid pixels of patches, ``(bands, pixels)``."""
    return np.moveaxis(patches, 1, 0)[:, valid]


def _thinned(pixels: FloatArray, most: int) -> FloatArray:
    return pixels[:, :: -(-pixels.shape[1] // most)]


def _no_way(view: View, error: ProjError) -> SourceError:
    return SourceError(
        f"view {view.name!r}: there is no way from the CRS of the scenes to its own: {error}",
        remedy="warp it to another CRS first, for example with gdalwarp",
    )


def _shows_nothing(view: View, grids: Mapping[str, SceneGrid]) -> SourceError:
    """Return the error for a view that shows no patch, with where both lie."""

    def where(some: Sequence[SceneGrid]) -> str:
        more = f" and {len(some) - 1:,} more" if len(some) > 1 else ""
        return f"{extent_text(some[0])} in {crs_text(some[0])}{more}"

    theirs = [scene.grid for scene in view.scenes]
    return SourceError(
        f"view {view.name!r} shows none of the patches: it covers {where(theirs)}, the scenes "
        f"cover {where(list(grids.values()))}",
        remedy="name rasters of the same ground that have data there",
    )
