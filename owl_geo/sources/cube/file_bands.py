"""Which bands of the file that a cube was read from its variables hold.

rioxarray keeps what a file says of each band in attributes that list all of them, ``scales``,
``offsets``, ``long_name`` and formerly ``nodatavals``, and numbers the bands along ``band``. Both
stay as they are where bands are chosen or put in another order, so that only the numbers say which
entry is whose.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xarray as xr

_Entry = TypeVar("_Entry")

_AXIS = "band"  # as rioxarray calls it


@dataclass(frozen=True)
class FileBands:
    """The bands of a variable among those of its file."""

    count: int
    numbers: tuple[int, ...] = ()  # of each, from 1; none where they are unknown

    @classmethod
    def of(cls, dataset: xr.Dataset, variable: xr.Variable, axis: Hashable | None) -> FileBands:
        """Return those along the variable's band axis, or the one of a scalar coordinate."""
        count = 1 if axis is None else variable.sizes[axis]
        coordinate = dataset.coords.get(_AXIS)
        if coordinate is None or coordinate.dims != (() if axis is None else (axis,)):
            return cls(count)
        numbers = np.atleast_1d(coordinate.to_numpy())
        if not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 1:
            return cls(count)
        own = tuple(int(number) for number in numbers)
        return cls(count, own if len(set(own)) == count else ())

    def own(self, listed: Sequence[_Entry]) -> tuple[_Entry, ...] | None:
        """Return the entries of these bands in a list that has one for each band of the file.

        None where nothing says which those are. Without numbers, the list is that of a file with
        just these bands, or has the same entry for all.
        """
        if self.numbers and max(self.numbers) <= len(listed):
            return tuple(listed[number - 1] for number in self.numbers)
        if len(listed) == self.count:
            return tuple(listed)
        return (listed[0],) * self.count if len(set(listed)) == 1 else None
