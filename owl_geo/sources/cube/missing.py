"""Which values of a cube stand for none, where that is said otherwise than xarray decodes it.

xarray knows ``_FillValue`` and ``missing_value`` of the CF conventions, where they are numbers.
Open Data Cube and odc-stac write ``nodata``, EOPF and others ``fill_value``, readers of rasters
``nodatavals``; and CF has valid ranges besides. Where a NetCDF file declares no fill value, what
was never written reads as a default (``NC_FILL_SHORT`` and others, in ``netcdf.h``), which GDAL and
netCDF4 take for missing too. All of them speak of values as they are stored, before scale and
offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.types import AnyArray, BoolArray

_NODATA = (
    *("nodata", "no_data", "nodata_value", "no_data_value", "nodatavals"),
    *("fill_value", "fillvalue", "_fillvalue", "missing_value"),  # xarray heeds _FillValue alone
)
_NETCDF_SUFFIXES = (".nc", ".nc3", ".nc4", ".cdf", ".netcdf")
# What NetCDF reads where nothing was written. Bytes have none, since all their values are in use;
# those of 64 bits are no floats.
_NEVER_WRITTEN = {
    "int16": -(2**15) + 1,
    "uint16": 2**16 - 1,
    "int32": -(2**31) + 1,
    "uint32": 2**32 - 1,
    "float32": 9.969209968386869e36,
    "float64": 9.969209968386869e36,
}
_FLAGS = ("flag_values", "flag_masks", "flag_meanings", "flags_definition")  # CF, Open Data Cube
_LIMITS = ("valid_range", "valid_min", "valid_max")
_FLAG_NAMES = ("status_flag", "quality_flag")  # CF's standard names end in them
_EOPF = "_eopf_attrs"  # what EOPF's products say once more, some of them only there


@dataclass(frozen=True)
class Missing:
    """Values of a variable that stand for none, in the units in which xarray hands them out."""

    values: tuple[tuple[float, ...], ...]  # for each band of the variable, or once for all
    least: float = -np.inf
    greatest: float = np.inf
    tolerance: float = 0.0  # a quarter of the step between stored values, where these are scaled

    @classmethod
    def of(cls, variable: xr.Variable, bands: FileBands, *, netcdf: bool = False) -> Missing | None:
        """Return what a variable says of its ``bands``, None where it says nothing.

        One of a ``netcdf`` file has a fill value, whether it says so or not.
        """
        if not np.issubdtype(variable.dtype, np.number):
            return None
        attributes = _attributes(variable)
        if netcdf:
            attributes = {**_never_written(variable), **attributes}
        attributes = _as_unsigned(attributes, variable)
        scale = number_in(variable.encoding.get("scale_factor"), 1.0)
        offset = number_in(variable.encoding.get("add_offset"), 0.0)
        scaled = (scale, offset) != (1.0, 0.0)
        # of Zarr 3, what was never written reads as this; 0 may be no more than its default
        never_written = number_in(variable.encoding.get("fill_value"), 0.0)
        if never_written and "fill_value" not in attributes:
            attributes = {**attributes, "fill_value": never_written}
        each = _declared(attributes, bands)
        least, greatest = _valid_range(attributes)
        if scaled and not _is_unpacked(attributes, variable):
            least, greatest = sorted((least * scale + offset, greatest * scale + offset))
        if not any(each) and not np.isfinite([least, greatest]).any():
            return None
        return cls(
            values=tuple(tuple(value * scale + offset for value in values) for values in each),
            least=least,
            greatest=greatest,
            tolerance=abs(scale) / 4 if scaled else 0.0,
        )

    def of_bands(self, positions: Sequence[int]) -> Missing:
        """Return the same for some of the variable's bands, in this order."""
        if len(self.values) == 1:
            return self
        return replace(self, values=tuple(self.values[position] for position in positions))

    def dtype(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        """Return the type that holds values of ``dtype`` and not-a-number."""
        if np.issubdtype(dtype, np.inexact):
            return dtype
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)  # as xarray has it

    def marked(self, values: AnyArray) -> AnyArray:
        """Return ``(dates, bands, height, width)`` with not-a-number for what is missing."""
        bad = np.zeros(values.shape, dtype=bool)
        reach = self.tolerance
        for band, missing in enumerate(self.values):
            part: Any = slice(None) if len(self.values) == 1 else band
            for value in missing:
                bad[:, part] |= _near(values[:, part], value, reach)
        if np.isfinite(self.least):
            bad |= values < self.least - reach
        if np.isfinite(self.greatest):
            bad |= values > self.greatest + reach
        marked = values.astype(self.dtype(values.dtype))
        marked[bad] = np.nan
        return marked


def holds_flags(variable: xr.DataArray) -> bool:
    """Return whether the values are codes of states, by CF's attributes, so that none is a band."""
    attributes = _attributes(variable.variable)
    standard_name = str(attributes.get("standard_name", ""))
    return any(name in attributes for name in _FLAGS) or standard_name.endswith(_FLAG_NAMES)


def is_netcdf(dataset: xr.Dataset, variable: xr.Variable) -> bool:
    """Return whether a variable was read from a NetCDF file, and not from Zarr or an array."""
    if "original_shape" in variable.encoding:  # of NetCDF 4, by either library
        return True
    return str(dataset.encoding.get("source", "")).casefold().endswith(_NETCDF_SUFFIXES)


