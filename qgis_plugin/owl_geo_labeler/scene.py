"""The imagery below the patches: a scene in natural or false colours, stretched to the view."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication

from .band_names import Rgb, band_files, false_colours, is_old_landsat, natural_colours
from .errors import Problem
from .run_folder import SceneEntry

_SAMPLE = 250_000  # pixels that the percentiles are taken from
# mark layers with the bands that make a picture of them, from 1
_NATURAL, _FALSE = "owl_geo_natural", "owl_geo_false"
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


def scene_layer(entry: SceneEntry) -> QgsRasterLayer:
    """Return a layer that shows the scene in natural colours, or its first band in grey.

    Values are stretched between the percentiles 2 and 98 of what is in view, so that both
    a forest and a bright roof show detail. Raises Problem if nothing of the scene can be opened.
    """
    layer = _layer(entry)
    if layer is None or not layer.isValid():
        message = QCoreApplication.translate(
            "OwlGeo", "the scene {name} is not at {path}; add it to the project yourself"
        )
        raise Problem(message.format(name=entry.name, path=entry.paths[0]))
    layer.setName(entry.name)
    _stretch(layer)
    return layer


def has_false_colours(layer: QgsRasterLayer) -> bool:
    """Whether near infrared, red and green of a scene's layer are known."""
    return layer.customProperty(_FALSE) is not None


def set_colours(layer: QgsRasterLayer, false: bool) -> None:
    """Show a scene's layer in natural or false colours.

    A layer without false colours, or whose bands the user has changed, stays as it is.
    """
    ours = {name: _bands(layer, name) for name in (_NATURAL, _FALSE)}
    before = layer.renderer()
    if None in ours.values() or not isinstance(before, QgsMultiBandColorRenderer):
        return
    now = [before.redBand(), before.greenBand(), before.blueBand()]
    bands = ours[_FALSE if false else _NATURAL]
    if now == bands or now not in ours.values():
        return
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), *bands)
    renderer.setOpacity(before.opacity())
    layer.setRenderer(renderer)
    _stretch(layer)
    layer.triggerRepaint()


def _bands(layer: QgsRasterLayer, name: str) -> list[int] | None:
    text = layer.customProperty(name)
    return None if text is None else [int(number) for number in text.split(",")]


def _stretch(layer: QgsRasterLayer) -> None:
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
        QgsRectangle(),
        _SAMPLE,
    )
    # QGIS recomputes the percentiles for whatever it draws
    origin = QgsRasterMinMaxOrigin(layer.renderer().minMaxOrigin())
    origin.setLimits(QgsRasterMinMaxOrigin.Limits.CumulativeCut)
    origin.setExtent(QgsRasterMinMaxOrigin.Extent.UpdatedCanvas)
    layer.renderer().setMinMaxOrigin(origin)


def _layer(entry: SceneEntry) -> QgsRasterLayer | None:
    place = entry.paths[0]
    if len(entry.paths) > 1:
        return _of_files(entry.paths)
    if not place.is_dir():
        return _of_file(str(place))
    files = band_files(place)
    return _of_files(files, is_old_landsat(place)) if files else None


def _of_file(source: str) -> QgsRasterLayer:
    layer = QgsRasterLayer(source, "scene", "gdal")
    if not layer.isValid():
        return layer
    provider = layer.dataProvider()
    names = [provider.generateBandName(i + 1) for i in range(layer.bandCount())]
    names = [name.partition(": ")[2] or name for name in names]
    names = [name.partition(" (")[0] for name in names]
    if not _has_palette(layer):
        _set_bands(layer, natural_colours(names), false_colours(names))
    return layer


def _set_bands(layer: QgsRasterLayer, natural: Rgb | None, false: Rgb | None) -> None:
    """Show natural colours, and keep both for ``set_colours``."""
    if natural is None:
        return
    for name, rgb in ((_NATURAL, natural), (_FALSE, false)):
        if rgb is not None:
            layer.setCustomProperty(name, ",".join(str(place + 1) for place in rgb))
    bands = (place + 1 for place in natural)
    layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), *bands))


def _has_palette(layer: QgsRasterLayer) -> bool:
    return layer.renderer() is not None and layer.renderer().type() == "paletted"


def _of_files(paths: Sequence[Path], old_landsat: bool = False) -> QgsRasterLayer:
    """Join single-band files on one grid as a virtual raster, or show the first file alone.

    The raster has red, green and blue, and near infrared if it is known and on that grid.
    """
    names = [path.stem for path in paths]
    natural, false = natural_colours(names, old_landsat), false_colours(names, old_landsat)
    chosen = [paths[place] for place in natural] if natural is not None else []
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in chosen]
    if not rasters or not _on_one_grid(rasters):
        return _of_file(str(paths[0]))
    if false is not None:
        path = paths[false[0]]
        rasters.append(QgsRasterLayer(str(path), path.stem, "gdal"))
        if not _on_one_grid(rasters):
            rasters.pop()
    layer = QgsRasterLayer(_virtual_raster(rasters), "scene", "gdal")
    _set_bands(layer, (0, 1, 2), (3, 0, 1) if len(rasters) == 4 else None)
    return layer


def _on_one_grid(rasters: Sequence[QgsRasterLayer]) -> bool:
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


def _virtual_raster(rasters: Sequence[QgsRasterLayer]) -> str:
    """Return the XML of a virtual raster, which GDAL opens like a file name."""
    first = rasters[0]
    extent, width, height = first.extent(), first.width(), first.height()
    terms: tuple[float, ...] = (
        *(extent.xMinimum(), extent.width() / width, 0.0),
        *(extent.yMaximum(), 0.0, -extent.height() / height),
    )
    bands: list[str] = []
    colours = ("Red", "Green", "Blue", "Undefined")
    for number, (raster, colour) in enumerate(zip(rasters, colours), start=1):
        provider = raster.dataProvider()
        nodata = (
            f"<NoDataValue>{provider.sourceNoDataValue(1)!r}</NoDataValue>"
            if provider.sourceHasNoDataValue(1)
            else ""
        )
        bands.append(
            f'<VRTRasterBand dataType="{_type(raster)}" band="{number}">{nodata}'
            f"<ColorInterp>{colour}</ColorInterp><SimpleSource>"
            f'<SourceFilename relativeToVRT="0">{escape(raster.source())}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f"<SRS>{escape(first.crs().toWkt())}</SRS>"
        f"<GeoTransform>{', '.join(map(repr, terms))}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
