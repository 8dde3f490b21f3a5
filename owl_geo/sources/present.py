"""The scenes of a run that can be opened, where some cannot."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from owl_geo.errors import SourceError
from owl_geo.settings.sources import GeoTiffSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.bands import Band
from owl_geo.sources.base import PoolSource, positions_of
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.left_out import failed_scene
from owl_geo.types import FloatArray, IntArray, SceneGrid, ShownScene


class PresentScenes(PoolSource):
    """A PatchSource over a whole index that has the pixels of some scenes only.

    Bands, grids and index are those of all scenes; to ask for pixels of a missing one is a
    SourceError that says why it has none.

    Args:
        settings: of the source, with paths that are whole.
        index: the patch index of all scenes.
        grids: the pixel grid of each scene, as it was indexed.
        bands: with what is known of each.
        missing: scenes that are left out, and the reason of each.
    """

    def __init__(
        self,
        settings: GeoTiffSettings,
        index: pd.DataFrame,
        grids: Mapping[str, SceneGrid],
        bands: Sequence[KnownBand],
        missing: Mapping[str, str],
    ) -> None:
        present = [scene.name for scene in settings.scenes if scene.name not in missing]
        is_present = ~index["scene"].isin(missing).to_numpy()
        self._positions = np.flatnonzero(is_present)  # in the whole index, of the source's patches
        self._source: GeoTiffSource | None = None
        if present:
            self._source = GeoTiffSource.from_settings(
                _only(settings, present),
                index=index[is_present].reset_index(drop=True),
                beside=settings.scenes,
                known=bands,
            )
        self._patch_size = settings.patch_size
        self._index = index
        self._grids = dict(grids)
        self._known_bands = tuple(bands)
        self._missing = dict(missing)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self._known_bands)

    @property
    def known_bands(self) -> tuple[KnownBand, ...]:
        """The bands with what is known of each."""
        return self._known_bands

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self._patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""
        return self._grids

    @property
    def dates(self) -> Mapping[str, datetime.date]:
        """The day on which each scene was taken that can be opened and has one."""
        return {} if self._source is None else self._source.dates

    @property
    def index(self) -> pd.DataFrame:
        """All patches, of the missing scenes too."""
        return self._index

    def raster_bands(self, scene: str) -> tuple[Band, ...]:
        """Return the bands of a scene; raises SourceError for a missing one."""
        if self._source is None or scene in self._missing:
            raise SourceError(self._missing.get(scene, f"no scene {scene!r} can be opened"))
        return self._source.raster_bands(scene)

    def shown(self, scene: str, rows: IntArray, cols: IntArray) -> tuple[ShownScene, ...]:
        """Return the ways in which QGIS can show a scene; raises SourceError for a missing one."""
        if self._source is None or scene in self._missing:
            raise SourceError(self._missing.get(scene, f"no scene {scene!r} can be opened"))
        return self._source.shown(scene, rows, cols)

    @property
    def chunk_starts(self) -> IntArray:
        """Where reading moves on; a missing scene is one chunk."""
        scene = self._index["scene"].to_numpy(dtype=object)
        starts = np.flatnonzero(np.append(True, scene[1:] != scene[:-1]))
        if self._source is not None:
            starts = np.union1d(starts, self._positions[self._source.chunk_starts])
        return starts.astype(np.int64)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``; raises SourceError for a missing scene."""
        return self._having(positions_of(self._index, ids)).read(ids)

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)`` in the order of the index, as ``PatchSource`` says."""
        if positions is None:
            positions = np.arange(len(self._index), dtype=np.int64)
        source = self._having(positions)
        own = np.searchsorted(self._positions, positions)
        for part, patches in source.stream(own, batch_size=batch_size):
            yield self._positions[part], patches

    def _having(self, positions: IntArray) -> GeoTiffSource:
        for name in self._index["scene"].iloc[positions].unique():
            if name in self._missing:
                raise SourceError(self._missing[name])
        if self._source is None:
            raise SourceError("no scene of the run can be opened")
        return self._source


def missing_scenes(
    settings: GeoTiffSettings,
    index: pd.DataFrame,
    grids: Mapping[str, SceneGrid],
    bands: Sequence[KnownBand],
) -> dict[str, str]:
    """Open each scene by itself and return those that cannot be, with the reason of each.

    The arguments are as for ``PresentScenes``; a scene on another grid than its own was replaced.
    """
    missing = {}
    for scene in settings.scenes:
        mine = index[index["scene"] == scene.name].reset_index(drop=True)
        try:
            source = GeoTiffSource.from_settings(
                _only(settings, [scene.name]), index=mine, beside=settings.scenes, known=bands
            )
        except SourceError as error:
            missing[scene.name] = failed_scene(scene.name, error).reason
            continue
        if source.grids[scene.name] != grids.get(scene.name):
            missing[scene.name] = (
                f"{scene.name}: its CRS, extent or size is not what it was; restore the scene"
            )
    return missing


def _only(settings: GeoTiffSettings, names: Sequence[str]) -> GeoTiffSettings:
    scenes = tuple(scene for scene in settings.scenes if scene.name in names)
    return settings.model_copy(update={"scenes": scenes})
