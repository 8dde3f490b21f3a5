"""Bands by name: which band a word in ``bands`` means, and what the band is called from then on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from owl_geo.errors import SourceError, nearest
from owl_geo.types import SceneGrid


@dataclass(frozen=True)
class Band:
    """One band of a scene: where its pixels lie and how they become values.

    A value is ``scale * pixel + offset``.
    """

    name: str
    path: str
    number: int  # within the file, from 1
    grid: SceneGrid  # of the file; the scene's own grid may be finer
    dtype: str
    driver: str  # GDAL's short name of the format
    blocks: tuple[int, int]  # height and width of the file's blocks, in pixels
    nodata: float | None = None
    # bands of the file that hold nodata together: with data in any of them, a pixel has data;
    # empty = the band by itself
    nodata_of: tuple[int, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    masked: bool = False  # the file has a mask band or an alpha band
    alpha: bool = False  # this band is the alpha band
    common: str | None = None  # blue, green, red, nir, swir1, ...
    bad: bool = False  # its header says that it is not to be used


_SENTINEL_2 = {
    "b1": "coastal",
    "b2": "blue",
    "b3": "green",
    "b4": "red",
    "b5": "rededge1",
    "b6": "rededge2",
    "b7": "rededge3",
    "b8": "nir",
    "b8a": "nir08",
    "b9": "nir09",
    "b10": "cirrus",
    "b11": "swir1",
    "b12": "swir2",
}

_COMMON = frozenset({*_SENTINEL_2.values(), "pan", "thermal"})
_ALIASES = {
    "aerosol": "coastal",
    "coastalaerosol": "coastal",
    "nearinfrared": "nir",
    "nirnarrow": "nir08",
    "panchromatic": "pan",
    "rededge": "rededge1",
    "swir16": "swir1",
    "swir22": "swir2",
}


def unpadded(word: str) -> str:
    """Return the word in lower case without leading zeros of its numbers: ``B02`` -> ``b2``."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", word.casefold())


def common_name(word: str) -> str | None:
    """Return the common name that a word is a spelling of (``Near Infrared`` -> ``nir``)."""
    plain = re.sub(r"[\s_-]", "", word.casefold())
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _COMMON else None


def sentinel2_name(code: str) -> str | None:
    """Return the common name of a Sentinel-2 band: ``B08`` -> ``nir``."""
    return _SENTINEL_2.get(unpadded(code))


