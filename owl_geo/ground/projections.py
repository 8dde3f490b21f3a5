"""Coordinate systems by name and the transformers between them, each made only once.

PROJ takes a fraction of a millisecond for each, and a run of a thousand scenes needs them again and
again. Threads may share both kinds of object.

Between two datums, PROJ has many transformations, each for some part of the Earth. Where it has no
direct one, it keeps the numbers as they are, which may be 200 metres off, although it may know how
both datums relate to a third, usually WGS 84. ``best_transformation`` goes by way of that one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

GEOGRAPHIC = "EPSG:4326"
TURNS = (0.0, -360.0, 360.0)  # longitudes of one place may differ by these

Place = tuple[float, float]  # longitude and latitude in degrees, of whatever datum

# Datums to which others relate: WGS 84, ETRS89, NAD83, GDA94, GDA2020, SIRGAS 2000.
_HUBS = (GEOGRAPHIC, "EPSG:4258", "EPSG:4269", "EPSG:4283", "EPSG:7844", "EPSG:4674")
_BALLPARK = "Ballpark geo"  # geographic or geocentric offset; heights do not matter
# Operations for Kosovo that lead 1.6 km too far east, there and in all of the rectangle around it,
# as far as Skopje; those of the countries around agree to metres.
_MISTAKEN = ("MGI 1901 to WGS 84 (14)", "MGI 1901 to KOSOVAREF01 (1)")
_GEOCENTRIC = 2.0  # metres between geocentric datums
_CELL = 0.1  # degrees; places are rounded to it
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
def _straight(source: CRS, target: CRS) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def transformer(source: CRS, target: CRS, near: Place | None = None) -> Transformer:
    """Return the transformer from one CRS to another, x before y, the best for the place ``near``.

    Raises ProjError if there is none.
    """
    if near is None or same_datum(source, target):
        return _straight(source, target)
    return best_transformation(source, target, near).transformer


@lru_cache(maxsize=1024)
def same_datum(one: CRS, other: CRS) -> bool:
    """Return whether two CRSs share a datum, whatever their projections."""
    return one.geodetic_crs is not None and one.geodetic_crs == other.geodetic_crs


@dataclass(frozen=True)
class Transformation:
    """How coordinates are transformed from one CRS to another near a place.

    Args:
        source: the CRS of the coordinates.
        target: the CRS to which they are transformed.
        near: longitude and latitude of the place, degrees.
        transformer: the transformer, x before y.
        accuracy: of the change of datum, metres; None if it is unknown, or no change is known.
        via: the third datum, such as ``EPSG:4326``; empty if the transformation is PROJ's own.
        pipeline: in PROJ's words, axes in the order of the CRSs; empty if it is PROJ's own.
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
        """Grids of a better transformation that are not installed; none is downloaded."""
        lon, lat = self.near
        area = AreaOfInterest(
            max(lon - _CELL, -180),
            max(lat - _CELL, -90),
            min(lon + _CELL, 180),
            min(lat + _CELL, 90),
        )
        stops = [self.source, *([crs_of(self.via)] if self.via else []), self.target]
        better: dict[str, None] = {}
        for start, end in pairwise(stops):
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
def best_transformation(source: CRS, target: CRS, near: Place) -> Transformation:
    """Return the best transformation between two CRSs that PROJ knows for a place.

    That is PROJ's own choice, unless it would keep the numbers of one datum for the other, or is a
    mistaken one, and both relate to a third. Raises ProjError if there is none.
    """
    try:
        leg = _leg(source, target, near)
    except ProjError:
        leg = None
    else:
        if leg is None or not (leg.is_doubtful or _goes_astray(source, target)):
            accuracy = 0.0 if leg is None else leg.accuracy
            return Transformation(source, target, near, _straight(source, target), accuracy)
    by_hub = next(_by_hubs(source, target, near), None)
    return by_hub or Transformation(source, target, near, _straight(source, target), None)


