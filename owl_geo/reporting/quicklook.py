"""A scene at a glance: a coarse version of it, read through the overviews of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from owl_geo.errors import SourceError
from owl_geo.ground.grid import to_xy
from owl_geo.sources.bands import Band
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.files import open_raster
from owl_geo.sources.quantization import values_of
from owl_geo.types import FloatArray, IntArray, SceneGrid

EDGE = 1000  # pixels along the longer edge of a quicklook
_MOST_PIXELS = 2**24  # pixels that are read where there are no overviews


@dataclass(frozen=True)
class Quicklook:
    """A scene at reduced size."""

    grid: SceneGrid  # of the whole scene, in its own pixels
    values: FloatArray  # (requested bands, height, width); not-a-number where there are no data


def quicklook(
    source: PoolSource, scene: str, bands: Sequence[int], positions: IntArray, edge: int = EDGE
) -> Quicklook:
    """Read a scene, reduced so that its longer edge has at most ``edge`` pixels.

    For files, the whole extent is read through GDAL, which uses overviews if there are any, and
    averages pixels. Any other source (a cube, generated patches) shows its patches: all of them,
    or, beyond 16 million pixels, a regular sample in which each patch stands for its surroundings.

    Args:
        source: the run's pixels.
        scene: the name of the scene.
        bands: positions of the bands to read; they are returned in this order.
        positions: positions of the scene's patches in the source's index, ascending.
        edge: length of the longer edge in pixels.

    Raises SourceError if the pixels cannot be read.
    """
    grid = source.grids[scene]
    height, width = _shape(grid, edge)
    rasters = source.raster_bands(scene)
    if rasters and max(bands) < len(rasters):  # none is a view's
        of_bands = [_overview(rasters[number], grid, height, width) for number in bands]
        return Quicklook(grid, np.stack(of_bands))
    return Quicklook(grid, _from_patches(source, grid, bands, positions, height, width))


def _shape(grid: SceneGrid, edge: int) -> tuple[int, int]:
    smaller = max(grid.height, grid.width, edge) / edge
    return max(round(grid.height / smaller), 1), max(round(grid.width / smaller), 1)


def _overview(band: Band, grid: SceneGrid, height: int, width: int) -> FloatArray:
    """Read one band over the scene's extent, ``(height, width)``, not-a-number for no data."""
    # a nodata value that only the product defines must not be averaged with data
    has_nodata = band.nodata is not None and not np.isnan(band.nodata)
    try:
        with open_raster(band.path) as dataset:
            unmarked = has_nodata and (dataset.nodata is None or band.quantized)
            how = Resampling.nearest if unmarked else Resampling.average
            if _same_extent(band.grid, grid):
                shape = (height, width)
                pixels = dataset.read(band.number, out_shape=shape, resampling=how, masked=True)
            else:
                pixels = _warped(dataset, band, grid, height, width, how)
    except RasterioError as error:
        raise SourceError(
            f"scene {grid.name!r}: cannot read {band.path} (is the file complete?): "
            f"{error.__cause__ or error}"
        ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        raw = pixels.astype(np.float32).filled(np.nan)
        values = values_of(raw) if band.quantized else raw * band.scale + band.offset
    valid = np.isfinite(values) & (raw != band.nodata) if has_nodata else np.isfinite(values)
    return np.where(valid, values, np.nan).astype(np.float32)


def _same_extent(one: SceneGrid, other: SceneGrid) -> bool:
    """Whether two grids cover the same ground, whatever the size of their pixels."""
    corners = [
        to_xy(grid, np.array([0.0, 0.0, grid.height]), np.array([0.0, grid.width, 0.0]))
        for grid in (one, other)
    ]
    pixel = np.abs(np.array(other.transform)[[0, 1, 3, 4]]).max()
    return one.crs == other.crs and bool(np.abs(corners[0] - corners[1]).max() <= 0.5 * pixel)


def _warped(
    dataset: rasterio.DatasetReader,
    band: Band,
    grid: SceneGrid,
    height: int,
    width: int,
    resampling: Resampling,
) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.generic]]:
    """Read a band whose extent differs from the scene's; overviews are of no use here."""
    to_scene = rasterio.Affine(*grid.transform)
    coarse = to_scene @ rasterio.Affine.scale(grid.width / width, grid.height / height)
    with WarpedVRT(
        dataset,
        crs=grid.crs,
        transform=coarse,
        height=height,
        width=width,
        resampling=resampling,
        src_nodata=band.nodata,
        nodata=band.nodata,
        add_alpha=band.nodata is None and not band.masked,
    ) as warped:
        pixels: np.ma.MaskedArray[tuple[int, ...], np.dtype[np.generic]]
        pixels = warped.read(band.number, masked=True)
        return pixels


def _from_patches(
    source: PoolSource,
    grid: SceneGrid,
    bands: Sequence[int],
    positions: IntArray,
    height: int,
    width: int,
) -> FloatArray:
    """Place the patches that are read where they lie, and fill the rest from the nearest."""
    size = source.patch_size
    every = max(1, -(-len(positions) * size**2 // _MOST_PIXELS))
    read = positions[::every]
    image = np.full((len(bands), height, width), np.nan, dtype=np.float32)
    windows = windows_of(source).take(read)
    # which pixel of the scene each pixel of the quicklook shows: the middle one
    rows = ((np.arange(height) + 0.5) * grid.height / height).astype(np.int64)
    cols = ((np.arange(width) + 0.5) * grid.width / width).astype(np.int64)
    tops, lefts = windows.row_off, windows.col_off
    spans = [
        np.searchsorted(*pair).tolist()
        for pair in ((rows, tops), (rows, tops + size), (cols, lefts), (cols, lefts + size))
    ]
    done = 0
    for _, patches in source.stream(read):
        for patch in patches[:, list(bands)]:
            down = slice(spans[0][done], spans[1][done])
            across = slice(spans[2][done], spans[3][done])
            inner = (rows[down] - tops[done])[:, None], cols[across] - lefts[done]
            image[:, down, across] = patch[:, *inner]
            done += 1
    return image if every == 1 else _spread(image)


def _spread(image: FloatArray) -> FloatArray:
    """Give each pixel without a value the value of the nearest pixel that has one."""
    from scipy.ndimage import distance_transform_edt

    empty = np.isnan(image[0])
    if empty.all():
        return image
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return np.asarray(image[:, nearest[0], nearest[1]], dtype=np.float32)
