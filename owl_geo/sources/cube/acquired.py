"""The day on which the image was taken that a cube becomes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import xarray as xr

from owl_geo.sources.cube.description import CubeDescription, date_text
from owl_geo.sources.cube.groups import Group
from owl_geo.sources.scene_dates import date_in_tags, date_of, scene_date


def cube_date(
    dataset: xr.Dataset, offer: CubeDescription, groups: Sequence[Group], where: str
) -> datetime.date | None:
    """Return the day on which the pixels of the groups were taken; None if unknown, or several.

    Of several dates, only the rules ``first`` and ``last`` take one. Without a time axis it is that
    of a scalar coordinate, of attributes, or of a name, as of a file; ``where`` is the cube's path.
    """
    days = set()
    for group in groups:
        if group.axes.time is None:
            continue
        dates = offer.dates[group.axes.time]
        if len(group.dates) > 1 and group.rule not in ("first", "last"):
            return None
        name = dict(zip(dates.positions, dates.names, strict=True))[group.dates[0]]
        if len(dates.positions) > 1 or date_of(name) is not None:
            days.add(date_of(name))
    if days:
        return days.pop() if len(days) == 1 else None
    scalars = (c for c in dataset.coords.values() if c.ndim == 0 and _is_time(c))
    stated = [date_of(date_text(coordinate.to_numpy()[()])) for coordinate in scalars]
    tables = (dataset.attrs, *(dataset[group.variable].attrs for group in groups))
    stated += [] if any(stated) else [date_in_tags(table) for table in tables]
    return scene_date(stated, [where], "", offer.grid.name)


def _is_time(coordinate: xr.DataArray) -> bool:
    return coordinate.name == "time" or coordinate.attrs.get("standard_name") == "time"
