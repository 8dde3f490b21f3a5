"""Why a patch was asked for, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .session import Patch

translate = QCoreApplication.translate

Line = tuple[str, str]  # what it is, what it says


def why_lines(
    patch: Patch, patches: Sequence[Patch], positive: str, distances: Sequence[str] = ()
) -> list[Line]:
    """Return the reasons as pairs of a name and a sentence; ``distances`` are in metres."""
    why = patch.why
    lines = [
        (
            translate("OwlGeo", "Rank"),
            translate("OwlGeo", "{rank} of {n}, 1 is the most wanted").format(
                rank=patch.rank, n=len(patches)
            ),
        )
    ]
    probability = why.get("probability")
    if probability is None:
        says = translate("OwlGeo", "no opinion yet, it has seen no answers")
    else:
        says = translate("OwlGeo", "{share} likely to be {positive}").format(
            share=f"{float(probability):.0%}", positive=positive
        )
    lines.append((translate("OwlGeo", "The model"), says))
    for name, title in (
        ("uncertainty", translate("OwlGeo", "Uncertainty")),
        ("relevance", translate("OwlGeo", "Relevance")),
        ("score", translate("OwlGeo", "Score")),
    ):
        value = why.get(name)
        if value is not None:
            lines.append((title, _compared(name, float(value), patches)))
    for name in why:
        if name not in schema.BATCH_COLUMNS_BEFORE:
            lines.append((name.replace("_", " "), _concept(why[name], name in distances)))
    return lines


def why_html(lines: Sequence[Line]) -> str:
    """Return the lines as a table for a label of rich text."""
    cell = "<td style='padding-right:10px'>"
    rows = (
        f"<tr>{cell}<b>{escape(title)}</b></td>{cell}{escape(says)}</td></tr>"
        for title, says in lines
    )
    return f"<table>{''.join(rows)}</table>"


def _compared(name: str, value: float, patches: Sequence[Patch]) -> str:
    """Put a number beside the others of the batch, for it has no unit of its own."""
    values = [other.why.get(name) for other in patches]
    others = [float(other) for other in values if other is not None]
    lowest, highest = min(others), max(others)
    if lowest == highest:
        return f"{value:.3g}"
    below = sum(other < value for other in others) / (len(others) - 1)
    if value == highest:
        place = translate("OwlGeo", "the highest of this batch")
    elif value == lowest:
        place = translate("OwlGeo", "the lowest of this batch")
    else:
        place = translate("OwlGeo", "higher than {share} of this batch").format(
            share=f"{below:.0%}"
        )
    return f"{value:.3g}, {place}"


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
