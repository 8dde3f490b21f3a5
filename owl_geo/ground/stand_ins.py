"""Values that look as if they stood for missing data which a file does not declare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from owl_geo.ground.whole_numbers import EXACT_IN_FLOATS
from owl_geo.types import AnyArray

# What programs and publishers write where there are no data. 0 is as often a value.
_USUAL = frozenset(
    (
        *(-9999.0, -999.0, -99999.0, -999999.0, 9999.0, 99999.0, -200.0),
        *(255.0, 32767.0, -32767.0, -32768.0, 65535.0),
        *(2147483647.0, -2147483647.0, -2147483648.0),
    )
)
# What layers of percent have above 100: clouds, the sea, where nothing could be told.
_BESIDE_PERCENT = frozenset((200.0, 201.0, 211.0, 237.0, 239.0, 250.0, 251.0, 252.0, 253.0, 254.0))
_PERCENT = (0.0, 100.0)
_LOOKED_AT = 100_000  # of the other values
_FEWEST_OTHERS = 3  # different values: 255 beside 0 alone is a mask


@dataclass(frozen=True)
class StandIn:
    """Values that seem to stand for missing data.

    Args:
        values: the values, that which is farthest from the others first.
        share: of the pixels that have one of them.
        others: the least and the largest of the other values.
    """

    values: tuple[float, ...]
    share: float
    others: tuple[float, float]

    def __str__(self) -> str:
        least, most = self.others
        percent = 100 * self.share
        share = "less than 1 %" if percent < 1 else f"{percent:.0f} %"
        named = " or ".join(map(_shown, self.values))
        return f"{share} are {named}, far from all others ({least:.6g} to {most:.6g})"

    def remedy(self, declared: float | None = None) -> str:
        """Return how to declare them, to go on after "declare"; a file has one such value.

        ``declared`` is the one that it has already.
        """
        value, *others = self.values
        if declared is not None and np.isfinite(declared) and declared not in self.values:
            value, others = float(declared), list(self.values)
        declare = f"it, for example with gdal_edit.py -a_nodata {_shown(value)}"
        if not others:
            return declare
        named = " and ".join(map(_shown, others))
        return f"{declare}, once pixels of {named} are set to {_shown(value)}"


def _shown(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < EXACT_IN_FLOATS else f"{value:.9g}"


def stand_in(values: AnyArray) -> StandIn | None:
    """Return the values among valid pixels that seem to stand for missing data, None if none do.

    They are some of those that are usual for it, the least or the largest, and farther from the
    others than these are from each other, or negative where no other is.
    """
    for from_above in (False, True):
        if (found := _at_an_end(values, from_above)) is not None:
            return found
    return None


def _at_an_end(values: AnyArray, from_above: bool) -> StandIn | None:
    others, taken, found = values, [], None
    while others.size:
        value = float(others.max() if from_above else others.min())
        if value not in _USUAL and value not in _BESIDE_PERCENT:
            break
        others = others[others != value]
        taken.append(value)
        if others.size and _are_apart(taken, others):  # several may, each for another reason
            share = 1 - others.size / values.size
            found = StandIn(tuple(taken), share, (float(others.min()), float(others.max())))
    return found


def _are_apart(taken: list[float], others: AnyArray) -> bool:
    least, most = float(others.min()), float(others.max())
    value = taken[-1]
    if not _USUAL.issuperset(taken):
        some = others[:_LOOKED_AT]
        if least < _PERCENT[0] or most > _PERCENT[1] or (some != np.trunc(some)).any():
            return False
    gap = value - most if value > most else least - value
    # snow of 0 to 100 is as far from 200
    is_apart = (
        gap > most - least or value < 0 <= least or (value in _BESIDE_PERCENT and gap >= most)
    )
    return is_apart and len(np.unique(others[:_LOOKED_AT])) >= _FEWEST_OTHERS
