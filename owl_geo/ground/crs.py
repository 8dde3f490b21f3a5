"""Coordinate reference systems: by name or WKT, and what x, y and places in them are.

Each is made only once, and so are the transformers that PROJ itself would take between them: it
takes a fraction of a millisecond for each, and a run of a thousand scenes needs them again and
again. Threads may share both kinds of object.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

GEOGRAPHIC = "EPSG:4326"
TURNS = (0.0, -360.0, 360.0)  # longitudes of one place may differ by these
CELL = 0.1  # degrees; places are rounded to it

Place = tuple[float, float]  # longitude and latitude in degrees, of whatever datum

_DEGREE = math.pi / 180  # radians


class Ellipsoid(NamedTuple):
    """The shape of the Earth, in PROJ's words."""

    a: float  # semi-major axis, metres
    rf: float  # inverse flattening


_WGS84 = Ellipsoid(6_378_137.0, 298.257223563)


class _Hashed(CRS):
    """A CRS that is hashed once: pyproj writes its WKT each time, and the caches here hash much."""

    def __hash__(self) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return int(known)


@lru_cache(maxsize=1024)
def crs_of(text: str) -> CRS:
    """Return the CRS that a code or WKT stands for."""
    return _Hashed.from_user_input(text)


@lru_cache(maxsize=1024)
def straight(source: CRS, target: CRS) -> Transformer:
    """Return PROJ's own transformer between two CRSs, x before y; raises ProjError if none."""
    return Transformer.from_crs(source, target, always_xy=True)


def same_crs(one: str, other: str) -> bool:
    """Return whether two codes or WKTs stand for the same CRS."""
    return one == other or crs_of(one) == crs_of(other)


@lru_cache(maxsize=1024)
def same_datum(one: CRS, other: CRS) -> bool:
    """Return whether two CRSs share a datum, whatever their projections."""
    return one.geodetic_crs is not None and one.geodetic_crs == other.geodetic_crs


@lru_cache(maxsize=1024)
def geodetic_of(crs: CRS) -> CRS:
    """Return the geographic CRS of a CRS's datum; WGS 84 if that does not count degrees."""
    base = crs.source_crs if crs.is_geographic and crs.is_derived else crs.geodetic_crs
    return base if base is not None and is_in_degrees(base) else crs_of(GEOGRAPHIC)


@lru_cache(maxsize=4096)
def place_of(crs: CRS, x: float, y: float) -> Place | None:
    """Return the place of coordinates to a tenth of a degree, None if they are not on Earth."""
    if crs.geodetic_crs is None:
        return None
    lon, lat = straight(crs, geodetic_of(crs)).transform(x, y)
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return None
    lon = (lon + 180) % 360 - 180
    return round(lon / CELL) * CELL, float(np.clip(round(lat / CELL) * CELL, -90, 90))


def leads_nowhere(crs: CRS) -> str:
    """Return why coordinates in a CRS are not places on a map of the Earth; empty if they are."""
    if crs.is_geocentric:
        return f"its CRS {crs.name!r} is geocentric and has no map plane"
    try:
        straight(crs, crs_of(GEOGRAPHIC))
    except ProjError:
        return f"its CRS {crs.name!r} is local or not tied to the Earth"
    return ""


@lru_cache(maxsize=1024)
def ellipsoid_of(crs: CRS) -> Ellipsoid:
    """Return the ellipsoid on which positions in a geographic CRS are that far apart.

    That is the CRS's own, but WGS 84 for a sphere, which has the latitudes of WGS 84.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None or is_geocentric_or_sphere(crs):
        return _WGS84
    return Ellipsoid(ellipsoid.semi_major_metre, ellipsoid.inverse_flattening)


def is_geocentric_or_sphere(crs: CRS) -> bool:
    """Return whether coordinates of a datum are those of WGS 84 to a metre or two.

    Datums on the ellipsoids of WGS 84 and GRS 80 are geocentric. A sphere, as MODIS has it, takes
    latitudes of WGS 84 as they are.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return False
    flattening = ellipsoid.inverse_flattening
    as_wgs84 = ellipsoid.semi_major_metre == 6_378_137 and abs(flattening - 298.2572) < 1e-3
    return as_wgs84 or flattening == 0


@lru_cache(maxsize=1024)
def is_in_degrees(crs: CRS) -> bool:
    """Return whether x is a longitude in degrees from Greenwich, which repeats after 360.

    That of a rotated pole is none.
    """
    meridian = crs.prime_meridian
    greenwich = meridian is not None and meridian.longitude == 0
    return crs.is_geographic and not crs.is_derived and _has_unit(crs, _DEGREE) and greenwich


@lru_cache(maxsize=1024)
def is_in_metres(crs: CRS) -> bool:
    """Return whether x and y are metres on a map."""
    return crs.is_projected and _has_unit(crs, 1.0)


def _has_unit(crs: CRS, factor: float) -> bool:
    """Return whether x and y are in a unit of so many radians or metres.

    Its name does not tell: ``metre`` is also written ``Meter``, ``degree`` also ``Degree``.
    """
    factors = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    return bool(factors) and all(math.isclose(one, factor, rel_tol=1e-9) for one in factors)


@lru_cache(maxsize=1024)
def around_the_earth(crs: CRS) -> float:
    """Return how far x goes round the Earth where it grows with the longitude alone; else 0.

    That is 360 in degrees, and about 40,075,000 m in Web Mercator.
    """
    if is_in_degrees(crs):
        return 360.0
    if crs.is_geographic and crs.axis_info:  # in other units, or from another meridian
        return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor)
    if not crs.is_projected:
        return 0.0
    lon, lat = np.meshgrid(np.arange(-173.0, 187.0, 30.0), [0.0, 50.0])
    try:
        x, _ = straight(geodetic_of(crs), crs).transform(lon, lat)
    except ProjError:
        return 0.0
    steps = np.diff(x[0])
    step = float(np.median(steps))
    whole = 12 * step
    if not (np.isfinite(x).all() and whole > 0 and np.allclose(x[0], x[1], atol=1e-9 * whole)):
        return 0.0
    over = np.abs((steps - step + whole / 2) % whole - whole / 2)  # one of them may end at the rim
    return whole if (over < 1e-9 * whole).all() else 0.0


def turns_of(crs: CRS) -> tuple[float, ...]:
    """Return what x of one place may differ by, 0 first: whole turns, in units of the CRS."""
    whole = around_the_earth(crs)
    return (0.0, -whole, whole) if whole else (0.0,)


@lru_cache(maxsize=1024)
def rim_of(crs: CRS) -> tuple[float, float]:
    """Return between which x PROJ has the whole Earth, for a CRS that goes ``around_the_earth``."""
    half = around_the_earth(crs) / 2
    if not crs.is_projected or crs.coordinate_operation is None:
        return -half, half
    origin = next(
        (
            np.degrees(float(param.value) * param.unit_conversion_factor)
            for param in crs.coordinate_operation.params
            if param.name.startswith("Longitude of")
        ),
        0.0,
    )
    middle, _ = straight(geodetic_of(crs), crs).transform(origin, 0.0)
    return middle - half, middle + half


def turned(
    lon: NDArray[np.float64], near: float | NDArray[np.float64], whole: float = 360.0
) -> NDArray[np.float64]:
    """Return longitudes moved by whole turns, each to within half a one of ``near``.

    Or x of a CRS in which a turn is ``whole``, as by ``around_the_earth``.
    """
    return lon + whole * np.round((near - lon) / whole)
