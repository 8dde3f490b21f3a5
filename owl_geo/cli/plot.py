"""``owl-geo plot``: a run's plots."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo plot RUN --out pictures",
    short_help="Draw the run's curves and maps.",
)
@opt.run_folder
@click.option(
    "--out",
    type=opt.LocalPath(),
    help="The folder to write to.",
    show_default="RUN/plots",
    cls=opt.Option,
)
@opt.device
@opt.common
def plot(run_path: Path, out: Path | None, device: str) -> None:
    """Draw discovery and learning curves, and maps of the answers and of the model's probabilities.

    Writes each as PNG and SVG, replacing files of the same name. If there are many scenes, maps are
    drawn of the four with the most answers.
    """
    from owl_geo.reporting.plotting import plot as draw

    opt.check_folder(out)
    for path in draw(run_path, out, device=device, report=opt.progress):
        click.echo(path)
