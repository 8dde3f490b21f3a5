"""``owl-geo add``: more scenes for an existing run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_
from owl_geo.cli.init_report import say_next
from owl_geo.wording import as_typed, counted


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo add RUN --scene 'tiles/2026-05-*.tif' --on-error skip",
    short_help="Add scenes to a run, skipping those it already has.",
)
@opt.run_folder
@scenes_.scene_option("in a run on TESSERA's arrays, a folder or a tile of them")
@scenes_.mask_option
@scenes_.on_error
@opt.cluster
@opt.common
def add(
    run_path: Path,
    scenes: tuple[str, ...],
    masks: tuple[str, ...],
    on_error: Literal["fail", "skip"],
    cluster: str | None,
) -> int:
    """Add scenes to a run: tile them and compute their concepts.

    Scenes that the run already has are skipped. Existing patches, answers, rounds and a waiting
    batch stay as they are. The next query sees the new patches too. If this is interrupted, the run
    is unchanged, or is completed by the next command; the same command goes on.
    """
    from owl_geo.verbs.add import add as add_scenes
    from owl_geo.work import cluster as cluster_

    if not scenes:
        raise click.UsageError("give --scene, once or more")
    with cluster_.opened(cluster) as workers:
        added = add_scenes(
            run_path,
            scenes,
            masks=masks,
            on_error=on_error,
            workers=workers,
            report=opt.progress,
        )
    total = added.total
    if added.done:
        click.echo(f"{run_path}: {counted(added.patches, 'new patch')}, {total:,} in all")
        scenes_.say_scenes(added.scenes)
        scenes_.say_views(added.views)
        if added.concepts:
            click.echo("Concepts of the new patches:")
        for line in added.concepts:
            click.echo(f"  {line}")
    else:
        click.echo(f"{run_path}: nothing new, {counted(total, 'patch')}")
    scenes_.say_outcome(len(added.done), len(added.skipped), added.failed)
    if added.done:
        oracle = added.run.settings.oracle is not None
        say_next(added.run, f"{'run' if oracle else 'query'} {as_typed(run_path)}")
    return scenes_.exit_code(bool(added.failed))
