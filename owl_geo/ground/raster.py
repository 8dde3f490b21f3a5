"""Any raster resampled to the pixel grid of a scene: masks, concepts, class rasters as truth.

The raster may have its own CRS, extent and pixel size; it is resampled on the fly and never held
in memory as a whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from owl_geo.errors import LayerError, OwlError
from owl_geo.ground.grid import bounds
from owl_geo.settings.owl_toml import is_local
from owl_geo.types import AnyArray, BoolArray, SceneGrid

# What rasterio raises for a file that is damaged or mislabelled: its own errors, those of GDAL that
# it does not translate, and ValueErrors for text that is not UTF-8 and CRSs that are not valid.
UNREADABLE = (RasterioError, CPLE_BaseError, ValueError)
_SAMPLE = 2048  # pixels per side
_FARTHEST = 1e12  # no coordinate on Earth is larger, whatever the unit; as in vector.py


class AlignedRaster:
    """One band of a raster, resampled to the grid of a scene; use it as a context manager.

    Raises LayerError if the file cannot be opened or read, or has no CRS.
    """

    def __init__(
        self, path: str | Path, grid: SceneGrid, *, band: int = 1, resampling: str = "nearest"
    ) -> None:
        self.path = str(path)
        self.grid = grid
        self.band = band
        self._stack = ExitStack()
        try:
            dataset = self._stack.enter_context(open_layer(self.path))
            if band > dataset.count:
                raise LayerError(f"{self.path} has {dataset.count} band(s), not {band}")
            self._dataset = self._aligned(dataset, resampling)
        except UNREADABLE as error:
            self._stack.close()
            raise LayerError(
                f"cannot use the raster {self.path} on the grid of scene {grid.name!r}: {error}"
            ) from error
        except BaseException:
            self._stack.close()
            raise

    def _aligned(
        self, dataset: rasterio.DatasetReader, resampling: str
    ) -> rasterio.DatasetReader | WarpedVRT:
        grid = self.grid
        # the raster's own extent, before it is resampled to the scene's grid
        self.bounds_in_scene = transform_bounds(dataset.crs, grid.crs, *extent(dataset))
        transform = rasterio.Affine(*grid.transform)
        same_grid = (
            dataset.crs == rasterio.crs.CRS.from_user_input(grid.crs)
            and dataset.transform.almost_equals(transform, precision=1e-9 * abs(transform.a))
            and (dataset.height, dataset.width) == (grid.height, grid.width)
        )
        if same_grid:
            return dataset
        # tolerance, in pixels: all but exact, so that a value does not depend on the window that
        # is read (GDAL does not accept 0)
        return self._stack.enter_context(
            WarpedVRT(
                dataset,
                crs=grid.crs,
                transform=transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling[resampling],
                tolerance=1e-6,
                # without an alpha band, pixels outside the raster would read as 0
                add_alpha=dataset.nodata is None,
            )
        )

    def rows(self, start: int, stop: int) -> tuple[AnyArray, BoolArray]:
        """Return values and validity of pixel rows ``start`` to ``stop``, each ``(rows, width)``.

        Values keep the file's type; a pixel is valid where the raster has data and is finite.
        """
        return self.window(start, 0, stop - start, self.grid.width)

    def window(self, row: int, col: int, height: int, width: int) -> tuple[AnyArray, BoolArray]:
        """Return values and validity, as ``rows`` does, of a window that starts at a pixel."""
        window = Window(col, row, width, height)
        try:
            values = self._dataset.read(self.band, window=window)
            valid = self._dataset.read_masks(self.band, window=window) != 0
        except UNREADABLE as error:
            raise LayerError(
                f"cannot read {self.path}, rows {row} to {row + height}: {error}"
            ) from error
        if np.issubdtype(values.dtype, np.inexact):
            valid &= np.isfinite(values)
        return values, valid

    def __enter__(self) -> AlignedRaster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def open_layer(path: str) -> rasterio.DatasetReader:
    """Open a georeferenced raster; raises LayerError if it cannot be opened or is not one."""
    check_is_file(path, LayerError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it becomes an error below
            dataset = rasterio.open(path)
        fault = misplaced(dataset)
    except UNREADABLE as error:
        raise LayerError(f"cannot open the raster {path}: {error}") from error
    if fault:
        dataset.close()
        raise LayerError(f"{path} {fault}")
    return dataset


def check_is_file(path: str, error: type[OwlError]) -> None:
    """Raise ``error`` for a path that exists but is neither file nor folder, such as a pipe."""
    if not is_local(path):
        return
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise error(f"{path} is not a file")  # GDAL would wait until somebody writes to it


def misplaced(dataset: rasterio.DatasetReader) -> str:
    """Return why a raster is not georeferenced, and what to do; empty if it is georeferenced."""
    warp = "warp it first, for example with gdalwarp{}"
    if dataset.crs is None and dataset.gcps[0]:
        return f"has ground control points instead of a grid; {warp.format('')}"
    if dataset.crs is None and dataset.rpcs is not None:
        return f"has RPCs instead of a grid; {warp.format(' -rpc')}"
    if dataset.crs is None:
        return "has no CRS; assign one, for example with gdal_edit.py -a_srs"
    transform = dataset.transform
    if transform.is_identity or transform.determinant == 0:
        return (
            "has a CRS but no position on the map (no geotransform); georeference it first, "
            "for example with gdalwarp"
        )
    terms = ", ".join(f"{term:g}" for term in tuple(transform)[:6])
    with np.errstate(all="ignore"):
        is_on_earth = all(abs(end) < _FARTHEST for end in extent(dataset))  # False for NaN
    if not is_on_earth:
        return f"has a geotransform that leads off the Earth ({terms}); georeference it first"
    return ""


def extent(dataset: rasterio.DatasetReader) -> tuple[float, float, float, float]:
    """Return minimum x and y, then maximum x and y; rasterio's own swaps y in south-up rasters."""
    transform = tuple(dataset.transform)[:6]
    return bounds(SceneGrid("", "", transform, dataset.height, dataset.width))


