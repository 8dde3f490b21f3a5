"""HTML by functions: what is text is escaped, whoever wrote it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"meta", "img", "br"})


class Markup(str):
    """A string that is HTML already; every other string is text and gets escaped."""

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
    """Return parts one behind the other, each escaped unless it is markup."""
    return Markup("".join(_escaped(part) for part in parts))


def _escaped(part: str) -> str:
    if isinstance(part, Markup):
        return part
    # characters that no font shows and that may turn the line round or hide what follows
    return escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in part))


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
) -> Markup:
    """Return a table whose first column names the row; ``numbers`` are columns set to the right.

    On a narrow screen each row becomes a block of its own, with the names of the columns before the
    values.
    """
    body = []
    for row in rows:
        cells = []
        for place, (name, value) in enumerate(zip(head, row, strict=True)):
            kind = "number" if place in numbers else None
            if place == 0:
                cells.append(tag("th", value, scope="row", class_=kind))
            else:
                cells.append(tag("td", value, class_=kind, data_name=name))
        body.append(tag("tr", *cells))
    names = [
        tag("th", name, scope="col", class_="number" if place in numbers else None)
        for place, name in enumerate(head)
    ]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *names)),
        tag("tbody", *body),
    )


def image(data: bytes, kind: str, alt: str, **attributes: str | int | None) -> Markup:
    """Return an image that stands in the page itself; ``kind`` is png, jpeg or svg+xml."""
    text = base64.b64encode(data).decode("ascii")
    return tag("img", src=f"data:image/{kind};base64,{text}", alt=alt, **attributes)
