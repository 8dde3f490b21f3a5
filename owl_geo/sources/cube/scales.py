"""Scales that lie beside quantized vectors, as TESSERA's stores have them.

A vector is int8 along the band axis, times one number a pixel. Where this is not a finite number
there is no vector, and nothing else says so: every value of int8 is one that a vector may have.
TESSERA's stores mean more by their scales, see ``scales_that_count``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from owl_geo.sources.cube.axes import Axes
from owl_geo.sources.tessera import scales_that_count
from owl_geo.types import AnyArray, FloatArray

_FEWEST = 8  # dimensions of a vector
_TESSERA = ("embeddings", "scales")  # what its stores call the two; their groups say no more


def scales_of(dataset: xr.Dataset, axes: Mapping[Hashable, Axes]) -> dict[Hashable, Hashable]:
    """Return the variables that hold quantized vectors, each with that of its scales."""
    return {
        key: name
        for key, own in axes.items()
        for name in ("scales", f"{key}_scales")
        if name in axes and own.band is not None and _fits(dataset, key, name, own.band)
    }


def _fits(dataset: xr.Dataset, key: Hashable, name: str, band: Hashable) -> bool:
    vectors, scales = dataset[key], dataset[name]
    return (
        stored_type(vectors) == np.int8
        and vectors.sizes[band] >= _FEWEST
        and bool(np.issubdtype(scales.dtype, np.floating))
        and set(scales.dims) == set(vectors.dims) - {band}
    )


def stored_type(variable: xr.DataArray) -> np.dtype[np.generic]:
    """Return the type of a variable's pixels before missing ones became not-a-number.

    Where a scale or an offset was applied, it is that of the values.
    """
    encoding = variable.encoding
    is_packed = "scale_factor" in encoding or "add_offset" in encoding
    return np.dtype(variable.dtype if is_packed else encoding.get("dtype", variable.dtype))


def scaled(
    pixels: AnyArray, scales: AnyArray, fill: float | None, names: tuple[Hashable, Hashable]
) -> FloatArray:
    """Return the values of pixels, not-a-number where there is no scale.

    ``fill`` is what was taken for missing before anybody asked for the scales; it is a value.
    ``names`` are those of the two variables.
    """
    values: FloatArray = pixels.astype(np.float32)
    if fill is not None:
        values = np.where(np.isnan(values), np.float32(fill), values)
    there = scales_that_count(scales) if names == _TESSERA else np.isfinite(scales)
    factors = np.where(there, scales, np.nan).astype(np.float32)
    return np.asarray(values * factors)
