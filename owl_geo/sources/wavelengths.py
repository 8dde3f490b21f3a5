"""What a band is by its centre wavelength, and the wavelengths that texts speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence

# How formats and programs call it among a band's tags or attributes.
WAVELENGTH_TAGS = ("wavelength", "central_wavelength", "center_wavelength", "centre_wavelength")
UNIT_TAGS = ("wavelength_unit", "wavelength_units")

# Common name, the range that its centre lies in, and the centre that is nearest to it, all in nm.
# Of the bands in a range the nearest has the name: one of a few, or one of hundreds.
_RANGES = (
    ("coastal", 400, 450, 443),
    ("blue", 450, 515, 490),
    ("green", 515, 595, 560),
    ("red", 620, 690, 665),
    ("nir", 760, 905, 842),
    ("nir08", 850, 880, 865),
    ("nir09", 930, 960, 945),
    ("cirrus", 1360, 1390, 1375),
    ("swir1", 1540, 1750, 1610),
    ("swir2", 2050, 2400, 2200),
    ("thermal", 8000, 14000, 10900),
)
_RED_EDGES = (
    ("rededge1", 690, 722, 705),
    ("rededge2", 722, 762, 740),
    ("rededge3", 762, 800, 783),
)
_RED_EDGE = (690, 760)  # a lone band in here is the first of the three, wherever it lies
_SHORTEST, _LONGEST = 300.0, 15_000.0  # nm
_PAN_WIDTH, _PAN_END = 150.0, 730.0  # nm: wider than a colour, and centred on visible light

_UNITS = {
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "um": 1000.0,
    "µm": 1000.0,
    "μm": 1000.0,  # the Greek letter; the other is the micro sign
    "micron": 1000.0,
    "micrometer": 1000.0,
    "micrometre": 1000.0,
}
# 665, 0.665, 1,610.5 or 0,665; what hangs on a letter, as in B4,665, is no part of the number
_NUMBER = r"((?<![\w.,])(?:\d{1,2},\d{3}(?:\.\d+)?|\d+,\d+)|\d+(?:\.\d+)?)"
_IN_TEXT = re.compile(
    rf"(?<![\d.]){_NUMBER}(?:\s*(?:-|–|to)\s*{_NUMBER})?\s*({'|'.join(_UNITS)})s?\b", re.IGNORECASE
)
# What is given for a wavelength, and is not light of it.
_NO_BAND = re.compile(r"optical (?:depth|thickness)|\bao[td]\b", re.IGNORECASE)


def by_wavelength(
    centres: Sequence[float | None], widths: Sequence[float | None] | None = None
) -> tuple[str | None, ...]:
    """Return the common name of each band of one image, None for a band that has none.

    ``centres`` and ``widths`` (full width at half maximum) are in nanometres, None where unknown.
    Bands of one centre, such as those of several dates, have the same name.
    """
    names: list[str | None] = [None] * len(centres)
    for i, width in enumerate(widths or ()):
        centre = centres[i]
        if width and centre and _PAN_WIDTH < width < _LONGEST and 500 <= centre <= _PAN_END:
            names[i] = "pan"
    for name, low, high, ideal in _RANGES:
        _give(names, name, centres, (low, high), ideal)
    alone = {c for c in centres if c is not None and _RED_EDGE[0] <= c < _RED_EDGE[1]}
    if len(alone) == 1:
        _give(names, "rededge1", centres, _RED_EDGE, alone.pop())
    for name, low, high, ideal in _RED_EDGES:
        if name not in names:
            _give(names, name, centres, (low, high), ideal)
    return tuple(names)


def _give(
    names: list[str | None],
    name: str,
    centres: Sequence[float | None],
    limits: tuple[float, float],
    ideal: float,
) -> None:
    """Give the name to those bands without one that lie nearest to ``ideal`` within the limits."""
    within = {
        i: centre
        for i, centre in enumerate(centres)
        if centre is not None and names[i] is None and limits[0] <= centre < limits[1]
    }
    nearest = min(within.values(), key=lambda centre: abs(centre - ideal), default=None)
    for i, centre in within.items():
        if centre == nearest:
            names[i] = name


def fits(name: str | None, centre: float | None) -> bool:
    """Return whether a band of this common name may have its centre there, in nanometres."""
    ranges = [(low, high) for one, low, high, _ in (*_RANGES, *_RED_EDGES) if one == name]
    return centre is not None and any(low <= centre < high for low, high in ranges)


def nanometres(value: object, unit: object = None) -> float | None:
    """Return a wavelength in nanometres, None for what is none.

    Without a unit that is known, numbers below 100 are micrometres: no sensor of pixels that are
    read here sees 100 nm, or 100 micrometres. A unit that is no length, such as GHz, means None.
    """
    try:
        number = float(str(value).strip())
    except ValueError:
        return wavelength_in(str(value))
    word = str(unit or "").strip().casefold().removesuffix("s")
    if word in ("", "unknown"):
        factor = 1000.0 if number < 100 else 1.0
    elif word in _UNITS:
        factor = _UNITS[word]
    else:
        return None
    return _possible(number * factor)


def wavelength_in(text: str) -> float | None:
    """Return the wavelength that a description speaks of, in nanometres, None if of none.

    ``B4, central wavelength 665 nm`` -> 665; of a range, ``0.63 - 0.69 µm``, the middle.
    """
    found = _IN_TEXT.search(text)
    if found is None or _NO_BAND.search(text):
        return None
    first, second, unit = found.groups()
    factor = _UNITS[unit.casefold()]
    ends = [_number(end, factor) for end in (first, second) if end is not None]
    return _possible(sum(ends) / len(ends) * factor)


def _number(text: str, factor: float) -> float:
    """Return a number in a unit of ``factor`` nanometres.

    A comma before three digits of nanometres divides thousands, which micrometres never have; any
    other one is a decimal comma.
    """
    whole, _, rest = text.partition(",")
    divides = "." in rest or (factor == 1 and len(rest) == 3)
    return float(whole + rest if divides else text.replace(",", "."))


def _possible(centre: float) -> float | None:
    return centre if _SHORTEST <= centre <= _LONGEST else None
