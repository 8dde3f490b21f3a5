"""Concepts computed from another raster: its majority class within the patch, or its mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from owl_geo.concepts import UNKNOWN, rasters
from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.ground.raster_files import values_of
from owl_geo.ground.windows import Windows
from owl_geo.settings.concepts import RasterConcept
from owl_geo.types import AnyArray
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_SHOWN = 10  # codes that a message lists
_MOST_CLASSES, _FEW_CLASSES = 256, 20  # a legend has at most so many; and what is few in any pool


class OfRaster(ConceptKind[RasterConcept]):
    """The majority class as text, or the mean."""

    def values(self, index: pd.DataFrame) -> Values:
        """Return ``category`` for a majority, ``number`` for a mean."""
        return "category" if self.settings.reduce == "majority" else "number"

    def remedy_for(self, wanted: Values) -> str:
        """Return the setting that makes numbers of classes, or classes of numbers."""
        reduce = "mean" if wanted == "number" else "majority"
        return f'set reduce = "{reduce}" in concepts.{self.name}'

    def scaled_file(self) -> str | None:
        """Return the raster if its header has a scale or an offset for the band."""
        path, band = self.settings.path, self.settings.band
        return path if rasters.is_scaled(path, band) else None

    def column(self, work: Work) -> AnyArray:
        """Return the majority classes, or the means with NaN where no pixel is valid, ``(n,)``."""
        path, band = self.settings.path, self.settings.band
        work.cover(path, f"raster {path}", partial(rasters.extent, path))
        if band == 1:  # nobody may have chosen it
            rasters.warn_of_several_bands(path, "band of the concept in owl.toml sets another")
        # whole scenes: a raster is read in strips as wide as the scene
        if self.settings.reduce == "mean":
            scenes = [scene.windows for scene in work.pool.scenes]
            rasters.warn_of_doubtful_values(path, band)
            rasters.warn_of_undeclared(path, scenes, band=band)
            return work.fill(np.nan, partial(_mean, path, band), scenes_whole=True)
        names = rasters.by_code(self.settings.names)
        found = work.fill(UNKNOWN, partial(_majority, path, band, names), scenes_whole=True)
        self._check_names(names, found)
        self._check_classes(found)
        return found

    def _check_classes(self, found: AnyArray) -> None:
        """Warn where there are so many classes that the values must be amounts, such as heights."""
        n = len(set(map(str, found)) - {UNKNOWN})
        if n > _MOST_CLASSES or n > max(_FEW_CLASSES, len(found) // 4):
            _log.warning(
                "concepts.%s: %s has %s classes on %s; if its values are amounts, set "
                'reduce = "mean" in owl.toml',
                *(self.name, self.settings.path, f"{n:,}", counted(len(found), "patch")),
            )

    def _check_names(self, names: Mapping[str, str], found: AnyArray) -> None:
        """Warn where all codes that have a name are those of another legend."""
        codes = sorted(set(map(str, found)) - {UNKNOWN})
        # the only one that has a name may be of what there is elsewhere
        if len(names) < 2 or not codes or set(names.values()).intersection(codes):
            return
        path, band = self.settings.path, self.settings.band
        if band == 1 and {str(int(value)) for value in values_of(path)}.intersection(names):
            return  # elsewhere
        _log.warning(
            "concepts.%s: no patch has a code that is in names (%s), and in %s they have %s; "
            "correct names in owl.toml",
            *(self.name, _listed(sorted(names, key=_in_order)), path),
            _listed(sorted(codes, key=_in_order)),
        )


def _in_order(code: str) -> tuple[int, str]:
    return (int(code) if code.removeprefix("-").isdecimal() else 0, code)


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(codes[:_SHOWN]) + (", ..." if len(codes) > _SHOWN else "")


# What workers do with a part of the pool; module-level functions, so that they can be pickled.


def _mean(path: str, band: int, windows: Windows) -> AnyArray:
    return rasters.mean(path, windows, band=band)


def _majority(path: str, band: int, names: Mapping[str, str], windows: Windows) -> AnyArray:
    return rasters.majority(path, windows, band=band, names=names)
