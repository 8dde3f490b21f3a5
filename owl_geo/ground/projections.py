"""Coordinate systems by name and the ways between them, made once however many scenes ask.

PROJ takes a fraction of a millisecond for each, which a run of a thousand scenes asks for again and
again. Both kinds of object may be shared by threads.

Between two datums PROJ has many ways, each for some part of the Earth. Where it has none straight
from one to the other, it takes the numbers as they are, a hundred metres off, although it may know
both by way of a third, mostly WGS 84. ``best_way`` takes that one; it needs to know where.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

GEOGRAPHIC = "EPSG:4326"

Place = tuple[float, float]  # longitude and latitude in degrees, of whatever datum

# Datums by way of which others know each other: WGS 84, ETRS89, NAD83, GDA94, GDA2020, SIRGAS 2000.
_HUBS = (GEOGRAPHIC, "EPSG:4258", "EPSG:4269", "EPSG:4283", "EPSG:7844", "EPSG:4674")
_BALLPARK = "Ballpark geo"  # graphic or geocentric; a ballpark height does not matter
_GEOCENTRIC = 2.0  # metres between datums that begin at the middle of the Earth
_CELL = 0.1  # degrees; places nearer to each other share a way


@lru_cache(maxsize=1024)
def crs_of(text: str) -> CRS:
    """Return the CRS that a code or WKT stands for."""
    return CRS.from_user_input(text)


@lru_cache(maxsize=1024)
def _straight(source: CRS, target: CRS) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def transformer(source: CRS, target: CRS, near: Place | None = None) -> Transformer:
    """Return the way from one CRS to another, x before y: the best for what is ``near``.

    Raises ProjError where none leads from the one to the other.
    """
    if near is None or same_datum(source, target):
        return _straight(source, target)
    return best_way(source, target, near).transformer


@lru_cache(maxsize=1024)
def same_datum(one: CRS, other: CRS) -> bool:
    """Say whether two CRSs number the same places on Earth, in whatever projection."""
    return one.geodetic_crs is not None and one.geodetic_crs == other.geodetic_crs


@dataclass(frozen=True)
class Way:
    """How coordinates come from one CRS to another near a place.

    Args:
        transformer: that brings them, x before y.
        accuracy: of the change of datum, metres; None where PROJ knows no change, or not how good.
        via: the datum on the way, ``EPSG:4326`` for example; empty where the way is PROJ's own.
        pipeline: the same for PROJ, axes in the order of the CRSs; empty where it is PROJ's own.
    """

    source: CRS
    target: CRS
    near: Place
    transformer: Transformer
    accuracy: float | None
    via: str = ""
    pipeline: str = ""

    @cached_property
    def missing_grids(self) -> tuple[str, ...]:
        """Files of a better way that are not on this machine; PROJ's network is not asked."""
        lon, lat = self.near
        area = AreaOfInterest(
            max(lon - _CELL, -180),
            max(lat - _CELL, -90),
            min(lon + _CELL, 180),
            min(lat + _CELL, 90),
        )
        stops = [self.source, *([crs_of(self.via)] if self.via else []), self.target]
        better: dict[str, None] = {}
        for start, end in zip(stops, stops[1:], strict=False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that the best one is missing
                group = TransformerGroup(start, end, always_xy=True, area_of_interest=area)
            for operation in group.unavailable_operations[:1]:
                if self.accuracy is None or 0 <= operation.accuracy < self.accuracy:
                    better.update(
                        (grid.short_name, None) for grid in operation.grids if not grid.available
                    )
        return tuple(better)


@lru_cache(maxsize=4096)
def best_way(source: CRS, target: CRS, near: Place) -> Way:
    """Return the best way that PROJ knows between two CRSs for what is near a place.

    Its own, unless that takes the numbers of one datum for those of the other while both are known
    by way of a third. Raises ProjError where there is none at all.
    """
    try:
        leg = _leg(source, target, near)
    except ProjError:
        leg = None
    else:
        if leg is None or not leg.is_ballpark:
            accuracy = 0.0 if leg is None else leg.accuracy
            return Way(source, target, near, _straight(source, target), accuracy)
    by_hub = next(_ways_by_hubs(source, target, near), None)
    return by_hub or Way(source, target, near, _straight(source, target), None)


@dataclass(frozen=True)
class _Leg:
    """One operation of PROJ, in the order of the axes that was asked for."""

    pipeline: str
    accuracy: float | None
    is_ballpark: bool


def _leg(source: CRS, target: CRS, near: Place, *, always_xy: bool = True) -> _Leg | None:
    """Return the operation that PROJ takes at a place, None where its coordinates have none.

    Raises ProjError where none leads from the one to the other.
    """
    if source.geodetic_crs is None:
        raise ProjError(f"{source.name} lies on no globe")
    if always_xy:
        way = _straight(source, target)
    else:
        way = Transformer.from_crs(source, target, always_xy=False)
    start = _straight(geodetic_of(source), source).transform(*near)
    swapped = not always_xy and _is_swapped(source)
    if not np.isfinite(way.transform(*(start[::-1] if swapped else start))).all():
        return None
    try:
        operation = way.get_last_used_operation()
    except ProjError:  # there is but one
        operation = way
    accuracy = operation.accuracy if operation.accuracy >= 0 else None
    is_ballpark = _BALLPARK in operation.description
    if is_ballpark and _is_geocentric_or_sphere(source) and _is_geocentric_or_sphere(target):
        return _Leg(operation.definition, _GEOCENTRIC, is_ballpark=False)
    return _Leg(operation.definition, accuracy, is_ballpark)


def _is_geocentric_or_sphere(crs: CRS) -> bool:
    """Say whether the numbers of a datum are those of WGS 84 to a metre or two.

    Datums on the ellipsoids of WGS 84 and GRS 80 begin at the middle of the Earth; spheres, as of
    MODIS, are drawn from WGS 84 as it is.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return False
    flattening = ellipsoid.inverse_flattening
    as_wgs84 = ellipsoid.semi_major_metre == 6_378_137 and abs(flattening - 298.2572) < 1e-3
    return as_wgs84 or flattening == 0


@lru_cache(maxsize=1024)
def is_in_degrees(crs: CRS) -> bool:
    """Say whether x is a longitude in degrees from Greenwich, which comes round after 360."""
    meridian = crs.prime_meridian
    units = {axis.unit_name for axis in crs.axis_info[:2]}
    greenwich = meridian is not None and meridian.longitude == 0
    return crs.is_geographic and units == {"degree"} and greenwich


def turned(lon: NDArray[np.float64], near: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitudes in whole turns from where they were, each within 180 degrees of another."""
    return lon + 360.0 * np.round((near - lon) / 360.0)


@lru_cache(maxsize=1024)
def geodetic_of(crs: CRS) -> CRS:
    """Return longitudes and latitudes of a CRS's own datum in degrees, of WGS 84 if it has none."""
    base = crs.geodetic_crs
    return base if base is not None and is_in_degrees(base) else crs_of(GEOGRAPHIC)


def _is_swapped(crs: CRS) -> bool:
    """Say whether a CRS has y, or the latitude, for its first axis."""
    return bool(crs.axis_info) and crs.axis_info[0].direction in ("north", "south")


def _ways_by_hubs(source: CRS, target: CRS, near: Place) -> Iterator[Way]:
    """Yield the ways by a third datum whose legs PROJ both knows."""
    for name in _HUBS:
        hub = crs_of(name)
        if same_datum(source, hub) or same_datum(hub, target):
            continue
        try:
            legs = [_leg(source, hub, near), _leg(hub, target, near)]
            known = [leg for leg in legs if leg is not None and not leg.is_ballpark]
            if len(known) < len(legs):
                continue
            in_their_order = [
                _leg(source, hub, near, always_xy=False),
                _leg(hub, target, near, always_xy=False),
            ]
        except ProjError:
            continue
        accuracies = [leg.accuracy for leg in known]
        yield Way(
            source,
            target,
            near,
            Transformer.from_pipeline(_joined(known)),
            None if None in accuracies else sum(filter(None, accuracies)),
            name,
            _joined([leg for leg in in_their_order if leg is not None]),
        )


def _joined(legs: list[_Leg]) -> str:
    """Return one pipeline for PROJ that takes the steps of several."""
    steps = []
    for leg in legs:
        words = leg.pipeline.split()
        steps += words[1:] if words[0] == "proj=pipeline" else ["step", *words]
    return " ".join(f"+{word}" for word in ["proj=pipeline", *steps])


@lru_cache(maxsize=4096)
def place_of(crs: CRS, x: float, y: float) -> Place | None:
    """Return about where coordinates of a CRS lie, None where they lie nowhere on Earth."""
    if crs.geodetic_crs is None:
        return None
    lon, lat = _straight(crs, geodetic_of(crs)).transform(x, y)
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return None
    lon = (lon + 180) % 360 - 180
    return round(lon / _CELL) * _CELL, float(np.clip(round(lat / _CELL) * _CELL, -90, 90))


def leads_nowhere(crs: CRS) -> str:
    """Say why coordinates in a CRS are no places on Earth's map; empty where they are."""
    if crs.is_geocentric:
        return f"its CRS {crs.name!r} has no map, since it is geocentric"
    try:
        _straight(crs, crs_of(GEOGRAPHIC))
    except ProjError:
        return f"its CRS {crs.name!r} is a local one, or of no place on Earth"
    return ""


def same_crs(one: str, other: str) -> bool:
    """Say whether two codes or WKTs stand for one CRS."""
    return one == other or crs_of(one) == crs_of(other)


def reproject(
    points: NDArray[np.float64], source: CRS, target: CRS, near: Place | None = None
) -> NDArray[np.float64]:
    """Return points ``(..., 2)``, x before y, in another CRS; infinite where it does not reach.

    By the best way for what is ``near``. Raises ProjError where there is none.
    """
    if source == target:
        return points
    x, y = transformer(source, target, near).transform(points[..., 0], points[..., 1])
    return np.stack([x, y], axis=-1)


def metres_from_earth_centre(points: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
    """Return points ``(n, 2)``, x before y, as x, y and z in metres from the Earth's centre."""
    on_ellipsoid = crs_of("EPSG:4979")
    lon, lat = transformer(crs, on_ellipsoid).transform(points[:, 0], points[:, 1])
    to_metres = transformer(on_ellipsoid, crs_of("EPSG:4978"))
    return np.stack(to_metres.transform(lon, lat, np.zeros(len(points))), axis=1)
