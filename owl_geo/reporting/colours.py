"""Bands as colours: which to show as red, green and blue, and how to stretch them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.sources.bands import common_names
from owl_geo.types import AnyArray, BandStatistics, FloatArray, SceneGrid

RgbArray = NDArray[np.uint8]

_PERCENTILES = (2.0, 98.0)
_TAIL = 2.054  # standard deviations beyond which 2 % of a normal distribution lie

_FALSE = (("nir", "red", "green"), ("nir08", "red", "green"), ("swir1", "nir", "red"))


@dataclass(frozen=True)
class Composite:
    """Three bands shown as red, green and blue; the same band three times gives grey."""

    title: str  # "True colour"
    bands: tuple[int, int, int]  # their positions among the run's bands
    names: tuple[str, ...]  # of the bands, without repeats

    def __str__(self) -> str:
        return f"{self.title} ({', '.join(self.names)})"


def composites(bands: Sequence[str], commons: Sequence[str | None] = ()) -> tuple[Composite, ...]:
    """Return how patches are shown: in true colour, and in false colour where the bands allow it.

    ``commons`` says what each band is, where more is known of any than its name.

    True colour is red, green, blue; where one of them is missing or unnamed, it is the first three
    bands, or the first alone if there are fewer. False colour is near infrared, red, green, which
    makes vegetation red; without these names it is the last three bands, if there are more than
    three. If there are several dates, the first is shown.
    """
    by_name: dict[str, int] = {}
    if not any(commons):
        commons = common_names([name.partition("@")[0] for name in bands])
    for number, name in enumerate(commons):
        if name is not None:
            by_name.setdefault(name, number)
    true = _of(bands, ("red", "green", "blue"), by_name, "True colour")
    false_ones = (_of(bands, names, by_name, "False colour") for names in _FALSE)
    false = next((one for one in false_ones if one is not None), None)
    n = len(bands)
    if true is None:
        true = _shown(bands, (0, 1, 2) if n > 2 else (0, 0, 0), "First bands" if n > 2 else "Grey")
    if false is None and n > 3:
        false = _shown(bands, (n - 1, n - 2, n - 3), "Last bands")
    return (true,) if false is None else (true, false)


def _of(
    bands: Sequence[str], names: Sequence[str], by_name: dict[str, int], title: str
) -> Composite | None:
    if not all(name in by_name for name in names):
        return None
    red, green, blue = (by_name[name] for name in names)
    return _shown(bands, (red, green, blue), title)


def _shown(bands: Sequence[str], numbers: tuple[int, int, int], title: str) -> Composite:
    names = tuple(dict.fromkeys(bands[number] for number in numbers))
    return Composite(title, numbers, names)


@dataclass(frozen=True)
class Stretch:
    """The values shown as black and as full brightness for each band, each ``(bands,)``."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of_pixels(cls, values: FloatArray) -> Stretch:
        """Return the 2nd to 98th percentiles of ``values`` ``(bands, ...)``, ignoring nan."""
        flat = values.reshape(len(values), -1)
        flat = flat[:, np.isfinite(flat).all(axis=0)]
        if flat.shape[1] == 0:
            return cls(np.zeros(len(values)), np.ones(len(values)))
        low, high = np.percentile(flat.astype(np.float64), _PERCENTILES, axis=1)
        return cls(low, high)

    @classmethod
    def of_statistics(cls, statistics: BandStatistics) -> Stretch:
        """Return the same range for pixels distributed normally about the median, reading none."""
        return cls.of_spread(statistics.median, statistics.scale)

    @classmethod
    def of_spread(cls, median: AnyArray, scale: AnyArray) -> Stretch:
        """Return the same range for a median and a standard deviation, each ``(bands,)``."""
        median, scale = median.astype(np.float64), scale.astype(np.float64)
        return cls(median - _TAIL * scale, median + _TAIL * scale)

    def widened(self, other: Stretch) -> Stretch:
        """Return the range that covers both."""
        return Stretch(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def to_rgb(self, values: FloatArray, bands: Sequence[int]) -> RgbArray:
        """Return three bands of ``values`` ``(bands, h, w)`` as colours, uint8 ``(h, w, 3)``.

        Values that are not finite become 0.
        """
        chosen = np.moveaxis(values[list(bands)], 0, -1).astype(np.float64)
        low, high = self.low[list(bands)], self.high[list(bands)]
        span = np.where(high > low, high - low, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            shares = ((chosen - low) / span).clip(0, 1)
        return np.asarray(np.rint(np.nan_to_num(shares) * 255), dtype=np.uint8)


def as_seen(image: AnyArray, grid: SceneGrid) -> AnyArray:
    """Mirror an image ``(height, width, ...)`` of a scene so that north is up and east right.

    A rotated scene stays rotated.
    """
    down, right = reads_down(grid)
    return image[:: 1 if down else -1, :: 1 if right else -1]


def reads_down(grid: SceneGrid) -> tuple[bool, bool]:
    """Whether rows of the scene run south and columns east, as in most scenes."""
    a, _, _, _, e, _ = grid.transform
    return e <= 0, a >= 0


def png(image: RgbArray) -> bytes:
    """Return an image as a PNG file, with its pixels unchanged."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "png", optimize=True)
    return file.getvalue()
