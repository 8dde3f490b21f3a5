"""Raster files: opening them, and the bands that their headers speak of."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Geod
from pyproj.exceptions import ProjError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from owl_geo.disk.presence import check_exists, exists, is_dir
from owl_geo.disk.suffixes import PARQUET
from owl_geo.errors import Fault, SourceError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.cut_off import cut_off, is_known_whole
from owl_geo.ground.netcdf_places import misplaced_netcdf
from owl_geo.ground.raster_files import (
    UNREADABLE,
    advice_on_format,
    check_is_file,
    complex_pixels,
    misplaced,
)
from owl_geo.ground.raster_view import has_mask
from owl_geo.ground.transformations import transformer
from owl_geo.settings.paths import is_local
from owl_geo.sources.arrays.layout import ARRAY, ARRAYS, is_land_mask
from owl_geo.sources.band_words import read_words
from owl_geo.sources.bands import Band
from owl_geo.types import SceneGrid

_ELLIPSOID = Geod(ellps="WGS84")
_SHIFTED = re.compile(r"TOWGS84\[|BOUNDCRS\[")
_APART = 5.0  # metres, by which two good transformations of one datum may differ
_ENTIRE = {MaskFlags.all_valid, MaskFlags.nodata}
_ENTIRE_BUT_ALPHA = {*_ENTIRE, MaskFlags.alpha, MaskFlags.per_dataset}

_PROCESS = os.getpid()
_LARGEST_BLOCK = 2**30  # bytes


def decoding_threads() -> str:
    """Return how many threads GDAL may decode with, as GDAL's options want it.

    GDAL's threads do not survive a fork, and a child would wait for them for ever.
    """
    return "ALL_CPUS" if os.getpid() == _PROCESS else "1"


def open_raster(path: str, threads: str | None = None) -> rasterio.DatasetReader:
    """Open a raster to read from; ``threads``, of a GeoTIFF, is how many decode its blocks.

    Raises SourceError.
    """
    if is_local(path):
        check_exists(path, SourceError)
    check_is_file(path, SourceError)
    options = {"num_threads": threads} if threads else {}
    try:
        return rasterio.open(path, **options)
    except UNREADABLE as error:
        reason = str(error).rstrip(".")
        raise SourceError(
            f"cannot open {path} as a raster: {reason}", remedy=_advice(path)
        ) from error


CUBE = "a data cube? add --source cube (a view takes GeoTIFFs)"
_CUBES = (".nc", ".nc4", ".netcdf", ".cdf", ".h5", ".hdf5", ".zarr", ".zarr.zip")
_STORES = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")


def looks_like_cube(path: str) -> bool:
    """Return whether a path is one of NetCDF or Zarr, by its name or by what lies in it."""
    local = is_local(path) and is_dir(path)
    return path.lower().rstrip("/").endswith(_CUBES) or (
        local and any(exists(Path(path) / name) for name in _STORES)
    )


TABLE = "a table of vectors? add --source vectors (it cannot be a view)"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_VECTORS = (".gpkg", ".shp", ".geojson", ".kml", ".osm", ".pbf", ".gz", ".bz2", ".fgb")


_CLOUDS = (".las", ".laz")
_UNPACKED = (".gz", ".bz2", ".7z", ".rar")


def _advice(path: str) -> str:
    """Return what may be meant by a file that is not a raster."""
    name = path.lower()
    ending = Path(name).suffix
    if looks_like_cube(path):
        return CUBE
    if name.endswith(PARQUET):
        return TABLE
    if name.endswith(ARRAY):
        return ARRAYS
    if ".gti." in Path(name).name:
        return f"rewrite the tile index as a GeoPackage: ogr2ogr {Path(path).stem}.gpkg {path}"
    if name.endswith(_ARCHIVES):
        kind = "vsizip" if ending == ".zip" else "vsitar"
        inside = path if path.startswith(f"/{kind}/") else f"/{kind}/{path}"
        return f"unpack it and name the folder, or name a raster in it: {inside}/FILE"
    if name.endswith(_VECTORS) and Path(Path(name).stem).suffix != ".tif":
        return "by its name it is a vector layer: --osm, --examples, --oracle and --aoi take those"
    if ending in _UNPACKED:
        return "unpack it first"
    if ending in _CLOUDS:
        return "by its name it is a cloud of points: make a raster of it first"
    bands = Path(path).with_suffix(".data")
    if ending == ".dim" and is_dir(bands):  # of SNAP
        return f"the bands lie in a folder beside it: name {bands}"
    return advice_on_format(path)


def read_bands(path: str | Path, prefix: str = "") -> tuple[Band, ...]:
    """Return the bands of one file, from its header alone.

    A band is named by its description; without one by its colour, else ``band_1`` and so on. With
    ``prefix`` the file is one of several: a single band is named ``prefix``, of several bands each
    is named ``prefix_description``.

    Raises SourceError where the file cannot be opened, has no CRS, does not lie on the map, has no
    bands of its own, or has complex pixels.
    """
    path = str(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it becomes an error below
        dataset = open_raster(path)
    try:
        with dataset:
            return _bands(dataset, path, prefix)
    except UNREADABLE as error:
        reason = str(error).rstrip(".")
        raise SourceError(f"cannot read the header of {path}: {reason}") from error


def _bands(dataset: rasterio.DatasetReader, path: str, prefix: str) -> tuple[Band, ...]:
    _check(dataset, path)
    grid = grid_in(dataset, Path(path).stem)
    words = read_words(dataset, path, prefix)
    # each of these asks all bands anew, which would be thousands of times for an embedding's
    interpreted, descriptions = dataset.colorinterp, dataset.descriptions
    dtypes, blocks, nodata = dataset.dtypes, dataset.block_shapes, dataset.nodatavals
    scales, offsets, masks = dataset.scales, dataset.offsets, dataset.mask_flag_enums
    called_alpha = ColorInterp.alpha in interpreted
    data_alpha = called_alpha and not any(words.alpha)
    no_mask = _ENTIRE_BUT_ALPHA if data_alpha else _ENTIRE
    is_whole = is_known_whole(dataset)
    bands = tuple(
        Band(
            name=words.names[i],
            path=path,
            number=i + 1,
            grid=grid,
            dtype=dtypes[i],
            driver=dataset.driver,
            blocks=blocks[i],
            nodata=nodata[i],
            scale=scales[i],
            offset=offsets[i],
            masked=any(words.alpha) or has_mask(masks[i]) or not set(masks[i]) <= no_mask,
            data_alpha=data_alpha,
            alpha=words.alpha[i],
            palette=interpreted[i] == ColorInterp.palette,
            is_whole=is_whole,
            bad=words.bad[i],
            wavelength=words.wavelengths[i],
            width=words.widths[i],
            colour=words.colours[i],
            shown=words.shown[i],
            about=words.about,
            edition=words.edition,
            description=(descriptions[i] or "").strip() if prefix else "",
            words=(descriptions[i] or "").strip(),
            taken=words.taken,
        )
        for i in range(dataset.count)
    )
    for band in bands:
        check_pixels(band)
    return share_nodata(bands)


def share_nodata(bands: tuple[Band, ...]) -> tuple[Band, ...]:
    """Return all bands of a file with ``nodata_of``: those of an 8-bit image with one such value.

    8 bits leave no value to spare, so that in a single band 0 or 255 is as often dark or bright as
    missing. There GDAL's rule for a dataset holds, a pixel is missing where all bands are; other
    types can tell, and a stripe that one detector lost is none of the ground's values.
    """
    data = [band for band in bands if not band.alpha]
    values = {band.nodata for band in data}
    is_8_bit = all(band.dtype in ("uint8", "int8") for band in data)
    shared = len(data) > 1 and len(values) == 1 and None not in values and is_8_bit
    numbers = tuple(band.number for band in data) if shared else ()
    return tuple(replace(band, nodata_of=() if band.alpha else numbers) for band in bands)


def _check(dataset: rasterio.DatasetReader, path: str) -> None:
    if dataset.count == 0:
        if path.lower().endswith(_ARCHIVES):
            raise SourceError(f"{path} is an archive", remedy=_advice(path))
        inside = ", ".join(dataset.subdatasets[:3])
        remedy = f"name one of its subdatasets, for example {inside}" if inside else ""
        remedy = CUBE if looks_like_cube(path) else remedy
        raise SourceError(f"{path} has no bands of its own", remedy=remedy)
    if dataset.count == 1 and is_land_mask(Path(path)):
        raise SourceError(
            f"{path} is the land mask of a TESSERA tile, without its vectors", remedy=ARRAYS
        )
    if fault := cut_off(dataset):
        raise SourceError(f"{path} {fault.what}", remedy=fault.remedy)
    fault = misplaced(dataset)
    if fault and looks_like_cube(path):
        fault = misplaced_netcdf(dataset) or Fault("does not lie on the map as a raster", CUBE)
    if fault:
        raise SourceError(f"{path} {fault.what}", remedy=fault.remedy)
    if fault := complex_pixels(dataset):
        raise SourceError(f"{path} {fault.what}", remedy=fault.remedy)


def check_pixels(band: Band) -> None:
    """Raise SourceError where pixels make no values, or cannot be held while they are decoded."""
    terms = np.array([band.scale, band.offset])
    dtype = np.dtype(band.dtype)
    largest = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0
    is_finite = (np.abs(terms) * [float(largest), 1.0] < np.finfo(np.float32).max).all()
    if not is_finite or band.scale == 0:
        raise SourceError(
            f"{band.path}, band {band.number}: the scale {band.scale:g} and the offset "
            f"{band.offset:g} make no values of its pixels",
            remedy="correct them, for example with gdal_edit.py -scale and -offset",
        )
    if band.blocks[0] * band.blocks[1] * dtype.itemsize > _LARGEST_BLOCK:
        height, width = band.blocks
        raise SourceError(
            f"{band.path} stores its pixels in blocks of {width:,} x {height:,}, too large to "
            "decode",
            remedy="rewrite it, for example with gdal_translate -co TILED=YES",
        )


def _crs_text(dataset: rasterio.DatasetReader) -> str:
    """Return the code of a raster's CRS, or its WKT where it has none; raises ProjError.

    Files of older programs spell a CRS out, a little off; GDAL and QGIS too take the likely code.
    Where the file brings a shift of the datum of its own (TOWGS84), the code is taken only if it
    leads to the same place.
    """
    wkt, authority = dataset.crs.to_wkt(), dataset.crs.to_authority()
    if authority is None:
        return str(wkt)
    code = ":".join(authority)
    if not _SHIFTED.search(wkt):
        return code
    middle = dataset.xy(dataset.height // 2, dataset.width // 2)
    there, here = (
        transformer(crs_of(crs), crs_of(GEOGRAPHIC)).transform(*middle) for crs in (wkt, code)
    )
    if not np.isfinite([there, here]).all():  # whoever looks for patches on the Earth says so
        return code
    apart = _ELLIPSOID.inv(*there, *here)[2]
    return str(wkt) if apart > _APART else code


def grid_in(dataset: rasterio.DatasetReader, name: str) -> SceneGrid:
    """Return the grid of a raster; raises SourceError for a CRS that PROJ does not know."""
    try:
        crs = _crs_text(dataset)
        crs_of(crs)
    except ProjError as error:
        raise SourceError(
            f"{dataset.name} has a CRS that PROJ does not know",
            remedy="assign another, for example with gdal_edit.py -a_srs",
        ) from error
    return SceneGrid(
        name=name,
        crs=crs,
        transform=tuple(dataset.transform)[:6],
        height=dataset.height,
        width=dataset.width,
    )
