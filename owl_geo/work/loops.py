"""Loops that Numba compiles for the processor; imported only where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Compile a function when it is first called; it keeps no hold of the interpreter.

    What is compiled is kept beside its file, or in the user's cache, for the next process.
    """

    def decorate(function: Any) -> Any:
        settings = {"nogil": True, "error_model": "numpy", **options}
        try:
            return numba.njit(cache=True, **settings)(function)
        except RuntimeError:  # there is no folder that it may be kept in
            return numba.njit(**settings)(function)

    return decorate
