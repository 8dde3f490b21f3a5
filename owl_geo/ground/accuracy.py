"""How well a layer fits a scene of another datum: a warning where that is worse than a pixel."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
from pyproj import CRS

from owl_geo.ground.projections import best_transformation, is_in_degrees, same_datum
from owl_geo.ground.windows import Windows

_log = logging.getLogger("owl_geo")

_METRES_PER_DEGREE = 111_195.0


def warn_if_inaccurate(what: str, crs: CRS, scenes: Iterable[Windows]) -> None:
    """Log a warning, once, if a layer's change of datum is worse than a pixel of a scene.

    ``what`` names the layer. Raises ProjError if no transformation leads to a scene.
    """
    for scene in scenes:
        near = scene.place
        if near is None or same_datum(crs, scene.crs):
            continue
        pixel = _pixel_metres(scene)
        change = best_transformation(crs, scene.crs, near)
        if change.accuracy is not None and change.accuracy <= pixel:
            continue
        names = crs.name, scene.crs.name
        grids = ", ".join(change.missing_grids)
        if change.accuracy is None:
            fit = "without a known change of datum, and may be off by 200 m"
        else:
            fit = f"to {change.accuracy:g} m; a pixel of scene {scene.grid.name!r} is {pixel:.3g} m"
        more = f"; with the grid {grids} it would be better, see projsync" if grids else ""
        _log.warning("%s is transformed from %s to %s %s%s", what, *names, fit, more)
        return


def _pixel_metres(scene: Windows) -> float:
    """Return the side of a pixel in metres."""
    a, b, _, d, e, _ = scene.grid.transform
    side = float(np.sqrt(abs(a * e - b * d)))
    if is_in_degrees(scene.crs):
        return side * _METRES_PER_DEGREE
    return side * (scene.crs.axis_info[0].unit_conversion_factor if scene.crs.axis_info else 1.0)
