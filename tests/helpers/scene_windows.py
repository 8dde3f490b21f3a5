"""Windows for tests that care little of where on Earth their scene lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.types import SceneGrid

NORTH_UP = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_700_000.0)


def scene(height: int, width: int, name: str = "s") -> SceneGrid:
    """A north-up scene of pixels of 10 m."""
    return SceneGrid(name, "EPSG:32631", NORTH_UP, height, width)


def windows_at(row: ArrayLike, col: ArrayLike, size: int, grid: SceneGrid | None = None) -> Windows:
    """Windows of ``size`` pixels that begin at these rows and columns."""
    row, col = np.asarray(row, dtype=np.int64), np.asarray(col, dtype=np.int64)
    grid = grid or scene(int(row.max(initial=0)) + size, int(col.max(initial=0)) + size)
    return Windows(grid, row_off=row, col_off=col, patch_size=size)


def tiled(height: int, width: int, size: int, stride: int | None = None) -> Windows:
    """The whole windows of a scene."""
    return tile(scene(height, width), size, stride or size).windows


def pool_of(grids: Sequence[SceneGrid], size: int, stride: int | None = None) -> PoolWindows:
    """The whole windows of several scenes, scene by scene."""
    cut = [tile(grid, size, stride or size).windows for grid in grids]
    return PoolWindows(
        {grid.name: grid for grid in grids},
        scene=np.repeat(np.arange(len(cut)), [len(windows) for windows in cut]),
        row_off=np.concatenate([windows.row_off for windows in cut]),
        col_off=np.concatenate([windows.col_off for windows in cut]),
        patch_size=size,
    )


def pool_at(index: pd.DataFrame, size: int) -> PoolWindows:
    """The windows of an index with scene, row_off and col_off; in scenes that hold them.

    The scenes lie one below the other, 15 km from edge to edge.
    """
    reach = index.groupby("scene", sort=False)[["row_off", "col_off"]].max() + size
    grids = {
        str(name): replace(
            scene(int(height), int(width), str(name)),
            transform=(*NORTH_UP[:5], NORTH_UP[5] - n * 15_000),
        )
        for n, (name, height, width) in enumerate(reach.itertuples())
    }
    return PoolWindows.from_index(index, grids, size)
