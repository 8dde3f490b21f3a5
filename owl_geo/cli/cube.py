"""The options of `init` for a data cube."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from owl_geo.cli.options import Advanced

F = TypeVar("F", bound=Callable[..., Any])


def cube_options(function: F) -> F:
    """Add --time and --crs, which decide how a cube is read."""
    for option in reversed(
        (
            click.option(
                "--time",
                cls=Advanced,
                help="Cube: how its dates become one: median, mean, min, max, first, last, or "
                "stack (the bands of every date).  [median]",
            ),
            click.option(
                "--crs", cls=Advanced, help="Cube: its CRS if it names none, such as EPSG:32631."
            ),
        )
    ):
        function = option(function)
    return function
