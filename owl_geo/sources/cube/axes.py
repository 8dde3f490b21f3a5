"""The axes of a cube: which is x, y, time or band, and the coordinates along each."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from owl_geo.types import AnyArray

# Names of dimensions, and CF's standard_name and axis, that tell what an axis is.
_NAMES = {
    "x": {
        *("x", "lon", "longitude", "easting", "eastings", "projection_x_coordinate"),
        *("rlon", "grid_longitude"),  # of a rotated pole
    },
    "y": {
        *("y", "lat", "latitude", "northing", "northings", "projection_y_coordinate"),
        *("rlat", "grid_latitude"),
    },
    "time": {"time", "t", "date", "datetime"},
    "band": {"band", "bands", "wavelength", "wavelengths", "radiation_wavelength", "variable"},
}
_LETTERS = {"X": "x", "Y": "y", "T": "time"}
LONGITUDE = {"lon", "longitude"}
LATITUDE = {"lat", "latitude"}
_OF_A_SENSOR = re.compile(r"track|scan", re.IGNORECASE)  # in names of axes that follow its flight
# Units by which alone CF knows longitudes and latitudes, in whatever spelling.
_UNITS = {
    re.compile(r"degrees?_?e(?:ast)?"): "x",
    re.compile(r"degrees?_?n(?:orth)?"): "y",
}


@dataclass(frozen=True)
class Axes:
    """The dimensions of a variable by what they mean; any further ones have one value."""

    y: Hashable
    x: Hashable
    time: Hashable | None
    band: Hashable | None


def axes_of(dataset: xr.Dataset, variable: xr.DataArray) -> Axes | str:
    """Return the axes of a variable, or why it cannot serve as a band."""
    if not (np.issubdtype(variable.dtype, np.number) or variable.dtype == np.bool_):
        return f"holds no numbers ({variable.dtype})"
    if np.issubdtype(variable.dtype, np.complexfloating):
        return f"has complex pixels ({variable.dtype}); make real bands of them first"
    roles: dict[str, Hashable] = {}
    others = []
    stated = _spatial_dimensions(dataset, variable)
    for dim in variable.dims:
        role = stated.get(dim) or _role(dataset, dim)
        if role is None:
            others.append(dim)
        elif role in roles:
            return f"has two axes of one kind, {roles[role]} and {dim}; choose one value of either"
        else:
            roles[role] = dim
    if "y" not in roles or "x" not in roles:
        listed = ", ".join(str(dim) for dim in variable.dims) or "none"
        return f"has no x and y axes; its axes are {listed}: rename two of them x and y"
    for dim in others:
        if variable.sizes[dim] != 1:
            return (
                f"has an axis {dim!r} of {variable.sizes[dim]} values that is neither x, y, time "
                "nor band; choose one of them, or rename it band"
            )
    return Axes(roles["y"], roles["x"], roles.get("time"), roles.get("band"))


def is_swath(dataset: xr.Dataset) -> bool:
    """Return whether the pixels lie in the order in which a sensor saw them, on no grid.

    The names of axes tell, or longitudes that have a value for each pixel.
    """
    if any(_OF_A_SENSOR.search(str(dim)) for dim in dataset.dims):
        return True
    return any(
        variable.ndim == 2 and (str(name).casefold() in LONGITUDE or role_by_units(variable) == "x")
        for name, variable in (*dataset.coords.items(), *dataset.data_vars.items())
    )


def _spatial_dimensions(dataset: xr.Dataset, variable: xr.DataArray) -> dict[Hashable, str]:
    """Return the dimensions that GeoZarr's attributes call y and x, none without them."""
    for attributes in (variable.attrs, dataset.attrs):
        nested = attributes.get("geo:proj")
        names = attributes.get("spatial:dimensions") or (
            nested.get("spatial_dimensions") if isinstance(nested, dict) else None
        )
        if isinstance(names, list | tuple) and len(names) >= 2:
            return {names[-2]: "y", names[-1]: "x"}
    return {}


def _role(dataset: xr.Dataset, dim: Hashable) -> str | None:
    """Return x, y, time or band for a dimension: by its names, CF attributes, or its values."""
    along = list(coordinates_along(dataset, dim))
    own = [str(c.attrs.get("standard_name", "")) for c in along if c.name == dim]
    words = [*own, str(dim), *(str(c.name) for c in along)]  # x may be a latitude, which says so
    words += [str(c.attrs.get("standard_name", "")) for c in along]
    for word in words:
        for role, names in _NAMES.items():
            if word.casefold() in names:
                return role
    for coordinate in along:
        letter = str(coordinate.attrs.get("axis", "")).upper()
        if letter in _LETTERS:
            return _LETTERS[letter]
    if by_units := next(filter(None, map(role_by_units, along)), None):
        return by_units
    is_time = any(np.issubdtype(c.dtype, np.datetime64) or _is_calendar(c) for c in along if c.size)
    return "time" if is_time else None


def role_by_units(coordinate: xr.DataArray) -> str | None:
    """Return x for longitudes and y for latitudes, as their units alone tell; else None."""
    units = units_of(coordinate)
    return next((role for pattern, role in _UNITS.items() if pattern.fullmatch(units)), None)


def units_of(coordinate: xr.DataArray) -> str:
    """Return the units that a coordinate states, in small letters; empty where it states none."""
    return str(coordinate.attrs.get("units", "")).strip().casefold()


def coordinates_along(dataset: xr.Dataset, dim: Hashable) -> Iterator[xr.DataArray]:
    """Yield the coordinates that are values of one axis, its own first."""
    if dim in dataset.coords:
        yield dataset.coords[dim]
    for name, coordinate in dataset.coords.items():
        if coordinate.dims == (dim,) and name != dim:
            yield coordinate


def _is_calendar(coordinate: xr.DataArray) -> bool:
    """Return whether the values are dates of a calendar that numpy does not know."""
    return coordinate.dtype == object and hasattr(coordinate.to_numpy()[0], "calendar")


def is_time(coordinate: xr.DataArray) -> bool:
    """Return whether a coordinate is called time, or says that it is."""
    return coordinate.name == "time" or coordinate.attrs.get("standard_name") == "time"


def axis_coordinate(dataset: xr.Dataset, dim: Hashable) -> xr.DataArray | None:
    """Return the coordinate that holds the numbers along an axis, None where there is none.

    Where the first only counts, as an index does, one that is named as a place goes before.
    """
    along = list(coordinates_along(dataset, dim))
    spatial = [c for c in along if np.issubdtype(c.dtype, np.number)]
    if spatial and is_counting(spatial[0].to_numpy()):
        named = (c for c in spatial[1:] if _is_place(c) and not is_counting(c.to_numpy()))
        return next(named, spatial[0])
    return spatial[0] if spatial else None


def _is_place(coordinate: xr.DataArray) -> bool:
    words = {str(coordinate.name), str(coordinate.attrs.get("standard_name", ""))}
    return bool({word.casefold() for word in words} & (_NAMES["x"] | _NAMES["y"]))


def is_counting(values: AnyArray, *, centres: bool = False) -> bool:
    """Return whether the values only count: 1, 2, 3 ..., or 0, 1, 2 ...

    As whole numbers; with ``centres`` also as floats, and from 0.5, as readers of rasters have it.
    """
    if not centres and not np.issubdtype(values.dtype, np.integer):
        return False
    first = (0, 0.5, 1) if centres else (0, 1)
    return bool(values[0] in first and (np.diff(values) == 1).all())


def are_in_degrees(dataset: xr.Dataset, axes: Axes) -> bool:
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
