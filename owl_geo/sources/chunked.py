"""A scene as the scan and the stream see it: pixels on one grid, read a chunk at a time."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from owl_geo.ground.tiling import Chunk
from owl_geo.sources.bands import Band
from owl_geo.types import AnyArray, BoolArray, SceneGrid

# Pixels of one chunk in memory, everything counted; one more chunk is read ahead.
CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Pixels:
    """Raw pixels of a window that begins at ``row``, ``col`` of the scene; see ``values_in``."""

    row: int
    col: int
    # per file: the numbers of its bands among the chosen ones, and pixels (bands, height, width)
    parts: tuple[tuple[tuple[int, ...], AnyArray], ...]
    valid: BoolArray | None  # (height, width); None where every pixel is valid


class ChunkReader(Protocol):
    """Reads pixels of one scene; used by one thread at a time."""

    def pixels(self, chunk: Chunk) -> Pixels:
        """Read all chosen bands; raises SourceError that names scene, file and rows."""

    def valid(self, chunk: Chunk) -> BoolArray | None:
        """Read only what validity depends on: ``(height, width)``, None where all is valid."""


class ChunkedScene(Protocol):
    """A scene that patches are cut from, whatever holds its pixels."""

    @property
    def name(self) -> str:
        """First part of every patch_id of the scene."""

    @property
    def grid(self) -> SceneGrid:
        """The grid that all chosen bands are read on."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """The chosen bands."""

    @property
    def date(self) -> datetime.date | None:
        """The day on which it was taken; None where that is unknown, or not one day."""

    @property
    def blocks(self) -> tuple[int, int]:
        """Height and width, in pixels, of what is decoded at once."""

    @property
    def always_valid(self) -> bool:
        """Whether no pixel can be invalid, so that a scan need not read."""

    @property
    def is_seen_whole(self) -> bool:
        """Whether a scan reads all bands, or none of them can end before its last row."""

    def chunk_shape(self, size: int) -> tuple[int, int]:
        """Return height and width, in pixels, of the chunks that the scene is read in."""

    def reader(self) -> AbstractContextManager[ChunkReader]:
        """Lend a reader to one thread."""

    def bands_without_data(self, windows: Sequence[Chunk]) -> list[str]:
        """Return the bands that have no data anywhere in the windows; the mask does not matter."""


def chunk_shape(
    scene_width: int, blocks: tuple[int, int], per_pixel: int, size: int, budget: int
) -> tuple[int, int]:
    """Return height and width, in pixels, of chunks for patches of ``size`` pixels.

    Whole rows of blocks as far as ``budget`` bytes allow, at ``per_pixel`` bytes, then whole
    columns of blocks, as many in each chunk; never less than a patch.
    """
    block_height, block_width = blocks
    height = _multiple(block_height, size)
    rows = budget // (per_pixel * scene_width)
    if rows >= height:
        return rows // height * height, scene_width
    if block_width < scene_width:
        width = _multiple(block_width, size)
        return height, _evenly(scene_width, width, budget // (per_pixel * height))
    if rows >= size:  # blocks of whole rows, taller than memory allows
        return rows, scene_width
    return size, _evenly(scene_width, size, budget // (per_pixel * size))


def _evenly(scene_width: int, unit: int, most: int) -> int:
    """Return a width of at most ``most`` pixels, or one unit, of which a row has few and full ones.

    All threads decode a chunk, and a narrow last one would leave some idle.
    """
    units = -(-scene_width // unit)
    chunks = -(-units // max(most // unit, 1))
    return -(-units // chunks) * unit


def _multiple(unit: int, least: int) -> int:
    """Return the least multiple of ``unit`` that is not below ``least``."""
    return unit * -(-least // unit)


def both(one: BoolArray | None, other: BoolArray | None) -> BoolArray | None:
    """Return where both hold, of which None holds everywhere; the first array may be reused."""
    if one is None or other is None:
        return other if one is None else one
    return np.logical_and(one, other, out=one)
