"""Bands of a raster on another grid, and what its header says of their pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.warp
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from owl_geo.errors import LayerError
from owl_geo.ground.grid import to_xy
from owl_geo.types import AnyArray, BoolArray, SceneGrid

_LARGE = 100.0  # hardly a scale of whole numbers, more likely what to divide them by

# From this many pixels of a raster in one of the grid on, several of them are to be blended.
_FINER = 1.05


def may_divide(scale: float, dtype: str) -> bool:
    """Return whether pixels were probably meant to be divided by a scale, not multiplied.

    So it is with the 10,000 of MODIS' vegetation indices, which GDAL hands on as it is.
    """
    return abs(scale) >= _LARGE and bool(np.issubdtype(np.dtype(dtype), np.integer))


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
        """Return the values: the pixels themselves where the header says no other.

        Integers become float64, and floats stay as narrow as they are. Both are rounded far below
        the scale's steps, so that 3 * 0.1 is 0.3 and whole ones compare.
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
        pipeline: PROJ's transformation from the raster's CRS to the grid's; empty for PROJ's own
            choice.
        shift: what to add to the raster's x, whole turns beyond 180 degrees or the map's rim, which
            GDAL does not find from a projected grid.
        is_cut: whether the raster ends within the grid, at 180 degrees, where GDAL would leave out
            some columns, since it looks for the pixels that it needs at every sixth place or so.
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
        pipeline: str = "",
        shift: float = 0.0,
        is_cut: bool = False,
    ) -> None:
        self._nodata = nodata
        self._sampling = {"SAMPLE_GRID": "YES", "SAMPLE_STEPS": "ALL"} if is_cut else {}
        self._shift = shift
        self._pipeline = pipeline
        self._stack = ExitStack()
        if ColorInterp.alpha in dataset.colorinterp and not alpha:
            dataset = self._stack.enter_context(_without_alpha(dataset))
        values = dict.fromkeys(nodata.values())
        bare, hiding = self._apart(dataset, by_value=set(values) != {None}, shared=shared)
        self._views = {
            value: self._warped(bare, grid, crs, value, resampling, shared) for value in values
        }
        self._hiding = [
            self._warped(one, grid, crs, None, resampling, shared=False) for one in hiding
        ]
        self._whole = None
        if hiding:
            self._whole = self._warped(bare, grid, crs, None, resampling, shared=False)

    def _apart(
        self, dataset: rasterio.DatasetReader, *, by_value: bool, shared: bool
    ) -> tuple[rasterio.DatasetReader, list[rasterio.DatasetReader]]:
        """Return a raster without what GDAL's warper would not heed, and that for each by itself.

        Beside a no-data value it heeds a mask or not, by its version; beside an alpha band it heeds
        no mask, and no value that all bands have together.
        """
        by_mask = has_mask(dataset.mask_flag_enums[0])
        by_alpha = ColorInterp.alpha in dataset.colorinterp
        opened = self._stack.enter_context
        if by_alpha and (by_mask or (by_value and shared)):
            unmasked = opened(_without_mask(dataset)) if by_mask else dataset
            bare = opened(_without_alpha(unmasked, drop=True))
            return bare, [*([opened(_without_alpha(dataset))] if by_mask else []), unmasked]
        if by_mask and by_value:
            return opened(_without_mask(dataset)), [dataset]
        return dataset, []

    def _warped(
        self,
        dataset: rasterio.DatasetReader,
        grid: SceneGrid,
        crs: str | rasterio.crs.CRS,
        nodata: float | None,
        resampling: Resampling,
        shared: bool,
    ) -> rasterio.DatasetReader | WarpedVRT:
        by_alpha = nodata is None or shared
        warped = self._stack.enter_context(
            WarpedVRT(
                dataset,
                crs=crs,
                src_transform=_shifted(dataset.transform, self._shift) if self._shift else None,
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
                add_alpha=by_alpha and ColorInterp.alpha not in dataset.colorinterp,
                # else pixels that only some bands lack are blended into values, as if they were
                # data, and moved off the no-data value
                UNIFIED_SRC_NODATA="YES" if shared else "NO",
                **self._sampling,
                **_kernel(dataset, grid, crs),
            )
        )
        if not self._pipeline:
            return warped
        # rasterio has no option for the transformation; GDAL's description of the raster has one
        text: str = next(iter(warped.tags(ns="xml:VRT").values()))
        option = f'<Option key="COORDINATE_OPERATION">{self._pipeline}</Option>'
        text = text.replace("</TargetSRS>", f"</TargetSRS><Options>{option}</Options>")
        return self._stack.enter_context(rasterio.open(text))

    def read(self, bands: Sequence[int], window: Window) -> tuple[AnyArray, BoolArray]:
        """Return pixels ``(bands, height, width)`` in the file's type, and where all have data."""
        values, valid = [], np.ones((window.height, window.width), dtype=bool)
        for band in bands:
            nodata = self._nodata[band]
            view = self._views[nodata]
            pixels = view.read(band, window=window)
            valid &= _seen(view, band, window)
            if nodata is not None and pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8:
                valid &= pixels != int(nodata)  # rasterio's warped raster of 64 bits has none
            whole = None if self._whole is None else self._whole.read(band, window=window)
            for other in self._hiding:
                valid &= _seen(other, band, window)
                masked = other.read(band, window=window)
                # where either leaves nothing out, the other says what is to be blended
                valid &= (whole == pixels) | (whole == masked) | (pixels == masked)
                pixels = np.where(whole == pixels, masked, pixels)
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


