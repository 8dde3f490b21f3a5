"""Tables of points whose rows are in several CRSs, by a column that says which."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import geopandas as gpd
import numpy as np
from pyproj import CRS

_ZONE = re.compile(
    r"(?:utm|mga|amg)?\s*(\d{1,2})(?:\.0)?\s*(-?\s*[c-x]|north|south)?", re.IGNORECASE
)
_CODE = re.compile(r"(?:epsg:+)?(\d{4,6})(?:\.0)?", re.IGNORECASE)
_ZONES = ("utmzone", "zoneutm", "utm", "mgazone", "amgzone", "mga", "amg")
_MAYBE_ZONES = ("zone",)  # of a plan, perhaps
_CODES = ("epsg", "epsgcode", "srid", "crs", "srs")
_HEMISPHERES = ("hemisphere", "utmhemisphere")
_HEMISPHERE = re.compile("(n|s)(?:orth|outh)?(?:ern)?", re.IGNORECASE)
_SOUTHERN_BANDS = "cdefghjklm"  # of the military grid; S is one north of the equator, too
_FALSE_NORTHING = 1e7  # metres, of the equator in a southern zone
_BAND_S = (3.53e6, 4.44e6)  # metres, northings from 32 to 40 degrees north
_SHOWN = 5


class _Zone(NamedTuple):
    number: int  # 1 to 60
    is_southern: bool


def columns_of_crs(names: Iterable[str]) -> list[str]:
    """Return which columns may say the CRS of a row."""
    telling = (*_ZONES, *_MAYBE_ZONES, *_CODES, *_HEMISPHERES)
    return [name for name in names if _plain(name) in telling]


def check_one_crs(points: gpd.GeoDataFrame, crs: CRS) -> None:
    """Raise ValueError where a column says that points are in another CRS than the table is.

    The coordinates of the points are those of the file.
    """
    own = _zone(crs)
    for name in points.columns.drop(points.geometry.name):
        text = points[name].dropna().astype(str).str.strip()
        values = sorted(set(text) - {""})
        plain = _plain(str(name))
        if plain in _CODES:
            others = _other_codes(values, crs)
        elif own and (plain in _HEMISPHERES or _are_zones(values, own, plain in _ZONES)):
            northings = points.geometry.y[text.index]
            others = [
                value
                for value in values
                if _is_other_zone(value, own)
                or _are_across_the_equator(value, northings[text == value].to_numpy(), own).any()
            ]
        else:
            others = []
        if others:
            shown = ", ".join(others[:_SHOWN]) + (" ..." if len(others) > _SHOWN else "")
            raise ValueError(
                f"its column {str(name)!r} says {shown} of some rows, but they would be read in "
                f"{crs.name}: write a file for each, or longitudes and latitudes (or rename the "
                "column, if it says something else)"
            )


def _zone(crs: CRS) -> _Zone | None:
    """Return the zone of a CRS whose grid is UTM's, whatever it is called, as Australia's MGA."""
    # heights and shifts to WGS 84 would hide the projection
    flat = (crs.source_crs if crs.is_bound and crs.source_crs else crs).to_2d()
    operation = flat.coordinate_operation
    if operation is None or operation.method_name != "Transverse Mercator":
        return None
    if {axis.unit_conversion_factor for axis in flat.axis_info} != {1.0}:  # feet
        return None
    values = {
        param.name: float(param.value) * param.unit_conversion_factor for param in operation.params
    }
    number = round((np.degrees(values["Longitude of natural origin"]) + 183) / 6)
    northing = values["False northing"]
    expected = {
        "Latitude of natural origin": 0.0,
        "Longitude of natural origin": np.radians(6 * number - 183),
        "Scale factor at natural origin": 0.9996,
        "False easting": 500_000.0,
    }
    is_utm = all(np.isclose(values[name], value) for name, value in expected.items())
    return _Zone(number, northing > 0) if is_utm and northing in (0, _FALSE_NORTHING) else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _other_codes(values: list[str], crs: CRS) -> list[str]:
    codes = [_CODE.fullmatch(value) for value in values]
    if None in codes:
        return []
    own = crs.to_epsg()
    return [
        value
        for value, code in zip(values, codes, strict=True)
        if code is not None and own is not None and int(code[1]) != own
    ]


def _are_zones(values: list[str], own: _Zone, for_certain: bool) -> bool:
    """Return whether values are zones of UTM, in a table that is in one of them."""
    found = [match for value in values if (match := _ZONE.fullmatch(value)) is not None]
    zones = {int(match[1]) for match in found}
    if len(found) < len(values) or not all(1 <= zone <= 60 for zone in zones):
        return False
    return for_certain or all(match[2] for match in found) or own.number in zones


def _is_other_zone(value: str, own: _Zone) -> bool:
    zone = _ZONE.fullmatch(value)
    return zone is not None and int(zone[1]) != own.number


def _are_across_the_equator(value: str, northings: np.ndarray, own: _Zone) -> np.ndarray:
    """Return which northings contradict what a zone or a hemisphere says, in a zone of UTM.

    One zone may serve a country on both sides of the equator, so places beyond it are right where
    their northings are. Northings are ``(n,)``, in metres; the result is boolean, ``(n,)``.
    """
    zone, hemisphere = _ZONE.fullmatch(value), _HEMISPHERE.fullmatch(value)
    letters = hemisphere[1] if hemisphere else (zone and zone[2]) or ""
    says = letters.lstrip("- ").lower()
    if not says:
        return np.zeros(len(northings), bool)
    is_southern = says.startswith("s") or says in _SOUTHERN_BANDS
    if own.is_southern:
        return (northings < _FALSE_NORTHING) & (not is_southern)
    across = (northings > 0) & is_southern
    if says == "s" and not hemisphere:
        across &= (northings < _BAND_S[0]) | (northings > _BAND_S[1])
    return across
