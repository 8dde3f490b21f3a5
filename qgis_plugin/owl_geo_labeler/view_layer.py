"""A raster of a view as a layer of the map, in the colours and the contrast that the batch says."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import (
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsRectangle,
    QgsSingleBandGrayRenderer,
)
from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem
from .view_table import View, ViewRaster
from .virtual import on_one_grid, virtual_raster

Place = tuple[QgsCoordinateReferenceSystem, QgsRectangle]


def view_layer(view: View, raster: ViewRaster, batch: Path | None) -> QgsRasterLayer:
    """Return the layer of a raster, named after its view.

    A file that is not where the batch says is looked for beside the ``batch``. Where the bands are
    files that do not lie on each other, the first is shown in grey. Raises Problem if the raster
    cannot be opened or lacks a band.
    """
    paths = [_found(path, batch) for path in raster.paths]
    files = [QgsRasterLayer(path, view.name, "gdal") for path in paths]
    layer, bands = files[0], raster.bands
    if len(files) > 1 and on_one_grid(files):
        layer = QgsRasterLayer(virtual_raster(files, bands), view.name, "gdal")
        bands = (1, 2, 3)
    elif len(files) > 1:
        bands = bands[:1]
    if not layer.isValid() or max(bands) > layer.bandCount():
        message = QCoreApplication.translate(
            "OwlGeo", "the view {name} is not at {path}; put it there, or into the batch's folder"
        )
        raise Problem(message.format(name=view.name, path=raster.paths[0]))
    several = len(view.rasters) > 1
    layer.setName(f"{view.name}: {Path(paths[0]).stem}" if several else view.name)
    layer.setRenderer(_renderer(layer.dataProvider(), bands, raster.stretch))
    return layer


def place_of(raster: ViewRaster, batch: Path | None) -> Place | None:
    """Return where a raster lies, from its header alone; None if it cannot be opened."""
    path = _found(raster.paths[0], batch)
    provider = QgsProviderRegistry.instance().createProvider("gdal", path)
    if provider is None or not provider.isValid():
        return None
    return provider.crs(), provider.extent()


def _found(path: str, batch: Path | None) -> str:
    """Return the path of a file, or that of its namesake beside the batch, as on another machine.

    Anything but the path of a file, such as one of GDAL's own names, is returned as it is.
    """
    is_file = path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path) is not None
    if batch is None or not is_file or path.startswith("/vsi") or Path(path).exists():
        return path
    beside = batch.with_name(re.split(r"[\\/]", path)[-1])
    return str(beside) if beside.exists() else path


def _renderer(
    provider: QgsRasterDataProvider,
    bands: tuple[int, ...],
    stretch: tuple[tuple[float, float], ...],
) -> QgsRasterRenderer:
    if len(bands) == 3:
        colours = QgsMultiBandColorRenderer(provider, *bands)
        colours.setRedContrastEnhancement(_contrast(provider, bands[0], *stretch[0]))
        colours.setGreenContrastEnhancement(_contrast(provider, bands[1], *stretch[1]))
        colours.setBlueContrastEnhancement(_contrast(provider, bands[2], *stretch[2]))
        return colours
    table = provider.colorTable(bands[0])
    if table:
        classes = QgsPalettedRasterRenderer.colorTableToClassData(table)
        return QgsPalettedRasterRenderer(provider, bands[0], classes)
    grey = QgsSingleBandGrayRenderer(provider, bands[0])
    grey.setContrastEnhancement(_contrast(provider, bands[0], *stretch[0]))
    return grey


def _contrast(
    provider: QgsRasterDataProvider, band: int, low: float, high: float
) -> QgsContrastEnhancement:
    contrast = QgsContrastEnhancement(provider.dataType(band))
    contrast.setMinimumValue(low)
    contrast.setMaximumValue(high)
    contrast.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    return contrast
