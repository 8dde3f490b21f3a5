"""What a NetCDF file says of missing pixels, and GDAL does not heed.

GDAL takes one no-data value, that of ``_FillValue`` or else ``missing_value``. CF has a valid range
besides, both of these at once, and signed bytes that are to be read as unsigned. Where both ends of
a range are given and no no-data value, GDAL reads 0 in place of what is beyond them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import rasterio

from owl_geo.types import AnyArray, BoolArray

_SAMPLE = 512  # pixels a side
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_LIMITS = ("valid_range", "valid_min", "valid_max")


def unheeded(dataset: rasterio.DatasetReader, band: int) -> str:
    """Return what a file says against pixels of a band that GDAL takes for data; empty for nothing.

    Such as ``"valid_min = 0"``. At most a quarter of a million pixels are looked at. Raises what
    rasterio does where they cannot be read.
    """
    if dataset.driver != "netCDF":
        return ""
    tags = dataset.tags(band)
    dtype = np.dtype(dataset.dtypes[band - 1])
    if tags.get("_Unsigned", "").casefold() == "true" and dtype.kind == "i":
        return "_Unsigned = true"
    stated = {
        name: tags[name] for name in (*_LIMITS, "missing_value", "_FillValue") if name in tags
    }
    if not stated:
        return ""
    shape = min(dataset.height, _SAMPLE), min(dataset.width, _SAMPLE)
    pixels = dataset.read(band, out_shape=shape)
    data = dataset.read_masks(band, out_shape=shape) != 0
    terms = dataset.scales[band - 1], dataset.offsets[band - 1]
    if dataset.nodatavals[band - 1] is None and pixels.dtype.kind in "iu":
        ends = "valid_range" in stated or {"valid_min", "valid_max"} <= stated.keys()
        if ends and (pixels == 0).any():
            return next(f"{name} = {_shown(stated[name])}" for name in _LIMITS if name in stated)
    against = (
        f"{name} = {_shown(text)}"
        for name, text in stated.items()
        if (_missing(name, _numbers(stated, name), text, pixels, terms) & data).any()
    )
    return next(against, "")


def _shown(text: str) -> str:
    return text.strip("{}").replace(",", ", ")


def _numbers(stated: Mapping[str, str], name: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(stated[name])]


def _missing(
    name: str, numbers: list[float], text: str, pixels: AnyArray, terms: tuple[float, float]
) -> BoolArray:
    """Return which pixels are missing by an attribute."""
    none = np.zeros(pixels.shape, dtype=bool)
    if name not in _LIMITS:
        with np.errstate(over="ignore"):
            for number in numbers:
                # a value of double precision stands for the nearest one that pixels can hold
                none |= pixels == (
                    number if pixels.dtype.kind in "iu" else pixels.dtype.type(number)
                )
        return none
    if len(numbers) != (2 if name == "valid_range" else 1):
        return none
    values: AnyArray = pixels
    if pixels.dtype.kind in "iu" and terms != (1.0, 0.0) and re.search("[.e]", text):
        values = pixels * terms[0] + terms[1]  # by CF, limits may be in the units of values
    least = numbers[0] if name != "valid_max" else -np.inf
    greatest = numbers[-1] if name != "valid_min" else np.inf
    if least > greatest:
        return none
    beyond: BoolArray = (values < least) | (values > greatest)
    return beyond
