"""Single bands of several files as one raster, described in memory in GDAL's virtual format."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.core import Qgis, QgsRasterLayer

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


def on_one_grid(rasters: Sequence[QgsRasterLayer]) -> bool:
    """Whether all rasters can be opened and share grid and data type."""
    return (
        all(raster.isValid() for raster in rasters)
        and len(
            {
                (r.width(), r.height(), r.extent().toString(6), r.crs().toWkt(), _type(r))
                for r in rasters
            }
        )
        == 1
    )


def _type(raster: QgsRasterLayer) -> str:
    return _VRT_TYPES.get(raster.dataProvider().sourceDataType(1), "Float64")


def virtual_raster(rasters: Sequence[QgsRasterLayer], numbers: Sequence[int] = ()) -> str:
    """Return the XML of a virtual raster, which GDAL opens like a file name.

    Its bands are red, green, blue and others, from rasters on one grid; ``numbers`` are those of
    the bands within their files, else each is the first.
    """
    first = rasters[0]
    extent, width, height = first.extent(), first.width(), first.height()
    terms: tuple[float, ...] = (
        *(extent.xMinimum(), extent.width() / width, 0.0),
        *(extent.yMaximum(), 0.0, -extent.height() / height),
    )
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
        f"<SRS>{escape(first.crs().toWkt())}</SRS>"
        f"<GeoTransform>{', '.join(map(repr, terms))}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
