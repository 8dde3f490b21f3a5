"""Elements that the QGIS styles (QML) of different layers share.

Text is passed as element text or attributes, so that a class may be called anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from xml.etree import ElementTree as ET  # nosec B405 # only to write

from owl_geo import schema

_LINES = ("solid", "dash", "dot", "dash dot", "dash dot dot")
_VERSION = "3.22.0"  # the oldest QGIS that is supported


def root() -> ET.Element:
    """Return the root element of a style."""
    return ET.Element("qgis", version=_VERSION, styleCategories="AllStyleCategories")


def symbol_layer(kind: str, properties: Mapping[str, str]) -> ET.Element:
    """Return one layer of a symbol; ``kind`` and ``properties`` are QGIS's names."""
    layer = ET.Element("layer", {"class": kind, "enabled": "1", "locked": "0", "pass": "0"})
    layer.append(options(properties))
    return layer


def frame(colour: str, width_mm: float, style: str = "solid") -> ET.Element:
    """Return a line along the inside of the edge, so that neighbours do not cover each other's.

    ``style`` is a name of QGIS's for dashes and dots.
    """
    return symbol_layer(
        "SimpleLine",
        {
            "line_color": rgba(colour, 255),
            "line_style": style,
            "line_width": str(2 * width_mm),  # the outer half is not drawn
            "line_width_unit": "MM",
            "capstyle": "flat",
            "joinstyle": "miter",
            "draw_inside_polygon": "1",
        },
    )


def by_label(classes: tuple[str, ...], not_answered: Sequence[ET.Element]) -> ET.Element:
    """Return a renderer that gives each value of the column ``label`` its colour.

    ``not_answered`` are the layers of the symbol of patches that have no label. All are frames: a
    tint would change the colours of what is to be judged. Where colours repeat, lines are dashed.
    """
    renderer = ET.Element(
        "renderer-v2", type="categorizedSymbol", attr="label", forceraster="0", enableorderby="0"
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")

    def add(value: str, legend: str, *layers: ET.Element) -> None:
        number = str(len(symbols))
        ET.SubElement(
            categories, "category", value=value, label=legend, symbol=number, render="true"
        )
        symbol = ET.SubElement(symbols, "symbol", name=number, type="fill", alpha="1")
        symbol.extend(layers)

    colours = schema.label_colours(classes)
    for position, name in enumerate((*classes, *schema.RESERVED_LABELS)):
        again = position // len(schema.CLASS_COLOURS) if name in classes else 0
        line = _LINES[again % len(_LINES)]
        add(name, name, frame("#000000", 0.9), frame(colours[name], 0.65, line))
    # QGIS shows null, and any value without a category, in the category of the empty value
    add("", "not answered", *not_answered)
    return renderer


def rgba(colour: str, alpha: int) -> str:
    """Return ``#RRGGBB`` as QGIS writes colours in symbols: ``r,g,b,a``."""
    red, green, blue = rgb(colour)
    return f"{red},{green},{blue},{alpha}"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return ``#RRGGBB`` as three numbers from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def map_tip(title: str, rows: Mapping[str, str]) -> str:
    """Return a table in HTML for a map tip; ``title`` and the values of ``rows`` are expressions.

    Their results are escaped and shown as text, since a comment may hold HTML.
    """
    lines = [
        f"<tr><td>{escape(name)}</td><td>[% {_as_text(value)} %]</td></tr>"
        for name, value in rows.items()
    ]
    return f"<b>[% {title} %]</b><table>{''.join(lines)}</table>"


def column(name: str) -> str:
    """Return a column as a QGIS expression."""
    return '"' + name.replace('"', '""') + '"'


def _as_text(expression: str) -> str:
    """Return an expression whose result is escaped; QGIS has no function for that."""
    return f"replace(to_string({expression}), map('&', '&amp;', '<', '&lt;', '>', '&gt;'))"


def options(values: Mapping[str, str]) -> ET.Element:
    """Return a QVariantMap the way QGIS writes it."""
    element = ET.Element("Option", type="Map")
    for name, value in values.items():
        ET.SubElement(element, "Option", name=name, value=value, type="QString")
    return element
