"""owl.toml: read and checked at the door, written with a comment per setting."""

from __future__ import annotations

import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError
from tomlkit.items import AoT, Array, Table

from owl_geo.errors import ConfigError, no_access
from owl_geo.schema import LAYOUT_VERSION
from owl_geo.settings.config import Settings
from owl_geo.settings.faults import first_fault
from owl_geo.settings.files import settings_of_files, with_files
from owl_geo.settings.paths import whole_path
from owl_geo.wording import as_typed

FILE_NAME = "owl.toml"

_MOST_BYTES = 64 * 2**20  # a run with a hundred thousand scenes needs less
_DEEPEST = 20  # tables within tables
_SHOWN = 80  # characters in a message


def parse(data: Mapping[str, Any], where: str) -> Settings:
    """Make settings from plain values; raises ConfigError with one line that names ``where``."""
    try:
        fault = next(_faults(data, ""), None)
        if fault is not None:
            raise ConfigError(f"{where}: {fault}")
        return Settings.model_validate(data)
    except ValidationError as error:
        wrong = first_fault(error)
        raise ConfigError(
            f"{where}: {wrong}",
            remedy=wrong.remedy,
            settings=wrong.settings,
            fault=wrong.what,
        ) from error


def parse_text(text: str, where: str) -> Settings:
    """Make settings from TOML; raises ConfigError with one line that names ``where``."""
    return parse(_loads(text, where), where)


def load(path: Path) -> Settings:
    """Read owl.toml; raises ConfigError where it is missing, malformed, too new or invalid."""
    try:
        data = read(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist",
            remedy=f"make a run with `owl-geo init {as_typed(path.parent)} --scene FILE`",
        ) from error
    version = data.get("version")
    if isinstance(version, int) and version > LAYOUT_VERSION:
        raise ConfigError(
            f"{path} was made by a newer owl-geo (layout {version}; this one reads up to "
            f"{LAYOUT_VERSION})",
            remedy="upgrade owl-geo",
        )
    return parse(data, str(path))


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file without checking its settings; raises ConfigError, FileNotFoundError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")  # Notepad adds a byte order mark
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _not_toml(str(path), error) from error
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{path} is larger than {_MOST_BYTES:,} bytes: it cannot be an owl.toml")
    data = _loads(text, str(path))
    fault = next(_faults(data, ""), None)
    if fault is not None:
        raise ConfigError(f"{path}: {fault}")
    return data