@dataclass(frozen=True)
class _Leg:
    """One operation of PROJ, in the order of the axes that was asked for."""

    pipeline: str
    accuracy: float | None
    is_doubtful: bool  # it keeps the numbers of one datum for another, or is known to be wrong


def _leg(source: CRS, target: CRS, near: Place, *, always_xy: bool = True) -> _Leg | None:
    """Return the operation that PROJ chooses at a place, None if the place has no coordinates.

    Raises ProjError if there is none.
    """
    if source.geodetic_crs is None:
        raise ProjError(f"{source.name} lies on no globe")
    if always_xy:
        transform = _straight(source, target)
    else:
        transform = Transformer.from_crs(source, target, always_xy=False)
    start = _straight(geodetic_of(source), source).transform(*near)
    swapped = not always_xy and _is_swapped(source)
    if not np.isfinite(transform.transform(*(start[::-1] if swapped else start))).all():
        return None
    try:
        operation = transform.get_last_used_operation()
    except ProjError:  # there is but one
        operation = transform
    accuracy = operation.accuracy if operation.accuracy >= 0 else None
    is_ballpark = _BALLPARK in operation.description
    if is_ballpark and _is_geocentric_or_sphere(source) and _is_geocentric_or_sphere(target):
        return _Leg(operation.definition, _GEOCENTRIC, is_doubtful=False)
    is_doubtful = is_ballpark or _is_mistaken(operation.description)
    return _Leg(operation.definition, accuracy, is_doubtful)


def _is_mistaken(description: str) -> bool:
    return any(name in description for name in _MISTAKEN)


@lru_cache(maxsize=1024)
def _goes_astray(source: CRS, target: CRS) -> bool:
    """Return whether PROJ takes a mistaken operation from one CRS to another, anywhere.

    It chooses for each point, so a scene may reach to where it does although its middle does not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the best one is missing
        group = TransformerGroup(source, target, always_xy=True)
    return any(_is_mistaken(one.description) for one in group.transformers)


def _is_geocentric_or_sphere(crs: CRS) -> bool:
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
def ellipsoid_of(crs: CRS) -> Ellipsoid:
    """Return the ellipsoid on which positions in a geographic CRS are that far apart.

    That is the CRS's own, but WGS 84 for a sphere, which has the latitudes of WGS 84.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None or _is_geocentric_or_sphere(crs):
        return _WGS84
    return Ellipsoid(ellipsoid.semi_major_metre, ellipsoid.inverse_flattening)


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


def turned(
    lon: NDArray[np.float64], near: float | NDArray[np.float64], whole: float = 360.0
) -> NDArray[np.float64]:
    """Return longitudes moved by whole turns, each to within half a one of ``near``.

    Or x of a CRS in which a turn is ``whole``, as by ``around_the_earth``.
    """
    return lon + whole * np.round((near - lon) / whole)


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
        x, _ = _straight(geodetic_of(crs), crs).transform(lon, lat)
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
    middle, _ = _straight(geodetic_of(crs), crs).transform(origin, 0.0)
    return middle - half, middle + half


@lru_cache(maxsize=1024)
def geodetic_of(crs: CRS) -> CRS:
    """Return the geographic CRS of a CRS's datum; WGS 84 if that does not count degrees."""
    base = crs.source_crs if crs.is_geographic and crs.is_derived else crs.geodetic_crs
    return base if base is not None and is_in_degrees(base) else crs_of(GEOGRAPHIC)


def _is_swapped(crs: CRS) -> bool:
    """Return whether the first axis of a CRS is y, or latitude."""
    return bool(crs.axis_info) and crs.axis_info[0].direction in ("north", "south")


def _by_hubs(source: CRS, target: CRS, near: Place) -> Iterator[Transformation]:
    """Yield the transformations by way of a third datum, if PROJ knows both legs."""
    for name in _HUBS:
        hub = crs_of(name)
        if same_datum(source, hub) or same_datum(hub, target):
            continue
        try:
            legs = [_leg(source, hub, near), _leg(hub, target, near)]
            known = [leg for leg in legs if leg is not None and not leg.is_doubtful]
            if len(known) < len(legs):
                continue
            in_their_order = [
                _leg(source, hub, near, always_xy=False),
                _leg(hub, target, near, always_xy=False),
            ]
        except ProjError:
            continue
        accuracies = [leg.accuracy for leg in known]
        yield Transformation(
            source,
            target,
            near,
            Transformer.from_pipeline(_joined(known)),
            None if None in accuracies else sum(filter(None, accuracies)),
            name,
            _joined([leg for leg in in_their_order if leg is not None]),
        )


