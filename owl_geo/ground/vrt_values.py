"""Pixels of a VRT that one of its parts declares missing, and the VRT does not.

GDAL passes over them, and reads 0 there. So gdalbuildvrt makes it where the first of its files has
no no-data value and a later one has.
"""

from __future__ import annotations

import rasterio
from defusedxml.ElementTree import fromstring
from rasterio.enums import MaskFlags

_SAMPLE = 512  # pixels a side


def undeclared(dataset: rasterio.DatasetReader, band: int) -> str:
    """Return the no-data value of a part of a band, where the band has none; empty for nothing.

    And where some of its pixels are 0; at most a quarter of a million are looked at. Raises what
    rasterio does where they cannot be read.
    """
    if dataset.driver != "VRT" or dataset.mask_flag_enums[band - 1] != [MaskFlags.all_valid]:
        return ""
    text = next(iter(dataset.tags(ns="xml:VRT").values()), "<VRTDataset/>")
    parts = fromstring(text).iterfind(f"VRTRasterBand[@band='{band}']/ComplexSource")
    declared = next((text for part in parts if (text := part.findtext("NODATA"))), "")
    if not declared:
        return ""
    shape = min(dataset.height, _SAMPLE), min(dataset.width, _SAMPLE)
    return declared if (dataset.read(band, out_shape=shape) == 0).any() else ""