def _never_written(variable: xr.Variable) -> dict[str, Any]:
    """Return the default fill value of a NetCDF variable that declares none of its own."""
    if "_FillValue" in variable.encoding or "_FillValue" in variable.attrs:
        return {}
    stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
    if stored.name not in _NEVER_WRITTEN:
        return {}
    return {"fill_value": stored.type(_NEVER_WRITTEN[stored.name])}


def _attributes(variable: xr.Variable) -> Mapping[str, Any]:
    """Return attributes, names of missing values in small letters; xarray decoded the other ones.

    As text, it leaves CF's own undecoded, and as a number that pixels can only hold rounded.
    """
    more = variable.attrs.get(_EOPF)
    attributes = {**(more if isinstance(more, Mapping) else {}), **variable.attrs}
    plain = {
        name: value for key, value in attributes.items() if (name := str(key).casefold()) in _NODATA
    }
    value = variable.encoding.get("missing_value")
    if isinstance(value, str) or _is_rounded(value, variable):
        plain.setdefault("missing_value", value)
    whole = {**plain, **attributes}
    told = {name: _numbers_of(whole[name]) for name in (*_NODATA, *_LIMITS) if name in whole}
    return {**whole, **told}


def _numbers_of(value: Any) -> Any:
    """Return the numbers that text lists, as GDAL's tags do; anything else as it is."""
    if not isinstance(value, str):
        return value
    words = value.replace(",", " ").strip("{}[]() ").split()
    for type_ in (int, float):
        with suppress(ValueError):
            return [type_(word) for word in words]
    return value


def _is_rounded(value: Any, variable: xr.Variable) -> bool:
    """Return whether a number is of more digits than the pixels, as -9999.9 among float32."""
    stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
    if stored.kind != "f":
        return False
    with np.errstate(over="ignore"):
        return any(float(stored.type(number)) != number for number in numbers_in(value))


def _as_unsigned(attributes: Mapping[str, Any], variable: xr.Variable) -> Mapping[str, Any]:
    """Return attributes in the type of a variable that is stored signed and read unsigned.

    NetCDF's ``_Unsigned`` makes 255 of a stored -1, and of attributes; xarray sees to the pixels
    and to CF's fill values.
    """
    if str(variable.encoding.get("_Unsigned", "")).casefold() != "true":
        return attributes
    n_values = 2 ** (8 * np.dtype(variable.encoding.get("dtype", variable.dtype)).itemsize)
    numbers = {
        name: np.asarray(attributes[name]) for name in (*_NODATA, *_LIMITS) if name in attributes
    }
    wrapped = {
        name: number.astype(np.int64) % n_values
        for name, number in numbers.items()
        if np.issubdtype(number.dtype, np.integer)
    }
    return {**attributes, **wrapped}


def _declared(attributes: Mapping[str, Any], bands: FileBands) -> list[tuple[float, ...]]:
    """Return the values that stand for none, for each band where they differ, else once."""
    each: list[list[float]] = [[] for _ in range(bands.count)]
    for name in _NODATA:
        numbers = numbers_in(attributes.get(name))
        values = numbers * bands.count if len(numbers) == 1 else bands.own(numbers)
        for own, value in zip(each, values or (), strict=False):
            if np.isfinite(value):
                own.append(value)
    unique = [tuple(dict.fromkeys(own)) for own in each]
    return unique[:1] if len(set(unique)) == 1 else unique


def _valid_range(attributes: Mapping[str, Any]) -> tuple[float, float]:
    both = numbers_in(attributes.get("valid_range"))
    least, greatest = both if len(both) == 2 else (-np.inf, np.inf)
    least = number_in(attributes.get("valid_min"), least)
    greatest = number_in(attributes.get("valid_max"), greatest)
    return (least, greatest) if least <= greatest else (-np.inf, np.inf)


def _is_unpacked(attributes: Mapping[str, Any], variable: xr.Variable) -> bool:
    """Return whether a valid range is in the units of values, although they are stored as integers.

    By the NetCDF user guide it is where its type is that of the scale, and not of what is stored.
    """
    stored = variable.encoding.get("dtype")
    if stored is None or not np.issubdtype(np.dtype(stored), np.integer):
        return False
    limits = [attributes.get(name) for name in _LIMITS]
    given = [np.asarray(limit) for limit in limits if limit is not None]
    return all(np.issubdtype(limit.dtype, np.floating) for limit in given)


def _near(values: AnyArray, value: float, reach: float) -> BoolArray:
    if reach:
        near: BoolArray = np.abs(values - value) <= reach
        return near
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        if not (value.is_integer() and limits.min <= value <= limits.max):
            return np.zeros(values.shape, dtype=bool)
        equal: BoolArray = values == int(value)
        return equal
    with np.errstate(over="ignore"):
        same: BoolArray = values == values.dtype.type(value)
    return same


def numbers_in(value: Any) -> tuple[float, ...]:
    """Return the numbers of an attribute, none where it holds anything else."""
    if value is None or isinstance(value, bool):
        return ()
    items = value if isinstance(value, list | tuple) else np.atleast_1d(np.asarray(value)).tolist()
    try:
        return tuple(float(item) for item in items)
    except (TypeError, ValueError):
        return ()


def number_in(value: Any, default: float) -> float:
    """Return the number of an attribute, ``default`` where it holds anything else."""
    numbers = numbers_in(value)
    return numbers[0] if len(numbers) == 1 and not np.isnan(numbers[0]) else default
