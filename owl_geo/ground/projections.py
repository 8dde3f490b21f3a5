"""Coordinate systems by name and the transformers between them, each made only once.

PROJ takes a fraction of a millisecond for each, and a run of a thousand scenes needs them again and
again. Threads may share both kinds of object.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

GEOGRAPHIC = "EPSG:4326"


@lru_cache(maxsize=1024)
def crs_of(text: str) -> CRS:
    """Return the CRS that a code or WKT stands for."""
    return CRS.from_user_input(text)


@lru_cache(maxsize=1024)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Return the transformer from one CRS to another, x before y."""
    return Transformer.from_crs(source, target, always_xy=True)


def same_crs(one: str, other: str) -> bool:
    """Return whether two codes or WKTs stand for the same CRS."""
    return one == other or crs_of(one) == crs_of(other)


def reproject(points: NDArray[np.float64], source: CRS, target: CRS) -> NDArray[np.float64]:
    """Return points ``(..., 2)``, x before y, in another CRS; infinite outside its domain."""
    if source == target:
        return points
    x, y = transformer(source, target).transform(points[..., 0], points[..., 1])
    return np.stack([x, y], axis=-1)


def metres_from_earth_centre(points: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Return points ``(n, 2)``, x before y, as x, y and z in metres from the Earth's centre."""
    on_ellipsoid = crs_of("EPSG:4979")
    lon, lat = transformer(crs, on_ellipsoid).transform(points[:, 0], points[:, 1])
    to_metres = transformer(on_ellipsoid, crs_of("EPSG:4978"))
    return np.stack(to_metres.transform(lon, lat, np.zeros(len(points))), axis=1)
