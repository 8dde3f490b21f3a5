"""The CRS of a cube: as it is asked for, by its grid mapping, by lone attributes, or degrees."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.errors import SourceError
from owl_geo.ground.crs import GEOGRAPHIC
from owl_geo.sources.cube.axes import (
    LATITUDE,
    LONGITUDE,
    Axes,
    axis_coordinate,
    is_counting,
    metres_in,
    role_by_units,
    units_of,
)
from owl_geo.sources.cube.opening import reason
from owl_geo.sources.cube.places import refuse_curvilinear
from owl_geo.sources.cube.transforms import describes_crs
from owl_geo.sources.stated_crs import stated_crs

_CODES = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "epsg", "crs")
_FALSE_ORIGIN = ("false_easting", "false_northing")
_FARTHEST = 1e8  # metres; no map lies as far from its origin


def crs_of_cube(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    crs: str | None,
    where: str,
    mapping: Mapping[str, Any] | None,
    given: xr.DataArray | xr.Dataset | None,
) -> CRS:
    """Return the CRS: the one that is asked for, rioxarray's, CF's, or degrees.

    Args:
        dataset: the cube.
        variables: those whose attributes may say it.
        axes: theirs.
        crs: the one that is asked for, if any.
        where: names the cube in messages.
        mapping: what ``grid_mapping`` returned.
        given: the cube as it is in memory, if that is where it comes from.

    Raises SourceError where nothing says it, or it is none.
    """
    if crs is not None:
        return stated_crs(crs)
    if given is not None and "rioxarray" in sys.modules:
        by_rioxarray = given.rio.crs  # set_crs leaves no trace in the attributes
        # a grid mapping alone is read below: rioxarray takes a false origin in km for metres
        is_mapping = mapping is not None and by_rioxarray == given.copy(deep=False).rio.crs
        if by_rioxarray is not None and not is_mapping:
            return CRS.from_user_input(by_rioxarray.to_wkt())
    if mapping is not None:
        try:
            return CRS.from_cf(_in_metres(mapping, dataset, axes))
        except (CRSError, KeyError, ValueError, TypeError) as error:
            raise SourceError(
                f"{where}: its grid mapping is not a CRS ({reason(error)})",
                remedy=_naming_it(given),
            ) from error
    for word in _codes(dataset, variables):
        try:
            return CRS.from_user_input(word)
        except CRSError:
            continue
    if in_degrees(dataset, axes):
        return CRS.from_user_input(GEOGRAPHIC)
    x = axis_coordinate(dataset, axes.x)
    if x is None or is_counting(x.to_numpy()):  # numbers of columns, which lie nowhere
        refuse_curvilinear(dataset, axes, where)
    raise SourceError(f"{where} does not say its CRS", remedy=_naming_it(given))


def _in_metres(mapping: Mapping[str, Any], dataset: xr.Dataset, axes: Axes) -> dict[str, Any]:
    """Return a grid mapping whose false origin is in metres, as pyproj takes it.

    By CF it is in the units of the coordinates. Where that would be beyond any map, it is in metres
    already.
    """
    whole = dict(mapping)
    for name, dim in zip(_FALSE_ORIGIN, (axes.x, axes.y), strict=True):
        coordinate = axis_coordinate(dataset, dim)
        if name in whole and coordinate is not None:
            metres = float(whole[name]) * metres_in(units_of(coordinate))
            whole[name] = metres if abs(metres) < _FARTHEST else whole[name]
    return whole


def _naming_it(given: xr.DataArray | xr.Dataset | None) -> str:
    """Return how to name the CRS of a cube in memory, or of a file."""
    if given is not None:
        return "name it with crs, for example 'EPSG:32631', or with rio.write_crs of the array"
    return "name it, for example with --crs EPSG:32631, or with crs in owl.toml"


def grid_mapping(dataset: xr.Dataset, variable: xr.DataArray, axes: Axes) -> dict[str, Any] | None:
    """Return the attributes of the variable's grid mapping, as CF and rioxarray keep it."""
    named = variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping")
    words = _mapping_names(str(named or ""), {str(axes.y), str(axes.x)})
    for word in [*words, "spatial_ref", "crs"]:
        if word in dataset.variables and describes_crs(dataset[word]):
            return {str(key): value for key, value in dataset[word].attrs.items()}
    for other in dataset.variables:
        if dataset[other].ndim == 0 and describes_crs(dataset[other]):
            return {str(key): value for key, value in dataset[other].attrs.items()}
    return None


def _mapping_names(named: str, axes: set[str]) -> list[str]:
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


def _codes(
    dataset: xr.Dataset, variables: Sequence[Hashable]
) -> Iterator[str | int | dict[str, Any]]:
    """Yield what may describe a CRS without a grid mapping: GeoZarr's attributes, lone values."""
    holders = [dataset.attrs, *(dataset[key].attrs for key in variables)]
    for nested in [attributes.get("geo:proj") for attributes in holders]:
        if isinstance(nested, Mapping):
            holders.append({f"proj:{key}": value for key, value in nested.items()})
    for own in (attributes.get("_CRS") for attributes in holders):  # of GDAL's Zarr
        if isinstance(own, Mapping):
            yield from (own[form] for form in ("projjson", "wkt", "url") if form in own)
    for name in _CODES:
        values = [attributes[name] for attributes in holders if name in attributes]
        if name in dataset.variables and dataset[name].ndim == 0:
            values.append(dataset[name].to_numpy()[()])
        for value in values:
            if isinstance(value, int | np.integer):
                yield int(value)
            elif isinstance(value, str | dict):
                yield value


def in_degrees(dataset: xr.Dataset, axes: Axes) -> bool:
    """Return whether the axes are longitude and latitude: by name or attributes, and by values."""
    for role, dim, names, limits in (
        ("x", axes.x, LONGITUDE, (-180.5, 360.5)),
        ("y", axes.y, LATITUDE, (-90.5, 90.5)),
    ):
        coordinate = axis_coordinate(dataset, dim)
        if coordinate is None:
            return False
        words = {str(dim), str(coordinate.name), str(coordinate.attrs.get("standard_name", ""))}
        is_named = bool({word.casefold() for word in words} & names)
        if not is_named and role_by_units(coordinate) != role:
            return False
        values = coordinate.to_numpy()
        if not (limits[0] <= values.min() and values.max() <= limits[1]):
            return False
    return True
