"""Lines that may be the outlines of areas, as drawing programs save them."""

from __future__ import annotations

import logging

import numpy as np
import shapely

from owl_geo.types import AnyArray
from owl_geo.wording import counted, plural

_log = logging.getLogger("owl_geo")

_MOST = 0.9  # of the lines: a road that ends where it begins is one among others


def warn_of_outlines(path: str, geometries: AnyArray, effect: str) -> None:
    """Warn where nearly all lines end where they begin; ``effect`` says what lines count as.

    Of an OpenStreetMap extract, which tells areas by their tags, it is not to be asked.
    """
    parts = shapely.get_parts(shapely.get_parts(geometries))
    lines = parts[shapely.get_dimensions(parts) == 1]
    n = int(np.count_nonzero(shapely.is_closed(lines)))
    if n == 0 or n < _MOST * len(lines):
        return
    _log.warning(
        "%s: %s where %s, and %s; if %s an area, make %s of %s first, for example with ogr2ogr "
        "-nlt POLYGON",
        path,
        counted(n, "line ends", "lines end"),
        plural(n, "it begins", "they begin"),
        effect,
        plural(n, "it is the outline of", "each is the outline of"),
        plural(n, "a polygon", "polygons"),
        plural(n, "it", "them"),
    )
