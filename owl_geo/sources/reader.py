"""Pixels of one scene, a window at a time, with open files kept for the next window."""

from __future__ import annotations

import datetime
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.windows import Window

from owl_geo.errors import LayerError, SceneError, SourceError
from owl_geo.ground.projections import same_crs
from owl_geo.ground.raster import AlignedRaster, views_on
from owl_geo.ground.raster_files import UNREADABLE
from owl_geo.ground.raster_view import RasterView, unhidden, usable_nodata
from owl_geo.ground.tiling import Chunk
from owl_geo.sources import chunked
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import CHUNK_BYTES, Pixels
from owl_geo.sources.embeddings import decoded
from owl_geo.sources.files import decoding_threads, open_raster
from owl_geo.sources.quantization import NODATA
from owl_geo.sources.scenes import Scene
from owl_geo.sources.tile_index import read_rightly
from owl_geo.types import LARGEST, AnyArray, BoolArray, SceneGrid

# GDAL's own cache of blocks, in bytes. Chunks are whole blocks, so there is little to come back
# to, and a share of the machine's memory, as GDAL takes by default, would be taken for nothing.
_CACHE = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": 128 * 2**20}

_IDLE_READERS = 32  # of scenes that wait for their next use: open files are few on some systems
_MANY_PIXELS = 2**20  # of a file; with fewer, waking threads takes longer than decoding


def _gdal() -> rasterio.Env:
    return rasterio.Env(
        **_CACHE,
        # decoders other than GeoTIFF's take the number of threads from here
        GDAL_NUM_THREADS=decoding_threads(),
        # warp block by block, so that a value never depends on the window that is read
        GDAL_VRT_WARP_USE_DATASET_RASTERIO="NO",
    )


def chunk_shape(scene: Scene, size: int) -> tuple[int, int]:
    """Return height and width, in pixels, of the chunks that a scene is read in.

    See ``chunked.chunk_shape``.
    """
    # raw pixels, their float32 form while they are tested or resampled, and validity; a quantized
    # band may be resampled too, and small chunks are cut while the next is decoded
    sizes = (5 if b.quantized else np.dtype(b.dtype).itemsize for b in scene.bands)
    per_pixel = sum(sizes) + 5
    return chunked.chunk_shape(scene.grid.width, block_shape(scene), per_pixel, size, CHUNK_BYTES)


def block_shape(scene: Scene) -> tuple[int, int]:
    """Return height and width of the largest block among the files on the scene's own grid."""
    blocks = [band.blocks for band in scene.bands if _same_grid(band.grid, scene.grid)]
    height = min(max(block[0] for block in blocks), scene.grid.height)
    width = min(max(block[1] for block in blocks), scene.grid.width)
    return height, width


def always_valid(scene: Scene) -> bool:
    """Return whether no pixel can be invalid, so that a scan need not read."""
    return scene.mask is None and not any(map(_may_be_invalid, scene.bands))


def _may_be_invalid(band: Band) -> bool:
    return band.masked or _has_bad_values(band)


def _has_bad_values(band: Band) -> bool:
    return band.nodata is not None or _may_be_too_large(np.dtype(band.dtype))


def _may_be_too_large(dtype: np.dtype[Any]) -> bool:
    """Return whether a type holds not-a-number, or whole numbers beyond ``LARGEST``.

    The ends of 64 bits mean no data as a rule, and rasterio gives no no-data value that no float
    holds.
    """
    return np.issubdtype(dtype, np.inexact) or dtype.itemsize == 8


def _same_grid(one: SceneGrid, other: SceneGrid) -> bool:
    """Return whether pixels coincide, to within a thousandth of a pixel over the whole scene."""
    if (one.height, one.width) != (other.height, other.width):
        return False
    a, b, _, d, e, _ = np.abs(other.transform).tolist()
    drift = np.abs(np.subtract(one.transform, other.transform))
    reach = np.array([one.width, one.height, 1, one.width, one.height, 1])
    return bool((drift * reach).max() <= 1e-3 * max(a, b, d, e))


