"""Bands, and what each is: red or near infrared, by wavelength, description, product or code."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from owl_geo.sources.sensors import BEHIND, SENTINEL_2, by_code, code_in, sensor_of
from owl_geo.sources.wavelengths import by_wavelength, fits, wavelength_in
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
    data_alpha: bool = False  # a band that the file colours as alpha is data, by its description
    common: str | None = None  # blue, green, red, nir, swir1, ..., or EMBEDDING
    quantized: bool = False  # values are ``quantization.dequantized``, whatever scale and offset
    wavelength: float | None = None  # centre, in nanometres
    width: float | None = None  # full width at half maximum, in nanometres
    colour: str | None = None  # in which the file shows it
    shown: str | None = None  # the same, or what its product has, where the file tells no better
    about: str = ""  # what the file's metadata say of satellite and sensor
    description: str = ""  # the file's own, where the name begins with that of the file
    palette: bool = False  # its pixels are numbers of colours, by a table of the file
    bad: bool = False  # its header says that it is not to be used
    edition: str = ""  # of the model whose vectors they are, where the file's metadata have it
    taken: datetime.date | None = None  # day of acquisition, where the file's metadata have it
    is_whole: bool = False  # its file is known not to end too early
    own_name: str = ""  # the name it had, where it has that of another scene by its order alone
    words: str = ""  # the file's own description, whatever the name
    told: str | None = None  # what these words make of it, where settings swap a file's bands


COMMON_NAMES = frozenset({*SENTINEL_2.values(), "pan", "thermal"})
_ALIASES = {
    "aerosol": "coastal",
    "coastalaerosol": "coastal",
    "coastalblue": "coastal",
    "deepblue": "coastal",  # of Pleiades Neo
    "ultrablue": "coastal",
    "nearinfrared": "nir",
    "nearir": "nir",
    "nir1": "nir",  # of WorldView, and of Digital Earth Australia's Sentinel-2
    "nirnarrow": "nir08",
    "panchromatic": "pan",
    "panchro": "pan",
    "rededge": "rededge1",
    "rededge071": "rededge1",
    "rededge075": "rededge2",
    "rededge078": "rededge3",
    "swir16": "swir1",
    "swir22": "swir2",
    "lwir": "thermal",
    "thermalinfrared": "thermal",
    "lwir11": "thermal",
    "xs1": "green",  # of SPOT
    "xs2": "red",
    "xs3": "nir",
}
# What letters mean, alone in the names of bands, where R, G and B stand together.
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir", "i": "nir", "re": "rededge1"}
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
    return plain if plain in COMMON_NAMES else None


# Pixel size and period, as MODIS' products have them before a colour.
_PIXELS_AND_DAYS = re.compile(r"\b\d+\s?k?m\b|\b\d+ days?\b", re.IGNORECASE)


def described(text: str) -> str | None:
    """Return the common name that a description gives: ``Red band``, ``B4 (Red)``, ``B4 - Red``.

    ``250m 16 days red reflectance`` is red. None where it gives none, or several.
    """
    names = set()
    text = _PIXELS_AND_DAYS.sub("", text)
    for part in (text, *re.split(r"[(),:/]|\s-\s", text)):
        part = BEHIND.sub("", part.strip().casefold())
        words = re.split(r"[\s_-]+", part.strip().casefold())
        plain = [word for word in words if word not in _FILLERS and code_in(word) is None]
        # the number behind "band" counts: "Band 4 red"
        if len(words) > 1 and words[0] in ("band", "channel") and plain[:1] == words[1:2]:
            plain = plain[1:] if plain[0].isdecimal() else plain
        names.add(common_name(part) or common_name(" ".join(plain)))
    names.discard(None)
    return names.pop() if len(names) == 1 else None


# Words before a common name by which it says something else: std_red is no red.
_OF_SOMETHING_ELSE = re.compile(
    r"std|sd|stdev|stddev|var|variance|count|n|num|diff|delta|change|error|unc\w*|mask|cloud\w*|"
    r"dist\w*|slope|trend|phase|amplitude|weight|flags?"
)


def _end(word: str) -> str | None:
    return word if word == "swir3" else common_name(word)  # see _by_order_of_swir


def _by_last_words(names: Sequence[str]) -> list[str | None]:
    """Return what bands are whose names end in it: red of ``site_red``, beside ``site_nir``.

    One such name alone says nothing; several that differ in nothing else do.
    """
    split = [re.split(r"[\s_.-]+", BEHIND.sub("", name.strip().casefold())) for name in names]
    ends: list[tuple[tuple[str, ...], str | None]] = []
    for words in split:
        tails = range(max(len(words) - 3, 1), len(words))
        found = ((tuple(words[:i]), _end("".join(words[i:]))) for i in tails)
        ends.append(next(((head, common) for head, common in found if common), ((), None)))
    return [
        common
        if len({other for start, other in ends if start == head}) > 1
        and not any(_OF_SOMETHING_ELSE.fullmatch(word) for word in head)
        else None
        for head, common in ends
    ]


def _by_order_of_swir(names: Sequence[str], words: Sequence[str | None]) -> list[str | None]:
    """Return what bands are by their words, but for SWIR bands that are counted otherwise.

    Where there is a third, 1 and 2 are not those of Landsat: those of Digital Earth Australia's
    Sentinel-2 are 2 and 3, those of WorldView-3 and ASTER go on to 8 and 6.
    """
    counted = [re.search(r"swir[\s_-]?(\d)$", name.strip().casefold()) for name in names]
    numbers = {int(found[1]) for found in counted if found}
    if max(numbers, default=0) < 3:
        return list(words)
    known = {2: "swir1", 3: "swir2"} if numbers == {2, 3} else {}
    return [
        known.get(int(found[1])) if found and (word or found.start() == 0) else word
        for found, word in zip(counted, words, strict=True)
    ]


def _by_letter(names: Sequence[str]) -> list[str | None]:
    """Return what bands are that are called by letters."""
    letters = [name.strip().casefold() for name in names]
    together = {"r", "g", "b"} <= set(letters)
    return [_LETTERS.get(letter) if together else None for letter in letters]


def with_common_names(bands: Sequence[Band], *texts: str) -> tuple[Band, ...]:
    """Say of each band what it is, the bands of one image together.

    By its wavelength, else its description, else what its product says, else a code of a sensor
    that is known; and if nothing of this says anything else of any band of its file, by what its
    file's product or colours make of it. A wide band's wavelength is only its middle: one described
    as panchromatic is that.

    ``texts`` are what may name the sensor, such as the name of the scene.
    """
    names = [band.name for band in bands]
    described_as = [band.description or band.name for band in bands]
    letters = _by_letter(described_as)
    words = [described(text) or letter for text, letter in zip(described_as, letters, strict=True)]
    words = _by_order_of_swir(described_as, words)
    waves = by_wavelength(
        [None if word == "pan" else _centre(band) for band, word in zip(bands, words, strict=True)],
        [band.width for band in bands],
    )
    sensor = None
    if not any(band.common for band in bands):
        sensor = sensor_of_bands(bands, *texts)
    codes = by_code(names, sensor)
    commons = [
        _common(band, wave, word, code)
        for band, wave, word, code in zip(bands, waves, words, codes, strict=True)
    ]
    if not any(commons):
        commons = _by_order_of_swir(names, _by_last_words(names))
    spoken = {
        band.path
        for band, common in zip(bands, commons, strict=True)
        if common not in (None, band.shown)
    }
    return tuple(
        replace(band, common=common or (None if band.path in spoken else band.shown))
        for band, common in zip(bands, commons, strict=True)
    )


def sensor_of_bands(bands: Sequence[Band], *texts: str) -> str | None:
    """Return the sensor of an image by its bands' names, its files' metadata and their names."""
    about = dict.fromkeys(text for band in bands for text in (band.about, Path(band.path).stem))
    return sensor_of([band.name for band in bands], *about, *texts)


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
