"""``owl-geo like``: the places most like some patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli.query import go_on_option, show, to_store_option
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.records import Round


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo like RUN tile/120/48 --unlike tile/96/8",
    short_help="Find the places most like some patches.",
)
@opt.run_folder
@click.argument("patches", metavar="[PATCH...]", nargs=-1)
@click.option(
    "--unlike",
    multiple=True,
    metavar="PATCH",
    help="A patch that is not what you mean. Repeat for more.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    help="How many places to show, or to ask about.",
    show_default="20; with --batch, the size of one",
    cls=opt.Option,
)
@click.option("--batch", is_flag=True, help="Make the next batch of them.")
@go_on_option
@to_store_option
@click.option(
    "--out",
    type=opt.LocalPath(),
    help="The GeoPackage to write.",
    show_default="RUN/like.gpkg",
    cls=opt.Option,
)
@click.option("--overwrite", is_flag=True, help="Replace the file named by --out.")
@opt.device
@opt.cluster
@opt.common
def like(
    run_path: Path,
    patches: tuple[str, ...],
    unlike: tuple[str, ...],
    count: int | None,
    batch: bool,
    go_on: bool,
    to_store: bool,
    out: Path | None,
    overwrite: bool,
    device: str,
    cluster: str | None,
) -> None:
    """Print the places most like some patches of a run, and write them as a GeoPackage.

    PATCH is a patch_id, as batches and maps have it. Patches are compared by what the model sees of
    them, the image or its embedding, and the concepts; nothing needs to be answered.

    With --batch, the places that may still be labelled become the next batch, whose path is
    printed; without a PATCH, it holds what is most like all patches that are answered as targets.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.like import like as find
    from owl_geo.work import cluster as cluster_

    if batch:
        _check_words(out=out, overwrite=overwrite)
        _make_batch(Run(run_path), patches, unlike, count, go_on, to_store, device, cluster)
        return
    if not patches:
        raise click.UsageError("name a PATCH, or make a batch like all targets: --batch")
    if go_on or to_store:
        raise click.UsageError(f"--{'go-on' if go_on else 'to-store'} goes with --batch")
    with cluster_.opened(cluster) as workers:
        done = find(
            Run(run_path),
            patches,
            unlike=unlike,
            count=20 if count is None else count,
            out=out,
            overwrite=overwrite,
            device=device,
            workers=workers,
            report=opt.progress,
        )
    for place in done.places.itertuples():
        where = "" if math.isnan(place.lon) else f"  lon {place.lon:.5f}, lat {place.lat:.5f}"
        label = f"  {place.label}" if place.label else ""
        click.echo(f"{place.rank:>4}  {place.likeness:.3f}  {place.patch_id}{where}{label}")
    click.echo(done.path)


def _check_words(**given: object) -> None:
    for name, value in given.items():
        if value:
            raise click.UsageError(f"--{name} does not go with --batch")


def _make_batch(
    opened: Run,
    patches: Sequence[str],
    unlike: Sequence[str],
    count: int | None,
    go_on: bool,
    to_store: bool,
    device: str,
    cluster: str | None,
) -> None:
    """Write the next batch of what is most like some patches, and print its path."""
    from owl_geo.verbs.like import more_like
    from owl_geo.work import cluster as cluster_

    if to_store:
        opened.labels.layers()  # refuses before the work, not after it
    before = len(opened.rounds())

    def published(entry: Round) -> None:
        is_new = entry.number >= before
        if is_new:
            what = f"{counted(len(entry.patch_ids), 'patch')}, the most alike first"
            opt.say(f"Batch {entry.batch_id}: {what}")
        show(opened, entry, waits=not is_new, to_store=to_store)

    with cluster_.opened(cluster) as workers:
        more_like(
            opened,
            patches,
            unlike=unlike,
            size=count,
            device=device,
            workers=workers,
            report=opt.progress,
            go_on=go_on,
            published=published,
        )