def with_common_names(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Add common names where the product did not give them: from descriptions or Sentinel-2 codes.

    Codes like B2 and B8 are taken for Sentinel-2's only where Landsat, which counts otherwise,
    cannot be meant: see ``_looks_like_sentinel2``.
    """
    named = common_names([band.name for band in bands])
    return tuple(
        replace(band, common=band.common or name) for band, name in zip(bands, named, strict=True)
    )


def common_names(bands: Sequence[str]) -> tuple[str | None, ...]:
    """Return the common name of each band of one source, None for a band that has none.

    Names are read together, since B2 and B8 mean Sentinel-2's only in the company of the right
    others: see ``_looks_like_sentinel2``.
    """
    codes = [_last_part(name) for name in bands]
    named = [common_name(name) for name in bands]
    if _looks_like_sentinel2(codes) and not any("l30" in name.casefold() for name in bands):
        named = [name or sentinel2_name(code) for name, code in zip(named, codes, strict=True)]
    return tuple(named)


def _last_part(name: str) -> str:
    return re.split(r"[_-]", name)[-1]


def _looks_like_sentinel2(codes: Sequence[str]) -> bool:
    """Sentinel-2 pads its numbers (B02), and alone has B8A and B12.

    B8 without B5 is Sentinel-2's near infrared; Landsat's panchromatic B8 hardly comes without the
    near infrared B5.
    """
    words = {code.casefold() for code in codes}
    return bool(
        words & {"b8a", "b12"}
        or any(re.fullmatch(r"b0[1-9]", word) for word in words)
        or ("b8" in words and "b5" not in words)
    )


_CODE = re.compile(r"(?:^|[_.-])b\d+[a-z]?(?:$|[_.-])")


def doubtful_files(bands: Sequence[Band]) -> tuple[str, ...]:
    """Return the names of those bands of a folder that may really be a mask or a truth.

    Those are rasters of a single band that are not named as bands are, nor as most of the others,
    while these agree; or that have a data type none of the others has, for example 8 bits.
    """
    n_bands = Counter(band.path for band in bands)
    files = list({band.path: band for band in bands}.values())
    if len(files) < 2:
        return ()
    patterns = Counter(_pattern(file) for file in files)
    types = Counter(file.dtype for file in files)
    doubtful = []
    for file in files:
        pattern = _pattern(file)
        others = patterns - Counter([pattern])
        most, n = others.most_common(1)[0]
        # of two single bands nobody can tell which is the odd one
        comparable = len(files) > 2 or max(n_bands.values()) > 1
        is_band = bool(_CODE.search(Path(file.path).stem.casefold()) or common_name(file.name))
        odd_name = comparable and pattern != most and 2 * n > len(files) - 1 and not is_band
        odd_type = types[file.dtype] == 1 and (
            file.dtype in ("uint8", "int8")
            or (comparable and not is_band and pattern not in others)
        )
        if n_bands[file.path] == 1 and (odd_name or odd_type):
            doubtful.append(file.name)
    return tuple(doubtful)


def _pattern(band: Band) -> str:
    """Return the name of a band's file with its numbers taken out: ``x_B8A_10m`` -> ``x_b#_#m``."""
    stem = re.sub(r"\d+a(?![a-z])", "#", Path(band.path).stem.casefold())
    return re.sub(r"\d+", "#", stem)


def distinct(names: Sequence[str]) -> list[str]:
    """Number the names that occur more than once by their place: ``a, b, a`` -> ``a_1, b, a_3``."""
    counts = Counter(name.casefold() for name in names)
    return [
        name if counts[name.casefold()] == 1 else f"{name}_{i}"
        for i, name in enumerate(names, start=1)
    ]


def select(bands: Sequence[Band], wanted: Sequence[str], where: str) -> tuple[Band, ...]:
    """Return the wanted bands in the wanted order.

    A word is tried as a description (case and zero padding do not matter), as the last part of a
    name after ``_`` or ``-``, as a common name, and as a number from 1. A band asked for by its
    common name is called by that name from then on, any other by its own.

    Raises SourceError, which begins with ``where``, for a word that means no band or several, and
    for a band named twice.
    """
    selected = tuple(_find(bands, word.strip(), where) for word in wanted)
    twice = [name for name, count in Counter(band.name for band in selected).items() if count > 1]
    positions = Counter((band.path, band.number) for band in selected)
    if twice or len(positions) < len(selected):
        names = twice or [b.name for b in selected if positions[b.path, b.number] > 1]
        raise SourceError(f"{where}: the band {names[0]!r} is asked for twice")
    return selected


def _find(bands: Sequence[Band], word: str, where: str) -> Band:
    plain = unpadded(word)
    common = common_name(word)
    rules: tuple[Callable[[Band], bool], ...] = (
        lambda band: band.name.casefold() == word.casefold(),
        lambda band: unpadded(band.name) == plain,
        lambda band: unpadded(band.name).endswith((f"_{plain}", f"-{plain}")),
        lambda band: common is not None and band.common == common and not band.alpha,
    )
    several: list[Band] = []
    for rule in rules:
        matches = [band for band in bands if rule(band)]
        if len(matches) == 1:
            by_common_name = rule is rules[-1]
            return replace(matches[0], name=common) if by_common_name and common else matches[0]
        several = several or matches
    if word.isdecimal() and 1 <= int(word) <= len(bands):
        return bands[int(word) - 1]
    if several:
        candidates = ", ".join(band.name for band in several)
        raise SourceError(
            f"{where}: {word!r} may mean {candidates}", remedy="name one of them in full"
        )
    if word.isdecimal():
        raise SourceError(f"{where} has {len(bands)} band(s), no band {word}: {listed(bands)}")
    names = [band.name for band in bands] + [band.common for band in bands if band.common]
    band_names = list(dict.fromkeys(names))
    near = nearest(word, band_names)
    hint = "" if near is None else f"did you mean {near!r}? "
    raise SourceError(
        f"{where} has no band {word!r}", remedy=f"{hint}it has {', '.join(band_names)}"
    )


def listed(bands: Sequence[Band]) -> str:
    """Return the bands for a message: ``1 B02 (blue), 2 B03 (green)``."""
    return ", ".join(
        f"{number} {band.name}"
        + (f" ({band.common})" if band.common and band.common != band.name else "")
        for number, band in enumerate(bands, start=1)
    )
