"""The one pass over the scenes that finds which windows become patches."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.errors import SceneError, SourceError
from owl_geo.ground.footprints import off_the_map, on_earth
from owl_geo.ground.tiling import Chunk, chunks, reading_order, tile
from owl_geo.ground.windows import Windows
from owl_geo.sources.area import AreaOfInterest
from owl_geo.sources.band_wording import in_short, ranges, shared_start
from owl_geo.sources.base import build_index
from owl_geo.sources.chunked import ChunkedScene
from owl_geo.sources.cutting import valid_shares
from owl_geo.sources.left_out import NoSceneLeft, failed_scene
from owl_geo.sources.prefetch import prefetched
from owl_geo.types import BoolArray, FailedScene
from owl_geo.wording import counted, per_cent
from owl_geo.work.progress import Progress

_log = logging.getLogger("owl_geo")

_FEW = 5  # bands in a message, scenes that are looked at for one
_LONGEST = 1000  # characters of the bands to choose in a message
_MOST_WINDOWS = 20_000_000  # of a scene; each takes some hundred bytes


@dataclass(frozen=True)
class SceneSummary:
    """What became of the windows of one scene."""

    scene: str
    windows: int  # whole windows that the scene was cut into
    partial: int  # windows over the right or lower edge, left out
    outside: int  # dropped: centre outside the area of interest
    invalid: int  # dropped: too few valid pixels
    best_valid: float  # largest share of valid pixels among these, 0 if there are none
    kept: int
    nowhere: int = 0  # dropped: beyond a pole, or beyond the disc that a satellite sees
    elsewhere: int = 0  # dropped: places that another scene shows
    date: datetime.date | None = None  # on which the scene was taken

    def with_seen_elsewhere(self, count: int) -> SceneSummary:
        """Return the summary of a scene that loses so many of its windows to others."""
        return replace(self, kept=self.kept - count, elsewhere=self.elsewhere + count)

    def __str__(self) -> str:
        best = per_cent(self.best_valid, digits=1)
        lost = [
            (self.invalid, f"with too few valid pixels (at most {best})"),
            (self.outside, "outside the area of interest"),
            (self.nowhere, "nowhere on Earth"),
            (self.elsewhere, "of places seen in another scene"),
        ]
        text = f"{self.scene}, {self.date}" if self.date else self.scene
        text += f": {self.kept:,} of {counted(self.windows, 'window')} kept"
        text += "".join(f", {count:,} {why}" for count, why in lost if count)
        if self.partial:
            text += f"; {counted(self.partial, 'partial one')} at the edges left out"
        return text


@dataclass(frozen=True)
class Scan:
    """The patch index, a summary per scene, and the scenes that could not be read."""

    index: pd.DataFrame
    summary: tuple[SceneSummary, ...]
    failed: tuple[FailedScene, ...] = ()


@dataclass(frozen=True)
class _Cut:
    """How one scene was cut, before its pixels were looked at."""

    scene: ChunkedScene
    n_windows: int
    n_partial: int
    n_nowhere: int
    inside: Windows  # those within the area of interest, in reading order
    valid: NDArray[np.float64]  # the share of valid pixels of each, (n,), 1 until it is counted

    def summary(self, good: BoolArray) -> SceneSummary:
        """Return what became of the windows, of which those that are ``good`` ``(n,)`` are kept."""
        n_inside, kept = len(self.inside), int(good.sum())
        return SceneSummary(
            scene=self.scene.name,
            windows=self.n_windows,
            partial=self.n_partial,
            outside=self.n_windows - self.n_nowhere - n_inside,
            invalid=n_inside - kept,
            kept=kept,
            best_valid=float(self.valid[~good].max(initial=0.0)),
            nowhere=self.n_nowhere,
            date=self.scene.date,
        )


def scan(
    scenes: Sequence[ChunkedScene],
    *,
    size: int,
    stride: int,
    min_valid: float,
    area: AreaOfInterest | None,
    progress: Progress | None,
    check: Callable[[ChunkedScene], None] = lambda _: None,
    skip: bool = False,
    may_be_empty: bool = False,
) -> Scan:
    """Cut the scenes into windows and keep those that lie in the area and are valid enough.

    ``progress`` counts windows. Pixels are read only where they can be invalid. With ``skip`` a
    scene that does not pass ``check``, or cannot be read, is left out and named. Raises SourceError
    where no scene is left, or no window, unless the index ``may_be_empty``.
    """
    failed: list[FailedScene] = []
    cut = []
    for scene in scenes:
        try:
            _check_size(scene, stride)
            _check_place(scene)
            check(scene)
        except SourceError as error:
            if not skip:
                raise
            failed.append(failed_scene(scene.name, error))
            continue
        cut.append(_cut(scene, size, stride, area))
    total, done = sum(len(part.inside) for part in cut), 0
    kept: list[Windows] = []
    valid_fraction = []
    summary = []
    started = time.perf_counter()
    # all scenes through one prefetch, so that a scene is read while the one before is counted
    with closing(prefetched(_validity(cut, size, skip))) as masks:
        for part, chunk, valid in masks:
            if isinstance(valid, SourceError):
                failed.append(failed_scene(part.scene.name, valid))
                continue
            which = slice(chunk.first, chunk.last)
            if valid is not None:
                part.valid[which] = valid_shares(valid, chunk, part.inside.take(which))
            done += chunk.last - chunk.first
            if progress:
                progress(done, total)
            if chunk.last < len(part.inside):
                continue
            good = part.valid >= min_valid
            kept.append(part.inside.take(good))
            valid_fraction.append(part.valid[good])
            summary.append(part.summary(good))
            now = time.perf_counter()
            _log.info(
                "scene %s: %s, %.1f s",
                part.scene.name,
                counted(len(kept[-1]), "patch"),
                now - started,
            )
            started = now
    if not kept and failed:
        raise NoSceneLeft(failed)
    if not may_be_empty and not any(entry.kept for entry in summary):
        bands = _bands_without_data(cut, size)
        raise SourceError(_why_empty(scenes, summary, size, min_valid, area, bands))
    index = build_index(kept, {"valid_fraction": np.concatenate(valid_fraction)})
    return Scan(index, tuple(summary), tuple(failed))


def _check_size(scene: ChunkedScene, stride: int) -> None:
    """Raise SourceError for a scene, or a header that lies, with more windows than memory holds."""
    height, width = scene.grid.height, scene.grid.width
    windows = -(-height // stride) * -(-width // stride)
    if windows > _MOST_WINDOWS:
        raise SceneError(
            f"scene {scene.name!r} of {width:,} x {height:,} pixels would be {windows:,} "
            f"patches, more than {_MOST_WINDOWS:,}",
            remedy="cut it up, or take a larger patch_size or stride",
        )


def _check_place(scene: ChunkedScene) -> None:
    """Raise SourceError for a scene that does not lie on the map."""
    fault = off_the_map(scene.grid)
    if fault:
        raise SceneError(
            f"scene {scene.name!r} does not lie on the map: {fault.what}", remedy=fault.remedy
        )


def _cut(scene: ChunkedScene, size: int, stride: int, area: AreaOfInterest | None) -> _Cut:
    """Cut a scene into windows in reading order."""
    tiling = tile(scene.grid, size, stride)
    windows = tiling.windows.take(reading_order(tiling.windows, *scene.chunk_shape(size)))
    windows = windows.take(on_earth(windows))
    n_nowhere = len(tiling.windows) - len(windows)
    if area is not None:
        windows = windows.take(area.contains_centres(windows))
    n_windows, valid = len(tiling.windows), np.ones(len(windows))
    return _Cut(scene, n_windows, tiling.n_partial, n_nowhere, windows, valid)


def _validity(
    cut: Sequence[_Cut], size: int, skip: bool
) -> Generator[tuple[_Cut, Chunk, BoolArray | SourceError | None], None, None]:
    """Yield which pixels of each chunk are valid, None for all, scene by scene.

    A scene without windows, or whose pixels cannot be invalid, has one chunk that is not read; with
    ``skip``, one that cannot be read ends in the error.
    """
    for part in cut:
        windows = part.inside
        whole = Chunk(0, 0, 0, 0, 0, len(windows))
        scene = part.scene
        if len(windows) == 0 or (scene.always_valid and scene.is_seen_whole):
            yield part, whole, None
            continue
        shape = scene.chunk_shape(size)
        try:
            with scene.reader() as reader:
                if not scene.is_seen_whole:  # a file that was cut off lacks its end
                    for chunk in chunks(windows.take(slice(-1, None)), *shape):
                        reader.pixels(chunk)
                if scene.always_valid:
                    yield part, whole, None
                    continue
                for chunk in chunks(windows, *shape):
                    yield part, chunk, reader.valid(chunk)
        except SourceError as error:
            if not skip:
                raise
            yield part, whole, error


def _why_empty(
    scenes: Sequence[ChunkedScene],
    summary: Sequence[SceneSummary],
    size: int,
    min_valid: float,
    area: AreaOfInterest | None,
    without_data: Sequence[str],
) -> str:
    if not any(entry.windows for entry in summary):
        grids = [scene.grid for scene in scenes]
        largest = max(grids, key=lambda grid: min(grid.height, grid.width))
        return (
            f"no patch fits: patches are {size} x {size} pixels, scene {largest.name!r} has "
            f"{counted(largest.height, 'row')} and {counted(largest.width, 'column')}; take a "
            "smaller patch_size"
        )
    if all(entry.nowhere == entry.windows for entry in summary):
        return "no patch lies on Earth: the scenes' coordinates are beyond where their CRS holds"
    invalid = sum(entry.invalid for entry in summary)
    if area is not None and not invalid:
        return f"no patch has its centre in the area: {area.elsewhere(s.grid for s in scenes)}"
    if without_data:
        return _why_bands(scenes, without_data)
    best = per_cent(max(entry.best_valid for entry in summary), digits=1)
    least = per_cent(min_valid, digits=1)
    return (
        f"no patch is valid enough: {counted(invalid, 'window was', 'windows were')} dropped, "
        f"the best of them has {best} valid pixels, min_valid asks for {least}; lower "
        "it, or look at the no-data value and the mask"
    )


def _bands_without_data(cut: Sequence[_Cut], size: int) -> list[str]:
    """Return the bands that no window of any of the first scenes has data in."""
    without: list[str] | None = None
    for part in [part for part in cut if len(part.inside)][:_FEW]:
        windows = list(chunks(part.inside, *part.scene.chunk_shape(size)))
        try:
            of_scene = part.scene.bands_without_data(windows)
        except SourceError:
            continue
        without = [name for name in of_scene if without is None or name in without]
        if not without:
            break
    return without or []


def _why_bands(scenes: Sequence[ChunkedScene], without_data: Sequence[str]) -> str:
    """Say that bands have no data, and how to choose the others, if there are any."""
    start = shared_start([band.name for band in scenes[0].bands])
    shown = in_short([name.removeprefix(start) for name in without_data[:_FEW]])
    more = len(without_data) - _FEW
    shown += f" and {more:,} more" if more > 0 else ""
    others = [band for band in scenes[0].bands if band.name not in without_data]
    if not others:
        return f"no patch is valid: no band has data ({shown}); look at the no-data value"
    have = "have" if len(without_data) > 1 else "has"
    names = ",".join(band.name for band in others)
    if len(names) > _LONGEST:
        of_one_file = len({band.path for band in others}) == 1
        numbers = ranges([band.number for band in others])
        names = numbers if of_one_file else f"... with the other {len(others)}"
    return (
        f"no patch is valid: {shown} {have} no data anywhere; leave out what is empty by design: "
        f"--bands {names}"
    )
