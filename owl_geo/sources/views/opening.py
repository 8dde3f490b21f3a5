"""Views with their scenes open, and which of their bands they share with the pool's scenes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from owl_geo.errors import SourceError
from owl_geo.settings.sources import ViewSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.editions import check_editions
from owl_geo.sources.embeddings import warn_of_lost_names
from owl_geo.sources.named_bands import of_view
from owl_geo.sources.palettes import warn_of_palettes
from owl_geo.sources.same_bands import warn_of_order, warn_of_other_words, warn_of_products
from owl_geo.sources.scene_masks import check_mask
from owl_geo.sources.scenes import Scene, open_scenes
from owl_geo.sources.units import (
    warn_of_large_scales,
    warn_of_mixed_units,
    warn_of_netcdf,
    warn_of_scales,
    warn_of_vrt,
)
from owl_geo.types import EMBEDDING, BandOrigin, BandStatistics


@dataclass(frozen=True)
class View:
    """Further rasters of the pool's ground; where several show one pixel, the first counts."""

    name: str
    scenes: tuple[Scene, ...]  # each named ``VIEW:SCENE``
    bands: tuple[KnownBand, ...]  # of all its scenes, as a run has them written down


def open_views(
    settings: Mapping[str, ViewSettings], statistics: BandStatistics | None = None
) -> tuple[View, ...]:
    """Read the headers of views.

    With ``statistics``, those of a run, bands are found again by what the run has written down of
    them. Raises SourceError, which names the view.
    """
    views = []
    for name, view in settings.items():
        try:
            known = () if statistics is None else _known(statistics, name)
            with of_view(name):
                views.append(_opened(name, view, known))
        except SourceError as error:
            raise SourceError(f"view {name!r}: {error.message}", remedy=error.remedy) from error
    return tuple(views)


def _known(statistics: BandStatistics, view: str) -> tuple[KnownBand, ...]:
    return tuple(
        KnownBand(statistics.bands[i].removeprefix(f"{view}:"), statistics.origins[i].common)
        for i in statistics.of(view)
    )


def _opened(name: str, view: ViewSettings, known: Sequence[KnownBand]) -> View:
    scenes = open_scenes(view.scenes, view.bands, view.mask_bad, view.mask_bands or (), known=known)
    names_mask = any(scene.mask for scene in view.scenes)
    if view.mask_bad and not any(scene.mask for scene in scenes):
        raise SourceError(
            "mask_bad has bad values, but no scene of it has a mask",
            remedy="name one with mask, or leave mask_bad out",
        )
    if view.mask_bands and not names_mask:
        raise SourceError(
            "mask_bands counts bands of a mask, but no scene of it names a mask",
            remedy="name one with mask, or leave mask_bands out",
        )
    return View(
        name,
        tuple(replace(scene, name=f"{name}:{scene.name}") for scene in scenes),
        tuple(known) or tuple(KnownBand(band.name, band.common) for band in scenes[0].bands),
    )


def check_views(views: Sequence[View]) -> None:
    """Warn of masks that cover a view partly, and of rasters that differ in units or lost names.

    Raises SourceError for a mask that lies elsewhere, and for embeddings of several editions.
    """
    for view in views:
        for scene in view.scenes:
            check_mask(scene)
            warn_of_palettes(scene.name, scene.bands)
            warn_of_large_scales(scene.name, scene.bands)
            warn_of_scales(scene.name, scene.bands)
            warn_of_netcdf(scene.name, scene.bands)
            warn_of_vrt(scene.name, scene.bands)
        check_editions([(scene.name, scene.bands) for scene in view.scenes])
        warn_of_lost_names((scene.name, scene.bands) for scene in view.scenes)
        warn_of_order((scene.name, scene.bands) for scene in view.scenes)
        warn_of_other_words((scene.name, scene.bands) for scene in view.scenes)
        warn_of_products((scene.name, scene.bands) for scene in view.scenes)
        warn_of_mixed_units(scene.units for scene in view.scenes)


_NUMBERED = re.compile(r"band_\d+")


def shared_bands(
    own: Sequence[KnownBand], theirs: Sequence[KnownBand]
) -> tuple[tuple[int, int], ...]:
    """Return positions of the bands that a pool's scenes and a view share, pair by pair.

    Two bands are the same if both are known to be the same (red, nir, ...), or if they have one
    name and are not known to differ; dimensions of embeddings need both. Names that only count,
    ``band_1``, mean the same where the view has all of them: an unnamed terrain model is no first
    band of a photograph. Either near infrared stands for the other where a view has only that one.
    """
    pairs = []
    counts_alike = [band.name for band in own] == [band.name for band in theirs]
    for i, band in enumerate(own):
        same = [j for j, other in enumerate(theirs) if _same(band, other, counts_alike)]
        if not same and band.common in _INFRARED:
            has_both = {other.common for other in own} >= _INFRARED
            others = [j for j, other in enumerate(theirs) if other.common in _INFRARED]
            same = others if len(others) == 1 and not has_both else []
        if len(same) == 1:
            pairs.append((i, same[0]))
    return tuple(pairs)


_INFRARED = {"nir", "nir08"}


def _same(one: KnownBand, other: KnownBand, counts_alike: bool) -> bool:
    if one.common is not None and other.common is not None:
        is_one = one.common == other.common
        return is_one and (one.common != EMBEDDING or one.name == other.name)
    is_called = one.name.casefold() == other.name.casefold()
    return is_called and (counts_alike or not _NUMBERED.fullmatch(one.name))


def bands_of(view: View, own: Sequence[KnownBand]) -> tuple[KnownBand, ...]:
    """Return the bands that a view adds to those of a pool's scenes, under their whole names."""
    name = view.name
    values = [
        KnownBand(f"{name}:{band.name}", None, BandOrigin(name, "values", band.common))
        for band in view.bands
    ]
    change = [
        KnownBand(f"{name}:change:{own[i].name}", None, BandOrigin(name, "change", own[i].common))
        for i, _ in shared_bands(own, view.bands)
    ]
    seen = KnownBand(f"{name}:seen", None, BandOrigin(name, "seen"))
    return (*values, *change, seen)
