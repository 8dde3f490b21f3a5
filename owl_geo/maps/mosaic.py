"""One virtual raster over the maps of all scenes, whatever CRS each of them has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET  # nosec B405 # only to write

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from owl_geo.disk.atomic import disk_errors, writing_file
from owl_geo.ground.crs import GEOGRAPHIC, around_the_earth, crs_of
from owl_geo.ground.grid import bounds, to_xy
from owl_geo.ground.transformations import reproject
from owl_geo.maps.cog import category_names, write_text
from owl_geo.maps.style import class_colours
from owl_geo.types import SceneGrid

_NEAR = 1e-3  # of a cell: an offset too small to matter
_FLATTEST = 1 / 16  # of the cell in the middle: flatter ones, as at a pole, may fall between cells
_TYPES = {"float32": "Float32", "uint8": "Byte"}


Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True)
class _Part:
    """One raster of the mosaic, and the mosaic's cells that it fills."""

    path: Path
    height: int  # of the raster
    width: int
    cells: tuple[int, int, int, int]  # first column, first row, columns, rows


@dataclass(frozen=True)
class _Frame:
    """The grid of the mosaic: aligned with its axes, north up."""

    crs: str
    left: float
    top: float
    x_edge: float
    y_edge: float

    def window(self, box: Box) -> tuple[float, float, float, float]:
        """Return first column, first row, columns and rows of a box, in fractional cells."""
        left, bottom, right, top = box
        return (
            (left - self.left) / self.x_edge,
            (self.top - top) / self.y_edge,
            (right - left) / self.x_edge,
            (top - bottom) / self.y_edge,
        )

    def fits(self, box: Box) -> bool:
        """Whether a box starts and ends on cell boundaries, to within a thousandth of a cell."""
        return all(abs(term - round(term)) < _NEAR for term in self.window(box))


def write_mosaic(
    path: Path,
    rasters: Sequence[Path],
    *,
    style: str,
    categories: Sequence[str] | None = None,
) -> None:
    """Write a VRT over ``rasters``, with relative paths and a QGIS ``style`` beside it.

    All rasters have the same bands; ``categories`` are the class names, if the rasters hold class
    numbers. The cells are as small as the smallest among the rasters, or half as large where the
    grids do not line up, so that no patch falls between two cells. The CRS is the rasters' own if
    they share one, else EPSG:4326. A raster that does not fit, because it is in another CRS,
    rotated, south up or shifted, is included through a warped VRT beside it, each cell of which has
    the value at its centre. Longitudes in EPSG:4326 are from -180 to 180, as those of the patches
    are: a raster across the antimeridian is included through two.

    Raises RunError if the disk is full or the folder cannot be written.
    """
    grids = [_grid(raster) for raster in rasters]
    systems = {crs_of(grid.crs) for grid in grids}
    crs = grids[0].crs if len(systems) == 1 else GEOGRAPHIC
    boxes = [[bounds(grid)] if len(systems) == 1 else _boxes_in_degrees(grid) for grid in grids]
    frame = _frame(grids, crs, [box for of_grid in boxes for box in of_grid])
    with disk_errors(path):
        parts = [
            part
            for raster, grid, of_grid in zip(rasters, grids, boxes, strict=True)
            for part in _parts(raster, grid, of_grid, frame)
        ]
    root = _mosaic(path, parts, frame, rasters[0], categories)
    ET.indent(root)
    write_text(path, ET.tostring(root, encoding="unicode"))
    write_text(path.with_suffix(".qml"), style)


def _grid(path: Path) -> SceneGrid:
    with rasterio.open(path) as dataset:
        transform = tuple(dataset.transform)[:6]
        return SceneGrid(path.stem, dataset.crs.to_wkt(), transform, dataset.height, dataset.width)


def _frame(grids: Sequence[SceneGrid], crs: str, boxes: Sequence[Box]) -> _Frame:
    edges = np.array([_cell_edges(grid, crs) for grid in grids]).min(axis=0).tolist()
    frame = _Frame(crs, min(box[0] for box in boxes), max(box[3] for box in boxes), *edges)
    if all(map(frame.fits, boxes)) and all(_is_square_to(grid, crs) for grid in grids):
        return frame
    return replace(frame, x_edge=frame.x_edge / 2, y_edge=frame.y_edge / 2)


def _is_square_to(grid: SceneGrid, crs: str) -> bool:
    """Whether the grid's rows and columns run along the axes of the CRS."""
    _, b, _, d, _, _ = grid.transform
    return b == d == 0 and CRS.from_user_input(grid.crs) == CRS.from_user_input(crs)


def _boxes_in_degrees(grid: SceneGrid) -> list[Box]:
    """Return the grid's extent in EPSG:4326, several where it crosses the antimeridian."""
    left, bottom, right, top = _extent_in_degrees(grid)
    first, last = math.floor((left + 180) / 360), math.ceil((right + 180) / 360)
    return [
        (max(left - turn, -180.0), bottom, min(right - turn, 180.0), top)
        for turn in (360.0 * k for k in range(first, last))
    ]


def _extent_in_degrees(grid: SceneGrid) -> Box:
    if crs_of(grid.crs) == crs_of(GEOGRAPHIC):
        return bounds(grid)
    left, bottom, right, top = transform_bounds(grid.crs, GEOGRAPHIC, *bounds(grid))
    return left, bottom, right + 360 if right < left else right, top  # across the date line


