"""How well a layer fits a scene of another datum: a warning where that is worse than a pixel."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pyproj import CRS

from owl_geo.ground.crs import same_datum
from owl_geo.ground.pixels import pixel_metres
from owl_geo.ground.transformations import best_transformation
from owl_geo.ground.windows import Windows

_log = logging.getLogger("owl_geo")


def warn_if_inaccurate(what: str, crs: CRS, scenes: Iterable[Windows]) -> None:
    """Log a warning, once, if a layer's change of datum is worse than a pixel of a scene.

    ``what`` names the layer. Raises ProjError if no transformation leads to a scene.
    """
    for scene in scenes:
        near = scene.place
        if near is None or same_datum(crs, scene.crs):
            continue
        pixel = pixel_metres(scene.grid)
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
