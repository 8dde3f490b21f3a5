"""CRSs of CF's grid mappings, as CF has them where the libraries that read them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyproj import CRS

_WKT = {"crs_wkt", "spatial_ref"}  # of a grid mapping, which count before its numbers
_FALSE_ORIGIN = ("false_easting", "false_northing")
_LONGITUDES = (
    "longitude_of_central_meridian",
    "longitude_of_projection_origin",
    "straight_vertical_longitude_from_pole",
)
_FARTHEST = 1e8  # metres; no map lies as far from its origin


def crs_of_mapping(mapping: Mapping[str, Any], metres: tuple[float, float]) -> CRS:
    """Return the CRS of a grid mapping, whose coordinates are in units of so many metres.

    By CF (appendix F) a false origin is in the units of the coordinates; pyproj takes it for
    metres. Where that would be beyond any map, it is in metres already. A projection has one
    longitude, whatever it is called. And the grid of an oblique Mercator is turned to the north, as
    by PROJ, where pyproj leaves its axes along the central line. Raises what pyproj does for
    attributes that are none of a CRS.
    """
    whole = dict(mapping)
    for name, unit in zip(_FALSE_ORIGIN, metres, strict=True):
        if name in whole and abs(far := float(whole[name]) * unit) < _FARTHEST:
            whole[name] = far
    stated = [name for name in _LONGITUDES if name in whole]
    if len(stated) == 1:
        whole |= dict.fromkeys(_LONGITUDES, whole[stated[0]])
    crs = CRS.from_cf(whole)
    is_oblique = whole.get("grid_mapping_name") == "oblique_mercator"
    return _turned_to_north(crs) if is_oblique and not _WKT & whole.keys() else crs


def _turned_to_north(crs: CRS) -> CRS:
    """Return an oblique Mercator whose grid is turned by the azimuth of its central line."""
    tree = crs.to_json_dict()
    parameters = tree.get("source_crs", tree)["conversion"]["parameters"]  # also with a datum shift
    by_name = {parameter["name"]: parameter for parameter in parameters}
    azimuth = by_name["Azimuth at projection centre"]["value"]
    by_name["Angle from Rectified to Skew Grid"]["value"] = azimuth
    return CRS.from_json_dict(tree)


def mapping_names(named: str, axes: set[str]) -> list[str]:
    """Return the variables that ``crs`` or ``crs: x y wgs84: lat lon`` names, that of axes first.

    The longer form is CF's since version 1.7.
    """
    if ":" not in named:
        return named.split()[:1]
    parts = [part.split() for part in named.split(":")]
    names = [part[-1] for part in parts[:-1] if part]
    of_each = [set(part[:-1]) for part in parts[1:-1]] + [set(parts[-1])]
    pairs = zip(names, of_each, strict=False)
    return [name for name, _ in sorted(pairs, key=lambda pair: pair[1] != axes)]
