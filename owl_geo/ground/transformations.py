"""Transformations from one coordinate reference system to another, the best one for a place.

Between two datums, PROJ has many transformations, each for some part of the Earth. Where it has no
direct one, it keeps the numbers as they are, which may be 200 metres off, although it may know how
both datums relate to a third, usually WGS 84. ``best_transformation`` goes by way of that one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from owl_geo.ground.crs import (
    CELL,
    GEOGRAPHIC,
    Place,
    crs_of,
    geodetic_of,
    is_geocentric_or_sphere,
    same_datum,
    straight,
)

# Datums to which others relate: WGS 84, ETRS89, NAD83, GDA94, GDA2020, SIRGAS 2000.
_HUBS = (GEOGRAPHIC, "EPSG:4258", "EPSG:4269", "EPSG:4283", "EPSG:7844", "EPSG:4674")
_BALLPARK = "Ballpark geo"  # geographic or geocentric offset; heights do not matter
# Operations for Kosovo that lead 1.6 km too far east, there and in all of the rectangle around it,
# as far as Skopje; those of the countries around agree to metres.
_MISTAKEN = ("MGI 1901 to WGS 84 (14)", "MGI 1901 to KOSOVAREF01 (1)")
_GEOCENTRIC = 2.0  # metres between geocentric datums


def transformer(source: CRS, target: CRS, near: Place | None = None) -> Transformer:
    """Return the transformer from one CRS to another, x before y, the best for the place ``near``.

    Raises ProjError if there is none.
    """
    if near is None or same_datum(source, target):
        return straight(source, target)
    return best_transformation(source, target, near).transformer


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
            max(lon - CELL, -180),
            max(lat - CELL, -90),
            min(lon + CELL, 180),
            min(lat + CELL, 90),
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
            return Transformation(source, target, near, straight(source, target), accuracy)
    by_hub = next(_by_hubs(source, target, near), None)
    return by_hub or Transformation(source, target, near, straight(source, target), None)


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
        transform = straight(source, target)
    else:
        transform = Transformer.from_crs(source, target, always_xy=False)
    start = straight(geodetic_of(source), source).transform(*near)
    swapped = not always_xy and _is_swapped(source)
    if not np.isfinite(transform.transform(*(start[::-1] if swapped else start))).all():
        return None
    try:
        operation = transform.get_last_used_operation()
    except ProjError:  # there is but one
        operation = transform
    accuracy = operation.accuracy if operation.accuracy >= 0 else None
    is_ballpark = _BALLPARK in operation.description
    if is_ballpark and is_geocentric_or_sphere(source) and is_geocentric_or_sphere(target):
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


def _is_swapped(crs: CRS) -> bool:
    """Return whether the first axis of a CRS is y, or latitude."""
    return bool(crs.axis_info) and crs.axis_info[0].direction in ("north", "south")


def _joined(legs: list[_Leg]) -> str:
    """Return the steps of several operations as one pipeline for PROJ."""
    steps = []
    for leg in legs:
        words = leg.pipeline.split()
        steps += words[1:] if words[0] == "proj=pipeline" else ["step", *words]
    return " ".join(f"+{word}" for word in ["proj=pipeline", *steps])
