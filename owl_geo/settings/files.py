"""Which settings name files: each says so in its type, and whoever asks goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Change = Callable[[str, str], str]  # of a setting and the path in it, to the path to take instead


class NamesFile:
    """In the type of a setting: it names a file or folder, or whatever else GDAL opens.

    Args:
        words: values that name no file.
    """

    def __init__(self, *words: str) -> None:
        self.words = words


File = Annotated[str, NamesFile()]


def with_files(section: type[BaseModel], values: Mapping[str, Any], change: Change) -> Any:
    """Return a copy of the plain values of a section in which each file's name is changed.

    Values need not be valid; where one is not of the setting's type it stays as it is.
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
    found: list[tuple[str, str]] = []

    def keep(setting: str, path: str) -> str:
        found.append((setting, path))
        return path

    with_files(section, values, keep)
    return found


def settings_of_files(section: type[BaseModel]) -> Iterator[str]:
    """Yield the names of the settings of a section, and of the sections in it, that name files."""
    for name, field in section.model_fields.items():
        inner = list(_types(field))
        if any(isinstance(one, NamesFile) for one in inner):
            yield name
        for one in inner:
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from settings_of_files(one)


def _types(field: FieldInfo) -> Iterator[Any]:
    """Yield a field's type and all that it is made of."""

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
    for member in inner:  # of a union, of which one fits
        value = _changed(member, (), value, setting, change)
    return value


def _is_of(section: type[BaseModel], values: Mapping[str, Any]) -> bool:
    """Whether values are those of a section, which a union tells from others by its kind."""
    kind = section.model_fields.get("kind")
    told_by_kind = kind is not None and get_args(kind.annotation) == (kind.default,)
    return not told_by_kind or (kind is not None and values.get("kind") == kind.default)
