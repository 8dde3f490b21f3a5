"""QGIS styles (QML) for predictions: a ramp for the probability, class colours, frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET  # nosec B405 # only to write

from owl_geo import schema
from owl_geo.disk import qml

# Viridis (van der Walt, Smith 2015): even steps for everyone's eyes, and in print.
RAMP = (
    (0.0, "#440154"),
    (0.2, "#414487"),
    (0.4, "#2A788E"),
    (0.6, "#22A884"),
    (0.8, "#7AD151"),
    (1.0, "#FDE725"),
)
_OPACITY = "0.7"  # imagery shows through
_MOST = 1.001  # so that a probability rounded up to more than 1 falls in the last step


def class_colours(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return red, green and blue for each class, the same colours as in a batch."""
    colours = schema.label_colours(tuple(classes))
    return [qml.rgb(colours[name]) for name in classes]


def probability_style() -> str:
    """Return the QML for a raster whose first band is a probability."""
    renderer = ET.Element(
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        classificationMin="0",
        classificationMax="1",
        alphaBand="-1",
        nodataColor="",
        opacity=_OPACITY,
    )
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="1",
    )
    for value, colour in RAMP:
        text = f"{value:g}"
        ET.SubElement(shader, "item", value=text, label=text, color=colour.lower(), alpha="255")
    return _raster(renderer)


def class_style(classes: Sequence[str]) -> str:
    """Return the QML for a raster of class numbers."""
    renderer = ET.Element(
        "rasterrenderer",
        type="paletted",
        band="1",
        alphaBand="-1",
        nodataColor="",
        opacity=_OPACITY,
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for number, (name, (red, green, blue)) in enumerate(
        zip(classes, class_colours(classes), strict=True)
    ):
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        ET.SubElement(
            palette, "paletteEntry", value=str(number), label=name, color=colour, alpha="255"
        )
    return _raster(renderer)


def _raster(renderer: ET.Element) -> str:
    root = qml.root()
    ET.SubElement(root, "pipe").append(renderer)
    return ET.tostring(root, encoding="unicode")


def patches_style(columns: Sequence[str], positive: str, concepts: Sequence[str]) -> str:
    """Return the QML for patches with these ``columns``: frames coloured by the probability."""
    root = qml.root()
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="graduatedSymbol",
        attr="probability",
        graduatedMethod="GraduatedColor",
        forceraster="0",
        enableorderby="0",
    )
    ranges = ET.SubElement(renderer, "ranges")
    symbols = ET.SubElement(renderer, "symbols")
    steps = [low for low, _ in RAMP[:-1]] + [_MOST]
    for number, (low, high) in enumerate(pairwise(steps)):
        ET.SubElement(
            ranges,
            "range",
            lower=f"{low:.6f}",
            upper=f"{high:.6f}",
            symbol=str(number),
            label=f"{low:.1f} – {min(high, 1.0):.1f}",
            render="true",
        )
        symbol = ET.SubElement(symbols, "symbol", name=str(number), type="fill", alpha="1")
        # coloured by the lower end of the step: the upper end of the last is the yellow that
        # marks unsure patches in a batch
        symbol.extend([qml.frame("#000000", 0.9), qml.frame(RAMP[number][1], 0.6)])
    aliases = {
        "patch_id": "Patch",
        "rank": "Rank (1 = most probable)",
        "probability": f"Probability of {positive}",
        "uncertainty": "Uncertainty",
        "class": "Most probable class",
        "label": "Answer",
        "scene": "Scene",
        "scene_crs": "CRS of the scene",
    }
    group = ET.SubElement(root, "aliases")
    for index, name in enumerate(columns):
        ET.SubElement(group, "alias", field=name, index=str(index), name=aliases.get(name, ""))
    title = "'Rank ' || \"rank\" || ': ' || round(\"probability\", 3)"
    ET.SubElement(root, "previewExpression").text = title
    ET.SubElement(root, "mapTip").text = _map_tip(positive, concepts)
    return ET.tostring(root, encoding="unicode")


def _map_tip(positive: str, concepts: Sequence[str]) -> str:
    rows = {
        f"Probability of {positive}": 'round("probability", 3)',
        "Uncertainty": 'round("uncertainty", 3)',
        "Most probable class": '"class"',
        "Answer": "coalesce(\"label\", '(none)')",
        **{name: qml.column(name) for name in concepts},
    }
    return qml.map_tip("'Rank ' || \"rank\"", rows)
