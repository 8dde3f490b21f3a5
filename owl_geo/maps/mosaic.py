"""One virtual raster over the maps of all scenes, in whatever CRS each of them is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from owl_geo.atomic import disk_errors, writing_file
from owl_geo.grid import bounds, to_xy
from owl_geo.maps.cog import category_names, write_text
from owl_geo.maps.style import class_colours, class_style, probability_style
from owl_geo.types import SceneGrid

_GEOGRAPHIC = "EPSG:4326"
_TYPES = {"float32": "Float32", "uint8": "Byte"}


@dataclass(frozen=True)
class _Part:
    """One raster of the mosaic, north up and in its CRS."""

    path: Path
    transform: tuple[float, float, float, float, float, float]
    height: int
    width: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        a, _, c, _, e, f = self.transform
        return c, f + e * self.height, c + a * self.width, f


def write_mosaic(path: Path, rasters: Sequence[Path], classes: Sequence[str] | None = None) -> None:
    """Write a VRT over ``rasters``, with relative paths and a QGIS style beside it.

    All rasters have the same bands; ``classes`` are named for those that hold numbers of classes.
    The mosaic has the smallest cells among its parts. Its CRS is the rasters' own where they share
    one, else EPSG:4326. A raster in another CRS, rotated or south up, takes part by a warped VRT
    beside it, whose cells are half as large, so that no patch falls between two of them.

    Raises RunError where the disk is full or the folder cannot be written.
    """
    grids = [_grid(raster) for raster in rasters]
    systems = {CRS.from_user_input(grid.crs) for grid in grids}
    crs = grids[0].crs if len(systems) == 1 else _GEOGRAPHIC
    with disk_errors(path):
        parts = [_part(raster, grid, crs) for raster, grid in zip(rasters, grids, strict=True)]
    root = _mosaic(path, parts, crs, rasters[0], classes)
    write_text(path, ET.tostring(root, encoding="unicode"))
    style = probability_style() if classes is None else class_style(classes)
    write_text(path.with_suffix(".qml"), style)


def _grid(path: Path) -> SceneGrid:
    with rasterio.open(path) as dataset:
        transform = tuple(dataset.transform)[:6]
        return SceneGrid(path.stem, dataset.crs.to_wkt(), transform, dataset.height, dataset.width)


def _part(path: Path, grid: SceneGrid, crs: str) -> _Part:
    """Return the raster as it is, or the warped VRT that is made beside it."""
    a, b, _, d, e, _ = grid.transform
    warped = path.with_suffix(".vrt")
    same_crs = CRS.from_user_input(grid.crs) == CRS.from_user_input(crs)
    if same_crs and b == d == 0 and a > 0 > e:
        warped.unlink(missing_ok=True)
        return _Part(path, grid.transform, grid.height, grid.width)
    left, bottom, right, top = bounds(grid)
    if same_crs and b == d == 0:
        x_edge, y_edge = abs(a), abs(e)  # only turned over, so its cells stay
    else:
        left, bottom, right, top = transform_bounds(grid.crs, crs, left, bottom, right, top)
        if right < left:  # across the date line
            right += 360
        x_edge = y_edge = _cell_edge(grid, crs) / 2
    part = _Part(
        warped,
        (x_edge, 0.0, left, 0.0, -y_edge, top),
        math.ceil((top - bottom) / y_edge - 1e-6),
        math.ceil((right - left) / x_edge - 1e-6),
    )
    with (
        writing_file(warped) as partial,
        rasterio.open(path.absolute()) as dataset,
        WarpedVRT(
            dataset,
            crs=crs,
            transform=rasterio.Affine(*part.transform),
            height=part.height,
            width=part.width,
            resampling=Resampling.nearest,
            tolerance=1e-3,  # cells
        ) as virtual,
    ):
        rasterio.shutil.copy(virtual, partial.absolute(), driver="VRT")
    return part


def _cell_edge(grid: SceneGrid, crs: str) -> float:
    """Return the shorter edge of the scene's middle cell in units of another CRS."""
    row, col = grid.height / 2, grid.width / 2
    corners = to_xy(grid, np.array([row, row, row + 1]), np.array([col, col + 1, col]))
    x, y = Transformer.from_crs(grid.crs, crs, always_xy=True).transform(*corners.T)
    return float(min(math.hypot(x[i] - x[0], y[i] - y[0]) for i in (1, 2)))