def _cell_edges(grid: SceneGrid, crs: str) -> tuple[float, float]:
    """Return width and height of the cells; in another CRS, both are the shorter edge of one.

    That is of the cell in the middle, or less where half of it would not fit into every cell: near
    a pole, a cell that is turned is flat in degrees, and Mercator's are smaller towards the poles.
    """
    if _is_square_to(grid, crs):
        return abs(grid.transform[0]), abs(grid.transform[4])
    share = np.array([0.5, 0.0, 1.0])  # the middle first
    row, col = (part.ravel() for part in np.meshgrid(share * grid.height, share * grid.width))
    to_crs = Transformer.from_crs(grid.crs, crs, always_xy=True)
    start, across, down = (
        np.stack(to_crs.transform(*to_xy(grid, row + i, col + j).T), axis=-1)
        for i, j in ((0, 0), (0, 1), (1, 0))
    )
    with np.errstate(invalid="ignore"):  # a corner may lie beyond the Earth
        steps = np.stack([across - start, down - start], axis=1)
        if CRS.from_user_input(crs).is_geographic:
            steps[..., 0] = (steps[..., 0] + 180) % 360 - 180
    middle = float(np.hypot(*steps[0].T).min())
    squares = 2 * _squares_within(steps[np.isfinite(steps).all(axis=(1, 2))])
    edge = max(float(squares.min(initial=middle)), middle * _FLATTEST)
    return edge, edge


def _squares_within(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edge of the largest square along the axes within each parallelogram, ``(n,)``.

    Their edges are ``(n, 2, 2)``. Cells that are no larger have a centre in each of them.
    """
    (a, b), (c, d) = steps.transpose(1, 2, 0)
    return np.asarray(abs(a * d - b * c) / np.maximum(abs(a) + abs(b), abs(c) + abs(d)))


def forget(raster: Path) -> None:
    """Delete the warped VRTs that mosaics keep beside a raster."""
    for warped in _beside(raster):
        warped.unlink(missing_ok=True)


def _beside(raster: Path) -> tuple[Path, Path]:
    """Return where a raster's warped VRTs are; no scene's file is called like the second."""
    return raster.with_suffix(".vrt"), raster.with_name(f"{raster.stem}~180.vrt")


def _parts(path: Path, grid: SceneGrid, boxes: Sequence[Box], frame: _Frame) -> list[_Part]:
    """Return the raster itself, or warped VRTs that are made beside it, one per box."""
    forget(path)
    a, _, _, _, e, _ = grid.transform
    if len(boxes) == 1 and _is_square_to(grid, frame.crs) and a > 0 > e and frame.fits(boxes[0]):
        col, row, cols, rows = map(round, frame.window(boxes[0]))
        return [_Part(path, grid.height, grid.width, (col, row, cols, rows))]
    return [
        _warped(path, grid, box, frame, beside)
        for box, beside in zip(boxes, _beside(path), strict=False)
    ]


def _warped(path: Path, grid: SceneGrid, box: Box, frame: _Frame, warped: Path) -> _Part:
    """Make a warped VRT of the cells that a box covers, each of which has the value there."""
    col, row, cols, rows = frame.window(box)
    first_col, first_row = math.floor(col + _NEAR), math.floor(row + _NEAR)
    width = math.ceil(col + cols - _NEAR) - first_col
    height = math.ceil(row + rows - _NEAR) - first_row
    left, top = frame.left + first_col * frame.x_edge, frame.top - first_row * frame.y_edge
    a, b, c, d, e, f = grid.transform
    with (
        writing_file(warped) as partial,
        rasterio.open(path.absolute()) as dataset,
        WarpedVRT(
            dataset,
            src_transform=rasterio.Affine(a, b, c - _turned_by(grid, box, frame), d, e, f),
            crs=frame.crs,
            transform=rasterio.Affine(frame.x_edge, 0.0, left, 0.0, -frame.y_edge, top),
            height=height,
            width=width,
            resampling=Resampling.nearest,
            tolerance=_NEAR,
        ) as virtual,
    ):
        rasterio.shutil.copy(virtual, partial.absolute(), driver="VRT")
    return _Part(warped, height, width, (first_col, first_row, width, height))


def _turned_by(grid: SceneGrid, box: Box, frame: _Frame) -> float:
    """Return by how much the grid's x goes on beyond what PROJ has for a box: whole turns."""
    whole = around_the_earth(crs_of(grid.crs))
    if not whole:
        return 0.0
    left, bottom, right, top = box
    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    x = float(reproject(middle, crs_of(frame.crs), crs_of(grid.crs))[0])
    west, _, east, _ = bounds(grid)
    return whole * round(((west + east) / 2 - x) / whole)


def _mosaic(
    path: Path,
    parts: Sequence[_Part],
    frame: _Frame,
    like: Path,
    classes: Sequence[str] | None,
) -> ET.Element:
    width = max(part.cells[0] + part.cells[2] for part in parts)
    height = max(part.cells[1] + part.cells[3] for part in parts)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    srs = ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping=_axes(frame.crs))
    srs.text = CRS.from_user_input(frame.crs).to_wkt()
    terms = (frame.left, frame.x_edge, 0.0, frame.top, 0.0, -frame.y_edge)
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
            ET.SubElement(source, "DstRect", _rect(*part.cells))
            # nodata in one scene must not cover data in another
            ET.SubElement(source, "NODATA").text = f"{nodata:g}"
    return root


def _axes(crs: str) -> str:
    """Return which axes of the CRS x and y are, since GDAL defaults to the authority's order."""
    axes = CRS.from_user_input(crs).axis_info
    north_first = bool(axes) and axes[0].direction in ("north", "south")
    return "2,1" if north_first else "1,2"


def _rect(x: int, y: int, width: int, height: int) -> dict[str, str]:
    values = {"xOff": x, "yOff": y, "xSize": width, "ySize": height}
    return {name: str(value) for name, value in values.items()}


def _colour_table(classes: Sequence[str]) -> ET.Element:
    table = ET.Element("ColorTable")
    for red, green, blue in class_colours(classes):
        ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4="255")
    return table
