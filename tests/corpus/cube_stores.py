"""Data cubes as the libraries that make them write them, and as conventions describe them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from layouts import (
    CRS,
    ORIGIN,
    REFLECTANCE,
    SIZE,
    Layout,
    Made,
    Plane,
    coded,
    hole,
    north_up,
    planes,
    with_hole,
    write,
)
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS
from rasterio import Affine

_PIXEL = 10.0
_DAYS = pd.to_datetime(["2023-06-05", "2023-06-15", "2023-06-25"])
_CUBE = ("--source", "cube")


def _centres(pixel: float = _PIXEL) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return y, north up, and x of the pixels' centres."""
    steps = np.arange(SIZE) + 0.5
    return ORIGIN[1] - pixel * steps, ORIGIN[0] + pixel * steps


def _dates(band: int, nodata: float, dtype: str = "uint16") -> tuple[NDArray[Any], Plane]:
    """Return three dates of a band, and what their median is.

    Each date has a gap of its own; the hole is missing on all.
    """
    values = np.stack([coded(band, dtype) + np.array(7 * k, dtype) for k in range(3)])
    values[:, hole()] = nodata
    for k in range(3):
        values[k, 12 * k + 6 : 12 * k + 12, 20:40] = nodata
    decoded = values.astype(np.float64)
    decoded[np.isnan(decoded) if np.isnan(nodata) else decoded == nodata] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the hole has no median
        median = np.nanmedian(decoded, axis=0)
    return values, Plane(median, north_up(_PIXEL), missing=np.isnan(median))


def _grid_mapping(crs: str = CRS) -> xr.DataArray:
    return xr.DataArray(0, attrs=PyprojCRS.from_user_input(crs).to_cf())


# --- EOPF -----------------------------------------------------------------------------------------


def eopf(folder: Path, zarr_format: int = 2) -> Made:
    """Write a product of the EOPF sample service, and name the group of its 10 m bands.

    A group opened by itself has no consolidated metadata, so its arrays come in any order.
    """
    product = folder / "S2B_MSIL2A_20230615T103629_N0509_R008_T32TNT_20230615T134200.zarr"
    root = zarr.open_group(product, mode="w", zarr_format=zarr_format)
    root.attrs["other_metadata"] = {}
    y, x = _centres()
    read = []
    group = root.create_group("measurements/reflectance/r10m")
    for number, name in enumerate(("b02", "b03", "b04", "b08")):
        pixels = with_hole(number, 0)
        attributes = {
            "proj:epsg": 32632,
            "proj:transform": [10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1], 0.0, 0.0, 1.0],
            "scale_factor": 0.0001,
            "add_offset": -0.1,
            "fill_value": 0,
            "valid_min": 1,
            "valid_max": 65535,
            "units": "digital_counts",
            "_eopf_attrs": {"scale_factor": 0.0001, "add_offset": -0.1, "fill_value": 0},
        }
        _array(group, name, pixels, ("y", "x"), attributes)
        read.append(Plane(pixels, north_up(_PIXEL), 1e-4, -0.1, hole()))
    _array(group, "x", x.astype("int64"), ("x",), {})
    _array(group, "y", y.astype("int64"), ("y",), {})
    quality = root.create_group("conditions/mask/l2a_classification/r20m")
    _array(quality, "scl", np.full((24, 24), 4, "uint8"), ("y", "x"), {})
    return Made(str(product / "measurements/reflectance/r10m"), tuple(read))


def eopf_zarr_3(folder: Path) -> Made:
    """Write the same in Zarr 3."""
    return eopf(folder, zarr_format=3)


def _array(
    group: zarr.Group,
    name: str,
    values: NDArray[Any],
    dims: tuple[str, ...],
    attributes: dict[str, Any],
) -> None:
    chunks = tuple(min(n, 24) for n in values.shape)
    more: dict[str, Any] = {}
    if group.metadata.zarr_format == 3:
        more["dimension_names"] = dims
    else:
        attributes = {"_ARRAY_DIMENSIONS": list(dims), **attributes}
    array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks, **more)
    array[:] = values
    array.attrs.update(attributes)


