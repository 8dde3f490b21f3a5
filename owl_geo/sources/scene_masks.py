"""Whether the mask of a scene can be what it is taken for."""

from __future__ import annotations

import logging

import numpy as np

from owl_geo.errors import LayerError, SourceError
from owl_geo.ground.raster import coverage
from owl_geo.ground.raster_files import band_names, beyond, open_layer, values_of
from owl_geo.ground.raster_view import Scaling
from owl_geo.sources.band_grids import crs_text, extent_text
from owl_geo.sources.products.product import CloudMask
from owl_geo.sources.scenes import Scene

_log = logging.getLogger("owl_geo")

_SHOWN = 3  # values in a message


def check_mask(scene: Scene) -> None:
    """Warn of a mask that counts in part, or covers a scene partly, or holds fractions.

    Raises SourceError for one that lies elsewhere, and where its values may be two things.
    """
    if scene.mask is None:
        return
    try:
        share = coverage(scene.mask.path, scene.grid)
        names = band_names(scene.mask.path)
        _check_values(scene.mask)
    except LayerError as error:
        raise SourceError(f"the mask of scene {scene.name!r}: {error}") from error
    if share == 0:
        raise SourceError(
            f"the mask {scene.mask.path} covers nothing of scene {scene.name!r}, which spans "
            f"{extent_text(scene.grid)} in {crs_text(scene.grid)}",
            remedy="take the mask of this scene",
        )
    if len(names) > 1 and not scene.mask.bands:
        _log.warning(
            "the mask %s has %d bands (%s) and the first alone counts; mask_bands names others",
            scene.mask.path,
            len(names),
            ", ".join(names),
        )
    if share < 0.999:
        _log.warning(
            "the mask %s covers %.3g %% of scene %r; beyond it every pixel counts as %s",
            scene.mask.path,
            100 * share,
            scene.name,
            "bad" if scene.mask.is_bad(beyond(scene.mask.path)) else "clear",
        )


def _check_values(mask: CloudMask) -> None:
    """Warn of fractions, none of which is a bad value; raises LayerError.

    That is where a header makes other values of the pixels: programs show these or those, and the
    bad values may be either.
    """
    if not mask.values:
        return
    with open_layer(mask.path) as dataset:
        bands = [band for band in mask.bands or (1,) if band <= dataset.count]
        scaled = [s for band in bands if (s := Scaling.of(dataset, band)) != Scaling()]
        is_whole = np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer)
    if scaled:
        raise LayerError(
            f"{mask.path} has a scale ({scaled[0].scale:g}) and an offset ({scaled[0].offset:g}) "
            "in its header, and the bad values may be meant with them or without",
            remedy="take them out, for example with gdal_edit.py -unsetscale -unsetoffset",
        )
    if is_whole:
        return
    values = values_of(mask.path)
    fractions = values[values != np.trunc(values)]
    if len(fractions):
        _log.warning(
            "the mask %s holds fractions (%s), of which none is a bad value; make whole numbers of "
            "them, for example with gdal_calc.py",
            mask.path,
            ", ".join(f"{value:g}" for value in fractions[:_SHOWN])
            + (", ..." if len(fractions) > _SHOWN else ""),
        )
