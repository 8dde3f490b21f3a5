"""Scenes out of STAC items: which assets are the bands, what these are called, and a mask."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from owl_geo.errors import SourceError, suggestion
from owl_geo.settings.known_masks import SCL, bad_pixels_of
from owl_geo.sources.bands import common_name, common_names, unpadded
from owl_geo.sources.sensors import by_code, sensor_of
from owl_geo.sources.side_files import is_side_file
from owl_geo.sources.stac_items import (
    MASK_ROLES,
    SCL_KEYS,
    Asset,
    Item,
    assets_of,
    metres_of,
    path_of,
    roles_of,
)
from owl_geo.sources.stac_values import StatedBands, baseline

_NO_DATA = frozenset({"thumbnail", "overview", "preview", "tilejson", "metadata"})
_VISUAL = frozenset({"visual"})  # true colours for the eye, of which some items have nothing else
_COPY = re.compile(r"_\d+m$|-jp2$")  # ends of the keys of copies: CDSE's, Earth Search's


@dataclass(frozen=True)
class ItemScene:
    """What an item offers as a scene."""

    files: tuple[str, ...]
    bands: tuple[str, ...]  # names of all bands of these files, in order; empty = the files' own
    mask: str | None  # a raster whose bad pixels are known
    mask_bad: tuple[int, ...]  # their values; empty = the name of the mask tells
    other_masks: str  # assets that are masks of unknown values, joined by commas
    stated: tuple[StatedBands, ...]  # what the item says of the pixels of each file


def scene_of_item(item: Item, wanted: Sequence[str]) -> ItemScene:
    """Choose an item's assets: those with the wanted bands, else all that are data.

    Data is what has the role "data" or "reflectance", or bands, or a raster's media type, or, where
    the item says none of these, a raster's ending; and is not a picture, a mask or metadata. An
    asset for the eye counts where there is nothing else. Raises SourceError where there is none, a
    wanted band is missing, or one asset holds it with others.
    """
    data = assets_of(item, _NO_DATA | _VISUAL) or assets_of(item, _NO_DATA)
    where = f"STAC item {item.name!r} in {item.path}"
    if not data:
        keys = ", ".join(item.assets) or "none"
        raise SourceError(
            f"{where} has no asset that is a raster, by its type or its bands",
            remedy=f"its assets: {keys}; name the file of one with --scene if it is one",
        )
    names = _band_names(data, item)
    by_name = bool(wanted) and not (len(data) == 1 and all(word.isdecimal() for word in wanted))
    if wanted and not by_name:
        chosen = data
    elif wanted:
        finest_first = sorted(data, key=lambda asset: metres_of(item, asset))
        sensor = sensor_of([asset.key for asset in data], item.name)
        chosen = _with_bands(finest_first, names, wanted, where, sensor)
    else:
        chosen = _each_once(item, [a for a in data if not is_side_file(a.key)] or data)
    bands = tuple(name for asset in chosen for name in names[asset.key])
    complete = by_name or all(asset.bands for asset in chosen) or len(chosen) > 1
    mask, bad, others = _mask(item)
    return ItemScene(
        files=tuple(asset.href for asset in chosen),
        bands=bands if complete else (),
        mask=mask,
        mask_bad=bad,
        other_masks=others,
        stated=tuple(
            StatedBands(
                path=asset.href,
                names=tuple(name or asset.key for name, _ in asset.bands) or (asset.key,),
                values=asset.values,
                applied=asset.applied,
                baseline=baseline(item.properties),
            )
            for asset in chosen
        ),
    )


def _each_once(item: Item, assets: Sequence[Asset]) -> list[Asset]:
    """Return one asset where several are the same bands at other resolutions or in other formats.

    The finest, and the first of those that are alike.
    """
    once: dict[tuple[str, ...], Asset] = {}
    for asset in assets:
        names = tuple(name.casefold() for name, _ in asset.bands if name)
        same = names or (_COPY.sub("", asset.key.casefold()),)
        before = once.get(same)
        if before is None or metres_of(item, asset) < metres_of(item, before):
            once[same] = asset
    return [asset for asset in assets if asset in once.values()]


def _band_names(assets: Sequence[Asset], item: Item) -> dict[str, tuple[str, ...]]:
    """Name the bands of each asset, so that common names are found again and no two are alike.

    A band keeps its own name where that is enough to tell its common name, as B04 is for red; else
    it takes the common name, if no other band of the item has that; else its own, or the asset's.
    """
    flat = [band for asset in assets for band in asset.bands]
    commons = Counter(common for _, common in flat if common)
    # as it will be found again, by what is then known: the names and the scene's name
    derived = dict(zip(flat, common_names([name for name, _ in flat], item.name), strict=True))
    names: dict[str, tuple[str, ...]] = {}
    used: set[str] = set()
    for asset in assets:
        each = []
        for name, common in asset.bands or ((asset.key, common_name(asset.key)),):
            own = name or asset.key
            if common and derived.get((name, common)) != common and commons[common] == 1:
                own = common
            if own.casefold() in used:
                own = f"{asset.key}_{own}" if len(asset.bands) > 1 else asset.key
            used.add(own.casefold())
            each.append(own)
        names[asset.key] = tuple(each)
    return names


def _with_bands(
    assets: Sequence[Asset],
    names: Mapping[str, tuple[str, ...]],
    wanted: Sequence[str],
    where: str,
    sensor: str | None,
) -> list[Asset]:
    """Return the assets that hold the wanted bands, each once, in the order of the bands."""
    chosen: dict[str, Asset] = {}
    for word in wanted:
        holders = [asset for asset in assets if _holds(asset, names[asset.key], word, sensor)]
        ends = (f"_{unpadded(word)}", f"-{unpadded(word)}")
        ending = [a for a in assets if any(unpadded(n).endswith(ends) for n in names[a.key])]
        if not holders and len(ending) == 1:  # red of nbart_red
            holders = ending
        if not holders:
            all_names = [name for asset in assets for name in names[asset.key]]
            raise SourceError(f"{where} has no band {word!r}", remedy=suggestion(word, all_names))
        # a band on its own goes before one in a stack
        best = min(holders, key=lambda asset: len(asset.bands) or 1)
        if not any(asset.key in chosen for asset in holders):
            chosen[best.key] = best
    return list(chosen.values())


def _holds(asset: Asset, names: tuple[str, ...], word: str, sensor: str | None) -> bool:
    plain, common = unpadded(word), common_name(word)
    own = [*names, *(name for name, _ in asset.bands), *([asset.key] if len(names) == 1 else [])]
    by_key = (common_name(asset.key), *by_code([asset.key], sensor))
    commons = [name for _, name in asset.bands] or by_key
    return any(unpadded(name) == plain for name in own) or (
        common is not None and common in commons
    )


def _mask(item: Item) -> tuple[str | None, tuple[int, ...], str]:
    """Return a mask whose bad pixels are known, with its bad values, and any other masks' names.

    Sentinel-2's scene classification, or one that its file's name tells, without values then.
    """
    by_key = {key.lower(): asset for key, asset in item.assets.items() if isinstance(asset, dict)}
    for key in SCL_KEYS:
        if by_key.get(key, {}).get("href"):
            return path_of(str(by_key[key]["href"]), item.path), SCL.values, ""
    hrefs = (asset["href"] for asset in by_key.values() if isinstance(asset.get("href"), str))
    known = next((href for href in hrefs if bad_pixels_of(href)), None)
    if known is not None:
        return path_of(known, item.path), (), ""
    others = [
        key
        for key, asset in item.assets.items()
        if isinstance(asset, dict) and roles_of(asset) & MASK_ROLES
    ]
    return None, (), ", ".join(others)
