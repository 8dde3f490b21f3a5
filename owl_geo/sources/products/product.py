"""What a product offers beyond a folder of rasters, and how products of one family are read.

A product gives the scale and offset that make reflectance of pixels, the value of missing pixels,
common band names, and a cloud mask.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from owl_geo.sources.bands import Band

SURFACE, TOP_OF_ATMOSPHERE = "surface reflectance", "top-of-atmosphere reflectance"
RADIANCE = "top-of-atmosphere radiance"


@dataclass(frozen=True)
class CloudMask:
    """A raster that says which pixels are bad: those with one of ``values``, or any of ``bits``."""

    path: str
    values: tuple[int, ...] = ()
    bits: int = 0
    bands: tuple[int, ...] = ()  # numbers of those that count; empty = the first

    def is_bad(self, value: float) -> bool:
        """Return whether a pixel with this value is bad; one that is not finite is not."""
        return math.isfinite(value) and (value in self.values or bool(int(value) & self.bits))


@dataclass(frozen=True)
class Product:
    """What a file or folder offers: bands, those taken by default, and a mask if it has one."""

    kind: str
    bands: tuple[Band, ...]
    default: tuple[Band, ...]
    mask: CloudMask | None = None
    unusable: tuple[str, ...] = ()  # files beside the bands that cannot be read, with the reason
    doubtful: tuple[str, ...] = ()  # bands by default that look like a mask or a truth
    side_files: tuple[str, ...] = ()  # paths of those whose bands count only where they are named
    left_out: tuple[str, ...] = ()  # a clause on each thing that a person may miss
    no_offset: tuple[str, ...] = ()  # a clause on an offset that the metadata should have and lack
    taken: datetime.date | None = None  # day of acquisition, where the product's metadata have it
    measure: str = ""  # what its values are


@dataclass(frozen=True)
class Family:
    """How the products of one provider are recognised and read."""

    holds: Callable[[Path], bool]  # whether a folder is such a product
    read: Callable[[Path], Product]
    described_by: Callable[[Path], Path | None]  # the folder that a file has the metadata of
    raw_bands: Callable[[Sequence[Path]], str]  # what bands lack that stand without their product
    depth: int = 0  # of the folders in a product that hold its images


def unmasked(folder: Path, missing: str) -> str:
    """Say that a product is read with its clouds, since the file that shows them is missing."""
    return f"{folder} has no {missing}, so that clouds are not masked; to mask them, give --mask"


def finite(text: str) -> float:
    """Return a number of metadata; raises ValueError for one that is not finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number
