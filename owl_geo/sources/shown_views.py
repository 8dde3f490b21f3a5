"""The views of a run as QGIS shows them: a raster each, its colours and its contrast."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._path import _parse_path, _vsi_path

from owl_geo.errors import OwlError, SourceError
from owl_geo.ground.raster_files import UNREADABLE, spread_windows
from owl_geo.settings.sources import ViewSettings
from owl_geo.sources.bands import Band
from owl_geo.sources.files import open_raster
from owl_geo.sources.left_out import NoSceneLeft
from owl_geo.sources.scenes import Scene, open_scenes
from owl_geo.types import FailedScene, ShownRaster
from owl_geo.wording import plural

_log = logging.getLogger("owl_geo")

COLOURS = ("red", "green", "blue")
_PERCENTILES = (2.0, 98.0)
_SAMPLE = 256  # pixels per side, at most, of the sample that they are taken from
_SMALL = 1024  # pixels per side of a raster that is read whole
_WINDOW, _WINDOWS = 32, 8  # pixels per side of a window, windows per side of the raster


def scenes_of(name: str, view: ViewSettings) -> tuple[Scene, ...]:
    """Open the rasters of a view; of those that cannot be opened there is one warning."""
    failed: list[FailedScene] = []
    try:
        scenes = open_scenes(view.scenes, view.bands, failed=failed)
    except NoSceneLeft:
        scenes = ()
    except OwlError as error:
        _log.warning("the view %r is not shown: %s", name, error)
        return ()
    if failed:
        too = plural(len(failed) - 1, "is", "are")
        more = f", nor {too} {len(failed) - 1:,} more of its rasters" if len(failed) > 1 else ""
        _log.warning("view %r: %s is not shown%s: %s", name, failed[0].name, more, failed[0].reason)
    return scenes


def shown_bands(bands: Sequence[Band]) -> tuple[int, ...]:
    """Return the positions of red, green and blue, else of the first three bands, or the first."""
    commons = [band.common for band in bands]
    if all(colour in commons for colour in COLOURS):
        return tuple(commons.index(colour) for colour in COLOURS)
    return (0, 1, 2) if len(bands) > 2 else (0,)


def shown_views(views: Mapping[str, ViewSettings]) -> list[ShownRaster]:
    """Return the rasters of all views, in the order of the settings, whose paths are absolute.

    One that cannot be opened or read is left out, with a warning.
    """
    shown = []
    for name, view in views.items():
        for scene in scenes_of(name, view):
            try:
                shown.append(_shown(name, scene))
            except SourceError as error:
                _log.warning("view %r: %s is not shown: %s", name, scene.name, error)
    return shown


def _shown(view: str, scene: Scene) -> ShownRaster:
    bands = [scene.bands[position] for position in shown_bands(scene.bands)]
    ends = {
        band: stretch
        for path in dict.fromkeys(band.path for band in bands)
        for band, stretch in _stretches([band for band in bands if band.path == path]).items()
    }
    return ShownRaster(
        view=view,
        paths=raster_names(bands),
        bands=tuple(band.number for band in bands),
        stretch=tuple(ends[band] for band in bands),
    )


def raster_names(bands: Sequence[Band]) -> tuple[str, ...]:
    """Return what GDAL opens for bands: the one file that they are in, or a file for each."""
    names = [_vsi_path(_parse_path(band.path)) for band in bands]
    return tuple(names if len(set(names)) > 1 else names[:1])


def _stretches(bands: Sequence[Band]) -> dict[Band, tuple[float, float]]:
    """Return the 2nd and the 98th percentile of a sample of each band of one file.

    Raises SourceError.
    """
    path = bands[0].path
    try:
        with open_raster(path) as dataset:
            samples = _sample(dataset, [band.number for band in bands])
            return {
                band: _stretch(
                    pixels,
                    band.nodata,
                    dataset.scales[band.number - 1],
                    dataset.offsets[band.number - 1],
                )
                for band, pixels in zip(bands, samples, strict=True)
            }
    except UNREADABLE as error:
        raise SourceError(
            f"cannot read {path} (is the file whole?): {error.__cause__ or error}"
        ) from error


def _stretch(
    pixels: NDArray[np.float64], nodata: float | None, scale: float, offset: float
) -> tuple[float, float]:
    values = pixels[np.isfinite(pixels)]
    if nodata is not None:  # which the file itself need not say
        values = values[values != nodata]
    if len(values) == 0:
        return 0.0, 1.0
    ends = np.percentile(values, _PERCENTILES) * scale + offset
    low, high = sorted(ends.tolist())
    if not np.isfinite([low, high]).all():
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def _sample(dataset: rasterio.DatasetReader, numbers: Sequence[int]) -> list[NDArray[np.float64]]:
    """Return pixels of each band that have data, spread evenly over the raster.

    A large raster without overviews is looked at through windows: to thin it out, GDAL would read
    all of it.
    """
    height, width = dataset.shape
    if dataset.overviews(numbers[0]) or max(height, width) <= _SMALL:
        how: list[dict[str, Any]] = [{"out_shape": (min(height, _SAMPLE), min(width, _SAMPLE))}]
    else:
        windows = spread_windows(height, width, _WINDOW, _WINDOWS)
        how = [{"window": window} for window in windows]
    # bands may differ in type
    parts = ((dataset.read(n, masked=True, **part).compressed() for part in how) for n in numbers)
    return [np.concatenate(list(of_band)).astype(np.float64) for of_band in parts]
