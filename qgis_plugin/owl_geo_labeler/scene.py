"""The imagery below the patches: a scene in natural or false colours, stretched to the view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.core import (
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
from .virtual import on_one_grid, virtual_raster

_SAMPLE = 250_000  # pixels that the percentiles are taken from
# mark layers with the bands that make a picture of them, from 1
_NATURAL, _FALSE = "owl_geo_natural", "owl_geo_false"


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
    if not rasters or not on_one_grid(rasters):
        return _of_file(str(paths[0]))
    if false is not None:
        path = paths[false[0]]
        rasters.append(QgsRasterLayer(str(path), path.stem, "gdal"))
        if not on_one_grid(rasters):
            rasters.pop()
    layer = QgsRasterLayer(virtual_raster(rasters), "scene", "gdal")
    _set_bands(layer, (0, 1, 2), (3, 0, 1) if len(rasters) == 4 else None)
    return layer
