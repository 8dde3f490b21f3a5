"""What a cube offers before any band is chosen: its grid, its bands and its dates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from owl_geo.errors import SourceError
from owl_geo.sources.bands import Band, common_name, distinct, with_common_names
from owl_geo.sources.cube.axes import Axes, axes_of, coordinates_along, is_counting, is_swath
from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.sources.cube.missing import holds_flags
from owl_geo.sources.cube.opening import groups_of
from owl_geo.sources.cube.placement import grid_of
from owl_geo.sources.cube.scales import scales_of, stored_type
from owl_geo.sources.embeddings import with_embedding
from owl_geo.sources.sensors import SENSOR_TAG
from owl_geo.sources.side_files import is_side_file
from owl_geo.sources.wavelengths import UNIT_TAGS, WAVELENGTH_TAGS, nanometres, wavelength_in
from owl_geo.types import EMBEDDING, AnyArray, SceneGrid

_SHOWN = 4  # groups in a message
# Along a spectrum, 0 for bands that are not to be used: EMIT's name, and that of ENVI's list.
_GOOD = ("good_wavelengths", "bbl")
_WAVELENGTHS = {
    *WAVELENGTH_TAGS,
    "radiation_wavelength",
    "sensor_band_central_radiation_wavelength",
}


@dataclass(frozen=True)
class BandPosition:
    """Where the pixels of a band are found."""

    variable: Hashable
    along: int | None  # the variable's band axis; None where it has none


@dataclass(frozen=True)
class Dates:
    """A time axis: positions along it in the order of time, and what the dates are called."""

    positions: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class CubeDescription:
    """What a cube offers, before any band is chosen."""

    grid: SceneGrid
    bands: tuple[Band, ...]
    positions: tuple[BandPosition, ...]  # one per band
    axes: Mapping[Hashable, Axes]  # by variable
    dates: Mapping[Hashable, Dates]  # by time dimension
    unusable: Mapping[str, str]  # variables that are not bands, with the reason
    flags: tuple[str, ...] = ()  # names of bands that hold flags, and
    quality: tuple[str, ...] = ()  # of those named as masks are: neither is taken unasked
    # variables of quantized vectors, each with that of its scales
    scales: Mapping[Hashable, Hashable] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()  # variables that lie on another grid, which are unusable too

    @property
    def default(self) -> tuple[Band, ...]:
        """The bands where none are asked for: all but flags, masks, quality layers and bad ones."""
        beside = {*self.flags, *self.quality, *self.bad}
        return tuple(band for band in self.bands if band.name not in beside)

    @property
    def bad(self) -> tuple[str, ...]:
        """Names of bands that the cube itself calls bad; none where it calls all of them so."""
        names = tuple(band.name for band in self.bands if band.bad)
        return names if len(names) < len(self.bands) else ()


def describe_cube(
    dataset: xr.Dataset,
    name: str,
    where: str,
    crs: str | None,
    given: xr.DataArray | xr.Dataset | None = None,
    *,
    embeddings: bool = True,
    wanted: Sequence[str] = (),
) -> CubeDescription:
    """Return what a cube offers, from its coordinates and attributes alone.

    ``where`` stands for the cube in messages, ``crs`` wins over what the cube says, and ``given``
    is the object in memory that ``dataset`` was made from, if any. Without ``embeddings``, scales
    beside vectors are a band like any other. Of several grids it is the one with most of the
    ``wanted`` bands, else the one with most pixels.

    Raises SourceError where it has no bands, no regular grid or no CRS.
    """
    every = {key: axes_of(dataset, variable) for key, variable in dataset.data_vars.items()}
    unusable = {str(key): own for key, own in every.items() if isinstance(own, str)}
    axes = {key: own for key, own in every.items() if isinstance(own, Axes)}
    if not axes and is_swath(dataset):
        raise SourceError(
            f"{where} is a swath: its pixels lie in the order in which the sensor saw them",
            remedy="orthorectify it, or resample it to a grid, first",
        )
    if not axes:
        raise _no_bands(where, unusable)
    main = axes[_main(dataset, axes, wanted)]
    elsewhere = {
        str(key): f"lies on {own.y} and {own.x}, not on {main.y} and {main.x}"
        for key, own in axes.items()
        if (own.y, own.x) != (main.y, main.x)
    }
    axes = {key: own for key, own in axes.items() if str(key) not in elsewhere}
    scales = scales_of(dataset, axes) if embeddings else {}
    axes = {key: own for key, own in axes.items() if key not in scales.values()}
    bands, positions = _bands(dataset, axes, where, name)
    bands = tuple(
        replace(band, common=EMBEDDING, dtype="float32") if position.variable in scales else band
        for band, position in zip(bands, positions, strict=True)
    )
    if embeddings:
        bands = _with_embedding(dataset, bands, positions, name)
    grid = grid_of(dataset, list(axes), main, crs, name, where, given)
    bands = tuple(replace(band, grid=grid) for band in bands)
    times = dict.fromkeys(own.time for own in axes.values() if own.time is not None)
    for time in times:
        if dataset.sizes[time] == 0:
            raise SourceError(f"{where} has no dates: its axis {time} is empty")
    dates = {time: _dates(dataset, time) for time in times}
    flagged = {key for key in axes if holds_flags(dataset[key])}
    pairs = list(zip(bands, positions, strict=True))
    flags = tuple(band.name for band, position in pairs if position.variable in flagged)
    flags = flags if len(flags) < len(bands) else ()
    others = [band.name for band in bands if band.name not in flags]
    quality = tuple(name for name in others if is_side_file(name))
    quality = quality if len(quality) < len(others) else ()
    return CubeDescription(
        grid,
        bands,
        positions,
        axes,
        dates,
        {**unusable, **elsewhere},
        flags,
        quality,
        scales,
        tuple(elsewhere),
    )


def _main(dataset: xr.Dataset, axes: Mapping[Hashable, Axes], wanted: Sequence[str]) -> Hashable:
    """Return a variable on the grid that the bands are taken from."""
    words = {word.rpartition("@")[0] or word for word in wanted}

    def rank(key: Hashable) -> tuple[int, int]:
        own = axes[key]
        grid = [other for other, its in axes.items() if (its.y, its.x) == (own.y, own.x)]
        names = {name for other in grid for name in _possible_names(dataset, other, axes[other])}
        return len(words & names), dataset.sizes[own.y] * dataset.sizes[own.x]

    return max(axes, key=rank)  # the first of equals


def _possible_names(dataset: xr.Dataset, key: Hashable, axes: Axes) -> set[str]:
    if axes.band is None:
        return {str(key)}
    labels, _ = _labels(dataset, dataset[key], axes.band)
    return {*labels, *(f"{key}_{label}" for label in labels)}


def _with_embedding(
    dataset: xr.Dataset, bands: Sequence[Band], positions: Sequence[BandPosition], name: str
) -> tuple[Band, ...]:
    """Say of bands that they are the dimensions of AlphaEarth; their values are float32."""
    stored = [
        replace(band, dtype=stored_type(dataset[position.variable]).name)
        for band, position in zip(bands, positions, strict=True)
    ]
    return tuple(
        replace(band, common=now.common, quantized=now.quantized, dtype="float32")
        if now.common == EMBEDDING
        else band
        for band, now in zip(bands, with_embedding(stored, name), strict=True)
    )


def _no_bands(where: str, unusable: Mapping[str, str]) -> SourceError:
    names = ", ".join(f"{where}/{group}" for group in groups_of(where)[:_SHOWN])
    remedy = f"name one of its groups: {names}" if names else ""
    if not unusable:
        return SourceError(f"{where} has no variables of its own", remedy=remedy)
    name, why = next(iter(unusable.items()))
    fault = f"{where} has no variable that can serve as a band: {name} {why}"
    return SourceError(fault, remedy=remedy)


# --- dates ----------------------------------------------------------------------------------------


def _dates(dataset: xr.Dataset, dim: Hashable) -> Dates:
    values = next((c.to_numpy() for c in coordinates_along(dataset, dim)), None)
    if values is None:
        n = dataset.sizes[dim]
        return Dates(tuple(range(n)), tuple(str(i + 1) for i in range(n)))
    order = np.argsort(values, kind="stable")
    names = [date_text(value) for value in values]
    if len(set(names)) < len(names):  # several on a day
        names = distinct([date_text(value, clock=True) for value in values])
    return Dates(tuple(order.tolist()), tuple(names[i] for i in order))


def date_text(value: Any, *, clock: bool = False) -> str:
    """Return what a date along a time axis is called, with the time of day if ``clock``."""
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="s" if clock else "D"))
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%dT%H:%M:%S" if clock else "%Y-%m-%d"))
    return _text(value)


def _text(value: Any) -> str:
    """Return a value along an axis as text; NetCDF's characters are bytes as a rule."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.floating):  # a day may be 20210510.0
        return f"{value:.0f}" if value.is_integer() else f"{value:g}"
    return str(value)


