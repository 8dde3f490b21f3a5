"""What the values of scenes measure, as far as it is known, and whether that is one thing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from rasterio.errors import RasterioError

from owl_geo.errors import SourceError
from owl_geo.ground.netcdf_values import unheeded
from owl_geo.ground.raster_view import may_divide
from owl_geo.ground.vrt_values import undeclared
from owl_geo.sources.bands import COMMON_NAMES, Band
from owl_geo.sources.files import open_raster

_log = logging.getLogger("owl_geo")

_SCALED, _STORED, _FLOATS = "scaled values", "pixels as they are stored", "floating-point values"
_SMALL = 0.01  # a scale such as integers have that stand for reflectance


@dataclass(frozen=True)
class Units:
    """What the values of a scene are.

    Args:
        scene: its name.
        measure: what its product says that they measure; empty where nobody does.
        bands: those that are read.
    """

    scene: str
    measure: str
    bands: Sequence[Band]

    @property
    def kind(self) -> str:
        """What they are, in words for a message; empty where types and scales differ by band."""
        if self.measure and not all(band.common == "thermal" for band in self.bands):
            return self.measure
        if any(band.scale != 1.0 for band in self.bands):
            return _SCALED
        integer = {np.issubdtype(np.dtype(band.dtype), np.integer) for band in self.bands}
        if len(integer) > 1:
            return ""
        return _STORED if True in integer else _FLOATS


def warn_of_large_scales(scene: str, bands: Sequence[Band]) -> None:
    """Warn where pixels are multiplied by a scale that they were probably to be divided by."""
    large = [band for band in bands if may_divide(band.scale, band.dtype)]
    if large:
        _log.warning(
            "scene %r: pixels of %s are multiplied by %g, as the file's scale says; if they are to "
            "be divided by it, as those of MODIS' vegetation indices are, set scale = %g of the "
            "scene in owl.toml",
            *(scene, ", ".join(band.name for band in large), large[0].scale, 1 / large[0].scale),
        )


def warn_of_scales(scene: str, bands: Sequence[Band]) -> None:
    """Warn of scales that make no one kind of values of a scene's bands, or small ones of floats.

    An item may say a scale of some bands alone, or one that was applied when it was not written.
    """
    spectral = [band for band in bands if band.common in COMMON_NAMES - {"thermal"}]
    whole = [band for band in spectral if np.issubdtype(np.dtype(band.dtype), np.integer)]
    scaled = [band.name for band in whole if (band.scale, band.offset) != (1.0, 0.0)]
    plain = [band.name for band in whole if band.name not in scaled]
    if scaled and plain:
        _log.warning(
            "scene %r: pixels of %s are scaled, and those of %s are not; if all measure one thing, "
            "set scale and offset of the scene in owl.toml",
            *(scene, ", ".join(scaled), ", ".join(plain)),
        )
    small = [
        band
        for band in spectral
        if np.issubdtype(np.dtype(band.dtype), np.floating) and 0 < abs(band.scale) <= _SMALL
    ]
    if small:
        _log.warning(
            "scene %r: pixels of %s are floating-point numbers and multiplied by %g; if they are "
            "values already, set scale = 1 and offset = 0 of the scene in owl.toml",
            *(scene, ", ".join(band.name for band in small), small[0].scale),
        )


def warn_of_netcdf(scene: str, bands: Sequence[Band]) -> None:
    """Warn of bands of NetCDF whose file says more of missing pixels than GDAL heeds."""
    by_text: dict[str, list[str]] = {}
    for band in bands:
        if band.driver == "netCDF":
            with suppress(SourceError, RasterioError), open_raster(band.path) as dataset:
                if text := unheeded(dataset, band.number):
                    by_text.setdefault(text, []).append(band.name)
    for text, names in by_text.items():
        _log.warning(
            "scene %r: by %s in its file, pixels of %s may be missing, or others than GDAL reads; "
            "open it with --source cube, which heeds that",
            *(scene, text, ", ".join(names)),
        )


def warn_of_vrt(scene: str, bands: Sequence[Band]) -> None:
    """Warn of bands of a VRT that read 0 where data are missing in one of its parts."""
    missing: dict[tuple[str, str], list[str]] = {}
    for band in bands:
        if band.driver == "VRT":
            with suppress(SourceError, RasterioError), open_raster(band.path) as dataset:
                if value := undeclared(dataset, band.number):
                    missing.setdefault((value, band.path), []).append(band.name)
    for (value, path), names in missing.items():
        _log.warning(
            "scene %r: pixels of %s are 0, and count, where a part of the VRT has its no-data "
            "value, %s; declare that, for example with gdal_edit.py -a_nodata %s %s",
            *(scene, ", ".join(names), value, value, path),
        )


def warn_of_mixed_units(scenes: Iterable[Units]) -> None:
    """Say it, once, where the values of some scenes cannot be compared with those of others.

    Integers as they are stored beside anything else are digital numbers beside what these stand
    for; reflectance above the atmosphere is not that of the ground.
    """
    first: dict[str, str] = {}
    for units in scenes:
        if units.kind:
            first.setdefault(units.kind, units.scene)
    others = [kind for kind in first if kind != _STORED]
    measured = [kind for kind in others if kind not in (_SCALED, _FLOATS)]
    if _STORED in first and others:
        _log.warning(
            "scene %r has %s and scene %r %s; if both measure one thing, set scale and offset of "
            "the latter in owl.toml",
            *(first[others[0]], others[0], first[_STORED], _STORED),
        )
    elif len(measured) > 1:
        one, other = measured[:2]
        _log.warning(
            "scene %r has %s and scene %r %s: the same ground has other values; take one level of "
            "all scenes if you can",
            *(first[one], one, first[other], other),
        )
