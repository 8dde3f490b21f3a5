"""What a request may say: the params of each method, checked before anything is done."""

from __future__ import annotations

import os
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from owl_geo.engine.messages import INVALID_PARAMS, BadCall, Call


def _path(text: str) -> str:
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError("it is not a path") from error
    if not text or "\0" in text:
        raise ValueError("it is not a path")
    return text


_Path = Annotated[str, AfterValidator(_path)]


class Params(BaseModel):
    """Values by name; others, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NoParams(Params):
    """Nothing."""


class OfRun(Params):
    """What concerns a run."""

    run: _Path


class IngestParams(OfRun):
    """Which batches to take answers from, and who gave those without a name."""

    batches: list[_Path] = Field(min_length=1)
    annotator: str | None = Field(None, min_length=1)


class QueryParams(OfRun):
    """How the next batch is made."""

    go_on: bool = False
    annotators: list[str] | None = None
    overlap: float | None = Field(None, ge=0, le=1)


class ReviewParams(OfRun):
    """What is reviewed: the most probable patches from a threshold on."""

    threshold: float | None = Field(None, gt=0, le=1)
    size: int | None = Field(None, ge=1)
    go_on: bool = False


class PredictParams(OfRun):
    """Which maps are made, and where."""

    out: _Path | None = None
    top: int | None = Field(None, ge=1)
    threshold: float | None = Field(None, gt=0, le=1)
    scenes: list[str] = []
    on_error: Literal["fail", "skip"] = "fail"
    overwrite: bool = False


class LikeParams(OfRun):
    """Which patches are looked for, and whether they become a batch."""

    patches: list[str] = []  # with ``batch``, none = all that are answered as targets
    unlike: list[str] = []
    count: int | None = Field(None, ge=1)
    batch: bool = False  # make the next batch of them; its result is that of a query
    go_on: bool = False
    out: _Path | None = None
    overwrite: bool = False


class CancelParams(Params):
    """Which request is no longer wanted."""

    id: str | int | float


P = TypeVar("P", bound=Params)


def checked(kind: type[P], call: Call) -> P:
    """Return the params of a call; raises BadCall, which names what is wrong and what there is."""
    if isinstance(call.params, list):
        raise BadCall(INVALID_PARAMS, "params have names: an object, not a list", call.id)
    try:
        return kind.model_validate(dict(call.params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        names = ", ".join(kind.model_fields) or "none"
        text = f"{call.method}: {where}: {first['msg']}"
        raise BadCall(INVALID_PARAMS, text, call.id, {"remedy": f"params: {names}"}) from error
