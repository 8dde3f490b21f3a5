"""Bands by name: which band a word in ``bands`` means, and what the band is called from then on."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from owl_geo.errors import SourceError, nearest
from owl_geo.sources.sensors import SENTINEL_2, by_code, code_in, sensor_of
from owl_geo.sources.wavelengths import by_wavelength, fits, wavelength_in
from owl_geo.types import BandStatistics, SceneGrid

_log = logging.getLogger("owl_geo")


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
    wavelength: float | None = None  # centre, in nanometres
    width: float | None = None  # full width at half maximum, in nanometres
    colour: str | None = None  # in which the file shows it
    shown: str | None = None  # the same, where the file tells nothing better
    about: str = ""  # what the file's metadata say of satellite and sensor
    description: str = ""  # the file's own, where the name begins with that of the file
    bad: bool = False  # its header says that it is not to be used


_COMMON = frozenset({*SENTINEL_2.values(), "pan", "thermal"})
_ALIASES = {
    "aerosol": "coastal",
    "coastalaerosol": "coastal",
    "coastalblue": "coastal",
    "ultrablue": "coastal",
    "nearinfrared": "nir",
    "nirnarrow": "nir08",
    "panchromatic": "pan",
    "rededge": "rededge1",
    "rededge071": "rededge1",
    "rededge075": "rededge2",
    "rededge078": "rededge3",
    "swir16": "swir1",
    "swir22": "swir2",
    "lwir": "thermal",
    "lwir11": "thermal",
}
# What a description may have besides a common name.
_FILLERS = frozenset(
    {"band", "channel", "colour", "color", "light", "reflectance", "surface", "toa", "boa", "sr"}
)


def unpadded(word: str) -> str:
    """Return the word in lower case without leading zeros of its numbers: ``B02`` -> ``b2``."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", word.casefold())


def common_name(word: str) -> str | None:
    """Return the common name that a word is a spelling of (``Near Infrared`` -> ``nir``)."""
    plain = re.sub(r"[\s_-]", "", word.casefold())
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _COMMON else None


# Pixel size and period, as MODIS' products have them before a colour.
_PIXELS_AND_DAYS = re.compile(r"\b\d+\s?k?m\b|\b\d+ days?\b", re.IGNORECASE)


def described(text: str) -> str | None:
    """Return the common name that a description gives: ``Red band``, ``B4 (Red)``, ``B4 - Red``.

    ``250m 16 days red reflectance`` is red. None where it gives none, or several.
    """
    names = set()
    text = _PIXELS_AND_DAYS.sub("", text)
    for part in (text, *re.split(r"[(),:/]|\s-\s", text)):
        words = re.split(r"[\s_-]+", part.strip().casefold())
        plain = [word for word in words if word not in _FILLERS and code_in(word) is None]
        # the number behind "band" counts: "Band 4 red"
        if len(words) > 1 and words[0] in ("band", "channel") and plain[:1] == words[1:2]:
            plain = plain[1:] if plain[0].isdecimal() else plain
        names.add(common_name(part) or common_name(" ".join(plain)))
    names.discard(None)
    return names.pop() if len(names) == 1 else None


def with_common_names(bands: Sequence[Band], *texts: str) -> tuple[Band, ...]:
    """Say of each band what it is, the bands of one image together.

    By its wavelength, else its description, else what its product says, else a code of a sensor
    that is known; and if nothing of this says anything of any band of its file, by the colour in
    which it is shown. A wide band's wavelength is only its middle: one described as panchromatic
    is that.

    ``texts`` are what may name the sensor, such as the name of the scene.
    """
    names = [band.name for band in bands]
    words = [described(band.description or band.name) for band in bands]
    waves = by_wavelength(
        [None if word == "pan" else _centre(band) for band, word in zip(bands, words, strict=True)],
        [band.width for band in bands],
    )
    sensor = None
    if not any(band.common for band in bands):
        about = dict.fromkeys(text for band in bands for text in (band.about, Path(band.path).stem))
        sensor = sensor_of(names, *about, *texts)
    codes = by_code(names, sensor)
    commons = [
        _common(band, wave, word, code)
        for band, wave, word, code in zip(bands, waves, words, codes, strict=True)
    ]
    spoken = {band.path for band, common in zip(bands, commons, strict=True) if common}
    return tuple(
        replace(band, common=common or (None if band.path in spoken else band.shown))
        for band, common in zip(bands, commons, strict=True)
    )


def _common(band: Band, wave: str | None, word: str | None, code: str | None) -> str | None:
    """Return what a band is, by its wavelength, its description and its code."""
    centre = _centre(band)
    if centre is None or word == "pan":
        return word or band.common or code
    return wave or (word if fits(word, centre) else None)


def _centre(band: Band) -> float | None:
    return band.wavelength or wavelength_in(band.name)


