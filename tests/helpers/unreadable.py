"""Folders that cannot be read, for root too, whom no mode of a file keeps out."""

from __future__ import annotations

import errno
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
