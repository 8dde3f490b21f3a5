"""Commands, settings, columns and Python names for the pages, taken from the code at each build.

MkDocs calls ``on_page_markdown`` with each page. A line that begins with
``<!-- generated: NAME -->`` is replaced by what ``GENERATORS[NAME]`` returns; the rest of the line
is for people who read the file itself. An unknown name, or a column without a description, stops
the build.
"""

from __future__ import annotations

import datetime
import html
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import owl_geo
from owl_geo import schema
from owl_geo.cli import cli
from owl_geo.settings.config import Settings
from owl_geo.settings.sections import OneOf, Section

DOCS = Path(__file__).parent
_MARK = re.compile(r"^<!-- generated: (\S+) -->.*$", flags=re.MULTILINE)

_LONG_PREFIX = 20  # characters that band names may share without being shortened
_MANY_BANDS = 8

COLUMNS = {  # of a batch: type and meaning
    "patch_id": ("text", "the patch: its scene, and the row and column of its corner, in pixels"),
    "rank": ("integer", "the order to label in; patches drawn at random can have any rank"),
    **{column.name: ("real", column.meaning) for column in schema.WHY_COLUMNS},
    "label": ("text", "one of the run's classes, `unsure`, `skip`, or empty if not answered"),
    "annotator": ("text", "who answered"),
    "comment": ("text", "any note by the annotator"),
    "labelled_at": ("text", "when the answer was given, in UTC"),
    "scene": ("text", "the scene's name in owl.toml"),
    "scene_crs": ("text", "the scene's own CRS"),
    "batch_id": ("text", "the run and the number of the round"),
    "round": ("integer", "the number of the round, from 0"),
}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill the generated parts into a page; called by MkDocs."""
    return _MARK.sub(lambda match: GENERATORS[match[1]](), markdown)


def commands() -> str:
    """Return every command with its options, as in its ``--help``."""
    with click.Context(cli, info_name="owl-geo", **cli.context_settings) as context:
        return "\n\n".join(_commands(cli, context))


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name, command in group.commands.items():  # the order in which a search needs them
        if command.hidden:
            continue
        with click.Context(command, info_name=name, parent=context) as inside:
            yield f"## {inside.command_path}"
            usage = " ".join([inside.command_path, *command.collect_usage_pieces(inside)])
            yield f"```text\n{usage}\n```"
            yield _escaped(re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or "")))
            if isinstance(command, click.Group):
                yield from _commands(command, inside)
                continue
            everywhere = _common_options()
            rows = [row for row in _options(command, inside) if row not in everywhere]
            if rows:
                yield _table(("option", "meaning"), rows)
            example = (command.epilog or "").strip()
            if example.startswith("Example: "):
                yield f"```sh\n{example.removeprefix('Example: ')}\n```"


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    """Return the names and the meaning of each of a command's options, as in its help."""
    records = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
    ]
    return [
        (_code(names.replace("|", " | ")), _escaped(text)) for names, text in filter(None, records)
    ]


@cache
def _common_options() -> list[tuple[str, str]]:
    """Return the options that every command has, which are listed once."""
    each = []
    with click.Context(cli, info_name="owl-geo", **cli.context_settings) as context:
        for command in _leaves(cli):
            with click.Context(command, parent=context) as inside:
                each.append(_options(command, inside))
    return [row for row in each[0] if all(row in rows for rows in each)]


