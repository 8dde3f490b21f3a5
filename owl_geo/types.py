"""Plain values that several rooms share; no behaviour beyond what their fields imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]

# Called with (done, total) while long work goes on.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SceneGrid:
    """The pixel grid of one scene.

    ``transform`` holds the six affine terms ``(a, b, c, d, e, f)`` in the order of
    ``rasterio.Affine``: ``x = a*col + b*row + c`` and ``y = d*col + e*row + f``, in units of ``crs``.
    Any invertible transform is allowed: south-up and rotated scenes included.
    """

    name: str
    crs: str  # "EPSG:32631", or WKT where the CRS has no authority code
    transform: tuple[float, float, float, float, float, float]
    height: int  # rows
    width: int  # columns
