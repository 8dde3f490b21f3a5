"""Options for scenes, as `init` and `add` take them, and reports on the scenes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from owl_geo.cli import options as opt
from owl_geo.cli.logs import FINISHED_BUT
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.sources.views.measuring import ViewSummary
    from owl_geo.types import FailedScene

F = TypeVar("F", bound=Callable[..., Any])

_log = logging.getLogger("owl_geo")
_SCENES_SHOWN = 20


def scene_option(also: str) -> Callable[[F], F]:
    """Add --scene; ``also`` says what else than rasters the command takes."""
    return click.option(
        "--scene",
        "scenes",
        multiple=True,
        metavar="[NAME=]PATH",
        shell_complete=opt.files,
        help="A raster, a .SAFE or Landsat folder, a folder of bands, a pattern in quotes "
        f"('tiles/**/*.tif'), a list (@FILE) or a STAC item; {also}. Repeat for more scenes.",
    )


def mask_option(function: F) -> F:
    """Add --mask."""
    return click.option(
        "--mask",
        "masks",
        cls=opt.Advanced,
        multiple=True,
        shell_complete=opt.files,
        help="A cloud mask: one for all, one per scene, or a path with {name} for a scene's name.",
    )(function)


def on_error(function: F) -> F:
    """Add --on-error."""
    return click.option(
        "--on-error",
        cls=opt.Advanced,
        type=click.Choice(["fail", "skip"]),
        default="fail",
        show_default=True,
        help="skip: leave out scenes that cannot be used, list them at the end, exit with 3.",
    )(function)


def say_scenes(lines: Sequence[str]) -> None:
    """Print a line per scene, for the first 20 scenes."""
    click.echo("Scenes:")
    for line in lines[:_SCENES_SHOWN]:
        click.echo(f"  {line}")
    if len(lines) > _SCENES_SHOWN:
        click.echo(f"  and {len(lines) - _SCENES_SHOWN:,} more; -v lists them all")


def say_places(places: Mapping[str, tuple[int, int]]) -> None:
    """Print how many places each scene gives, where some show the same."""
    say_scenes(
        [
            f"{name}: {counted(gives, 'place')}"
            + (f", {others:,} seen in another scene" if others else "")
            for name, (gives, others) in places.items()
        ]
    )


def say_views(views: Sequence[ViewSummary]) -> None:
    """Print what each view shows."""
    for view in views:
        click.echo(f"View {view}")


def say_outcome(done: int, skipped: int, failed: Sequence[FailedScene]) -> None:
    """Print what became of the scenes, and list those that failed."""
    click.echo(f"Scenes: {done:,} done, {skipped:,} skipped, {len(failed):,} failed")
    name_failed(failed)


def name_failed(failed: Sequence[FailedScene]) -> None:
    """Warn about each failed scene, with the reason."""
    for scene in failed:
        _log.warning("failed: %s", scene.reason)


def exit_code(some_failed: bool) -> int:
    """Return the exit code of a finished command; a JSON log shows it unless it is 0."""
    if some_failed:
        opt.end_json("finished, but some scenes failed", FINISHED_BUT)
    return FINISHED_BUT if some_failed else 0
