"""``owl-geo report``: a run's report, a single HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.errors import OwlError


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo report RUN --out search.html",
    short_help="Write a report of the run as a single HTML file.",
)
@opt.run_folder
@click.option(
    "--out",
    type=opt.LocalPath(),
    help="The file to write.",
    show_default="RUN/report.html",
    cls=opt.Option,
)
@click.option("--overwrite", is_flag=True, help="Replace the file named by --out.")
@opt.device
@opt.common
def report(run_path: Path, out: Path | None, overwrite: bool, device: str) -> None:
    """Write a report of the run, with maps, curves and patches, as a single HTML file.

    It needs neither network nor other files, and prints on A4. RUN/report.html is replaced.
    """
    from owl_geo.reporting.document import report as write

    if out is not None and not out.is_dir() and out.suffix.lower() not in (".html", ".htm"):
        html = out.with_suffix(".html").name
        raise OwlError(f"{out} must be an HTML file", remedy=f"name it {html}")
    click.echo(write(run_path, out, overwrite=overwrite, device=device, report=opt.progress))
