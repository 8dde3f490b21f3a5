"""A tile as its headers describe it: arrays that fit each other, and the grid of the land mask."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import NotGeoreferencedWarning

from owl_geo.disk.presence import check_exists, is_file
from owl_geo.errors import SceneError, SourceError
from owl_geo.ground.raster_files import misplaced
from owl_geo.settings.sources import TileSettings
from owl_geo.sources.arrays.layout import LAND_MASKS, SCALES, Layout, read_table
from owl_geo.sources.bands import Band
from owl_geo.sources.editions import edition
from owl_geo.sources.files import grid_in, open_raster
from owl_geo.types import EMBEDDING, AnyArray, SceneGrid

_FEWEST = 8  # numbers in a vector, as of other embeddings
_FETCH = "fetch the tile anew: geotessera download --format npy, or --format tiff for GeoTIFFs"


@dataclass(frozen=True)
class Tile:
    """A tile that can be read: its files, its grid, and the bands that its numbers are."""

    vectors: Path
    scales: Path | None  # None: the array holds values
    grid: SceneGrid
    bands: tuple[Band, ...]


def describe_tile(settings: TileSettings) -> Tile:
    """Read the headers of a tile's files, and its land mask's.

    Raises SceneError where a file is missing or cannot be read, where the arrays are not those of a
    tile, and where they do not fit each other or the mask.
    """
    layout = Layout.of(settings.path)
    try:
        vectors = open_array(layout.vectors)
        if layout.export is not None:
            grid, version = _exported(layout, vectors)
        else:
            _check_quantized(layout, vectors)
            grid, version = _masked(layout, vectors), layout.edition()
    except SourceError as error:
        raise SceneError(
            f"scene {settings.name!r}: {error.message}", remedy=error.remedy
        ) from error
    grid = replace(grid, name=settings.name)
    bands = tuple(
        Band(
            name=f"Tessera_Band_{number}",  # as in the GeoTIFF of the same tile
            path=str(layout.vectors),
            number=number + 1,
            grid=grid,
            dtype="float32",
            driver="NumPy",
            blocks=(1, 1),
            common=EMBEDDING,
            edition=version,
        )
        for number in range(vectors.shape[2])
    )
    return Tile(layout.vectors, layout.scales, grid, bands)


def open_array(path: Path) -> AnyArray:
    """Map an array into memory, so that only what is asked for is read; raises SourceError."""
    check_exists(path, SourceError)
    try:
        array: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise SourceError(
            f"cannot read {path} as a NumPy array (is the file whole?): {reason}", remedy=_FETCH
        ) from error
    return array


def _check_quantized(layout: Layout, vectors: AnyArray) -> None:
    """Raise SourceError for vectors that are none, and scales that are missing or do not fit."""
    path, scales_path = layout.vectors, layout.scales
    assert scales_path is not None
    if path.stem.endswith(SCALES):
        whole = path.with_name(f"{path.stem.removesuffix(SCALES)}{path.suffix}")
        raise SourceError(f"{path} holds scales, not vectors", remedy=f"name {whole}")
    if vectors.ndim != 3 or vectors.shape[2] < _FEWEST or vectors.dtype != np.int8:
        raise SourceError(
            f"{path} is {_of(vectors)}, not int8 of rows, columns and the numbers of a vector",
            remedy="name a tile of TESSERA's as geotessera downloads it",
        )
    if not is_file(scales_path):
        raise SourceError(
            f"{path.name} has no scales beside it, so that its integers mean nothing: looked for "
            f"{scales_path}",
            remedy=_FETCH,
        )
    scales = open_array(scales_path)
    if not np.issubdtype(scales.dtype, np.floating) or scales.shape not in (
        vectors.shape[:2],
        vectors.shape,
    ):
        raise SourceError(
            f"{scales_path} is {_of(scales)}, which are no scales of {path.name}, {_of(vectors)}",
            remedy=_FETCH,
        )


def _masked(layout: Layout, vectors: AnyArray) -> SceneGrid:
    """Return the grid of the land mask; raises SourceError where it is not that of the vectors."""
    path = layout.mask
    if not is_file(path):
        raise SourceError(
            f"{layout.vectors.name} has no land mask, the raster that says where it lies: looked "
            f"for {path.name} in {LAND_MASKS} beside it, at {path}",
            remedy=_FETCH,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it becomes an error below
        dataset = open_raster(str(path))
    with dataset:
        fault = misplaced(dataset)
        if fault:
            raise SourceError(f"{path} {fault.what}", remedy=fault.remedy)
        grid = grid_in(dataset, path.stem)
    _check_size(vectors, (grid.height, grid.width), layout.vectors, path)
    return grid


def _check_size(vectors: AnyArray, size: tuple[int, int], path: Path, by: Path) -> None:
    height, width = vectors.shape[:2]
    if (height, width) != size:
        raise SourceError(
            f"{path} has {height:,} x {width:,} pixels (rows x columns) and {by} {size[0]:,} x "
            f"{size[1]:,}: they are not of one tile",
            remedy=_FETCH,
        )


def _exported(layout: Layout, vectors: AnyArray) -> tuple[SceneGrid, str]:
    """Return grid and edition of an export of values, as its JSON has them."""
    path = layout.export
    assert path is not None
    if not is_file(path):
        raise SourceError(f"{layout.vectors.name} does not say where it lies: no {path}")
    if vectors.ndim != 3 or not np.issubdtype(vectors.dtype, np.floating):
        raise SourceError(
            f"{layout.vectors} is {_of(vectors)}, not values of rows, columns and the numbers of a "
            "vector"
        )
    table = read_table(path)
    bands, depth = table.get("bands"), vectors.shape[2]
    if depth < _FEWEST or bands not in (None, list(range(depth))):
        raise SourceError(
            f"{layout.vectors} has {depth} chosen bands, which are a vector only together",
            remedy="export it with all bands",
        )
    try:
        crs = CRS.from_user_input(table.get("crs"))
        a, b, c, d, e, f = (float(term) for term in list(table["transform"])[:6])  # type: ignore[call-overload]
    except (CRSError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} does not say where {layout.vectors.name} lies: it needs crs and transform"
        ) from error
    if not np.isfinite([a, b, c, d, e, f]).all() or a * e == b * d:
        raise SourceError(f"{path} has a transform that puts its pixels nowhere")
    authority = crs.to_authority()
    code = ":".join(authority) if authority else crs.to_wkt()
    grid = SceneGrid(layout.name, code, (a, b, c, d, e, f), *vectors.shape[:2])
    return grid, edition(str(table.get("dataset_version") or ""))


def _of(array: AnyArray) -> str:
    """Return type and shape for a message: ``int8 (1111, 694, 128)``."""
    return f"{array.dtype.name} {tuple(array.shape)}"
