"""Pixels of a view on the grid of a pool's scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.ground.crs import crs_of, place_of, turns_of
from owl_geo.ground.gathering import windows_at
from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.tiling import Chunk, chunks
from owl_geo.ground.transformations import reproject
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.chunked import Pixels
from owl_geo.sources.embeddings import values_in
from owl_geo.sources.reader import ReaderPool
from owl_geo.sources.scenes import Scene
from owl_geo.sources.views.opening import View
from owl_geo.types import BoolArray, FloatArray, IntArray, SceneGrid

_SHOWN = 0.5  # of a patch's pixels: a view that has fewer of them does not show the patch
_CELL = 512  # pixels a side of what is read at once for single patches, which reach beyond it
_STRIP = 48 * 2**20  # bytes of a strip that is kept
_SPARSE = 0.25  # windows that fill less of a strip are read cell by cell
_ANY = 2**62  # rows and columns of a chunk that holds everything
_ALONG = np.linspace(0, 1, 5)  # where the edges of a cell are projected
_MARGIN = 0.1  # of a rectangle's size: how far its sides may bend in another CRS


@dataclass(frozen=True)
class Seen:
    """What a view shows of n patches."""

    values: FloatArray  # (n, bands, size, size); 0 where there are no data
    valid: BoolArray  # (n, size, size): where all bands have data

    @classmethod
    def nothing(cls, n: int, bands: int, size: int) -> Seen:
        """Return what is seen where there are no data."""
        return cls(
            np.zeros((n, bands, size, size), dtype=np.float32), np.zeros((n, size, size), bool)
        )

    @property
    def is_shown(self) -> BoolArray:
        """Which patches count as shown, ``(n,)``: those of which at least half has data."""
        shown: BoolArray = self.valid.mean(axis=(1, 2)) >= _SHOWN
        return shown

    def take(self, rows: slice | IntArray) -> Seen:
        """Return some of the patches."""
        return Seen(self.values[rows], self.valid[rows])


@dataclass(frozen=True)
class _Rectangle:
    """Pixels of a view, from the row and column of a pool's scene where they begin."""

    row: int
    col: int
    values: FloatArray  # (bands, height, width)
    valid: BoolArray  # (height, width)

    def cut(self, windows: Windows) -> Seen:
        """Return what is seen of windows that lie in it."""
        size = windows.patch_size
        row, col = windows.row_off - self.row, windows.col_off - self.col
        valid = windows_at(self.valid[None], row, col, size)[:, 0]
        return Seen(windows_at(self.values, row, col, size), valid)


