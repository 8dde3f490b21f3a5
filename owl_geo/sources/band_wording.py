"""Bands in words: in what commands print, in messages and in the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from owl_geo.sources.bands import Band
from owl_geo.types import EMBEDDING

if TYPE_CHECKING:
    from owl_geo.sources.band_choice import KnownBand

_WHOLE, _SHOWN = 13, 8  # bands in a message: all of as many, else the first few
_LONG = 20  # characters that names share
_NUMBERS = re.compile(r"(\d+(?:\.\d+)?)")


def in_short(names: Sequence[str]) -> str:
    """Return names for people to read, a row of rising numbers by its ends: ``A00 ... A63``."""
    parts: list[str] = []
    start = 0
    while start < len(names):
        stop = start + 1
        while stop < len(names) and _follows(names[stop - 1], names[stop]):
            stop += 1
        is_long = stop - start > _WHOLE
        parts += [f"{names[start]} ... {names[stop - 1]}"] if is_long else names[start:stop]
        start = stop
    return ", ".join(parts)


def _follows(name: str, following: str) -> bool:
    """Return whether names differ in their numbers alone, which rise: ``B1, B2``, ``400 nm``."""
    one, other = _NUMBERS.split(name), _NUMBERS.split(following)
    if one[::2] != other[::2]:
        return False
    steps = [float(b) - float(a) for a, b in zip(one[1::2], other[1::2], strict=True)]
    return any(steps) and min(steps) >= 0


def explained(bands: Sequence[KnownBand]) -> str:
    """Return bands for people to read, each with what it is, where its name does not say so.

    A long row of numbered ones has its ends alone, and behind it the bands that are the only red,
    the only near infrared and so on.
    """
    start = shared_start([band.name for band in bands])
    if start:
        ends = [replace(band, name=band.name.removeprefix(start)) for band in bands]
        return f"{explained(ends)}; their names begin with {start}"
    names = [band.name for band in bands]
    short = in_short(names)
    if short == ", ".join(names):
        return ", ".join(map(_explained, bands))
    times = Counter(band.common for band in bands)
    known = [_explained(band) for band in bands if band.common and times[band.common] == 1]
    return f"{short}; among them {', '.join(known)}" if known else short


def shared_start(names: Sequence[str]) -> str:
    """Return what all names begin with, a file's name for example, where that is long, else ""."""
    first, last = min(names), max(names)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    start = re.sub("[^_-]*$", "", "".join(letter for letter, _ in alike))
    if any(name.removeprefix(start)[:1].isdigit() for name in names):  # a number alone is no name
        start = re.sub("[^_-]*[_-]$", "", start)
    return start if len(names) > 1 and len(start) > _LONG else ""


def _explained(band: KnownBand) -> str:
    is_plain = band.common in (None, EMBEDDING) or band.name.casefold().endswith(str(band.common))
    return band.name if is_plain else f"{band.name} ({band.common})"


def abbreviated(bands: Sequence[KnownBand]) -> str:
    """Return the bands for a message that names those of several scenes: ``B02 (blue), B03``."""
    shown = bands if len(bands) <= _WHOLE else bands[:_SHOWN]
    text = ", ".join(map(_explained, shown))
    more = len(bands) - len(shown)
    return f"{text} and {more:,} more" if more else text


def listed(bands: Sequence[Band]) -> str:
    """Return the bands for a message: ``1 B02 (blue), 2 B03 (green)``."""
    return ", ".join(
        f"{number} {band.name}"
        + (f" ({band.common})" if band.common and band.common != band.name else "")
        for number, band in enumerate(bands, start=1)
    )


def ranges(numbers: Sequence[int]) -> str:
    """Return rising positions as ``select`` takes them: ``1-130,136-224``."""
    rows: list[list[int]] = []
    for number in numbers:
        if rows and rows[-1][-1] == number - 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return ",".join(f"{row[0]}-{row[-1]}" if len(row) > 1 else str(row[0]) for row in rows)
