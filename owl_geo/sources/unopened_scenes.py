"""Scenes on disk before they are opened: the files they are made of, and how others join them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from owl_geo.errors import LayerError, RunError
from owl_geo.settings import owl_toml
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.settings.subdatasets import file_of
from owl_geo.sources.file_states import file_states, imagery_files
from owl_geo.sources.named_bands import naming
from owl_geo.sources.unopened import (
    Addition,
    Growth,
    Identity,
    NamedSource,
    OnError,
    SameGround,
    Sample,
    UnopenedSource,
    without_paths,
)
from owl_geo.types import EMBEDDING, FailedScene, SceneGrid
from owl_geo.wording import as_typed
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.bands import Band
    from owl_geo.sources.base import PoolSource

_log = logging.getLogger("owl_geo")

_SAMPLED = 20  # scenes whose headers are read to choose a patch size


class UnopenedScenes(UnopenedSource[GeoTiffSettings]):
    """Scenes of files: rasters, products, folders of bands."""

    options = (
        *("scenes", "bands", "common", "patch_size", "stride", "min_valid"),
        *("masks", "mask_bad", "aoi"),
    )
    takes_many_scenes = True

    @classmethod
    def named(cls, kind: str, options: Mapping[str, Any]) -> NamedSource:
        """Find the scenes that the options name; see ``scene_words.find_scenes``."""
        from owl_geo.sources.left_out import NoSceneLeft
        from owl_geo.sources.scene_words import find_scenes

        own = ("bands", "common", "patch_size", "stride", "min_valid", "mask_bad", "aoi")
        values = {name: options[name] for name in own}
        failed: tuple[FailedScene, ...] = ()
        if options["scenes"]:
            named = find_scenes(
                options["scenes"],
                bands=options["bands"],
                masks=options["masks"],
                mask_bad=options["mask_bad"],
                on_error=options["on_error"],
            )
            failed = named.failed
            if failed and not named.scenes:
                raise NoSceneLeft(failed)
            values["scenes"] = [scene.model_dump(exclude_none=True) for scene in named.scenes]
            values["mask_bad"] = options["mask_bad"] or named.mask_bad
            values["mask_bands"] = options.get("mask_bands") or ()
            # without bad values, whoever checks the settings asks for these first
            if options["masks"] and values["mask_bad"] and not values["mask_bands"]:
                values["mask_bands"] = _mask_bands(named.scenes)
        given = {name: value for name, value in values.items() if value not in (None, (), [])}
        return NamedSource({"source": {"kind": kind} | given}, failed)

    # --- its files --------------------------------------------------------------------------------

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """Of each scene its raster, its folder or its single-band files, and its mask last.

        Of a raster within a file it is the file.
        """
        return {
            scene.name: [
                file_of(path) for path in (scene.path, *scene.files, scene.mask) if path is not None
            ]
            for scene in self.settings.scenes
        }

    def files_in(self, folder: Path) -> Iterator[Path]:
        """Return the rasters of a folder, and what says how they are to be read."""
        return imagery_files(folder)

    def identity(self, as_written: GeoTiffSettings) -> Identity:
        """Return what tells the scenes from each other: the entry of each, and its files."""
        scenes = {}
        for written, scene in zip(as_written.scenes, self.settings.scenes, strict=True):
            paths = (scene.path, *scene.files, scene.mask)
            states = (file_states(None if path is None else file_of(path)) for path in paths)
            entry = written.model_dump(mode="json", exclude={"date"})  # which changes no pixel
            scenes[scene.name] = [entry, *states]
        return Identity(
            settings=as_written.model_dump(mode="json", exclude={"scenes"}),
            # a mask of any scene decides whose values mask_bad are
            shared=[any(scene.mask for scene in as_written.scenes), file_states(self.settings.aoi)],
            scenes=scenes,
        )

    def anywhere(self) -> dict[str, Any]:
        """Return the settings without what says where on this machine the scenes lie."""
        values = self.settings.model_dump(mode="json")
        return values | {"scenes": [without_paths(scene) for scene in values["scenes"]]}

    # --- before a run is made ---------------------------------------------------------------------

    @property
    def tiling(self) -> GeoTiffSettings:
        """The settings themselves."""
        return self.settings

    @property
    def same_ground(self) -> SameGround:
        """As owl.toml has it."""
        return self.settings.same_ground

    def sample(self) -> Sample:
        """Open the first scenes, as far as they can be; raises SourceError where none can."""
        some = self.settings.scenes[:_SAMPLED]
        few = self.settings.model_copy(update={"scenes": some, "aoi": None})
        source = UnopenedScenes(few).open(on_error="skip")
        are_embeddings = any(band.common == EMBEDDING for band in source.known_bands)
        grids = list(source.grids.values())
        return Sample(grids, len(self.settings.scenes), are_embeddings)

    def notes(self) -> list[str]:
        """Say which files and bands of the first scene are not taken, since they may be data."""
        from owl_geo.sources.scene_description import describe_scene

        if self.settings.bands:
            return []
        scene = describe_scene(self.settings.scenes[0])
        notes = [f"scene {scene.name!r}: {left_out}" for left_out in scene.left_out]
        return [*notes, *_of_alpha(scene.bands)]

    # --- opening ----------------------------------------------------------------------------------

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> PoolSource:
        """Open the scenes; see ``geotiff.GeoTiffSource``."""
        from owl_geo.sources.geotiff import GeoTiffSource

        return GeoTiffSource.from_settings(self.settings, index, progress, on_error)

    def open_again(
        self,
        index: pd.DataFrame | None,
        known: Sequence[KnownBand],
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> PoolSource:
        """Open the scenes with the bands of a run."""
        from owl_geo.sources.geotiff import GeoTiffSource

        return GeoTiffSource.from_settings(self.settings, index, known=known)

    def open_in_part(
        self, index: pd.DataFrame, grids: Mapping[str, SceneGrid], bands: Sequence[KnownBand]
    ) -> tuple[PoolSource, Mapping[str, str]]:
        """Open the scenes that can be, each tried for itself."""
        from owl_geo.sources.present import PresentScenes, missing_scenes

        missing = missing_scenes(self.settings, index, grids, bands)
        return PresentScenes(self.settings, index, grids, bands, missing), missing

    def without(self, scenes: Collection[str]) -> GeoTiffSettings:
        """Return the settings with the other scenes only."""
        others = tuple(scene for scene in self.settings.scenes if scene.name not in scenes)
        return self.settings.model_copy(update={"scenes": others}) if scenes else self.settings

    @property
    def growth(self) -> Growth[GeoTiffSettings]:
        """Scenes join by being named as those of a new run are."""
        return _Growth(self.settings)


@dataclass(frozen=True)
class _Growth:
    """Scenes that are tiled for themselves and put behind those of a run."""

    settings: GeoTiffSettings  # of the run

    def addition(
        self, words: Sequence[str], masks: Sequence[str], on_error: OnError, run_path: Path
    ) -> Addition[GeoTiffSettings]:
        """Find the scenes that are named; see ``Growth.addition``."""
        from owl_geo.sources.scene_words import find_scenes

        mask_bad = self.settings.mask_bad
        has_masks = any(scene.mask for scene in self.settings.scenes)
        named = find_scenes(
            words,
            bands=self.settings.bands,
            masks=masks,
            mask_bad=mask_bad,
            item_masks=has_masks,
            present=self.settings.scenes,
            on_error=on_error,
        )
        if any(scene.mask for scene in named.scenes) and not has_masks:
            raise RunError(_no_masks(run_path, has_values=bool(mask_bad)))
        scenes = _in_units_of(self.settings.scenes, named.scenes)
        fresh = self.settings.model_copy(update={"scenes": scenes})
        return Addition(fresh if named.scenes else None, named.present, named.failed)

    def open(
        self,
        fresh: GeoTiffSettings,
        progress: Progress | None,
        on_error: OnError,
        known: Sequence[KnownBand],
    ) -> PoolSource:
        """Open the new scenes beside those of the run."""
        from owl_geo.sources.geotiff import GeoTiffSource

        return GeoTiffSource.from_settings(
            fresh, progress=progress, on_error=on_error, beside=self.settings.scenes, known=known
        )

    def written(self, text: str, fresh: GeoTiffSettings) -> str:
        """Return the text of owl.toml with the new scenes behind the others."""
        return owl_toml.with_scenes(text, fresh.scenes)


def _mask_bands(scenes: Sequence[SceneSettings]) -> tuple[int, ...]:
    """Return the bands of the first scene's mask that count, none where it has only one; say them.

    All do, but of Planet's usable data mask, whose first band says what the others add up to.
    """
    from owl_geo.ground.raster_files import band_names

    mask = next((scene.mask for scene in scenes if scene.mask), None)
    if mask is None:
        return ()
    try:
        names = band_names(mask)
    except LayerError:  # whoever opens it says so
        return ()
    if len(names) < 2:
        return ()
    is_udm2 = names[0].casefold() == "clear" or "udm2" in Path(mask).name.casefold()
    _log.warning(
        "the mask %s has %d bands (%s); %s, --mask-bands names others",
        mask,
        len(names),
        ", ".join(names),
        "the first alone counts" if is_udm2 else "a bad value in any of them counts",
    )
    return (1,) if is_udm2 else tuple(range(1, len(names) + 1))


def _in_units_of(
    present: Sequence[SceneSettings], fresh: Sequence[SceneSettings]
) -> tuple[SceneSettings, ...]:
    """Return new scenes, their pixels taken as those of STAC items that joined a run before.

    Runs that were made before items' scales were read have plain pixels; reflectance beside them
    would mean nothing to their models.
    """
    from_items = [scene for scene in present if scene.names]
    scaled = [scene for scene in fresh if scene.scale or scene.offset]
    if not scaled or not from_items or any(scene.scale or scene.offset for scene in from_items):
        return tuple(fresh)
    _log.warning(
        "the run was made without the scale and offset that STAC items have for their pixels, so "
        "scene %r%s is read without them too; make another run to have them",
        scaled[0].name,
        f" and {len(scaled) - 1:,} more" if len(scaled) > 1 else "",
    )
    return tuple(s.model_copy(update={"scale": None, "offset": None}) for s in fresh)


def _no_masks(run_path: Path, *, has_values: bool) -> str:
    """Say why a scene with a mask of its own cannot join a run whose scenes have none."""
    if has_values:
        return (
            f"{run_path}: mask_bad speaks of the masks that came with its scenes; to add a scene "
            "with a mask of its own would change these, make another run"
        )
    return (
        f"{run_path} has no scene with a mask; give its scenes theirs in owl.toml (mask under "
        "[[source.scenes]], and mask_bad under [source]) and run "
        f"`owl-geo init {as_typed(run_path)} --update` first, or make another run"
    )


def _of_alpha(bands: Sequence[Band]) -> Iterator[str]:
    """Say which band counts as a mask but may be data, or the other way round."""
    alpha = next((band for band in bands if band.alpha), None)
    if alpha is not None:
        numbers = [str(number) for number in range(1, len(bands) + 1)]
        yield (
            f"band {alpha.number} of {alpha.path} is its alpha band and counts as a mask; if it is "
            f"data, for example near infrared, name it too: {naming(numbers)}"
        )
        return
    for band in bands:
        if band.name.casefold() == "alpha":
            yield (
                f"band {band.number} of {band.path} is called alpha but not marked as an alpha "
                "band, so it counts as data; if it is a mask, mark it with gdal_edit.py "
                f"-colorinterp_{band.number} alpha"
            )
