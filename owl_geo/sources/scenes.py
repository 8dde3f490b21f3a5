"""Scenes as they are read: which file and band holds each chosen band, on which grid."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from owl_geo.errors import SourceError
from owl_geo.settings.known_masks import bad_pixels_of
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.band_choice import KnownBand, select
from owl_geo.sources.band_grids import common_grid
from owl_geo.sources.bands import Band
from owl_geo.sources.embeddings import check_whole
from owl_geo.sources.left_out import NoSceneLeft, failed_scene
from owl_geo.sources.products.product import CloudMask
from owl_geo.sources.same_bands import Choice, same_bands
from owl_geo.sources.scene_description import SceneDescription, describe_scene
from owl_geo.sources.units import Units
from owl_geo.types import EMBEDDING, FailedScene, SceneGrid


@dataclass(frozen=True)
class Scene:
    """A scene as it is read: the chosen bands on one grid, and the mask."""

    name: str
    grid: SceneGrid
    bands: tuple[Band, ...]
    mask: CloudMask | None
    doubtful: tuple[str, ...] = ()  # bands that nobody asked for and that do not look like bands
    date: datetime.date | None = None  # of acquisition; None where it is unknown
    measure: str = ""  # what its values are, where a product says so
    is_elsewhere: bool = False  # it is read on the grid of another scene
    others: tuple[Band, ...] = ()  # bands that it has besides, and that are no side files

    @property
    def units(self) -> Units:
        """What its values measure, as far as it is known."""
        return Units(self.name, self.measure, self.bands)

    def on(self, grid: SceneGrid) -> Scene:
        """Return the scene as it is read on the grid of another, in any CRS."""
        return replace(self, grid=grid, is_elsewhere=True)


def open_scenes(
    settings: Sequence[SceneSettings],
    wanted: Sequence[str],
    mask_bad: Sequence[int] = (),
    mask_bands: Sequence[int] = (),
    *,
    common: Mapping[str, str] | None = None,
    known: Sequence[KnownBand] = (),
    beside: Sequence[SceneSettings] = (),
    failed: list[FailedScene] | None = None,
) -> tuple[Scene, ...]:
    """Choose the bands of all scenes.

    Without ``wanted``, all scenes give what the first gives by default. Bands that are ``known``,
    since a run was made with them, are found again by that, whatever a scene would give today.
    ``mask_bad`` are the bad values of the masks that scenes name themselves, empty where the names
    of these tell; where no scene names one, they replace the rule for those of the products.

    Args:
        settings: the scenes.
        wanted: the bands, by number, description or common name.
        mask_bad: values of masks.
        mask_bands: of masks that scenes name themselves, the bands that count; empty = the first.
        common: what bands are, whatever the files say: the word that means a band, by common name.
            Every one has to be in the scene that decides the bands.
        known: the bands that were chosen before; empty = they are chosen now.
        beside: scenes that these are added to. The first of them decides the bands if none are
            known, and a mask that any of them names counts as above; they are not opened otherwise.
        failed: given a list, scenes that cannot serve are put there instead of raising.

    Raises SourceError where a scene lacks a band that the others have, or its files do not lie on
    each other; with ``failed``, where that leaves none, or the first of ``beside`` cannot be read.
    """
    chosen = Choice((beside or settings)[0].name, known, of_run=bool(known))
    if beside and not known:
        first = describe_scene(beside[0]).stated(common or {}, anywhere=True)
        chosen = Choice.of(first.name, _first_choice(first, wanted), first.bands)
    own_masks = any(scene.mask for scene in (*beside, *settings))
    # a run that was made before embeddings were recognised goes on with the integers
    embeddings = not known or any(band.common == EMBEDDING for band in known)
    scenes = []
    for scene in settings:
        try:
            offer = describe_scene(scene, embeddings=embeddings)
            offer = offer.stated(common or {}, anywhere=not chosen.bands)
            doubtful: tuple[str, ...] = ()
            if chosen.bands:
                chosen, bands = _counterparts(chosen, wanted, offer, beside)
            else:
                bands = _first_choice(offer, wanted)
                chosen = Choice.of(offer.name, bands, offer.bands)
                doubtful = () if wanted else offer.doubtful
            mask = offer.mask
            if scene.mask:
                mask = _own_mask(scene.mask, tuple(mask_bad), tuple(mask_bands))
            elif mask is not None and mask_bad and not own_masks:
                mask = CloudMask(mask.path, values=tuple(mask_bad))
            grid = common_grid(offer.name, bands)
            date = offer.date_of(bands)
            scene_ = Scene(offer.name, grid, bands, mask, doubtful, date, offer.measure)
            scenes.append(replace(scene_, others=offer.besides(bands)))
        except SourceError as error:
            if failed is None:
                raise
            failed.append(failed_scene(scene.name, error))
    if not scenes and failed:
        raise NoSceneLeft(failed)
    return tuple(scenes)


def _own_mask(path: str, values: tuple[int, ...], bands: tuple[int, ...]) -> CloudMask:
    """Return a mask that a scene names; raises SourceError where nothing tells its bad values."""
    if values:
        return CloudMask(path, values=values, bands=bands)
    bad = bad_pixels_of(path)
    if bad is None:
        raise SourceError(f"{path} is a mask, and mask_bad lists no bad values of it")
    return CloudMask(path, values=bad.values, bits=bad.bits, bands=bands)


def _first_choice(first: SceneDescription, wanted: Sequence[str]) -> tuple[Band, ...]:
    if wanted:
        where = f"scene {first.name!r}"
        chosen = select(first.offered(wanted), wanted, where)
        check_whole(chosen, first.bands, where)
        return chosen
    if first.unusable:
        raise SourceError(first.unusable[0], remedy="or name the bands to take")
    return first.default


def _counterparts(
    chosen: Choice,
    wanted: Sequence[str],
    other: SceneDescription,
    beside: Sequence[SceneSettings],
) -> tuple[Choice, tuple[Band, ...]]:
    """Return the bands of another scene that stand for those chosen, under their names.

    And the choice, with all bands of its scene as soon as that was looked at: only where bands are
    not found by their names is the first of the scenes ``beside`` opened for it.
    """
    if not chosen.offered and other.name == chosen.scene:
        chosen = replace(chosen, offered=other.bands)
    words = [*wanted, *(band.name for band in chosen.bands)]
    offered = other.offered(words)
    try:
        return chosen, same_bands(chosen, wanted, offered, other.default, other.name)
    except SourceError:
        if chosen.offered or not beside:
            raise
        with suppress(SourceError):  # it is named by whoever reads it
            chosen = replace(chosen, offered=describe_scene(beside[0]).bands)
        return chosen, same_bands(chosen, wanted, offered, other.default, other.name)
