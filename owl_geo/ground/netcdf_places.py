"""NetCDF files whose pixels GDAL puts elsewhere than their coordinates do.

GDAL places a variable by the attribute ``GeoTransform`` of its grid mapping, which stays that of
the whole raster where xarray cuts out a part or turns rows around, takes coordinates in kilometres,
or a false origin in them, for metres, knows some projections not at all, leaves out the turn of a
raster that it wrote itself, and spreads rows evenly over a gap between them, since it compares
three steps alone: the first, the middle and the last.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.windows import Window

from owl_geo.errors import Fault
from owl_geo.ground.crs import geodetic_of
from owl_geo.ground.grid_mappings import crs_of_mapping, mapping_names
from owl_geo.ground.lengths import metres_in
from owl_geo.ground.transformations import transformer
from owl_geo.settings.subdatasets import file_of
from owl_geo.types import AnyArray

if TYPE_CHECKING:
    import xarray as xr

_OFF = 0.75  # pixels: whether coordinates are centres or corners is not what is asked here
_UNEVEN = 0.25  # pixels that one may be off its place in a row of even steps, by rounding
_ROWS = 16  # that are compared
_FAR = 100.0  # metres; by less, a datum may be put elsewhere
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
        variable = variable.isel(dict.fromkeys(variable.dims[:-2], 0))
        fault = _elsewhere(dataset, x, y) or _uneven(dataset, x, y)
        fault = fault or _mirrored(dataset, variable, x, y)
        return fault or _other_crs(dataset, content, variable)


def _is_placed(content: xr.Dataset, dim: object) -> bool:
    """Return whether an axis has coordinates, which are not packed."""
    if dim not in content.variables:
        return False
    values = content.variables[dim]
    packed = {"scale_factor", "add_offset"} & set(values.attrs)
    return values.ndim == 1 and not packed and bool(np.issubdtype(values.dtype, np.number))


def _coordinates(content: xr.Dataset, dim: object, dataset: rasterio.DatasetReader) -> AnyArray:
    """Return the coordinates along an axis, in metres where the CRS is."""
    metres = _metres_in(content, dim, dataset)
    return np.asarray(content.variables[dim].to_numpy() * metres)


def _metres_in(content: xr.Dataset, dim: object, dataset: rasterio.DatasetReader) -> float:
    """Return how many metres the unit of an axis is, 1 where the CRS is not in metres."""
    crs = dataset.crs
    in_metres = crs is not None and crs.is_projected and crs.linear_units_factor[1] == 1
    return metres_in(str(content.variables[dim].attrs.get("units", ""))) if in_metres else 1.0


def _other_crs(
    dataset: rasterio.DatasetReader, content: xr.Dataset, variable: xr.Variable
) -> Fault | None:
    """Return a fault where GDAL's CRS puts the raster elsewhere than its grid mapping does."""
    y, x = variable.dims[-2:]
    names = mapping_names(str(variable.attrs.get("grid_mapping", "")), {str(y), str(x)})
    mapping = next((content.variables[name].attrs for name in names if name in content), None)
    if mapping is None:
        return None
    units = (str(content.variables[dim].attrs.get("units", "")) for dim in (x, y))
    right = crs_of_mapping(mapping, (metres_in(next(units)), metres_in(next(units))))
    by_gdal = CRS.from_user_input(dataset.crs)
    if not right.is_projected:
        return None
    if not by_gdal.is_projected:
        projection = mapping.get("grid_mapping_name", right.name)
        return Fault(f"is in a projection, {projection}, that GDAL does not read", _REMEDY)
    west, north = dataset.transform.c, dataset.transform.f
    here, there = (
        transformer(crs, geodetic_of(crs)).transform(west, north) for crs in (right, by_gdal)
    )
    geod = right.get_geod()
    off = 0.0 if geod is None else geod.inv(*here, *there)[2]
    if off < _FAR:
        return None
    far = f"{off / 1000:,.1f} km off"
    return Fault(f"is put {far} by GDAL, which reads its grid mapping otherwise than CF", _REMEDY)


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
