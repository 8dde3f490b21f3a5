"""Which settings name files: each says so in its type, and this module finds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

Change = Callable[[str, str], str]  # takes a setting and its path, returns the path to use instead


class NamesFile:
    """Marks the type of a setting that names a file, a folder or anything else that GDAL opens.

    Args:
        words: values that do not name a file.
    """

    def __init__(self, *words: str) -> None:
        self.words = words


def _as_text(value: Any) -> Any:
    """Take the text of a path, as programs in Python have it."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


File = Annotated[str, NamesFile(), BeforeValidator(_as_text)]


def with_files(section: type[BaseModel], values: Mapping[str, Any], change: Change) -> Any:
    """Return a copy of a section's plain values in which each file's name is changed.

    The values need not be valid; one that does not have the setting's type stays as it is.
    """
    fields = section.model_fields
    return {
        name: _changed(fields[name].annotation, fields[name].metadata, value, name, change)
        if name in fields
        else value
        for name, value in values.items()
    }


def named_files(section: type[BaseModel], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each setting that names a file, as ``layers.osm.path``, and the path in it."""
    setting_paths: list[tuple[str, str]] = []

    def keep(setting: str, path: str) -> str:
        setting_paths.append((setting, path))
        return path

    with_files(section, values, keep)
    return setting_paths


def settings_of_files(section: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all settings in a section and its subsections that name files."""
    for name, field in section.model_fields.items():
        inner = list(_types(field))
        if any(isinstance(one, NamesFile) for one in inner):
            yield name
        for one in inner:
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from settings_of_files(one)


def _types(field: FieldInfo) -> Iterator[Any]:
    """Yield a field's type and every type inside it."""

    def parts(annotation: Any) -> Iterator[Any]:
        yield annotation
        for inner in get_args(annotation):
            yield from parts(inner)

    yield from field.metadata
    yield from parts(field.annotation)


def _changed(annotation: Any, metadata: Any, value: Any, setting: str, change: Change) -> Any:
    for mark in metadata:
        if isinstance(mark, NamesFile):
            is_file = isinstance(value, str) and value not in mark.words
            return change(setting, value) if is_file else value
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _changed(inner[0], annotation.__metadata__, value, setting, change)
    if get_origin(annotation) is tuple:
        if not isinstance(value, list | tuple):
            return value
        return [
            _changed(inner[0], (), one, f"{setting}.{number}", change)
            for number, one in enumerate(value)
        ]
    if get_origin(annotation) is dict:
        if not isinstance(value, Mapping):
            return value
        return {
            key: _changed(inner[1], (), one, f"{setting}.{key}", change)
            for key, one in value.items()
        }
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not isinstance(value, Mapping) or not _is_of(annotation, value):
            return value
        return with_files(annotation, value, lambda name, path: change(f"{setting}.{name}", path))
    for member in inner:  # of a union; the value fits one of them
        value = _changed(member, (), value, setting, change)
    return value


def _is_of(section: type[BaseModel], values: Mapping[str, Any]) -> bool:
    """Whether the values belong to this section; members of a union differ by their kind.

    Without a kind, which an option may add later, they may belong to any of them.
    """
    kind = section.model_fields.get("kind")
    has_own_kind = kind is not None and get_args(kind.annotation) == (kind.default,)
    return kind is None or not has_own_kind or values.get("kind", kind.default) == kind.default
