"""Single bands of several files as one raster, described in memory in GDAL's virtual format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from osgeo import gdal
from qgis.core import Qgis, QgsRasterLayer

from .quiet import quiet

# the names of QGIS's types in GDAL's virtual rasters
_VRT_TYPES = {
    Qgis.DataType.Byte: "Byte",
    Qgis.DataType.UInt16: "UInt16",
    Qgis.DataType.Int16: "Int16",
    Qgis.DataType.UInt32: "UInt32",
    Qgis.DataType.Int32: "Int32",
    Qgis.DataType.Float32: "Float32",
    Qgis.DataType.Float64: "Float64",
}

_APART = 1e-3  # pixels, at most: programs round the terms of a grid

Grid = tuple[int, int, tuple[float, ...]]  # width, height, and GDAL's transform


def on_one_grid(rasters: Sequence[QgsRasterLayer]) -> bool:
    """Whether all rasters can be opened and share grid, CRS and data type."""
    if not all(raster.isValid() for raster in rasters):
        return False
    first, *others = (_grid(raster) for raster in rasters)
    is_one_kind = len({(raster.crs().toWkt(), _type(raster)) for raster in rasters}) == 1
    return is_one_kind and all(_is_same(first, other) for other in others)


def _grid(raster: QgsRasterLayer) -> Grid:
    """Return the grid of a raster's file; of one that is not north-up, QGIS tells another."""
    with quiet():
        file = gdal.Open(raster.source())
        terms = file.GetGeoTransform(can_return_null=True) if file is not None else None
        if terms is not None:
            return file.RasterXSize, file.RasterYSize, tuple(terms)
    extent, width, height = raster.extent(), raster.width(), raster.height()
    across, down = extent.width() / width, -extent.height() / height
    return width, height, (extent.xMinimum(), across, 0.0, extent.yMaximum(), 0.0, down)


def _is_same(one: Grid, other: Grid) -> bool:
    """Whether the corners of two grids of one size are in the same places."""
    width, height, (_, a, b, _, d, e) = one
    pixel = min(math.hypot(a, d), math.hypot(b, e))
    return (width, height) == other[:2] and all(
        math.dist(_place(one, col, row), _place(other, col, row)) <= _APART * pixel
        for col, row in ((0, 0), (width, 0), (0, height))
    )


def _place(grid: Grid, col: int, row: int) -> tuple[float, float]:
    c, a, b, f, d, e = grid[2]
    return a * col + b * row + c, d * col + e * row + f


def _type(raster: QgsRasterLayer) -> str:
    return _VRT_TYPES.get(raster.dataProvider().sourceDataType(1), "Float64")


def virtual_raster(rasters: Sequence[QgsRasterLayer], numbers: Sequence[int] = ()) -> str:
    """Return the XML of a virtual raster, which GDAL opens like a file name.

    Its bands are red, green, blue and others, from rasters on one grid; ``numbers`` are those of
    the bands within their files, else each is the first.
    """
    width, height, terms = _grid(rasters[0])
    bands: list[str] = []
    colours = ("Red", "Green", "Blue", *["Undefined"] * len(rasters))
    numbers = numbers or [1] * len(rasters)
    for place, (raster, number, colour) in enumerate(zip(rasters, numbers, colours), start=1):
        provider = raster.dataProvider()
        nodata = (
            f"<NoDataValue>{provider.sourceNoDataValue(number)!r}</NoDataValue>"
            if provider.sourceHasNoDataValue(number)
            else ""
        )
        scale, offset = provider.bandScale(number), provider.bandOffset(number)
        scaling = (
            f"<Offset>{offset!r}</Offset><Scale>{scale!r}</Scale>"
            if (scale, offset) != (1.0, 0.0)
            else ""
        )
        bands.append(
            f'<VRTRasterBand dataType="{_type(raster)}" band="{place}">{nodata}{scaling}'
            f"<ColorInterp>{colour}</ColorInterp><SimpleSource>"
            f'<SourceFilename relativeToVRT="0">{escape(raster.source())}</SourceFilename>'
            f"<SourceBand>{number}</SourceBand></SimpleSource></VRTRasterBand>"
        )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f"<SRS>{escape(rasters[0].crs().toWkt())}</SRS>"
        f"<GeoTransform>{', '.join(map(repr, terms))}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
