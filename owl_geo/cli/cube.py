"""The data cube as `init` offers it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from owl_geo.cli.options import Advanced, given

F = TypeVar("F", bound=Callable[..., Any])

OF_CUBES = ("time", "crs")  # parameters that mean something for cubes only


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


def settings(options: dict[str, Any], absolute: Callable[[str], str]) -> dict[str, Any]:
    """Return the source as owl.toml has it; ``absolute`` makes paths hold from anywhere."""
    if len(options["scenes"]) > 1:
        raise click.UsageError("--source cube takes one --scene")
    name, path = "", "".join(options["scenes"])
    if not Path(path).exists() and "=" in path.split("://")[0]:
        name, path = path.split("=", 1)
    return given(
        kind="cube",
        path=absolute(path) if path else None,
        name=name or None,
        bands=options["bands"],
        time=options["time"],
        patch_size=options["patch_size"],
        stride=options["stride"],
        min_valid=options["min_valid"],
        aoi=absolute(options["aoi"]) if options["aoi"] else None,
        crs=options["crs"],
    )
