"""A map of one scene as a cloud-optimised GeoTIFF."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
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
        check_space(path.parent, _bytes(grid, kind))
        stack.enter_context(room_for(path.parent, _bytes(grid, kind)))
        folder = Path(stack.enter_context(_scratch(path.parent)))
        plain = folder / "plain.tif"
        with _open(plain, grid, kind) as dataset:
            _describe(dataset, kind, tags)
            for row, values in strips:
                dataset.write(values, window=Window(0, row, grid.width, values.shape[1]))
        _optimise(plain, partial, kind.resampling)
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


def _bytes(grid: SceneGrid, kind: RasterKind) -> int:
    """Return the space that making a map may take: for a plain file, then an optimised one."""
    tiles = math.ceil(grid.height / _TILE) * math.ceil(grid.width / _TILE)
    per_pixel = np.dtype(kind.dtype).itemsize * len(kind.bands)
    return int(tiles * _TILE**2 * per_pixel * 2.4)  # overviews add a third


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
        BIGTIFF="IF_SAFER",
    )


def _describe(dataset: Any, kind: RasterKind, tags: Mapping[str, str]) -> None:
    dataset.descriptions = tuple(kind.bands)
    dataset.update_tags(**_TAGS, **tags)
    if kind.categories is not None:
        colours = {n: (*rgb, 255) for n, rgb in enumerate(class_colours(kind.categories))}
        dataset.write_colormap(1, {**colours, NO_CLASS: (0, 0, 0, 0)})


def _optimise(plain: Path, path: Path, resampling: Resampling) -> None:
    """Turn a plain GeoTIFF into a cloud-optimised one; raises OSError if the result is broken."""
    rasterio.shutil.copy(
        plain,
        path,
        driver="COG",
        COMPRESS="DEFLATE",
        PREDICTOR="YES",  # predictor 3 for floats, which separates exponents from mantissas
        BLOCKSIZE=_TILE,
        OVERVIEW_RESAMPLING=resampling.name.upper(),
        STATISTICS="YES",
        BIGTIFF="IF_SAFER",
    )
    with rasterio.open(path) as dataset:  # on a full disk GDAL may stop without an error
        for _, window in dataset.block_windows():
            dataset.read(window=window)


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