def common_names(bands: Sequence[str], *texts: str) -> tuple[str | None, ...]:
    """Return the common name of each band of one source by the bands' names alone.

    For a source, or a run, of which nothing else is known, but ``texts`` that may name the sensor;
    else see ``with_common_names``.
    """
    codes = by_code(bands, sensor_of(bands, *texts))
    return tuple(common_name(name) or code for name, code in zip(bands, codes, strict=True))


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


@dataclass(frozen=True)
class KnownBand:
    """A band of a source as all of its scenes have it, and as a run has it written down."""

    name: str
    common: str | None = None  # None where nothing is known of it


def known_by_name(names: Sequence[str]) -> tuple[KnownBand, ...]:
    """Return bands of which nothing but the names is known."""
    return tuple(KnownBand(*pair) for pair in zip(names, common_names(names), strict=True))


def known_bands(statistics: BandStatistics) -> tuple[KnownBand, ...]:
    """Return the bands that a run has written down."""
    commons = statistics.common_names or (None,) * len(statistics.bands)
    return tuple(KnownBand(*pair) for pair in zip(statistics.bands, commons, strict=True))


def select(bands: Sequence[Band], wanted: Sequence[str], where: str) -> tuple[Band, ...]:
    """Return the wanted bands in the wanted order.

    Numbers are positions from 1, where all of them can be. Any other word is tried as a name (case
    and zero padding do not matter), as the last part of a name after ``_`` or ``-``, as what stands
    in a name before a comma or a bracket, and as a common name; never as the name of a band that is
    known to be another. A band asked for by its common name is called by that name from then on,
    any other by its own. Words that are a name only if joined by commas are that name.

    Raises SourceError, which begins with ``where``, for a word that means no band or several, and
    for a band named twice.
    """
    words = _joined([word.strip() for word in wanted], bands)
    are_positions = _are_positions(words, bands)
    if are_positions:
        _warn_of_numbers(words, bands)
    selected = tuple(_find(bands, word, where, are_positions=are_positions) for word in words)
    _check_once(selected, where)
    return selected


def like_known(
    bands: Sequence[Band], known: Sequence[KnownBand], wanted: Sequence[str], where: str
) -> tuple[Band, ...]:
    """Return the bands of a scene that stand for those of its source, under their names.

    A band is found by its name, else by the word in ``wanted`` that it was asked for by, else by
    what it is. A band that is known to be another does not count, whatever it is called: B2 is
    blue of Landsat 8, and green of Landsat 7.

    Raises SourceError, which begins with ``where``, for a band that is not there.
    """
    words = _joined([word.strip() for word in wanted], bands)
    words = words if len(words) == len(known) else []
    are_positions = _are_positions(words, bands)
    chosen = []
    for i, one in enumerate(known):
        same = _of_common_name(bands, one.common)
        matches = [
            b for b in bands if b.name == one.name and (b in same or not _differs(b, one.common))
        ]
        if len(matches) == 1:
            band = matches[0]
        elif words:
            band = _find(bands, words[i], where, are_positions=are_positions)
            _check_unchanged(bands, band, one, where)
        elif len(same) == 1:
            band = same[0]
        else:
            band = _find(bands, one.name, where, are_positions=False)
            _check_unchanged(bands, band, one, where)
        if band not in same and band.name != one.common and _differs(band, one.common):
            raise SourceError(
                f"{where}: its {band.name} is {band.common}, {one.name} of the other scenes is "
                f"{one.common}",
                remedy="name bands by what they are, for example --bands red,nir",
            )
        chosen.append(replace(band, name=one.name, common=one.common or band.common))
    _check_once(chosen, where)
    return tuple(chosen)


def _check_unchanged(bands: Sequence[Band], band: Band, one: KnownBand, where: str) -> None:
    """Raise SourceError where a run took another band for one of a common name.

    Runs that did not write down what their bands are took the colour in which a band is shown for
    what it is, and any code with a zero in front for one of Sentinel-2.
    """
    common = common_name(one.name)
    if one.common is not None or common is None:
        return
    (same,) = (other for other in bands if (other.path, other.number) == (band.path, band.number))
    padded = [other for other in bands if re.search(r"b0[1-9]$", other.name.casefold())]
    taken = [other for other in bands if other.colour == common] or [
        other for other in padded if SENTINEL_2.get(code_in(other.name) or "") == common
    ]
    if taken and same not in taken:
        raise SourceError(
            f"{where}: {common} is {same.name}, but the run may have been made with "
            f"{taken[0].name}",
            remedy="run `owl-geo init RUN --update`, or make another run",
        )


