"""A data cube before it is opened: the one scene that it is, and its file or store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from owl_geo.settings.paths import absolute, is_local
from owl_geo.settings.sources import CubeSettings
from owl_geo.sources.file_states import file_states, imagery_files
from owl_geo.sources.unopened import Identity, OnError, Sample, UnopenedSource, without_paths
from owl_geo.types import EMBEDDING
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.base import PoolSource
    from owl_geo.types import SceneGrid

_SUFFIXES = (".zip", ".zarr", ".nc", ".nc4", ".netcdf", ".h5", ".hdf5", ".cdf")


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


def name_of_path(path: str) -> str:
    """Return the name of a cube's file or URL without its suffixes, ``cube`` if nothing is left."""
    plain = urlsplit(path).path or urlsplit(path).netloc if "://" in path else path
    name = PurePosixPath(plain).name if "://" in path else absolute(Path(plain)).name
    while (stem := Path(name).stem) and Path(name).suffix.lower() in _SUFFIXES:
        name = stem
    return name or "cube"


def file_and_group(path: str) -> tuple[str, str | None]:
    """Part the path of a group within a file, ``cube.nc/measurements``, into file and group.

    A group of a Zarr folder is a folder itself, and the path of anything that exists, or is not on
    this machine, stays whole: its group is None.
    """
    if not is_local(path) or Path(path).exists():
        return path, None
    for parent in Path(path).parents:
        if parent.is_file():
            return str(parent), Path(path).relative_to(parent).as_posix()
    return path, None
