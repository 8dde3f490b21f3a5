"""Rasters of embeddings: recognised by bands and type, and their pixels made into vectors.

AlphaEarth Foundations publishes 64 bands, A00 to A63, as int8: the value is the square of
``pixel / 127.5`` with the sign of the pixel, -128 is no data, and the values of a pixel together
are a vector of unit length. TESSERA's tiles, as geotessera exports them, hold 128 bands of values.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape

import numpy as np
import rasterio
from rasterio._path import _parse_path, _vsi_path

from owl_geo.errors import SceneError
from owl_geo.sources.bands import Band
from owl_geo.sources.named_bands import setting
from owl_geo.sources.quantization import NODATA, STEP, dequantized
from owl_geo.types import EMBEDDING, AnyArray

_log = logging.getLogger("owl_geo")

_DIMENSIONS = 64
_DIMENSION = re.compile(r"A(?:[0-5]\d|6[0-3])")
_FEWEST = 8  # dimensions; fewer may be a choice of some
_UNSIGNED = {"uint8", "uint16", "uint32", "uint64"}


def _value(pixel: int) -> float:
    return float(np.sign(pixel) * (abs(pixel) / STEP) ** 2)


_LUT = ",".join(f"{pixel}:{_value(pixel)!r}" for pixel in range(-127, 128))


def values_in(pixels: AnyArray, bands: Sequence[Band]) -> AnyArray:
    """Return the values of pixels ``(n, bands, ...)`` as they are stored.

    Those of bands that are not quantized stay as they are, and so do pixels that GDAL has made
    values of already.
    """
    quantized = [band.quantized for band in bands]
    if not any(quantized) or not np.issubdtype(pixels.dtype, np.integer):
        return pixels
    if all(quantized):
        return dequantized(pixels)
    values = pixels.astype(np.float32)
    values[:, quantized] = dequantized(pixels[:, quantized])
    return values


def with_embedding(bands: Sequence[Band], scene: str) -> tuple[Band, ...]:
    """Say of bands that they are the dimensions of an embedding, and of int8 that it is quantized.

    Values with 64 such names in floating point are taken as they are. Raises SceneError where the
    pixels of an embedding can no longer be told, or where dimensions are missing.
    """
    bands = _with_tessera(bands)
    ours = {id(band) for band in bands if _DIMENSION.fullmatch(_own_name(band))}
    dimensions = [band for band in bands if id(band) in ours]
    is_whole = len({_own_name(band) for band in dimensions}) == _DIMENSIONS == len(dimensions)
    types = {band.dtype for band in dimensions}
    if not is_whole and not (dimensions and all(map(_looks_quantized, dimensions))):
        return tuple(bands)
    if not is_whole:
        raise SceneError(
            f"scene {scene!r} has {len(dimensions)} of the {_DIMENSIONS} bands of AlphaEarth, A00 "
            "to A63, which are a vector only together",
            remedy="take a file with all of them",
        )
    if types & _UNSIGNED:
        raise SceneError(
            f"scene {scene!r}: its bands A00 to A63 are {min(types & _UNSIGNED)}, which a GDAL "
            "before 3.7 makes of AlphaEarth's int8; signs and no-data value can no longer be told",
            remedy="clip the original with GDAL 3.7 or later",
        )
    return tuple(_dimension(band) if id(band) in ours else band for band in bands)


def _with_tessera(bands: Sequence[Band]) -> Sequence[Band]:
    """Say of bands that are numbered from 0 as geotessera exports them that they are dimensions."""
    names = [_own_name(band) for band in bands]
    is_whole = names == [f"Tessera_Band_{i}" for i in range(len(bands))]
    are_values = all(np.issubdtype(np.dtype(band.dtype), np.floating) for band in bands)
    if len(bands) < _FEWEST or not is_whole or not are_values:
        return bands
    return [replace(band, common=EMBEDDING) for band in bands]


def _own_name(band: Band) -> str:
    return band.description or band.name


def _looks_quantized(band: Band) -> bool:
    return band.dtype in ("int8", "int16") and band.nodata == NODATA


def _dimension(band: Band) -> Band:
    # a VRT may hold int8 in int16, as that of a warp does
    is_quantized = np.issubdtype(np.dtype(band.dtype), np.signedinteger)
    band = replace(band, common=EMBEDDING, quantized=is_quantized)
    if not is_quantized:
        return band
    # it has a value to spare for no data, so each band speaks for itself, and one for all
    return replace(band, nodata_of=(), nodata=NODATA if band.nodata is None else band.nodata)


def warn_of_lost_names(scenes: Iterable[tuple[str, Sequence[Band]]]) -> None:
    """Warn of scenes, with their names, that are like AlphaEarth but for the names of the bands.

    Programs that copy pixels alone lose them, and without them the pixels are taken for values.
    """
    for name, bands in scenes:
        known = any(band.description or band.common for band in bands)
        if len(bands) == _DIMENSIONS and not known and all(map(_may_be_quantized, bands)):
            _log.warning(
                "scene %r has %d bands of %s without names; if they are AlphaEarth's, name them "
                "A00 to A63 as names of the scene in owl.toml, so that pixels become its values",
                name,
                len(bands),
                bands[0].dtype,
            )


def _may_be_quantized(band: Band) -> bool:
    return band.dtype == "int8" or _looks_quantized(band)


def check_whole(chosen: Sequence[Band], offered: Sequence[Band], where: str) -> None:
    """Raise SceneError, which begins with ``where``, for a part of an embedding's bands."""
    count, of = (sum(band.common == EMBEDDING for band in part) for part in (chosen, offered))
    if 0 < count < of:
        raise SceneError(
            f"{where}: {setting()} names {count} of the {of} bands of an embedding, which are a "
            "vector only together",
            remedy="name all of them or none",
        )


def decoded(
    dataset: rasterio.DatasetReader, nodata: Mapping[int, float | None]
) -> rasterio.DatasetReader:
    """Return a raster of AlphaEarth as one of its values, float32, so that GDAL may average them.

    ``nodata`` has the no-data values of the quantized bands, by number. The others are as they are.
    """
    source = escape(_vsi_path(_parse_path(dataset.name)))
    terms = ", ".join(repr(term) for term in dataset.transform.to_gdal())
    bands = "".join(_vrt_band(number, source, nodata) for number in range(1, dataset.count + 1))
    return rasterio.open(
        f'<VRTDataset rasterXSize="{dataset.width}" rasterYSize="{dataset.height}">'
        f"<SRS>{escape(dataset.crs.to_wkt())}</SRS><GeoTransform>{terms}</GeoTransform>{bands}"
        "</VRTDataset>"
    )


def _vrt_band(number: int, source: str, nodata: Mapping[int, float | None]) -> str:
    whence = (
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
        f"<SourceBand>{number}</SourceBand>"
    )
    head = f'<VRTRasterBand dataType="Float32" band="{number}">'
    if number not in nodata:
        return f"{head}<SimpleSource>{whence}</SimpleSource></VRTRasterBand>"
    missing = nodata[number]
    marked = "" if missing is None else f"<NODATA>{missing:g}</NODATA>"
    return (
        f"{head}<NoDataValue>{NODATA}</NoDataValue><ComplexSource>{whence}{marked}"
        f"<LUT>{_LUT}</LUT></ComplexSource></VRTRasterBand>"
    )
