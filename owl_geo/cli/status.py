"""``owl-geo status``: where a run stands."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo status RUN",
    short_help="Show where the run stands and what to do next.",
)
@opt.run_folder
@opt.common
def status(run_path: Path) -> None:
    """Show where the run stands: answers, prevalence, last metrics, and what to do next."""
    from owl_geo.reporting.facts import facts
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.status import status as status_of

    opened = Run(run_path)
    opened.warn_of_changes()
    with opened.at_one_moment():
        told = facts(opened, status_of(opened))
    for name, text in told:
        first, *rest = text.splitlines()
        click.echo(f"{name + ':':<10}{first}")
        for line in rest:
            click.echo(f"{'':<10}{line}")
