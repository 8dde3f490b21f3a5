"""What the header of a raster says of its bands, and what it leaves to its product and its name."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp

from owl_geo.settings.subdatasets import is_subdataset
from owl_geo.sources.band_orders import band_order, contradicts, spelt_order
from owl_geo.sources.bands import distinct
from owl_geo.sources.editions import edition_of
from owl_geo.sources.scene_dates import date_in_tags
from owl_geo.sources.sensors import SENSOR_TAG
from owl_geo.sources.spectra import spectrum_beside
from owl_geo.sources.wavelengths import (
    UNIT_TAGS,
    WAVELENGTH_TAGS,
    by_wavelength,
    nanometres,
    wavelength_in,
)

_COLOURS = {
    ColorInterp.coastal: "coastal",
    ColorInterp.blue: "blue",
    ColorInterp.green: "green",
    ColorInterp.red: "red",
    ColorInterp.nir: "nir",
    ColorInterp.pan: "pan",
}
_WIDEST = 2000.0  # nm; GDAL 3.10 takes ENVI's widths for those of its wavelengths' unit


@dataclass(frozen=True)
class BandWords:
    """What is known of the bands of one file, each by its position, and of all of them.

    As the attributes of ``Band`` of the same names.
    """

    names: Sequence[str]
    wavelengths: Sequence[float | None]
    widths: Sequence[float | None]
    colours: Sequence[str | None]
    shown: Sequence[str | None]
    alpha: Sequence[bool]
    bad: Sequence[bool]
    about: str
    taken: datetime.date | None
    edition: str


def read_words(dataset: rasterio.DatasetReader, path: str, prefix: str) -> BandWords:
    """Return what a file says of its bands, named as ``files.read_bands`` does."""
    every = range(1, dataset.count + 1)
    waves = [_wavelength(dataset, i) for i in every]
    widths = [_width(dataset, i) for i in every]
    is_told = any(waves) or any(wavelength_in(text or "") for text in dataset.descriptions)
    if not is_told and (spectrum := spectrum_beside(path, dataset.count)):
        waves, widths = ([*values] for values in zip(*spectrum, strict=True))
    tags = _tags(dataset)
    telling = _colours(dataset, by_wavelength(waves, widths))
    shown = _by_product(dataset, Path(path).stem, tags, telling)
    alpha = list(map(_is_alpha, dataset.descriptions, dataset.colorinterp, shown))
    if contradicts(shown, telling):
        telling = [None] * dataset.count
    bad = _bad_bands(dataset)
    return BandWords(
        names=_names(dataset, telling, alpha, prefix),
        wavelengths=waves,
        widths=widths,
        colours=[_COLOURS.get(colour) for colour in dataset.colorinterp],
        shown=shown,
        alpha=alpha,
        bad=[i - 1 in bad for i in every],
        about=_about(tags),
        taken=date_in_tags(tags),
        edition=edition_of(tags),
    )


def _names(
    dataset: rasterio.DatasetReader,
    colours: Sequence[str | None],
    alpha: Sequence[bool],
    prefix: str,
) -> list[str]:
    """Return one name per band, all different."""
    if prefix and dataset.count == 1:
        return [prefix]
    names = [
        (text or "").strip()
        or _variable(dataset, i)
        or colour
        or ("alpha" if is_alpha else f"band_{i}")
        for i, (text, colour, is_alpha) in enumerate(
            zip(dataset.descriptions, colours, alpha, strict=True), start=1
        )
    ]
    names = distinct(names)
    return [f"{prefix}_{name}" for name in names] if prefix else names


def _variable(dataset: rasterio.DatasetReader, i: int) -> str:
    """Return the variable of NetCDF that band ``i`` of a subdataset is, empty for anything else.

    Else red and near infrared of one file would both be called ``band_1``, as if they were one.
    """
    return dataset.tags(i).get("NETCDF_VARNAME", "") if is_subdataset(dataset.name) else ""


def _bad_bands(dataset: rasterio.DatasetReader) -> set[int]:
    """Return the positions of bands that ENVI's list of bad bands (bbl) has with 0."""
    if dataset.driver != "ENVI":
        return set()
    words = re.split(r"[\s,]+", dataset.tags(ns="ENVI").get("bbl", "").strip("{} \n"))
    return {i for i, word in enumerate(words) if re.fullmatch(r"0+(\.0*)?", word)}


