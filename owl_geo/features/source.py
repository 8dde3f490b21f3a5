"""Features presented as a patch source, so that networks can learn from them as from pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from owl_geo.features.rows import FeatureRows
from owl_geo.sources.base import PatchSource, positions_of
from owl_geo.types import FloatArray, IntArray, SceneGrid


class FeatureSource:
    """A PatchSource whose patches are single pixels and whose bands are the features."""

    def __init__(self, source: PatchSource, table: FeatureRows) -> None:
        self._source = source
        self._table = table

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of the features."""
        return self._table.names

    @property
    def patch_size(self) -> int:
        """The size of a patch: one pixel."""
        return 1

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The grids of the source that the features were computed from."""
        return self._source.grids

    @property
    def index(self) -> pd.DataFrame:
        """The index of the source that the features were computed from."""
        return self._source.index

    @property
    def chunk_starts(self) -> IntArray:
        """The chunk starts of the source that the features were computed from."""
        return self._source.chunk_starts

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return features, float32 ``(n, d, 1, 1)``; raises SourceError for an unknown id."""
        return self._table.rows(positions_of(self.index, ids))[:, :, None, None]

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, features)``, at most ``batch_size`` at a time, in index order."""
        if positions is None:
            positions = np.arange(len(self._table), dtype=np.int64)
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield part, self._table.rows(part)[:, :, None, None]