def _mosaic(
    path: Path,
    parts: Sequence[_Part],
    crs: str,
    like: Path,
    classes: Sequence[str] | None,
) -> ET.Element:
    boxes = np.array([part.box for part in parts])
    left, top = boxes[:, 0].min(), boxes[:, 3].max()
    x_edge = min(part.transform[0] for part in parts)
    y_edge = min(-part.transform[4] for part in parts)
    width = math.ceil((boxes[:, 2].max() - left) / x_edge - 1e-6)
    height = math.ceil((top - boxes[:, 1].min()) / y_edge - 1e-6)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    srs = ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping=_axes(crs))
    srs.text = CRS.from_user_input(crs).to_wkt()
    terms = (left, x_edge, 0.0, top, 0.0, -y_edge)
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(term)) for term in terms)
    with rasterio.open(like) as dataset:
        bands = list(zip(dataset.descriptions, dataset.dtypes, dataset.nodatavals, strict=True))
    for number, (description, dtype, nodata) in enumerate(bands, start=1):
        band = ET.SubElement(root, "VRTRasterBand", dataType=_TYPES[dtype], band=str(number))
        ET.SubElement(band, "Description").text = description
        ET.SubElement(band, "NoDataValue").text = f"{nodata:g}"
        ET.SubElement(band, "ColorInterp").text = "Gray" if classes is None else "Palette"
        if classes is not None:
            band.append(_colour_table(classes))
            band.append(category_names(classes))
        for part in parts:
            left_at = (part.box[0] - left) / x_edge
            top_at = (top - part.box[3]) / y_edge
            source = ET.SubElement(band, "ComplexSource", resampling="nearest")
            name = ET.SubElement(source, "SourceFilename", relativeToVRT="1")
            name.text = part.path.relative_to(path.parent).as_posix()
            ET.SubElement(source, "SourceBand").text = str(number)
            ET.SubElement(
                source,
                "SourceProperties",
                RasterXSize=str(part.width),
                RasterYSize=str(part.height),
                DataType=_TYPES[dtype],
                BlockXSize="256",
                BlockYSize="256",
            )
            ET.SubElement(source, "SrcRect", _rect(0, 0, part.width, part.height))
            ET.SubElement(
                source,
                "DstRect",
                _rect(
                    _whole(left_at),
                    _whole(top_at),
                    _whole(part.width * part.transform[0] / x_edge),
                    _whole(part.height * -part.transform[4] / y_edge),
                ),
            )
            # what one scene does not know must not cover what another does
            ET.SubElement(source, "NODATA").text = f"{nodata:g}"
    return root


def _axes(crs: str) -> str:
    """Say which axis of the CRS x and y are: GDAL's own order is the authority's."""
    axis = CRS.from_user_input(crs).axis_info
    north_first = bool(axis) and axis[0].direction in ("north", "south")
    return "2,1" if north_first else "1,2"


def _whole(value: float) -> float:
    """Round away what is less than a thousandth of a cell, so that equal grids meet exactly."""
    near = float(round(value))
    return near if abs(value - near) < 1e-3 else value


def _rect(x: float, y: float, width: float, height: float) -> dict[str, str]:
    values = {"xOff": x, "yOff": y, "xSize": width, "ySize": height}
    return {name: repr(float(value)) for name, value in values.items()}


def _colour_table(classes: Sequence[str]) -> ET.Element:
    table = ET.Element("ColorTable")
    for red, green, blue in class_colours(classes):
        ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4="255")
    return table
