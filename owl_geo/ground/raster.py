"""Any raster resampled to the pixel grid of a scene: masks, concepts, class rasters as truth.

The raster may have its own CRS, extent and pixel size; it is resampled on the fly and never held
in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from owl_geo.errors import LayerError
from owl_geo.ground.crs import (
    around_the_earth,
    crs_of,
    is_in_degrees,
    place_of,
    rim_of,
    same_datum,
    turns_of,
)
from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.raster_files import UNREADABLE, extent, open_layer
from owl_geo.ground.raster_view import RasterView, Scaling, unhidden, usable_nodata
from owl_geo.ground.transformations import best_transformation, reproject
from owl_geo.types import LARGEST, AnyArray, BoolArray, SceneGrid
from owl_geo.wording import counted

_END = 2.0**62  # whole numbers near the ends of 64 bits mean no data


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
                raise LayerError(f"{self.path} has {counted(dataset.count, 'band')}, not {band}")
            self._nodata = usable_nodata(dataset.dtypes[band - 1], dataset.nodatavals[band - 1])
            self._dataset = dataset
            # a scene that reaches beyond 180 degrees sees the raster's west in its east
            self._turns = _turns(dataset, grid)
            self._views = [self._aligned(dataset, turn, resampling) for turn in self._turns]
        except UNREADABLE as error:
            self._stack.close()
            raise LayerError(
                f"cannot use the raster {self.path} on the grid of scene {grid.name!r}: {error}"
            ) from error
        except BaseException:
            self._stack.close()
            raise

    def _aligned(
        self, dataset: rasterio.DatasetReader, turn: float, resampling: str
    ) -> RasterView | None:
        """Return the raster on the grid, None if that is its own; raises one of ``UNREADABLE``."""
        grid = _moved(self.grid, turn) if _shares_x(dataset, self.grid) else self.grid
        transform = rasterio.Affine(*grid.transform)
        same_grid = (
            dataset.crs == rasterio.crs.CRS.from_user_input(grid.crs)
            and dataset.transform.almost_equals(transform, precision=1e-9 * abs(transform.a))
            and (dataset.height, dataset.width) == (grid.height, grid.width)
        )
        if same_grid:
            return None
        view = _turned_view(
            dataset, self.grid, turn, {self.band: self._nodata}, Resampling[resampling], self._turns
        )
        return self._stack.enter_context(view)

    @property
    def bounds_in_scene(self) -> list[tuple[float, float, float, float]]:
        """The raster's own extent in the scene's CRS, once per turn of its longitudes.

        Raises LayerError.
        """
        try:
            with open_layer(self.path) as dataset:
                west, south, east, north = extent(dataset)
                if _shares_x(dataset, self.grid):
                    x_y = dataset.crs, self.grid.crs, west, south, east, north
                    west, south, east, north = transform_bounds(*x_y)
                    return [(west - turn, south, east - turn, north) for turn in self._turns]
                return [
                    box
                    for turn in self._turns
                    for box in _bounds_on(self.grid, dataset, (west - turn, east - turn))
                ]
        except UNREADABLE as error:
            raise LayerError(
                f"cannot compare {self.path} with the grid of scene {self.grid.name!r}: {error}"
            ) from error

    @cached_property
    def scaling(self) -> Scaling:
        """How the pixels become values; raises LayerError."""
        return Scaling.of(self._dataset, self.band)

    def rows(self, start: int, stop: int) -> tuple[AnyArray, BoolArray]:
        """Return pixels and validity of rows ``start`` to ``stop``, each ``(rows, width)``.

        They are the file's pixels, which ``scaling`` makes values of; a pixel is valid where the
        raster has data, which no value beyond ``LARGEST`` is.
        """
        return self.window(start, 0, stop - start, self.grid.width)

    def window(self, row: int, col: int, height: int, width: int) -> tuple[AnyArray, BoolArray]:
        """Return pixels and validity of a window that begins at ``row``, ``col``, as ``rows``."""
        window = Window(col, row, width, height)
        values, valid = self._read(self._views[0], window)
        for view in self._views[1:]:
            further, is_there = self._read(view, window)
            values = np.where(valid, values, further)
            valid |= is_there
        return values, valid

    def _read(self, view: RasterView | None, window: Window) -> tuple[AnyArray, BoolArray]:
        try:
            if view is None:
                values = self._dataset.read(self.band, window=window)
                valid = unhidden(self._dataset, self.band, window)
                if self._nodata is not None:  # GDAL ignores it beside a mask
                    valid &= values != self._nodata
            else:
                (values,), valid = view.read([self.band], window)
        except UNREADABLE as error:
            first, last = window.row_off, window.row_off + window.height
            raise LayerError(
                f"cannot read {self.path}, rows {first} to {last} (is the file whole?): "
                f"{error.__cause__ or error}"
            ) from error
        if np.issubdtype(values.dtype, np.inexact):
            valid &= np.abs(values) <= LARGEST  # no not-a-number is
        elif values.dtype.itemsize == 8:  # rasterio gives no no-data value that no float holds
            valid &= np.abs(values.astype(np.float64)) < _END
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


def views_on(
    dataset: rasterio.DatasetReader,
    grid: SceneGrid,
    nodata: Mapping[int, float | None],
    resampling: Resampling,
    *,
    shared: bool = False,
    alpha: bool = True,
) -> list[RasterView]:
    """Return bands of a raster on the grid of a scene in any CRS, by the best change of datum.

    There are several where the scene reaches beyond 180 degrees; a pixel is that of the first that
    has one there. Arguments are those of ``RasterView``. Raises one of ``UNREADABLE``.
    """
    turns = _turns(dataset, grid)
    views: list[RasterView] = []
    with ExitStack() as on_error:
        for turn in turns:
            view = _turned_view(
                dataset, grid, turn, nodata, resampling, turns, shared=shared, alpha=alpha
            )
            views.append(on_error.enter_context(view))
        on_error.pop_all()
    return views


def _turned_view(
    dataset: rasterio.DatasetReader,
    grid: SceneGrid,
    turn: float,
    nodata: Mapping[int, float | None],
    resampling: Resampling,
    turns: Sequence[float],
    *,
    shared: bool = False,
    alpha: bool = True,
) -> RasterView:
    """Return a raster on a grid, one of the ``turns`` of its longitudes.

    A grid in the raster's CRS, or in degrees as it is, is turned to the raster's x, and else the
    raster to PROJ's.
    """
    shares_x = _shares_x(dataset, grid)
    turned = _moved(grid, turn) if shares_x else grid
    return RasterView(
        dataset,
        turned,
        turned.crs,
        nodata,
        resampling,
        shared=shared,
        alpha=alpha,
        pipeline=_pipeline(CRS.from_user_input(dataset.crs), turned),
        shift=0.0 if shares_x else -turn,
        is_cut=len(turns) > 1 and not shares_x,
    )


def _turns(dataset: rasterio.DatasetReader, grid: SceneGrid) -> list[float]:
    """Return by how much a scene's x differs from that of the raster, 0 first: whole turns."""
    crs = _crs(dataset)
    turns = turns_of(crs) if is_in_degrees(crs) or crs.is_projected else (0.0,)
    if len(turns) == 1:
        return [0.0]
    if _shares_x(dataset, grid):
        west, _, east, _ = bounds(grid)
    else:
        west, east = _reach(grid, crs)
    least, _, most, _ = extent(dataset)
    return [turn for turn in turns if west + turn < most and least < east + turn] or [0.0]


