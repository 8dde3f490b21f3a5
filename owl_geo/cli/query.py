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
@click.option(
    "--to-store",
    is_flag=True,
    help="Also publish the batch in the team's database, as a layer that QGIS opens.",
)
@opt.device
@opt.cluster
@opt.common
def query(run_path: Path, to_store: bool, device: str, cluster: str | None) -> None:
    """Write the next batch to label as a GeoPackage and print its path.

    Learns from every answer ingested so far. Until the last batch has an answer, that batch is
    named again; patches of it that stay unanswered go back to the pool. With --to-store, where
    owl.toml names a database, the last line is the address of the batch's layer there.
    """
    from owl_geo.run_folder import Run

    ask(Run(run_path), device, cluster, to_store=to_store)


def ask(opened: Run, device: str, cluster: str | None, *, to_store: bool = False) -> None:
    """Write the next batch, or name the one that still waits, and print its path.

    With ``to_store`` it is published as well, if it is not yet.
    """
    from owl_geo import cluster as cluster_
    from owl_geo import loop, publication

    if to_store:
        publication.team_store(opened)  # before the work, not after it
    waits = opened.waiting() is not None
    with cluster_.opened(None if waits else cluster) as workers:
        entry = loop.query(opened, device=device, workers=workers, progress=opt.progress("Scoring"))
    path = opened.batch_path(entry.number)
    if waits:
        then = "query` again" if to_store else "ingest`"
        opt.say(f"Batch {entry.batch_id} has no answers yet; label it, then `owl-geo {then}")
    else:
        opt.say(f"Batch {entry.batch_id}: {len(entry.patch_ids)} of {entry.metrics.n_pool} patches")
    click.echo(path)
    if to_store:
        layer = publication.publish(opened, entry)
        opt.say(
            f"In QGIS: a PostgreSQL connection to the database {layer.database} on {layer.host}, "
            f"port {layer.port}; schema {layer.schema}, layer {layer.layer}"
        )
        click.echo(layer.address)
