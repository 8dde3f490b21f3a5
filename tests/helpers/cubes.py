"""Small data cubes, most of which hold their own coordinates."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS
from rasters import ORIGIN, UTM

BANDS = ("B2", "B3", "B4", "B8")
DAYS = ("2021-05-01", "2021-05-06", "2021-05-11", "2021-05-16", "2021-05-21")


def cube(
    values: NDArray[Any],
    *,
    bands: tuple[str, ...] | None = None,
    days: tuple[str, ...] = DAYS,
    crs: str | None = UTM,
    pixel: float = 10.0,
    south_up: bool = False,
    name: str | None = "reflectance",
) -> xr.DataArray:
    """Return ``([dates,] bands, height, width)`` with coordinates and, by CF, a grid mapping."""
    height, width = values.shape[-2:]
    names = bands or BANDS[: values.shape[-3]]
    step = pixel if south_up else -pixel
    coords: dict[str, Any] = {
        "band": list(names),
        "y": ORIGIN[1] + step * (np.arange(height) + 0.5),
        "x": ORIGIN[0] + pixel * (np.arange(width) + 0.5),
    }
    dims = ["band", "y", "x"]
    if values.ndim == 4:
        dims.insert(0, "time")
        coords["time"] = np.array(days[: len(values)], dtype="datetime64[ns]")
    array = xr.DataArray(values, dims=dims, coords=coords, name=name)
    if crs is not None:
        array.coords["crs"] = xr.DataArray(0, attrs=CRS.from_user_input(crs).to_cf())
        array.attrs["grid_mapping"] = "crs"
    return array


def write_zarr(
    path: Path,
    array: xr.DataArray | xr.Dataset,
    chunks: dict[str, int] | None = None,
    *,
    shards: tuple[int, ...] | None = None,
    **options: Any,
) -> Path:
    """Write a cube as Zarr, each variable in the chunks given, and return its path."""
    dataset = _dataset(array)
    more = {} if shards is None else {"shards": shards}
    encoding = {name: {"chunks": sizes} | more for name, sizes in _sizes(dataset, chunks or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.to_zarr(path, encoding=encoding, **options)
    return path


def write_netcdf(
    path: Path,
    array: xr.DataArray | xr.Dataset,
    chunks: dict[str, int] | None = None,
    **options: Any,
) -> Path:
    """Write a cube as NetCDF 4, each variable in the chunks given, and return its path."""
    dataset = _dataset(array)
    encoding = {
        name: {"chunksizes": sizes, "zlib": True}
        for name, sizes in (_sizes(dataset, chunks) if chunks else ())
    }
    dataset.to_netcdf(path, encoding=encoding, **{"engine": "h5netcdf", **options})
    return path


def _sizes(
    dataset: xr.Dataset, chunks: dict[str, int]
) -> Iterator[tuple[Hashable, tuple[int, ...]]]:
    for name, variable in dataset.data_vars.items():
        if variable.ndim:
            yield name, tuple(chunks.get(str(dim), n) for dim, n in variable.sizes.items())


def _dataset(array: xr.DataArray | xr.Dataset) -> xr.Dataset:
    if isinstance(array, xr.Dataset):
        return array
    return array.to_dataset(name=array.name or "values")