def _leaves(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _leaves(command)
        else:
            yield command


def common_options() -> str:
    """Return the options that every command has."""
    return _table(("option", "meaning"), _common_options())


def settings() -> str:
    """Return every table of owl.toml with its settings."""
    plain = [(name, field) for name, field in Settings.model_fields.items() if not _sections(field)]
    parts = ["## At the top", _fields(plain)]
    for name, field in Settings.model_fields.items():
        for section in _sections(field):
            parts += _section(name, section, many=get_origin(field.annotation) is dict)
    return "\n\n".join(parts)


def _section(name: str, section: type[Section], *, many: bool) -> Iterator[str]:
    kind = section.model_fields.get("kind")
    has_kind = kind is not None and get_args(kind.annotation) == (kind.default,)
    title = f"[{name}.NAME]" if many else f"[{name}]"
    yield f"## {title}, kind {kind.default}" if kind is not None and has_kind else f"## {title}"
    yield _escaped(" ".join((section.__doc__ or "").split()))
    fields = section.model_fields.items()
    yield _fields([(key, field) for key, field in fields if not _sections(field)])
    for key, field in fields:
        for inner in _sections(field):
            repeated = get_origin(field.annotation) is tuple
            path = f"{name}.NAME.{key}" if many else f"{name}.{key}"
            heading = f"[[{path}]]" if repeated else f"[{path}]"
            yield f"### {heading}"
            if field.description:
                yield _escaped(f"{field.description}:")
            yield _escaped(" ".join((inner.__doc__ or "").split()))
            yield _fields(list(inner.model_fields.items()))


def _sections(field: FieldInfo) -> list[type[Section]]:
    """Return the sections that a setting may hold, in order."""
    sections: list[type[Section]] = []

    def look(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            sections.append(annotation)
        for inner in get_args(annotation):
            look(inner)

    look(field.annotation)
    return sections


def _fields(fields: list[tuple[str, FieldInfo]]) -> str:
    rows = [
        (_code(name), _default(field), _values(field), _escaped(field.description or ""))
        for name, field in fields
    ]
    return _table(("setting", "default", "values", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "not set"
    value = list(value) if isinstance(value, tuple) else value
    return _code("{}" if value == {} else json.dumps(value))


def _values(field: FieldInfo) -> str:
    named = [list(one.choices) for one in field.metadata if isinstance(one, OneOf)]
    conditions = [_names(names) for names in named] or [_type(field.annotation)]
    for constraint in field.metadata:
        for sign, bound in (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt")):
            limit = getattr(constraint, bound, None)
            if limit is not None:
                conditions.append(f"{sign} {limit:,}")
    return ", ".join(conditions)


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _names(inner)
    if origin is tuple:
        return f"list of {_several(inner[0])}"
    if origin is dict:
        return f"table of {_several(inner[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(inner[0])
    if inner:
        return " or ".join(_type(one) for one in inner if one is not type(None))
    words = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}
    return (words | {datetime.date: "date"})[annotation]


def _names(values: Iterable[object]) -> str:
    return ", ".join(_code(json.dumps(value)) for value in values)


def _several(annotation: Any) -> str:
    one = _type(annotation)
    return f"{one}s" if one in ("whole number", "number", "text") else one


def batch_columns() -> str:
    """Return the columns of a batch, in their order."""
    concepts = ("one per concept", "text, real or boolean", "what is known about the patch")
    rows = [
        *(_column(name) for name in schema.BATCH_COLUMNS_BEFORE),
        concepts,
        *(_column(name) for name in schema.BATCH_COLUMNS_AFTER),
    ]
    return _table(("column", "type", "meaning"), rows)


def labels_columns() -> str:
    """Return the columns of labels.gpkg, which are not for editing."""
    rows = [(_code(name), *COLUMNS[name]) for name in schema.LABELS_COLUMNS]
    return _table(("column", "type", "meaning"), rows)


def _column(name: str) -> tuple[str, str, str]:
    kind, meaning = COLUMNS[name]
    editable = name in schema.EDITABLE_COLUMNS
    return (_code(name), f"{kind}, {'yours to fill in' if editable else 'fixed'}", meaning)


def colours() -> str:
    """Return the colour of each label."""
    named = schema.label_colours(("first class", "second", "third", "fourth", "fifth", "sixth"))
    swatch = '<span style="background:{0};padding:0 1.2em"></span> `{0}`'
    return _table(("label", "colour"), [(name, swatch.format(c)) for name, c in named.items()])


def python() -> str:
    """Return the names that ``import owl_geo`` offers; mkdocstrings fills in the docstrings."""
    verbs = [name for name in owl_geo.__all__ if name[0].islower()]
    parts = [name for name in owl_geo.__all__ if name[0].isupper()]
    entries = []
    for title, names in (("## Verbs and functions", verbs), ("## Parts", parts)):
        entries += [title, *(f"::: {_home(name)}.{name}" for name in names)]
    return "\n\n".join(entries)


def _home(name: str) -> str:
    return str(getattr(owl_geo, name).__module__)


def formats() -> str:
    """Return what is read how, from the layouts that the tests make and compare."""
    parts = []
    for family, layouts in _families().items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for layout in layouts:
            cells = (_bands_of(layout), layout.values, layout.missing, layout.position)
            alike.setdefault(cells, []).append(layout.name)
        rows = [("<br>".join(names), *cells) for cells, names in alike.items()]
        head = ("layout", "bands", "values", "missing", "position")
        parts += [f"## {family}", _table(head, rows)]
    return "\n\n".join(parts)


def _families() -> dict[str, tuple[Any, ...]]:
    """Return the layouts of the tests' corpus, by family."""
    tests = DOCS.parent / "tests"
    folders = [str(tests / "helpers"), str(tests / "corpus")]
    before = list(sys.path)
    sys.path[:0] = folders
    try:
        from registry import FAMILIES
    finally:
        sys.path[:] = before
    return dict(FAMILIES)


def _bands_of(layout: Any) -> str:
    """Return the bands of a layout with their common names; of many the first and the last."""
    first, last = min(layout.bands), max(layout.bands)  # which share what all do
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    cut = max(first.rfind(mark, 0, shared) for mark in "_.") + 1
    cut = cut if cut > _LONG_PREFIX else 0
    bands = [
        _code(f"…{name[cut:]}" if cut else name)
        + (f" {common}" if common not in (None, name) else "")
        for name, common in layout.bands.items()
    ]
    many = f"{len(bands)} bands, {bands[0]} to {bands[-1]}"
    text = ", ".join(bands) if len(bands) <= _MANY_BANDS else many
    return f"{text}; with `--bands`" if "--bands" in layout.options else text


def notebook() -> str:
    """Return the executed notebook as a page: its text, code, output and figures."""
    cells = json.loads((DOCS / "example.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _cell(cell))


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            image = "".join(data["image/png"]).replace("\n", "")
            alt = html.escape("".join(data.get("text/plain", "")), quote=True)
            yield f'<img alt="{alt}" src="data:image/png;base64,{image}">'
        else:
            text = "".join(output.get("text") or data.get("text/plain", ""))
            yield f"```text\n{text.rstrip()}\n```"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell_text, line)) + " |" for line in lines)


def _cell_text(text: str) -> str:
    """Escape bars, which end a cell, except in code, where a backslash would show."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("|", "\\|") for p in parts)


def _code(text: str) -> str:
    return f"`{text}`"


def _escaped(text: str) -> str:
    """Escape what Markdown and HTML would interpret, except in code."""
    parts = re.split(r"(`[^`]*`)", text.replace("``", "`"))
    plain = [
        re.sub(r"([\\*_\[\]#])", r"\\\1", html.escape(part, quote=False)) for part in parts[::2]
    ]
    return "".join(word for pair in zip(plain, [*parts[1::2], ""], strict=True) for word in pair)


GENERATORS: dict[str, Callable[[], str]] = {
    "batch-columns": batch_columns,
    "colours": colours,
    "commands": commands,
    "common-options": common_options,
    "formats": formats,
    "labels-columns": labels_columns,
    "notebook": notebook,
    "python": python,
    "settings": settings,
}