class ViewReader:
    """Reads what a view shows of patches; a pixel never depends on what it is read with.

    Args:
        view: the view.
        readers: open files, which several views may share.
    """

    def __init__(self, view: View, readers: ReaderPool) -> None:
        self.view = view
        self._readers = readers
        self._extents = _Extents(view.scenes)

    def patches(self, windows: Windows) -> Seen:
        """Return what the view shows of windows in any order; raises SourceError."""
        seen = Seen.nothing(len(windows), len(self.view.bands), windows.patch_size)
        cell = max(_CELL, windows.patch_size)
        row, col = windows.row_off, windows.col_off
        order = np.lexsort((col, row, col // cell, row // cell))
        for chunk in chunks(windows.take(order), cell, cell):
            members = order[chunk.first : chunk.last]
            found = self.rectangle(windows.grid, chunk).cut(windows.take(members))
            seen.values[members], seen.valid[members] = found.values, found.valid
        return seen

    def rectangle(self, grid: SceneGrid, chunk: Chunk) -> _Rectangle:
        """Return what the view shows of a rectangle of a grid.

        Of the scenes that overlap there, the first that has a pixel counts.
        """
        shape = chunk.height, chunk.width
        values = np.zeros((len(self.view.bands), *shape), dtype=np.float32)
        valid = np.zeros(shape, dtype=bool)
        for scene in self._extents.over(grid, chunk):
            with self._readers.borrow(scene.on(grid)) as reader:
                pixels = reader.pixels(chunk)
            fresh: BoolArray = ~valid
            if pixels.valid is not None:
                fresh &= pixels.valid
            if fresh.all():
                return _Rectangle(chunk.row, chunk.col, _values(scene, pixels, shape), fresh)
            if fresh.any():
                np.copyto(values, _values(scene, pixels, shape), where=fresh)
                valid |= fresh
            if valid.all():
                break
        return _Rectangle(chunk.row, chunk.col, values, valid)

    def overlaps(self, grid: SceneGrid) -> bool:
        """Return whether the view may have a raster anywhere on a grid, by extents alone."""
        return bool(self._extents.over(grid, Chunk(0, 0, grid.height, grid.width, 0, 0)))

    def may_show(self, windows: PoolWindows) -> BoolArray:
        """Return which windows lie where the view has a raster, ``(n,)``, data in it or not."""
        shown = np.zeros(len(windows), dtype=bool)
        for positions, of_scene in windows.by_scene():
            shown[positions] = self._extents.touch(of_scene)
        return shown


def _values(scene: Scene, pixels: Pixels, shape: tuple[int, int]) -> FloatArray:
    values = np.empty((len(scene.bands), *shape), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # such pixels are not valid
        for numbers, planes in pixels.parts:
            own = [scene.bands[number] for number in numbers]
            for number, band, plane in zip(
                numbers, own, values_in(planes[None], own)[0], strict=True
            ):
                values[number] = plane
                if band.scale != 1:
                    values[number] *= np.float32(band.scale)
                if band.offset != 0:
                    values[number] += np.float32(band.offset)
    return values


class Strips:
    """What a view shows of windows that are asked for in the order in which sources read.

    A strip of them is read at once and kept until the next, so that no block of the view's files is
    decoded for every row of patches in it.

    Args:
        reader: reads the view.
        windows: all windows that will be asked for.
        chunks: for each, the number of the chunk that its source reads it in, ascending ``(n,)``.
    """

    def __init__(self, reader: ViewReader, windows: PoolWindows, chunks: IntArray) -> None:
        self._reader = reader
        self._windows = windows
        self._scenes = list(windows.grids)
        self._starts = _strip_starts(windows, chunks, 4 * len(reader.view.bands) + 1)
        self._number = -1  # of the strip that is kept
        self._kept: _Rectangle | None = None

    def patches(self, start: int, stop: int) -> Seen:
        """Return what the view shows of the windows from ``start`` to ``stop``."""
        bands, size = len(self._reader.view.bands), self._windows.patch_size
        seen = Seen.nothing(stop - start, bands, size)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop, side="left"))
        for number in range(first, last):
            low, high = max(start, self._starts[number]), min(stop, self._starts[number + 1])
            found = self._of_strip(number, slice(low, high))
            seen.values[low - start : high - start] = found.values
            seen.valid[low - start : high - start] = found.valid
        return seen

    def _of_strip(self, number: int, which: slice) -> Seen:
        if number != self._number:
            whole = self._of_scene(slice(self._starts[number], self._starts[number + 1]))
            (chunk,) = chunks(whole, _ANY, _ANY)
            is_dense = len(whole) * whole.patch_size**2 >= _SPARSE * chunk.height * chunk.width
            self._kept = self._reader.rectangle(whole.grid, chunk) if is_dense else None
            self._number = number
        windows = self._of_scene(which)
        return self._reader.patches(windows) if self._kept is None else self._kept.cut(windows)

    def _of_scene(self, which: slice) -> Windows:
        name = self._scenes[self._windows.scene[which.start]]
        return self._windows.take(which).of_scene(name)


def _strip_starts(windows: PoolWindows, chunks: IntArray, per_pixel: int) -> IntArray:
    """Return where strips of windows begin, and their number at the end.

    A strip lies in one chunk, whole rows of which take ``_STRIP`` bytes at most where a row of
    patches does not take more.
    """
    n, size = len(windows), windows.patch_size
    if n == 0:
        return np.zeros(1, dtype=np.int64)
    moves = (np.diff(chunks) != 0) | (np.diff(windows.scene) != 0)
    starts = np.concatenate([[0], np.flatnonzero(moves) + 1])
    left = np.minimum.reduceat(windows.col_off, starts)
    right = np.maximum.reduceat(windows.col_off, starts) + size
    rows = np.maximum(_STRIP // (per_pixel * (right - left)), size)
    strip = windows.row_off // np.repeat(rows, np.diff(np.append(starts, n)))
    moves |= np.diff(strip) != 0
    return np.concatenate([[0], np.flatnonzero(moves) + 1, [n]]).astype(np.int64)


class _Extents:
    """Where the scenes of a view lie, each in its own CRS, so that few need be opened."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        in_crs: dict[str, list[int]] = {}
        for number, scene in enumerate(scenes):
            in_crs.setdefault(scene.grid.crs, []).append(number)
        self._trees: Mapping[str, tuple[IntArray, shapely.STRtree]] = {
            crs: _tree([(number, scenes[number].grid) for number in numbers], crs_of(crs))
            for crs, numbers in in_crs.items()
        }

    def over(self, grid: SceneGrid, chunk: Chunk) -> list[Scene]:
        """Return the scenes that may have pixels in a rectangle of a grid, in their order."""
        rows = chunk.row + chunk.height * _ALONG
        cols = chunk.col + chunk.width * _ALONG
        row, col = np.meshgrid(rows, cols, indexing="ij")
        points = to_xy(grid, row.ravel(), col.ravel())[None]  # (1, 25, 2)
        found: set[int] = set()
        for crs, (numbers, tree) in self._trees.items():
            boxes, is_known = _boxes(points, grid, crs_of(crs))
            found.update((numbers[tree.query(boxes[0])] if is_known[0] else numbers).tolist())
        return [self._scenes[number] for number in sorted(found)]

    def touch(self, windows: Windows) -> BoolArray:
        """Return which windows may have pixels of any scene, ``(n,)``."""
        touched = np.zeros(len(windows), dtype=bool)
        for crs, (_, tree) in self._trees.items():
            boxes, is_known = _boxes(windows.corners(), windows.grid, crs_of(crs))
            touched |= ~is_known
            touched[np.unique(tree.query(boxes)[0])] = True
        return touched


def _tree(grids: Sequence[tuple[int, SceneGrid]], crs: CRS) -> tuple[IntArray, shapely.STRtree]:
    """Return the extents of scenes that share a CRS, and the number of the scene of each."""
    numbers, boxes = [], []
    for number, grid in grids:
        west, south, east, north = bounds(grid)
        for turn in turns_of(crs):  # x of one place may differ by whole turns
            numbers.append(number)
            boxes.append(shapely.box(west + turn, south, east + turn, north))
    return np.array(numbers, dtype=np.int64), shapely.STRtree(boxes)


def _boxes(
    points: NDArray[np.float64], grid: SceneGrid, crs: CRS
) -> tuple[NDArray[np.object_], BoolArray]:
    """Return a box in a CRS around each set of points ``(n, k, 2)`` of a grid, with a margin.

    Where some of the points have no place in the CRS, nothing is known: the box is empty.
    """
    own = crs_of(grid.crs)
    middle = to_xy(grid, np.array(grid.height / 2), np.array(grid.width / 2))
    there = reproject(points, own, crs, place_of(own, *middle.tolist()))
    is_known = np.asarray(np.isfinite(there).all(axis=(1, 2)), dtype=bool)
    there = np.where(is_known[:, None, None], there, 0.0)
    low, high = there.min(axis=1), there.max(axis=1)
    margin = _MARGIN * (high - low).max(axis=1, keepdims=True)
    low, high = low - margin, high + margin
    boxes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    boxes[~is_known] = shapely.Polygon()
    return boxes, is_known
