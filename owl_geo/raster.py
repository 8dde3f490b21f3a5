"""Any raster seen through the pixel grid of a scene: masks, concepts, class rasters as truth.

The other raster may have its own CRS, extent and pixel size; it is resampled on the fly and never
held whole in memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from owl_geo.errors import LayerError
from owl_geo.grid import bounds
from owl_geo.types import AnyArray, BoolArray, SceneGrid


class AlignedRaster:
    """One band of a raster, resampled to the grid of a scene; use it as a context manager.

    Raises LayerError where the file cannot be opened or read, or has no CRS.
    """

    def __init__(
        self, path: str | Path, grid: SceneGrid, *, band: int = 1, resampling: str = "nearest"
    ) -> None:
        self.path = str(path)
        self.grid = grid
        self.band = band
        self._stack = ExitStack()
        try:
            dataset = self._stack.enter_context(rasterio.open(self.path))
        except RasterioError as error:
            raise LayerError(f"cannot open the raster {self.path}: {error}") from error
        if dataset.crs is None:
            self._stack.close()
            raise LayerError(f"{self.path} has no CRS; assign one, with gdal_edit.py -a_srs say")
        if band > dataset.count:
            self._stack.close()
            raise LayerError(f"{self.path} has {dataset.count} band(s), not {band}")
        # the raster's own extent, before it is seen through the scene's grid
        self.bounds_in_scene = transform_bounds(dataset.crs, grid.crs, *dataset.bounds)
        transform = rasterio.Affine(*grid.transform)
        same_grid = (
            dataset.crs == rasterio.crs.CRS.from_user_input(grid.crs)
            and dataset.transform.almost_equals(transform, precision=1e-9 * abs(transform.a))
            and (dataset.height, dataset.width) == (grid.height, grid.width)
        )
        if not same_grid:
            # tolerance, in pixels: as good as exact, so that a value does not depend on the window
            # read (GDAL takes no 0)
            dataset = self._stack.enter_context(
                WarpedVRT(
                    dataset,
                    crs=grid.crs,
                    transform=transform,
                    height=grid.height,
                    width=grid.width,
                    resampling=Resampling[resampling],
                    tolerance=1e-6,
                    # without an alpha band, what lies outside the raster would read as 0
                    add_alpha=dataset.nodata is None,
                )
            )
        self._dataset = dataset

    def rows(self, start: int, stop: int) -> tuple[AnyArray, BoolArray]:
        """Return values and validity of pixel rows ``start`` to ``stop``, each ``(rows, width)``.

        Values keep the file's type; a pixel is valid where the raster has data and is finite.
        """
        return self.window(start, 0, stop - start, self.grid.width)

    def window(self, row: int, col: int, height: int, width: int) -> tuple[AnyArray, BoolArray]:
        """Return values and validity of a window that begins at ``row``, ``col``, as ``rows``."""
        window = Window(col, row, width, height)
        try:
            values = self._dataset.read(self.band, window=window)
            valid = self._dataset.read_masks(self.band, window=window) != 0
        except RasterioError as error:
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


def coverage(path: str | Path, grid: SceneGrid) -> float:
    """Return the share of a scene's bounding box that a raster's covers, 0 to 1.

    Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with AlignedRaster(path, grid) as raster:
        placed = raster.bounds_in_scene
    left, bottom, right, top = bounds(grid)
    width = min(right, placed[2]) - max(left, placed[0])
    height = min(top, placed[3]) - max(bottom, placed[1])
    area = (right - left) * (top - bottom)
    return float(max(width, 0.0) * max(height, 0.0) / area)


def is_raster(path: str | Path) -> bool:
    """Whether GDAL opens the file as a raster; raises LayerError where there is no such file."""
    if "://" not in str(path) and not str(path).startswith("/vsi") and not Path(path).exists():
        raise LayerError(f"no file {path}")
    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count)
    except RasterioError:
        return False