def geozarr(folder: Path) -> Made:
    """Write a store by GeoZarr's conventions proj: and spatial:, without coordinates."""
    path = folder / "geozarr.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=3)
    read = []
    for number, name in enumerate(("b02", "b03", "b04", "b08")):
        pixels = with_hole(number, 0)
        _array(group, name, pixels, ("y", "x"), {"_FillValue": 0})
        read.append(Plane(pixels, north_up(_PIXEL), missing=hole()))
    group.attrs.update(
        {
            "zarr_conventions": [{"name": "proj:"}, {"name": "spatial:"}],
            "proj:code": CRS,
            "spatial:dimensions": ["y", "x"],
            "spatial:transform": [10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1]],
            "spatial:shape": [SIZE, SIZE],
        }
    )
    return Made(str(path), tuple(read))


# --- odc-stac and Open Data Cube ------------------------------------------------------------------


def odc_stac(folder: Path) -> Made:
    """Write what `odc.stac.load(...)` returns: integers, and `nodata` as an attribute."""
    y, x = _centres()
    data = xr.Dataset()
    read = []
    for number, name in enumerate(("blue", "green", "nir", "red")):
        values, plane = _dates(number, 0)
        data[name] = (("time", "y", "x"), values, {"nodata": 0, "grid_mapping": "spatial_ref"})
        read.append(plane)
    classes = np.full((3, SIZE, SIZE), 4, "uint8")
    data["scl"] = (("time", "y", "x"), classes, {"nodata": 0, "grid_mapping": "spatial_ref"})
    axis = {"units": "metre", "crs": CRS}
    data = data.assign_coords(
        time=_DAYS,
        y=("y", y, {"resolution": -10.0, **axis}),
        x=("x", x, {"resolution": 10.0, **axis}),
        spatial_ref=_spatial_ref(),
    )
    path = folder / "odc.zarr"
    data.to_zarr(path, zarr_format=2)
    return Made(str(path), tuple(read))


def open_data_cube(folder: Path) -> Made:
    """Write what `dc.load(...)` returns, as NetCDF; the dataset has its CRS as an attribute."""
    y, x = _centres()
    values, plane = _dates(3, -999, "int16")
    data = xr.Dataset(
        {"nbart_red": (("time", "y", "x"), values, {"nodata": -999, "units": "1", "crs": CRS})},
        coords={"time": _DAYS, "y": y, "x": x},
        attrs={"crs": CRS},
    )
    path = folder / "dc.nc"
    data.to_netcdf(path, engine="h5netcdf")
    return Made(str(path), (plane,))


def _spatial_ref() -> xr.DataArray:
    x, y = ORIGIN
    text = PyprojCRS.from_user_input(CRS).to_wkt()
    attributes = {"spatial_ref": text, "crs_wkt": text, "GeoTransform": f"{x} 10 0 {y} 0 -10"}
    return xr.DataArray(
        np.int32(32632), attrs={"grid_mapping_name": "transverse_mercator", **attributes}
    )


# --- stackstac ------------------------------------------------------------------------------------


def stackstac(folder: Path) -> Made:
    """Write what `stackstac.stack(...)` returns: coordinates are those of the pixels' corners.

    Its attribute `spec` is dropped, since neither Zarr nor NetCDF can hold it.
    """
    y, x = _centres()
    bands = ("B02", "B03", "B04", "B08")
    each = [_dates(number, np.nan, "float64") for number in range(len(bands))]
    array = xr.DataArray(
        np.stack([values for values, _ in each], axis=1),
        dims=("time", "band", "y", "x"),
        coords={
            "time": _DAYS,
            "id": ("time", ["a", "b", "c"]),
            "band": list(bands),
            "common_name": ("band", ["blue", "green", "red", "nir"]),
            "x": x - _PIXEL / 2,
            "y": y + _PIXEL / 2,
            "epsg": 32632,
        },
        attrs={
            "crs": "epsg:32632",
            "transform": [10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1], 0.0, 0.0, 1.0],
            "resolution": 10.0,
        },
        name="stackstac",
    )
    path = folder / "stackstac.zarr"
    array.to_dataset().to_zarr(path, zarr_format=2)
    return Made(str(path), tuple(plane for _, plane in each))


