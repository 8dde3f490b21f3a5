"""``owl-geo query``: the next batch to label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import flags
from owl_geo.cli import options as opt
from owl_geo.wording import as_typed, counted, plural

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.records import Round


def _names(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


# the same for any command that writes a batch
go_on_option = click.option(
    "--go-on", is_flag=True, help="Write a new batch even if the last one waits for answers."
)
to_store_option = click.option(
    "--to-store",
    is_flag=True,
    help="Also publish the batch in the team's database, as a layer that QGIS opens.",
)


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo query RUN",
    short_help="Write the next batch to label and print its path.",
)
@opt.run_folder
@click.option(
    "--annotators",
    metavar="NAME,NAME",
    callback=_names,
    help="Write a part of the batch for each.",
    show_default="team.annotators of owl.toml",
    cls=opt.Option,
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1),
    help="Share of the batch that all annotators label, to measure agreement.",
    show_default="team.overlap of owl.toml",
    cls=opt.Option,
)
@go_on_option
@to_store_option
@opt.device
@opt.cluster
@opt.common
def query(
    run_path: Path,
    annotators: list[str] | None,
    overlap: float | None,
    go_on: bool,
    to_store: bool,
    device: str,
    cluster: str | None,
) -> None:
    """Write the next batch to label as a GeoPackage and print its path.

    Learns from all answers ingested so far. As long as the last batch has no answer, and not all
    its patches have labels from elsewhere, its path is printed again; its patches that stay
    unanswered return to the pool.

    With --annotators, the batch is divided among them, and a path is printed for each. It waits
    until each of them has answered a patch; --go-on does not wait. With --to-store, if owl.toml
    names a database, the last line is the address of the batch's layer in it.
    """
    from owl_geo.run_folder.folder import Run

    ask(
        Run(run_path),
        device,
        cluster,
        annotators=annotators,
        overlap=overlap,
        go_on=go_on,
        to_store=to_store,
    )


def ask(
    opened: Run,
    device: str,
    cluster: str | None,
    *,
    annotators: list[str] | None = None,
    overlap: float | None = None,
    go_on: bool = False,
    to_store: bool = False,
) -> None:
    """Write the next batch, or find the waiting parts of the last one, and print the paths.

    With ``to_store``, the batch is also published unless it already is.
    """
    from owl_geo.verbs.query import query as query_run
    from owl_geo.work import cluster as cluster_

    if overlap is not None and not (annotators or opened.settings.team.annotators):
        raise click.UsageError("--overlap goes with --annotators")
    if to_store:
        opened.labels.layers()  # refuses before the work, not after it
    waits = not go_on and opened.waiting() is not None
    team = {"annotators": annotators, "overlap": overlap}

    def published(entry: Round) -> None:
        if not waits:
            n_pool = entry.metrics.n_pool
            opt.say(
                f"Batch {entry.batch_id}: {len(entry.patch_ids):,} of {counted(n_pool, 'patch')}"
            )
        show(opened, entry, waits=waits, to_store=to_store)

    with cluster_.opened(None if waits else cluster) as workers, flags.named_in_errors(team):
        query_run(
            opened,
            device=device,
            workers=workers,
            report=opt.progress,
            annotators=annotators,
            overlap=overlap,
            go_on=go_on,
            published=published,
        )


def show(opened: Run, entry: Round, *, waits: bool, to_store: bool) -> None:
    """Print the paths of a new batch, or of the parts of one that waits, and publish it if asked.

    ``to_store`` is whether to publish it in the team's database.
    """
    from owl_geo.batches import count_answers
    from owl_geo.verbs.publish import publish

    files = opened.batch_paths(entry)
    if waits:
        waiting = opened.waits(entry)
        names = [name for name, path in files.items() if name is not None and path in waiting]
        by = f" from {' and '.join(names)}" if names else ""
        filled = {path: n for path in waiting if (n := count_answers(path))}
        here = as_typed(opened.path)
        paths = " ".join(as_typed(path) for path in filled or waiting)
        if filled and not to_store:
            which = plural(sum(filled.values()), "answer that is", "answers that are")
            opt.say(
                f"Batch {entry.batch_id} has {sum(filled.values()):,} {which} not ingested yet: "
                f"owl-geo ingest {here} {paths}"
            )
        else:
            then = f"query {here} --to-store" if to_store else f"ingest {here} {paths}"
            leave = "; leave it with --go-on" if entry.is_review else ""
            opt.say(
                f"Batch {entry.batch_id} has no answers{by} yet; label it, then "
                f"`owl-geo {then}`{leave}"
            )
        files = {name: path for name, path in files.items() if path in waiting}
    else:
        for name, positions in entry.team.items():
            opt.say(f"  {name}: {len(positions):,}")
    for path in files.values():
        click.echo(path)
    if to_store:
        layer = publish(opened, entry)
        opt.say(f"In QGIS: {layer.directions}")
        click.echo(layer.address)
