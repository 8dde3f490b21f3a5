"""``owl-geo predict``: maps of the probability of every patch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo predict RUN --on-error skip",
    short_help="Map the model's prediction for every patch.",
)
@opt.run_folder
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write to.  [RUN/predictions]"
)
@click.option(
    "--top",
    type=click.IntRange(1),
    help="Number of most probable patches in the GeoPackage.  [a tenth of all, 1000 at most]",
)
@click.option(
    "--scene", "scenes", multiple=True, metavar="NAME", help="Only this scene. Repeat for more."
)
@scenes_.on_error
@click.option("--overwrite", is_flag=True, help="Repeat scenes that are up to date.")
@opt.device
@opt.cluster
@opt.common
def predict(
    run_path: Path,
    out: Path | None,
    top: int | None,
    scenes: tuple[str, ...],
    on_error: Literal["skip", "fail"],
    overwrite: bool,
    device: str,
    cluster: str | None,
) -> int:
    """Write maps of the probability, uncertainty and class of every patch.

    Writes for each scene a cloud-optimised GeoTIFF of probability and uncertainty and one of the
    class, a VRT over all scenes, and a styled GeoPackage of the most probable patches. The model is
    the one the next query would learn. Finished scenes are repeated only if there are new answers.

    Exit code 3: finished, but some scenes failed.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.types import FailedScene
    from owl_geo.verbs.predict import predict as make_maps
    from owl_geo.work import cluster as cluster_

    opt.check_folder(out)
    with cluster_.opened(cluster) as workers:
        summary = make_maps(
            Run(run_path),
            out=out,
            top=top,
            scenes=scenes,
            on_error=on_error,
            overwrite=overwrite,
            device=device,
            workers=workers,
            report=opt.progress,
        )
    scenes_.name_failed([FailedScene(*failed) for failed in summary.failed.items()])
    opt.say(
        f"{len(summary.done)} done, {len(summary.skipped)} skipped (up to date), "
        f"{len(summary.failed)} failed"
    )
    for path in summary.shown:
        if path.exists():
            click.echo(path)
    return scenes_.exit_code(bool(summary.failed))
