"""A data cube before it is opened: the one scene that it is, and its file or store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from owl_geo.settings.sources import CubeSettings
from owl_geo.sources.cube.paths import file_and_group, name_of_path
from owl_geo.sources.file_states import file_states, imagery_files
from owl_geo.sources.unopened import Identity, OnError, Sample, UnopenedSource, without_paths
from owl_geo.types import EMBEDDING
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.base import PoolSource
    from owl_geo.types import SceneGrid


class UnopenedCube(UnopenedSource[CubeSettings]):
    """A cube in a Zarr store, a NetCDF file or behind a URL: one scene."""

    options = (
        *("scenes", "bands", "common", "time", "patch_size", "stride", "min_valid", "aoi", "crs"),
    )

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """The file or the store."""
        settings = self.settings
        file, _ = file_and_group(settings.path)
        return {settings.name or name_of_path(settings.path): [file]}

    def files_in(self, folder: Path) -> Iterator[Path]:
        """Return the metadata of a store, whose chunks may be a million."""
        return imagery_files(folder)

    def identity(self, as_written: CubeSettings) -> Identity:
        """Return what tells the cube from others: of a store, what stands in the folder itself."""
        settings = self.settings
        file, _ = file_and_group(settings.path)
        states = [file_states(file, whole=False), file_states(settings.aoi)]
        return Identity(as_written.model_dump(mode="json"), states, {})

    def anywhere(self) -> dict[str, Any]:
        """Return the settings without what says where on this machine the cube lies."""
        return without_paths(self.settings.model_dump(mode="json"))

    @property
    def tiling(self) -> CubeSettings:
        """The settings themselves."""
        return self.settings

    def sample(self) -> Sample:
        """Open the cube for its grid; raises SourceError."""
        source = self.open()
        are_embeddings = any(band.common == EMBEDDING for band in source.known_bands)
        return Sample(list(source.grids.values()), 1, are_embeddings)

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> PoolSource:
        """Open the cube; see ``source.CubeSource``."""
        from owl_geo.sources.cube.source import CubeSource

        return CubeSource.from_settings(self.settings, index, progress)

    def open_again(
        self,
        index: pd.DataFrame | None,
        known: Sequence[KnownBand],
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> PoolSource:
        """Open the cube with the bands of a run."""
        from owl_geo.sources.cube.source import CubeSource

        return CubeSource.from_settings(self.settings, index, known=known)