def _crs(dataset: rasterio.DatasetReader) -> CRS:
    return crs_of(dataset.crs.to_wkt())


def _shares_x(dataset: rasterio.DatasetReader, grid: SceneGrid) -> bool:
    """Return whether x of a scene means the same in the raster, however far it goes on."""
    one, other = _crs(dataset), crs_of(grid.crs)
    return one == other or (is_in_degrees(one) and is_in_degrees(other))


def _reach(grid: SceneGrid, crs: CRS) -> tuple[float, float]:
    """Return the least and the greatest x of a scene as PROJ has it in a CRS of all the Earth.

    They are a degree too wide, since places between those that are looked at may lie beyond.
    """
    low, high = rim_of(crs)
    row, col = np.meshgrid(np.linspace(0, grid.height, 9), np.linspace(0, grid.width, 9))
    x = reproject(to_xy(grid, row.ravel(), col.ravel()), crs_of(grid.crs), crs)[:, 0]
    if not np.isfinite(x).all() or np.ptp(x) > (high - low) / 2:  # across the rim, or round a pole
        return low, high
    degree = (high - low) / 360
    return max(x.min() - degree, low), min(x.max() + degree, high)


def _bounds_on(
    grid: SceneGrid, dataset: rasterio.DatasetReader, x: tuple[float, float]
) -> list[tuple[float, float, float, float]]:
    """Return a raster's extent in the CRS of a scene, where its x is turned to these.

    There are several where x of the scene goes around the Earth.
    """
    west, east = x
    _, south, _, north = extent(dataset)
    crs = _crs(dataset)
    if around_the_earth(crs) and (is_in_degrees(crs) or crs.is_projected):
        low, high = rim_of(crs)
        west, east = max(west, low), min(east, high)
    west, south, east, north = transform_bounds(dataset.crs, grid.crs, west, south, east, north)
    turns = turns_of(crs_of(grid.crs))
    if east < west:  # across the antimeridian
        east += max(turns)
    return [(west + turn, south, east + turn, north) for turn in turns]


def _moved(grid: SceneGrid, turn: float) -> SceneGrid:
    a, b, c, d, e, f = grid.transform
    return replace(grid, transform=(a, b, c + turn, d, e, f)) if turn else grid


def _pipeline(crs: CRS, grid: SceneGrid) -> str:
    """Return the change of datum from a raster to a scene; empty if PROJ's own choice is best."""
    scene = crs_of(grid.crs)
    middle = to_xy(grid, np.array(grid.height / 2), np.array(grid.width / 2))
    near = place_of(scene, *middle.tolist())
    if near is None or same_datum(crs, scene):
        return ""
    return best_transformation(crs, scene, near).pipeline


def coverage(path: str | Path, grid: SceneGrid) -> float:
    """Return the share of a scene's bounding box that a raster's bounding box covers, 0 to 1.

    Raises LayerError if the raster cannot be opened or has no CRS.
    """
    with AlignedRaster(path, grid) as raster:
        extents = raster.bounds_in_scene
    left, bottom, right, top = bounds(grid)
    covered = 0.0
    for west, south, east, north in extents:
        width = min(right, east) - max(left, west)
        height = min(top, north) - max(bottom, south)
        covered += max(width, 0.0) * max(height, 0.0)
    return min(covered / ((right - left) * (top - bottom)), 1.0)
