"""The patches of a pool, handed to workers scene by scene, and their values collected again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.types import AnyArray, IntArray
from owl_geo.work.workers import Workers

LON_LAT = crs_of(GEOGRAPHIC)

_AT_ONCE = 10_000  # patches


@dataclass(frozen=True)
class Part:
    """k patches of one scene."""

    positions: IntArray  # in the pool, (k,)
    windows: Windows  # of these patches, in this order


@dataclass(frozen=True)
class Pool:
    """n patches, as one table and scene by scene."""

    windows: PoolWindows
    scenes: tuple[Part, ...]

    @classmethod
    def of(cls, windows: PoolWindows) -> Pool:
        """Split windows by scene, in the order in which the scenes first appear."""
        return cls(windows, tuple(Part(*part) for part in windows.by_scene()))

    def __len__(self) -> int:
        return len(self.windows)

    def fill(
        self,
        default: str | float,
        compute: Callable[[Windows], AnyArray],
        workers: Workers,
        parts: Sequence[Part],
    ) -> AnyArray:
        """Let workers compute the values of each part, ``(k,)``; return all, ``(n,)``.

        The array is of type object if the default is text, and float64 if it is a number.
        """
        kind = object if isinstance(default, str) else np.float64
        values = np.full(len(self), default, dtype=kind)
        computed = workers.map(compute, [part.windows for part in parts])
        for part, of_part in zip(parts, computed, strict=True):
            values[part.positions] = of_part
        return values

    @property
    def parts(self) -> list[Part]:
        """The scenes, large ones split: polygons of all their patches would fill the memory."""
        return [
            Part(scene.positions[rows], scene.windows.take(rows))
            for scene in self.scenes
            for start in range(0, len(scene.positions), _AT_ONCE)
            for rows in [slice(start, start + _AT_ONCE)]
        ]
