"""STAC items as files have them: what each says of itself, of its assets and of their bands.

The SpatioTemporal Asset Catalog specification, versions 0.9 to 1.1, as items on disk have it; the
network is never asked, so a link to another file is not followed.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from owl_geo.errors import SourceError
from owl_geo.settings.paths import absolute, is_local
from owl_geo.sources.bands import common_name
from owl_geo.sources.products.landsat import level_2_terms
from owl_geo.sources.scene_dates import date_of, first_day
from owl_geo.sources.sensors import by_code, sensor_of
from owl_geo.sources.stac_tables import features_of, is_stac_table
from owl_geo.sources.stac_values import PixelValues, offset_is_applied, pixel_values
from owl_geo.sources.wavelengths import by_wavelength, nanometres

_RASTER_TYPES = (
    "image/tiff",
    "image/vnd.stac.geotiff",
    "image/x.geotiff",
    "image/jp2",
    "image/jpx",
)
_RASTER_ENDINGS = (".tif", ".tiff", ".jp2")
_DATA = frozenset({"data", "reflectance", "visual"})
MASK_ROLES = frozenset(
    {"cloud", "cloud-shadow", "data-mask", "saturation", "snow-ice", "water-mask"}
)
_SERVERS = frozenset({"http", "https", "ftp", "gs", "az"})
_VIRTUAL = ("/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsizip", "/vsitar", "/vsigzip")
SCL_KEYS = ("scl", "scl-20m", "scl_20m", "scl_60m")


@dataclass(frozen=True)
class Item:
    """An item of a STAC file, as it stands there."""

    path: str  # of the file
    name: str
    assets: Mapping[str, Any]
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """What the item says of satellite and sensor."""
        keys = ("platform", "constellation", "instruments")
        return " ".join(str(self.properties[key]) for key in keys if self.properties.get(key))

    @property
    def date(self) -> datetime.date | None:
        """The day of acquisition; of a period of at most a month, the first."""
        get = self.properties.get
        return date_of(get("datetime")) or first_day(get("start_datetime"), get("end_datetime"))


@dataclass(frozen=True)
class Asset:
    """An asset of an item that is a raster of data, and what the item says of its bands."""

    key: str
    href: str
    bands: tuple[tuple[str, str | None], ...]  # name and common name of each
    values: tuple[PixelValues, ...]  # of each band, of one where the asset names none
    applied: bool | None  # whether the offset is in the pixels


def items_of(path: str) -> list[Item]:
    """Read the items of a STAC Item or ItemCollection, or of a table of items (stac-geoparquet).

    Raises SourceError for anything else.
    """
    if not is_local(path):
        raise SourceError(
            f"{path}: a STAC item is read from this machine only", remedy="download it first"
        )
    items = [
        _item(path, feature)
        for feature in (features_of(path) if is_stac_table(path) else _features(path))
    ]
    if not items:
        raise SourceError(f"{path} has no items")
    return items


def _features(path: str) -> list[Any]:
    """Return the items in a file of JSON."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"cannot read {path} as a STAC item: {reason}") from error
    kind = data.get("type") if isinstance(data, dict) else None
    if kind in ("Catalog", "Collection"):
        raise SourceError(f"{path} is a STAC {kind}, which has no pixels", remedy="name its items")
    features = data.get("features") if kind == "FeatureCollection" else [data]
    if kind not in ("Feature", "FeatureCollection") or not isinstance(features, list):
        raise SourceError(f"{path} is not a STAC Item or ItemCollection")
    return features


def _item(path: str, feature: Any) -> Item:
    assets = feature.get("assets") if isinstance(feature, dict) else None
    if not isinstance(assets, dict) or not isinstance(feature.get("id"), str | int):
        raise SourceError(f"{path} is not a STAC Item or ItemCollection: id or assets are missing")
    properties = feature.get("properties")
    # a slash would end a scene's name within a patch_id that people read
    name = str(feature["id"]).replace("/", "_") or "item"
    return Item(path, name, assets, properties if isinstance(properties, dict) else {})


def assets_of(item: Item, besides: frozenset[str]) -> list[Asset]:
    """Return the assets that are data, with what the item says of their bands.

    Not those that have a role ``besides`` that, or a key that says it.
    """
    found: list[tuple[str, str, list[Mapping[str, Any]]]] = []  # key, path, bands
    for key, asset in item.assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            continue
        is_other = bool(roles_of(asset) & besides) or key.lower() in besides
        if _is_raster(asset) and not is_other and not is_mask(asset, key):
            found.append((key, path_of(asset["href"], item.path), _described(asset, key)))
    every = [band for _, _, bands in found for band in bands]
    names = [str(band.get("name") or "") for band in every]
    waves = by_wavelength([_centre(band) for band in every])
    codes = by_code(names, sensor_of(names, item.name, item.about))
    commons = iter([wave or code for wave, code in zip(waves, codes, strict=True)])
    return [
        Asset(
            key,
            href,
            tuple(_band(band, next(commons)) for band in bands),
            _values(href, pixel_values(item.assets[key], item.properties, len(bands) or 1)),
            offset_is_applied(item.assets[key], item.properties),
        )
        for key, href, bands in found
    ]


