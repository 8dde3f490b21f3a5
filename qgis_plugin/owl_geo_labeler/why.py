"""Why a patch was chosen, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .panels import breakable
from .session import Patch

translate = QCoreApplication.translate

Line = tuple[str, str]  # what it is, what it says

_METRES = " (m)"  # ends the title of a distance, whose value says so here


def why_lines(
    patch: Patch,
    n_asked: int,
    positive: str,
    distances: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
) -> list[Line]:
    """Return the reasons as pairs of a name and a sentence; ``distances`` are in metres.

    ``n_asked`` is how many patches the batch has, and ``titles`` are what QGIS calls its columns in
    form and table.

    Nothing gives away which patches were drawn at random: no score, which means nothing for them,
    and no comparison with the other patches of the batch.
    """
    why = patch.why
    if patch.beside:
        says = (
            translate("OwlGeo", "a place that you noticed; the batch does not ask it")
            if patch.older is None
            else translate("OwlGeo", "of batch {name}; a new answer replaces the one there").format(
                name=patch.older_name
            )
        )
        return [(translate("OwlGeo", "Beside the batch"), says)]
    lines = [
        (
            translate("OwlGeo", "Rank"),
            translate("OwlGeo", "{rank} of {n}").format(rank=f"{patch.rank:,}", n=f"{n_asked:,}"),
        )
    ]
    probability = why.get("probability")
    if probability is None:
        says = translate("OwlGeo", "no opinion yet; it has seen no answers")
    else:
        says = translate("OwlGeo", "{share} likely to be {positive}").format(
            share=f"{100 * float(probability):.0f} %", positive=positive
        )
    lines.append((translate("OwlGeo", "The model"), says))
    for column in schema.WHY_COLUMNS:
        value = why.get(column.name)
        if column.in_panel and value is not None:
            lines.append((translate("OwlGeo", column.title), f"{float(value):.3g}"))
    for name in why:
        if name not in schema.BATCH_COLUMNS_BEFORE:
            title = (titles or {}).get(name) or name.replace("_", " ")
            is_distance = name in distances or title.endswith(_METRES)
            title = title[: -len(_METRES)] if title.endswith(_METRES) else title
            lines.append((title, _concept(why[name], is_distance)))
    return lines


def why_html(lines: Sequence[Line]) -> str:
    """Return the lines as a table for a label of rich text."""
    cell = "<td style='padding-right:10px'>"
    rows = (
        f"<tr>{cell}<b>{escape(breakable(title))}</b></td>{cell}{escape(breakable(says))}</td></tr>"
        for title, says in lines
    )
    return f"<table>{''.join(rows)}</table>"


def _concept(value: object | None, is_distance: bool) -> str:
    if value is None:
        return translate("OwlGeo", "not known")
    if isinstance(value, bool):
        return translate("OwlGeo", "yes") if value else translate("OwlGeo", "no")
    if isinstance(value, (int, float)):
        if not is_distance:
            return f"{value:.3g}"
        return f"{value / 1000:.1f} km" if value >= 1000 else f"{value:.0f} m"
    return str(value)
