"""Values that look as if they stood for missing data which a file does not declare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from owl_geo.types import AnyArray

# What programs and publishers write where there are no data. 0 is as often a value.
_USUAL = frozenset(
    (
        *(-9999.0, -999.0, -99999.0, -999999.0, 9999.0, 99999.0, -200.0),
        *(255.0, 32767.0, -32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0),
    )
)
_FEWEST_OTHERS = 3  # different values: 255 beside 0 alone is a mask


@dataclass(frozen=True)
class StandIn:
    """A value that seems to stand for missing data.

    Args:
        value: the value.
        share: of the pixels that have it.
        others: the least and the largest of the other values.
    """

    value: float
    share: float
    others: tuple[float, float]

    def __str__(self) -> str:
        least, most = self.others
        percent = 100 * self.share
        share = "less than 1 %" if percent < 1 else f"{percent:.0f} %"
        return f"{share} are {self.value:.9g}, far from all others ({least:.6g} to {most:.6g})"


def stand_in(values: AnyArray) -> StandIn | None:
    """Return the value among valid pixels that seems to stand for missing data, None if none does.

    It is one of those that are usual for it, the least or the largest, and farther from the others
    than these are from each other, or negative where no other is.
    """
    if values.size == 0:
        return None
    for value, rank in ((float(values.min()), 1), (float(values.max()), -1)):
        if value not in _USUAL:
            continue
        others = values[values != value]
        if others.size == 0:
            return None
        least, most = float(others.min()), float(others.max())
        gap = least - value if rank == 1 else value - most
        is_apart = gap > most - least or value < 0 <= least
        if is_apart and len(np.unique(others[:100_000])) >= _FEWEST_OTHERS:
            return StandIn(value, 1 - others.size / values.size, (least, most))
    return None
