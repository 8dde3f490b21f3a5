"""owl.toml: read and checked at the door, written with a comment per setting."""

from __future__ import annotations

import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from tomlkit.items import AoT, Array, Table

from owl_geo.errors import ConfigError, nearest, suggestion
from owl_geo.schema import LAYOUT_VERSION
from owl_geo.settings.config import Settings
from owl_geo.settings.files import settings_of_files, with_files
from owl_geo.settings.sections import OneOf, Section
from owl_geo.settings.subdatasets import is_subdataset, with_file

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
        finding = _finding(error)
        raise ConfigError(
            f"{where}: {finding}",
            remedy=finding.remedy,
            settings=finding.settings,
            fault=finding.fault,
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
            f"{path} does not exist", remedy="make a run with `owl-geo init`"
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


def expanded(path: str) -> Path:
    """Return a path with a leading ~ resolved, where it stands for a home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ and the name of an unknown user
        return Path(path)


def absolute(path: Path) -> Path:
    """Return an absolute path without ``.`` and ``..`` in it.

    A ``..`` behind a symbolic link is kept, since it leads elsewhere there.
    """
    whole = path.absolute()
    plain = os.path.normpath(whole)
    if ".." in whole.parts and os.path.realpath(plain) != os.path.realpath(whole):
        return whole
    return Path(plain)


_PATHS = frozenset(settings_of_files(Settings))
_WINDOWS = "write paths with / or in single quotes, 'C:\\data'"


def _not_toml(where: str, error: Exception, text: str = "") -> ConfigError:
    """Return the error for a text that is not TOML, with a remedy for usual mistakes."""
    if isinstance(error, IsADirectoryError):
        return ConfigError(f"{where} is a folder", remedy="name a TOML file")
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


def whole_path(path: str, folder: Path) -> str:
    """Return a path that starts at a folder made absolute, also that within a subdataset."""
    if is_local(path):
        return str(absolute(folder / expanded(path)))
    return with_file(path, lambda file: whole_path(file, folder))


def is_local(path: str) -> bool:
    """Return whether a path is on this file system, and not a URL or a name of GDAL's own."""
    return "://" not in path and not path.startswith("/vsi") and not is_subdataset(path)


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


@dataclass(frozen=True)
class _Finding:
    """What is wrong with which settings, and what to do; ``str`` gives the place and the fault."""

    place: str  # the table, or the setting where the fault does not name it
    fault: str
    settings: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}" if self.place else self.fault


def _finding(error: ValidationError) -> _Finding:
    """Return the first of pydantic's errors: where it is, what is there, and what is wanted."""
    first = error.errors()[0]
    parts, section = _located(first["loc"])
    place = ".".join(parts)
    if first["type"] == "extra_forbidden":
        remedy = suggestion(parts[-1], section.model_fields)
        return _Finding("", f"{place} is not a setting", remedy=remedy)
    if first["type"] == "value_error":
        wrong = first["ctx"]["error"]
        about = [".".join([*parts, name]) for name in getattr(wrong, "settings", ())]
        remedy = getattr(wrong, "remedy", "")
        return _Finding(place, str(wrong), tuple(about or [place]), remedy)
    if first["type"] == "missing":
        return _Finding("", f"{place} is missing", remedy=_FOR_MISSING.get(place, ""))
    if first["type"] == "union_tag_invalid":
        kinds = first["ctx"]["expected_tags"]
        return _Finding("", f"{place}.kind is {first['ctx']['tag']!r}", remedy=f"known: {kinds}")
    if first["type"] == "union_tag_not_found":
        return _Finding("", f"{place}.kind is missing")
    wanted = first["msg"].removeprefix("Input ").strip()
    wanted = wanted.replace("valid tuple", "list").replace("valid dictionary", "table")
    given = repr(first["input"])
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    too_large = first["type"] in ("less_than_equal", "less_than")
    remedy = "write a share, 0.9 for 90 %" if too_large and first["loc"][-1] in _SHARES else ""
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        near = nearest(first["input"], _words(section.model_fields[parts[-1]]))
        remedy = "" if near is None else f"did you mean {near!r}?"
    return _Finding("", f"{place} is {given}, but it {wanted}", (place,), remedy)


def _words(field: FieldInfo) -> list[str]:
    """Return the words that a setting accepts; empty if it is not a choice among words."""
    chosen = [name for one in field.metadata if isinstance(one, OneOf) for name in one.choices]
    return chosen or _literals(field.annotation)


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _literals(part)]


_SHARES = ("min_valid", "min_share", "audit_share", "test_share", "overlap", "replay")
_FOR_MISSING = {
    "source.scenes": "name your imagery with --scene FILE, or try `owl-geo sample DIR` first"
}


def _located(loc: Sequence[int | str]) -> tuple[list[str], type[Section]]:
    """Return the part of pydantic's location that is in owl.toml, and the section that it ends in.

    Where a setting is a union, pydantic also names the member that it tried. That part is known by
    its position and not by its name, because a user may give a concept the name of a kind.
    """
    parts: list[str] = []
    section: type[Section] = Settings
    here: Any = Settings
    for part in loc:
        members = list(_members(here))
        if len(members) > 1:
            here = next((member for member in members if _is_of_kind(member, part)), None)
            continue
        parts.append(str(part))
        (here,) = members
        if _is_section(here):
            section = here
            field = section.model_fields.get(str(part))
            here = field.annotation if field else None
        else:  # a table or a list whose entries are all of one type
            here = next((inner for inner in get_args(here)[::-1] if inner is not ...), None)
    return parts, section


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the types that a value may have, leaving out None among others."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            if member is not NoneType:
                yield from _members(member)
    else:
        yield annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _is_of_kind(annotation: Any, kind: int | str) -> bool:
    return _is_section(annotation) and annotation.model_fields["kind"].default == kind
