"""A run's owl.toml, read with tomllib where it exists, else only the lines that owl-geo writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem, reading

try:
    import tomllib
except ImportError:  # before Python 3.11, as QGIS 3.22 has on Windows
    tomllib = None  # type: ignore[assignment]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the settings as plain values. Raises Problem if they cannot be read."""
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8-sig")  # Notepad adds a byte order mark
        return parse_lines(text) if tomllib is None else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = QCoreApplication.translate("OwlGeo", "{path} cannot be read: {reason}")
        raise Problem(message.format(path=path, reason=error)) from error


def parse_lines(text: str) -> dict[str, Any]:
    """Read tables, arrays of tables and one-line values; raises ValueError for anything else."""
    root: dict[str, Any] = {}
    table = root
    for number, line in enumerate(text.split("\n"), start=1):
        line = _split(line, "#")[0].strip()
        if not line:
            continue
        if line.startswith("[[") and line.endswith("]]"):
            *above, last = _keys(line[2:-2])
            rows = _descend(root, above).setdefault(last, [])
            if not isinstance(rows, list):
                raise ValueError(f"line {number}: {last} is not a list of tables")
            table = {}
            rows.append(table)
        elif line.startswith("[") and line.endswith("]"):
            table = _descend(root, _keys(line[1:-1]))
        else:
            name, *rest = _split(line, "=")
            if not rest:
                raise ValueError(f"line {number} is not a setting: {line}")
            *above, last = _keys(name)
            _descend(table, above)[last] = _value(line[len(name) + 1 :].strip(), number)
    return root


def _split(text: str, separator: str) -> list[str]:
    """Split at each separator that is not inside quotes."""
    parts, start, quote, escaped = [], 0, "", False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quote == '"' and character == "\\":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == separator:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _keys(text: str) -> list[str]:
    """Split a dotted key; a dot between quotes belongs to the name."""
    return [_key(part.strip()) for part in _split(text, ".")]


def _key(text: str) -> str:
    if not text:
        raise ValueError("a name is missing")
    if text[0] == '"':
        return str(json.loads(text))
    return text[1:-1] if text[0] == "'" else text


def _descend(table: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    for key in keys:
        inner = table.setdefault(key, {})
        if isinstance(inner, list) and inner:
            inner = inner[-1]
        if not isinstance(inner, dict):
            raise ValueError(f"{key} is not a table")
        table = inner
    return table


def _value(text: str, number: int) -> Any:
    if text.startswith("'") and text.endswith("'") and text.count("'") == 2:
        return text[1:-1]
    if "'" in text and text.startswith("[") and "[" not in text[1:]:
        return [_value(part.strip(), number) for part in _split(text[1:-1], ",") if part.strip()]
    if text.endswith("]"):
        text = text[:-1].rstrip().removesuffix(",") + "]"
    try:
        return json.loads(text)  # what owl-geo writes on one line is JSON as well
    except ValueError as error:
        raise ValueError(
            f"the setting in line {number} needs Python 3.11, or must be written on one line"
        ) from error
