"""``owl-geo report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.errors import OwlError


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo report RUN --out search.html",
    short_help="Write the run's report, one HTML file.",
)
@opt.run_folder
@click.option("--out", type=click.Path(path_type=Path), help="File.  [RUN/report.html]")
@click.option("--overwrite", is_flag=True, help="Replace the file of --out.")
@opt.device
@opt.common
def report(run_path: Path, out: Path | None, overwrite: bool, device: str) -> None:
    """Write where the run stands, with maps, curves and patches, as one HTML file.

    It needs no network and no other file, and prints on A4. RUN/report.html is replaced.
    """
    from owl_geo.reporting.document import report as write

    if out is not None and not out.is_dir() and out.suffix.lower() not in (".html", ".htm"):
        raise OwlError(f"{out} would be HTML", remedy=f"name it {out.with_suffix('.html').name}")
    click.echo(write(run_path, out, overwrite=overwrite, device=device, report=opt.progress))
