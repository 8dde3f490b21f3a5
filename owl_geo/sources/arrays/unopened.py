"""TESSERA's tiles in NumPy arrays before they are opened: their files, and how others join them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from owl_geo.errors import SourceError
from owl_geo.settings import owl_toml
from owl_geo.settings.sources import ArraysSettings, SceneSettings, TileSettings
from owl_geo.sources.arrays.layout import Layout, named_tiles
from owl_geo.sources.file_states import file_states
from owl_geo.sources.unopened import (
    Addition,
    Growth,
    Identity,
    NamedSource,
    OnError,
    SameGround,
    Sample,
    UnopenedSource,
)
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.base import PoolSource
    from owl_geo.types import SceneGrid

_SAMPLED = 20  # tiles whose headers are read to choose a patch size


class UnopenedArrays(UnopenedSource[ArraysSettings]):
    """Tiles of vectors, each a scene."""

    options = ("scenes", "patch_size", "stride", "min_valid", "aoi")
    takes_many_scenes = True

    @classmethod
    def named(cls, kind: str, options: Mapping[str, Any]) -> NamedSource:
        """Find the tiles that the options name: files, folders, patterns, lists."""
        own = ("patch_size", "stride", "min_valid", "aoi")
        values = {name: options[name] for name in own if options.get(name) not in (None, ())}
        if options["scenes"]:
            tiles, _ = _named(options["scenes"])
            values["scenes"] = [tile.model_dump() for tile in tiles]
        return NamedSource({"source": {"kind": kind} | values})

    # --- its files --------------------------------------------------------------------------------

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """Of each tile its vectors, its scales and its land mask."""
        return {
            tile.name: [str(path) for path in Layout.of(tile.path).files]
            for tile in self.settings.scenes
        }

    def identity(self, as_written: ArraysSettings) -> Identity:
        """Return what tells the tiles from each other: the entry of each, and its files."""
        files = self.files
        scenes = {
            tile.name: [tile.model_dump(mode="json"), *map(file_states, files[tile.name])]
            for tile in as_written.scenes
        }
        return Identity(
            settings=as_written.model_dump(mode="json", exclude={"scenes"}),
            shared=[file_states(self.settings.aoi)],
            scenes=scenes,
        )

    # --- before a run is made ---------------------------------------------------------------------

    @property
    def tiling(self) -> ArraysSettings:
        """The settings themselves."""
        return self.settings

    @property
    def same_ground(self) -> SameGround:
        """As owl.toml has it."""
        return self.settings.same_ground

    def sample(self) -> Sample:
        """Open the first tiles, as far as they can be; raises SourceError where none can."""
        some = self.settings.scenes[:_SAMPLED]
        few = self.settings.model_copy(update={"scenes": some, "aoi": None})
        grids = list(UnopenedArrays(few).open(on_error="skip").grids.values())
        return Sample(grids, len(self.settings.scenes), are_embeddings=True)

    # --- opening ----------------------------------------------------------------------------------

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> PoolSource:
        """Open the tiles; see ``source.ArraySource``."""
        from owl_geo.sources.arrays.source import ArraySource

        return ArraySource(self.settings, index, progress, on_error)

    def open_again(
        self,
        index: pd.DataFrame | None,
        known: Sequence[KnownBand],
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> PoolSource:
        """Open the tiles with the bands of a run."""
        from owl_geo.sources.arrays.source import ArraySource

        return ArraySource(self.settings, index, known=known)

    def without(self, scenes: Collection[str]) -> ArraysSettings:
        """Return the settings with the other tiles only."""
        others = tuple(tile for tile in self.settings.scenes if tile.name not in scenes)
        return self.settings.model_copy(update={"scenes": others}) if scenes else self.settings

    @property
    def growth(self) -> Growth[ArraysSettings]:
        """Tiles join by being named as those of a new run are."""
        return _Growth(self.settings)


@dataclass(frozen=True)
class _Growth:
    """Tiles that are cut for themselves and put behind those of a run."""

    settings: ArraysSettings  # of the run

    def addition(
        self, words: Sequence[str], masks: Sequence[str], on_error: OnError, run_path: Path
    ) -> Addition[ArraysSettings]:
        """Find the tiles that are named; see ``Growth.addition``."""
        if masks:
            raise SourceError(
                "--mask goes with rasters, and the tiles of this run are arrays of vectors",
                remedy="leave it out",
            )
        tiles, present = _named(words, self.settings.scenes)
        fresh = self.settings.model_copy(update={"scenes": tiles}) if tiles else None
        return Addition(fresh, present, ())

    def open(
        self,
        fresh: ArraysSettings,
        progress: Progress | None,
        on_error: OnError,
        known: Sequence[KnownBand],
    ) -> PoolSource:
        """Open the new tiles beside those of the run."""
        from owl_geo.sources.arrays.source import ArraySource

        return ArraySource(fresh, None, progress, on_error, self.settings.scenes, known)

    def written(self, text: str, fresh: ArraysSettings) -> str:
        """Return the text of owl.toml with the new tiles behind the others."""
        return owl_toml.with_scenes(text, fresh.scenes)


def _named(
    words: Sequence[str], present: Sequence[TileSettings] = ()
) -> tuple[tuple[TileSettings, ...], tuple[str, ...]]:
    """Return the tiles that words name, and the names of those that are ``present`` already."""
    from owl_geo.sources.scene_words import find_scenes

    known = [SceneSettings(name=tile.name, path=tile.path) for tile in present]
    found = find_scenes(named_tiles(words), present=known)
    tiles = tuple(
        TileSettings(name=scene.name, path=scene.path or scene.files[0]) for scene in found.scenes
    )
    return tiles, found.present
