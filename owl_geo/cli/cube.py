"""The data cube as `init` offers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from owl_geo.cli.options import Advanced

F = TypeVar("F", bound=Callable[..., Any])


def cube_options(function: F) -> F:
    """Add what decides how a cube is read."""
    for option in reversed(
        (
            click.option(
                "--time",
                cls=Advanced,
                help="Cube: what its dates become: median, mean, min, max, first, last, or stack, "
                "bands of each.  [median]",
            ),
            click.option(
                "--crs", cls=Advanced, help="Cube: its CRS, EPSG:32631 say, where it names none."
            ),
        )
    ):
        function = option(function)
    return function
