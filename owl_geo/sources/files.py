"""Raster files: opening them, and the bands that their headers speak of."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Geod
from pyproj.exceptions import ProjError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from owl_geo.disk.suffixes import PARQUET
from owl_geo.errors import Fault, SourceError, where_instead
from owl_geo.ground.cut_off import cut_off, is_known_whole
from owl_geo.ground.netcdf_places import misplaced_netcdf
from owl_geo.ground.projections import GEOGRAPHIC, crs_of, transformer
from owl_geo.ground.raster_files import UNREADABLE, check_is_file, complex_pixels, misplaced
from owl_geo.settings.paths import is_local
from owl_geo.settings.subdatasets import is_subdataset
from owl_geo.sources.arrays.layout import ARRAY, ARRAYS, is_land_mask
from owl_geo.sources.band_orders import band_order, contradicts
from owl_geo.sources.bands import Band, distinct
from owl_geo.sources.editions import edition_of
from owl_geo.sources.scene_dates import date_in_tags
from owl_geo.sources.sensors import SENSOR_TAG
from owl_geo.sources.wavelengths import UNIT_TAGS, WAVELENGTH_TAGS, by_wavelength, nanometres
from owl_geo.types import SceneGrid

_ELLIPSOID = Geod(ellps="WGS84")
_SHIFTED = re.compile(r"TOWGS84\[|BOUNDCRS\[")
_APART = 5.0  # metres, by which two good transformations of one datum may differ
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


_WIDEST = 2000.0  # nm; GDAL 3.10 takes ENVI's widths for those of its wavelengths' unit
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


CUBE = "a data cube? add --source cube (a view takes GeoTIFFs)"
_CUBES = (".nc", ".nc4", ".netcdf", ".cdf", ".h5", ".hdf5", ".zarr", ".zarr.zip")
_STORES = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")


def looks_like_cube(path: str) -> bool:
    """Return whether a path is one of NetCDF or Zarr, by its name or by what lies in it."""
    local = is_local(path) and Path(path).is_dir()
    return path.lower().rstrip("/").endswith(_CUBES) or (
        local and any((Path(path) / name).exists() for name in _STORES)
    )


TABLE = "a table of vectors? add --source vectors (it cannot be a view)"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_VECTORS = (".gpkg", ".shp", ".geojson", ".kml", ".osm", ".pbf", ".gz", ".bz2", ".fgb")


def _advice(path: str) -> str:
    """Return what may be meant by a file that is not a raster."""
    if looks_like_cube(path):
        return CUBE
    if path.lower().endswith(PARQUET):
        return TABLE
    if path.lower().endswith(ARRAY):
        return ARRAYS
    if ".gti." in Path(path).name.lower():
        return f"rewrite the tile index as a GeoPackage: ogr2ogr {Path(path).stem}.gpkg {path}"
    if path.lower().endswith(_VECTORS):
        return "by its name it is a vector layer: --osm, --oracle and --aoi take those"
    if path.lower().endswith(_ARCHIVES):
        kind = "vsizip" if path.lower().endswith(".zip") else "vsitar"
        inside = path if path.startswith(f"/{kind}/") else f"/{kind}/{path}"
        return f"unpack it and name the folder, or name a raster in it: {inside}/FILE"
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
    grid = grid_in(dataset, Path(path).stem)
    waves = [_wavelength(dataset, i) for i in range(1, dataset.count + 1)]
    widths = [_width(dataset, i) for i in range(1, dataset.count + 1)]
    tags = _tags(dataset)
    colours = _colours(dataset, by_wavelength(waves, widths))
    shown = _by_product(dataset, Path(path).stem, tags, colours)
    names = _names(dataset, () if contradicts(shown, colours) else colours, prefix)
    about, taken, edition = _about(tags), date_in_tags(tags), edition_of(tags)
    # each of these asks all bands anew, which would be thousands of times for an embedding's
    interpreted, descriptions = dataset.colorinterp, dataset.descriptions
    dtypes, blocks, nodata = dataset.dtypes, dataset.block_shapes, dataset.nodatavals
    scales, offsets, masks = dataset.scales, dataset.offsets, dataset.mask_flag_enums
    alpha = list(map(_is_alpha, descriptions, interpreted))
    called_alpha = ColorInterp.alpha in interpreted
    bad, is_whole = _bad_bands(dataset), is_known_whole(dataset)
    no_mask = _ENTIRE_BUT_ALPHA if called_alpha and not any(alpha) else _ENTIRE
    bands = tuple(
        Band(
            name=names[i],
            path=path,
            number=i + 1,
            grid=grid,
            dtype=dtypes[i],
            driver=dataset.driver,
            blocks=blocks[i],
            nodata=nodata[i],
            scale=scales[i],
            offset=offsets[i],
            masked=any(alpha) or not set(masks[i]) <= no_mask,
            alpha=alpha[i],
            palette=interpreted[i] == ColorInterp.palette,
            is_whole=is_whole,
            bad=i in bad,
            wavelength=waves[i],
            width=widths[i],
            colour=_COLOURS.get(interpreted[i]),
            shown=shown[i],
            about=about,
            edition=edition,
            description=(descriptions[i] or "").strip() if prefix else "",
            taken=taken,
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


def _names(
    dataset: rasterio.DatasetReader, colours: Sequence[str | None], prefix: str
) -> list[str]:
    """Return one name per band, all different."""
    if prefix and dataset.count == 1:
        return [prefix]
    colours = colours or [None] * dataset.count
    names = [
        (text or "").strip() or _variable(dataset, i) or colour or _numbered(i, shown)
        for i, (text, colour, shown) in enumerate(
            zip(dataset.descriptions, colours, dataset.colorinterp, strict=True), start=1
        )
    ]
    names = distinct(names)
    return [f"{prefix}_{name}" for name in names] if prefix else names


def _variable(dataset: rasterio.DatasetReader, i: int) -> str:
    """Return the variable of NetCDF that band ``i`` of a subdataset is, empty for anything else.

    Else red and near infrared of one file would both be called ``band_1``, as if they were one.
    """
    return dataset.tags(i).get("NETCDF_VARNAME", "") if is_subdataset(dataset.name) else ""


def _bad_bands(dataset: rasterio.DatasetReader) -> set[int]:
    """Return the positions of bands that ENVI's list of bad bands (bbl) has with 0."""
    if dataset.driver != "ENVI":
        return set()
    words = re.split(r"[\s,]+", dataset.tags(ns="ENVI").get("bbl", "").strip("{} \n"))
    return {i for i, word in enumerate(words) if re.fullmatch(r"0+(\.0*)?", word)}


