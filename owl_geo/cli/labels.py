"""``owl-geo labels``: export, import and history of answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli.ingest import login_name, stored_line
from owl_geo.errors import printable
from owl_geo.wording import counted

if TYPE_CHECKING:
    import pandas as pd


@click.group(
    short_help="Export, import and list the answers of a run.",
    epilog="Example: owl-geo labels import RUN sites.gpkg",
)
def labels() -> None:
    """Export and import answers, and see who gave which label when."""


@labels.command(
    "export",
    cls=opt.Command,
    epilog="Example: owl-geo labels export RUN answers.gpkg",
    short_help="Export the answers to a GeoPackage or a CSV.",
)
@opt.run_folder
@click.argument("path", metavar="FILE", type=opt.LocalPath())
@click.option("--consensus", is_flag=True, help="Write one label per patch, not every answer.")
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@opt.common
def export(run_path: Path, path: Path, consensus: bool, overwrite: bool) -> None:
    """Export the answers to a GeoPackage (layer labels) or a CSV, by the suffix of FILE.

    Writes every answer ever given, with the footprint of its patch. Another run of the same patches
    can import the file with `owl-geo labels import`. In a CSV, the footprint is well-known text in
    EPSG:4326.
    """
    from owl_geo.errors import BatchError
    from owl_geo.labels.exchange import check_format, of_consensus, write_answers
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.paths import check_output

    opened = Run(run_path)
    check_format(path)
    if path.is_dir():
        raise BatchError(f"{path} is a folder", remedy="name a file")
    check_output(path)
    if path.exists() and not overwrite:
        raise BatchError(f"{path} exists", remedy="choose another name, or use --overwrite")
    store = opened.labels
    table = of_consensus(store.current()) if consensus else store.history().drop(columns="seq")
    footprints = opened.footprints(list(dict.fromkeys(table["patch_id"])))
    write_answers(path, table, footprints)
    click.echo(f"{path}: {counted(len(table), 'label' if consensus else 'answer')}")


def _meanings(
    _ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str] | None:
    """Return the label that each value means, of ``3=present,"a, b"=absent``; None if not given."""
    meanings: dict[str, str] = {}
    for pair in (pair for text in texts for pair in opt.listed(text)):
        value, equals, label = (part.strip() for part in pair.rpartition("="))
        if not (value and equals and label):
            raise click.BadParameter(
                f"{pair!r} is not VALUE=NAME, such as 3=present; a value with a comma stands in "
                "double quotes within the shell's own, '\"a, b\"=present'"
            )
        if meanings.setdefault(value, label) != label:
            raise click.BadParameter(f"{value!r} means both {meanings[value]!r} and {label!r}")
    return meanings or None


@labels.command(
    "import",
    cls=opt.Command,
    epilog="Example: owl-geo labels import RUN sites.gpkg --label present",
    short_help="Import known sites, or answers from another run or a table.",
)
@opt.run_folder
@click.argument("path", metavar="FILE")
@click.option(
    "--label",
    metavar="NAME",
    help="What the sites show.",
    show_default="the class searched for",
    cls=opt.Option,
)
@click.option("--column", metavar="NAME", help="The attribute that holds what each site shows.")
@click.option(
    "--values",
    multiple=True,
    callback=_meanings,
    metavar="VALUE=NAME,...",
    help="What values of the column, or of a raster, mean.",
)
@click.option(
    "--share",
    type=float,
    help="Share of a patch that a polygon or a raster's class must cover to answer it.",
    show_default="0.5",
    cls=opt.Option,
)
@click.option(
    "--crs", metavar="CRS", help="The CRS of a file that names none, for example EPSG:32617."
)
@click.option(
    "--annotator",
    help="Who answered, if the file does not say.",
    show_default="your login name",
    cls=opt.Option,
)
@opt.common
def import_(
    run_path: Path,
    path: str,
    label: str | None,
    column: str | None,
    values: dict[str, str] | None,
    share: float | None,
    crs: str | None,
    annotator: str | None,
) -> None:
    """Import known sites, or answers from a GeoPackage (layer labels) or a CSV with patch_id.

    Sites are points, lines or polygons in any vector format and any CRS, FILE or
    FILE|layername=NAME, or a CSV with coordinates (lon and lat, x and y, WKT). A point answers the
    patch it lies in, a line those it crosses, a polygon those it covers by --share; a smaller
    polygon answers the patch that holds its centre. Where patches overlap, the nearest answers.

    In a raster of classes, --values says what its values mean, such as 3=present,1=absent. Each
    answers the patches of which it covers --share. A value with a comma stands in double quotes.

    A file of answers needs the columns patch_id and label; annotator, labelled_at, batch_id, round
    and comment are optional. For labelled batches, use `owl-geo ingest`; one that was saved in
    another format, such as a Shapefile, is a file of answers.

    Importing a file twice changes nothing, and an error stores nothing.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.verbs.import_answers import import_answers

    done = import_answers(
        Run(run_path),
        path,
        annotator=annotator or login_name(),
        label=label,
        column=column,
        values=values,
        share=share,
        crs=crs,
    )
    click.echo(stored_line(done))
    for line in [] if done.placed is None else done.placed.lines():
        click.echo(line)


@labels.command(
    "history",
    cls=opt.Command,
    epilog="Example: owl-geo labels history RUN --patch S2/0/64",
    short_help="List who gave which label to which patch, and when.",
)
@opt.run_folder
@click.option(
    "--patch", "patches", multiple=True, metavar="ID", help="Only this patch. Repeat for more."
)
@click.option("--annotator", metavar="NAME", help="Only this annotator's answers.")
@click.option("--disputed", is_flag=True, help="Only patches whose labels tie.")
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

    If an annotator answered a patch more than once, the newest answer counts.
    """
    from owl_geo.errors import RunError, suggestion
    from owl_geo.labels import disputed as disputed_of
    from owl_geo.labels import newest_answers
    from owl_geo.run_folder.folder import Run
    from owl_geo.sources.base import nearest_patch

    opened = Run(run_path)
    answers = opened.labels.history()
    counting = set(newest_answers(answers)["seq"])
    shown = answers
    for patch in patches:
        if patch not in set(opened.patches["patch_id"]):
            near = nearest_patch(opened.patches, patch)
            first = opened.patches["patch_id"].iloc[0]
            raise RunError(
                f"no patch {patch!r} in {run_path}",
                remedy=f"the nearest is {near}"
                if near
                else f"name one as batches do, like {first}",
            )
    if patches:
        shown = shown[shown["patch_id"].isin(patches)]
    if disputed:
        shown = shown[shown["patch_id"].isin(disputed_of(answers))]
    if annotator is not None:
        annotators = sorted(answers["annotator"].unique())
        if annotator not in annotators:
            raise RunError(
                f"no answers by {annotator!r} in {run_path}",
                remedy=suggestion(annotator, annotators),
            )
        shown = shown[shown["annotator"] == annotator]
    if disputed and shown.empty:
        click.echo("no patch has a tie between labels")
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
    # text that others typed may contain line breaks or control characters of a terminal
    plain = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in plain) for i in range(len(plain[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in plain]
