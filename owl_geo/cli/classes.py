"""``owl-geo classes``: the classes of a run."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.wording import as_typed


@click.group(short_help="Add a class to a run.", epilog="Example: owl-geo classes add RUN quarry")
def classes() -> None:
    """Add a class to a run, while the search goes on."""


@classes.command(
    cls=opt.Command,
    epilog="Example: owl-geo classes add RUN quarry",
    short_help="Add a class behind the others.",
)
@opt.run_folder
@click.argument("name")
@opt.common
def add(run_path: Path, name: str) -> None:
    """Add a class behind the others, while the search goes on.

    The other classes keep their numbers, keys and colours, and all answers stay. A batch that is
    written already keeps its classes, and can be ingested as before; the next one offers the new
    class too.
    """
    from owl_geo.verbs.classes import add_class

    done = add_class(run_path, name)
    name = done.run.settings.classes[-1]
    click.echo(f"{run_path}: {', '.join(done.run.settings.classes)}")
    if done.had:
        opt.say(f"{name} is a class of it already; nothing was changed")
        return
    for path in done.waiting:
        opt.say(f"{path} was written before, without {name}; the next batch offers it")
    oracle = done.run.settings.oracle
    if oracle is not None and oracle.path is not None:
        opt.say(
            f"The truth does not say where {name} is: set oracle.values.{name} in owl.toml, then "
            f"run owl-geo init {as_typed(run_path)} --update"
        )