# --- rioxarray ------------------------------------------------------------------------------------


def _tiff(folder: Path) -> Path:
    return write(
        folder / "s2.tif",
        np.stack([with_hole(number, 0) for number in range(3)]),
        nodata=0,
        descriptions=("green", "nir", "red"),
        scales=(1e-4,) * 3,
        offsets=(-0.1,) * 3,
    )


def rioxarray_netcdf(folder: Path) -> Made:
    """Open a file with rioxarray and save it as NetCDF."""
    path = _tiff(folder)
    with xr.open_dataarray(path, engine="rasterio", mask_and_scale=False) as array:
        array.rename("reflectance").to_netcdf(folder / "s2.nc", engine="h5netcdf")
    return Made(str(folder / "s2.nc"), planes(path, scale=1e-4, offset=-0.1, nodata=0))


def rioxarray_zarr(folder: Path) -> Made:
    """Open a file with rioxarray, decoded and each band a variable, and save it as Zarr."""
    import rioxarray  # noqa: F401 - gives a dataset its rio

    path = _tiff(folder)
    with xr.open_dataset(path, engine="rasterio", mask_and_scale=True) as data:
        named = data["band_data"].to_dataset(dim="band").rename({1: "green", 2: "nir", 3: "red"})
        for name in named:
            named[name].attrs.pop("long_name", None)
        named.drop_encoding().rio.write_crs(CRS).to_zarr(folder / "s2.zarr", zarr_format=2)
    return Made(str(folder / "s2.zarr"), planes(path, scale=1e-4, offset=-0.1, nodata=0))


# --- CF -------------------------------------------------------------------------------------------


def cf_projected(folder: Path) -> Made:
    """Write a file by the CF conventions: kilometres, packed values, and flags beside."""
    y, x = _centres()
    data = xr.Dataset(coords={"crs": _grid_mapping()})
    read = []
    for number, name in enumerate(("red", "nir")):
        pixels = with_hole(number, -32767, "int16")
        attributes = {"grid_mapping": "crs", "scale_factor": 1e-4, "add_offset": 0.01}
        data[name] = (("y", "x"), pixels, {"_FillValue": np.int16(-32767), **attributes})
        read.append(Plane(pixels, north_up(_PIXEL), 1e-4, 0.01, hole()))
    flags = {"flag_values": np.array([0, 1], "uint8"), "flag_meanings": "clear cloud"}
    data["quality"] = (
        ("y", "x"),
        np.zeros((SIZE, SIZE), "uint8"),
        {"grid_mapping": "crs", **flags},
    )
    data = data.assign_coords(
        y=("y", y / 1000, {"standard_name": "projection_y_coordinate", "units": "km"}),
        x=("x", x / 1000, {"standard_name": "projection_x_coordinate", "units": "km"}),
    )
    path = folder / "cf.nc"
    data.to_netcdf(path, engine="h5netcdf")
    return Made(str(path), tuple(read))