def _loads(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{where} cannot be read as TOML: it is nested too deep") from error
    except ValueError as error:  # a number of thousands of digits raises one too
        raise _not_toml(where, error, text) from error


def _faults(value: Any, setting: str, depth: int = 0) -> Iterator[str]:
    """Yield what is wrong with plain values, whatever they mean."""
    if depth > _DEEPEST:
        yield f"{setting[:_SHOWN]}... is nested too deep"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _faults(str(key), f"a name in {setting}" if setting else "a name")
            yield from _faults(inner, f"{setting}.{key}" if setting else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _faults(inner, f"{setting}.{number}", depth + 1)
    elif isinstance(value, str):
        if not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            hint = f"; {_WINDOWS}" if setting.rpartition(".")[2] in _PATHS else ""
            yield f"{setting[:_SHOWN]} has control characters: {value[:_SHOWN]!r}{hint}"
    elif isinstance(value, os.PathLike):
        yield from _faults(os.fspath(value), setting)
    elif isinstance(value, int) and abs(value) >= 2**53:
        yield f"{setting[:_SHOWN]} is out of bounds"


_PATHS = frozenset(settings_of_files(Settings))
_WINDOWS = "write paths with / or in single quotes, 'C:\\data'"


def _not_toml(where: str, error: Exception, text: str = "") -> ConfigError:
    """Return the error for a text that is not TOML, with a remedy for usual mistakes."""
    if isinstance(error, IsADirectoryError):
        return ConfigError(f"{where} is a folder", remedy="name a TOML file")
    if isinstance(error, OSError):
        fault = no_access(where, error)
        return ConfigError(fault.what, remedy=fault.remedy)
    remedy = ""
    if re.search(r'"[^"\n]*\\', text):
        remedy = _WINDOWS
    elif re.search(r"^[^#\n\"'\[{]*=\s*[+-]?\d+,\d", text, flags=re.MULTILINE):
        remedy = "write decimals with a point, 0.5"
    return ConfigError(f"{where} cannot be read as TOML: {error}", remedy=remedy)


def from_folder(settings: Settings, folder: Path) -> Settings:
    """Return settings with absolute paths; in owl.toml, relative ones start at its ``folder``."""
    return Settings.model_validate(absolute_paths(settings.model_dump(), folder))


def absolute_paths(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the tables of owl.toml with relative paths, which start at ``folder``, made absolute.

    A URL or a /vsi path of GDAL stays as it is; of a subdataset the path within is made absolute.
    """

    def whole(_setting: str, path: str) -> str:
        return whole_path(path, folder)

    tables: dict[str, Any] = with_files(Settings, values, whole)
    return tables


def dump(settings: Settings) -> str:
    """Return the settings as TOML with a comment per setting; ``load`` reads them back."""
    document = tomlkit.document()
    document.add(tomlkit.comment("The settings of this run. Edit them, then run the next command."))
    for key, item in _table(settings).items():
        document.add(key, item)
    return tomlkit.dumps(document)


def with_scenes(text: str, scenes: Sequence[BaseModel]) -> str:
    """Return the text of owl.toml with more scenes, keeping everything that a person wrote.

    Raises ConfigError where the scenes are written in a form that cannot be extended.
    """
    document = tomlkit.parse(text)
    try:
        listed = document["source"]["scenes"]
        for scene in scenes:
            table = _table(scene)
            if isinstance(listed, Array):  # scenes = [{ name = ... }]
                inline = tomlkit.inline_table()
                inline.update({key: value for key, value in table.unwrap().items() if value})
                listed.append(inline)
            else:
                listed.append(table)
        added = tomlkit.dumps(document)
        count = len(tomllib.loads(added)["source"]["scenes"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"cannot add scenes to source.scenes as it is written: {error}"
        ) from error
    if count != len(tomllib.loads(text)["source"]["scenes"]) + len(scenes):
        raise ConfigError(
            "cannot add to source.scenes as it is written", remedy="use [[source.scenes]]"
        )
    return added


def with_class(text: str, classes: Sequence[str], name: str) -> str:
    """Return the text of owl.toml with a further class, keeping everything that a person wrote.

    ``classes`` are those that the settings have now. Raises ConfigError where they are written in a
    form that cannot be extended.
    """
    document = tomlkit.parse(text)
    if "classes" in document:
        document["classes"].append(name)
        added = tomlkit.dumps(document)
    else:  # the default; a key at the end would belong to the last table
        added = f"classes = {tomlkit.item([*classes, name]).as_string()}\n{text}"
    if tomllib.loads(added)["classes"] != [*classes, name]:
        raise ConfigError("cannot add to classes as it is written", remedy="write it as a list")
    return added


def _table(section: BaseModel) -> Table:
    """Turn one section into a TOML table; plain values come before tables, as TOML requires."""
    table = tomlkit.table()
    nested: list[tuple[str, Any, str]] = []
    for name, field in type(section).model_fields.items():
        value, comment = getattr(section, name), field.description or ""
        if value is None or value == {}:
            continue
        if isinstance(value, BaseModel | dict) or _holds_models(value):
            nested.append((name, value, comment))
            continue
        item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
        comment = comment or (_summary(section) if name == "kind" else "")
        if comment:
            item.comment(comment)
        table.add(name, item)
    for name, value, comment in nested:
        table.add(name, _nested(value, comment))
    return table


def _nested(value: Any, comment: str) -> Table | AoT:
    """Turn what is no plain value into a table, or into a list of tables."""
    if isinstance(value, BaseModel):
        return _table(value)
    if isinstance(value, tuple):
        entries = tomlkit.aot()
        for entry in value:
            entries.append(_table(entry))
        return entries
    if _holds_models(value):
        group = tomlkit.table(is_super_table=True)
        for key, entry in value.items():
            group.add(key, _table(entry))
        return group
    plain = tomlkit.table()
    plain.comment(comment)
    for key, entry in value.items():
        plain.add(key, list(entry) if isinstance(entry, tuple) else entry)
    return plain


def _summary(section: BaseModel) -> str:
    """Return what a section is: the first sentence of its docstring, in lower case."""
    text = (type(section).__doc__ or "").partition(".")[0]
    return text[:1].lower() + text[1:]


def _holds_models(value: Any) -> bool:
    entries = value.values() if isinstance(value, dict) else value
    return isinstance(value, dict | tuple) and any(isinstance(e, BaseModel) for e in entries)