class SceneReader:
    """Open files of one scene; used by one thread at a time.

    Files on another grid are resampled to the scene's: bilinear, and the mask to the nearest pixel.
    That of a scene which ``is_elsewhere`` may be in any CRS.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._stack = ExitStack()
        # A dataset opened outside an Env makes one for its thread, and could not be closed by
        # another thread.
        with _gdal(), ExitStack() as on_error:
            on_error.callback(self._stack.close)
            self._files = [
                _BandFile(scene, path, self._stack)
                for path in dict.fromkeys(band.path for band in scene.bands)
            ]
            self._masks = self._open_masks()
            on_error.pop_all()

    def pixels(self, chunk: Chunk) -> Pixels:
        """Read all chosen bands; raises SourceError that names scene, file and rows."""
        return self._read(chunk, all_bands=True)

    def valid(self, chunk: Chunk) -> BoolArray | None:
        """Read only what validity depends on: ``(height, width)``, None where all is valid."""
        return self._read(chunk, all_bands=False).valid

    def take_partly_missing(self) -> int:
        """Return how many pixels ``valid`` saw since the last call that only some bands lack."""
        count = sum(file.partly_missing for file in self._files)
        for file in self._files:
            file.partly_missing = 0
        return count

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def _read(self, chunk: Chunk, all_bands: bool) -> Pixels:
        parts = []
        valid: BoolArray | None = None
        window = Window(chunk.col, chunk.row, chunk.width, chunk.height)
        with _gdal():
            for file in self._files:
                try:
                    numbers, values, good = file.read(window, all_bands)
                except UNREADABLE as error:
                    raise SceneError(
                        f"scene {self.scene.name!r}: cannot read {file.path}, rows {chunk.row} to "
                        f"{chunk.row + chunk.height} (is the file whole?): "
                        f"{error.__cause__ or error}"
                    ) from error
                parts.append((numbers, values))
                valid = _both(valid, good)
            valid = _both(valid, self._unmasked(chunk))
        if valid is not None and valid.all():
            valid = None
        return Pixels(chunk.row, chunk.col, tuple(parts), valid)

    def _open_masks(self) -> list[AlignedRaster]:
        """Open each band of the mask that counts."""
        rule = self.scene.mask
        if rule is None:
            return []
        try:
            return [
                self._stack.enter_context(AlignedRaster(rule.path, self.scene.grid, band=band))
                for band in rule.bands or (1,)
            ]
        except LayerError as error:
            raise SourceError(f"the mask of scene {self.scene.name!r}: {error}") from error

    def _unmasked(self, chunk: Chunk) -> BoolArray | None:
        """Return where the mask has no bad value; outside the mask its no-data value counts."""
        good: BoolArray | None = None
        rule = self.scene.mask
        for mask in self._masks:
            assert rule is not None
            try:
                values, _ = mask.window(chunk.row, chunk.col, chunk.height, chunk.width)
            except LayerError as error:
                raise SourceError(f"the mask of scene {self.scene.name!r}: {error}") from error
            good = _both(good, ~np.isin(values, rule.values))
            if rule.bits:
                good = _both(good, (values.astype(np.int64) & rule.bits) == 0)
        return good


class _BandFile:
    """One file, and those of the scene's bands that it holds."""

    def __init__(self, scene: Scene, path: str, stack: ExitStack) -> None:
        self.path = path
        self.partly_missing = 0  # pixels so far that some of the chosen bands lack, and not others
        self._bands = [(i, band) for i, band in enumerate(scene.bands) if band.path == path]
        self._tested = [(i, band) for i, band in self._bands if _has_bad_values(band)]
        first = self._bands[0][1]
        large = first.grid.height * first.grid.width >= _MANY_PIXELS
        threads = decoding_threads() if large else "1"
        dataset = stack.enter_context(
            open_raster(path, threads if first.driver == "GTiff" else None)
        )
        dataset = read_rightly(dataset, path, stack)
        self._dataset = dataset
        # an alpha band that is asked for as data is not a mask
        self._masked = first.masked and not any(band.alpha for _, band in self._bands)
        self._shared = first.nodata_of
        self._stack = stack
        self._views: list[RasterView] = []
        if not _same_grid(first.grid, scene.grid) or not same_crs(first.grid.crs, scene.grid.crs):
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
                dataset, scene.grid, nodata, Resampling.bilinear, shared=shared, alpha=self._masked
            )
        # the dataset's CRS, which the others share, as it is spelled in the file
        view = RasterView(
            dataset,
            scene.grid,
            dataset.crs,
            nodata,
            Resampling.bilinear,
            shared=shared,
            alpha=self._masked,
        )
        return [view]

    def read(
        self, window: Window, all_bands: bool
    ) -> tuple[tuple[int, ...], AnyArray, BoolArray | None]:
        """Return numbers of the scene's bands, pixels ``(bands, height, width)``, and validity.

        The latter is None where all pixels are valid.
        """
        if self._views:
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
                good = _both(good, _measured(band, pixels))
            return tuple(i for i, _ in bands), values, good
        bands = self._bands if all_bands else self._tested
        numbers = [band.number for _, band in bands]
        values = (
            _bands_of(self._dataset, numbers, window)
            if numbers
            else np.empty((0, window.height, window.width), dtype=np.uint8)
        )
        good = self._with_data([band for _, band in bands], values, window, count=not all_bands)
        for (_, band), pixels in zip(bands, values, strict=True):
            good = _both(good, _measured(band, pixels))
        if self._masked:
            for number in self._mask_numbers():
                # no-data values were looked at above, by their own rule
                good = _both(good, unhidden(self._dataset, number, window, by_nodata=False))
        return tuple(i for i, _ in bands), values, good

    def _with_data(
        self, bands: Sequence[Band], values: AnyArray, window: Window, *, count: bool
    ) -> BoolArray | None:
        """Return where pixels are not no-data, None where none is: all bands, or any of some.

        ``count`` adds to ``partly_missing``.
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


def _both(one: BoolArray | None, other: BoolArray | None) -> BoolArray | None:
    if one is None or other is None:
        return other if one is None else one
    return np.logical_and(one, other, out=one)


class ReaderPool:
    """Readers that wait for their next use, so that files stay open from call to call.

    Those of the scenes that were read last stay open. Threads each borrow a reader of their own;
    after a fork, the child opens its files anew. A scene is known by its name and that of its grid.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SceneReader] = []  # the last used comes last
        self._inherited: list[list[SceneReader]] = []
        self._process = os.getpid()
        self.partly_missing: Counter[str] = Counter()  # see SceneReader.take_partly_missing

    @contextmanager
    def borrow(self, scene: Scene) -> Iterator[SceneReader]:
        """Lend a reader of the scene to one thread."""
        reader = self._take(scene) or SceneReader(scene)
        try:
            yield reader
        finally:
            with self._lock:
                self.partly_missing[scene.name] += reader.take_partly_missing()
                self._idle.append(reader)
                spare = self._idle.pop(0) if len(self._idle) > _IDLE_READERS else None
            if spare is not None:
                spare.close()

    def close(self) -> None:
        """Close all files that are not lent out."""
        while (reader := self._take()) is not None:
            reader.close()

    def _take(self, scene: Scene | None = None) -> SceneReader | None:
        if os.getpid() != self._process:
            # file offsets are shared with the parent, and its locks may be held for ever: leave
            # its handles alone, unclosed
            self._inherited.append(self._idle)
            self._lock, self._idle, self._process = threading.Lock(), [], os.getpid()
        with self._lock:
            for position in reversed(range(len(self._idle))):
                if scene is None or _key(self._idle[position].scene) == _key(scene):
                    return self._idle.pop(position)
        return None