def _joined(legs: list[_Leg]) -> str:
    """Return the steps of several operations as one pipeline for PROJ."""
    steps = []
    for leg in legs:
        words = leg.pipeline.split()
        steps += words[1:] if words[0] == "proj=pipeline" else ["step", *words]
    return " ".join(f"+{word}" for word in ["proj=pipeline", *steps])


@lru_cache(maxsize=4096)
def place_of(crs: CRS, x: float, y: float) -> Place | None:
    """Return the place of coordinates to a tenth of a degree, None if they are not on Earth."""
    if crs.geodetic_crs is None:
        return None
    lon, lat = _straight(crs, geodetic_of(crs)).transform(x, y)
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return None
    lon = (lon + 180) % 360 - 180
    return round(lon / _CELL) * _CELL, float(np.clip(round(lat / _CELL) * _CELL, -90, 90))


def leads_nowhere(crs: CRS) -> str:
    """Return why coordinates in a CRS are not places on a map of the Earth; empty if they are."""
    if crs.is_geocentric:
        return f"its CRS {crs.name!r} is geocentric and has no map plane"
    try:
        _straight(crs, crs_of(GEOGRAPHIC))
    except ProjError:
        return f"its CRS {crs.name!r} is local or not tied to the Earth"
    return ""


def same_crs(one: str, other: str) -> bool:
    """Return whether two codes or WKTs stand for the same CRS."""
    return one == other or crs_of(one) == crs_of(other)


def reproject(
    points: NDArray[np.float64], source: CRS, target: CRS, near: Place | None = None
) -> NDArray[np.float64]:
    """Return points ``(..., 2)``, x before y, in another CRS; infinite outside its domain.

    By the best transformation for the place ``near``. Raises ProjError if there is none.
    """
    if source == target:
        return points
    x, y = transformer(source, target, near).transform(points[..., 0], points[..., 1])
    return np.stack([x, y], axis=-1)


def metres_from_earth_centre(
    points: NDArray[np.float64], crs: CRS, near: Place | None = None
) -> NDArray[np.float64]:
    """Return points ``(n, 2)``, x before y, as x, y and z in metres from the Earth's centre.

    By the best transformation for the place ``near``, or else the one that PROJ prefers.
    """
    return all_from_earth_centre([(points, crs, near)])[0]


def all_from_earth_centre(
    places: Sequence[tuple[NDArray[np.float64], CRS, Place | None]],
) -> list[NDArray[np.float64]]:
    """Return points of each place as ``metres_from_earth_centre`` does, ``(n, 3)``.

    Places that share a transformation are transformed together, which is quicker where they are
    many.
    """
    on_ellipsoid = crs_of("EPSG:4979")
    to_metres = transformer(on_ellipsoid, crs_of("EPSG:4978"))
    sharing: dict[int, tuple[Transformer, list[int]]] = {}  # by identity: they have no hash
    for position, (_, crs, near) in enumerate(places):
        used = transformer(crs, on_ellipsoid, near)
        sharing.setdefault(id(used), (used, []))[1].append(position)
    metres = [np.empty((len(points), 3)) for points, _, _ in places]
    for used, positions in sharing.values():
        x, y = np.concatenate([places[position][0] for position in positions]).T
        lon, lat = used.transform(x, y)
        joined = np.stack(to_metres.transform(lon, lat, np.zeros(len(lon))), axis=1)
        ends = np.cumsum([len(metres[position]) for position in positions])
        for position, part in zip(positions, np.split(joined, ends[:-1]), strict=True):
            metres[position] = part
    return metres
