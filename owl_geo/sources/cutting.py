"""Patches out of pixels: cutting, filling holes, and the share of valid pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from owl_geo.errors import SourceError
from owl_geo.ground.gathering import windows_at
from owl_geo.ground.tiling import Chunk
from owl_geo.ground.windows import Windows
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import Pixels
from owl_geo.sources.embeddings import values_in
from owl_geo.types import EMBEDDING, AnyArray, BoolArray, FloatArray


def cut(pixels: Pixels, bands: Sequence[Band], windows: Windows) -> FloatArray:
    """Return the patches of windows that lie in the pixels, ``(n, bands, size, size)``.

    Values are scaled and offset. Invalid pixels get the median of the band over the patch's valid
    pixels, or the mean, for an embedding. Raises SourceError where a patch has no valid pixel.
    """
    row, col, size = windows.row_off - pixels.row, windows.col_off - pixels.col, windows.patch_size
    with np.errstate(over="ignore", invalid="ignore"):  # such pixels are filled below
        parts = []
        for numbers, values in pixels.parts:
            raw = windows_at(values, row, col, size)
            own = values_in(raw, [bands[number] for number in numbers])
            parts.append((numbers, own.astype(np.float32, copy=False)))
    patches = _together(parts, len(bands))
    _scale(patches, bands)
    if pixels.valid is not None:
        valid = windows_at(pixels.valid[None], row, col, size)[:, 0]
        holed = np.flatnonzero(~valid.all(axis=(1, 2)))
        if not valid[holed].any(axis=(1, 2)).all():
            raise SourceError(
                f"{bands[0].path}: a patch has no valid pixel any more",
                remedy="the scene or its mask changed since it was scanned",
            )
        if len(holed):
            dimensions = [number for number, band in enumerate(bands) if band.common == EMBEDDING]
            patches[holed] = fill(patches[holed], valid[holed], dimensions)
    return patches


def _together(parts: Sequence[tuple[Sequence[int], FloatArray]], n_bands: int) -> FloatArray:
    """Return patches of all bands, from those of each file's bands and their numbers."""
    numbers, first = parts[0]
    if list(numbers) == list(range(n_bands)):
        return first
    patches = np.empty((len(first), n_bands, *first.shape[2:]), dtype=np.float32)
    for numbers, own in parts:
        patches[:, list(numbers)] = own
    return patches


def _scale(patches: FloatArray, bands: Sequence[Band]) -> None:
    scale = np.array([band.scale for band in bands], dtype=np.float32)
    offset = np.array([band.offset for band in bands], dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if (scale != 1).any():
            patches *= scale[:, None, None]
        if (offset != 0).any():
            patches += offset[:, None, None]


def fill(patches: FloatArray, valid: BoolArray, by_mean: Sequence[int] = ()) -> FloatArray:
    """Put each band's median over the valid pixels into the invalid ones.

    ``patches`` are ``(n, bands, size, size)``, ``valid`` is ``(n, size, size)`` with at least one
    valid pixel in each patch. Bands at the positions ``by_mean`` get their mean, so that the mean
    of the patch stays that of its valid pixels.
    """
    n, bands = patches.shape[:2]
    count = valid.sum(axis=(1, 2))  # (n,)
    shown: BoolArray = np.broadcast_to(valid[:, None], patches.shape)
    # infinity sorts behind every valid value
    flat = np.where(shown, patches, np.float32(np.inf)).reshape(n, bands, -1)
    flat.sort(axis=-1)
    low, high = (count - 1) // 2, count // 2
    middle = np.take_along_axis(flat, np.stack([low, high], axis=-1)[:, None, :], axis=-1)
    median = middle[..., 0] * np.float32(0.5) + middle[..., 1] * np.float32(0.5)  # (n, bands)
    if by_mean:
        at = list(by_mean)
        sums = np.where(shown[:, at], patches[:, at], 0).sum(axis=(2, 3), dtype=np.float64)
        median[:, at] = sums / count[:, None]
    filled: FloatArray = np.where(shown, patches, median[..., None, None])
    return filled


def valid_shares(valid: BoolArray, chunk: Chunk, windows: Windows) -> AnyArray:
    """Return the share of valid pixels in each window, float64 ``(n,)``.

    ``valid`` tells of the pixels of the chunk, ``(height, width)``; the windows lie in it.
    """
    row, col, size = windows.row_off - chunk.row, windows.col_off - chunk.col, windows.patch_size
    height, width = valid.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    np.cumsum(valid, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    below, right = row + size, col + size
    total = sums[below, right] - sums[row, right] - sums[below, col] + sums[row, col]
    return total / (size * size)
