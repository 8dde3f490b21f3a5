"""Tables of points whose rows are in several CRSs, by a column that says which."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd
from pyproj import CRS

_ZONE = re.compile(r"(?:utm)?\s*(\d{1,2})(?:\.0)?\s*(-?\s*[c-x]|north|south)?", re.IGNORECASE)
_CODE = re.compile(r"(?:epsg:+)?(\d{4,6})(?:\.0)?", re.IGNORECASE)
_ZONES = ("utmzone", "zoneutm", "utm")
_MAYBE_ZONES = ("zone",)  # of a plan, perhaps
_CODES = ("epsg", "epsgcode", "srid", "crs", "srs")
_SHOWN = 5


def columns_of_crs(names: Iterable[str]) -> list[str]:
    """Return which columns may say the CRS of a row."""
    return [name for name in names if _plain(name) in (*_ZONES, *_MAYBE_ZONES, *_CODES)]


def check_one_crs(rows: pd.DataFrame, crs: CRS) -> None:
    """Raise ValueError where a column says that rows are in another CRS than the table is."""
    for name, column in rows.items():
        text = column.dropna().astype(str).str.strip()
        values = sorted(set(text) - {""})
        if not values:
            continue
        others = (
            _other_codes(values, crs)
            if _plain(str(name)) in _CODES
            else _other_zones(values, crs, _plain(str(name)) in _ZONES)
        )
        if others:
            shown = ", ".join(others[:_SHOWN]) + (" ..." if len(others) > _SHOWN else "")
            raise ValueError(
                f"its column {str(name)!r} says {shown} of some rows, but they would be read in "
                f"{crs.name}: write a file for each, or longitudes and latitudes (or rename the "
                "column, if it says something else)"
            )


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


def _other_zones(values: list[str], crs: CRS, for_certain: bool) -> list[str]:
    """Return other zones than that of a CRS of UTM, where values are zones."""
    own = (crs.utm_zone or "")[:-1]
    found = [_ZONE.fullmatch(value) for value in values]
    zones = {v: int(match[1]) for v, match in zip(values, found, strict=True) if match is not None}
    if not own or len(zones) < len(values) or not all(1 <= zone <= 60 for zone in zones.values()):
        return []
    have_letters = all(match is not None and match[2] for match in found)
    if not (for_certain or have_letters or int(own) in zones.values()):
        return []
    return [value for value, zone in zones.items() if zone != int(own)]
