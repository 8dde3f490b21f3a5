"""Views of patches as small pictures: what else the run knows of their ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from owl_geo.errors import LayerError
from owl_geo.ground.crs import crs_of, turns_of
from owl_geo.ground.grid import bounds
from owl_geo.ground.raster import AlignedRaster
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.reporting.colours import RgbArray, Stretch
from owl_geo.reporting.survey import Survey, log
from owl_geo.sources.bands import Band
from owl_geo.sources.scenes import Scene
from owl_geo.sources.shown_views import scenes_of, shown_bands
from owl_geo.types import BoolArray, FloatArray, SceneGrid

_IQR = 1.349  # of a normal distribution, in standard deviations
_SAMPLE = 100  # patches of the pool that show a view's usual values
_MISSING = 217  # grey, which the report has behind its pictures


@dataclass(frozen=True)
class ViewOfPatches:
    """A view of some patches, on their own pixel grids.

    ``values`` has those that the view covers at least in part, by position in the index, float32
    ``(1 or 3 bands, size, size)``, not-a-number where there is nothing. ``usual`` has those of a
    sample of the pool, ``(bands, n)``.
    """

    name: str
    values: Mapping[int, FloatArray]
    usual: FloatArray

    @cached_property
    def _stretch(self) -> Stretch:
        """As the scene's own: by the pool's usual values, widened to those that are shown.

        So ground that is the same in both looks the same.
        """
        shown = Stretch.of_pixels(np.concatenate([*self.values.values()], axis=2))
        if self.usual.shape[1] == 0:
            return shown
        low, middle, high = np.percentile(self.usual, (25, 50, 75), axis=1)
        return Stretch.of_spread(middle, (high - low) / _IQR).widened(shown)

    def rgb(self, position: int) -> RgbArray | None:
        """Return a patch as colours, uint8 ``(size, size, 3)``; None where it is not covered.

        All patches have the same stretch.
        """
        values = self.values.get(position)
        if values is None:
            return None
        picture = self._stretch.to_rgb(values, (0, 1, 2) if len(values) > 2 else (0, 0, 0))
        picture[~np.isfinite(values).all(axis=0)] = _MISSING
        return picture


def views_of(survey: Survey, positions: Sequence[int]) -> list[ViewOfPatches]:
    """Read all views of some patches, by position in the index; none for generated patches.

    What cannot be read is left out, with a warning.
    """
    run = survey.run
    if not run.settings.source.is_on_earth:
        return []
    asked = set(positions)
    sample = np.linspace(0, len(run.patches) - 1, min(_SAMPLE, len(run.patches))).astype(np.int64)
    wanted = np.union1d(np.asarray(positions, dtype=np.int64), sample)
    windows = run.index.windows.take(wanted)
    shown = []
    for name, view in run.settings_here.views.items():
        read: dict[int, FloatArray] = {}
        for scene in scenes_of(name, view):
            try:
                _add(read, scene, windows)
            except LayerError as error:
                log.warning("view %r: %s is not shown: %s", name, scene.name, error)
        found = {int(wanted[number]): values for number, values in read.items()}
        usual = [found[position] for position in sample.tolist() if position in found]
        values = {position: found[position] for position in found if position in asked}
        shown.append(ViewOfPatches(name, values, _pixels(usual)))
    return shown


def _pixels(patches: Sequence[FloatArray]) -> FloatArray:
    """Return the pixels that all bands have in patches ``(bands, size, size)``: ``(bands, n)``."""
    if not patches:
        return np.empty((0, 0), dtype=np.float32)
    pixels = np.concatenate([patch.reshape(len(patch), -1) for patch in patches], axis=1)
    return pixels[:, np.isfinite(pixels).all(axis=0)]


def _add(read: dict[int, FloatArray], raster: Scene, windows: PoolWindows) -> None:
    """Add what a raster has of the windows to ``read``, by number of the window.

    Where an earlier raster has data, that stays. Raises LayerError.
    """
    bands = [raster.bands[position] for position in shown_bands(raster.bands)]
    meets = _meets(windows, raster.grid)
    for numbers, of_scene in windows.by_scene():
        here = np.flatnonzero(meets[numbers])
        if len(here) == 0:
            continue
        values = _values(bands, of_scene.take(here))
        for number, fresh in zip(numbers[here].tolist(), values, strict=True):
            has_data = np.isfinite(fresh).all(axis=0)
            before = read.get(number)
            if before is not None and len(before) == len(fresh):
                read[number] = np.where(np.isfinite(before).all(axis=0), before, fresh)
            elif before is None and has_data.any():
                read[number] = fresh


def _values(bands: Sequence[Band], windows: Windows) -> list[FloatArray]:
    """Return the values of bands in windows of a scene, each ``(bands, size, size)``."""
    size = windows.patch_size
    offsets = list(zip(windows.row_off.tolist(), windows.col_off.tolist(), strict=True))
    values = [np.empty((len(bands), size, size), dtype=np.float32) for _ in offsets]
    with ExitStack() as stack:
        for number, band in enumerate(bands):
            raster = stack.enter_context(
                AlignedRaster(band.path, windows.grid, band=band.number, resampling="bilinear")
            )
            for patch, (row, col) in zip(values, offsets, strict=True):
                pixels, valid = raster.window(row, col, size, size)
                if band.nodata is not None:  # which the file itself need not say
                    valid &= pixels != band.nodata
                scaled = pixels.astype(np.float32) * band.scale + band.offset
                patch[number] = np.where(valid, scaled, np.nan)
    return values


def _meets(windows: PoolWindows, grid: SceneGrid) -> BoolArray:
    """Return which windows a raster may show, by their extents in its CRS, ``(n,)``."""
    crs = crs_of(grid.crs)
    corners = windows.corners_in(crs)
    low, high = corners.min(axis=1), corners.max(axis=1)
    west, south, east, north = bounds(grid)
    upright = (low[:, 1] < north) & (high[:, 1] > south)
    across = np.zeros(len(windows), dtype=bool)
    for turn in turns_of(crs):
        across |= (low[:, 0] + turn < east) & (high[:, 0] + turn > west)
    meets: BoolArray = upright & across
    return meets
