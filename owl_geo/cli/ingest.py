"""``owl-geo ingest``: store answers in the run."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.wording import as_typed

if TYPE_CHECKING:
    from owl_geo.verbs.ingest import Ingested


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo ingest RUN RUN/rounds/000/batch.gpkg",
    short_help="Check and store the answers in labelled batches.",
)
@opt.run_folder
@click.argument("batches", metavar="BATCH...", nargs=-1, required=True, type=opt.LocalPath())
@click.option(
    "--annotator",
    help="Who answered, if the file does not say.",
    show_default="your login name",
    cls=opt.Option,
)
@opt.common
def ingest(run_path: Path, batches: tuple[Path, ...], annotator: str | None) -> None:
    """Check and store the answers in labelled batches.

    You may label a batch in parts and ingest it repeatedly; the same answers twice change nothing.
    All files are checked before anything is stored, so an error stores nothing.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.ingest import ingest as take_in

    opened = Run(run_path)
    stored = misplaced = False
    for done in take_in(opened, batches, annotator=annotator or login_name()):
        click.echo(stored_line(done))
        stored = stored or bool(done.new or done.unchanged)
        misplaced = misplaced or done.misplaced > 0
    if stored:
        opt.say(f"Next: owl-geo query {as_typed(run_path)}")
    else:
        names = ", ".join(str(path) for path in batches)
        first = "type the answers into the column label" if misplaced else "save the edits in QGIS"
        opt.say(f"Nothing is labelled yet in {names}; {first} first, then try again")


def stored_line(done: Ingested) -> str:
    """Return in one line what was stored from a file with answers."""
    counts = ", ".join(f"{n:,} {label}" for label, n in sorted(done.counts.items()))
    more = "".join(
        f", {n:,} {what}"
        for n, what in (
            (done.withdrawn, "withdrawn"),
            (done.elsewhere, "on ground of no patch here"),
            (done.replaced, "replaced by somebody else"),
            (done.held_out, "left out because they test the model"),
        )
        if n
    )
    noticed = f" ({done.noticed:,} noticed beside the batch)" if done.noticed else ""
    return (
        f"{done.path}: {counts or 'no answers'}{noticed}, {done.unanswered:,} unanswered{more}; "
        f"{done.new:,} new, {done.unchanged:,} known before"
    )


def login_name() -> str:
    """Return the name of the user who is logged in, for answers that name no annotator."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"
