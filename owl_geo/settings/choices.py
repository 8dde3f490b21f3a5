"""Where a name that stands in owl.toml leads: each choice is registered once, by its home."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def implementation(home: str) -> Any:
    """Return what ``"package.module:name"`` names, imported now.

    A home is text so that settings, which everything imports, import nothing of what they choose.
    """
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)
