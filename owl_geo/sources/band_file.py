"""One file of a scene: the pixels of its bands, and where these have data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.windows import Window

from owl_geo.ground.crs import same_crs
from owl_geo.ground.raster import views_on
from owl_geo.ground.raster_view import RasterView, has_mask, unhidden, usable_nodata
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import both
from owl_geo.sources.embeddings import decoded
from owl_geo.sources.files import decoding_threads, open_raster
from owl_geo.sources.quantization import NODATA
from owl_geo.sources.scenes import Scene
from owl_geo.sources.tile_index import read_rightly
from owl_geo.types import LARGEST, AnyArray, BoolArray, SceneGrid

_MANY_PIXELS = 2**20  # of a file; with fewer, waking threads takes longer than decoding


def has_bad_values(band: Band) -> bool:
    """Return whether some value of the band may stand for missing data."""
    return band.nodata is not None or _may_be_too_large(np.dtype(band.dtype))


def _may_be_too_large(dtype: np.dtype[Any]) -> bool:
    """Return whether a type holds not-a-number, or whole numbers beyond ``LARGEST``.

    The ends of 64 bits mean no data as a rule, and rasterio gives no no-data value that no float
    holds.
    """
    return np.issubdtype(dtype, np.inexact) or dtype.itemsize == 8


def same_grid(one: SceneGrid, other: SceneGrid) -> bool:
    """Return whether pixels coincide, to within a thousandth of a pixel over the whole scene."""
    if (one.height, one.width) != (other.height, other.width):
        return False
    a, b, _, d, e, _ = np.abs(other.transform).tolist()
    drift = np.abs(np.subtract(one.transform, other.transform))
    reach = np.array([one.width, one.height, 1, one.width, one.height, 1])
    return bool((drift * reach).max() <= 1e-3 * max(a, b, d, e))


class BandFile:
    """One file, open, and those of the scene's bands that it holds.

    On another grid than the scene's it is resampled to that, bilinear. ``stack`` closes it.
    """

    def __init__(self, scene: Scene, path: str, stack: ExitStack) -> None:
        self.path = path
        self.partly_missing = 0  # pixels so far that some of the chosen bands lack, and not others
        self._bands = [(i, band) for i, band in enumerate(scene.bands) if band.path == path]
        self._tested = [(i, band) for i, band in self._bands if has_bad_values(band)]
        first = self._bands[0][1]
        large = first.grid.height * first.grid.width >= _MANY_PIXELS
        threads = decoding_threads() if large else "1"
        dataset = stack.enter_context(
            open_raster(path, threads if first.driver == "GTiff" else None)
        )
        dataset = read_rightly(dataset, path, stack)
        self._dataset = dataset
        # an alpha band that is asked for as data is not a mask; one beside it may be
        self._by_alpha = not first.data_alpha and not any(band.alpha for _, band in self._bands)
        self._masked = first.masked and (
            self._by_alpha or has_mask(dataset.mask_flag_enums[first.number - 1])
        )
        self._shared = first.nodata_of
        self._stack = stack
        self._views: list[RasterView] = []
        if not same_grid(first.grid, scene.grid) or not same_crs(first.grid.crs, scene.grid.crs):
            for view in self._on_grid(dataset, scene):
                self._views.append(stack.enter_context(view))

    def _on_grid(self, dataset: rasterio.DatasetReader, scene: Scene) -> list[RasterView]:
        """Return the bands on the grid of the scene; several where it crosses 180 degrees."""
        nodata = {b.number: usable_nodata(b.dtype, b.nodata) for _, b in self._bands}
        shared = bool(self._shared)
        quantized = {b.number: nodata[b.number] for _, b in self._bands if b.quantized}
        if quantized:  # what is averaged must be values
            dataset = self._stack.enter_context(decoded(dataset, quantized))
            nodata |= dict.fromkeys(quantized, float(NODATA))
        if scene.is_elsewhere:
            return views_on(
                dataset,
                scene.grid,
                nodata,
                Resampling.bilinear,
                shared=shared,
                alpha=self._by_alpha,
            )
        # the dataset's CRS, which the others share, as it is spelled in the file
        view = RasterView(
            dataset,
            scene.grid,
            dataset.crs,
            nodata,
            Resampling.bilinear,
            shared=shared,
            alpha=self._by_alpha,
        )
        return [view]

    def read(
        self, window: Window, all_bands: bool
    ) -> tuple[tuple[int, ...], AnyArray, BoolArray | None]:
        """Return numbers of the scene's bands, pixels ``(bands, height, width)``, and validity.

        The latter is ``(height, width)``, and None where all pixels are valid. Without
        ``all_bands``, only the bands are read that validity depends on.
        """
        read = self._from_views if self._views else self._from_file
        return read(window, all_bands)

    def _from_views(
        self, window: Window, all_bands: bool
    ) -> tuple[tuple[int, ...], AnyArray, BoolArray | None]:
        """Return what ``read`` does, of a file on another grid than the scene's."""
        # of a mask, or of where the file ends, any band tells
        bands = self._bands if all_bands else self._tested or self._bands[:1]
        numbers = [band.number for _, band in bands]
        values, valid = self._views[0].read(numbers, window)
        for view in self._views[1:]:
            further, is_there = view.read(numbers, window)
            values = np.where(valid, values, further)
            valid |= is_there
        good: BoolArray | None = valid
        for (_, band), pixels in zip(bands, values, strict=True):
            good = both(good, _measured(band, pixels))
        return tuple(i for i, _ in bands), values, good

    def _from_file(
        self, window: Window, all_bands: bool
    ) -> tuple[tuple[int, ...], AnyArray, BoolArray | None]:
        """Return what ``read`` does, of a file on the scene's own grid."""
        bands = self._bands if all_bands else self._tested
        numbers = [band.number for _, band in bands]
        values = (
            _bands_of(self._dataset, numbers, window)
            if numbers
            else np.empty((0, window.height, window.width), dtype=np.uint8)
        )
        good = self._with_data([band for _, band in bands], values, window, count=not all_bands)
        for (_, band), pixels in zip(bands, values, strict=True):
            good = both(good, _measured(band, pixels))
        if self._masked:
            for number in self._mask_numbers():
                # no-data values were looked at above, by their own rule
                shown = unhidden(
                    self._dataset, number, window, by_nodata=False, by_alpha=self._by_alpha
                )
                good = both(good, shown)
        return tuple(i for i, _ in bands), values, good

    def _with_data(
        self, bands: Sequence[Band], values: AnyArray, window: Window, *, count: bool
    ) -> BoolArray | None:
        """Return where a window has data; None where it has data everywhere.

        A pixel has data if all bands have, or, where the bands share one no-data value as images of
        8 bits do, if any has. ``count`` adds the pixels that only some lack to ``partly_missing``.
        """
        if _has_everything(bands, values):
            return None
        each = [_has_data(band, pixels) for band, pixels in zip(bands, values, strict=True)]
        some = [good for good in each if good is not None]
        if not some:
            return None
        every: BoolArray = np.logical_and.reduce(some)
        if len(some) < 2 and not self._shared:
            return every
        any_band: BoolArray = np.logical_or.reduce(some)
        others = [n for n in self._shared if n not in {band.number for band in bands}]
        if others and not any_band.all():
            more = self._dataset.read(others, window=window) != bands[0].nodata
            any_band |= more.any(axis=0)
        if count and len(some) == len(each):
            self.partly_missing += int((any_band & ~every).sum())
        return any_band if self._shared else every

    def _mask_numbers(self) -> list[int]:
        """Return bands whose masks matter: one where the file's bands share a mask."""
        numbers = [band.number for _, band in self._bands]
        flags = self._dataset.mask_flag_enums[numbers[0] - 1]
        # no-data values were looked at already; what is left is the alpha band, or a shared mask
        return numbers[:1] if {MaskFlags.per_dataset, MaskFlags.nodata} & set(flags) else numbers


