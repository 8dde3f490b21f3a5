"""Raster files: what is wrong with one, where it lies, and which bands and values it has."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np
import rasterio
from pyproj import CRS
from pyproj.exceptions import ProjError
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from owl_geo.disk.presence import check_exists, exists, is_dir, is_file
from owl_geo.errors import Fault, LayerError, OwlError, no_access
from owl_geo.ground.crs import leads_nowhere
from owl_geo.ground.cut_off import cut_off
from owl_geo.ground.grid import bounds
from owl_geo.ground.netcdf_places import misplaced_netcdf
from owl_geo.ground.raster_view import Scaling, usable_nodata
from owl_geo.settings.paths import is_local
from owl_geo.types import LARGEST, AnyArray, BoolArray, SceneGrid

# What rasterio raises for a file that is damaged or mislabelled: its own errors, those of GDAL that
# it does not translate, and ValueErrors for text that is not UTF-8 and CRSs that are not valid.
UNREADABLE = (RasterioError, CPLE_BaseError, ProjError, ValueError)
_SMALL = 2048  # pixels per side of a raster that is read whole
_WINDOW, _WINDOWS = 256, 8  # pixels per side of a window, windows per side of a larger raster
# formats that few builds of GDAL read, by their endings
_RARE = {".ecw": "ECW", ".sid": "MrSID", ".hdf": "HDF4"}
_FARTHEST = 1e12  # no coordinate on Earth is larger, whatever the unit; as in vector.py


def open_layer(path: str) -> rasterio.DatasetReader:
    """Open a georeferenced raster; raises LayerError if it cannot be opened or is not one."""
    if is_local(path):
        check_exists(path, LayerError)
    check_is_file(path, LayerError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it becomes an error below
            dataset = rasterio.open(path)
        faults = (cut_off, misplaced, misread, complex_pixels)
        fault = next(filter(None, (find(dataset) for find in faults)), None)
        if not fault and (nowhere := leads_nowhere(CRS.from_user_input(dataset.crs))):
            fault = Fault(f"lies nowhere: {nowhere}", "assign the right one first")
    except UNREADABLE as error:
        raise LayerError(
            f"cannot open the raster {path}: {str(error).removesuffix('.')}",
            remedy=advice_on_format(path),
        ) from error
    if fault:
        dataset.close()
        raise LayerError(f"{path} {fault.what}", remedy=fault.remedy)
    return dataset


def advice_on_format(path: str) -> str:
    """Return what to do with a file that GDAL does not open."""
    driver = _RARE.get(Path(path).suffix.lower())
    with rasterio.Env() as environment:
        if driver is not None and driver not in environment.drivers():
            return (
                f"by its name it is of the format {driver}, which the GDAL of rasterio does not "
                "read: make a GeoTIFF of it, for example with another program's gdal_translate"
            )
    return "open it in QGIS to see what it is, or fetch it anew"


def nodata_among(path: str, values: Collection[float]) -> list[float]:
    """Return those of some values of a raster's first band that it declares to be no data.

    The values are as the header scales them. Raises LayerError where the raster cannot be opened.
    """
    with open_layer(path) as dataset:
        nodata = usable_nodata(dataset.dtypes[0], dataset.nodatavals[0])
        if nodata is None:
            return []
        scaled = Scaling.of(dataset, 1).values(np.array([nodata], dtype=dataset.dtypes[0]))
    return [value for value in values if value == scaled[0]]


def check_is_file(path: str, error: type[OwlError]) -> None:
    """Raise ``error`` for a path that exists but is neither file nor folder, such as a pipe.

    For one of which nobody can tell, too.
    """
    if not is_local(path):
        return
    try:
        is_something_else = exists(path) and not (is_file(path) or is_dir(path))
    except OSError as refused:
        fault = no_access(path, refused)
        raise error(fault.what, remedy=fault.remedy) from refused
    if is_something_else:
        raise error(f"{path} is not a file")  # GDAL would wait until somebody writes to it


def misplaced(dataset: rasterio.DatasetReader) -> Fault | None:
    """Return why a raster is not georeferenced, and what to do; None if it is georeferenced."""
    warp = "warp it first, for example with gdalwarp"
    if dataset.crs is None and dataset.gcps[0]:
        return Fault("has ground control points instead of a grid", warp)
    if dataset.crs is None and dataset.rpcs is not None:
        return Fault("has RPCs instead of a grid", f"{warp} -rpc")
    if dataset.crs is None:
        return Fault("has no CRS", "assign one, for example with gdal_edit.py -a_srs")
    transform = dataset.transform
    if transform.is_identity or transform.determinant == 0:
        return Fault(
            "has a CRS but no position on the map (no geotransform)",
            "georeference it first, for example with gdalwarp",
        )
    terms = ", ".join(f"{term:g}" for term in tuple(transform)[:6])
    with np.errstate(all="ignore"):
        is_on_earth = all(abs(end) < _FARTHEST for end in extent(dataset))  # False for NaN
    if not is_on_earth:
        what = f"has a geotransform that leads off the Earth ({terms})"
        return Fault(what, "georeference it first")
    return misplaced_netcdf(dataset)


def misread(dataset: rasterio.DatasetReader) -> Fault | None:
    """Return why GDAL does not read a raster rightly, and what to do; None where it does.

    Before 3.12, a window of a raster tile index that begins where a tile ends reads as missing.
    """
    version = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])
    if dataset.driver != "GTI" or version >= (3, 12):
        return None
    return Fault(
        f"is a raster tile index, which GDAL {rasterio.__gdal_version__} reads wrongly where tiles "
        "end",
        "make a VRT of its tiles, with gdalbuildvrt",
    )


def complex_pixels(dataset: rasterio.DatasetReader) -> Fault | None:
    """Return that pixels are complex, as radar's may be, and what to do; None if they are not."""
    for dtype in dataset.dtypes:
        if dtype.startswith("complex"):
            return Fault(f"has complex pixels ({dtype})", "make real bands of them first")
    return None


