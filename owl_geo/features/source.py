"""Features in the clothes of a patch source, so that networks can learn on them as on pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd
import numpy as np

from owl_geo.features.table import FeatureTable
from owl_geo.sources.base import PatchSource, positions_of
from owl_geo.types import FloatArray, SceneGrid


class FeatureSource:
    """A PatchSource whose patches are single pixels and whose bands are the features."""

    def __init__(self, source: PatchSource, table: FeatureTable) -> None:
        self._source = source
        self._table = table

    @property
    def bands(self) -> tuple[str, ...]:
        """The features' names."""
        return self._table.names

    @property
    def patch_size(self) -> int:
        """One pixel."""
        return 1

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The grids of the pixels' source."""
        return self._source.grids

    @property
    def index(self) -> gpd.GeoDataFrame:
        """The index of the pixels' source."""
        return self._source.index

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return features, float32 ``(n, d, 1, 1)``; raises SourceError for an unknown id."""
        return self._table.values[positions_of(self.index, ids)][:, :, None, None]

    def stream(
        self, ids: Sequence[str] | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[list[str], FloatArray]]:
        """Yield ``(ids, features)``, at most ``batch_size`` at a time, in order of the index."""
        known = self.index["patch_id"]
        positions = np.arange(len(known)) if ids is None else np.sort(positions_of(self.index, ids))
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield known.iloc[part].tolist(), self._table.values[part][:, :, None, None]