def _key(scene: Scene) -> tuple[str, str]:
    return scene.name, scene.grid.name


@dataclass(frozen=True)
class FileScene:
    """A scene of files, with the readers that it lends."""

    scene: Scene
    readers: ReaderPool

    @property
    def name(self) -> str:
        """First part of every patch_id of the scene."""
        return self.scene.name

    @property
    def grid(self) -> SceneGrid:
        """The finest grid among the bands."""
        return self.scene.grid

    @property
    def bands(self) -> tuple[Band, ...]:
        """The chosen bands."""
        return self.scene.bands

    @property
    def date(self) -> datetime.date | None:
        """The day on which it was taken; None where that is unknown, or not one day."""
        return self.scene.date

    @property
    def blocks(self) -> tuple[int, int]:
        """Height and width of the largest block among the files on the scene's own grid."""
        return block_shape(self.scene)

    @property
    def always_valid(self) -> bool:
        """Whether no pixel can be invalid."""
        return always_valid(self.scene)

    def chunk_shape(self, size: int) -> tuple[int, int]:
        """Return height and width, in pixels, of the chunks that the scene is read in."""
        return chunk_shape(self.scene, size)

    def reader(self) -> AbstractContextManager[SceneReader]:
        """Lend a reader to one thread."""
        return self.readers.borrow(self.scene)

    def bands_without_data(self, windows: Sequence[Chunk]) -> list[str]:
        """Return the bands that have no data anywhere in the windows; the mask does not matter."""
        return [band.name for band in self.bands if not self._has_data(band, windows)]

    def _has_data(self, band: Band, windows: Sequence[Chunk]) -> bool:
        alone = SceneReader(replace(self.scene, bands=(band,), mask=None))
        try:
            seen = (alone.valid(window) for window in windows)
            return any(valid is None or bool(valid.any()) for valid in seen)
        finally:
            alone.close()
