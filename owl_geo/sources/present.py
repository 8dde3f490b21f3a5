"""The scenes of a run that can be opened, where some cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd

from owl_geo.config import GeoTiffSettings
from owl_geo.errors import SourceError
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource, positions_of
from owl_geo.types import FloatArray, SceneGrid


class PresentScenes:
    """A PatchSource over a whole index that has the pixels of some scenes only.

    What it says of itself (bands, grids, index) is of all scenes; to ask for pixels of one of the
    others is a SourceError that says why it has none.

    Args:
        settings: of the source, with paths that are whole.
        index: the patch index of all scenes.
        grids: the pixel grid of each scene, as it was indexed.
        bands: names of the bands.
        missing: scenes that are left out, and the reason of each.
    """

    def __init__(
        self,
        settings: GeoTiffSettings,
        index: gpd.GeoDataFrame,
        grids: Mapping[str, SceneGrid],
        bands: Sequence[str],
        missing: Mapping[str, str],
    ) -> None:
        there = tuple(scene for scene in settings.scenes if scene.name not in missing)
        self._source: PatchSource | None = None
        if there:
            self._source = open_source(
                _only(settings, [scene.name for scene in there], bands),
                index=index[~index["scene"].isin(missing)].reset_index(drop=True),
            )
        self._patch_size = settings.patch_size
        self._index = index
        self._grids = dict(grids)
        self._bands = tuple(bands)
        self._missing = dict(missing)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return self._bands

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self._patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""
        return self._grids

    @property
    def index(self) -> gpd.GeoDataFrame:
        """All patches, of the missing scenes too."""
        return self._index

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``; raises SourceError for a missing scene."""
        return self._having(ids).read(ids)

    def stream(
        self, ids: Sequence[str] | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[list[str], FloatArray]]:
        """Yield ``(ids, patches)`` in the order of the index, as ``PatchSource`` says."""
        wanted = self._index["patch_id"].tolist() if ids is None else ids
        return self._having(wanted).stream(wanted, batch_size=batch_size)

    def _having(self, ids: Sequence[str]) -> PatchSource:
        scenes = self._index["scene"].iloc[positions_of(self._index, ids)]
        for name in scenes.unique():
            if name in self._missing:
                raise SourceError(self._missing[name])
        if self._source is None:
            raise SourceError("no scene of the run can be opened")
        return self._source


def missing_scenes(
    settings: GeoTiffSettings,
    index: gpd.GeoDataFrame,
    grids: Mapping[str, SceneGrid],
    bands: Sequence[str],
) -> dict[str, str]:
    """Open each scene by itself and return those that cannot be, with the reason of each.

    The arguments are as for ``PresentScenes``; a scene on another grid than its own was replaced.
    """
    missing = {}
    for scene in settings.scenes:
        mine = index[index["scene"] == scene.name].reset_index(drop=True)
        try:
            source = open_source(_only(settings, [scene.name], bands), index=mine)
        except SourceError as error:
            missing[scene.name] = str(error)
            continue
        if source.grids[scene.name] != grids.get(scene.name):
            missing[scene.name] = "its CRS, place or size is not what it was; restore the scene"
    return missing


def _only(settings: GeoTiffSettings, names: Sequence[str], bands: Sequence[str]) -> GeoTiffSettings:
    scenes = tuple(scene for scene in settings.scenes if scene.name in names)
    # without a choice of bands the first scene decides, and that may be a missing one
    return settings.model_copy(update={"scenes": scenes, "bands": settings.bands or tuple(bands)})
