"""A table of vectors before it is opened: its file, or the folder of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources.file_states import file_states
from owl_geo.sources.unopened import Identity, OnError, SameGround, UnopenedSource, without_paths
from owl_geo.sources.vectors.paths import name_of_table, parts_of
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.base import PoolSource
    from owl_geo.types import SceneGrid


class UnopenedVectors(UnopenedSource[VectorsSettings]):
    """A table in GeoParquet, whole or in parts."""

    options = ("scenes", "vector_column", "footprint", "crs")

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """The file or the folder, of the scene that has the name of the table."""
        return {name_of_table(self.settings): [self.settings.path]}

    def files_in(self, folder: Path) -> Iterable[Path]:
        """Return the parts of a table."""
        return parts_of(folder)

    def identity(self, as_written: VectorsSettings) -> Identity:
        """Return what tells the table from others; all of its scenes depend on it."""
        states = [file_states(self.settings.path)]
        return Identity(as_written.model_dump(mode="json"), states, {})

    def anywhere(self) -> dict[str, Any]:
        """Return the settings without what says where on this machine the table lies."""
        return without_paths(self.settings.model_dump(mode="json"))

    @property
    def same_ground(self) -> SameGround:
        """The first of the rows that show a place."""
        return "first"

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> PoolSource:
        """Open the table; see ``source.VectorSource``."""
        from owl_geo.sources.vectors.source import VectorSource

        return VectorSource(self.settings, index, progress)

    def open_again(
        self,
        index: pd.DataFrame | None,
        known: Sequence[KnownBand],
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> PoolSource:
        """Open the table; its geometries, of which there may be millions, are not read yet."""
        from owl_geo.sources.vectors.source import VectorSource

        return VectorSource(self.settings, index, grids=grids)