def extent(dataset: rasterio.DatasetReader) -> tuple[float, float, float, float]:
    """Return minimum x and y, then maximum x and y; rasterio's own swaps y in south-up rasters."""
    transform = tuple(dataset.transform)[:6]
    return bounds(SceneGrid("", "", transform, dataset.height, dataset.width))


def beyond(path: str) -> float:
    """Return the value that a raster's first band reads as beyond the raster: no data, else 0.

    Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with open_layer(path) as dataset:
        return usable_nodata(dataset.dtypes[0], dataset.nodatavals[0]) or 0.0


def band_names(path: str) -> list[str]:
    """Return what the bands of a raster are called, by number where they are not described.

    An alpha band is none. Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with open_layer(path) as dataset:
        pairs = zip(dataset.descriptions, dataset.colorinterp, strict=True)
        return [
            (text or "").strip() or str(number)
            for number, (text, colour) in enumerate(pairs, start=1)
            if colour != ColorInterp.alpha
        ]


def tells_missing(path: str) -> bool:
    """Return whether a raster of one band can tell missing pixels from others.

    Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with open_layer(path) as dataset:
        return MaskFlags.all_valid not in dataset.mask_flag_enums[0]


def value_shares(path: str, values: Collection[int]) -> dict[int, float]:
    """Return the share of a raster's pixels with each value, from a sample if it is large."""
    pixels, _ = _sample(path)
    return {value: float((pixels == value).mean()) for value in values}


def values_of(path: str) -> AnyArray:
    """Return the values that a raster has, ascending; of a sample where it is large."""
    with open_layer(path) as dataset:
        scaling = Scaling.of(dataset, 1)
    pixels, valid = _sample(path)
    return scaling.values(np.unique(pixels[valid]))


def spread_windows(height: int, width: int, edge: int, per_side: int) -> list[Window]:
    """Return windows of at most ``edge`` pixels a side, spread evenly over a raster, as a grid."""
    tall, wide = min(height, edge), min(width, edge)
    rows, cols = (
        np.unique(np.linspace(0, size - side, per_side).astype(int)).tolist()
        for size, side in ((height, tall), (width, wide))
    )
    return [Window(col, row, wide, tall) for row in rows for col in cols]


def _sample(path: str) -> tuple[AnyArray, BoolArray]:
    """Return pixels of the first band, ``(n,)``, and where they have data; of a large one, some.

    It is read in windows. Thinned out, GDAL would take it from overviews, which may hold averages;
    those of a JPEG 2000 always do, even with ``nearest``. Raises LayerError.
    """
    with open_layer(path) as dataset:
        if max(dataset.shape) <= _SMALL:
            windows = [Window(0, 0, dataset.width, dataset.height)]
        else:
            windows = spread_windows(dataset.height, dataset.width, _WINDOW, _WINDOWS)
        try:
            parts = [
                (dataset.read(1, window=window), dataset.read_masks(1, window=window) != 0)
                for window in windows
            ]
        except UNREADABLE as error:
            raise LayerError(
                f"cannot read {path} (is the file whole?): {error.__cause__ or error}"
            ) from error
    pixels, valid = (
        np.concatenate([part.ravel() for part in each]) for each in zip(*parts, strict=True)
    )
    return pixels, valid & (np.abs(pixels.astype(np.float64)) <= LARGEST)


def is_raster(path: str | Path) -> bool:
    """Return whether GDAL opens the file as a raster; raises LayerError if it does not exist."""
    if is_local(str(path)):
        check_exists(path, LayerError)
    check_is_file(str(path), LayerError)
    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count)
    except UNREADABLE:
        return False
