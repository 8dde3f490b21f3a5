"""The options of `init` for a data cube, and for a table of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from owl_geo.cli.options import Advanced

F = TypeVar("F", bound=Callable[..., Any])


def cube_options(function: F) -> F:
    """Add --time and --crs, which decide how a cube is read, and those of a table."""
    for option in reversed(
        (
            click.option(
                "--time",
                cls=Advanced,
                help="Cube: how its dates become one: median, mean, min, max, first, last, or "
                "stack (the bands of every date).",
                show_default="median",
            ),
            click.option(
                "--crs",
                cls=Advanced,
                help="Cube or table: its CRS if it names none or a wrong one, such as EPSG:32631.",
            ),
            click.option(
                "--vector-column",
                cls=Advanced,
                help="Table: the column of vectors.",
                show_default="the one that has any",
            ),
            click.option(
                "--footprint",
                cls=Advanced,
                type=float,
                metavar="METRES",
                help="Table: edge of a place.",
                show_default="that of the polygons, or the points' spacing",
            ),
        )
    ):
        function = option(function)
    return function
