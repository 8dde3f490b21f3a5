"""What a cube says of itself: its axes, where it lies, and the bands and dates that it offers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.errors import SourceError
from owl_geo.ground.projections import GEOGRAPHIC
from owl_geo.sources.bands import Band, common_name, distinct, with_common_names
from owl_geo.sources.cube.opening import reason
from owl_geo.types import AnyArray, SceneGrid

_log = logging.getLogger("owl_geo")

# Names of dimensions, and CF's standard_name and axis, that tell what an axis is.
_NAMES = {
    "x": {"x", "lon", "longitude", "easting", "eastings", "projection_x_coordinate"},
    "y": {"y", "lat", "latitude", "northing", "northings", "projection_y_coordinate"},
    "time": {"time", "t", "date", "datetime"},
    "band": {"band", "bands", "wavelength", "wavelengths", "radiation_wavelength", "variable"},
}
_LETTERS = {"X": "x", "Y": "y", "T": "time"}
_LONGITUDE = {"lon", "longitude"}
_LATITUDE = {"lat", "latitude"}
_CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "grid_mapping_name")
_CRS_CODES = ("proj:code", "proj:epsg", "proj:wkt2", "epsg", "crs")
_KILOMETRES = {"km", "kilometer", "kilometers", "kilometre", "kilometres"}
_RADIANS = {"rad", "radian", "radians", "microradian", "microradians"}

_IRREGULAR = 1e-3  # pixels that a coordinate may be off, over the whole axis


@dataclass(frozen=True)
class Axes:
    """The dimensions of a variable by what they mean; any further ones have one value."""

    y: Hashable
    x: Hashable
    time: Hashable | None
    band: Hashable | None


@dataclass(frozen=True)
class Place:
    """Where the pixels of a band are found."""

    variable: Hashable
    position: int | None  # along the variable's band axis


@dataclass(frozen=True)
class Dates:
    """A time axis: positions along it in the order of time, and what the dates are called."""

    positions: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class CubeDescription:
    """What a cube offers, before any band is chosen."""

    grid: SceneGrid
    bands: tuple[Band, ...]
    places: tuple[Place, ...]  # one per band
    axes: Mapping[Hashable, Axes]  # by variable
    dates: Mapping[Hashable, Dates]  # by time dimension
    unusable: Mapping[str, str]  # variables that are no bands, with the reason


def describe_cube(
    dataset: xr.Dataset,
    name: str,
    where: str,
    crs: str | None,
    given: xr.DataArray | xr.Dataset | None = None,
) -> CubeDescription:
    """Say what a cube offers, from its coordinates and attributes alone.

    ``where`` stands for the cube in messages, ``crs`` wins over what the cube says, and ``given``
    is the object in memory that ``dataset`` was made from, if any.

    Raises SourceError where it has no bands, no regular grid or no CRS.
    """
    axes: dict[Hashable, Axes] = {}
    unusable: dict[str, str] = {}
    for key, variable in dataset.data_vars.items():
        found = _axes(dataset, variable)
        first = next(iter(axes.values()), None)
        if isinstance(found, str):
            unusable[str(key)] = found
        elif first is not None and (found.y, found.x) != (first.y, first.x):
            unusable[str(key)] = f"lies on {found.y} and {found.x}, not on {first.y} and {first.x}"
        else:
            axes[key] = found
    if not axes:
        raise SourceError(_no_bands(where, unusable))
    main = next(iter(axes.values()))
    bands, places = _bands(dataset, axes, where, name)
    grid = _grid(dataset, list(axes), main, crs, name, where, given)
    bands = tuple(replace(band, grid=grid) for band in bands)
    times = dict.fromkeys(found.time for found in axes.values() if found.time is not None)
    for time in times:
        if dataset.sizes[time] == 0:
            raise SourceError(f"{where} has no dates: its axis {time} is empty")
    dates = {time: _dates(dataset, time) for time in times}
    return CubeDescription(grid, bands, places, axes, dates, unusable)


def _no_bands(where: str, unusable: Mapping[str, str]) -> str:
    if not unusable:
        return f"{where} has no variables; name the group that has, {where}/GROUP say"
    name, why = next(iter(unusable.items()))
    return f"{where} has no variable that can serve as a band: {name} {why}"


# --- axes -----------------------------------------------------------------------------------------


def _axes(dataset: xr.Dataset, variable: xr.DataArray) -> Axes | str:
    """Return the axes of a variable, or why it is no band."""
    if not (np.issubdtype(variable.dtype, np.number) or variable.dtype == np.bool_):
        return f"holds no numbers ({variable.dtype})"
    if np.issubdtype(variable.dtype, np.complexfloating):
        return f"has complex pixels ({variable.dtype}); make real bands of them first"
    roles: dict[str, Hashable] = {}
    others = []
    for dim in variable.dims:
        role = _role(dataset, dim)
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


def _role(dataset: xr.Dataset, dim: Hashable) -> str | None:
    """Return x, y, time or band for a dimension: by its names, CF attributes, or its values."""
    along = list(_coordinates_along(dataset, dim))
    words = [str(dim), *(str(c.name) for c in along)]
    words += [str(c.attrs.get("standard_name", "")) for c in along]
    for word in words:
        for role, names in _NAMES.items():
            if word.casefold() in names:
                return role
    for coordinate in along:
        letter = str(coordinate.attrs.get("axis", "")).upper()
        if letter in _LETTERS:
            return _LETTERS[letter]
    is_time = any(np.issubdtype(c.dtype, np.datetime64) or _is_calendar(c) for c in along if c.size)
    return "time" if is_time else None


def _coordinates_along(dataset: xr.Dataset, dim: Hashable) -> Iterator[xr.DataArray]:
    """Yield the coordinates that are values of one axis, its own first."""
    if dim in dataset.coords:
        yield dataset.coords[dim]
    for name, coordinate in dataset.coords.items():
        if coordinate.dims == (dim,) and name != dim:
            yield coordinate


def _is_calendar(coordinate: xr.DataArray) -> bool:
    """Whether the values are dates of a calendar that numpy does not know."""
    return coordinate.dtype == object and hasattr(coordinate.to_numpy()[0], "calendar")


# --- dates ----------------------------------------------------------------------------------------


def _dates(dataset: xr.Dataset, dim: Hashable) -> Dates:
    values = next((c.to_numpy() for c in _coordinates_along(dataset, dim)), None)
    if values is None:
        n = dataset.sizes[dim]
        return Dates(tuple(range(n)), tuple(str(i + 1) for i in range(n)))
    order = np.argsort(values, kind="stable")
    names = [_date(value) for value in values]
    if len(set(names)) < len(names):  # several on a day
        names = distinct([_date(value, clock=True) for value in values])
    return Dates(tuple(order.tolist()), tuple(names[i] for i in order))


def _date(value: Any, *, clock: bool = False) -> str:
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="s" if clock else "D"))
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%dT%H:%M:%S" if clock else "%Y-%m-%d"))
    return f"{value:g}" if isinstance(value, np.floating) else str(value)


# --- bands ----------------------------------------------------------------------------------------


def _bands(
    dataset: xr.Dataset, axes: Mapping[Hashable, Axes], where: str, name: str
) -> tuple[tuple[Band, ...], tuple[Place, ...]]:
    names: list[str] = []
    places: list[Place] = []
    common: list[str | None] = []
    for key, found in axes.items():
        variable = dataset[key]
        if found.band is None:
            names.append(str(key))
            places.append(Place(key, None))
            common.append(_common(variable.attrs.get("common_name"), variable.attrs))
            continue
        labels, commons = _labels(dataset, variable, found.band)
        names += [f"{key}_{label}" for label in labels] if len(axes) > 1 else labels
        places += [Place(key, position) for position in range(len(labels))]
        common += commons
    grid = SceneGrid(name, "", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1, 1)  # until it is known
    bands = [
        Band(
            name=word,
            path=where,
            number=number,
            grid=grid,
            dtype=dataset[place.variable].dtype.name,
            driver="xarray",
            blocks=(1, 1),
            common=known,
        )
        for number, (word, place, known) in enumerate(
            zip(distinct(names), places, common, strict=True), start=1
        )
    ]
    return with_common_names(bands), tuple(places)


def _common(word: Any, attributes: Mapping[Any, Any]) -> str | None:
    for text in (word, attributes.get("long_name")):
        if isinstance(text, str) and (name := common_name(text)):
            return name
    return None


def _labels(
    dataset: xr.Dataset, variable: xr.DataArray, dim: Hashable
) -> tuple[list[str], list[str | None]]:
    """Return names and common names along a band axis."""
    n = variable.sizes[dim]
    along = {str(c.name): c.to_numpy() for c in _coordinates_along(dataset, dim)}
    named = along.get("common_name")
    commons = [None if named is None else _common(str(word), {}) for word in _or(named, n)]
    described = variable.attrs.get("long_name")  # as rioxarray keeps a file's descriptions
    if isinstance(described, list | tuple) and len(described) == n:
        return [str(word) for word in described], commons
    values = along.get(str(dim), next(iter(along.values()), None))
    if values is None or _counts(values):
        return [f"band_{i + 1}" for i in range(n)], commons
    return [f"{v:g}" if isinstance(v, np.floating) else str(v) for v in values], commons


def _or(values: AnyArray | None, n: int) -> Sequence[Any]:
    return [None] * n if values is None else list(values)


def _counts(values: AnyArray) -> bool:
    """Whether the values are but 1, 2, 3 ..., or 0, 1, 2 ..."""
    if not np.issubdtype(values.dtype, np.integer):
        return False
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


# --- where it lies --------------------------------------------------------------------------------


def _grid(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    crs: str | None,
    name: str,
    where: str,
    given: xr.DataArray | xr.Dataset | None,
) -> SceneGrid:
    found = [_grid_mapping(dataset, dataset[key]) for key in variables]
    mapping = next((entry for entry in found if entry is not None), None)
    known = _crs(dataset, variables, axes, crs, where, mapping, given)
    height, width = dataset.sizes[axes.y], dataset.sizes[axes.x]
    for dim, n in ((axes.y, height), (axes.x, width)):
        if n < 2:
            raise SourceError(
                f"{where}: the axis {dim} has {n} value(s)", remedy="patches need more pixels"
            )
    x, y = _axis(dataset, axes.x), _axis(dataset, axes.y)
    if x is None or y is None:
        transform = _geotransform(dataset, axes, mapping, where)
    else:
        (a, c), (e, f) = _spacing(x, axes.x, known, where), _spacing(y, axes.y, known, where)
        if known.is_geographic:
            c = _western(a, c, width, name)
        transform = (a, 0.0, c, 0.0, e, f)
    authority = known.to_authority()
    code = ":".join(authority) if authority else known.to_wkt()
    return SceneGrid(name, code, transform, height, width)


def _axis(dataset: xr.Dataset, dim: Hashable) -> xr.DataArray | None:
    """Return the coordinate that holds the axis' values, None where there is none."""
    along = list(_coordinates_along(dataset, dim))
    spatial = [c for c in along if np.issubdtype(c.dtype, np.number)]
    return spatial[0] if spatial else None