def _of_common_name(bands: Sequence[Band], common: str | None) -> list[Band]:
    """Return the bands of a common name; either near infrared stands for the other if that lacks.

    Landsat's, for example, is called both.
    """
    if common is None:
        return []
    same = [band for band in bands if band.common == common and not band.alpha]
    return same or [band for band in bands if {band.common, common} == {"nir", "nir08"}]


def _check_once(bands: Sequence[Band], where: str) -> None:
    twice = [name for name, count in Counter(band.name for band in bands).items() if count > 1]
    positions = Counter((band.path, band.number) for band in bands)
    if twice or len(positions) < len(bands):
        names = twice or [b.name for b in bands if positions[b.path, b.number] > 1]
        raise SourceError(f"{where}: the band {names[0]!r} is asked for twice")


def _differs(band: Band, common: str | None) -> bool:
    return common is not None and band.common is not None and band.common != common


def _are_positions(words: Sequence[str], bands: Sequence[Band]) -> bool:
    numbers = [int(word) for word in words if word.isdecimal()]
    return all(1 <= number <= len(bands) for number in numbers)


def _warn_of_numbers(words: Sequence[str], bands: Sequence[Band]) -> None:
    """Say it where a number is a position, and another band is called by it."""
    for word in words:
        called = next((i for i, band in enumerate(bands, start=1) if band.name == word), None)
        if word.isdecimal() and called not in (None, int(word)):
            _log.warning(
                "band %s is the one at this position, %s; the band called %s is number %d",
                *(word, bands[int(word) - 1].name, word, called),
            )
            return


def _joined(words: Sequence[str], bands: Sequence[Band]) -> list[str]:
    """Put together again the names that hold commas, which split them into words."""
    names = {_without_spaces(band.name) for band in bands if "," in band.name}
    longest = max((name.count(",") + 1 for name in names), default=1)
    whole: list[str] = []
    start = 0
    while start < len(words):
        lengths = range(min(longest, len(words) - start), 1, -1)
        length = next(
            (n for n in lengths if _without_spaces(",".join(words[start : start + n])) in names), 1
        )
        whole.append(", ".join(words[start : start + length]))
        start += length
    return whole


def _without_spaces(name: str) -> str:
    return re.sub(r"\s*,\s*", ",", name.strip().casefold())


def _find(bands: Sequence[Band], word: str, where: str, *, are_positions: bool) -> Band:
    if are_positions and word.isdecimal():
        return bands[int(word) - 1]
    plain = unpadded(word)
    common = common_name(word)
    rules: tuple[Callable[[Band], bool], ...] = (
        lambda band: _without_spaces(band.name) == _without_spaces(word),
        lambda band: unpadded(band.name) == plain,
        lambda band: unpadded(band.description) == plain,
        lambda band: unpadded(band.name).endswith((f"_{plain}", f"-{plain}")),
        lambda band: common is not None and band.common == common and not band.alpha,
        lambda band: unpadded(re.split(r"[,(]", band.name)[0].strip()) == plain,
        # a near infrared is that where there is no other
        lambda band: common == "nir" and band.common == "nir08",
    )
    several: list[Band] = []
    for rule in rules:
        matches = [band for band in bands if rule(band) and not _differs_from_word(band, common)]
        if len(matches) == 1:
            by_common_name = rule in (rules[4], rules[6])
            if by_common_name and common:
                return replace(matches[0], name=common, common=common)
            return matches[0]
        several = several or matches
    if word.isdecimal() and 1 <= int(word) <= len(bands):  # among numbers that are names
        return bands[int(word) - 1]
    if several:
        candidates = ", ".join(band.name for band in several)
        raise SourceError(
            f"{where}: {word!r} may mean {candidates}", remedy="name one of them in full"
        )
    if word.isdecimal():
        raise SourceError(f"{where} has {len(bands)} band(s), no band {word}: {listed(bands)}")
    raise _no_band(bands, word, where)


def _differs_from_word(band: Band, common: str | None) -> bool:
    return _differs(band, common) and not (common == "nir" and band.common == "nir08")


def _no_band(bands: Sequence[Band], word: str, where: str) -> SourceError:
    names = [band.name for band in bands] + [band.common for band in bands if band.common]
    band_names = list(dict.fromkeys(names))
    near = nearest(word, band_names)
    hint = "" if near is None else f"did you mean {near!r}? "
    called = next((b for b in bands if b.name.casefold() == word.casefold()), None)
    if called is not None:
        hint = f"the band of that name is {called.common} by its wavelength; "
    return SourceError(
        f"{where} has no band {word!r}", remedy=f"{hint}it has {', '.join(band_names)}"
    )


def listed(bands: Sequence[Band]) -> str:
    """Return the bands for a message: ``1 B02 (blue), 2 B03 (green)``."""
    return ", ".join(
        f"{number} {band.name}"
        + (f" ({band.common})" if band.common and band.common != band.name else "")
        for number, band in enumerate(bands, start=1)
    )