def _is_raster(asset: Mapping[str, Any]) -> bool:
    """Whether an asset is a raster of data: by its media type, its roles and bands, its ending."""
    media, roles = str(asset.get("type") or "").lower(), roles_of(asset)
    if media:
        return media.startswith(_RASTER_TYPES)
    if roles or _listed(asset):
        return bool(roles & _DATA) or bool(_listed(asset))
    return str(asset["href"]).partition("?")[0].lower().endswith(_RASTER_ENDINGS)


def _listed(asset: Mapping[str, Any]) -> list[Any]:
    """Return the list of an asset's bands, by whichever name its version of STAC has for it."""
    bands = asset.get("eo:bands") or asset.get("bands")
    return bands if isinstance(bands, list) else []


def _described(asset: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return what is said of each band of an asset."""
    bands = _listed(asset)
    if not bands and (_given(asset) or _centre(asset)):
        return [{**asset, "name": key}]  # as 1.1 allows for an asset of one band
    return [band for band in bands if isinstance(band, dict)]


def _values(href: str, stated: tuple[PixelValues, ...]) -> tuple[PixelValues, ...]:
    """Return how pixels become values: as stated, or as they do in all Landsat bands of level 2."""
    terms = level_2_terms(href)
    if terms is None or len(stated) != 1 or (stated[0].scale, stated[0].offset) != ("own", "own"):
        return stated
    nodata = 0.0 if stated[0].nodata == "own" else stated[0].nodata
    return (PixelValues(*terms, nodata),)


def _band(band: Mapping[str, Any], derived: str | None) -> tuple[str, str | None]:
    """Return the name of a band and its common name: as the item has it, else as is ``derived``."""
    given = _given(band)
    return str(band.get("name") or given or ""), common_name(given) or derived


def _given(band: Mapping[str, Any]) -> str:
    return str(band.get("common_name") or band.get("eo:common_name") or "")


def _centre(band: Mapping[str, Any]) -> float | None:
    """Return the centre wavelength in nanometres; items have micrometres."""
    centre = band.get("center_wavelength") or band.get("eo:center_wavelength")
    return None if centre is None else nanometres(centre, "um")


def metres_of(item: Item, asset: Asset) -> float:
    """Return the size of an asset's pixels as the item states it; infinite if it does not."""
    stated = item.assets[asset.key]
    raster = stated.get("raster:bands")
    first = raster[0] if isinstance(raster, list) and raster else {}
    suffix = re.search(r"_(\d+)m$", asset.key)
    sizes = (
        stated.get("gsd"),
        stated.get("raster:spatial_resolution"),
        first.get("spatial_resolution") if isinstance(first, dict) else None,
        float(suffix[1]) if suffix else None,
    )
    return next((float(size) for size in sizes if isinstance(size, int | float)), math.inf)


def roles_of(asset: Mapping[str, Any]) -> set[str]:
    """Return the roles of an asset; none where they are no list of text."""
    roles = asset.get("roles")
    return {role for role in roles if isinstance(role, str)} if isinstance(roles, list) else set()


def is_mask(asset: Mapping[str, Any], key: str) -> bool:
    """Return whether an asset is a mask, by its roles or its key."""
    return bool(roles_of(asset) & MASK_ROLES) or key.lower() in SCL_KEYS


def path_of(href: str, item: str) -> str:
    """Return the path or URL of an asset: relative to its item, ``file://``, or on a server.

    Nothing else that GDAL opens by a name, so that an item cannot bring a description of a dataset
    in place of one. Raises SourceError for anything else.
    """
    try:
        parts = urlsplit(href)
    except ValueError as error:
        raise SourceError(f"{item}: the asset {href!r} cannot be a path: {error}") from error
    if any(ord(character) < 32 for character in unquote(href)):
        raise SourceError(f"{item}: the asset {href!r} has control characters")
    if parts.scheme == "file":
        return unquote(parts.path)
    if parts.scheme == "s3":
        return f"/vsis3/{parts.netloc}{parts.path}"
    if (parts.scheme in _SERVERS and "://" in href) or href.startswith(_VIRTUAL):
        return href
    beside = Path(item).parent
    plain = absolute(beside / href)
    return str(plain if plain.exists() else absolute(beside / unquote(href)))
