"""Bands as colours: which to show as red, green and blue, and how dark and bright."""

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
    """Three bands that are shown as red, green and blue; one band thrice is grey."""

    title: str  # "True colour"
    bands: tuple[int, int, int]  # their places among the run's bands
    names: tuple[str, ...]  # of the bands, each once

    def __str__(self) -> str:
        return f"{self.title} ({', '.join(self.names)})"


def composites(bands: Sequence[str], commons: Sequence[str | None] = ()) -> tuple[Composite, ...]:
    """Return how patches are shown: in true colour, and in false colour where bands allow.

    ``commons`` says what each band is, where more is known of any than its name.

    True colour is red, green, blue; where one of them is missing or unnamed, the first three bands
    as they stand, or the first alone. False colour is near infrared, red, green, so that vegetation
    is red; without these names it is the last three bands, if there are more than three. Of several
    dates the first is shown.
    """
    known: dict[str, int] = {}
    if not any(commons):
        commons = common_names([name.partition("@")[0] for name in bands])
    for place, name in enumerate(commons):
        if name is not None:
            known.setdefault(name, place)
    found = [_of(bands, ("red", "green", "blue"), known, "True colour")]
    found += [_of(bands, names, known, "False colour") for names in _FALSE]
    true, false = found[0], next((one for one in found[1:] if one is not None), None)
    n = len(bands)
    if true is None:
        true = _shown(bands, (0, 1, 2) if n > 2 else (0, 0, 0), "First bands" if n > 2 else "Grey")
    if false is None and n > 3:
        false = _shown(bands, (n - 1, n - 2, n - 3), "Last bands")
    return (true,) if false is None else (true, false)


def _of(
    bands: Sequence[str], names: Sequence[str], known: dict[str, int], title: str
) -> Composite | None:
    if not all(name in known for name in names):
        return None
    red, green, blue = (known[name] for name in names)
    return _shown(bands, (red, green, blue), title)


def _shown(bands: Sequence[str], places: tuple[int, int, int], title: str) -> Composite:
    names = tuple(dict.fromkeys(bands[place] for place in places))
    return Composite(title, places, names)


@dataclass(frozen=True)
class Stretch:
    """The values that are shown as black and as full brightness, per band, each ``(bands,)``."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of_pixels(cls, values: FloatArray) -> Stretch:
        """From the 2nd to the 98th percentile of ``values`` ``(bands, ...)``; nan is left out."""
        flat = values.reshape(len(values), -1)
        flat = flat[:, np.isfinite(flat).all(axis=0)]
        if flat.shape[1] == 0:
            return cls(np.zeros(len(values)), np.ones(len(values)))
        low, high = np.percentile(flat.astype(np.float64), _PERCENTILES, axis=1)
        return cls(low, high)

    @classmethod
    def of_statistics(cls, statistics: BandStatistics) -> Stretch:
        """The same range, if the pool's pixels are normal about the median; nothing is read."""
        median, scale = (
            values.astype(np.float64) for values in (statistics.median, statistics.scale)
        )
        return cls(median - _TAIL * scale, median + _TAIL * scale)

    def widened(self, other: Stretch) -> Stretch:
        """Return the range that holds both."""
        return Stretch(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def to_rgb(self, values: FloatArray, bands: Sequence[int]) -> RgbArray:
        """Show three bands of ``values`` ``(bands, height, width)``: uint8 ``(height, width, 3)``.

        What is not finite becomes 0.
        """
        chosen = np.moveaxis(values[list(bands)], 0, -1).astype(np.float64)
        low, high = self.low[list(bands)], self.high[list(bands)]
        span = np.where(high > low, high - low, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            shares = ((chosen - low) / span).clip(0, 1)
        return np.asarray(np.rint(np.nan_to_num(shares) * 255), dtype=np.uint8)


def as_seen(image: AnyArray, grid: SceneGrid) -> AnyArray:
    """Turn an image ``(height, width, ...)`` of a scene so that north is up and east right.

    As far as mirroring does: a scene that lies askew stays askew.
    """
    down, right = reads_down(grid)
    return image[:: 1 if down else -1, :: 1 if right else -1]


def reads_down(grid: SceneGrid) -> tuple[bool, bool]:
    """Whether rows of the scene go south and columns east, as on most."""
    a, _, _, _, e, _ = grid.transform
    return e <= 0, a >= 0


def png(image: RgbArray) -> bytes:
    """Return an image as PNG, pixel by pixel as it is."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "png", optimize=True)
    return file.getvalue()