def _colours(dataset: rasterio.DatasetReader, by_wave: Sequence[str | None]) -> list[str | None]:
    """Return the colours in which the bands are shown, as far as they say what the bands are.

    Any image of three bands may be shown in red, green and blue, one in false colour too: GDAL
    writes so of its own accord, and so do ENVI's default bands. They count where a file says
    nothing else, or the same.
    """
    colours = [_COLOURS.get(colour) for colour in dataset.colorinterp]
    if any(by_wave):
        return [
            colour if colour == wave else None
            for colour, wave in zip(colours, by_wave, strict=True)
        ]
    texts = [(text or "").strip() for text in dataset.descriptions]
    says_nothing = all(
        text.casefold() in ("", "alpha", colour or "") or _is_position(text, i)
        for i, (text, colour) in enumerate(zip(texts, colours, strict=True), start=1)
    )
    return colours if says_nothing else [None] * len(colours)


def _by_product(
    dataset: rasterio.DatasetReader,
    stem: str,
    tags: Mapping[str, str],
    colours: Sequence[str | None],
) -> Sequence[str | None]:
    """Return what the bands are by their product, if it is known and its file says nothing itself.

    Else the colours in which they are shown.
    """
    texts = [(text or "").strip() for text in dataset.descriptions]
    is_described = any(text and not _is_position(text, i) for i, text in enumerate(texts, start=1))
    if is_described or ColorInterp.alpha in dataset.colorinterp:
        return colours
    return band_order(stem, tags, dataset.count) or colours


def _is_position(text: str, number: int) -> bool:
    """Return whether a description only counts, as programs write it: ``Band 1``."""
    return bool(re.fullmatch(rf"(?:band|layer|channel)[ _]?0*{number}", text.casefold()))


def _wavelength(dataset: rasterio.DatasetReader, i: int) -> float | None:
    """Return the centre wavelength of band ``i`` in nanometres, None where the file has none.

    GDAL's own way of saying it goes before what formats and programs write among a band's tags.
    """
    micrometres = dataset.tags(i, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    if micrometres is not None:
        return nanometres(micrometres, "um")
    tags = {key.casefold(): value for key, value in dataset.tags(i).items()}
    unit = next((tags[key] for key in UNIT_TAGS if key in tags), None)
    values = (nanometres(tags[key], unit) for key in WAVELENGTH_TAGS if key in tags)
    return next((value for value in values if value is not None), None)


def _width(dataset: rasterio.DatasetReader, i: int) -> float | None:
    """Return the full width at half maximum of band ``i`` in nanometres, None where unknown."""
    try:
        width = 1000 * float(dataset.tags(i, ns="IMAGERY").get("FWHM_UM", "nan"))
    except ValueError:
        return None
    return width if 0 < width < _WIDEST else None


def _tags(dataset: rasterio.DatasetReader) -> dict[str, str]:
    """Return what the file, and what GDAL reads beside it, say of the image as a whole."""
    domains = (None, "IMD", "ENVI", "IMAGERY")
    return {key: value for ns in domains for key, value in dataset.tags(ns=ns).items()}


def _about(tags: Mapping[str, str]) -> str:
    """Return what the file's tags say of satellite and sensor."""
    return " ".join(value for key, value in tags.items() if SENSOR_TAG.search(key))


def _is_alpha(description: str | None, interpreted: ColorInterp) -> bool:
    """Return whether a band is a mask, not a fourth band of data, which GDAL colours alike.

    Whoever described it as something else, for example near infrared, meant data.
    """
    described = (description or "").strip().lower()
    return interpreted == ColorInterp.alpha and described in ("", "alpha")


def _numbered(number: int, colour: ColorInterp) -> str:
    return "alpha" if colour == ColorInterp.alpha else f"band_{number}"
