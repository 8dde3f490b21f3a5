"""``owl-geo review``: what the model takes for targets, to accept or reject."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli.query import go_on_option, show, to_store_option
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.verbs.review import Review


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo review RUN --threshold 0.7",
    short_help="Write a batch of what the model takes for targets.",
)
@opt.run_folder
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Probability from which a patch is taken for a target.",
    show_default="0.5",
    cls=opt.Option,
)
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Patches at most.",
    show_default="the size of a batch",
    cls=opt.Option,
)
@go_on_option
@to_store_option
@opt.device
@opt.cluster
@opt.common
def review(
    run_path: Path,
    threshold: float | None,
    size: int | None,
    go_on: bool,
    to_store: bool,
    device: str,
    cluster: str | None,
) -> None:
    """Write a batch of the patches that the model takes for targets, and print its path.

    These have no answer, or one of another class; the most probable come first. Label and ingest
    the batch like any other: the next query learns from it. The history says that its answers come
    from a review, and the audit leaves them out. As long as it has no answer, its path is printed
    again.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.review import review as review_run
    from owl_geo.work import cluster as cluster_

    opened = Run(run_path)
    if to_store:
        opened.labels.layers()  # refuses before the work, not after it
    waits = not go_on and opened.waiting() is not None

    def published(done: Review) -> None:
        entry = done.round
        if done.taken is not None:
            opt.say(
                f"Batch {entry.batch_id}: {len(entry.patch_ids):,} of "
                f"{counted(done.taken, 'patch')} that the model takes for "
                f"{opened.settings.positive}"
            )
        show(opened, entry, waits=done.taken is None, to_store=to_store)

    with cluster_.opened(None if waits else cluster) as workers:
        review_run(
            opened,
            threshold=threshold,
            size=size,
            device=device,
            workers=workers,
            report=opt.progress,
            go_on=go_on,
            published=published,
        )
