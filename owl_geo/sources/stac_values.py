"""What STAC items say of pixels: scale, offset and no-data value, and whether the pixels agree.

The raster extension has them for each band in ``raster:bands``; since STAC 1.1 they stand with the
band itself, with the asset, or with the item. What is nearer to the band goes before.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from owl_geo.errors import SourceError
from owl_geo.ground.raster_files import UNREADABLE
from owl_geo.sources.bands import common_name, unpadded
from owl_geo.sources.files import open_raster
from owl_geo.sources.sensors import SENTINEL_2
from owl_geo.types import BoolArray
from owl_geo.wording import per_cent

_log = logging.getLogger("owl_geo")

Stated = float | Literal["own"]  # "own" = what the file says

_APPLIED = "offset_applied"  # earthsearch:boa_offset_applied, sentinel:boa_offset_applied
_BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
_OF_SENTINEL_2 = re.compile(r"sentinel-?2", re.IGNORECASE)
_BASELINE = re.compile(r"N?(\d\d?)\.?(\d\d)")  # 05.09, N0509, 0509
WITH_OFFSET = 4.0  # Sentinel-2's processing baseline from which on pixels have 1000 more
OFFSET = -1000.0
_SAMPLE = 512  # pixels a side
WELL_BELOW = 0.9  # of the offset: dark water scatters about it
MANY = 0.05  # of the pixels


@dataclass(frozen=True)
class PixelValues:
    """How the pixels of a band become values, and which is none."""

    scale: Stated = "own"
    offset: Stated = "own"
    nodata: Stated = "own"
    lacks_offset: bool = False  # a scale is said, and no offset: it is 0, or was forgotten


def pixel_values(
    asset: Mapping[str, Any], properties: Mapping[str, Any], n_bands: int
) -> tuple[PixelValues, ...]:
    """Return what an item says of each band of an asset; ``properties`` are the item's."""
    described, named = _listed(asset, "raster:bands"), _listed(asset, "bands")
    values = []
    for number in range(n_bands):
        own = _nth(described, number)
        layers = (_prefixed(own), _nth(named, number), asset, properties)
        scale, offset, nodata = (
            _first(layers, word) for word in ("raster:scale", "raster:offset", "nodata")
        )
        lacks_offset = scale != "own" and offset == "own"
        if (scale, offset) != ("own", "own"):  # what is not said is the extension's default
            scale = 1.0 if scale == "own" else scale
            offset = 0.0 if offset == "own" else offset
        values.append(PixelValues(scale, offset, nodata, lacks_offset))
    return tuple(values)


