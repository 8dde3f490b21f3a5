"""``owl-geo like``: the places most like some patches."""

from __future__ import annotations

import math
from pathlib import Path

import click

from owl_geo.cli import options as opt


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo like RUN tile/120/48 --unlike tile/96/8",
    short_help="Find the places most like some patches.",
)
@opt.run_folder
@click.argument("patches", metavar="PATCH...", nargs=-1, required=True)
@click.option(
    "--unlike", multiple=True, metavar="PATCH", help="A patch that is not meant. Repeat for more."
)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many places to show.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The GeoPackage to write.  [RUN/like.gpkg]"
)
@click.option("--overwrite", is_flag=True, help="Replace the file of --out.")
@opt.device
@opt.cluster
@opt.common
def like(
    run_path: Path,
    patches: tuple[str, ...],
    unlike: tuple[str, ...],
    count: int,
    out: Path | None,
    overwrite: bool,
    device: str,
    cluster: str | None,
) -> None:
    """Print the places most like some patches of a run, and write them as a GeoPackage.

    PATCH is a patch_id, as batches and maps have it. Patches are compared by what the model sees of
    them, the image or its embedding, and the concepts; nothing needs to be answered.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.like import like as find
    from owl_geo.work import cluster as cluster_

    with cluster_.opened(cluster) as workers:
        done = find(
            Run(run_path),
            patches,
            unlike=unlike,
            count=count,
            out=out,
            overwrite=overwrite,
            device=device,
            workers=workers,
            report=opt.progress,
        )
    for place in done.places.itertuples():
        where = "" if math.isnan(place.lon) else f"  {place.lat:.5f}, {place.lon:.5f}"
        label = f"  {place.label}" if place.label else ""
        click.echo(f"{place.rank:>4}  {place.likeness:.3f}  {place.patch_id}{where}{label}")
    click.echo(done.path)
