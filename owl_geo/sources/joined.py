"""Two sources as one, so that what was learnt on one can be applied to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from owl_geo.errors import SourceError
from owl_geo.sources.base import PatchSource, positions_of, read_at
from owl_geo.types import FloatArray, IntArray, SceneGrid


class JoinedSource:
    """The patches of one source, and behind them those of another.

    Raises SourceError where their bands or patch sizes differ, or both have a scene of one name.
    """

    def __init__(self, first: PatchSource, second: PatchSource) -> None:
        for what, one, other in [
            ("bands", first.bands, second.bands),
            ("patch size", first.patch_size, second.patch_size),
        ]:
            if one != other:
                raise SourceError(f"the {what} differ: {other}, but the model learnt on {one}")
        twice = set(first.grids) & set(second.grids)
        if twice:
            raise SourceError(
                f"both sources have a scene {sorted(twice)[0]!r}", remedy="give it a name"
            )
        self._parts = (first, second)
        self._start = len(first.index)  # of the second
        self._index = pd.concat([first.index, second.index], ignore_index=True)

    @property
    def bands(self) -> tuple[str, ...]:
        """Of both."""
        return self._parts[0].bands

    @property
    def patch_size(self) -> int:
        """Of both, in pixels."""
        return self._parts[0].patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """Of all scenes."""
        return {**self._parts[0].grids, **self._parts[1].grids}

    @property
    def index(self) -> pd.DataFrame:
        """The first source's patches, then the second's."""
        return self._index

    @property
    def chunk_starts(self) -> IntArray:
        """Of the first source, then of the second."""
        first, second = (part.chunk_starts for part in self._parts)
        return np.concatenate([first, second + self._start])

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)`` in the order of ``ids``; see PatchSource."""
        return read_at(self, positions_of(self._index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, in index order."""
        if positions is None:
            positions = np.arange(len(self._index), dtype=np.int64)
        cut = int(np.searchsorted(positions, self._start))
        for part, start, mine in zip(
            self._parts, (0, self._start), (positions[:cut], positions[cut:]), strict=True
        ):
            if len(mine) == 0:
                continue
            for at, patches in part.stream(mine - start, batch_size=batch_size):
                yield at + start, patches