# --- bands ----------------------------------------------------------------------------------------


def _bands(
    dataset: xr.Dataset, axes: Mapping[Hashable, Axes], where: str, name: str
) -> tuple[tuple[Band, ...], tuple[BandPosition, ...]]:
    names: list[str] = []
    positions: list[BandPosition] = []
    commons: list[str | None] = []
    waves: list[float | None] = []
    bad: list[bool] = []
    for key, own in axes.items():
        variable = dataset[key]
        if own.band is None:
            names.append(str(key))
            positions.append(BandPosition(key, None))
            commons.append(_common(variable.attrs.get("common_name"), variable.attrs))
            waves.append(_wavelength(variable))
            bad.append(False)
            continue
        labels, commons_along = _labels(dataset, variable, own.band)
        names += [f"{key}_{label}" for label in labels] if len(axes) > 1 else labels
        positions += [BandPosition(key, number) for number in range(len(labels))]
        commons += commons_along
        waves += _wavelengths(dataset, variable, own.band)
        bad += _bad(dataset, own.band)
    grid = SceneGrid(name, "", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1, 1)  # replaced later
    bands = [
        Band(
            name=word,
            path=where,
            number=number,
            grid=grid,
            dtype=dataset[position.variable].dtype.name,
            driver="xarray",
            blocks=(1, 1),
            common=common,
            wavelength=wave,
            bad=is_bad,
        )
        for number, (word, position, common, wave, is_bad) in enumerate(
            zip(distinct(names), positions, commons, waves, bad, strict=True), start=1
        )
    ]
    return with_common_names(bands, *_about(dataset, axes), name), tuple(positions)


