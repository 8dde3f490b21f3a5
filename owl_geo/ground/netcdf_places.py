"""NetCDF files whose pixels GDAL puts elsewhere than their coordinates do.

GDAL places a variable by the attribute ``GeoTransform`` of its grid mapping, which stays that of
the whole raster where xarray cuts out a part or turns rows around, takes coordinates in kilometres,
or a false origin in them, for metres, leaves out the turn of a raster that it wrote itself, and
spreads rows evenly over a gap between them, since it compares three steps alone: the first, the
middle and the last.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.windows import Window

from owl_geo.errors import Fault
from owl_geo.settings.subdatasets import file_of
from owl_geo.types import AnyArray

if TYPE_CHECKING:
    import xarray as xr

_OFF = 0.75  # pixels: whether coordinates are centres or corners is not what is asked here
_UNEVEN = 0.25  # pixels that one may be off its place in a row of even steps, by rounding
_ROWS = 16  # that are compared
_KILOMETRES = ("km", "kilometer", "kilometers", "kilometre", "kilometres")
_FALSE_ORIGIN = ("#false_easting", "#false_northing")
_WKT = ("#spatial_ref", "#crs_wkt")  # which count for GDAL before all else
_FARTHEST = 1e5  # km; a false origin beyond is in metres, against CF
_REMEDY = "add --source cube where it is a scene, else write it as a GeoTIFF first"


def misplaced_netcdf(dataset: rasterio.DatasetReader) -> Fault | None:
    """Return what is wrong with where GDAL puts a NetCDF variable, None if nothing is known."""
    if dataset.driver != "netCDF" or dataset.count == 0:
        return None
    if _is_turned(dataset) and dataset.transform.is_rectilinear:
        return Fault("is turned against its CRS, which GDAL does not read", _REMEDY)
    file = file_of(dataset.name)
    if dataset.transform.is_identity or not Path(file).is_file():  # GDAL puts it nowhere
        return None
    try:
        return _compared(dataset, file)
    except Exception:  # noqa: BLE001 - whatever xarray cannot read is GDAL's alone
        return None


def _is_turned(dataset: rasterio.DatasetReader) -> bool:
    """Return whether the file's attribute says that its raster is turned."""
    for key, text in dataset.tags().items():
        words = text.split()
        if key.endswith("#GeoTransform") and len(words) == 6:
            try:
                _, a, b, _, d, e = (float(word) for word in words)
            except ValueError:
                continue
            if max(abs(b) * dataset.height, abs(d) * dataset.width) > _OFF * max(abs(a), abs(e)):
                return True
    return False


def _compared(dataset: rasterio.DatasetReader, file: str) -> Fault | None:
    """Return in what the raster differs from its variable as xarray reads it."""
    import xarray as xr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = xr.open_dataset(file, decode_cf=False, cache=False)
    with content:
        variable = content.variables[dataset.tags(1)["NETCDF_VARNAME"]]
        if not all(_is_placed(content, dim) for dim in variable.dims[-2:]):
            return None
        y, x = (_coordinates(content, dim, dataset) for dim in variable.dims[-2:])
        if _is_in_km(content, variable.dims[-1], dataset) and (far := _false_origin(dataset)):
            return Fault(f"has a false origin of {far:g} km, which GDAL takes for metres", _REMEDY)
        variable = variable.isel(dict.fromkeys(variable.dims[:-2], 0))
        fault = _elsewhere(dataset, x, y) or _uneven(dataset, x, y)
        return fault or _mirrored(dataset, variable, x, y)


def _is_placed(content: xr.Dataset, dim: object) -> bool:
    """Return whether an axis has coordinates, which are not packed."""
    if dim not in content.variables:
        return False
    values = content.variables[dim]
    packed = {"scale_factor", "add_offset"} & set(values.attrs)
    return values.ndim == 1 and not packed and bool(np.issubdtype(values.dtype, np.number))


