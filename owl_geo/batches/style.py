"""The QGIS style (QML) that a batch carries: colours by label, a drop-down, locked columns.

It is built element by element, so that a class may be called anything: quotes, <, & and all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree as ET  # nosec B405 # only to write

from owl_geo import schema
from owl_geo.disk import qml
from owl_geo.disk.gpkg import FEATURE_ID

_VALUE_MAP_NULL = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"  # how QGIS's drop-down stores null
_NOT_ANSWERED = "(not answered)"
_BRIGHT = "#FFFFFF"
_DECIMALS = 3  # of scores, and of what is below 1
_FAR = "1000000000000"  # beyond any value, for QGIS's field for numbers

_ANSWER_FIELDS = ("label", "comment", "annotator", "lease")  # the last one only in a database
_ALIASES = {
    "patch_id": "Patch",
    "rank": "Rank",
    "label": "Label",
    "lease": "Taken by (take, take over, release)",
    "annotator": "Annotator",
    "comment": "Comment",
    "labelled_at": "Labelled at (UTC)",
    "scene": "Scene",
    "scene_crs": "CRS of the scene",
    "batch_id": "Batch",
    "round": "Round",
}


def batch_style(
    columns: Sequence[str],
    classes: tuple[str, ...],
    positive: str,
    concepts: Sequence[str],
    *,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
) -> str:
    """Return the QML of a batch whose attributes are ``columns``, in the order of the file.

    ``units`` are those of concepts that have one, "m" or "%" for shares of 0 to 1, and ``decimals``
    how many are shown of concepts that are numbers.
    """
    units, decimals = units or {}, decimals or {}
    qgis = qml.root()
    qgis.append(
        # frames that show on light and dark ground
        qml.by_label(classes, [qml.frame("#000000", 0.5), qml.frame(_BRIGHT, 0.3)])
    )
    qgis.append(_editors(classes, decimals))
    why = {column.name: column.title.format(positive=positive) for column in schema.WHY_COLUMNS}
    titles = {name: _title(name, units.get(name, "")) for name in concepts}
    aliases = {**_ALIASES, **why, **titles}
    group = ET.SubElement(qgis, "aliases")
    for index, name in enumerate(columns):
        ET.SubElement(group, "alias", field=name, index=str(index), name=aliases.get(name, ""))
    ET.SubElement(qgis, "editorlayout").text = "tablayout"
    answer = [name for name in _ANSWER_FIELDS if name in columns and name not in concepts]
    qgis.append(_form(columns, answer, concepts))
    locks = ET.SubElement(qgis, "editable")
    for name in (FEATURE_ID, *columns):
        ET.SubElement(locks, "field", name=name, editable=str(int(name in answer)))
    title = f"""'Rank ' || "rank" || ': ' || coalesce("label", '{_NOT_ANSWERED}')"""
    ET.SubElement(qgis, "previewExpression").text = title
    ET.SubElement(qgis, "mapTip").text = _map_tip(positive, titles, decimals)
    return ET.tostring(qgis, encoding="unicode")


def decimals_of(values: Iterable[object]) -> int:
    """Return how many decimals numbers need for three digits that count, None and nan left out."""
    sizes = (abs(value) for value in values if isinstance(value, int | float))
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0)
    return next((i for i, limit in enumerate((100, 10, 1)) if largest >= limit), _DECIMALS)


def _title(name: str, unit: str) -> str:
    """Return what a concept is called: ``dist_industrial`` is ``Distance to industrial (m)``."""
    words = name.replace("_", " ").strip() or name
    if unit == "m" and words.startswith("dist "):
        words = f"distance to {words[5:]}"
    title = words[:1].upper() + words[1:]
    shown = {"m": " (m)", "%": " (0 to 1)"}
    return title + shown.get(unit, "")


# --- the form -------------------------------------------------------------------------------------


def _editors(classes: tuple[str, ...], decimals: Mapping[str, int]) -> ET.Element:
    """Return the drop-down for the label, and how numbers are shown in form and table.

    QGIS chooses the widgets of the other columns. That includes the comment: QGIS fills a
    multi-line box with the word NULL, which the annotator would have to type over.
    """
    configuration = ET.Element("fieldConfiguration")
    field = ET.SubElement(configuration, "field", name="label")
    widget = ET.SubElement(field, "editWidget", type="ValueMap")
    words = (*classes, *schema.RESERVED_LABELS)
    pairs = [(_NOT_ANSWERED, _VALUE_MAP_NULL), *((word, word) for word in words)]
    ET.SubElement(widget, "config").append(_choices(pairs))
    scores = {column.name: _DECIMALS for column in schema.WHY_COLUMNS}
    for name, number in {**scores, **decimals}.items():
        field = ET.SubElement(configuration, "field", name=name)
        config = ET.SubElement(ET.SubElement(field, "editWidget", type="Range"), "config")
        limits = {"Min": f"-{_FAR}", "Max": _FAR, "Step": "1", "AllowNull": "true"}
        config.append(qml.options({**limits, "Precision": str(number), "Style": "SpinBox"}))
    return configuration


def _form(columns: Sequence[str], answer: Sequence[str], concepts: Sequence[str]) -> ET.Element:
    """Return the form from top to bottom: the answer, why this patch was chosen, its origin."""
    why = [name for name in (*schema.BATCH_COLUMNS_BEFORE[1:], *concepts) if name in columns]
    rest = [name for name in columns if name not in why and name not in answer]
    form = ET.Element("attributeEditorForm")
    groups = {"Answer": answer, "Why this patch": why, "Patch": rest}
    for title, names in groups.items():
        group = ET.SubElement(
            form,
            "attributeEditorContainer",
            name=title,
            columnCount="1",
            groupBox="1",
            showLabel="1",
            visibilityExpressionEnabled="0",
        )
        for name in names:
            index = str(columns.index(name))
            ET.SubElement(group, "attributeEditorField", name=name, index=index, showLabel="1")
    return form


def _map_tip(positive: str, titles: Mapping[str, str], decimals: Mapping[str, int]) -> str:
    rows = {
        "Label": f"coalesce(\"label\", '{_NOT_ANSWERED}')",
        f"Probability of {positive}": 'round("probability", 3)',
        **{
            title: f"round({qml.column(name)}, {decimals[name]})"
            if name in decimals
            else qml.column(name)
            for name, title in titles.items()
        },
        "Comment": '"comment"',
    }
    return qml.map_tip("'Rank ' || \"rank\"", rows)


def _choices(pairs: Sequence[tuple[str, str]]) -> ET.Element:
    """Return the drop-down's entries in order: maps with one (shown, stored) pair each."""
    config = ET.Element("Option", type="Map")
    entries = ET.SubElement(config, "Option", name="map", type="List")
    for shown, stored in pairs:
        entries.append(qml.options({shown: stored}))
    return config
