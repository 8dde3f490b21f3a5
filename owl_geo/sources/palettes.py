"""Bands with a table of colours, as scanned maps, pictures and rasters of classes have one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from owl_geo.sources.bands import Band

_log = logging.getLogger("owl_geo")


def warn_of_palettes(scene: str, bands: Sequence[Band]) -> None:
    """Warn where the pixels of a band are numbers of colours or of classes, and no measure."""
    names = [band.name for band in bands if band.palette]
    if names:
        _log.warning(
            "scene %r: the pixels of %s are numbers of colours or classes, by the file's colour "
            "table, and are taken as they are; bands of a picture come of gdal_translate -expand "
            "rgb, and classes are better a concept",
            scene,
            ", ".join(names),
        )
