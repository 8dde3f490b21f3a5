"""What cannot be read or reached, for root too, whom no mode of a file keeps out."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def forbid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python find that it may not list a folder."""

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: Any = ".", *arguments: Any) -> Any:
            if not isinstance(path, int) and Path(path) == folder:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *arguments)

        return called

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))


def disconnect(place: Path, monkeypatch: pytest.MonkeyPatch, number: int = errno.EHOSTDOWN) -> None:
    """Let Python find a file, or a folder and all in it, unreachable: where the share is off.

    ``number`` is that of the system's error. Libraries that open files by themselves still can.
    """

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: Any = ".", *arguments: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike):
                whole = Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve asks the disk
                if whole == place or place in whole.parents:
                    raise OSError(number, os.strerror(number), str(path))
            return call(path, *arguments, **named)

        return called

    reading = ("stat", "lstat", "listdir", "scandir")
    writing = ("open", "mkdir", "rmdir", "unlink", "remove", "rename", "replace", "link")
    for owner, names in ((os, (*reading, *writing)), (io, ("open",)), (builtins, ("open",))):
        for name in names:
            monkeypatch.setattr(owner, name, refusing(getattr(owner, name)))
