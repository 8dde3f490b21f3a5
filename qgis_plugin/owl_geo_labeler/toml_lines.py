"""A run's owl.toml: by tomllib where Python has it, else the plain lines that owl-geo writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem

try:
    import tomllib
except ImportError:  # before Python 3.11, as QGIS 3.22 has on Windows
    tomllib = None  # type: ignore[assignment]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the settings as plain values. Raises Problem where they cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return parse_lines(text) if tomllib is None else tomllib.loads(text)
    except (OSError, ValueError) as error:
        message = QCoreApplication.translate("OwlGeo", "{path} cannot be read: {reason}")
        raise Problem(message.format(path=path, reason=error)) from error


def parse_lines(text: str) -> dict[str, Any]:
    """Read tables, arrays of tables and values of one line; raises ValueError for anything else."""
    root: dict[str, Any] = {}
    table = root
    for number, line in enumerate(text.splitlines(), start=1):
        line = _without_comment(line).strip()
        if not line:
            continue
        if line.startswith("[["):
            *above, last = _keys(line[2:-2])
            rows = _descend(root, above).setdefault(last, [])
            table = {}
            rows.append(table)
        elif line.startswith("["):
            table = _descend(root, _keys(line[1:-1]))
        else:
            name, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"line {number} is no setting: {line}")
            table[_keys(name)[0]] = _value(value.strip(), number)
    return root


def _without_comment(line: str) -> str:
    quote = ""
    for place, character in enumerate(line):
        escaped = quote == '"' and line[place - 1] == "\\" and line[place - 2] != "\\"
        if quote:
            quote = "" if character == quote and not escaped else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[:place]
    return line


def _keys(text: str) -> list[str]:
    """Split a dotted key; a dot between quotes belongs to the name."""
    keys, rest = [], text.strip()
    while rest:
        if rest[0] in "\"'":
            name, _, rest = rest[1:].partition(rest[0])
        else:
            name, _, rest = rest.partition(".")
            rest = "." + rest if rest else ""
        keys.append(name.strip())
        rest = rest.strip().lstrip(".").strip()
    return keys


def _descend(table: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    for key in keys:
        table = table.setdefault(key, {})
        if isinstance(table, list):
            table = table[-1]
    return table


def _value(text: str, number: int) -> Any:
    if text.startswith("'") and text.endswith("'") and text.count("'") == 2:
        return text[1:-1]
    if "'" in text and text.startswith("["):
        return [_value(part.strip(), number) for part in text[1:-1].split(",") if part.strip()]
    try:
        return json.loads(
            text.replace(",]", "]")
        )  # what owl-geo writes on one line is JSON as well
    except ValueError as error:
        raise ValueError(
            f"line {number} needs Python 3.11 to be read, or to stand on one line"
        ) from error
