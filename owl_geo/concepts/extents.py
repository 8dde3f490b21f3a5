"""Does a layer cover the patches? Extents, compared in the layer's own CRS."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.concepts.pool import LON_LAT, Pool
from owl_geo.errors import LayerError
from owl_geo.ground.accuracy import warn_if_inaccurate
from owl_geo.ground.crs import around_the_earth, turned
from owl_geo.ground.transformations import transformer
from owl_geo.ground.windows import Windows
from owl_geo.types import BoolArray

_log = logging.getLogger("owl_geo")

Bounds = tuple[float, float, float, float]  # west, south, east, north
_METRES_PER_DEGREE = 111_000.0  # of latitude, in round numbers


@dataclass(frozen=True)
class Extent:
    """The rectangle, in the layer's own CRS, that a layer covers."""

    crs: CRS
    bounds: Bounds

    def __str__(self) -> str:
        in_lonlat = transformer(self.crs, LON_LAT).transform_bounds(*self.bounds, densify_pts=21)
        if np.isfinite(in_lonlat).all():
            return f"{_as_text(in_lonlat)} in longitude and latitude"
        return f"{_as_text(self.bounds)} in {self.crs.name}, which is nowhere on Earth"

    def within(self, metres: float) -> Extent:
        """Return the rectangle, in longitude and latitude, with what lies so near, or nearly."""
        to_lonlat = transformer(self.crs, LON_LAT)
        west, south, east, north = to_lonlat.transform_bounds(*self.bounds, densify_pts=21)
        if not np.isfinite([west, south, east, north]).all():
            return self
        up = metres / _METRES_PER_DEGREE
        south, north = max(south - up, -90.0), min(north + up, 90.0)
        along = up / max(np.cos(np.radians(max(-south, north))), 1e-9)
        if west > east:  # across 180 degrees
            east += 360
        if east - west + 2 * along >= 360:
            return Extent(LON_LAT, (-180.0, south, 180.0, north))
        return Extent(LON_LAT, (west - along, south, east + along, north))


def check(
    layer_name: str,
    extent: Extent,
    pool: Pool,
    *,
    a_part: bool = False,
    reach: float = 0.0,
    beyond: str = "empty",
) -> float:
    """Return the share of the patches' area that lies within a layer's extent, 0 to 1.

    ``layer_name`` is used in messages. Logs a warning where the share is below 1, which says what
    the area ``beyond`` counts as. Raises LayerError, with both extents in longitude and latitude,
    where no patch touches the extent, nor lies within ``reach`` metres of it, unless these patches
    are ``a_part`` of a pool whose others may.
    """
    share = float(check_touches(layer_name, extent, pool, a_part=a_part, reach=reach).mean())
    if share < 0.9995:
        _log.warning(
            "%s covers %.3g %% of the patches' area; it spans %s, and the area beyond counts as %s",
            layer_name,
            100 * share,
            extent,
            beyond,
        )
    return share


def check_touches(
    layer_name: str, extent: Extent, pool: Pool, *, a_part: bool = False, reach: float = 0.0
) -> NDArray[np.float64]:
    """Return the share of each patch within a layer's extent, ``(n,)``; raise as ``check`` does."""
    overlaps = [_overlap(extent, scene.windows) for scene in pool.scenes]
    touching = np.concatenate([touches for _, touches in overlaps])
    is_near = bool(touching.any()) or (
        reach > 0 and bool(touched_scenes(extent.within(reach), pool))
    )
    if not is_near and not a_part:
        raise LayerError(
            f"{layer_name} covers none of the scenes: it spans {extent}, the patches "
            f"{_pool_text(pool)}",
            remedy="use a layer that covers the scenes",
        )
    warn_if_inaccurate(layer_name, extent.crs, [scene.windows for scene in pool.scenes])
    return np.concatenate([shares for shares, _ in overlaps])


def touched_scenes(extent: Extent, pool: Pool) -> set[str]:
    """Return the names of the scenes with a patch that touches the extent."""
    windows = [scene.windows for scene in pool.scenes]
    return {entry.grid.name for entry in windows if _overlap(extent, entry)[1].any()}


def _overlap(extent: Extent, windows: Windows) -> tuple[NDArray[np.float64], BoolArray]:
    """Return the share of each window's bounding box in the extent, and whether they touch."""
    west, south, east, north = extent.bounds
    corners = windows.corners_in(extent.crs)
    reaches = np.asarray(np.isfinite(corners).all(axis=(1, 2)))  # within the extent's CRS
    corners = np.where(reaches[:, None, None], corners, 0.0)
    whole = around_the_earth(extent.crs)
    if whole:
        # longitudes wrap: move each patch as a whole to the extent's side of the antimeridian
        lon = turned(corners[..., 0], corners[:, :1, 0], whole)
        centre = lon.mean(axis=1, keepdims=True)
        corners[..., 0] = lon - centre + turned(centre, (west + east) / 2, whole)
    low, high = corners.min(axis=1), corners.max(axis=1)
    if whole and east - west > whole * (1 - 3e-9):  # all around: no edge to cross
        west, east = low[:, 0].min(), high[:, 0].max()
    sides = np.minimum(high, [east, north]) - np.maximum(low, [west, south])
    touches = reaches & (sides >= 0).all(axis=1)
    shares = sides.clip(min=0).prod(axis=1) / (high - low).prod(axis=1, where=reaches[:, None])
    return np.where(touches, shares, 0.0), touches


def _pool_text(pool: Pool) -> str:
    corners = [scene.windows.corners_in(LON_LAT).reshape(-1, 2) for scene in pool.scenes]
    points = np.concatenate(corners)
    points = points[np.isfinite(points).all(axis=1)]
    return _as_text((*points.min(axis=0), *points.max(axis=0))) if len(points) else "nothing"


def _as_text(bounds: Bounds) -> str:
    west, south, east, north = bounds
    return f"{west:.4f}, {south:.4f} to {east:.4f}, {north:.4f}"
