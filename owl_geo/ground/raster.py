"""Any raster seen through the pixel grid of a scene: masks, concepts, class rasters as truth.

The other raster may have its own CRS, extent and pixel size; it is resampled on the fly and never
held whole in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from owl_geo.errors import LayerError, OwlError
from owl_geo.ground.grid import bounds
from owl_geo.settings.owl_toml import is_local
from owl_geo.types import AnyArray, BoolArray, SceneGrid

# What rasterio raises at a file that is not what it says: its own errors, those of GDAL that it
# does not translate, and ValueErrors for text that is no UTF-8 and CRSs that are none.
UNREADABLE = (RasterioError, CPLE_BaseError, ValueError)
_SAMPLE = 2048  # pixels a side
_FARTHEST = 1e12  # no coordinate on Earth is larger, in whatever unit; as in vector.py


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
            dataset = self._stack.enter_context(open_layer(self.path))
            if band > dataset.count:
                raise LayerError(f"{self.path} has {dataset.count} band(s), not {band}")
            self._nodata = usable_nodata(dataset.dtypes[band - 1], dataset.nodatavals[band - 1])
            self._view = self._aligned(dataset, resampling)
            self._dataset = dataset
        except UNREADABLE as error:
            self._stack.close()
            raise LayerError(
                f"cannot use the raster {self.path} on the grid of scene {grid.name!r}: {error}"
            ) from error
        except BaseException:
            self._stack.close()
            raise

    def _aligned(self, dataset: rasterio.DatasetReader, resampling: str) -> RasterView | None:
        """Return the raster on the scene's grid; None where it lies on that already."""
        grid = self.grid
        # the raster's own extent, before it is seen through the scene's grid
        self.bounds_in_scene = transform_bounds(dataset.crs, grid.crs, *extent(dataset))
        transform = rasterio.Affine(*grid.transform)
        same_grid = (
            dataset.crs == rasterio.crs.CRS.from_user_input(grid.crs)
            and dataset.transform.almost_equals(transform, precision=1e-9 * abs(transform.a))
            and (dataset.height, dataset.width) == (grid.height, grid.width)
        )
        if same_grid:
            return None
        return self._stack.enter_context(
            RasterView(dataset, grid, grid.crs, {self.band: self._nodata}, Resampling[resampling])
        )

    @cached_property
    def scaling(self) -> Scaling:
        """How the pixels become values; raises LayerError."""
        return Scaling.of(self._dataset, self.band)

    def rows(self, start: int, stop: int) -> tuple[AnyArray, BoolArray]:
        """Return pixels and validity of rows ``start`` to ``stop``, each ``(rows, width)``.

        They are the file's pixels, which ``scaling`` makes values of; a pixel is valid where the
        raster has data and is finite.
        """
        return self.window(start, 0, stop - start, self.grid.width)

    def window(self, row: int, col: int, height: int, width: int) -> tuple[AnyArray, BoolArray]:
        """Return pixels and validity of a window that begins at ``row``, ``col``, as ``rows``."""
        window = Window(col, row, width, height)
        try:
            if self._view is None:
                values = self._dataset.read(self.band, window=window)
                valid = unhidden(self._dataset, self.band, window)
                if self._nodata is not None:  # beside a mask GDAL forgets it
                    valid &= values != self._nodata
            else:
                (values,), valid = self._view.read([self.band], window)
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


@dataclass(frozen=True)
class Scaling:
    """How pixels become values, by what the header says of a band: ``scale * pixel + offset``."""

    scale: float = 1.0
    offset: float = 0.0

    @classmethod
    def of(cls, dataset: rasterio.DatasetReader, band: int) -> Scaling:
        """Return that of a band; raises LayerError where it makes no values."""
        scale, offset = dataset.scales[band - 1], dataset.offsets[band - 1]
        if not (np.isfinite([scale, offset]).all() and scale != 0):
            raise LayerError(
                f"{dataset.name}, band {band}: the scale {scale:g} and the offset {offset:g} make "
                "no values of its pixels",
                remedy="correct them, for example with gdal_edit.py -scale and -offset",
            )
        return cls(scale, offset)

    def values(self, pixels: AnyArray) -> AnyArray:
        """Return the values, float64 where the header says other than the pixels themselves.

        They are rounded far below the scale's steps, so that 3 * 0.1 is 0.3 and whole ones compare.
        """
        if (self.scale, self.offset) == (1.0, 0.0):
            return pixels
        digits = int(np.clip(9 - np.floor(np.log10(abs(self.scale))), 0, 15))
        values: AnyArray = np.round(pixels * float(self.scale) + self.offset, digits)
        return values


