"""``owl-geo patches``: the grid of a run as a layer."""

from __future__ import annotations

from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.wording import counted


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo patches RUN grid.gpkg",
    short_help="Write all patches as a layer to open in QGIS.",
)
@opt.run_folder
@click.argument("path", metavar="FILE", type=opt.LocalPath())
@click.option(
    "--no-model", is_flag=True, help="Leave probability and uncertainty empty; reads no pixels."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@opt.device
@opt.cluster
@opt.common
def patches(
    run_path: Path, path: Path, no_model: bool, overwrite: bool, device: str, cluster: str | None
) -> None:
    """Write every patch as a polygon, with its concepts, answers and predictions.

    The suffix of FILE decides on the format: .gpkg, which opens styled in QGIS, .parquet, .geojson,
    .fgb or .csv. The label is the one that counts among all annotators. Probability and uncertainty
    are those of the model that the next query would learn; before there is one, they are empty.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.patches import patches as write
    from owl_geo.work import cluster as cluster_

    with cluster_.opened(cluster) as workers:
        done = write(
            Run(run_path),
            path,
            model=not no_model,
            overwrite=overwrite,
            device=device,
            workers=workers,
            report=opt.progress,
        )
    click.echo(f"{path}: {counted(done.patches, 'patch')}, {done.labelled:,} with a label")
    if not (done.has_model or no_model):
        opt.say("There is no model yet: probability and uncertainty are empty")