def _about(dataset: xr.Dataset, keys: Iterable[Hashable]) -> list[str]:
    """Return what attributes say of satellite and sensor."""
    tables = (dataset.attrs, *(dataset[key].attrs for key in keys))
    return [
        str(value)
        for table in tables
        for key, value in table.items()
        if SENSOR_TAG.search(str(key)) and isinstance(value, str)
    ]


def _wavelength(variable: xr.DataArray) -> float | None:
    """Return the centre wavelength of a variable in nanometres, by attribute or CF's coordinate."""
    for key in WAVELENGTH_TAGS:
        if key in variable.attrs:
            unit = next((variable.attrs[k] for k in UNIT_TAGS if k in variable.attrs), None)
            return nanometres(variable.attrs[key], unit)
    for coordinate in variable.coords.values():
        if coordinate.ndim == 0 and _is_wavelength(coordinate):
            return nanometres(coordinate.item(), coordinate.attrs.get("units"))
    return wavelength_in(str(variable.attrs.get("long_name", "")))


def _wavelengths(dataset: xr.Dataset, variable: xr.DataArray, dim: Hashable) -> list[float | None]:
    """Return the centre wavelengths along a band axis, where a coordinate has them."""
    for coordinate in coordinates_along(dataset, dim):
        if _is_wavelength(coordinate):
            unit = coordinate.attrs.get("units")
            return [nanometres(value, unit) for value in coordinate.to_numpy()]
    return [None] * variable.sizes[dim]


def _bad(dataset: xr.Dataset, dim: Hashable) -> list[bool]:
    """Return for each band along an axis whether the cube says that it is not to be used."""
    good = next((dataset[name] for name in _GOOD if name in dataset.variables), None)
    if good is None or good.dims != (dim,) or not np.isin(good, (0, 1)).all():
        return [False] * dataset.sizes[dim]
    return [bool(value == 0) for value in good.to_numpy()]


def _is_wavelength(coordinate: xr.DataArray) -> bool:
    words = (str(coordinate.name), str(coordinate.attrs.get("standard_name", "")))
    return any(word.casefold().removesuffix("s") in _WAVELENGTHS for word in words)


def _common(word: Any, attributes: Mapping[Any, Any]) -> str | None:
    for text in (word, attributes.get("long_name")):
        if isinstance(text, str) and (name := common_name(text)):
            return name
    return None


def _labels(
    dataset: xr.Dataset, variable: xr.DataArray, dim: Hashable
) -> tuple[list[str], list[str | None]]:
    """Return names and common names along a band axis."""
    n = variable.sizes[dim]
    along = {str(c.name): c.to_numpy() for c in coordinates_along(dataset, dim)}
    named = along.get("common_name")
    commons = [None if named is None else _common(_text(word), {}) for word in _or(named, n)]
    described = variable.attrs.get("long_name")  # as rioxarray keeps a file's descriptions
    if isinstance(described, list | tuple) and len(described) == n:
        own = FileBands.of(dataset, variable.variable, dim).own(described) or ()
        return [str(word) for word in own], commons
    values = along.get(str(dim), next(iter(along.values()), None))
    if values is None or is_counting(values):
        return [f"band_{i + 1}" for i in range(n)], commons
    return [_text(value) for value in values], commons


def _or(values: AnyArray | None, n: int) -> Sequence[Any]:
    return [None] * n if values is None else list(values)