def coverage(path: str | Path, grid: SceneGrid) -> float:
    """Return the share of a scene's bounding box that a raster's bounding box covers, 0 to 1.

    Raises LayerError if the raster cannot be opened or has no CRS.
    """
    with AlignedRaster(path, grid) as raster:
        covered = raster.bounds_in_scene
    left, bottom, right, top = bounds(grid)
    width = min(right, covered[2]) - max(left, covered[0])
    height = min(top, covered[3]) - max(bottom, covered[1])
    area = (right - left) * (top - bottom)
    return float(max(width, 0.0) * max(height, 0.0) / area)


def value_shares(path: str, values: Collection[int]) -> dict[int, float]:
    """Return the share of a raster's pixels with each value, from a sample if it is large."""
    pixels, _ = _sample(path)
    return {value: float((pixels == value).mean()) for value in values}


def values_of(path: str) -> AnyArray:
    """Return the values in a raster, ascending; those of a sample if it is large."""
    pixels, valid = _sample(path)
    return np.unique(pixels[valid])


def _sample(path: str) -> tuple[AnyArray, BoolArray]:
    """Return the first band, thinned to at most 2048 x 2048 pixels, and where it has data.

    Raises LayerError.
    """
    with open_layer(path) as dataset:
        shape = min(dataset.height, _SAMPLE), min(dataset.width, _SAMPLE)
        try:
            pixels = dataset.read(1, out_shape=shape)
            valid = dataset.read_masks(1, out_shape=shape) != 0
        except UNREADABLE as error:
            raise LayerError(f"cannot read {path}: {error}") from error
    return pixels, valid & np.isfinite(pixels)


def is_raster(path: str | Path) -> bool:
    """Return whether GDAL opens the file as a raster; raises LayerError if it does not exist."""
    if is_local(str(path)) and not Path(path).exists():
        raise LayerError(f"{path} does not exist")
    check_is_file(str(path), LayerError)
    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count)
    except UNREADABLE:
        return False