def _colours(dataset: rasterio.DatasetReader, by_wave: Sequence[str | None]) -> list[str | None]:
    """Return the colours in which the bands are shown, as far as they say what the bands are.

    Any image of three bands may be shown in red, green and blue, one in false colour too: GDAL
    writes so of its own accord, and so do ENVI's default bands. They count where a file says
    nothing else, or the same.
    """
    colours = [_COLOURS.get(colour) for colour in dataset.colorinterp]
    if any(by_wave):
        return [
            colour if colour == wave else None
            for colour, wave in zip(colours, by_wave, strict=True)
        ]
    texts = [(text or "").strip() for text in dataset.descriptions]
    says_nothing = all(
        text.casefold() in ("", "alpha", colour or "") or _is_position(text, i)
        for i, (text, colour) in enumerate(zip(texts, colours, strict=True), start=1)
    )
    return colours if says_nothing else [None] * len(colours)


def _by_product(
    dataset: rasterio.DatasetReader,
    stem: str,
    tags: Mapping[str, str],
    colours: Sequence[str | None],
) -> Sequence[str | None]:
    """Return what the bands are by their product, if it is known and its file says nothing itself.

    Else the colours in which they are shown.
    """
    texts = [(text or "").strip() for text in dataset.descriptions]
    is_described = any(text and not _is_position(text, i) for i, text in enumerate(texts, start=1))
    if is_described:
        return colours
    if dataset.colorinterp[-1] != ColorInterp.alpha:
        return band_order(stem, tags, dataset.count) or colours
    # any fourth band of 8 bits may be marked so
    if order := spelt_order(stem, dataset.count):
        return order
    order = band_order(stem, tags, dataset.count - 1)
    return colours if order is None else (*order, None)


def _is_position(text: str, number: int) -> bool:
    """Return whether a description only counts, as programs write it: ``Band 1``."""
    return bool(re.fullmatch(rf"(?:band|layer|channel)[ _]?0*{number}", text.casefold()))


def _wavelength(dataset: rasterio.DatasetReader, i: int) -> float | None:
    """Return the centre wavelength of band ``i`` in nanometres, None where the file has none.

    GDAL's own way of saying it goes before what formats and programs write among a band's tags.
    """
    micrometres = dataset.tags(i, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    if micrometres is not None:
        return nanometres(micrometres, "um")
    tags = {key.casefold(): value for key, value in dataset.tags(i).items()}
    unit = next((tags[key] for key in UNIT_TAGS if key in tags), None)
    values = (nanometres(tags[key], unit) for key in WAVELENGTH_TAGS if key in tags)
    return next((value for value in values if value is not None), None)


def _width(dataset: rasterio.DatasetReader, i: int) -> float | None:
    """Return the full width at half maximum of band ``i`` in nanometres, None where unknown."""
    try:
        width = 1000 * float(dataset.tags(i, ns="IMAGERY").get("FWHM_UM", "nan"))
    except ValueError:
        return None
    return width if 0 < width < _WIDEST else None


def _tags(dataset: rasterio.DatasetReader) -> dict[str, str]:
    """Return what the file, and what GDAL reads beside it, say of the image as a whole."""
    domains = (None, "IMD", "ENVI", "IMAGERY")
    return {key: value for ns in domains for key, value in dataset.tags(ns=ns).items()}


def _about(tags: Mapping[str, str]) -> str:
    """Return what the file's tags say of satellite and sensor."""
    return " ".join(value for key, value in tags.items() if SENSOR_TAG.search(key))


def _is_alpha(description: str | None, interpreted: ColorInterp, shown: str | None) -> bool:
    """Return whether a band is a mask, not a fourth band of data, which GDAL colours alike.

    Whoever described it as something else, for example near infrared, meant data; so does a name
    of the file that spells it.
    """
    described = (description or "").strip().lower()
    return interpreted == ColorInterp.alpha and described in ("", "alpha") and shown is None
