"""The CRS of a cube: rioxarray's, that of a CF grid mapping, a code beside it, or degrees."""

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
from owl_geo.ground.grid_mappings import crs_of_mapping, mapping_names
from owl_geo.ground.lengths import metres_in
from owl_geo.sources.cube.axes import Axes, are_in_degrees, axis_coordinate, is_counting, units_of
from owl_geo.sources.cube.opening import reason
from owl_geo.sources.cube.places import refuse_curvilinear
from owl_geo.sources.cube.transforms import describes_crs
from owl_geo.sources.stated_crs import stated_crs

_CODES = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "epsg", "crs")


def crs_of_cube(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    crs: str | None,
    where: str,
    mapping: Mapping[str, Any] | None,
    given: xr.DataArray | xr.Dataset | None,
) -> CRS:
    """Return the CRS: the one that is asked for, rioxarray's, CF's, or degrees."""
    if crs is not None:
        return stated_crs(crs)
    if given is not None and "rioxarray" in sys.modules:
        of_rioxarray = given.rio.crs
        # set_crs leaves no trace but in the object; what it has of the mapping is read below
        set_by_it = mapping is None or of_rioxarray != given.copy(deep=False).rio.crs
        if of_rioxarray is not None and set_by_it:
            return CRS.from_user_input(of_rioxarray.to_wkt())
    if mapping is not None:
        try:
            return crs_of_mapping(mapping, _metres_along(dataset, axes))
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
    if are_in_degrees(dataset, axes):
        return CRS.from_user_input(GEOGRAPHIC)
    x = axis_coordinate(dataset, axes.x)
    if x is None or is_counting(x.to_numpy()):  # numbers of columns, which lie nowhere
        refuse_curvilinear(dataset, axes, where)
    raise SourceError(f"{where} does not say its CRS", remedy=_naming_it(given))


def _metres_along(dataset: xr.Dataset, axes: Axes) -> tuple[float, float]:
    """Return how many metres the units of the coordinates along x and y are."""
    along = [axis_coordinate(dataset, dim) for dim in (axes.x, axes.y)]
    x, y = (1.0 if own is None else metres_in(units_of(own)) for own in along)
    return x, y


def _naming_it(given: xr.DataArray | xr.Dataset | None) -> str:
    """Return how to name the CRS of a cube in memory, or of a file."""
    if given is not None:
        return "name it with crs, for example 'EPSG:32631', or with rio.write_crs of the array"
    return "name it, for example with --crs EPSG:32631, or with crs in owl.toml"


def grid_mapping(dataset: xr.Dataset, variable: xr.DataArray, axes: Axes) -> dict[str, Any] | None:
    """Return the attributes of the variable's grid mapping, as CF and rioxarray keep it."""
    named = variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping")
    words = mapping_names(str(named or ""), {str(axes.y), str(axes.x)})
    for word in [*words, "spatial_ref", "crs"]:
        if word in dataset.variables and describes_crs(dataset[word]):
            return {str(key): value for key, value in dataset[word].attrs.items()}
    for other in dataset.variables:
        if dataset[other].ndim == 0 and describes_crs(dataset[other]):
            return {str(key): value for key, value in dataset[other].attrs.items()}
    return None


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
