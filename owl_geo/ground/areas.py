"""Areas on the ground, whatever the CRS of the polygons."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod

from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.transformations import transformer
from owl_geo.types import AnyArray

_ELLIPSOID = Geod(ellps="WGS84")
_STEP = 5000.0  # metres between points of an edge, which is straight in its CRS and nowhere else
_SQUARE_METRES = 10_000.0  # in a hectare


def hectares(polygons: AnyArray, crs: CRS) -> NDArray[np.float64]:
    """Return the area of each polygon in hectares of the ellipsoid, ``(n,)``.

    Edges are straight in ``crs``, which may be in degrees, or have a scale that is not 1.
    """
    fine = shapely.segmentize(np.asarray(polygons, dtype=object), _STEP / _metres(crs))
    to_degrees = transformer(crs, crs_of(GEOGRAPHIC))

    def on_ellipsoid(ring: shapely.LinearRing) -> float:
        lon, lat = to_degrees.transform(*shapely.get_coordinates(ring).T)
        # a cell at a pole may reach beyond it
        area, _ = _ELLIPSOID.polygon_area_perimeter(lon, np.clip(lat, -90, 90))
        return abs(area) / _SQUARE_METRES

    return np.array(
        [
            on_ellipsoid(polygon.exterior) - sum(map(on_ellipsoid, polygon.interiors))
            for polygon in fine
        ],
        dtype=np.float64,
    )


def _metres(crs: CRS) -> float:
    """Return roughly how many metres a unit of the CRS is, at most."""
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    # the factor of an angle is that to radians
    return unit * _ELLIPSOID.a if crs.is_geographic else unit or math.inf
