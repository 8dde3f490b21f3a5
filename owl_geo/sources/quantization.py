"""The values that the integers of AlphaEarth's embeddings stand for, and back.

AlphaEarth Foundations publishes int8: the value is the square of ``pixel / 127.5`` with the sign of
the pixel, and -128 is no data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import AnyArray, FloatArray

NODATA = -128
STEP = 127.5
_AT_ONCE = 2**15  # pixels whose values a cache holds


def dequantized(pixels: AnyArray) -> FloatArray:
    """Return the values of integers, in any shape; of no data, any."""
    if pixels.dtype != np.int8:
        return values_of(pixels.astype(np.float32))
    values = np.empty(pixels.shape, dtype=np.float32)
    stored, flat = pixels.reshape(-1), values.reshape(-1)
    for start in range(0, len(flat), _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        part[:] = stored[start : start + _AT_ONCE]
        # whole numbers, of which float32 holds the product: only the division rounds
        part *= np.abs(part)
        part /= np.float32(STEP**2)
    return values


def values_of(pixels: FloatArray) -> FloatArray:
    """Return the values of pixels as floats, not-a-number where they are."""
    values: FloatArray = np.sign(pixels) * (pixels / np.float32(STEP)) ** 2
    return values


def requantized(values: FloatArray) -> NDArray[np.int8] | None:
    """Return the integers of which values are ``dequantized``; None where any is not such a one."""
    with np.errstate(invalid="ignore"):
        pixels = np.rint(np.sqrt(np.abs(values)) * np.float32(STEP))
        if not (pixels < STEP).all():  # not-a-number neither
            return None
    integers = np.copysign(pixels, values).astype(np.int8)
    return integers if np.array_equal(dequantized(integers), values) else None
