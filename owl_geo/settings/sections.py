"""What all tables of owl.toml have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from owl_geo.settings.choices import Choice, default, in_words, listed

_LONGEST_NAME = 200  # characters in a class's or concept's name, which heads columns and buttons


class Section(BaseModel):
    """A table of owl.toml: frozen, and strict about names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a password, in the wrong place, must not reach a traceback
    )
    # settings that older runs lack: left out where they are not set, so that their digests stay
    newer: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, values: Any) -> Any:
        """Refuse true and false for a number: to Python, they are 1 and 0."""
        for name, value in values.items() if isinstance(values, Mapping) else ():
            field = cls.model_fields.get(name)
            wanted = set() if field is None else set(_types_in(field.annotation))
            if bool in wanted or not wanted & {int, float}:
                continue
            said = next((one for one in _values_in(value) if isinstance(one, bool)), None)
            if said is not None:
                verb = "is" if value is said else "has"
                raise Wrong(f"{name} {verb} {str(said).lower()}, which is not a number", name)
        return values

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        for name in self.newer:
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name, None)
        return values


def _types_in(annotation: Any) -> Iterator[Any]:
    """Yield a type, or those that it is made of."""
    parts = get_args(annotation)
    if not parts:
        yield annotation
    for part in parts:
        yield from _types_in(part)


def _values_in(value: Any) -> Iterator[Any]:
    """Yield a value, or those that a table or a list of them holds."""
    if isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _values_in(one)
    else:
        yield value


class Wrong(ValueError):
    """What a validator finds wrong, with the names of the settings in its section at fault."""

    def __init__(self, text: str, *settings: str, remedy: str = "") -> None:
        super().__init__(text)
        self.settings = settings
        self.remedy = remedy


class OneOf:
    """The type of a setting whose value is a name in ``choices``; it fails as a Literal does."""

    def __init__(self, choices: Mapping[str, Choice]) -> None:
        self.choices = choices

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(self.choices), "type": "string"}

    def _checked(self, name: Any) -> str:
        if isinstance(name, str) and name in self.choices:
            return name
        expected = in_words([repr(choice) for choice in self.choices])
        raise PydanticKnownError("literal_error", {"expected": expected})


def doc(default: Any, text: str, **constraints: Any) -> Any:
    """Return a setting with its default; ``text`` becomes the comment beside it in owl.toml."""
    return Field(default, description=text, **constraints)


def one_of(choices: Mapping[str, Choice], text: str = "") -> Any:
    """Return a setting of type ``OneOf(choices)``; its comment lists the choices after ``text``."""
    return doc(default(choices), f"{text}: {listed(choices)}" if text else listed(choices))


def check_name(kind: str, name: str, *settings: str) -> None:
    """Raise ValueError for a name that cannot head a column, a button and a legend of QGIS."""
    shown = repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Wrong(
            (
                f"the {kind} {shown} is empty, has characters that QGIS cannot show, or has more "
                f"than {_LONGEST_NAME}"
            ),
            *settings,
            remedy="rename it",
        )
    if "[%" in name or "%]" in name:
        raise Wrong(
            f"QGIS would take the {kind} {shown} for an expression", *settings, remedy="rename it"
        )