def _listed(asset: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    bands = asset.get(key)
    return [b for b in bands if isinstance(b, Mapping)] if isinstance(bands, list) else []


def _nth(bands: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    """Return one of the bands; a single one speaks for all."""
    if len(bands) == 1:
        return bands[0]
    return bands[number] if number < len(bands) else {}


def _prefixed(band: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entry of ``raster:bands`` under the names that STAC 1.1 has for its fields."""
    pairs = (("scale", "raster:scale"), ("offset", "raster:offset"), ("nodata", "nodata"))
    return {long: band[short] for short, long in pairs if short in band}


def _first(layers: Sequence[Mapping[str, Any]], key: str) -> Stated:
    for layer in layers:
        value = layer.get(key)
        if isinstance(value, bool) or value is None:
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        # not-a-number and infinity are missing anyway
        return number if math.isfinite(number) else "own"
    return "own"


def offset_is_applied(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> bool | None:
    """Return whether the item says that the offset is in its pixels; None where it does not say."""
    for layer in (asset, properties):
        for key, value in layer.items():
            if str(key).casefold().endswith(_APPLIED):
                return value is True or str(value).casefold() == "true"
    return None


def baseline(properties: Mapping[str, Any]) -> float | None:
    """Return Sentinel-2's processing baseline, None of anything else."""
    about = " ".join(str(properties.get(key, "")) for key in ("constellation", "platform"))
    for key in _BASELINES:
        if not (key.startswith("s") or _OF_SENTINEL_2.search(about)):
            continue
        text = str(properties.get(key))
        if found := _BASELINE.fullmatch(text):
            return float(f"{found[1]}.{found[2]}")
        try:
            return float(text)
        except ValueError:
            continue
    return None


@dataclass(frozen=True)
class StatedBands:
    """The bands of one file, what an item says of them, and what else it says of their offset."""

    path: str
    names: tuple[str, ...]
    values: tuple[PixelValues, ...]
    applied: bool | None
    baseline: float | None


def settled(item: str, files: Sequence[StatedBands]) -> tuple[PixelValues, ...]:
    """Return how the pixels of all bands become values, band by band.

    An offset that is in the pixels already is not applied again. Sentinel-2's pixels since
    processing baseline 04.00 have 1000 more, also where an item says nothing of it. Warns where
    that is so, and where the pixels of the first band with an offset contradict the item.
    """
    bands = [
        _StatedBand(file, name, number, stated)
        for file in files
        for number, (name, stated) in enumerate(zip(file.names, file.values, strict=True), 1)
    ]
    first = next((band for band in bands if band.added), None)
    if first is None:
        _warn_of_a_forgotten_offset(item, bands)
        return tuple(band.stated for band in bands)
    applied, contradiction = _by_its_pixels(first)
    if contradiction:
        _log.warning(
            "STAC item %s %s (%s of %s); the scene's offset in owl.toml decides",
            *(item, contradiction, first.name, first.file.path),
        )
    if first.is_inferred and not applied:
        _log.warning(
            "STAC item %s says no offset; %g is taken from its pixels, since it is of processing "
            "baseline %05.2f; the scene's offset in owl.toml decides",
            *(item, first.added, first.file.baseline),
        )
    return tuple(band.settled(applied) for band in bands)


def _by_its_pixels(band: _StatedBand) -> tuple[bool, str]:
    """Return whether a band's offset is in its pixels already, and what these say against the item.

    The text is empty where they do not contradict it, or cannot be looked at.
    """
    applied = bool(band.file.applied)
    sample = _sample(band)
    if sample is None:
        return applied, ""
    share = float((sample.pixels < WELL_BELOW * band.added).mean())
    if band.is_inferred and sample.has_scale:
        return True, ""  # the file speaks for itself
    if band.is_inferred and share > MANY:
        return True, (
            f"is of processing baseline {band.file.baseline:05.2f}, whose pixels have "
            f"{band.added:g} more, but {per_cent(share)} of them are well below; nothing is "
            "taken from them"
        )
    if applied and sample.pixels.min() >= band.added:
        return True, (
            "says that its offset is in the pixels already, but none of those looked at is "
            f"below {band.added:g}, as if it were not; it is not applied"
        )
    if not applied and share > MANY:
        return False, (
            f"has an offset that takes {band.added:g} from its pixels, but {per_cent(share)} "
            "of them are well below, as if it were in them already; it is applied all the same"
        )
    return applied, ""


def _warn_of_a_forgotten_offset(item: str, bands: Sequence[_StatedBand]) -> None:
    """Warn where pixels are as if they had Sentinel-2's offset, and the item says only a scale."""
    first = next((band for band in bands if band.may_lack_offset), None)
    sample = None if first is None else _sample(first)
    if first is None or sample is None or sample.pixels.min() < -OFFSET:
        return
    _log.warning(
        "STAC item %s is of processing baseline %05.2f, whose pixels have %g more, and says a "
        "scale but no offset; none of those looked at is below %g, and nothing is taken from them "
        "(%s of %s); the scene's offset in owl.toml decides",
        *(item, first.file.baseline, -OFFSET, -OFFSET, first.name, first.file.path),
    )


@dataclass(frozen=True)
class _StatedBand:
    """A band of a file, and what an item says of it."""

    file: StatedBands
    name: str
    number: int  # within the file, from 1
    stated: PixelValues

    @property
    def is_inferred(self) -> bool:
        """Whether an offset follows from the processing baseline alone."""
        return (self.stated.scale, self.stated.offset) == ("own", "own") and self._has_baseline

    @property
    def may_lack_offset(self) -> bool:
        """Whether the item says a scale, and not the offset that its processing baseline has."""
        return self.stated.lacks_offset and self._has_baseline

    @property
    def _has_baseline(self) -> bool:
        return (
            (self.file.baseline or 0.0) >= WITH_OFFSET
            and self.file.applied is None
            and (unpadded(self.name) in SENTINEL_2 or common_name(self.name) is not None)
        )

    @property
    def added(self) -> float:
        """What the pixels have on top of what a value without an offset would have; 0 for none."""
        if self.is_inferred:
            return -OFFSET
        scale, offset = self.stated.scale, self.stated.offset
        if scale == "own" or offset == "own" or not scale:
            return 0.0
        return max(-offset / scale, 0.0)

    def settled(self, applied: bool) -> PixelValues:
        """Return how the pixels become values, where the offset is in them already or not."""
        if self.is_inferred:
            if applied:
                return self.stated
            # Sentinel-2's no-data value is 0; with the offset it would pass for data
            nodata = 0.0 if self.stated.nodata == "own" else self.stated.nodata
            return replace(self.stated, scale=1.0, offset=OFFSET, nodata=nodata)
        return replace(self.stated, offset=0.0) if applied and self.added else self.stated


@dataclass(frozen=True)
class _Sample:
    pixels: np.ndarray[Any, np.dtype[np.float64]]  # those that are data
    has_scale: bool  # whether the file has a scale or an offset of its own


def _sample(band: _StatedBand) -> _Sample | None:
    """Return some pixels of a band; None where there are none, or it cannot be read.

    What cannot be read is told elsewhere.
    """
    number, nodata = band.number, band.stated.nodata
    try:
        with open_raster(band.file.path) as dataset:
            if number > dataset.count:
                return None
            shape = min(dataset.height, _SAMPLE), min(dataset.width, _SAMPLE)
            pixels = dataset.read(number, out_shape=shape)
            valid = dataset.read_masks(number, out_shape=shape) != 0
            terms = dataset.scales[number - 1], dataset.offsets[number - 1]
    except (SourceError, *UNREADABLE):
        return None
    # Sentinel-2's no data, whether or not the item says so
    valid &= pixels != (0 if nodata == "own" else nodata)
    if shape != dataset.shape:  # the overviews of a JPEG 2000 blend what is missing into the rim
        valid = _without_rim(valid)
    some = pixels[valid].astype(np.float64)
    return _Sample(some, terms != (1.0, 0.0)) if some.size else None


def _without_rim(valid: BoolArray) -> BoolArray:
    """Return which valid pixels ``(height, width)`` have no other ones around them."""
    padded = np.pad(valid, 1, mode="edge")
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]


def columns(values: Sequence[PixelValues]) -> Iterator[tuple[str, tuple[Stated, ...] | None]]:
    """Yield scale, offset and nodata of all bands; None for what no band says."""
    for word in ("scale", "offset", "nodata"):
        column = tuple(getattr(value, word) for value in values)
        yield word, None if set(column) <= {"own"} else column
