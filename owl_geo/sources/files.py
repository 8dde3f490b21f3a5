"""Raster files: opening them, and the bands that their headers speak of."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from owl_geo.errors import SourceError, where_instead
from owl_geo.ground.projections import crs_of
from owl_geo.ground.raster import UNREADABLE, check_is_file, misplaced
from owl_geo.settings.owl_toml import is_local
from owl_geo.sources.bands import Band, distinct
from owl_geo.types import SceneGrid

_COLOURS = {
    ColorInterp.coastal: "coastal",
    ColorInterp.blue: "blue",
    ColorInterp.green: "green",
    ColorInterp.red: "red",
    ColorInterp.nir: "nir",
    ColorInterp.pan: "pan",
}
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
    if is_local(path) and not Path(path).exists():
        raise SourceError(f"{path} does not exist", remedy=where_instead(path))
    check_is_file(path, SourceError)
    options = {"num_threads": threads} if threads else {}
    try:
        return rasterio.open(path, **options)
    except UNREADABLE as error:
        reason = str(error).rstrip(".")
        raise SourceError(
            f"cannot open {path} as a raster: {reason}", remedy=_advice(path)
        ) from error


CUBE = "a data cube? add --source cube"
_CUBES = (".nc", ".nc4", ".netcdf", ".cdf", ".h5", ".hdf5", ".zarr", ".zarr.zip")
_STORES = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")


def looks_like_cube(path: str) -> bool:
    """Return whether a path is one of NetCDF or Zarr, by its name or by what lies in it."""
    local = is_local(path) and Path(path).is_dir()
    return path.lower().rstrip("/").endswith(_CUBES) or (
        local and any((Path(path) / name).exists() for name in _STORES)
    )


_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_VECTORS = (".gpkg", ".shp", ".geojson", ".kml", ".osm", ".pbf", ".gz", ".bz2", ".fgb")


def _advice(path: str) -> str:
    """Return what may be meant by a file that is not a raster."""
    if looks_like_cube(path):
        return CUBE
    if ".gti." in Path(path).name.lower():
        return f"rewrite the tile index as a GeoPackage: ogr2ogr {Path(path).stem}.gpkg {path}"
    if path.lower().endswith(_VECTORS):
        return "by its name it is a vector layer: --osm, --oracle and --aoi take those"
    if path.lower().endswith(_ARCHIVES):
        kind = "vsizip" if path.lower().endswith(".zip") else "vsitar"
        return f"unpack it and name the folder, or name a raster in it: /{kind}/{path}/FILE"
    return "open it in QGIS to see what it is, or fetch it anew"


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
    grid = _grid(dataset, Path(path).stem)
    names = _names(dataset, prefix)
    alpha = [_is_alpha(dataset, i) for i in range(dataset.count)]
    called_alpha = ColorInterp.alpha in dataset.colorinterp
    bad = _bad_bands(dataset)
    no_mask = _ENTIRE_BUT_ALPHA if called_alpha and not any(alpha) else _ENTIRE
    bands = tuple(
        Band(
            name=names[i],
            path=path,
            number=i + 1,
            grid=grid,
            dtype=dataset.dtypes[i],
            driver=dataset.driver,
            blocks=dataset.block_shapes[i],
            nodata=dataset.nodatavals[i],
            scale=dataset.scales[i],
            offset=dataset.offsets[i],
            masked=any(alpha) or not set(dataset.mask_flag_enums[i]) <= no_mask,
            alpha=alpha[i],
            common=_COLOURS.get(dataset.colorinterp[i]),
            bad=i in bad,
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
        hint = f"; name one of its subdatasets, for example {inside}" if inside else ""
        hint = f"; {CUBE}" if looks_like_cube(path) else hint
        raise SourceError(f"{path} has no bands of its own{hint}")
    fault = misplaced(dataset)
    if fault and looks_like_cube(path):
        fault = f"does not lie on the map as a raster; {CUBE}"
    if fault:
        raise SourceError(f"{path} {fault}")
    for dtype in dataset.dtypes:
        if dtype.startswith("complex"):
            raise SourceError(
                f"{path} has complex pixels ({dtype})", remedy="make real bands of them first"
            )


def check_pixels(band: Band) -> None:
    """Raise SourceError where pixels make no values, or cannot be held while they are decoded."""
    terms = np.array([band.scale, band.offset])
    dtype = np.dtype(band.dtype)
    largest = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0
    if not (np.abs(terms) * [float(largest), 1.0] < np.finfo(np.float32).max).all():
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


def _grid(dataset: rasterio.DatasetReader, name: str) -> SceneGrid:
    # only an exact match: a nearly right code would shift the footprints
    # files of older programs spell a CRS out, a little off; GDAL and QGIS too take the likely code
    authority = dataset.crs.to_authority()
    crs = ":".join(authority) if authority else dataset.crs.to_wkt()
    try:
        crs_of(crs)
    except CRSError as error:
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


def _names(dataset: rasterio.DatasetReader, prefix: str) -> list[str]:
    """Return one name per band, all different."""
    if prefix and dataset.count == 1:
        return [prefix]
    names = [
        (text or "").strip() or _COLOURS.get(colour) or _numbered(i, colour)
        for i, (text, colour) in enumerate(
            zip(dataset.descriptions, dataset.colorinterp, strict=True), start=1
        )
    ]
    names = distinct(names)
    return [f"{prefix}_{name}" for name in names] if prefix else names


def _bad_bands(dataset: rasterio.DatasetReader) -> set[int]:
    """Return the positions of bands that ENVI's list of bad bands (bbl) has with 0."""
    if dataset.driver != "ENVI":
        return set()
    words = re.split(r"[\s,]+", dataset.tags(ns="ENVI").get("bbl", "").strip("{} \n"))
    return {i for i, word in enumerate(words) if re.fullmatch(r"0+(\.0*)?", word)}


def _is_alpha(dataset: rasterio.DatasetReader, i: int) -> bool:
    """Return whether band ``i`` is a mask, not a fourth band of data, which GDAL colours alike.

    Whoever described it as something else, for example near infrared, meant data.
    """
    described = (dataset.descriptions[i] or "").strip().lower()
    return dataset.colorinterp[i] == ColorInterp.alpha and described in ("", "alpha")


def _numbered(number: int, colour: ColorInterp) -> str:
    return "alpha" if colour == ColorInterp.alpha else f"band_{number}"
