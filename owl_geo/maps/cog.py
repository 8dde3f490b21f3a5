"""The maps of one scene as cloud-optimised GeoTIFFs."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # nosec B405 # only to write

import numpy as np
import rasterio
import rasterio.shutil
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from owl_geo.disk.atomic import check_space, writing_file
from owl_geo.maps.cells import Cells, means
from owl_geo.maps.style import class_colours, class_style, probability_style
from owl_geo.types import FloatArray, SceneGrid

BANDS = ("probability", "uncertainty")
NO_CLASS = 255
_TILE = 256
_TAGS = {"TIFFTAG_SOFTWARE": "owl-geo"}


def write_maps(
    probability_path: Path,
    class_path: Path,
    cells: Cells,
    probabilities: FloatArray,
    uncertainty: FloatArray,
    *,
    classes: Sequence[str],
    positive: str,
    tags: Mapping[str, str],
) -> None:
    """Write what a model says of the patches of one scene, each file whole, over what was there.

    ``probability_path`` gets two bands of float32, the probability of ``positive`` and the
    uncertainty, not-a-number where no patch lies; ``class_path`` the number of the most probable
    class as uint8, 255 where no patch lies, with a colour table. Where patches overlap, all are
    means over the patches. Both have overviews, statistics and a QGIS style beside them.

    Args:
        probability_path: of the first file.
        class_path: of the second; the classes' names stand in its ``.aux.xml``.
        cells: that the patches fill.
        probabilities: float32 ``(n, classes)``.
        uncertainty: float32 ``(n,)``.
        classes: their names, at most 255.
        positive: the one that is searched for.
        tags: what else is to be said in the files' headers.

    Raises RunError where the disk is full or the folder cannot be written.
    """
    if len(classes) > NO_CLASS:
        raise ValueError(f"{len(classes)} classes do not fit into uint8")
    number = list(classes).index(positive)
    with ExitStack() as stack:
        partials = [
            stack.enter_context(writing_file(path)) for path in (probability_path, class_path)
        ]
        check_space(probability_path.parent, _bytes(cells.grid))
        folder = Path(stack.enter_context(_scratch(probability_path.parent)))
        plain = (folder / "probability.tif", folder / "class.tif")
        with (
            _open(plain[0], cells.grid, "float32", len(BANDS), np.nan) as of_probability,
            _open(plain[1], cells.grid, "uint8", 1, NO_CLASS) as of_class,
        ):
            _describe(of_probability, of_class, classes, {**tags, "positive": positive})
            for row, values in means(cells, np.column_stack([probabilities, uncertainty])):
                window = Window(0, row, cells.grid.width, values.shape[1])
                of_probability.write(values[[number, -1]].astype(np.float32), window=window)
                best = values[:-1].argmax(axis=0).astype(np.uint8)
                best[np.isnan(values[0])] = NO_CLASS
                of_class.write(best, 1, window=window)
        _optimise(plain[0], partials[0], Resampling.average)
        _optimise(plain[1], partials[1], Resampling.mode)
        for partial in partials:
            _beside(partial).unlink(missing_ok=True)
    write_text(probability_path.with_suffix(".qml"), probability_style())
    write_text(class_path.with_suffix(".qml"), class_style(classes))
    # a GeoTIFF has no place for the names of classes, nor words for every CRS
    crs = None if _knows_its_crs(probability_path) else cells.grid.crs
    if crs is not None:
        write_text(_beside(probability_path), _further(crs, None))
    write_text(_beside(class_path), _further(crs, classes))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole; raises RunError."""
    with writing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def category_names(classes: Sequence[str]) -> ET.Element:
    """Return the names of classes as GDAL's XML files have them, in the order of their numbers."""
    names = ET.Element("CategoryNames")
    for name in classes:
        ET.SubElement(names, "Category").text = name
    return names


def _bytes(grid: SceneGrid) -> int:
    """Return what a scene's maps may take while they are made: plain files, then optimised ones."""
    tiles = math.ceil(grid.height / _TILE) * math.ceil(grid.width / _TILE)
    per_pixel = 4 * len(BANDS) + 1
    return int(tiles * _TILE**2 * per_pixel * 2.4)  # overviews add a third


def _scratch(folder: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder)


def _open(path: Path, grid: SceneGrid, dtype: str, count: int, nodata: float) -> Any:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=count,
        dtype=dtype,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        nodata=nodata,
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        BIGTIFF="IF_SAFER",
    )


def _describe(
    of_probability: Any, of_class: Any, classes: Sequence[str], tags: Mapping[str, str]
) -> None:
    of_probability.descriptions = BANDS
    of_probability.update_tags(**_TAGS, **tags)
    of_class.descriptions = ("class",)
    of_class.update_tags(**_TAGS, **tags)
    colours = {number: (*rgb, 255) for number, rgb in enumerate(class_colours(classes))}
    of_class.write_colormap(1, {**colours, NO_CLASS: (0, 0, 0, 0)})


def _optimise(plain: Path, path: Path, resampling: Resampling) -> None:
    """Turn a plain GeoTIFF into a cloud-optimised one; raises OSError where it came out broken."""
    rasterio.shutil.copy(
        plain,
        path,
        driver="COG",
        COMPRESS="DEFLATE",
        PREDICTOR="YES",  # for floats the third, which separates exponents from mantissas
        BLOCKSIZE=_TILE,
        OVERVIEW_RESAMPLING=resampling.name.upper(),
        STATISTICS="YES",
        BIGTIFF="IF_SAFER",
    )
    with rasterio.open(path) as dataset:  # on a full disk GDAL may leave off without an error
        for _, window in dataset.block_windows():
            dataset.read(window=window)


def _knows_its_crs(path: Path) -> bool:
    with rasterio.open(path) as dataset:
        return dataset.crs is not None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".aux.xml")


def _further(crs: str | None, classes: Sequence[str] | None) -> str:
    """Return what GDAL reads beside a file: a CRS, with x before y, and names of classes."""
    root = ET.Element("PAMDataset")
    if crs is not None:
        text = CRS.from_user_input(crs).to_wkt()
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = text
    if classes is not None:
        ET.SubElement(root, "PAMRasterBand", band="1").append(category_names(classes))
    return ET.tostring(root, encoding="unicode")
