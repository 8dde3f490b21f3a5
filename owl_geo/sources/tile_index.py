"""Raster tile indexes (GTI) as GDAL before 3.12 reads them, and a way around its mistake.

A window that begins exactly where a tile ends reads as missing there. So pixels are read through a
warped VRT on the same grid, block by block, whose blocks ask for a few pixels more than they need,
as many as keep every block from beginning where a tile ends.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.vrt import WarpedVRT

from owl_geo.errors import SourceError
from owl_geo.ground.raster_files import misread
from owl_geo.settings.subdatasets import file_of
from owl_geo.sources.virtual import sources_of

_BLOCK = 128  # pixels: height of a warped VRT's blocks, and a divisor of their width


def read_rightly(
    dataset: rasterio.DatasetReader, path: str, stack: ExitStack
) -> rasterio.DatasetReader | WarpedVRT:
    """Return a view of a tile index that reads right block by block; another dataset as it is.

    The caller sees to it that warped VRTs are read by blocks. Raises SourceError where tiles end at
    so many places that there is no such view.
    """
    fault = misread(dataset)
    if not fault:
        return dataset
    ends = _ends_of_tiles(dataset, path) % _BLOCK
    extra = next((n for n in range(1, _BLOCK) if (_BLOCK - n) not in ends), None)
    if extra is None:
        raise SourceError(f"{path} {fault.what}", remedy=fault.remedy)
    has_mask = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    return stack.enter_context(
        WarpedVRT(
            dataset,
            crs=dataset.crs,
            transform=dataset.transform,
            height=dataset.height,
            width=dataset.width,
            tolerance=1e-6,
            add_alpha=has_mask,
            SOURCE_EXTRA=str(extra),
        )
    )


def _ends_of_tiles(dataset: rasterio.DatasetReader, path: str) -> NDArray[np.int64]:
    """Return the columns and rows before which tiles end."""
    import pyogrio

    index = Path(file_of(path))
    if index.suffix.lower() == ".gti":
        index = next(iter(sources_of(index)), index)
    try:
        _, (_, y_min, x_max, _) = pyogrio.read_bounds(index)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise SourceError(f"cannot read the tiles of {path}: {error}") from error
    to_pixels = ~dataset.transform
    cols = to_pixels.a * x_max + to_pixels.c
    rows = to_pixels.e * y_min + to_pixels.f
    return np.unique(np.round(np.concatenate([cols, rows])).astype(np.int64))