def _degrees(folder: Path, grid: Affine, told: dict[str, Any]) -> Made:
    """Write a variable on longitude and latitude, with -1 where it is missing."""
    steps = np.arange(SIZE) + 0.5
    lon, lat = grid.c + grid.a * steps, grid.f + grid.e * steps
    pixels = with_hole(1, -1, "int16")
    data = xr.Dataset(
        {"ndvi": (("time", "lat", "lon"), pixels[None], told)},
        coords={
            "time": _DAYS[:1],
            "lat": ("lat", lat, {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", lon, {"standard_name": "longitude", "units": "degrees_east"}),
        },
        attrs={"Conventions": "CF-1.8"},
    )
    path = folder / "cf.nc"
    data.to_netcdf(path, engine="h5netcdf")
    return Made(str(path), (Plane(pixels, grid, missing=hole()),), crs="EPSG:4326")


def cf_degrees(folder: Path) -> Made:
    """Write longitudes from -180 to 180 and a missing_value, the first row in the south."""
    south_up = Affine(0.01, 0, 9.0, 0, 0.01, 46.0)
    return _degrees(folder, south_up, {"missing_value": np.int16(-1)})


def cf_360(folder: Path) -> Made:
    """Write longitudes from 0 to 360, west of Greenwich, and a range of valid values."""
    told = {"valid_range": np.array([0, 30000], "int16")}
    return _degrees(folder, Affine(0.01, 0, 300.0, 0, 0.01, 46.0), told)


def whole_globe(folder: Path) -> Made:
    """Write the globe as climate models have it: the first pixel's centre lies on Greenwich."""
    globe = Affine(7.5, 0, -3.75, 0, -3.75, 90.0)
    return _degrees(folder, globe, {"missing_value": np.int16(-1)})


_S2 = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir"}
_MEDIAN = "as stored; the median of the dates"
_CENTRES = "coordinates are pixel centres"

CUBE_STORES = (
    *(
        Layout(
            name,
            maker,
            _S2,
            values=f"{REFLECTANCE}, by `scale_factor` and `add_offset`",
            missing="the attribute `fill_value`",
            position=_CENTRES,
            options=_CUBE,
        )
        for name, maker in (
            ("EOPF Zarr, a group of Sentinel-2 L2A", eopf),
            ("EOPF in Zarr 3", eopf_zarr_3),
        )
    ),
    Layout(
        "GeoZarr, `proj:` and `spatial:` without coordinates",
        geozarr,
        _S2,
        missing="the attribute `_FillValue`",
        position="`spatial:transform`, of the pixels' corners",
        options=_CUBE,
    ),
    Layout(
        "odc-stac, saved as Zarr",
        odc_stac,
        {name: name for name in ("blue", "green", "nir", "red")},
        values=_MEDIAN,
        missing="the attribute `nodata`; `scl` is not a band",
        position=_CENTRES,
        options=_CUBE,
    ),
    Layout(
        "Open Data Cube, saved as NetCDF",
        open_data_cube,
        {"nbart_red": "red"},
        values=_MEDIAN,
        missing="the attribute `nodata`",
        position=_CENTRES,
        options=_CUBE,
    ),
    Layout(
        "stackstac, saved as Zarr",
        stackstac,
        {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"},
        values=_MEDIAN,
        missing="NaN",
        position="the attribute `transform`; coordinates are the pixels' upper left corners",
        options=_CUBE,
    ),
    Layout(
        "rioxarray, saved as NetCDF",
        rioxarray_netcdf,
        {"green": "green", "nir": "nir", "red": "red"},
        values="by `scale_factor` and `add_offset`",
        missing="the attribute `_FillValue`",
        position=_CENTRES,
        options=_CUBE,
    ),
    Layout(
        "rioxarray, decoded, saved as Zarr",
        rioxarray_zarr,
        {"green": "green", "nir": "nir", "red": "red"},
        missing="NaN",
        position=_CENTRES,
        options=_CUBE,
    ),
    Layout(
        "CF NetCDF with a projection, in kilometres",
        cf_projected,
        {"red": "red", "nir": "nir"},
        values="by `scale_factor` and `add_offset`",
        missing="`_FillValue`; flag variables are not bands",
        position="coordinates are pixel centres, in their units",
        options=_CUBE,
    ),
    Layout(
        "CF NetCDF in degrees, south up",
        cf_degrees,
        {"ndvi": None},
        missing="`missing_value`",
        position=_CENTRES,
        options=_CUBE,
    ),
    Layout(
        "CF NetCDF with longitudes from 0 to 360",
        cf_360,
        {"ndvi": None},
        missing="outside `valid_range`",
        position="turned to -180 to 180 where all lie beyond 180",
        options=_CUBE,
    ),
    Layout(
        "CF NetCDF of the globe, its first centre on Greenwich",
        whole_globe,
        {"ndvi": None},
        missing="`missing_value`",
        position=_CENTRES,
        options=_CUBE,
    ),
)
