"""How large the pixels of a grid are on the ground, whatever the unit of the CRS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from owl_geo.ground.crs import crs_of, leads_nowhere
from owl_geo.ground.surface import squares_in_space
from owl_geo.ground.windows import Windows
from owl_geo.types import SceneGrid

_METRES_PER_DEGREE = 111_195.0
_AS_NAMED = 0.02  # of an edge: a CRS that is as true on the ground is taken at its word


def pixel_metres(grid: SceneGrid) -> float:
    """Return the edge of a pixel in metres; see ``all_pixel_metres``."""
    return float(all_pixel_metres([grid])[0])


def all_pixel_metres(grids: Sequence[SceneGrid]) -> NDArray[np.float64]:
    """Return the edge of a pixel in the middle of each of n grids, in metres ``(n,)``.

    Of one that is no square it is that of a square as large on the ground. A metre of a CRS counts
    as a metre unless it is none: in Web Mercator at 60 degrees north it is half of one. Where a CRS
    leads to no place on Earth, which ``off_the_map`` says, it counts as one in any case.
    """
    named = np.array([_named(grid) for grid in grids])
    on_ground = np.full(len(grids), np.nan)
    places = [i for i, grid in enumerate(grids) if not leads_nowhere(crs_of(grid.crs))]
    if places:
        middles = [_middle(grids[place]) for place in places]
        edges = np.array([squares[1:, 0] for squares in squares_in_space(middles)])
        on_ground[places] = np.sqrt(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1))
    in_degrees = np.array([crs_of(grid.crs).is_geographic for grid in grids])
    with np.errstate(invalid="ignore"):
        as_named = (np.abs(on_ground - named) <= _AS_NAMED * named) & ~in_degrees
    return np.where(as_named | ~np.isfinite(on_ground), named, on_ground)


def _middle(grid: SceneGrid) -> Windows:
    """Return the pixel in the middle of a grid."""
    row, col = np.array([grid.height // 2]), np.array([grid.width // 2])
    return Windows(grid, row_off=row, col_off=col, patch_size=1)


def _named(grid: SceneGrid) -> float:
    """Return the edge of a pixel as the unit of the CRS has it, in degrees that at the equator."""
    crs = crs_of(grid.crs)
    a, b, _, d, e, _ = grid.transform
    side = float(np.sqrt(abs(a * e - b * d)))
    if crs.is_geographic:
        return side * _METRES_PER_DEGREE
    return side * ((crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0) or 1.0)
