"""HTML built by functions: text is always escaped, whoever wrote it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"meta", "img", "br"})


class Markup(str):
    """A string that is already HTML; every other string is text and is escaped."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """Return an element; ``class_`` stands for class, and an attribute of None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return the parts joined together, each escaped unless it is markup."""
    return Markup("".join(_escaped(part) for part in parts))


def _escaped(part: str) -> str:
    if isinstance(part, Markup):
        return part
    # invisible characters may reverse the direction of a line or hide what follows
    return escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in part))


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
) -> Markup:
    """Return a table whose first column names the row; columns in ``numbers`` are right-aligned.

    On a narrow screen each row becomes a separate block, with the column names before the values.
    """
    body = []
    for row in rows:
        cells = []
        for column, (name, value) in enumerate(zip(head, row, strict=True)):
            kind = "number" if column in numbers else None
            if column == 0:
                cells.append(tag("th", value, scope="row", class_=kind))
            else:
                cells.append(tag("td", value, class_=kind, data_name=name))
        body.append(tag("tr", *cells))
    names = [
        tag("th", name, scope="col", class_="number" if column in numbers else None)
        for column, name in enumerate(head)
    ]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *names)),
        tag("tbody", *body),
    )


def image(data: bytes, kind: str, alt: str, **attributes: str | int | None) -> Markup:
    """Return an image embedded in the page; ``kind`` is png, jpeg or svg+xml."""
    text = base64.b64encode(data).decode("ascii")
    return tag("img", src=f"data:image/{kind};base64,{text}", alt=alt, **attributes)
