"""Pixels of one scene, a window at a time, with open files kept for the next window."""

from __future__ import annotations

import datetime
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from rasterio.windows import Window

from owl_geo.errors import LayerError, SceneError, SourceError
from owl_geo.ground.raster import AlignedRaster
from owl_geo.ground.raster_files import UNREADABLE
from owl_geo.ground.tiling import Chunk
from owl_geo.sources import chunked
from owl_geo.sources.band_file import BandFile, has_bad_values, same_grid
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import CHUNK_BYTES, Pixels, both
from owl_geo.sources.files import decoding_threads
from owl_geo.sources.scenes import Scene
from owl_geo.types import BoolArray, SceneGrid

# GDAL's own cache of blocks, in bytes. Chunks are whole blocks, so there is little to come back
# to, and a share of the machine's memory, as GDAL takes by default, would be taken for nothing.
_CACHE = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": 128 * 2**20}

_IDLE_READERS = 32  # of scenes that wait for their next use: open files are few on some systems


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
    blocks = [band.blocks for band in scene.bands if same_grid(band.grid, scene.grid)]
    height = min(max(block[0] for block in blocks), scene.grid.height)
    width = min(max(block[1] for block in blocks), scene.grid.width)
    return height, width


def always_valid(scene: Scene) -> bool:
    """Return whether no pixel can be invalid, so that a scan need not read."""
    return scene.mask is None and not any(map(_may_be_invalid, scene.bands))


def _may_be_invalid(band: Band) -> bool:
    return band.masked or has_bad_values(band)


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
                BandFile(scene, path, self._stack)
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
                valid = both(valid, good)
            valid = both(valid, self._unmasked(chunk))
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
            good = both(good, ~np.isin(values, rule.values))
            if rule.bits:
                good = both(good, (values.astype(np.int64) & rule.bits) == 0)
        return good


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

    @property
    def is_seen_whole(self) -> bool:
        """Whether a scan reads all bands, for values that may stand for missing data.

        Or all but those of which it is known that they do not end too early.
        """
        return all(has_bad_values(band) or band.is_whole for band in self.bands)

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