def _spacing(coordinate: xr.DataArray, dim: Hashable, crs: CRS, where: str) -> tuple[float, float]:
    """Return the step from pixel to pixel and the outer edge of the first, in units of the CRS."""
    stored = coordinate.to_numpy()
    values = stored.astype(np.float64)
    n = len(values)
    step = float(values[-1] - values[0]) / (n - 1)
    regular = np.linspace(values[0], values[-1], n)
    if not np.isfinite(values).all() or step == 0:
        raise SourceError(
            f"{where}: the coordinates along {dim} do not place its pixels on the map"
        )
    allowed = _IRREGULAR * abs(step)
    if stored.dtype.itemsize < 8 and np.issubdtype(stored.dtype, np.inexact):
        # what single precision cannot tell apart is no irregularity
        rounding = float(np.finfo(stored.dtype).eps) * float(np.abs(values).max())
        allowed = max(allowed, min(rounding, 0.25 * abs(step)))
    off = float(np.abs(values - regular).max())
    if off > allowed:
        raise SourceError(
            f"{where}: pixels along {dim} are spaced irregularly, up to {off / abs(step):.3g} "
            "pixels off",
            remedy="resample the cube to a regular grid first",
        )
    units = str(coordinate.attrs.get("units", "")).casefold()
    if units in _RADIANS:
        raise SourceError(
            f"{where}: the coordinates along {dim} are angles in {units}",
            remedy="resample the cube to a map projection first",
        )
    scale = 1000.0 if units in _KILOMETRES and _in_metres(crs) else 1.0
    return scale * step, scale * (float(values[0]) - step / 2)


