"""Patches of scenes on disk: GeoTIFF and whatever else GDAL reads, Sentinel-2, Landsat."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import ValidationError

from owl_geo.errors import SceneError, SourceError, check_list
from owl_geo.ground.raster_files import value_shares
from owl_geo.settings.paths import is_local
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.bands import Band
from owl_geo.sources.editions import check_editions
from owl_geo.sources.embeddings import warn_of_lost_names
from owl_geo.sources.palettes import warn_of_palettes
from owl_geo.sources.pixel_sizes import warn_of_mixed_pixels
from owl_geo.sources.products.families import product_of
from owl_geo.sources.reader import FileScene, ReaderPool
from owl_geo.sources.same_bands import warn_of_order, warn_of_other_words, warn_of_products
from owl_geo.sources.scan import SceneSummary
from owl_geo.sources.scene_description import SceneDescription, describe_scene
from owl_geo.sources.scene_masks import check_mask
from owl_geo.sources.scene_names import scene_name
from owl_geo.sources.scenes import Scene, open_scenes
from owl_geo.sources.shown_scenes import shown_scene
from owl_geo.sources.tiled import TiledSource, one_line
from owl_geo.sources.units import (
    Units,
    warn_of_large_scales,
    warn_of_mixed_units,
    warn_of_netcdf,
    warn_of_scales,
    warn_of_vrt,
)
from owl_geo.types import FailedScene, IntArray, ShownScene
from owl_geo.wording import counted, plural
from owl_geo.work.progress import Progress

_NEARLY_ALL = 0.9  # patches that a mask leaves out where its values were mistaken

_EDGES = 0.01  # of the pixels of a scene, that some bands lack since they end a little earlier

_log = logging.getLogger("owl_geo")

SceneOrPath = str | Path | SceneSettings


class GeoTiffSource(TiledSource[FileScene]):
    """A PatchSource over scenes on disk, each with its own CRS and pixel size.

    Args:
        scenes: a scene or several: paths (a raster, a ``.SAFE`` folder, a Landsat folder, a folder
            of single-band files) or SceneSettings.
        bands: by number, description or common name; empty takes what the first scene gives.
        common: what bands are where the files do not say, or say wrongly: ``{"nir": 4}``.
        patch_size: height and width of a patch in pixels.
        stride: pixels from patch to patch; None = ``patch_size``.
        min_valid: share of valid pixels that a patch needs.
        mask_bad: values of the scenes' masks that make a pixel invalid; empty = the usual cloud
            classes where a product has a mask of its own.
        mask_bands: numbers of the masks' bands that count, each for itself; empty = the first.
        aoi: a vector file; patches whose centre lies outside its polygons are left out.
        index: the patch index of an earlier scan; with it no scene is scanned.
        progress: called with (windows done, windows in all) during the scan.
        on_error: "skip" leaves out scenes that cannot be read or lack a band; see ``failed``.
        beside: scenes that these are added to, see ``open_scenes``; then it is not an error if
            there is no patch at all.

    A pixel is valid if all chosen bands have data there, none of it beyond 1e18 or not-a-number,
    and the mask does not call it bad. Invalid pixels of a patch get the median of the band over the
    patch's valid pixels, so that ``read`` is finite everywhere. Values are scaled and offset as the
    file or the product says.

    Headers are read at once, the scan runs when the index is first asked for. Raises SourceError,
    and ConfigError for one text as ``bands``.
    """

    def __init__(
        self,
        scenes: SceneOrPath | Sequence[SceneOrPath],
        *,
        bands: Sequence[str | int] = (),
        common: Mapping[str, str | int] | None = None,
        patch_size: int = 32,
        stride: int | None = None,
        min_valid: float = 0.9,
        mask_bad: Sequence[int] = (),
        mask_bands: Sequence[int] = (),
        aoi: str | Path | None = None,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: Literal["fail", "skip"] = "fail",
        beside: Sequence[SceneSettings] = (),
    ) -> None:
        check_list("bands", bands)
        several = [scenes] if isinstance(scenes, str | Path | SceneSettings) else scenes
        try:
            settings = GeoTiffSettings(
                scenes=tuple(map(_scene_settings, several)),
                bands=tuple(bands),
                common=dict(common or {}),
                patch_size=patch_size,
                stride=stride,
                min_valid=min_valid,
                mask_bad=tuple(mask_bad),
                mask_bands=tuple(mask_bands) or None,
                aoi=None if aoi is None else str(aoi),
            )
        except ValidationError as error:
            raise SourceError(one_line(error)) from error
        self._open(settings, index, progress, on_error, beside, ())

    @classmethod
    def from_settings(
        cls,
        settings: GeoTiffSettings,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: Literal["fail", "skip"] = "fail",
        beside: Sequence[SceneSettings] = (),
        known: Sequence[KnownBand] = (),
    ) -> GeoTiffSource:
        """Open the source that owl.toml describes."""
        source = cls.__new__(cls)
        source._open(settings, index, progress, on_error, beside, known)
        return source

    def _open(
        self,
        settings: GeoTiffSettings,
        index: pd.DataFrame | None,
        progress: Progress | None,
        on_error: Literal["fail", "skip"],
        beside: Sequence[SceneSettings],
        known: Sequence[KnownBand],
    ) -> None:
        skip = on_error == "skip"
        failed: list[FailedScene] = []
        opened = open_scenes(
            settings.scenes,
            settings.bands,
            settings.mask_bad,
            settings.mask_bands or (),
            common=settings.common,
            known=known,
            beside=beside,
            failed=failed if skip else None,
        )
        names_mask = any(one.mask for one in settings.scenes)
        has_mask = names_mask or any(one.mask for one in opened)
        self._lacks_mask = bool(settings.mask_bad) and not has_mask and not beside
        self._lacks_mask_bands = bool(settings.mask_bands) and not names_mask and not beside
        self._mask_bad = settings.mask_bad
        self._beside = tuple(beside[:1])
        self._readers = ReaderPool()
        tiled = [FileScene(scene, self._readers) for scene in opened]
        super().__init__(tiled, settings, index, progress, skip=skip, may_be_empty=bool(beside))
        self._failed = (*failed, *self._failed)

    def check_bands(self, truth: str | None = None) -> None:
        """Warn of bands that nobody asked for and that do not look like bands, and of scenes that
        do not go together.

        Raises SourceError where a band is the mask of its scene, or the ``truth``, a path.
        """
        for name in self.grids:
            _check_bands(self.scene(name).scene, truth)
        beside = list(self._first_beside())
        check_editions(
            [
                *((first.name, first.default) for first in beside),
                *((n, self.scene(n).bands) for n in self.grids),
            ]
        )
        warn_of_lost_names((n, self.scene(n).bands) for n in self.grids)
        warn_of_order((n, self.scene(n).bands) for n in self.grids)
        warn_of_other_words((n, self.scene(n).bands) for n in self.grids)
        warn_of_products((n, self.scene(n).bands) for n in self.grids)
        warn_of_mixed_units(
            [
                *(Units(first.name, first.measure, first.default) for first in beside),
                *(self.scene(n).scene.units for n in self.grids),
            ]
        )
        warn_of_mixed_pixels(
            [*(first.grid for first in beside), *self.grids.values()], self.patch_size
        )

    def _first_beside(self) -> Iterator[SceneDescription]:
        """Yield the first of the scenes that these are added to, if it is there."""
        for scene in self._beside:
            with suppress(SourceError):
                yield describe_scene(scene)

    def raster_bands(self, scene: str) -> tuple[Band, ...]:
        """Return the bands of a scene; each is one of a raster file."""
        return self.scene(scene).bands

    def shown(self, scene: str, rows: IntArray, cols: IntArray) -> tuple[ShownScene, ...]:
        """Return the ways in which QGIS can show a scene; see ``shown_scenes.shown_scene``."""
        return shown_scene(self.scene(scene).scene, rows, cols, self.patch_size)

    def close(self) -> None:
        """Close the files; they open again when needed."""
        self._readers.close()

    def _check_scannable(self) -> None:
        if self._lacks_mask:
            raise SourceError(
                "mask_bad has bad values, but no scene has a mask", remedy="name one with --mask"
            )
        if self._lacks_mask_bands:
            raise SourceError(
                "mask_bands counts bands of a mask, but no scene names a mask",
                remedy="name one with --mask",
            )

    def _look_at(self, summary: Sequence[SceneSummary]) -> None:
        self._tell_partly_missing()
        if self._mask_bad:
            self._warn_of_nearly_all_masked(summary)

    def _tell_partly_missing(self) -> None:
        """Say how many pixels have the no-data value in some bands alone, and what they count as.

        Where they count as missing it is a matter of the edges of most images, and said where it
        costs more than those.
        """
        for name, count in self._readers.partly_missing.items():
            scene = self.scene(name).scene
            share = count / (scene.grid.height * scene.grid.width)
            count_as_data = any(band.nodata_of for band in scene.bands)
            if count == 0 or (share < _EDGES and not count_as_data):
                continue
            _log.warning(
                "scene %r: %s (%.2g %%) %s the no-data value in some bands and not in others; %s "
                "as %s",
                name,
                counted(count, "pixel"),
                100 * share,
                plural(count, "has", "have"),
                plural(count, "it counts", "they count"),
                "data, as GDAL has it for images of 8 bits"
                if count_as_data
                else "missing; if it is a value, take the no-data value from the file",
            )

    def _warn_of_nearly_all_masked(self, summary: Sequence[SceneSummary]) -> None:
        masked = {}
        for entry in summary:
            mask = self.scene(entry.scene).scene.mask
            if mask is not None:
                masked[entry] = mask
        lost = sum(entry.invalid for entry in masked)
        kept = sum(entry.kept for entry in masked)
        if lost <= _NEARLY_ALL * (lost + kept):
            return
        worst = max(masked, key=lambda entry: entry.invalid)
        path = masked[worst].path
        shares = value_shares(path, self._mask_bad)
        if sum(shares.values()) < 1 - _NEARLY_ALL:
            return  # it is not the mask that leaves them out
        value = max(shares, key=shares.__getitem__)
        _log.warning(
            "nearly all is masked, %s of %s %s left: is %d a bad value of %s? it has %d "
            "on %.0f %% of the pixels; --mask-bad names the bad values",
            f"{kept:,}",
            counted(kept + lost, "patch"),
            plural(kept, "is", "are"),
            value,
            path,
            value,
            100 * shares[value],
        )

    def _check_scene(self, scene: FileScene) -> None:
        check_mask(scene.scene)


def _check_bands(scene: Scene, truth: str | None) -> None:
    mask = scene.mask.path if scene.mask else None
    for path, option in ((truth, "--oracle"), (mask, "--mask")):
        real_path = _real(path) if path else None
        for band in scene.bands:
            if band.number == 1 and _real(band.path) == real_path:  # of both the first band counts
                others = [other.name for other in scene.bands if other is not band]
                raise SceneError(
                    f"scene {scene.name!r}: its band {band.name!r} is the very file of {option}",
                    remedy=(
                        f"name the others, with --bands {','.join(others)}"
                        if others
                        else "name another file"
                    ),
                )
    warn_of_palettes(scene.name, scene.bands)
    warn_of_large_scales(scene.name, scene.bands)
    warn_of_scales(scene.name, scene.bands)
    warn_of_netcdf(scene.name, scene.bands)
    warn_of_vrt(scene.name, scene.bands)
    if scene.doubtful:
        others = [band.name for band in scene.bands if band.name not in scene.doubtful]
        several = len(scene.doubtful) > 1
        _log.warning(
            "scene %r: %s %s of it; name the bands with --bands %s",
            scene.name,
            ", ".join(scene.doubtful),
            "do not look like bands" if several else "does not look like a band",
            ",".join(others),
        )


def _real(path: str) -> str:
    return os.path.realpath(path) if is_local(path) else path


def _scene_settings(scene: SceneOrPath) -> SceneSettings:
    if isinstance(scene, SceneSettings):
        return scene
    path = product_of(Path(scene)) or scene
    return SceneSettings(name=scene_name(path), path=str(path))
