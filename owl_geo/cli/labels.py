"""``owl-geo labels``: answers out of a run, into it, and their history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli.ingest import login_name, told

if TYPE_CHECKING:
    import pandas as pd


@click.group(short_help="Answers out of a run, into it, and their history.")
def labels() -> None:
    """Take answers out of a run, bring answers in, and see who said what when."""


@labels.command(
    "export",
    cls=opt.Command,
    epilog="Example: owl-geo labels export RUN answers.gpkg",
    short_help="Write the answers as a GeoPackage or a CSV.",
)
@opt.run_folder
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--consensus", is_flag=True, help="One label per patch, in place of every answer.")
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@opt.common
def export(run_path: Path, path: Path, consensus: bool, overwrite: bool) -> None:
    """Write the answers as a GeoPackage (layer labels) or a CSV, by the ending of FILE.

    Every answer ever given, with the footprint of its patch; another run of the same patches takes
    them in by `owl-geo labels import`. In a CSV the footprint is well-known text in EPSG:4326.
    """
    from owl_geo.errors import BatchError
    from owl_geo.labels.exchange import check_format, of_consensus, write_answers
    from owl_geo.run_folder.folder import Run

    opened = Run(run_path)
    check_format(path)
    if path.is_dir():
        raise BatchError(f"{path} is a folder", remedy="name a file")
    if path.exists() and not overwrite:
        raise BatchError(f"{path} exists", remedy="choose another name, or use --overwrite")
    store = opened.labels
    table = of_consensus(store.current()) if consensus else store.history().drop(columns="seq")
    footprints = opened.footprints(list(dict.fromkeys(table["patch_id"])))
    write_answers(path, table, footprints)
    click.echo(f"{path}: {len(table)} {'labels' if consensus else 'answers'}")


@labels.command(
    "import",
    cls=opt.Command,
    epilog="Example: owl-geo labels import RUN answers.csv",
    short_help="Bring in answers of another run or a table.",
)
@opt.run_folder
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--annotator", help="Who answered, where the file does not say.  [your login name]")
@opt.common
def import_(run_path: Path, path: Path, annotator: str | None) -> None:
    """Bring in answers from a GeoPackage (layer labels) or a CSV; twice changes nothing.

    The file needs patch_id and label; annotator, labelled_at, batch_id, round and comment are taken
    where it has them. An error stores nothing. Labelled batches go in by `owl-geo ingest`.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.ingest import import_answers

    click.echo(told(import_answers(Run(run_path), path, annotator=annotator or login_name())))


@labels.command(
    "history",
    cls=opt.Command,
    epilog="Example: owl-geo labels history RUN --patch S2/0/64",
    short_help="Who said what of which patch, and when.",
)
@opt.run_folder
@click.option("--patch", "patches", multiple=True, metavar="ID", help="Only it. Repeat for more.")
@click.option("--annotator", metavar="NAME", help="Only this annotator's answers.")
@click.option("--disputed", is_flag=True, help="Only patches where labels tie.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N answers.")
@opt.common
def history(
    run_path: Path,
    patches: tuple[str, ...],
    annotator: str | None,
    disputed: bool,
    last: int | None,
) -> None:
    """Print every answer in order of arrival; * marks those that count.

    Of an annotator's answers to a patch the newest counts.
    """
    from owl_geo.errors import RunError, suggestion
    from owl_geo.labels import disputed as disputed_of
    from owl_geo.labels import newest_answers
    from owl_geo.run_folder.folder import Run

    opened = Run(run_path)
    told = opened.labels.history()
    counting = set(newest_answers(told)["seq"])
    shown = told
    for patch in patches:
        if patch not in set(opened.patches["patch_id"]):
            raise RunError(f"no patch {patch!r} in {run_path}")
    if patches:
        shown = shown[shown["patch_id"].isin(patches)]
    if disputed:
        shown = shown[shown["patch_id"].isin(disputed_of(told))]
    if annotator is not None:
        known = sorted(told["annotator"].unique())
        if annotator not in known:
            raise RunError(
                f"no answer by {annotator!r} in {run_path}", remedy=suggestion(annotator, known)
            )
        shown = shown[shown["annotator"] == annotator]
    if disputed and shown.empty:
        click.echo("no patch where labels tie")
        return
    for line in _lines(shown if last is None else shown.tail(last), counting):
        click.echo(line)


def _lines(shown: pd.DataFrame, counting: set[int]) -> list[str]:
    if shown.empty:
        return ["no answers"]
    rows = [("", "labelled at (UTC)", "annotator", "label", "patch", "batch", "comment")]
    for row in shown.itertuples(index=False):
        mark = "*" if row.seq in counting else ""
        cells = (row.labelled_at, row.annotator, row.label or "(taken back)", row.patch_id)
        rows.append((mark, *cells, row.batch_id, row.comment or ""))
    # what a stranger typed may hold line ends or a terminal's control characters
    plain = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in plain) for i in range(len(plain[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in plain]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
