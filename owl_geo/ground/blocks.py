"""Square blocks of ground: patches that lie together and are held out together.

Neighbouring patches resemble each other, so testing a model on neighbours of its training patches
flatters it (Roberts et al. 2017, Ecography 40: 913-929). Blocks lie on the ground, not on images:
scenes that overlap or lie side by side share them, whatever their CRSs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.ground.grid import pixel_of, to_xy
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.squares import share_a_plane
from owl_geo.ground.transformations import reproject
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.types import IntArray

WIDEST = 16  # patches per side: wider blocks would leave too few to draw from

_ROW, _REGION = 22, 44  # bits by which rows of blocks, and regions, are shifted in a block's number
_AT_ONCE = 1_000_000  # windows whose blocks are computed together
_MIDDLE = 2**21  # added to rows and columns, so that none is negative


def ground_blocks(windows: PoolWindows, n_blocks: int) -> IntArray:
    """Return the number of the block that each window's upper left pixel lies in, int64 ``(n,)``.

    ``block_edge`` sets the width of the blocks, so there are about ``n_blocks`` of them, and more
    where scenes have ragged edges. Overlapping windows may reach into the neighbouring block.
    """
    return Blocks(windows).at(block_edge(len(windows), n_blocks) * windows.patch_size)


def block_edge(n_patches: int, n_blocks: int) -> int:
    """Return the side of a block in patches, 1 to 16, that makes about ``n_blocks`` of them."""
    return int(np.clip(np.sqrt(n_patches / n_blocks), 1, WIDEST))


class Blocks:
    """The blocks of ground in which the windows of a pool lie.

    A scene that has no other on it or beside it is divided from its first pixel on. Scenes that do
    are divided together, by the grid of the first of them, or if their CRSs differ by squares in an
    equal-area projection around it.
    """

    def __init__(self, windows: PoolWindows) -> None:
        self.windows = windows
        self._known: dict[tuple[int, int, int], IntArray] = {}  # a draw is repeated many times

    def at(self, pixels: int, down: int = 0, right: int = 0) -> IntArray:
        """Return a number for the block in which each window's pixel (down, right) lies, ``(n,)``.

        A block is ``pixels`` pixels wide and high, in those of the first scene of a region, and at
        least as wide as ``pixels`` of any scene there.
        """
        where = pixels, down, right
        if where not in self._known:
            self._known[where] = self._computed(pixels, down, right)
        return self._known[where]

    def _computed(self, pixels: int, down: int, right: int) -> IntArray:
        numbers = np.empty(len(self.windows), dtype=np.int64)
        for region, (rows, frame) in enumerate(self._frames):
            for positions, windows in self._at(rows).by_scene():
                for start in range(0, len(windows), _AT_ONCE):
                    part = slice(start, start + _AT_ONCE)
                    place = frame.pixel(windows.take(part), down, right)
                    place //= np.ceil(pixels * frame.widest - 1e-6)
                    row, col = place.astype(np.int64).T + _MIDDLE
                    numbers[rows[positions[part]]] = (region << _REGION) | (row << _ROW) | col
        return numbers

    def _at(self, rows: IntArray) -> PoolWindows:
        """Return the windows at ascending positions; all of them without a copy."""
        return self.windows if len(rows) == len(self.windows) else self.windows.take(rows)

    @cached_property
    def _frames(self) -> list[tuple[IntArray, _Frame]]:
        """The windows of each region, and how it is divided; in the order of the first windows."""
        region, _ = pd.factorize(SharedGround(self.windows).regions())
        order = np.argsort(region, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(region))[:-1])
        return [(rows, _Frame.of(self._at(rows))) for rows in parts]


class _Frame:
    """Pixels of the first scene of a region, going on over all of the region."""

    def __init__(self, scenes: list[Windows]) -> None:
        self._grid = scenes[0].grid
        self._crs: CRS | None = None  # of the frame; None = that of the grid
        if len(scenes) > 1 and not share_a_plane(scenes):
            lon, lat = scenes[0].place or (0.0, 0.0)
            self._crs = CRS.from_dict(
                {"proj": "laea", "lon_0": lon, "lat_0": lat, "datum": "WGS84", "units": "m"}
            )
        self._edge = self._edge_of(scenes[0])
        # of the widest window, in those of the first scene
        self.widest = max(1.0, *(self._edge_of(part) / self._edge for part in scenes))

    @classmethod
    def of(cls, windows: PoolWindows) -> _Frame:
        """Return the frame of the scenes of some windows."""
        return cls([part for _, part in windows.by_scene()])

    def pixel(self, windows: Windows, down: int, right: int) -> NDArray[np.float64]:
        """Return row and column of the middle of each window's pixel (down, right), ``(n, 2)``."""
        row, col = windows.row_off + down + 0.5, windows.col_off + right + 0.5
        if windows.grid is self._grid and self._crs is None:
            return np.stack([row, col], axis=1)
        xy = to_xy(windows.grid, row, col)
        if self._crs is None:
            return pixel_of(self._grid, xy)
        metres = reproject(xy, windows.crs, self._crs, windows.place)
        return np.nan_to_num(metres[:, ::-1] / self._edge * windows.patch_size, posinf=0, neginf=0)

    def _edge_of(self, windows: Windows) -> float:
        """Return the edge of a window of a scene, in units of the frame."""
        corners = windows.take(slice(1)).corners()
        if self._crs is not None:
            corners = reproject(corners, windows.crs, self._crs, windows.place)
        sides = np.linalg.norm(np.diff(corners[0, :3], axis=0), axis=1)
        return float(sides.max())
