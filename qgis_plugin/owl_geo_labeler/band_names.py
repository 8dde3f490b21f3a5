"""Which bands look natural on the screen: red, green and blue, by what the bands are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

Rgb = tuple[int, int, int]  # places in the list of names, from 0

_COLOURS = ("red", "green", "blue")
# Sentinel-2 and Landsat 8 and 9 agree; older Landsats count from blue = 1.
_BY_NUMBER = {2: "blue", 3: "green", 4: "red"}
_BY_NUMBER_TM = {1: "blue", 2: "green", 3: "red"}
_CODE = re.compile(r"(?:^|[^a-z0-9])(?:sr_)?b0*(\d+)(?:_\d+m)?$")


def natural_colours(names: Sequence[str], old_landsat: bool = False) -> Rgb | None:
    """Return where red, green and blue stand among the bands; None for less than three bands.

    Names such as ``red``, ``B4`` or ``T31_B04_10m`` tell. Without them three or four bands of
    a picture are red, green, blue, and longer lists begin with blue, as satellites' bands do.
    """
    if len(names) < 3:
        return None
    found = _named(names, _BY_NUMBER_TM if old_landsat else _BY_NUMBER)
    if len(found) == 3:
        return found["red"], found["green"], found["blue"]
    return (0, 1, 2) if len(names) == 3 else (2, 1, 0)


def _named(names: Sequence[str], by_number: dict[int, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        plain = name.strip().lower()
        words = re.split(r"[^a-z]+", plain)
        colour = next((word for word in _COLOURS if word in words), None)
        code = _CODE.search(plain)
        if colour is None and code is not None:
            colour = by_number.get(int(code[1]))
        if colour is not None:
            found.setdefault(colour, place)
    return found


def band_files(folder: Path) -> list[Path]:
    """Return the rasters of a folder, of a Sentinel-2 product (.SAFE) those of the finest bands."""
    images = sorted(folder.glob("GRANULE/*/IMG_DATA/**/*_B*.jp2"))
    if images:
        finest = min((path.stem[-3:] for path in images), key=_metres)
        return [path for path in images if path.stem[-3:] == finest or "m" not in path.stem[-3:]]
    suffixes = {".tif", ".tiff", ".jp2", ".vrt", ".img"}
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def is_old_landsat(folder: Path) -> bool:
    """Whether a Landsat folder is of the sensors before Landsat 8, which number bands otherwise."""
    for path in folder.glob("*_MTL.txt"):
        text = path.read_text(encoding="utf-8", errors="replace")
        return re.search(r'SENSOR_ID = "(ETM|TM)"', text) is not None
    return False


def _metres(code: str) -> int:
    return int(code[:2]) if code.endswith("m") and code[:2].isdigit() else 10
