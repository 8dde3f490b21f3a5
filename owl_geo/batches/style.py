"""The QGIS style (QML) that a batch carries: colours by label, a drop-down, locked columns.

It is built element by element, so that a class may be called anything: quotes, <, & and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET  # nosec B405 # only to write

from owl_geo import schema
from owl_geo.disk import qml
from owl_geo.disk.gpkg import FEATURE_ID

_VALUE_MAP_NULL = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"  # how QGIS's drop-down stores null
_NOT_ANSWERED = "(not answered)"
_BRIGHT = "#FFFFFF"

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
    columns: Sequence[str], classes: tuple[str, ...], positive: str, concepts: Sequence[str]
) -> str:
    """Return the QML of a batch whose attributes are ``columns``, in the order of the file."""
    qgis = qml.root()
    qgis.append(
        # frames that show on light and dark ground
        qml.by_label(classes, [qml.frame("#000000", 0.65), qml.frame(_BRIGHT, 0.4)])
    )
    qgis.append(_editors(classes))
    why = {column.name: column.title.format(positive=positive) for column in schema.WHY_COLUMNS}
    aliases = {**_ALIASES, **why}
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
    ET.SubElement(qgis, "mapTip").text = _map_tip(positive, concepts)
    return ET.tostring(qgis, encoding="unicode")


# --- the form -------------------------------------------------------------------------------------


def _editors(classes: tuple[str, ...]) -> ET.Element:
    """Return the drop-down for the label; QGIS chooses the widgets of the other columns.

    That includes the comment: QGIS fills a multi-line box with the word NULL, which the annotator
    would have to type over.
    """
    configuration = ET.Element("fieldConfiguration")
    field = ET.SubElement(configuration, "field", name="label")
    widget = ET.SubElement(field, "editWidget", type="ValueMap")
    words = (*classes, *schema.RESERVED_LABELS)
    pairs = [(_NOT_ANSWERED, _VALUE_MAP_NULL), *((word, word) for word in words)]
    ET.SubElement(widget, "config").append(_choices(pairs))
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


def _map_tip(positive: str, concepts: Sequence[str]) -> str:
    rows = {
        "Label": f"coalesce(\"label\", '{_NOT_ANSWERED}')",
        f"Probability of {positive}": 'round("probability", 3)',
        **{name: qml.column(name) for name in concepts},
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