def _bands_of(dataset: rasterio.DatasetReader, numbers: Sequence[int], window: Window) -> AnyArray:
    """Return pixels ``(bands, height, width)``, of a type that holds those of all the bands.

    Files whose bands differ in type are VRTs as a rule; rasterio reads these one by one.
    """
    if len({dataset.dtypes[number - 1] for number in numbers}) > 1:
        return np.stack([dataset.read(number, window=window) for number in numbers])
    pixels: AnyArray = dataset.read(numbers, window=window)
    return pixels


def _measured(band: Band, pixels: AnyArray) -> BoolArray | None:
    """Return where no value is beyond ``LARGEST`` or not-a-number; None where none can be."""
    if not _may_be_too_large(pixels.dtype):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        values = pixels.astype(np.float32, copy=False)
        if (band.scale, band.offset) != (1.0, 0.0):
            values = values * np.float32(band.scale) + np.float32(band.offset)
        good: BoolArray = np.abs(values) <= LARGEST  # no not-a-number is
    return good


def _has_data(band: Band, pixels: AnyArray) -> BoolArray | None:
    """Return where pixels are not the no-data value of the band; None where it marks none."""
    nodata = usable_nodata(pixels.dtype.name, band.nodata)
    if nodata is None or np.isnan(nodata):
        return None
    integers = np.issubdtype(pixels.dtype, np.integer)
    good: BoolArray = pixels != pixels.dtype.type(int(nodata) if integers else nodata)
    return good


def _has_everything(bands: Sequence[Band], values: AnyArray) -> bool:
    """Return whether no pixel is the no-data value that all bands share; False if they do not."""
    shared = {usable_nodata(values.dtype.name, band.nodata) for band in bands}
    nodata = shared.pop() if len(shared) == 1 else None
    if nodata is None or not np.issubdtype(values.dtype, np.integer):
        return False
    return not (values == values.dtype.type(int(nodata))).any()
