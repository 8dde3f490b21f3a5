"""Dates of Sentinel-2 of which some have 1000 more in their pixels, merged with others that do not.

From processing baseline 04.00 on, pixels have 1000 more. stackstac keeps the baseline of each date
as a coordinate, whether or not the offset was taken from the pixels, so these have to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from owl_geo.ground.tiling import Chunk
from owl_geo.sources.cube.groups import Group
from owl_geo.sources.cube.opening import UNREADABLE
from owl_geo.sources.stac_values import MANY, OFFSET, WELL_BELOW, WITH_OFFSET, baseline
from owl_geo.types import AnyArray, SceneGrid

_SIDE = 512  # pixels of the part that is looked at, in the middle
_DATES = 4  # that are looked at on each side of the change

# Reads ``(dates, bands, height, width)`` of a group: its pixels in a chunk, on some dates.
Load = Callable[[Group, Chunk, Sequence[int]], AnyArray]


@dataclass(frozen=True)
class MixedDates:
    """How many of the dates that become one image have the offset in their pixels, as it seems."""

    with_offset: int
    dates: int


def mixed_dates(
    dataset: xr.Dataset, groups: Sequence[Group], grid: SceneGrid, load: Load
) -> MixedDates | None:
    """Return what is mixed, None where nothing is or the pixels do not say so.

    The offset is in the pixels of the later baselines if none of those looked at is well below it,
    while many of the earlier ones are.
    """
    chunk = _middle(grid)
    for group in groups:
        if group.rule is None or group.axes.time is None:
            continue
        baselines = _baselines(dataset, group)
        later = [date for date, number in baselines.items() if number >= WITH_OFFSET]
        earlier = [date for date, number in baselines.items() if number < WITH_OFFSET]
        if not later or not earlier:
            continue
        limit = WELL_BELOW * -OFFSET
        after = _pixels(load, group, chunk, later)
        before = _pixels(load, group, chunk, earlier)
        if not after.size or not before.size or after.min() < limit:
            continue
        if float((before < limit).mean()) > MANY:
            return MixedDates(len(later), len(group.dates))
    return None


def _baselines(dataset: xr.Dataset, group: Group) -> Mapping[int, float]:
    """Return the processing baselines of a group's dates, by position on the time axis."""
    told: dict[str, AnyArray] = {}
    for name, coordinate in dataset.coords.items():
        if coordinate.dims in ((), (group.axes.time,)) and coordinate.dtype.kind in "OUSTfiu":
            with suppress(*UNREADABLE):  # what is damaged tells nothing
                told[str(name)] = coordinate.to_numpy()
    found = {date: baseline(_of_date(told, date)) for date in group.dates}
    return {date: number for date, number in found.items() if number is not None}


def _of_date(told: Mapping[str, AnyArray], date: int) -> dict[str, Any]:
    return {name: values[date] if values.ndim else values[()] for name, values in told.items()}


def _middle(grid: SceneGrid) -> Chunk:
    height, width = min(grid.height, _SIDE), min(grid.width, _SIDE)
    return Chunk((grid.height - height) // 2, (grid.width - width) // 2, height, width, 0, 0)


def _pixels(load: Load, group: Group, chunk: Chunk, dates: Sequence[int]) -> AnyArray:
    """Return pixels of some of the dates; 0 is what Sentinel-2 has where there is nothing."""
    chosen = np.unique(np.linspace(0, len(dates) - 1, _DATES).round().astype(int))
    parts = [load(group, chunk, (dates[position],)).ravel() for position in chosen]
    pixels = np.concatenate(parts)
    kept: AnyArray = pixels[np.isfinite(pixels) & (pixels != 0)]
    return kept