def _in_metres(crs: CRS) -> bool:
    return all(axis.unit_name in ("metre", "meter") for axis in crs.axis_info)


def _western(step: float, edge: float, width: int, name: str) -> float:
    """Move longitudes that count from 0 to 360 to where others have them."""
    west, east = sorted((edge, edge + step * width))
    if west >= 180:
        return edge - 360
    if east > 180 and west >= 0:
        _log.warning(
            "the cube %r has longitudes up to %.6g; layers east of 180 degrees will not be found, "
            "give it longitudes from -180 to 180 for that",
            name,
            east,
        )
    return edge


def _geotransform(
    dataset: xr.Dataset, axes: Axes, mapping: Mapping[str, Any] | None, where: str
) -> tuple[float, float, float, float, float, float]:
    """Return the transform that GDAL wrote, for a cube without coordinates of its own."""
    text = (mapping or {}).get("GeoTransform")
    if text is not None:
        words = text.split() if isinstance(text, str) else list(text)
        if len(words) == 6:
            c, a, b, f, d, e = (float(word) for word in words)
            if a * e != b * d:
                return a, b, c, d, e, f
    _refuse_curvilinear(dataset, axes, where)
    raise SourceError(
        f"{where} has no coordinates along {axes.y} and {axes.x}",
        remedy="add those of the pixels' centres, with assign_coords say",
    )


