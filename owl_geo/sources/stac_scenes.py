"""Scenes out of STAC files, which name rasters and bring masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from owl_geo.errors import SourceError
from owl_geo.sources.left_out import failed_scene
from owl_geo.sources.scene_names import SceneLocation
from owl_geo.sources.stac import scene_of_item
from owl_geo.sources.stac_items import items_of
from owl_geo.sources.stac_tables import is_stac_table
from owl_geo.sources.stac_values import settled
from owl_geo.sources.unopened import OnError
from owl_geo.types import FailedScene

_log = logging.getLogger("owl_geo")

STAC = (".json", ".geojson")


def has_items(path: str) -> bool:
    """Return whether a path is meant as STAC: JSON, or a table with the columns of items."""
    return path.lower().endswith(STAC) or is_stac_table(path)


class ItemMasks:
    """Which masks of STAC items are used: all of one kind, so that one list of values fits."""

    def __init__(self, mask_bad: Sequence[int], *, wanted: bool) -> None:
        self._wanted = wanted
        self._bad = tuple(mask_bad) or None  # None until the first mask decides
        self._left_out: list[str] = []

    def take(self, name: str, mask: str | None, bad: tuple[int, ...], others: str) -> str | None:
        """Return the mask if it can be used: if its bad values are those of all.

        These are the values that were given, or those of the first mask, none where the names of
        masks tell. ``others`` names further masks of the item, of which nothing is known.
        """
        if not self._wanted:
            return None
        if mask is not None and self._bad in (None, bad):
            self._bad = bad
            return mask
        if mask is not None or others:
            self._left_out.append(f"{name} ({mask or others})")
        return None

    def values(self) -> tuple[int, ...]:
        """Return the bad values that count; empty where none do, or the names of masks tell."""
        return self._bad or ()

    def report(self) -> None:
        """Warn of masks that were not used."""
        if self._left_out:
            more = len(self._left_out) - 1
            _log.warning(
                "a mask of STAC item %s%s is not used, since what is bad in it is not known, or "
                "not told by the list that counts for all; give it with --mask and --mask-bad",
                self._left_out[0],
                f" and of {more:,} more" if more else "",
            )


def scenes_of_items(
    location: SceneLocation,
    bands: Sequence[str],
    masks: ItemMasks,
    failed: list[FailedScene],
    on_error: OnError,
) -> list[SceneLocation]:
    """Return a scene per item of a STAC file, with the mask that ``masks`` lets it bring.

    Items that offer no scene go to ``failed``, unless ``on_error`` is "fail". Raises SourceError.
    """
    path = location.files[0]
    scenes: list[SceneLocation] = []
    try:
        items = items_of(path)
    except SourceError as error:
        if on_error == "fail":
            raise
        failed.append(failed_scene(location.name or Path(path).stem, error))
        return []
    if location.name and len(items) > 1:
        raise SourceError(f"{path} has {len(items):,} items, which cannot share a name")
    for item in items:
        name = location.name or item.name
        try:
            scene = scene_of_item(item, bands)
        except SourceError as error:
            if on_error == "fail":
                raise
            failed.append(failed_scene(name, error))
            continue
        mask = masks.take(name, scene.mask, scene.mask_bad, scene.other_masks)
        is_set = len(scene.files) > 1
        values = settled(name, scene.stated)
        place = SceneLocation(name, scene.files, is_set, scene.bands, mask, values, date=item.date)
        scenes.append(place)
    return scenes
