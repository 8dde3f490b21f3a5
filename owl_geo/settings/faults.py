"""Errors of pydantic in the words of owl.toml: which setting, what is there, what is wanted."""

from __future__ import annotations

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
    parts, section = _located(first["loc"])
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
        return SettingFault("", f"{place}.kind is missing")
    wanted = first["msg"].removeprefix("Input ").strip()
    wanted = wanted.replace("valid tuple", "list").replace("valid dictionary", "table")
    given = repr(first["input"])
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    too_large = first["type"] in ("less_than_equal", "less_than")
    remedy = "write a share, 0.9 for 90 %" if too_large and first["loc"][-1] in _SHARES else ""
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        near = nearest(first["input"], _words(section.model_fields[parts[-1]]))
        remedy = "" if near is None else f"did you mean {near!r}?"
    return SettingFault("", f"{place} is {given}, but it {wanted}", (place,), remedy)


def _words(field: FieldInfo) -> list[str]:
    """Return the words that a setting accepts; empty if it is not a choice among words."""
    chosen = [name for one in field.metadata if isinstance(one, OneOf) for name in one.choices]
    return chosen or _literals(field.annotation)


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _literals(part)]


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