def _coordinates(content: xr.Dataset, dim: object, dataset: rasterio.DatasetReader) -> AnyArray:
    """Return the coordinates along an axis, in metres where they are in km and the CRS is not."""
    metres = 1000.0 if _is_in_km(content, dim, dataset) else 1.0
    return np.asarray(content.variables[dim].to_numpy() * metres)


def _is_in_km(content: xr.Dataset, dim: object, dataset: rasterio.DatasetReader) -> bool:
    """Return whether coordinates along an axis are in kilometres, and the CRS is in metres."""
    crs = dataset.crs
    in_metres = crs is not None and crs.is_projected and crs.linear_units_factor[1] == 1
    units = str(content.variables[dim].attrs.get("units", "")).strip().casefold()
    return in_metres and units in _KILOMETRES


def _false_origin(dataset: rasterio.DatasetReader) -> float:
    """Return a false easting or northing that is in kilometres, 0 if there is none.

    By CF (appendix F) it has the units of the coordinates, of which GDAL turns these alone into
    metres.
    """
    tags = dataset.tags()
    if any(key.endswith(_WKT) for key in tags):
        return 0.0
    numbers = (float(text) for key, text in tags.items() if key.endswith(_FALSE_ORIGIN))
    return next((number for number in numbers if 0 < abs(number) < _FARTHEST), 0.0)


def _elsewhere(dataset: rasterio.DatasetReader, x: AnyArray, y: AnyArray) -> Fault | None:
    a, _, c, _, e, f = tuple(dataset.transform)[:6]
    in_degrees = dataset.crs is not None and dataset.crs.is_geographic
    for values, step, edge in ((x, a, c), (y, e, f)):
        low, high = float(values.min()), float(values.max())
        if values is x and in_degrees and high > 180:
            continue  # GDAL may have moved them to the other end
        west, east = sorted((edge + step / 2, edge + step * (values.size - 0.5)))
        if max(abs(west - low), abs(east - high)) > _OFF * abs(step):
            what = (
                f"is put elsewhere by GDAL than by its coordinates, which are {low:g} to {high:g} "
                f"and not {west:g} to {east:g}"
            )
            return Fault(what, _REMEDY)
    return None


def _uneven(dataset: rasterio.DatasetReader, x: AnyArray, y: AnyArray) -> Fault | None:
    """Return a fault where GDAL spreads pixels evenly whose coordinates are not."""
    in_degrees = dataset.crs is not None and dataset.crs.is_geographic
    for name, values in (("columns", x), ("rows", y)):
        places = values.astype(np.float64)
        if values is x and in_degrees:
            places = np.unwrap(places, period=360.0)
        even = np.linspace(places[0], places[-1], places.size)
        step = abs(places[-1] - places[0]) / max(places.size - 1, 1)
        off = float(np.abs(places - even).max())
        if step > 0 and off > _UNEVEN * step:
            return Fault(
                f"is put elsewhere by GDAL than by its coordinates: its {name} are spaced "
                f"irregularly, up to {off / step:.3g} pixels off",
                "resample it to a regular grid first",
            )
    return None


def _mirrored(
    dataset: rasterio.DatasetReader, variable: xr.Variable, x: AnyArray, y: AnyArray
) -> Fault | None:
    """Return a fault where rows or columns run the other way than coordinates, by their pixels."""
    a, e = dataset.transform.a, dataset.transform.e
    right = bool((y[-1] > y[0]) == (e < 0)), bool((x[-1] > x[0]) == (a < 0))
    ways = list(itertools.product((False, True), repeat=2))  # rows, and columns, turned around
    agree = dict.fromkeys(ways, True)
    for row in np.unique(np.linspace(0, y.size - 1, _ROWS).astype(int)).tolist():
        seen = dataset.read(1, window=Window(0, row, dataset.width, 1))[0]
        for rows, columns in ways:
            stored = variable[y.size - 1 - row if rows else row].to_numpy()
            same = np.array_equal(stored[::-1] if columns else stored, seen, equal_nan=True)
            agree[rows, columns] &= same
    if agree[right] or not any(agree.values()):
        return None
    return Fault("is turned around by GDAL, against the order of its coordinates", _REMEDY)
