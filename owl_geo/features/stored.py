"""Features of a pool that is too large for memory: on disk, of which rows are read as needed.

What is on disk is what the features follow from: of patches of one pixel of an embedding its
vector, in as few bytes as lose nothing, and of all others the features themselves; see ``narrow``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from owl_geo.features.narrow import widened
from owl_geo.features.row_files import read_rows
from owl_geo.features.scaling import Scaling
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.workers import Threads, Workers

ROWS = 8192  # that are read and computed together


class Embed(Protocol):
    """What features are computed with."""

    def __call__(self, patches: FloatArray) -> FloatArray:
        """Return features ``(n, d)`` of patches ``(n, bands, height, width)``."""


@dataclass(frozen=True)
class StoredScene:
    """The file of a scene's patches, which are adjacent in the index."""

    path: Path
    n: int

    def rows(self, at: IntArray | slice, embed: Embed, width: int) -> FloatArray:
        """Return unscaled features of some of the patches, float32 ``(k, width)``."""
        part = widened(read_rows(self.path, at))
        return part if part.shape[1] == width else embed(part[:, :, None, None])


@dataclass(frozen=True)
class StoredTable:
    """The features of every patch of the index, like ``FeatureTable``, on disk."""

    scenes: tuple[StoredScene, ...]
    names: tuple[str, ...]
    embed: Embed
    scaling: Scaling

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def _starts(self) -> IntArray:
        return np.cumsum([0, *(scene.n for scene in self.scenes)], dtype=np.int64)

    def rows(self, positions: IntArray) -> FloatArray:
        """Return the scaled features of some patches, in any order, float32 ``(k, d)``."""
        values = np.empty((len(positions), len(self.names)), dtype=np.float32)
        of_scene = np.searchsorted(self._starts, positions, side="right") - 1
        for number in np.flatnonzero(np.bincount(of_scene)).tolist():
            mine = np.flatnonzero(of_scene == number)
            at = positions[mine] - self._starts[number]
            for start in range(0, len(mine), ROWS):
                part = slice(start, start + ROWS)
                values[mine[part]] = self._scaled(self.scenes[number], at[part])
        return values

    def components(self, width: int, workers: Workers | None = None) -> FloatArray:
        """Return the first principal components of all patches, float32 ``(N, width)``.

        There are no more than features. Their signs are such that the largest weight of each is
        positive.
        """
        workers = workers or Threads()
        pieces = [
            (number, slice(start, min(start + 8 * ROWS, scene.n)))
            for number, scene in enumerate(self.scenes)
            for start in range(0, scene.n, 8 * ROWS)
        ]
        d, n = len(self.names), len(self)
        width = min(width, d)
        total, products = np.zeros(d), np.zeros((d, d))
        for of_piece in workers.map(_Products(self), pieces):
            total += of_piece[0]
            products += of_piece[1:]
        mean = total / n
        vectors = np.linalg.eigh(products / n - np.outer(mean, mean))[1][:, ::-1][:, :width]
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(width)])
        found = np.empty((n, width), dtype=np.float32)
        start = 0
        for part in workers.map(_Projected(self, vectors.astype(np.float32), mean), pieces):
            found[start : start + len(part)] = part
            start += len(part)
        return found

    def parts(self, piece: tuple[int, slice]) -> Iterator[FloatArray]:
        """Yield the scaled features of patches of a scene that lie behind one another."""
        number, rows = piece
        for start in range(rows.start, rows.stop, ROWS):
            part = slice(start, min(start + ROWS, rows.stop))
            yield self._scaled(self.scenes[number], part)

    def _scaled(self, scene: StoredScene, at: IntArray | slice) -> FloatArray:
        return self.scaling.apply(scene.rows(at, self.embed, len(self.names)))


@dataclass(frozen=True)
class _Products:
    """Sums and products of a piece of a table, ``(d + 1, d)``, for the covariance."""

    table: StoredTable

    def __call__(self, piece: tuple[int, slice]) -> NDArray[np.float64]:
        sums = np.zeros((len(self.table.names) + 1, len(self.table.names)))
        for part in self.table.parts(piece):
            sums[0] += part.sum(axis=0, dtype=np.float64)
            sums[1:] += part.T @ part  # of few rows, so that float32 holds their products
        return sums


@dataclass(frozen=True)
class _Projected:
    """A piece of a table on some axes."""

    table: StoredTable
    vectors: FloatArray  # (d, width)
    mean: NDArray[np.float64]

    def __call__(self, piece: tuple[int, slice]) -> FloatArray:
        mean = self.mean.astype(np.float32)
        parts = [(part - mean) @ self.vectors for part in self.table.parts(piece)]
        return np.concatenate(parts)
