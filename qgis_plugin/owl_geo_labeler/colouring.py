"""How a raster layer is drawn: its bands as red, green and blue, and what is black and bright.

What the batch says is kept with the layer, so that it is the same from patch to patch and from
batch to batch, and colours and brightness can be changed without asking anybody. A contrast that
the user has chosen in QGIS takes the place of the batch's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
_DRAWN = "owl_geo_drawn"  # holds which of them it was drawn in last, and the brightness
_STEP = 0.8  # of the range between black and brightest, for each step brighter


@dataclass(frozen=True)
class Way:
    """A way to draw a layer: three bands or one, from 1, and the stretch of each."""

    bands: tuple[int, ...]
    stretch: tuple[tuple[float, float], ...]


def set_ways(layer: QgsRasterLayer, ways: Mapping[str, Way], name: str, brightness: int) -> None:
    """Draw a new layer in the way of this name, and keep all of its ways for ``redraw``."""
    _keep_ways(layer, ways)
    _draw(layer, ways, name, brightness)


def ways_of(layer: QgsRasterLayer) -> dict[str, Way]:
    """Return the ways to draw a layer, by name; none for a layer that was not loaded here."""
    text = layer.customProperty(_PROPERTY)
    return {
        name: Way(tuple(one["bands"]), tuple((low, high) for low, high in one["stretch"]))
        for name, one in (json.loads(text) if text else {}).items()
    }


def redraw(layer: QgsRasterLayer, name: str, brightness: int) -> None:
    """Draw a layer in the way of this name, or the plain one if it has no such way.

    One whose bands the user has changed stays as it is, as does all else that the user has changed
    in one that is drawn so already.
    """
    ways = ways_of(layer)
    if _bands_of(layer) not in [way.bands for way in ways.values()]:
        return
    name = name if name in ways else PLAIN
    drawn = _drawn(layer)
    if drawn == (name, brightness):
        return
    if drawn is not None and drawn[0] in ways:
        _adopt(layer, ways, *drawn)
    _draw(layer, ways, name, brightness)
    layer.triggerRepaint()


def _keep_ways(layer: QgsRasterLayer, ways: Mapping[str, Way]) -> None:
    values = {way: {"bands": one.bands, "stretch": one.stretch} for way, one in ways.items()}
    layer.setCustomProperty(_PROPERTY, json.dumps(values))


def _drawn(layer: QgsRasterLayer) -> tuple[str, int] | None:
    """Return the way in which a layer was drawn last, and the brightness; None of older ones."""
    text = layer.customProperty(_DRAWN)
    name, brightness = json.loads(text) if text else (None, 0)
    return None if name is None else (name, brightness)


def _adopt(layer: QgsRasterLayer, ways: dict[str, Way], name: str, brightness: int) -> None:
    """Keep a contrast that the user has given to a layer since it was drawn, in ``ways`` too."""
    way = ways[name]
    shown = _stretch_of(layer)
    said = [_brighter(low, high, brightness) for low, high in way.stretch]
    if _bands_of(layer) != way.bands or len(shown) != len(said):
        return
    if all(math.isclose(a, b) for one, two in zip(shown, said) for a, b in zip(one, two)):
        return
    ways[name] = replace(way, stretch=tuple(_brighter(*one, -brightness) for one in shown))
    _keep_ways(layer, ways)


def _brighter(low: float, high: float, brightness: int) -> tuple[float, float]:
    return low, low + (high - low) * _STEP**brightness


def _draw(layer: QgsRasterLayer, ways: Mapping[str, Way], name: str, brightness: int) -> None:
    before = layer.renderer()
    renderer = _renderer(layer.dataProvider(), ways[name], brightness)
    if before is not None:
        renderer.setOpacity(before.opacity())
    layer.setRenderer(renderer)
    layer.setCustomProperty(_DRAWN, json.dumps([name, brightness]))


def _bands_of(layer: QgsRasterLayer) -> tuple[int, ...]:
    renderer = layer.renderer()
    if isinstance(renderer, QgsMultiBandColorRenderer):
        return renderer.redBand(), renderer.greenBand(), renderer.blueBand()
    if isinstance(renderer, QgsSingleBandGrayRenderer):
        return (renderer.grayBand(),)
    return ()


def _stretch_of(layer: QgsRasterLayer) -> list[tuple[float, float]]:
    """Return what is black and what is brightest in each band; none where QGIS does not say."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsMultiBandColorRenderer):
        contrasts = [
            renderer.redContrastEnhancement(),
            renderer.greenContrastEnhancement(),
            renderer.blueContrastEnhancement(),
        ]
    else:
        contrasts = [renderer.contrastEnhancement()]
    if any(one is None or not one.minimumValue() < one.maximumValue() for one in contrasts):
        return []
    return [(one.minimumValue(), one.maximumValue()) for one in contrasts]


def _renderer(provider: QgsRasterDataProvider, way: Way, brightness: int) -> QgsRasterRenderer:
    contrasts = [
        _contrast(provider, band, *_brighter(low, high, brightness))
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
