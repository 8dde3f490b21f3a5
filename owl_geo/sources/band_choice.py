"""Which bands a source has: those that words mean, and those that a run or other scenes have."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from owl_geo.errors import SceneError, nearest
from owl_geo.sources.band_wording import in_short, listed
from owl_geo.sources.bands import COMMON_NAMES, Band, common_name, common_names, unpadded
from owl_geo.sources.named_bands import naming
from owl_geo.sources.sensors import SENTINEL_2, code_in, without_ending
from owl_geo.types import OF_SCENE, BandOrigin, BandStatistics
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class KnownBand:
    """A band of a source as all of its scenes have it, and as a run has it written down."""

    name: str
    common: str | None = None  # None where nothing is known of it, and for a band of a view
    origin: BandOrigin = OF_SCENE
    by_colour: bool = False  # its common name may be the colour in which its file shows it


def known_by_name(names: Sequence[str]) -> tuple[KnownBand, ...]:
    """Return bands of which nothing but the names is known."""
    return tuple(KnownBand(*pair) for pair in zip(names, common_names(names), strict=True))


def known_bands(statistics: BandStatistics) -> tuple[KnownBand, ...]:
    """Return the bands of its scenes that a run has written down; those of views are not theirs."""
    own = statistics.of_scene
    commons = own.common_names or (None,) * len(own.bands)
    return tuple(
        KnownBand(name, common, by_colour=not statistics.by_product)
        for name, common in zip(own.bands, commons, strict=True)
    )


def select(bands: Sequence[Band], wanted: Sequence[str], where: str) -> tuple[Band, ...]:
    """Return the wanted bands in the wanted order.

    Numbers are positions from 1, where all of them can be; ``1-130`` stands for those from 1 to
    130, unless it is in the name of a band. Any other word is tried as a name (case
    and zero padding do not matter), as the last part of a name after ``_``, ``-`` or ``.``, as what
    stands in a name before a comma or a bracket, and as a common name; never as the name of a band
    that is known to be another. A band asked for by its common name is called by that name from
    then on, any other by its own. Words that are a name only if joined by commas are that name.

    Raises SourceError, which begins with ``where``, for a word that means no band or several, and
    for a band named twice.
    """
    words = _words(wanted, bands)
    are_positions = _are_positions(words, bands)
    if are_positions:
        _warn_of_numbers(words, bands)
    selected = tuple(_find(bands, word, where, are_positions=are_positions) for word in words)
    _check_once(selected, where)
    return selected


def with_stated(
    bands: Sequence[Band], stated: Mapping[str, str], where: str, *, anywhere: bool = True
) -> tuple[Band, ...]:
    """Say of bands what the settings say that they are, whatever their file says.

    Args:
        bands: of one scene.
        stated: of each common name the word that means the band, as ``select`` takes it.
        where: the scene, for messages.
        anywhere: whether each has to be there; otherwise a word that means no band is passed over.

    Raises SceneError for a word that is no common name, that means no band or several, and where
    two are said of one band.
    """
    found: dict[tuple[str, int], str] = {}
    for name, word in stated.items():
        common = common_name(name)
        if common is None:
            raise SceneError(
                f"{where}: {name!r} does not say what a band is",
                remedy=f"use one of {', '.join(sorted(COMMON_NAMES))}",
            )
        try:
            band, *others = select(bands, [word], where)
        except NotFound:
            if anywhere:
                raise
            continue
        if others:
            raise SceneError(f"{where}: {word!r} is several bands, which cannot all be {name}")
        place = band.path, band.number
        if found.setdefault(place, common) != common:
            raise SceneError(f"{where}: {word!r} is said to be {found[place]} and {common}")
    said = set(found.values())
    return tuple(
        replace(band, common=found[band.path, band.number], wavelength=None, shown=None)
        if (band.path, band.number) in found
        else replace(band, common=None, shown=None)
        if band.common in said
        else band
        for band in bands
    )


def _nobody(_: KnownBand) -> Band | None:
    return None


def like_known(
    bands: Sequence[Band],
    known: Sequence[KnownBand],
    wanted: Sequence[str],
    where: str,
    counterpart: Callable[[KnownBand], Band | None] = _nobody,
) -> tuple[Band, ...]:
    """Return the bands of a scene that stand for those of its source, under their names.

    A band is found by its name, else by the word in ``wanted`` that it was asked for by, else by
    what it is, else as its ``counterpart``. A band that is known to be another does not count,
    whatever it is called: B2 is blue of Landsat 8, and green of Landsat 7.

    Raises SourceError, which begins with ``where``, for a band that is not there.
    """
    words = _words(wanted, bands)
    words = words if len(words) == len(known) else []
    are_positions = _are_positions(words, bands)
    chosen = []
    for i, one in enumerate(known):
        word = words[i] if words else None
        try:
            band = _like(bands, one, word, where, are_positions=are_positions)
        except NotFound:
            other = counterpart(one)
            if other is None:
                raise
            band = other
        chosen.append(replace(band, name=one.name, common=one.common or band.common))
    _check_once(chosen, where)
    return tuple(chosen)


def _like(
    bands: Sequence[Band], one: KnownBand, word: str | None, where: str, *, are_positions: bool
) -> Band:
    """Return the band that stands for one; ``word`` is what it was asked for by, if anything."""
    _check_colour(bands, one, where)
    same = of_common_name(bands, one.common)
    matches = [
        b for b in bands if b.name == one.name and (b in same or not _differs(b, one.common))
    ]
    if len(matches) == 1:
        band = matches[0]
    elif word is not None:
        band = _find(bands, word, where, are_positions=are_positions)
        _check_unchanged(bands, band, one, where)
    elif len(same) == 1:
        band = same[0]
    else:
        band = _find(bands, one.name, where, are_positions=False)
        _check_unchanged(bands, band, one, where)
    if band not in same and band.name != one.common and _differs(band, one.common):
        raise SceneError(
            f"{where}: its {band.name} is {band.common}, {one.name} of the other scenes is "
            f"{one.common}",
            remedy=f"name bands by what they are, for example {naming(['red', 'nir'])}",
        )
    return band


def _check_colour(bands: Sequence[Band], one: KnownBand, where: str) -> None:
    """Raise SceneError where an older run went by a colour that a product contradicts."""
    taken = [band for band in bands if band.colour == one.common and band.shown]
    right = [band for band in bands if band.shown == one.common]
    if one.by_colour and one.common is not None and taken and right and taken != right:
        raise _other_now(one.common, right[0], taken[0], where)


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
        raise _other_now(common, same, taken[0], where)


def _other_now(common: str, now: Band, then: Band, where: str) -> SceneError:
    return SceneError(
        f"{where}: {common} is {now.name}, but the run may have been made with {then.name}",
        remedy="run `owl-geo init RUN --update`, or make another run",
    )


def of_common_name(bands: Sequence[Band], common: str | None) -> list[Band]:
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
        raise SceneError(f"{where}: the band {names[0]!r} is asked for twice")


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


_FROM_TO = re.compile(r"(\d+)\s*-\s*(\d+)")


def _words(wanted: Sequence[str], bands: Sequence[Band]) -> list[str]:
    """Return a word for each wanted band."""
    words: list[str] = []
    for word in _joined([word.strip() for word in wanted], bands):
        found = _FROM_TO.fullmatch(word)
        in_a_name = any(word in text for band in bands for text in (band.name, band.description))
        first, last = map(int, found.groups()) if found and not in_a_name else (0, 0)
        is_range = 1 <= first < last <= len(bands)
        words += [str(number) for number in range(first, last + 1)] if is_range else [word]
    return words


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
        # B04 of HLS.S30.T32TNT.2023166T103629.v2.0.B04
        lambda band: unpadded(band.name).endswith(f".{plain}"),
        # B04 of T31TFM_20230616T103629_B04_10m, and of B04_median
        lambda band: f"_{unpadded(without_ending(band.name))}".endswith((f"_{plain}", f"-{plain}")),
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
        raise NotFound(
            f"{where}: {word!r} may mean {candidates}", remedy="name one of them in full"
        )
    if word.isdecimal():
        raise NotFound(
            f"{where} has {counted(len(bands), 'band')}, no band {word}: {listed(bands)}"
        )
    raise _no_band(bands, word, where)


def _differs_from_word(band: Band, common: str | None) -> bool:
    return _differs(band, common) and not (common == "nir" and band.common == "nir08")


class NotFound(SceneError):
    """A word means none of a scene's bands, or several.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it.
        hint: the part of the remedy that speaks of the word.
        guessed: whether the hint is a guess at what was meant.
    """

    def __init__(
        self, message: str, *, remedy: str = "", hint: str = "", guessed: bool = False
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.hint = hint
        self.guessed = guessed


def _no_band(bands: Sequence[Band], word: str, where: str) -> NotFound:
    names = [band.name for band in bands] + [band.common for band in bands if band.common]
    band_names = list(dict.fromkeys(names))
    near = nearest(word, band_names)
    hint = "" if near is None else f"did you mean {near!r}? "
    called = next((b for b in bands if b.name.casefold() == word.casefold()), None)
    if called is not None:
        hint = f"the band of that name is {called.common} by its wavelength; "
    remedy = f"{hint}it has {in_short(band_names)}"
    message = f"{where} has no band {word!r}"
    return NotFound(message, remedy=remedy, hint=hint, guessed=called is None)
