"""Masks of clouds whose bad pixels are known by the names of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from owl_geo.settings.paths import path_at


@dataclass(frozen=True)
class BadPixels:
    """Which pixels of a mask are bad: those with one of ``values``, or any of ``bits``."""

    values: tuple[int, ...] = ()
    bits: int = 0


# Sentinel-2's scene classification: no data, saturated, shadow, cloud, likely cloud, cirrus.
SCL = BadPixels(values=(0, 1, 3, 8, 9, 10))
# Landsat's Collection 2: fill, dilated cloud, cirrus, cloud, shadow.
QA_PIXEL = BadPixels(bits=0b1_1111)
# Landsat's Collection 1: fill, cloud, likely shadow and likely cirrus.
BQA = BadPixels(bits=0b1_0001_0001_0001)
# Harmonized Landsat and Sentinel-2: cloud, next to one, shadow.
FMASK = BadPixels(bits=0b1110)

_NAMES = (
    (re.compile(r"(.*_)?scl(_\d+m)?"), SCL),
    (re.compile(r".*_qa_pixel"), QA_PIXEL),
    (re.compile(r".*_01_(t1|t2|rt)_bqa"), BQA),
    (re.compile(r"hls\..*\.fmask"), FMASK),
)


def bad_pixels_of(path: str) -> BadPixels | None:
    """Return what is bad in a mask, by the name of its file or address; None where unknown."""
    name = PurePosixPath(path_at(path) if "://" in path else path.replace("\\", "/"))
    stem = name.stem.casefold()
    return next((bad for pattern, bad in _NAMES if pattern.fullmatch(stem)), None)


def lack_values(masks: tuple[str | None, ...], mask_bad: tuple[int, ...]) -> bool:
    """Return whether nothing tells what is bad in one of the masks; None stands for no mask."""
    return not mask_bad and any(mask and bad_pixels_of(mask) is None for mask in masks)
