"""How a raster layer is drawn: its bands as red, green and blue, and what is black and bright.

What the batch says is kept with the layer, so that it is the same from patch to patch and from
batch to batch, and colours and brightness can be changed without asking anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from qgis.core import (
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsSingleBandGrayRenderer,
)

PLAIN, FALSE = "plain", "false"

_PROPERTY = "owl_geo_colours"  # holds the ways to draw a layer
_STEP = 0.8  # of the range between black and brightest, for each step brighter


@dataclass(frozen=True)
class Way:
    """A way to draw a layer: three bands or one, from 1, and the stretch of each."""

    bands: tuple[int, ...]
    stretch: tuple[tuple[float, float], ...]


def set_ways(layer: QgsRasterLayer, ways: Mapping[str, Way], name: str, brightness: int) -> None:
    """Draw a new layer in the way of this name, and keep all of its ways for ``redraw``."""
    values = {way: {"bands": one.bands, "stretch": one.stretch} for way, one in ways.items()}
    layer.setCustomProperty(_PROPERTY, json.dumps(values))
    _draw(layer, ways[name], brightness)


def ways_of(layer: QgsRasterLayer) -> dict[str, Way]:
    """Return the ways to draw a layer, by name; none for a layer that was not loaded here."""
    text = layer.customProperty(_PROPERTY)
    return {
        name: Way(tuple(one["bands"]), tuple((low, high) for low, high in one["stretch"]))
        for name, one in (json.loads(text) if text else {}).items()
    }


def redraw(layer: QgsRasterLayer, name: str, brightness: int) -> None:
    """Draw a layer in the way of this name, or the plain one if it has no such way.

    One whose bands the user has changed stays as it is.
    """
    ways = ways_of(layer)
    if _bands_of(layer) not in [way.bands for way in ways.values()]:
        return
    _draw(layer, ways.get(name, ways[PLAIN]), brightness)
    layer.triggerRepaint()


def _draw(layer: QgsRasterLayer, way: Way, brightness: int) -> None:
    before = layer.renderer()
    renderer = _renderer(layer.dataProvider(), way, brightness)
    if before is not None:
        renderer.setOpacity(before.opacity())
    layer.setRenderer(renderer)


def _bands_of(layer: QgsRasterLayer) -> tuple[int, ...]:
    renderer = layer.renderer()
    if isinstance(renderer, QgsMultiBandColorRenderer):
        return renderer.redBand(), renderer.greenBand(), renderer.blueBand()
    if isinstance(renderer, QgsSingleBandGrayRenderer):
        return (renderer.grayBand(),)
    return ()


def _renderer(provider: QgsRasterDataProvider, way: Way, brightness: int) -> QgsRasterRenderer:
    contrasts = [
        _contrast(provider, band, low, low + (high - low) * _STEP**brightness)
        for band, (low, high) in zip(way.bands, way.stretch)
    ]
    if len(way.bands) == 3:
        colours = QgsMultiBandColorRenderer(provider, *way.bands)
        colours.setRedContrastEnhancement(contrasts[0])
        colours.setGreenContrastEnhancement(contrasts[1])
        colours.setBlueContrastEnhancement(contrasts[2])
        return colours
    table = provider.colorTable(way.bands[0])
    if table:
        classes = QgsPalettedRasterRenderer.colorTableToClassData(table)
        return QgsPalettedRasterRenderer(provider, way.bands[0], classes)
    grey = QgsSingleBandGrayRenderer(provider, way.bands[0])
    grey.setContrastEnhancement(contrasts[0])
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
