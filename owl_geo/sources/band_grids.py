"""The grid that the bands of a scene share, and how messages name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from owl_geo.errors import SceneError, SourceError
from owl_geo.ground.crs import crs_of, same_crs
from owl_geo.ground.grid import bounds
from owl_geo.sources.bands import Band
from owl_geo.types import SceneGrid


def common_grid(name: str, bands: Sequence[Band]) -> SceneGrid:
    """Return the finest grid among the bands; raises SourceError where a band lies elsewhere."""
    grid = finest(bands)
    base = next(band for band in bands if band.grid == grid)
    for band in bands:
        if not same_crs(band.grid.crs, grid.crs):
            raise SceneError(
                f"scene {name!r}: {band.path} is in {crs_text(band.grid)}, {base.path} in "
                f"{crs_text(grid)}",
                remedy="name bands that share a CRS; if these are scenes of their own, name each "
                "with --scene, or all with a pattern in quotes: 'FOLDER/*.tif'",
            )
        # a coarser grid may begin up to one of its pixels away, as Landsat's 15 m and 30 m bands do
        reach = max(*pixel_size(band.grid), *pixel_size(grid))
        if np.abs(np.subtract(bounds(band.grid), bounds(grid))).max() > 1.001 * reach:
            raise SceneError(
                f"scene {name!r}: {band.path} covers {extent_text(band.grid)}, {base.path} covers "
                f"{extent_text(grid)}",
                remedy="the bands of a scene must lie on each other; if these are scenes of their "
                "own, name each with --scene, or all with a pattern in quotes: 'FOLDER/*.tif'",
            )
    return replace(grid, name=name)


def lie_together(name: str, bands: Sequence[Band]) -> bool:
    """Return whether bands have a common grid."""
    try:
        common_grid(name, bands)
    except SourceError:
        return False
    return True


def finest(bands: Sequence[Band]) -> SceneGrid:
    """Return the grid with the smallest pixels, the first among equals."""
    return min((band.grid for band in bands), key=lambda g: float(np.prod(pixel_size(g))))


def pixel_size(grid: SceneGrid) -> tuple[float, float]:
    """Return width and height of a pixel in units of the CRS, also of a rotated grid."""
    a, b, _, d, e, _ = grid.transform
    return float(np.hypot(a, d)), float(np.hypot(b, e))


def crs_text(grid: SceneGrid) -> str:
    """Return the code of the grid's CRS, else its name, for a message."""
    if len(grid.crs) < 20:
        return grid.crs
    name = crs_of(grid.crs).name
    return "a CRS of its own" if name in ("unnamed", "unknown") else name


def extent_text(grid: SceneGrid) -> str:
    """Return the extent in the grid's own CRS, for a message: ``x 0 to 10, y 20 to 30``."""
    x_min, y_min, x_max, y_max = bounds(grid)
    return f"x {x_min:.10g} to {x_max:.10g}, y {y_min:.10g} to {y_max:.10g}"
