"""The scale bar of a map that is drawn in the pixels of a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from owl_geo.ground.crs import crs_of
from owl_geo.ground.grid import to_xy
from owl_geo.ground.transformations import metres_from_earth_centre
from owl_geo.types import SceneGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS_ACROSS = 64  # in which the width of a scene is measured


def draw_scale_bar(axes: Axes, grid: SceneGrid) -> None:
    """Draw a bar of a round length, and the length; nothing for a scene beyond the Earth."""
    from matplotlib.patheffects import withStroke

    metres = _metres_across(grid)
    if not np.isfinite(metres) or metres <= 0:
        return
    length = _round_down(metres / 4)
    share = length / metres
    x = (0.03, 0.03 + share)
    halo = [withStroke(linewidth=5, foreground="#FFFFFF")]
    axes.plot(
        x,
        (0.035, 0.035),
        color="#000000",
        linewidth=2.5,
        solid_capstyle="butt",
        transform=axes.transAxes,
        path_effects=halo,
    )
    text = f"{length / 1000:,g} km" if length >= 1000 else f"{length:g} m"
    axes.text(
        x[0],
        0.055,
        text,
        transform=axes.transAxes,
        fontsize=9,
        path_effects=[withStroke(linewidth=3, foreground="#FFFFFF")],
    )


def _metres_across(grid: SceneGrid) -> float:
    """Return the width of a scene on the ground along its middle row, in metres."""
    cols = np.linspace(0.0, grid.width, _STEPS_ACROSS + 1)  # around the Earth, not through it
    along = to_xy(grid, np.full(len(cols), float(grid.height // 2)), cols)
    with np.errstate(invalid="ignore"):  # a scene may lie beyond the Earth
        steps = np.diff(metres_from_earth_centre(along, crs_of(grid.crs)), axis=0)
        return float(np.linalg.norm(steps, axis=1).sum())


def _round_down(metres: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 and so on that is no more than ``metres``."""
    power = 10.0 ** np.floor(np.log10(metres))
    # the logarithm of a little less than a power of 10 is rounded to a whole number
    return float(max(step * power for step in (0.5, 1, 2, 5) if step * power <= metres))