def _refuse_curvilinear(dataset: xr.Dataset, axes: Axes, where: str) -> None:
    for name, coordinate in dataset.coords.items():
        if coordinate.ndim == 2 and set(coordinate.dims) == {axes.y, axes.x}:
            raise SourceError(
                f"{where} is curvilinear: {name} differs along both {axes.y} and {axes.x}",
                remedy="resample the cube to a regular grid first",
            )


# --- CRS ------------------------------------------------------------------------------------------


def _crs(
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
        try:
            return CRS.from_user_input(crs)
        except CRSError as error:
            raise SourceError(
                f"crs is {crs!r}, which is no CRS", remedy="give a code, EPSG:32631 say, or WKT"
            ) from error
    if given is not None and "rioxarray" in sys.modules:
        set_there = given.rio.crs  # set_crs leaves no trace in the attributes
        if set_there is not None:
            return CRS.from_user_input(set_there.to_wkt())
    if mapping is not None:
        try:
            return CRS.from_cf(dict(mapping))
        except (CRSError, KeyError, ValueError, TypeError) as error:
            raise SourceError(
                f"{where}: its grid mapping makes no CRS ({reason(error)})",
                remedy=f"{_naming_it(given)}",
            ) from error
    for word in _codes(dataset, variables):
        try:
            return CRS.from_user_input(word)
        except CRSError:
            continue
    if _in_degrees(dataset, axes):
        return CRS.from_user_input(GEOGRAPHIC)
    x = _axis(dataset, axes.x)
    if x is None or _counts(x.to_numpy()):  # numbers of columns, which lie nowhere
        _refuse_curvilinear(dataset, axes, where)
    raise SourceError(f"{where} does not say its CRS", remedy=f"{_naming_it(given)}")


def _naming_it(given: xr.DataArray | xr.Dataset | None) -> str:
    """Say how to name a CRS: of a cube in memory, or of a file."""
    if given is not None:
        return "name it with crs, 'EPSG:32631' say, or by rio.write_crs of the array"
    return "name it with --crs EPSG:32631 say, or crs in owl.toml"


def _grid_mapping(dataset: xr.Dataset, variable: xr.DataArray) -> dict[str, Any] | None:
    """Return the attributes of the variable's grid mapping, as CF and rioxarray keep it."""
    named = variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping")
    words = [str(named).split(":")[0].split()[0]] if named else []
    for word in [*words, "spatial_ref", "crs"]:
        if word in dataset.variables and _speaks_of_crs(dataset[word]):
            return {str(key): value for key, value in dataset[word].attrs.items()}
    for other in dataset.variables:
        if dataset[other].ndim == 0 and _speaks_of_crs(dataset[other]):
            return {str(key): value for key, value in dataset[other].attrs.items()}
    return None


def _speaks_of_crs(variable: xr.DataArray) -> bool:
    return any(variable.attrs.get(name) for name in _CRS_ATTRIBUTES)


def _codes(dataset: xr.Dataset, variables: Sequence[Hashable]) -> Iterator[str | int]:
    """Yield what may be codes of a CRS, outside any convention: attributes and lone values."""
    holders = [dataset.attrs, *(dataset[key].attrs for key in variables)]
    for name in _CRS_CODES:
        values = [attributes[name] for attributes in holders if name in attributes]
        if name in dataset.variables and dataset[name].ndim == 0:
            values.append(dataset[name].to_numpy()[()])
        for value in values:
            if isinstance(value, int | np.integer):
                yield int(value)
            elif isinstance(value, str):
                yield value


def _in_degrees(dataset: xr.Dataset, axes: Axes) -> bool:
    """Whether the axes are longitude and latitude, by name or attributes and by their values."""
    for dim, names, limits in (
        (axes.x, _LONGITUDE, (-180.5, 360.5)),
        (axes.y, _LATITUDE, (-90.5, 90.5)),
    ):
        coordinate = _axis(dataset, dim)
        if coordinate is None:
            return False
        words = {str(dim), str(coordinate.name), str(coordinate.attrs.get("standard_name", ""))}
        degrees = str(coordinate.attrs.get("units", "")).casefold().startswith("degrees_")
        if not (degrees or {word.casefold() for word in words} & names):
            return False
        values = coordinate.to_numpy()
        if not (limits[0] <= values.min() and values.max() <= limits[1]):
            return False
    return True