class RasterView:
    """Some bands of a raster on another grid, with what they declare to be missing.

    Each band's no-data value is its own: a pixel that one band lacks has no part in that band's
    values, whatever the others hold there. Masks and alpha bands count for all bands. What lies
    outside the raster is missing. Use it as a context manager.

    Args:
        dataset: the raster.
        grid: the other grid.
        crs: of the grid, as the dataset spells it where it is the same.
        nodata: the no-data value of each band that is read, None for a band without one.
        resampling: how values come to the grid.
        shared: whether a pixel is missing only where all bands of the raster hold ``nodata``, which
            is one value then.
        alpha: False where the band that the file colours as alpha is data.
    """

    def __init__(
        self,
        dataset: rasterio.DatasetReader,
        grid: SceneGrid,
        crs: str | rasterio.crs.CRS,
        nodata: Mapping[int, float | None],
        resampling: Resampling,
        *,
        shared: bool = False,
        alpha: bool = True,
    ) -> None:
        self._nodata = nodata
        self._stack = ExitStack()
        if ColorInterp.alpha in dataset.colorinterp and not alpha:
            dataset = self._stack.enter_context(_without_alpha(dataset))
        self._has_alpha = ColorInterp.alpha in dataset.colorinterp
        per_dataset = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        self._views = {
            value: self._warped(dataset, grid, crs, value, resampling, shared)
            for value in dict.fromkeys(nodata.values())
        }
        # GDAL's warper looks at a mask only where there is no no-data value
        self._mask = (
            self._warped(dataset, grid, crs, None, resampling, shared=False)
            if per_dataset and not self._has_alpha and None not in self._views
            else None
        )

    def _warped(
        self,
        dataset: rasterio.DatasetReader,
        grid: SceneGrid,
        crs: str | rasterio.crs.CRS,
        nodata: float | None,
        resampling: Resampling,
        shared: bool,
    ) -> WarpedVRT:
        by_alpha = nodata is None or shared
        return self._stack.enter_context(
            WarpedVRT(
                dataset,
                crs=crs,
                transform=rasterio.Affine(*grid.transform),
                height=grid.height,
                width=grid.width,
                resampling=resampling,
                # pixels: as good as exact, so that a value does not depend on the window that is
                # read (GDAL takes no 0)
                tolerance=1e-6,
                src_nodata=nodata,
                nodata=None if by_alpha else nodata,
                # without an alpha band, what lies outside the raster would read as 0
                add_alpha=by_alpha and not self._has_alpha,
                # else pixels that only some bands lack are blended into values, as if they were
                # data, and moved off the no-data value
                UNIFIED_SRC_NODATA="YES" if shared else "NO",
            )
        )

    def read(self, bands: Sequence[int], window: Window) -> tuple[AnyArray, BoolArray]:
        """Return pixels ``(bands, height, width)`` in the file's type, and where all have data."""
        values, valid = [], np.ones((window.height, window.width), dtype=bool)
        for band in bands:
            view = self._views[self._nodata[band]]
            pixels = view.read(band, window=window)
            valid &= view.read_masks(band, window=window) != 0
            if self._mask is not None:
                valid &= self._mask.read_masks(band, window=window) != 0
                # where the two agree, nothing of what either leaves out was blended in
                valid &= self._mask.read(band, window=window) == pixels
            values.append(pixels)
        return np.stack(values), valid

    def __enter__(self) -> RasterView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _without_alpha(dataset: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """Return the raster with its alpha band as one like the others; GDAL's warper has no option."""
    with rasterio.MemoryFile(ext=".vrt") as file:
        rasterio.shutil.copy(dataset, file.name, driver="VRT")
        text = file.read().decode()
    return rasterio.open(text.replace("<ColorInterp>Alpha<", "<ColorInterp>Undefined<"))


def unhidden(dataset: rasterio.DatasetReader, band: int, window: Window) -> BoolArray:
    """Return where neither the mask nor the alpha band hides a band, ``(height, width)``.

    GDAL's own mask of a band forgets the alpha band where there is a no-data value.
    """
    valid: BoolArray = dataset.read_masks(band, window=window) != 0
    flags = dataset.mask_flag_enums[band - 1]
    if ColorInterp.alpha in dataset.colorinterp and MaskFlags.nodata in flags:
        alpha = dataset.colorinterp.index(ColorInterp.alpha) + 1
        if alpha != band:
            valid &= dataset.read(alpha, window=window) != 0
    return valid


def usable_nodata(dtype: str, nodata: float | None) -> float | None:
    """Return a band's no-data value, None where its type cannot hold it (-9999 in uint16)."""
    if nodata is None or not np.issubdtype(np.dtype(dtype), np.integer):
        return nodata
    limits = np.iinfo(dtype)
    fits = float(nodata).is_integer() and limits.min <= nodata <= limits.max
    return nodata if fits else None


def open_layer(path: str) -> rasterio.DatasetReader:
    """Open a raster that has a place; raises LayerError."""
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
    """Raise ``error`` for what is there and is neither file nor folder, as a pipe is."""
    if not is_local(path):
        return
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise error(f"{path} is no file")  # GDAL would wait for what somebody may write to it


def misplaced(dataset: rasterio.DatasetReader) -> str:
    """Say why a raster has no place on the map, and what to do; empty where it has one."""
    warp = "warp it first, with gdalwarp{} say"
    if dataset.crs is None and dataset.gcps[0]:
        return f"has ground control points in place of a grid; {warp.format('')}"
    if dataset.crs is None and dataset.rpcs is not None:
        return f"has RPCs in place of a grid; {warp.format(' -rpc')}"
    if dataset.crs is None:
        return "has no CRS; assign one, with gdal_edit.py -a_srs say"
    transform = dataset.transform
    if transform.is_identity or transform.determinant == 0:
        return (
            "has a CRS but no place on the map (no geotransform); georeference it first, "
            "with gdalwarp say"
        )
    terms = ", ".join(f"{term:g}" for term in tuple(transform)[:6])
    with np.errstate(all="ignore"):
        leads_somewhere = all(abs(end) < _FARTHEST for end in extent(dataset))  # nan does not
    if not leads_somewhere:
        return f"has a geotransform that leads nowhere ({terms}); georeference it first"
    return ""


def extent(dataset: rasterio.DatasetReader) -> tuple[float, float, float, float]:
    """Return least x, least y, greatest x, greatest y; rasterio's own mix them up south up."""
    transform = tuple(dataset.transform)[:6]
    return bounds(SceneGrid("", "", transform, dataset.height, dataset.width))


def coverage(path: str | Path, grid: SceneGrid) -> float:
    """Return the share of a scene's bounding box that a raster's covers, 0 to 1.

    Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with AlignedRaster(path, grid) as raster:
        covered = raster.bounds_in_scene
    left, bottom, right, top = bounds(grid)
    width = min(right, covered[2]) - max(left, covered[0])
    height = min(top, covered[3]) - max(bottom, covered[1])
    area = (right - left) * (top - bottom)
    return float(max(width, 0.0) * max(height, 0.0) / area)


def band_names(path: str) -> list[str]:
    """Return what the bands of a raster are called, by number where they are not described.

    An alpha band is none. Raises LayerError where the raster cannot be opened or has no CRS.
    """
    with open_layer(path) as dataset:
        pairs = zip(dataset.descriptions, dataset.colorinterp, strict=True)
        return [
            (text or "").strip() or str(number)
            for number, (text, colour) in enumerate(pairs, start=1)
            if colour != ColorInterp.alpha
        ]


def value_shares(path: str, values: Collection[int]) -> dict[int, float]:
    """Return the share of a raster's pixels that has each value, of a sample where it is large."""
    pixels, _ = _sample(path)
    return {value: float((pixels == value).mean()) for value in values}


def values_of(path: str) -> AnyArray:
    """Return the values that a raster has, ascending; of a sample where it is large."""
    with open_layer(path) as dataset:
        scaling = Scaling.of(dataset, 1)
    pixels, valid = _sample(path)
    return scaling.values(np.unique(pixels[valid]))


def _sample(path: str) -> tuple[AnyArray, BoolArray]:
    """Return the first band, thinned out to at most 2048 x 2048 pixels, and where it has data.

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
    """Whether GDAL opens the file as a raster; raises LayerError where there is no such file."""
    if is_local(str(path)) and not Path(path).exists():
        raise LayerError(f"no file {path}")
    check_is_file(str(path), LayerError)
    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count)
    except UNREADABLE:
        return False