def _seen(view: rasterio.DatasetReader | WarpedVRT, band: int, window: Window) -> BoolArray:
    """Return where a view has data of a band, ``(height, width)``."""
    seen: BoolArray = view.read_masks(band, window=window) != 0
    if view.colorinterp[-1] == ColorInterp.alpha:
        # GDAL heeds the alpha of 8 and of 16 bits alone, and not beside any number of bands
        seen &= view.read(view.count, window=window) != 0
    return seen


def _kernel(
    dataset: rasterio.DatasetReader, grid: SceneGrid, crs: str | rasterio.crs.CRS
) -> dict[str, str]:
    """Return the scale of GDAL's kernel where the raster's pixels are not finer than the grid's.

    GDAL estimates it from the rectangle around the pixels that it needs, which is larger where the
    raster is turned against the grid, and then blurs what is only to be interpolated.
    """
    row, col = grid.height / 2, grid.width / 2
    points = to_xy(grid, np.array([row, row, row + 1]), np.array([col, col + 1, col]))
    try:
        there = np.stack(rasterio.warp.transform(crs, dataset.crs, *points.T), axis=-1)
    except RasterioError:
        return {}
    a, b, _, d, e, _ = tuple(dataset.transform)[:6]
    moved = np.linalg.solve([[a, b], [d, e]], (there[1:] - there[0]).T)
    right, down = np.hypot(*moved)  # pixels of the raster in a pixel of the grid
    if not max(right, down) < _FINER:  # not a number, beyond the CRS's domain
        return {}
    return {"XSCALE": f"{1 / min(right, 1)}", "YSCALE": f"{1 / min(down, 1)}"}


def _shifted(transform: rasterio.Affine, shift: float) -> rasterio.Affine:
    a, b, c, d, e, f = tuple(transform)[:6]
    return rasterio.Affine(a, b, c + shift, d, e, f)


def _without_alpha(
    dataset: rasterio.DatasetReader, *, drop: bool = False
) -> rasterio.DatasetReader:
    """Return the raster with its alpha band as one like the others; GDAL's warper has no option.

    To ``drop`` it, so that it is none of the bands that have a value together, it has to be last.
    """
    if drop and ColorInterp.alpha in dataset.colorinterp[-1:]:
        band = rf'<VRTRasterBand [^>]*band="{dataset.count}".*?</VRTRasterBand>'
        return _described(dataset, band, "")
    return _described(dataset, "<ColorInterp>Alpha<", "<ColorInterp>Undefined<")


def _without_mask(dataset: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """Return the raster without its mask, but with its no-data values."""
    return _described(dataset, r"<MaskBand>.*?</MaskBand>", "")


def _described(
    dataset: rasterio.DatasetReader, pattern: str, replacement: str
) -> rasterio.DatasetReader:
    """Return the raster with another description of it, where a pattern matches GDAL's own."""
    with rasterio.MemoryFile(ext=".vrt") as file:
        rasterio.shutil.copy(dataset, file.name, driver="VRT")
        text = file.read().decode()
    return rasterio.open(re.sub(pattern, replacement, text, flags=re.DOTALL))


def has_mask(flags: Sequence[MaskFlags]) -> bool:
    """Return whether a band with these flags has a mask of its own or beside it, and no alpha."""
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def unhidden(
    dataset: rasterio.DatasetReader,
    band: int,
    window: Window,
    *,
    by_nodata: bool = True,
    by_alpha: bool = True,
) -> BoolArray:
    """Return where neither the mask nor the alpha band hides a band, ``(height, width)``.

    GDAL's own mask of a band forgets the alpha band where there is a no-data value or a mask
    besides, or where pixels are neither of 8 nor of 16 bits, as gdalwarp writes them too. Of a
    no-data value alone it does not count without ``by_nodata``, and the band that the file colours
    as alpha is data without ``by_alpha``.
    """
    flags = dataset.mask_flag_enums[band - 1]
    valid: BoolArray
    if by_nodata or set(flags) != {MaskFlags.nodata}:
        valid = dataset.read_masks(band, window=window) != 0
    else:
        valid = np.ones((window.height, window.width), dtype=bool)
    if by_alpha and ColorInterp.alpha in dataset.colorinterp and MaskFlags.alpha not in flags:
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
