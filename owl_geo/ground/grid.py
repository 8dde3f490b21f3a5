"""Arithmetic on the pixel grid of a scene: from rows and columns to coordinates.

Rows and columns are pixels counted from the scene's first row and column, and may be fractional;
coordinates are x before y in the scene's CRS. Nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import SceneGrid


def to_xy(
    grid: SceneGrid, row: NDArray[np.floating], col: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return pixel positions as coordinates in the scene's CRS, ``(..., 2)``, x before y."""
    a, b, c, d, e, f = grid.transform
    return np.stack([a * col + b * row + c, d * col + e * row + f], axis=-1).astype(np.float64)


def pixel_of(grid: SceneGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coordinates ``(..., 2)`` as pixel positions, ``(..., 2)``, row before column."""
    a, b, c, d, e, f = grid.transform
    x, y = xy[..., 0] - c, xy[..., 1] - f
    return np.stack([a * y - d * x, e * x - b * y], axis=-1) / (a * e - b * d)


def bounds(grid: SceneGrid) -> tuple[float, float, float, float]:
    """Return the scene's extent in its own CRS: minimum x and y, then maximum x and y."""
    row = np.array([0.0, 0.0, grid.height, grid.height])
    col = np.array([0.0, grid.width, 0.0, grid.width])
    xy = to_xy(grid, row, col)
    (x_min, y_min), (x_max, y_max) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return x_min, y_min, x_max, y_max


def refined(grid: SceneGrid, factor: int) -> SceneGrid:
    """Return the grid with each pixel split into ``factor`` x ``factor`` pixels."""
    a, b, c, d, e, f = grid.transform
    return replace(
        grid,
        transform=(a / factor, b / factor, c, d / factor, e / factor, f),
        height=grid.height * factor,
        width=grid.width * factor,
    )
