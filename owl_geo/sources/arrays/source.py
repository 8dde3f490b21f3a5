"""Patches of TESSERA's tiles in NumPy arrays."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.errors import SceneError, SourceError
from owl_geo.ground.tiling import Chunk
from owl_geo.settings.sources import ArraysSettings, TileSettings
from owl_geo.sources import chunked
from owl_geo.sources.arrays.tiles import Tile, describe_tile, open_array
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import CHUNK_BYTES, Pixels
from owl_geo.sources.editions import check_editions
from owl_geo.sources.left_out import NoSceneLeft, failed_scene
from owl_geo.sources.pixel_sizes import warn_of_mixed_pixels
from owl_geo.sources.tessera import TOO_LARGE, scales_that_count
from owl_geo.sources.tiled import TiledSource
from owl_geo.sources.unopened import OnError
from owl_geo.types import LARGEST, AnyArray, BoolArray, FailedScene, FloatArray, SceneGrid
from owl_geo.work.progress import Progress


class ArraySource(TiledSource["ArrayScene"]):
    """A PatchSource over tiles of vectors, each with its own CRS; read lazily, whatever their size.

    Args:
        settings: the tiles, and how they are cut into patches.
        index: the patch index of an earlier scan; with it no tile is scanned.
        progress: called with (windows done, windows in all) during the scan.
        on_error: "skip" leaves out tiles that cannot be read; see ``failed``.
        beside: tiles that these are added to; then it is not an error if there is no patch at all.
        known: bands of a run that was made with these tiles.

    A value is its integer times the scale of its pixel, or of its pixel and band where the scales
    have three axes. Where a scale is not a positive finite number below 1, the pixel is missing;
    such pixels of a patch get the mean of the others, so that the mean of the patch is theirs. The
    land mask says where a tile lies, and nothing else: a pixel that it calls water has a vector if
    it has a scale.

    Headers are read at once, the scan runs when the index is first asked for. Raises SourceError.
    """

    def __init__(
        self,
        settings: ArraysSettings,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
        beside: Sequence[TileSettings] = (),
        known: Sequence[KnownBand] = (),
    ) -> None:
        skip = on_error == "skip"
        failed: list[FailedScene] = []
        scenes: list[ArrayScene] = []
        for one in settings.scenes:
            try:
                scene = ArrayScene(describe_tile(one))
                _check_depth(scene, known or (scenes[0].bands if scenes else ()))
                scenes.append(scene)
            except SourceError as error:
                if not skip:
                    raise
                failed.append(failed_scene(one.name, error))
        if not scenes:
            raise NoSceneLeft(failed)
        self._beside = tuple(beside[:1])
        super().__init__(scenes, settings, index, progress, skip=skip, may_be_empty=bool(beside))
        self._failed = (*failed, *self._failed)

    @classmethod
    def from_settings(
        cls,
        settings: ArraysSettings,
        index: pd.DataFrame | None = None,
        known: Sequence[KnownBand] = (),
    ) -> ArraySource:
        """Open the source that owl.toml describes, in another process too."""
        return cls(settings, index, known=known)

    def check_bands(self, truth: str | None = None) -> None:
        """Warn of tiles with other pixels; raises SourceError for tiles of several editions."""
        beside: list[Tile] = []
        for one in self._beside:
            with suppress(SourceError):  # it is named by whoever reads it
                beside.append(describe_tile(one))
        check_editions(
            [
                *((one.grid.name, one.bands[:1]) for one in beside),
                *((name, self.scene(name).bands[:1]) for name in self.grids),
            ]
        )
        warn_of_mixed_pixels([*(one.grid for one in beside), *self.grids.values()], self.patch_size)


def _check_depth(scene: ArrayScene, others: Sequence[Band | KnownBand]) -> None:
    """Raise SceneError for a tile whose vectors are longer or shorter than those of the others."""
    depth = len(scene.bands)
    if others and depth != len(others):
        raise SceneError(
            f"scene {scene.name!r} has vectors of {depth} numbers, and the others of {len(others)}",
            remedy="take tiles of one version",
        )


@dataclass(frozen=True)
class ArrayScene:
    """A tile as it is read; see ``chunked.ChunkedScene``."""

    tile: Tile
    date: datetime.date | None = None  # a tile is of a year, which is no day

    @property
    def name(self) -> str:
        """First part of every patch_id."""
        return self.tile.grid.name

    @property
    def grid(self) -> SceneGrid:
        """The grid of the land mask."""
        return self.tile.grid

    @property
    def bands(self) -> tuple[Band, ...]:
        """The numbers of a vector."""
        return self.tile.bands

    @property
    def blocks(self) -> tuple[int, int]:
        """One pixel: nothing is compressed, so that any part can be read by itself."""
        return 1, 1

    @property
    def always_valid(self) -> bool:
        """False: only its scales tell."""
        return False

    @property
    def is_seen_whole(self) -> bool:
        """True: the length of its files is compared with their headers."""
        return True

    def chunk_shape(self, size: int) -> tuple[int, int]:
        """Return height and width, in pixels, of the chunks that the tile is read in."""
        per_pixel = 6 * len(self.bands) + 5  # the integers, those in order, values, validity
        return chunked.chunk_shape(self.grid.width, self.blocks, per_pixel, size, CHUNK_BYTES)

    @contextmanager
    def reader(self) -> Iterator[ArrayReader]:
        """Lend a reader; the files are mapped as long as it is used."""
        yield ArrayReader(self)

    def bands_without_data(self, windows: Sequence[Chunk]) -> list[str]:
        """Return all bands where no pixel of the windows has a vector, and none otherwise."""
        reader = ArrayReader(self)
        for window in windows:
            valid = reader.valid(window)
            if valid is None or valid.any():
                return []
        return [band.name for band in self.bands]


class ArrayReader:
    """Reads windows of a tile."""

    def __init__(self, scene: ArrayScene) -> None:
        tile = scene.tile
        try:
            self._vectors = open_array(tile.vectors)
            self._scales = None if tile.scales is None else open_array(tile.scales)
        except SourceError as error:
            raise SceneError(
                f"scene {scene.name!r}: {error.message}", remedy=error.remedy
            ) from error
        self._numbers = tuple(range(len(scene.bands)))

    def pixels(self, chunk: Chunk) -> Pixels:
        """Read the values, float32 ``(bands, height, width)``."""
        vectors = np.ascontiguousarray(_part(self._vectors, chunk).transpose(2, 0, 1))
        if self._scales is None:
            values, valid = vectors.astype(np.float32), _finite(vectors, axis=0)
        else:
            scales = _part(self._scales, chunk)
            valid = _has_vector(scales)
            values = vectors * _by_band(np.where(_like(valid, scales), scales, 0))
        whole = bool(valid.all())
        return Pixels(chunk.row, chunk.col, ((self._numbers, values),), None if whole else valid)

    def valid(self, chunk: Chunk) -> BoolArray | None:
        """Read the scales alone: ``(height, width)``, None where every pixel has a vector."""
        if self._scales is None:
            valid = _finite(_part(self._vectors, chunk), axis=2)
        else:
            valid = _has_vector(_part(self._scales, chunk))
        return None if valid.all() else valid


def _part(array: AnyArray, chunk: Chunk) -> AnyArray:
    """Return a window of an array whose first axes are rows and columns, copied from its file."""
    rows = slice(chunk.row, chunk.row + chunk.height)
    return np.array(array[rows, chunk.col : chunk.col + chunk.width])


def _has_vector(scales: AnyArray) -> BoolArray:
    """Return where scales, one a pixel or one a number, are those of a vector ``(h, w)``."""
    if scales.ndim == 2:
        return scales_that_count(scales)
    with np.errstate(invalid="ignore"):
        good: BoolArray = (scales >= 0) & (scales < TOO_LARGE)  # neither not-a-number nor infinite
        some: BoolArray = scales > 0
    return np.logical_and(good.all(axis=2), some.any(axis=2))


def _like(valid: BoolArray, scales: AnyArray) -> BoolArray:
    return valid if scales.ndim == 2 else valid[..., None]


def _by_band(scales: AnyArray) -> FloatArray:
    """Return scales that can be multiplied by ``(bands, height, width)``."""
    factors = scales.astype(np.float32, copy=False)
    return factors if scales.ndim == 2 else factors.transpose(2, 0, 1)


def _finite(values: AnyArray, axis: int) -> BoolArray:
    with np.errstate(over="ignore", invalid="ignore"):
        small: BoolArray = np.abs(values.astype(np.float32, copy=False)) <= LARGEST
    return np.asarray(small.all(axis=axis))
