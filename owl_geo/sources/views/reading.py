"""Pixels of a view on the grid of a pool's scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.projections import TURNS, crs_of, is_in_degrees, place_of, reproject
from owl_geo.ground.tiling import Chunk, chunks
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.chunked import Pixels
from owl_geo.sources.reader import ReaderPool
from owl_geo.sources.scenes import Scene
from owl_geo.sources.views.opening import View
from owl_geo.types import BoolArray, FloatArray, IntArray, SceneGrid

_CELL = 512  # pixels a side of what is read at once; patches reach beyond it
_ALONG = np.linspace(0, 1, 5)  # where the edges of a cell are projected
_MARGIN = 0.1  # of a rectangle's size: how far its sides may bend in another CRS


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

    def patches(self, windows: Windows) -> tuple[FloatArray, BoolArray]:
        """Return values, float32 ``(n, bands, size, size)``, and where all bands have data.

        The latter is ``(n, size, size)``; a value without data is 0. Raises SourceError for pixels
        that cannot be read.
        """
        n, size, bands = len(windows), windows.patch_size, len(self.view.bands)
        values = np.zeros((n, bands, size, size), dtype=np.float32)
        valid = np.zeros((n, size, size), dtype=bool)
        cell = max(_CELL, size)
        row, col = windows.row_off, windows.col_off
        order = np.lexsort((col, row, col // cell, row // cell))
        for chunk in chunks(windows.take(order), cell, cell):
            members = order[chunk.first : chunk.last]
            pixels, good = self.rectangle(windows.grid, chunk)
            at = row[members] - chunk.row, col[members] - chunk.col
            valid[members] = sliding_window_view(good, (size, size))[at]
            for band in range(bands):
                values[members, band] = sliding_window_view(pixels[band], (size, size))[at]
        return values, valid

    def rectangle(self, grid: SceneGrid, chunk: Chunk) -> tuple[FloatArray, BoolArray]:
        """Return values ``(bands, height, width)`` of a rectangle, and where there are any.

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
            if fresh.any():
                values[:, fresh] = _values(scene, pixels, shape)[:, fresh]
                valid |= fresh
            if valid.all():
                break
        return values, valid

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
            for number, plane in zip(numbers, planes, strict=True):
                band = scene.bands[number]
                values[number] = plane
                if band.scale != 1:
                    values[number] *= np.float32(band.scale)
                if band.offset != 0:
                    values[number] += np.float32(band.offset)
    return values


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
    turns = TURNS if is_in_degrees(crs) else (0.0,)
    numbers, boxes = [], []
    for number, grid in grids:
        west, south, east, north = bounds(grid)
        for turn in turns:  # longitudes of one place may differ by whole turns
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
