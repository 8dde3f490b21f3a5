"""Which bands make a picture: natural and false colours, judged by the bands' names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import reading

Rgb = tuple[int, int, int]  # places in the list of names, from 0

_NATURAL = ("red", "green", "blue")
_FALSE = ("nir", "red", "green")
_WORDS = {"red": "red", "green": "green", "blue": "blue", "nir": "nir", "infrared": "nir"}
# Sentinel-2 and Landsat 8 and 9 agree in these; older Landsats count from blue = 1.
_BY_NUMBER = {"2": "blue", "3": "green", "4": "red"}
_BY_NUMBER_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir"}
_CODE = re.compile(r"(?:^|[^a-z0-9])(?:sr_)?b0*(\d+a?)(?:_\d+m)?$")


def natural_colours(names: Sequence[str], old_landsat: bool = False) -> Rgb | None:
    """Return where red, green and blue stand among the bands; None for fewer than three bands.

    Names such as ``red``, ``B4`` or ``T31_B04_10m`` decide. Without such names, three bands are
    red, green, blue, and longer lists begin with blue, as satellites' bands do.
    """
    if len(names) < 3:
        return None
    found = _named(names, old_landsat)
    if all(colour in found for colour in _NATURAL):
        return found["red"], found["green"], found["blue"]
    return (0, 1, 2) if len(names) == 3 else (2, 1, 0)


def false_colours(names: Sequence[str], old_landsat: bool = False) -> Rgb | None:
    """Return where near infrared, red and green stand; None if the names do not show all three."""
    found = _named(names, old_landsat)
    if not all(colour in found for colour in _FALSE):
        return None
    return found["nir"], found["red"], found["green"]


def _named(names: Sequence[str], old_landsat: bool) -> dict[str, int]:
    plain = [name.strip().lower() for name in names]
    codes = [code[1] if (code := _CODE.search(name)) else "" for name in plain]
    by_number = _BY_NUMBER_TM if old_landsat else {**_BY_NUMBER, **_near_infrared(plain, codes)}
    found: dict[str, int] = {}
    for place, (name, code) in enumerate(zip(plain, codes)):
        words = re.split(r"[^a-z]+", name)
        # "short wave infrared" and "red edge" are other bands
        is_other = bool({"short", "shortwave", "swir", "thermal", "edge"} & set(words))
        colours = [] if is_other else [_WORDS[word] for word in words if word in _WORDS]
        colour = "nir" if "nir" in colours else colours[0] if colours else by_number.get(code)
        if colour is not None:
            found.setdefault(colour, place)
    return found


def _near_infrared(names: Sequence[str], codes: Sequence[str]) -> dict[str, str]:
    """Return which code is near infrared: Sentinel-2's B8, else B8A, or Landsat's B5.

    Landsat's B8 is panchromatic and rarely comes without B5. Only Sentinel-2 pads its numbers and
    has B8A and B12.
    """
    is_sentinel = (
        bool({"8a", "12"} & set(codes))
        or any(re.search(r"b0\d", name) for name in names)
        or ("8" in codes and "5" not in codes)
    )
    if not is_sentinel:
        return {"5": "nir"}
    return {"8": "nir"} if "8" in codes else {"8a": "nir"}


def band_files(folder: Path) -> list[Path]:
    """Return the rasters of a folder; for a Sentinel-2 product (.SAFE), only the finest bands.

    Raises Problem if the folder cannot be read.
    """
    with reading(folder):
        images = sorted(folder.glob("GRANULE/*/IMG_DATA/**/*_B*.jp2"))
        others = [] if images else sorted(folder.iterdir())
    if images:
        finest = min((path.stem[-3:] for path in images), key=_metres)
        return [path for path in images if path.stem[-3:] == finest or "m" not in path.stem[-3:]]
    suffixes = {".tif", ".tiff", ".jp2", ".vrt", ".img"}
    return [path for path in others if path.suffix.lower() in suffixes]


def is_old_landsat(folder: Path) -> bool:
    """Whether a folder is from a Landsat before 8, whose sensor numbers bands differently.

    Raises Problem if the folder cannot be read.
    """
    with reading(folder):
        path = next(iter(folder.glob("*_MTL.txt")), None)
        text = path.read_text(encoding="utf-8", errors="replace") if path is not None else ""
    return re.search(r'SENSOR_ID = "(ETM|TM)"', text) is not None


def _metres(code: str) -> int:
    return int(code[:2]) if code.endswith("m") and code[:2].isdigit() else 10
