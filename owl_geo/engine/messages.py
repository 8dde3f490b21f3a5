"""JSON-RPC 2.0: what a message is, what is wrong with one, and values as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
NO_SUCH_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
FAILED = -32000  # what a user can fix: the command's line
BUSY = -32001  # another process is working on the run; the same request succeeds later
CANCELLED = -32800  # as in the Language Server Protocol


class RpcError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def answer(self, id_: object) -> dict[str, Any]:
        """Return the message that tells it, in answer to the request ``id_``."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return {"jsonrpc": "2.0", "id": id_, "error": error}


@dataclass(frozen=True)
class Call:
    """A request, or a notification, which nobody awaits an answer to."""

    method: str
    params: Mapping[str, Any] | list[Any]  # a list is valid, but no method takes one
    id: str | float | None
    is_notification: bool


def read_call(line: bytes) -> Call:
    """Return the call in a line; raises ``BadCall`` for anything else."""
    try:
        # shells of Windows begin what they pipe with a byte order mark
        values = json.loads(line.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadCall(PARSE_ERROR, f"the line is not JSON in UTF-8: {error}") from error
    if isinstance(values, list):
        raise BadCall(INVALID_REQUEST, "send one message a line, not a list of them")
    if not isinstance(values, dict):
        raise BadCall(INVALID_REQUEST, "a message is an object")
    id_ = values.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int | float | None):
        raise BadCall(INVALID_REQUEST, "id is neither a text nor a number")
    if isinstance(id_, float) and not math.isfinite(id_):  # an answer could not repeat it
        raise BadCall(INVALID_REQUEST, "id is a number that is too large")
    if values.get("jsonrpc") != "2.0":
        raise BadCall(INVALID_REQUEST, 'a message has "jsonrpc": "2.0"', id_)
    method, params = values.get("method"), values.get("params", {})
    if not isinstance(method, str):
        raise BadCall(INVALID_REQUEST, "a message has a method, a text", id_)
    if not isinstance(params, dict | list):
        raise BadCall(INVALID_REQUEST, "params are an object", id_)
    return Call(method, params, id_, is_notification="id" not in values)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


class BadCall(RpcError):
    """A line that is not a call; ``id`` is that of the request, if it could be read."""

    def __init__(
        self,
        code: int,
        message: str,
        id_: str | float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, data)
        self.id = id_


def result(id_: object, value: object) -> dict[str, Any]:
    """Return the message that answers the request ``id_``."""
    return {"jsonrpc": "2.0", "id": id_, "result": value}


def notification(method: str, **params: object) -> dict[str, Any]:
    """Return a message that needs no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def line_of(message: Mapping[str, Any]) -> bytes:
    """Return a message as the line that is sent."""
    return json.dumps(plain(message), allow_nan=False).encode() + b"\n"


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, not-a-number as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
