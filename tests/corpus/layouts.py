"""What a layout of the corpus is: a maker of small files, and what is right to read from them.

Pixels hold a code of their band, row and column, so that a value says where it was read. What is
right is computed from what the makers wrote, with plain rasterio, xarray and numpy, and never with
owl-geo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.transform import from_origin
from scipy.ndimage import map_coordinates

SIZE = 48  # pixels of the finest grid, high and wide
PATCH = 16
CRS = "EPSG:32632"
ORIGIN = (500_000.0, 5_100_000.0)

AS_STORED = "as stored"
REFLECTANCE = "reflectance"
NORTH_UP = "as the file says"


@dataclass(frozen=True)
class Plane:
    """One band as it is stored: its pixels on its own grid, and how they become values."""

    pixels: NDArray[Any]  # (height, width), the first row as stored
    transform: Affine
    scale: float = 1.0
    offset: float = 0.0
    missing: NDArray[np.bool_] | None = None  # of these pixels; None where none is

    def values_at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """Return the values at coordinates, bilinear; NaN where a pixel that counts is missing."""
        col, row = ~self.transform @ (x, y)
        pixels = self.pixels.astype(np.float64)
        if self.missing is not None:
            pixels[self.missing] = np.nan
        # coordinates of centres that are whole in truth must not reach for a neighbour
        at = np.round(np.stack([row, col]) - 0.5, 6)
        shape = np.array(pixels.shape)[:, None, None] - 1
        return self.scale * _bilinear(pixels, np.clip(at, 0, shape)) + self.offset

    def missing_at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether the pixels that hold the coordinates are missing."""
        if self.missing is None:
            return np.zeros(x.shape, dtype=np.bool_)
        col, row = ~self.transform @ (x, y)
        return self.missing[np.floor(row).astype(int), np.floor(col).astype(int)]


def _bilinear(pixels: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    values = map_coordinates(np.nan_to_num(pixels), at, order=1, mode="nearest")
    holes = map_coordinates(np.isnan(pixels).astype(float), at, order=1, mode="nearest")
    return np.where(holes > 1e-9, np.nan, values)


@dataclass(frozen=True)
class Made:
    """What a maker made, and what is right to read from it."""

    scene: str  # as it is named on the command line
    planes: tuple[Plane, ...]  # in the order of the layout's bands
    masks: tuple[Plane, ...] = ()  # whose missing pixels are bad whatever the bands hold
    crs: str = CRS

    @property
    def grid(self) -> Plane:
        """The plane with the smallest pixels, on whose grid the scene is read."""
        return min(self.planes, key=lambda plane: abs(plane.transform.a))

    def is_coarse(self, number: int) -> bool:
        """Return whether a band has larger pixels than the scene."""
        return abs(self.planes[number].transform.a) > abs(self.grid.transform.a)

    def missing_at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether pixels are missing in any band on the scene's own grid, or masked."""
        own = [plane for i, plane in enumerate(self.planes) if not self.is_coarse(i)]
        missing: NDArray[np.bool_] = np.any([p.missing_at(x, y) for p in (*own, *self.masks)], 0)
        return missing


@dataclass(frozen=True)
class Layout:
    """A product or a library's files: how they are made, and how they are to be read."""

    name: str
    make: Callable[[Path], Made]  # into a folder of its own
    bands: Mapping[str, str | None]  # by name, with the common name; None where it has none
    values: str = AS_STORED
    missing: str = "the file's no-data value"
    position: str = NORTH_UP
    options: tuple[str, ...] = field(default=())  # of `init`

    def __str__(self) -> str:
        return self.name


# --- pixels ---------------------------------------------------------------------------------------


def coded(band: int, dtype: str = "uint16", size: int = SIZE) -> NDArray[Any]:
    """Return ``(size, size)``: linear in row and column, so that what lies between two is known.

    Every pixel of 16 bits has a number of its own, also among the bands; of 8 bits, any shift but
    by (3, -2) pixels and its multiples changes the numbers.
    """
    row, col = np.mgrid[:size, :size]
    if np.dtype(dtype).itemsize == 1:
        first = 1 if dtype == "uint8" else -126
        return (first + 4 * (band % 4) + 2 * row + 3 * col).astype(dtype)
    return (1000 + 2500 * band + 50 * row + col).astype(dtype)


def hole(size: int = SIZE) -> NDArray[np.bool_]:
    """Return which pixels have no data: the same ground whatever the size of a pixel."""
    row, col = (np.mgrid[:size, :size] + 0.5) / size
    return (row < 3 / 8) & (col < 1 / 8)


def cloud(size: int = SIZE) -> NDArray[np.bool_]:
    """Return which pixels are under cloud."""
    row, col = (np.mgrid[:size, :size] + 0.5) / size
    return (row > 5 / 8) & (col > 1 / 2) & (col < 3 / 4)


def with_hole(band: int, nodata: float, dtype: str = "uint16", size: int = SIZE) -> NDArray[Any]:
    """Return the pixels of a band, with ``nodata`` where there are none."""
    pixels = coded(band, dtype, size)
    pixels[hole(size)] = nodata
    return pixels


# --- rasters --------------------------------------------------------------------------------------


def north_up(pixel: float) -> Affine:
    """Return the grid that every layout lies on if nothing else is said."""
    return from_origin(*ORIGIN, pixel, pixel)


def write(path: Path, pixels: NDArray[Any], pixel: float = 10.0, **profile: Any) -> Path:
    """Write ``([bands,] height, width)`` with plain rasterio and return the path.

    ``descriptions``, ``colours`` and ``scales`` and ``offsets`` are those of the bands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels if pixels.ndim == 3 else pixels[None]
    said = {
        name: profile.pop(name, None)
        for name in ("descriptions", "colorinterp", "scales", "offsets")
    }
    options = {"driver": "GTiff", "crs": CRS, "transform": north_up(pixel), **profile}
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", dtype=bands.dtype, count=count, height=height, width=width, **options
    ) as dataset:
        for name, value in said.items():
            if value is not None:
                setattr(dataset, name, value)
        dataset.write(bands)
    return path


def write_jp2(path: Path, pixels: NDArray[Any], pixel: float) -> Path:
    """Write JPEG 2000 that gives every pixel back."""
    return write(path, pixels, pixel, driver="JP2OpenJPEG", quality="100", reversible="YES")


def planes(
    path: Path, *, scale: float = 1.0, offset: float = 0.0, nodata: float | None = None
) -> tuple[Plane, ...]:
    """Return the bands of a file as plain rasterio reads it; pixels equal to ``nodata`` miss."""
    with rasterio.open(path) as dataset:
        return tuple(
            Plane(
                pixels,
                dataset.transform,
                scale,
                offset,
                None
                if nodata is None
                else (np.isnan(pixels) if np.isnan(nodata) else pixels == nodata),
            )
            for pixels in dataset.read()
        )


def mask(path: Path, bad: NDArray[np.bool_]) -> Plane:
    """Return the mask that lies on a file's grid."""
    with rasterio.open(path) as dataset:
        return Plane(dataset.read(1), dataset.transform, missing=bad)
