"""Elements that the QGIS styles (QML) of different layers share.

Text is passed as element text or attributes, so that a class may be called anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from xml.etree import ElementTree as ET  # nosec B405 # only to write

_VERSION = "3.22.0"  # the oldest QGIS that is supported


def root() -> ET.Element:
    """Return the root element of a style."""
    return ET.Element("qgis", version=_VERSION, styleCategories="AllStyleCategories")


def symbol_layer(kind: str, properties: Mapping[str, str]) -> ET.Element:
    """Return one layer of a symbol; ``kind`` and ``properties`` are QGIS's names."""
    layer = ET.Element("layer", {"class": kind, "enabled": "1", "locked": "0", "pass": "0"})
    layer.append(options(properties))
    return layer


def frame(colour: str, width_mm: float) -> ET.Element:
    """Return a line along the inside of the edge, so that neighbours do not cover each other's."""
    return symbol_layer(
        "SimpleLine",
        {
            "line_color": rgba(colour, 255),
            "line_width": str(2 * width_mm),  # the outer half is not drawn
            "line_width_unit": "MM",
            "joinstyle": "miter",
            "draw_inside_polygon": "1",
        },
    )


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
