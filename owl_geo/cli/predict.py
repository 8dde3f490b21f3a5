"""``owl-geo predict``: maps of the probability of every patch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.verbs.target_areas import TargetArea


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo predict RUN --on-error skip",
    short_help="Map the model's prediction for every patch.",
)
@opt.run_folder
@click.option(
    "--out",
    type=opt.LocalPath(),
    help="The folder to write to.",
    show_default="RUN/predictions",
    cls=opt.Option,
)
@click.option(
    "--top",
    type=click.IntRange(1),
    help="Number of most probable patches in the GeoPackage.",
    show_default="a tenth of all, 1,000 at most",
    cls=opt.Option,
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Probability from which a patch without an answer counts as a target.",
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
    threshold: float,
    scenes: tuple[str, ...],
    on_error: Literal["skip", "fail"],
    overwrite: bool,
    device: str,
    cluster: str | None,
) -> int:
    """Write maps of the probability, uncertainty and class of every patch.

    Writes for each scene a cloud-optimised GeoTIFF of probability and uncertainty and one of the
    class, a VRT over all scenes, and styled GeoPackages of the most probable patches and of the
    ground of the targets, whose hectares are printed. The model is the one the next query would
    learn. Finished scenes are repeated only if there are new answers.

    Exit code 3: finished, but some scenes failed.
    """
    from owl_geo.run_folder.folder import Run
    from owl_geo.types import FailedScene
    from owl_geo.verbs.predict import predict as make_maps
    from owl_geo.work import cluster as cluster_

    opt.check_folder(out)
    opened = Run(run_path)
    with cluster_.opened(cluster) as workers:
        summary = make_maps(
            opened,
            out=out,
            top=top,
            threshold=threshold,
            scenes=scenes,
            on_error=on_error,
            overwrite=overwrite,
            device=device,
            workers=workers,
            report=opt.progress,
        )
    scenes_.name_failed([FailedScene(*failed) for failed in summary.failed.items()])
    opt.say(
        f"{len(summary.done):,} done, {len(summary.skipped):,} skipped (up to date), "
        f"{len(summary.failed):,} failed"
    )
    if summary.area is not None:
        opt.say(area_line(summary.area, opened.settings.positive))
    for path in summary.shown:
        if path.exists():
            click.echo(path)
    return scenes_.exit_code(bool(summary.failed))


def area_line(area: TargetArea, positive: str) -> str:
    """Return in one line how much ground the targets are."""
    places = counted(area.places, "place")
    line = (
        f"{positive}: {_hectares(area.hectares)} ha in {places}, {_hectares(area.answered)} ha of "
        f"them answered, the rest with a probability of {area.threshold:g} or more"
    )
    if area.by_audit is None:
        return line
    low, high = _hectares(area.by_audit.low), _hectares(area.by_audit.high)
    return f"{line}; by the audit {low} to {high} ha (95 %)"


def _hectares(area: float) -> str:
    """Return an area with three digits, or all that are before the decimal point."""
    decimals = max(0, 2 - math.floor(math.log10(area))) if area > 0 else 0
    return f"{area:,.{decimals}f}"
