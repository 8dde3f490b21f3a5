"""A map of one scene as a cloud-optimised GeoTIFF.

It is copied from an ordinary GeoTIFF that is compressed in the same way and has the same overviews,
so that nobody has to guess how much room the copy takes, and no more than twice that is ever used.
"""

from __future__ import annotations

import math
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # nosec B405 # only to write

import numpy as np
import rasterio
import rasterio.shutil
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from owl_geo.disk.atomic import check_space, room_for, writing_file
from owl_geo.maps.style import class_colours
from owl_geo.types import AnyArray, SceneGrid

NO_CLASS = 255
_TILE = 256
_HEADERS = 2**16  # bytes, more than the copy may be larger where a map is tiny
_FIRST = 2**22  # bytes that must be free for a larger map too, before anybody knows what it takes
_TAGS = {"TIFFTAG_SOFTWARE": "owl-geo"}


@dataclass(frozen=True)
class RasterKind:
    """What a map holds."""

    bands: Sequence[str]
    dtype: str
    nodata: float
    resampling: Resampling  # for the overviews
    categories: Sequence[str] | None = None  # class names, if the map holds class numbers


def write_map(
    path: Path,
    grid: SceneGrid,
    strips: Iterable[tuple[int, AnyArray]],
    kind: RasterKind,
    *,
    style: str,
    tags: Mapping[str, str],
) -> None:
    """Write a complete map of one scene, with overviews and statistics, replacing any existing one.

    A map of class numbers has a colour table, and the class names are in the ``.aux.xml``.

    Args:
        path: the GeoTIFF to write.
        grid: the grid of the cells.
        strips: from top to bottom, a first row and its values ``(bands, rows, width)``.
        kind: what the values are.
        style: the QGIS style that is put beside the file.
        tags: further entries for the file's header.

    Raises RunError if the disk is full or the folder cannot be written, ValueError for more than
    255 classes.
    """
    if kind.categories is not None and len(kind.categories) > NO_CLASS:
        raise ValueError(f"{len(kind.categories)} classes do not fit in uint8")
    with ExitStack() as stack:
        partial = stack.enter_context(writing_file(path))
        most = _most_bytes(grid, kind)
        check_space(path.parent, min(most, _FIRST))
        folder = Path(stack.enter_context(_scratch(path.parent)))
        # within the folder, since what is written there is gone once that is left
        stack.enter_context(room_for(path.parent, most))
        plain = folder / "plain.tif"
        with _open(plain, grid, kind) as dataset:
            _describe(dataset, kind, tags)
            written = list(_write(dataset, grid, strips, kind))
        _add_overviews(plain, grid, kind)
        check_space(path.parent, _bytes_of_copy(plain))
        _optimise(plain, partial)
        _check_written(partial, written)
        _beside(partial).unlink(missing_ok=True)
    write_text(path.with_suffix(".qml"), style)
    # a GeoTIFF cannot hold class names, nor describe every CRS
    crs = None if _knows_its_crs(path) else grid.crs
    if crs is not None or kind.categories is not None:
        write_text(_beside(path), _further(crs, kind.categories))


def write_text(path: Path, text: str) -> None:
    """Write a complete text file; raises RunError."""
    with writing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def category_names(classes: Sequence[str]) -> ET.Element:
    """Return class names as they appear in GDAL's XML files, in the order of their numbers."""
    names = ET.Element("CategoryNames")
    for name in classes:
        ET.SubElement(names, "Category").text = name
    return names


def _bytes_of_copy(plain: Path) -> int:
    """Return how large the cloud-optimised copy of a map is, or a little more."""
    return int(plain.stat().st_size * 1.05) + _HEADERS  # it marks where each tile begins and ends


def _most_bytes(grid: SceneGrid, kind: RasterKind) -> int:
    """Return how large a map is at most, where nothing can be compressed."""
    tiles = math.ceil(grid.height / _TILE) * math.ceil(grid.width / _TILE)
    per_pixel = np.dtype(kind.dtype).itemsize * len(kind.bands)
    return int(tiles * _TILE**2 * per_pixel * 1.4) + _HEADERS  # overviews add a third


def _scratch(folder: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder)


def _open(path: Path, grid: SceneGrid, kind: RasterKind) -> Any:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=len(kind.bands),
        dtype=kind.dtype,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        nodata=kind.nodata,
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        compress="DEFLATE",
        zlevel=1,  # the quickest; the copy is compressed further
        predictor=3 if np.issubdtype(kind.dtype, np.floating) else 2,
        BIGTIFF="IF_SAFER",
    )


def _write(
    dataset: Any, grid: SceneGrid, strips: Iterable[tuple[int, AnyArray]], kind: RasterKind
) -> Iterator[tuple[Window, int]]:
    """Write strips, and yield the window and a checksum of each."""
    for row, values in strips:
        window = Window(0, row, grid.width, values.shape[1])
        pixels = np.ascontiguousarray(values, dtype=kind.dtype)
        dataset.write(pixels, window=window)
        yield window, zlib.crc32(pixels.data)


def _check_written(path: Path, written: Iterable[tuple[Window, int]]) -> None:
    """Raise OSError unless a map holds what was written: on a full disk GDAL may go on silently."""
    with rasterio.open(path) as dataset:
        for window, checksum in written:
            if zlib.crc32(np.ascontiguousarray(dataset.read(window=window)).data) != checksum:
                raise OSError("the map is incomplete (is the disk full?)")


def _add_overviews(path: Path, grid: SceneGrid, kind: RasterKind) -> None:
    """Add overviews, each half as large as the one before, until one fits into a tile."""
    n = math.ceil(math.log2(max(grid.height, grid.width, _TILE) / _TILE))
    if n:
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2**level for level in range(1, n + 1)], kind.resampling)


def _describe(dataset: Any, kind: RasterKind, tags: Mapping[str, str]) -> None:
    dataset.descriptions = tuple(kind.bands)
    dataset.update_tags(**_TAGS, **tags)
    if kind.categories is not None:
        colours = {n: (*rgb, 255) for n, rgb in enumerate(class_colours(kind.categories))}
        dataset.write_colormap(1, {**colours, NO_CLASS: (0, 0, 0, 0)})


def _optimise(plain: Path, path: Path) -> None:
    """Turn a GeoTIFF with overviews into a cloud-optimised one."""
    rasterio.shutil.copy(
        plain,
        path,
        driver="COG",
        COMPRESS="DEFLATE",
        PREDICTOR="YES",  # predictor 3 for floats, which separates exponents from mantissas
        BLOCKSIZE=_TILE,
        STATISTICS="YES",
        BIGTIFF="IF_SAFER",
    )


def _knows_its_crs(path: Path) -> bool:
    with rasterio.open(path) as dataset:
        return dataset.crs is not None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".aux.xml")


def _further(crs: str | None, classes: Sequence[str] | None) -> str:
    """Return what GDAL reads beside a file: a CRS, with x before y, and class names."""
    root = ET.Element("PAMDataset")
    if crs is not None:
        text = CRS.from_user_input(crs).to_wkt()
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = text
    if classes is not None:
        ET.SubElement(root, "PAMRasterBand", band="1").append(category_names(classes))
    return ET.tostring(root, encoding="unicode")
