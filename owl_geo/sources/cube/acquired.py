"""The day on which the image was taken that a cube becomes."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from owl_geo.sources.cube.axes import is_time
from owl_geo.sources.cube.description import CubeDescription, date_text
from owl_geo.sources.cube.groups import Group
from owl_geo.sources.scene_dates import date_in_tags, date_of, first_day, scene_date


def cube_date(
    dataset: xr.Dataset,
    offer: CubeDescription,
    groups: Sequence[Group],
    where: str,
    above: Sequence[Mapping[Any, Any]] = (),
    store: str = "",
) -> datetime.date | None:
    """Return the day on which the pixels of the groups were taken; None if unknown, or several.

    Of several dates, only the rules ``first`` and ``last`` take one. Without a time axis it is that
    of a scalar coordinate, of attributes, or of a name, as of a file; ``where`` is the cube's path.
    What a group does not say is said by the attributes of those ``above`` it, the next first, and
    by the name of the ``store`` that it is in.
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
    scalars = (c for c in dataset.coords.values() if c.ndim == 0 and is_time(c))
    stated = [date_of(date_text(coordinate.to_numpy()[()])) for coordinate in scalars]
    tables = (dataset.attrs, *(dataset[group.variable].attrs for group in groups))
    stated += [] if any(stated) else [_date_in(table) for table in tables]
    if not any(stated):
        stated = [next(filter(None, map(_date_in, above)), None)]
    return scene_date(stated, [where], store, offer.grid.name)


def _date_in(attributes: Mapping[Any, Any]) -> datetime.date | None:
    """Return the day of acquisition by attributes, or by the STAC item among them, as EOPF's."""
    item = attributes.get("stac_discovery")
    properties = item.get("properties") if isinstance(item, Mapping) else None
    if not isinstance(properties, Mapping):
        return date_in_tags(attributes)
    stated = date_of(properties.get("datetime"))
    return stated or first_day(properties.get("start_datetime"), properties.get("end_datetime"))
