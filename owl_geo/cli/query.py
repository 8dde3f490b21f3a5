"""``owl-geo query``: the next batch to label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt

if TYPE_CHECKING:
    from owl_geo.run_folder import Run


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo query RUN",
    short_help="Write the next batch to label and print its path.",
)
@opt.run_folder
@opt.device
@opt.cluster
@opt.common
def query(run_path: Path, device: str, cluster: str | None) -> None:
    """Write the next batch to label as a GeoPackage and print its path.

    Learns from every answer ingested so far. Until the last batch has an answer, that batch is
    named again; patches of it that stay unanswered go back to the pool.
    """
    from owl_geo.run_folder import Run

    ask(Run(run_path), device, cluster)


def ask(opened: Run, device: str, cluster: str | None) -> None:
    """Write the next batch, or name the one that still waits, and print its path."""
    from owl_geo import cluster as cluster_
    from owl_geo import loop

    waits = opened.waiting() is not None
    with cluster_.opened(None if waits else cluster) as workers:
        entry = loop.query(opened, device=device, workers=workers, progress=opt.progress("Scoring"))
    path = opened.batch_path(entry.number)
    if waits:
        opt.say(f"Batch {entry.batch_id} has no answers yet; label it, then `owl-geo ingest`")
    else:
        opt.say(f"Batch {entry.batch_id}: {len(entry.patch_ids)} of {entry.metrics.n_pool} patches")
    click.echo(path)
