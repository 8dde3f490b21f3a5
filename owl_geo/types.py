"""Plain values that several rooms share; no behaviour beyond what their fields imply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]


@dataclass(frozen=True)
class SceneGrid:
    """The pixel grid of one scene.

    ``transform`` holds the six affine terms ``(a, b, c, d, e, f)`` in the order of
    ``rasterio.Affine``: ``x = a*col + b*row + c``, ``y = d*col + e*row + f``, in units of ``crs``.
    Any invertible transform is allowed, including those of south-up and rotated scenes.
    """

    name: str
    crs: str  # "EPSG:32631", or WKT if the CRS has no authority code
    transform: tuple[float, float, float, float, float, float]
    height: int  # rows
    width: int  # columns


@dataclass(frozen=True)
class FailedScene:
    """A scene that was left out, and the reason in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class BandStatistics:
    """Robust centre and spread of each band over a sample of the pool, float32 ``(bands,)``."""

    bands: tuple[str, ...]
    median: FloatArray
    scale: FloatArray  # interquartile range / 1.349, as for a normal distribution; never 0
    n_patches: int  # size of the sample
    # what each band is: red, nir, ...; None where unknown, empty where only the names tell
    common_names: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One annotator's label for one patch."""

    patch_id: str
    label: str | None  # a class, "unsure" or "skip"; None withdraws the annotator's earlier answer
    annotator: str
    labelled_at: str  # UTC, "2026-01-31T12:00:00Z"
    batch_id: str
    round: int
    comment: str | None = None
    stamped: bool = True  # False: the annotator gave no time; labelled_at is when it was ingested


@dataclass(frozen=True)
class ShownRaster:
    """One raster of a view as QGIS shows it: which of its bands, and between which values.

    The values are those that GDAL reads, with the scale and the offset in the file's header.
    """

    view: str
    paths: tuple[str, ...]  # as GDAL opens them: one file, or a file for each of the bands
    bands: tuple[int, ...]  # red, green and blue, or one in grey; numbers within the files, from 1
    stretch: tuple[tuple[float, float], ...]  # of each band, what is black and what is brightest
