"""Errors of pydantic in the words of owl.toml: which setting, what is there, what is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from owl_geo.errors import nearest, suggestion
from owl_geo.settings.config import Settings
from owl_geo.settings.sections import OneOf, Section

_SHOWN = 80  # characters of a value in a message
_SHARES = ("min_valid", "min_share", "audit_share", "test_share", "overlap", "replay")
_FOR_MISSING = {
    "source.scenes": "name your imagery with --scene FILE, or try `owl-geo sample DIR` first"
}


@dataclass(frozen=True)
class SettingFault:
    """What is wrong with which settings, and what to do; ``str`` says where and what."""

    place: str  # the table, or the setting where ``what`` does not name it
    what: str
    settings: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" if self.place else self.what


def first_fault(error: ValidationError) -> SettingFault:
    """Return the first of pydantic's errors: where it is, what is there, and what is wanted."""
    first = error.errors()[0]
    parts, section, annotation = _located(first["loc"])
    place = ".".join(parts)
    if first["type"] == "extra_forbidden":
        remedy = suggestion(parts[-1], section.model_fields)
        return SettingFault("", f"{place} is not a setting", remedy=remedy)
    if first["type"] == "value_error":
        wrong = first["ctx"]["error"]
        about = [".".join([*parts, name]) for name in getattr(wrong, "settings", ())]
        remedy = getattr(wrong, "remedy", "")
        return SettingFault(place, str(wrong), tuple(about or [place]), remedy)
    if first["type"] == "missing":
        return SettingFault("", f"{place} is missing", remedy=_FOR_MISSING.get(place, ""))
    if first["type"] == "union_tag_invalid":
        kinds = first["ctx"]["expected_tags"]
        return SettingFault(
            "", f"{place}.kind is {first['ctx']['tag']!r}", remedy=f"known: {kinds}"
        )
    if first["type"] == "union_tag_not_found":
        kinds = ", ".join(repr(one.model_fields["kind"].default) for one in _members(annotation))
        return SettingFault("", f"{place}.kind is missing", remedy=f"known: {kinds}")
    wanted = first["msg"].removeprefix("Input ").strip()
    wanted = re.sub(" or (instance of|object to) .*", "", wanted)  # Python's, not TOML's
    wanted = wanted.replace("valid tuple", "list").replace("valid dictionary", "table")
    wanted = wanted.replace("a valid string", "text")
    given = repr(first["input"])
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    too_large = first["type"] in ("less_than_equal", "less_than")
    remedy = _as_written(first["type"], first["input"], annotation)
    if too_large and first["loc"][-1] in _SHARES:
        remedy = "write a share, 0.9 for 90 %"
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        near = nearest(first["input"], _words(section.model_fields[parts[-1]]))
        remedy = "" if near is None else f"did you mean {near!r}?"
    return SettingFault("", f"{place} is {given}, but it {wanted}", (place,), remedy)


def _as_written(kind: str, given: Any, annotation: Any) -> str:
    """Return how a value of the wrong type is written in TOML; empty if nobody can tell."""
    if kind == "string_type" and isinstance(given, int | float):
        return f"write {_text(given)}, in quotes"
    if kind == "tuple_type" and isinstance(given, str | int | float):
        lists = [one for one in _members(annotation) if get_origin(one) is tuple]
        entry = get_args(lists[0])[0] if len(lists) == 1 else Any
        if entry in (int, float):
            words = [word.strip() for word in str(given).split(",")]
            return f"write [{', '.join(words)}]" if all(map(_is_number, words)) else ""
        if entry is str or int in get_args(entry):  # a band may be a name or a number
            words = [_text(word) for word in str(given).split(",")]
            return f"write [{', '.join(words)}]"
        table = _table(given, entry)
        return f"write [{table}]" if table else ""
    if kind == "model_type":
        table = _table(given, annotation)
        return f"write {table}" if table else ""
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _table(given: Any, section: Any) -> str:
    """Return the table of a file that was given by its path alone."""
    if not (isinstance(given, str) and _is_section(section) and "path" in section.model_fields):
        return ""
    name = 'name = "NAME", ' if "name" in section.model_fields else ""
    return f"{{ {name}path = {_text(given)} }}"


def _text(value: object) -> str:
    """Return a value as text in TOML; true and false as they are written there."""
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    return json.dumps(text, ensure_ascii=False)


def _words(field: FieldInfo) -> list[str]:
    """Return the words that a setting accepts; empty if it is not a choice among words."""
    chosen = [name for one in field.metadata if isinstance(one, OneOf) for name in one.choices]
    return chosen or _literals(field.annotation)


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _literals(part)]


def _located(loc: Sequence[int | str]) -> tuple[list[str], type[Section], Any]:
    """Return the part of pydantic's location that is in owl.toml, its section and its type.

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
    return parts, section, here


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
