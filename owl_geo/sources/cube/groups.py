"""Which bands and dates of a cube are read together, and what each band is called."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from owl_geo.errors import SourceError
from owl_geo.settings.sources import CubeSettings
from owl_geo.sources.band_choice import KnownBand, like_known, select, with_stated
from owl_geo.sources.bands import Band
from owl_geo.sources.cube.axes import Axes
from owl_geo.sources.cube.description import BandPosition, CubeDescription
from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.sources.cube.missing import Missing, is_netcdf
from owl_geo.sources.cube.per_band import PerBand
from owl_geo.sources.embeddings import check_whole

# Dates that are read at once by rules that need not see all of them together.
_SLAB = 8


@dataclass(frozen=True)
class Group:
    """Bands that are stored together, and so read together, from one variable."""

    variable: Hashable
    axes: Axes
    dtype: np.dtype[np.generic]
    span: slice | None  # of the variable's band axis
    picks: tuple[int, ...]  # positions of the bands within the span
    rule: str | None  # None: every date is kept, or there is but one
    dates: tuple[int, ...]  # positions on the time axis in the order the rule wants, () without one
    slab: int  # dates that are read at once
    numbers: tuple[int, ...]  # of the bands among the chosen ones, date by date
    missing: Missing | None  # values that stand for none
    scales: Hashable | None = None  # the variable that these bands are multiplied by
    quantized: bool = False  # they are AlphaEarth's integers
    per_band: PerBand | None = None  # scales and offsets that differ from band to band

    @property
    def per_pixel(self) -> int:
        """Bytes that reading one pixel of these bands takes, on top of the result."""
        width = 1 if self.span is None else self.span.stop - self.span.start
        read = max(self.slab, 1) * width * self.dtype.itemsize
        read *= 1 if self.missing is None else 2  # once more while values are marked
        return read + (0 if self.rule in (None, "median") else 12 * len(self.picks))

    @property
    def may_be_invalid(self) -> bool:
        """Whether a pixel can be without a value; integers cannot."""
        return bool(np.issubdtype(self.dtype, np.inexact))


def chosen_bands(
    offer: CubeDescription,
    settings: CubeSettings,
    dataset: xr.Dataset,
    known: Sequence[KnownBand] = (),
) -> tuple[tuple[Band, ...], tuple[Group, ...]]:
    """Return the bands as they are called from now on, and the groups that they are read in.

    Bands that are ``known``, since a run was made with them, are those, in their order.
    """
    where = f"cube {offer.grid.name!r}"
    offer = replace(
        offer, bands=with_stated(offer.bands, settings.common, where, anywhere=not known)
    )
    bands = _wanted(offer, settings, known, where)
    stores = [_Store.of(dataset, offer, band) for band in bands]
    if settings.time in ("first", "last"):
        _check_order(stores, settings.time, where)
    bands = tuple(
        replace(band, blocks=store.blocks) for band, store in zip(bands, stores, strict=True)
    )
    named, numbers = _numbered(bands, stores, settings.time)
    groups: dict[tuple[Hashable, int], list[int]] = {}
    for i, store in enumerate(stores):
        groups.setdefault((store.position.variable, store.band_chunk), []).append(i)
    return named, tuple(
        _group([stores[i] for i in members], members, settings.time, numbers)
        for members in groups.values()
    )


def _wanted(
    offer: CubeDescription, settings: CubeSettings, known: Sequence[KnownBand], where: str
) -> tuple[Band, ...]:
    """Return the bands on offer that the settings name or that are known, else the default ones."""
    if not settings.bands and not known:
        return offer.default
    try:
        if not known:
            bands = select(offer.bands, settings.bands, where)
            check_whole(bands, offer.bands, where)
            return bands
        if settings.time == "stack":
            return like_known(offer.bands, _undated(known), (), where)
        return like_known(offer.bands, known, settings.bands, where)
    except SourceError as error:
        refused = [word for word in settings.bands if word in offer.unusable]
        if not refused:
            raise
        remedy = f"{refused[0]} {offer.unusable[refused[0]]}"
        raise SourceError(str(error), remedy=remedy) from error


def _check_order(stores: Sequence[_Store], time: str, where: str) -> None:
    """Raise SourceError for dates of which nobody can tell the first or the last."""
    for name in (name for store in stores for name in store.date_names):
        if not _has_an_order(name):
            raise SourceError(
                f"{where}: one of its dates is {name!r}, so that nobody knows which is {time}",
                remedy="leave that date out, or write dates like 2021-05-01",
            )


def _numbered(
    bands: Sequence[Band], stores: Sequence[_Store], time: str
) -> tuple[tuple[Band, ...], dict[tuple[int, int], int]]:
    """Return the bands of the result, and the number there of each (chosen band, date).

    Where dates are stacked, they follow one another, each with all its bands; the bands that have
    no dates come last.
    """
    named: list[Band] = []
    numbers: dict[tuple[int, int], int] = {}
    stacked = [i for i, store in enumerate(stores) if store.dates and time == "stack"]
    for axis in dict.fromkeys(stores[i].axes.time for i in stacked):
        mine = [i for i in stacked if stores[i].axes.time == axis]
        for k, date in enumerate(stores[mine[0]].date_names):
            for i in mine:
                numbers[i, k] = len(named)
                named.append(replace(bands[i], name=f"{bands[i].name}@{date}", common=None))
    for i, band in enumerate(bands):
        if i not in stacked:
            numbers[i, 0] = len(named)
            named.append(band)
    return tuple(named), numbers


def _has_an_order(date: str) -> bool:
    """Return whether a date is sorted as time goes: a number, or text that begins with the year."""
    try:
        return bool(np.isfinite(float(date)))
    except ValueError:
        return re.match(r"\d{4}(?!\d)|\d{6}(\d\d)?(?!\d)", date) is not None


def _undated(known: Sequence[KnownBand]) -> list[KnownBand]:
    """Return the bands that those of every date come from: ``B4@2021-05-01`` from ``B4``."""
    names = dict.fromkeys(band.name.rpartition("@")[0] or band.name for band in known)
    return [KnownBand(name) for name in names]


@dataclass(frozen=True)
class _Store:
    """How one chosen band is stored."""

    position: BandPosition
    axes: Axes
    dtype: np.dtype[np.generic]
    blocks: tuple[int, int]
    band_chunk: int  # number of the chunk along the band axis
    date_chunk: int  # dates in one chunk
    date: int | None  # the only one there is
    dates: tuple[int, ...]  # positions in the order of time, where there are several
    date_names: tuple[str, ...]
    missing: Missing | None
    scales: Hashable | None
    quantized: bool
    per_band: PerBand | None

    @classmethod
    def of(cls, dataset: xr.Dataset, offer: CubeDescription, band: Band) -> _Store:
        position = offer.positions[band.number - 1]
        axes = offer.axes[position.variable]
        variable = dataset.variables[position.variable]
        chunks = _chunks(variable)
        dates = None if axes.time is None else offer.dates[axes.time]
        several = dates is not None and len(dates.positions) > 1
        dtype = np.dtype(np.uint8) if variable.dtype == np.bool_ else variable.dtype
        bands = FileBands.of(dataset, variable, axes.band)
        where = f"cube {offer.grid.name!r}: {position.variable}"
        scales = offer.scales.get(position.variable)
        is_decoded = scales is not None or band.quantized
        # of vectors, scales or the integers themselves say where there are none
        missing = (
            None if is_decoded else Missing.of(variable, bands, netcdf=is_netcdf(dataset, variable))
        )
        per_band = None if is_decoded else PerBand.of(dataset, variable, bands, where)
        dtype = np.dtype(np.float32) if is_decoded or per_band is not None else dtype
        return cls(
            position=position,
            axes=axes,
            dtype=dtype if missing is None else missing.dtype(dtype),
            blocks=(chunks.get(axes.y, 1), chunks.get(axes.x, variable.sizes[axes.x])),
            band_chunk=(position.along or 0) // chunks.get(axes.band, 1),
            date_chunk=chunks.get(axes.time, 1),
            date=0 if dates is not None and not several else None,
            dates=dates.positions if dates is not None and several else (),
            date_names=dates.names if dates is not None and several else (),
            missing=missing,
            scales=scales,
            quantized=band.quantized,
            per_band=per_band,
        )


def _chunks(variable: xr.Variable) -> dict[Hashable | None, int]:
    """Return the sizes of the chunks that are decoded at once, for the axes that have some."""
    if variable.chunks is not None:
        sizes = [(dim, max(c)) for dim, c in zip(variable.dims, variable.chunks, strict=True)]
    else:
        stored = variable.encoding.get("preferred_chunks") or {}
        sizes = [(dim, stored[dim]) for dim in variable.dims if isinstance(stored.get(dim), int)]
    return {dim: max(min(size, variable.sizes[dim]), 1) for dim, size in sizes}


def _group(
    stores: Sequence[_Store], members: Sequence[int], time: str, numbers: dict[tuple[int, int], int]
) -> Group:
    first = stores[0]
    positions = [store.position.along for store in stores if store.position.along is not None]
    span = slice(min(positions), max(positions) + 1) if positions else None
    dates = (first.date,) if first.date is not None else first.dates
    rule = time if first.dates and time != "stack" else None
    if rule is None or rule == "median":
        slab = len(dates)
    else:
        slab = min(first.date_chunk * -(-_SLAB // first.date_chunk), len(dates))
    kept = len(dates) if first.dates and rule is None else 1
    return Group(
        variable=first.position.variable,
        axes=first.axes,
        dtype=first.dtype,
        span=span,
        picks=tuple(p - min(positions) for p in positions) if positions else (0,),
        rule=rule,
        dates=dates[::-1] if rule == "last" else dates,
        slab=max(slab, 1),
        numbers=tuple(numbers[i, k] for k in range(kept) for i in members),
        missing=None if first.missing is None else first.missing.of_bands(positions),
        scales=first.scales,
        quantized=first.quantized,
        per_band=None if first.per_band is None else first.per_band.of_bands(positions or [0]),
    )
