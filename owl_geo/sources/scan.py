"""The one pass over the scenes that finds which windows become patches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.errors import LayerError, SourceError
from owl_geo.grid import Chunk, chunks, reading_order, tile
from owl_geo.raster import coverage
from owl_geo.sources.area import AreaOfInterest
from owl_geo.sources.base import build_index
from owl_geo.sources.chunked import ChunkedScene
from owl_geo.sources.cutting import valid_shares
from owl_geo.sources.prefetch import prefetched
from owl_geo.sources.scenes import Scene, crs_text, extent_text
from owl_geo.types import BoolArray, IntArray, Progress

_log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class SceneSummary:
    """What became of the windows of one scene."""

    scene: str
    windows: int  # whole windows that the scene was cut into
    partial: int  # windows over the right or lower edge, left out
    outside: int  # dropped: centre outside the area of interest
    invalid: int  # dropped: too few valid pixels
    kept: int
    best_valid: float  # largest share of valid pixels among the windows looked at

    def __str__(self) -> str:
        lost = [
            (self.invalid, f"with too few valid pixels (best {self.best_valid:.0%})"),
            (self.outside, "outside the area of interest"),
        ]
        text = f"{self.scene}: {self.kept} of {self.windows} windows kept"
        text += "".join(f", {count} {why}" for count, why in lost if count)
        return f"{text}; {self.partial} partial ones at the edges left out"


@dataclass(frozen=True)
class Scan:
    """The patch index, and a summary per scene."""

    index: pd.DataFrame
    summary: tuple[SceneSummary, ...]


@dataclass(frozen=True)
class _Windows:
    """Windows of one scene in reading order, each array ``(n,)``."""

    row_off: IntArray
    col_off: IntArray
    valid: NDArray[np.float64]

    def where(self, keep: BoolArray) -> _Windows:
        return _Windows(self.row_off[keep], self.col_off[keep], self.valid[keep])


def check_mask(scene: Scene) -> None:
    """Warn of a mask that covers a scene partly; raise SourceError for one that lies elsewhere."""
    if scene.mask is None:
        return
    try:
        share = coverage(scene.mask.path, scene.grid)
    except LayerError as error:
        raise SourceError(f"the mask of scene {scene.name!r}: {error}") from error
    if share == 0:
        raise SourceError(
            f"the mask {scene.mask.path} covers nothing of scene {scene.name!r}, which spans "
            f"{extent_text(scene.grid)} in {crs_text(scene.grid)}; take the mask of this scene"
        )
    if share < 0.999:
        _log.warning(
            "the mask %s covers %.3g %% of scene %r; beyond it every pixel counts as clear",
            scene.mask.path,
            100 * share,
            scene.name,
        )


def scan(
    scenes: Sequence[ChunkedScene],
    *,
    size: int,
    stride: int,
    min_valid: float,
    area: AreaOfInterest | None,
    progress: Progress | None,
) -> Scan:
    """Cut the scenes into windows and keep those that lie in the area and are valid enough.

    ``progress`` counts windows. Pixels are read only where they can be invalid. Raises SourceError
    where no window is left.
    """
    cut = {scene.name: _cut(scene, size, stride) for scene in scenes}
    inside = {
        scene.name: windows.where(
            area.contains_centres(scene.grid, windows.row_off, windows.col_off, size)
        )
        if area
        else windows
        for scene, (windows, _) in zip(scenes, cut.values(), strict=True)
    }
    total, done = sum(len(w.valid) for w in inside.values()), 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        if progress:
            progress(done, total)

    kept, summary = {}, []
    for scene in scenes:
        windows, n_partial = cut[scene.name]
        looked_at = inside[scene.name]
        _measure(scene, looked_at, size, advance)
        kept[scene.name] = looked_at.where(looked_at.valid >= min_valid)
        summary.append(
            SceneSummary(
                scene=scene.name,
                windows=len(windows.valid),
                partial=n_partial,
                outside=len(windows.valid) - len(looked_at.valid),
                invalid=len(looked_at.valid) - len(kept[scene.name].valid),
                kept=len(kept[scene.name].valid),
                best_valid=float(looked_at.valid.max(initial=0.0)),
            )
        )
    if not any(entry.kept for entry in summary):
        raise SourceError(_why_empty(scenes, summary, size, min_valid, area))
    index = build_index(
        {name: (windows.row_off, windows.col_off) for name, windows in kept.items()},
        {"valid_fraction": np.concatenate([windows.valid for windows in kept.values()])},
    )
    return Scan(index, tuple(summary))


def _cut(scene: ChunkedScene, size: int, stride: int) -> tuple[_Windows, int]:
    """Return the scene's windows in reading order, and the number of partial ones."""
    tiling = tile(scene.grid.height, scene.grid.width, size, stride)
    order = reading_order(tiling.row_off, tiling.col_off, *scene.chunk_shape(size))
    row_off, col_off = tiling.row_off[order], tiling.col_off[order]
    return _Windows(row_off, col_off, np.ones(len(row_off))), tiling.n_partial


def _measure(
    scene: ChunkedScene,
    windows: _Windows,
    size: int,
    advance: Callable[[int], None],
) -> None:
    """Put the share of valid pixels of each window into ``windows.valid``."""
    if scene.always_valid:
        advance(len(windows.valid))
        return

    def masks() -> Generator[tuple[Chunk, BoolArray | None], None, None]:
        with scene.reader() as reader:
            shape = scene.chunk_shape(size)
            for chunk in chunks(windows.row_off, windows.col_off, size, *shape):
                yield chunk, reader.valid(chunk)

    for chunk, valid in prefetched(masks()):
        which = slice(chunk.first, chunk.last)
        if valid is not None:
            row, col = windows.row_off[which] - chunk.row, windows.col_off[which] - chunk.col
            windows.valid[which] = valid_shares(valid, row, col, size)
        advance(chunk.last - chunk.first)


def _why_empty(
    scenes: Sequence[ChunkedScene],
    summary: Sequence[SceneSummary],
    size: int,
    min_valid: float,
    area: AreaOfInterest | None,
) -> str:
    if not any(entry.windows for entry in summary):
        grids = [scene.grid for scene in scenes]
        largest = max(grids, key=lambda grid: min(grid.height, grid.width))
        return (
            f"no patch fits: patches are {size} x {size} pixels, scene {largest.name!r} has "
            f"{largest.height} rows and {largest.width} columns; take a smaller patch_size"
        )
    invalid = sum(entry.invalid for entry in summary)
    if area is not None and not invalid:
        return f"no patch has its centre in the area: {area.elsewhere(s.grid for s in scenes)}"
    best = max(entry.best_valid for entry in summary)
    return (
        f"no patch is valid enough: {invalid} windows were dropped, the best of them has "
        f"{best:.1%} valid pixels, min_valid asks for {min_valid:.1%}; lower it, or look at the "
        "no-data value and the mask"
    )
