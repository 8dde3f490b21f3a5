"""What ``init`` prints: the run that it would make, or has made, and what to mind about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_
from owl_geo.cli.logs import duration
from owl_geo.settings.choices import MODELS
from owl_geo.wording import as_typed, counted, per_cent, plural

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run
    from owl_geo.settings.config import Settings
    from owl_geo.types import FailedScene, SceneGrid
    from owl_geo.verbs.init_summary import Summary
    from owl_geo.verbs.preview import PatchSize, Preview


@dataclass(frozen=True)
class Plan:
    """A run as the options describe it, before it is made."""

    run_path: Path
    settings: Settings
    size: PatchSize | None  # chosen for the scenes; None where nothing was chosen
    examples: str | None  # the file of known targets
    failed: tuple[FailedScene, ...]  # scenes that cannot be used


def say_preview(plan: Plan, now: Preview) -> int:
    """Print what ``init`` would do; return the exit code."""
    click.echo("Dry run: nothing is written")
    for name, text in _preview_lines(plan, now):
        click.echo(f"{name + ':':<10}{text}")
    if _seen_elsewhere(now):
        scenes_.say_places(now.places)
    _say_size(plan.size)
    _say_notes(plan.settings, now.grids, None)
    scenes_.name_failed(plan.failed)
    return scenes_.exit_code(bool(plan.failed))


def _preview_lines(plan: Plan, now: Preview) -> Iterator[tuple[str, str]]:
    """Yield each line of a preview: what it is about, and what it says."""
    from owl_geo.ground.pixels import pixel_metres
    from owl_geo.sources.band_grids import crs_text
    from owl_geo.verbs.preview import length

    settings, path, grids = plan.settings, plan.run_path, list(now.grids.values())
    first = grids[0]
    metres = pixel_metres(first)
    yield "Run", f"{path}, {'in place of the run there' if path.exists() else 'new'}"
    sizes = f"{first.name}, {first.width:,} x {first.height:,} pixels of {length(metres)}"
    yield "Scenes", f"{len(grids):,}, the first is {sizes}" if len(grids) > 1 else f"1: {sizes}"
    yield "CRS", ", ".join(sorted({crs_text(grid) for grid in grids}))
    yield "Bands", f"{len(now.bands)}: {now.explained}"
    for name, content in now.views.items():
        yield "View", f"{name}: {content}"
    size, elsewhere = now.patch_size, _seen_elsewhere(now)
    shows = plural(elsewhere, "shows a place", "show places")
    twice = f"; {elsewhere:,} more {shows} seen in another scene" if elsewhere else ""
    side = length(metres * size)
    yield "Patches", f"{now.n_patches:,} at most, {size} x {size} pixels, {side}{twice}"
    if plan.examples:
        yield "Examples", plan.examples
    made = ", ".join(f"{name} ({concept.kind})" for name, concept in settings.concepts.items())
    yield "Concepts", made or "none; --osm FILE or --config FILE adds some"
    yield "Disk", f"about {_bytes(now.n_bytes)}, after {counted(settings.loop.rounds, 'round')}"
    yield "Time", f"about {_times(now, settings.model.kind)}"


def _seen_elsewhere(now: Preview) -> int:
    """Return how many patches show places that another scene gives."""
    return sum(others for _, others in now.places.values())


def _times(now: Preview, model: str) -> str:
    """Return how long each command takes, as far as that depends on the pool alone."""
    if MODELS[model].on_features:
        return ", ".join(
            f"{duration(seconds)} for {'the first query' if name == 'first query' else name}"
            for name, seconds in now.seconds.items()
        )
    return f"{duration(now.seconds['init'])} for init; {model} takes longer to learn and predict"


def _bytes(n: int) -> str:
    return f"{n / 1e6:.0f} MB" if n < 1e9 else f"{n / 1e9:.1f} GB"


def say_summary(
    summary: Summary, run_path: Path, size: PatchSize | None = None, *, is_new: bool = True
) -> int:
    """Print what a run contains and what comes next; return the exit code.

    ``size`` is the patch size if it was chosen for the scenes. A run that is not new has its store.
    """
    from owl_geo.labels import store_class

    settings = summary.run.settings
    n, pixels = len(summary.run.patches), settings.patch_size
    patches = counted(n, "patch")
    click.echo(f"{run_path}: {patches} of {pixels} x {pixels} pixels in {summary.crs}")
    click.echo("Bands:")
    click.echo(f"  {summary.explained}")
    scenes_.say_scenes(summary.scenes)
    scenes_.say_views(summary.views)
    for title, lines in (
        ("Layers", [f"{name}: covers {per_cent(part)}" for name, part in summary.coverage.items()]),
        ("Concepts", summary.concepts),
        ("Truth", summary.truth),
        ("Examples", summary.examples),
    ):
        if lines:
            click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {line}")
    if summary.failed or len(summary.scenes) > 1:
        scenes_.say_outcome(len(summary.scenes), 0, summary.failed)
    _say_size(size)
    for note in summary.notes:
        opt.say(f"Note: {note}")
    _say_notes(summary.run.settings_here, summary.run.grids, run_path)
    store = store_class(settings.labels)
    step = "query" if settings.oracle is None else "run"
    if is_new and store.has_administration:
        step = "store init"
    option = " --to-store" if step == "query" and store.has_layers else ""
    say_next(summary.run, f"{step} {as_typed(run_path)}{option}")
    return scenes_.exit_code(bool(summary.failed))


def say_next(run: Run, command: str) -> None:
    """Print the command that comes next, unless a simulated search has spent its rounds."""
    finished = run.is_finished()
    opt.say("Next: nothing, the search has finished" if finished else f"Next: owl-geo {command}")


def _say_size(size: PatchSize | None) -> None:
    """Print which patch size was chosen for the scenes, and why."""
    if size is not None:
        opt.say(f"Patch size: {size.pixels} pixels, {size.why}; --patch-size sets another")


def _say_notes(settings: Settings, grids: Mapping[str, SceneGrid], made: Path | None) -> None:
    """Print what may surprise a beginner, or what one may have missed; ``made`` is a made run."""
    from owl_geo.sources import unopened_source
    from owl_geo.sources.views.unopened import notes_of
    from owl_geo.verbs import preview

    unit = preview.unit_note(grids)
    if unit:
        opt.say(f"Note: {unit}")
    source = unopened_source(settings.source)
    for note in source.notes():
        again = " --overwrite" if made and "--update" not in note else ""
        opt.say(f"Note: {note}{again}")
    for name, notes in notes_of(settings.views).items():
        again = f", then run owl-geo init {as_typed(made)} --update" if made else ""
        for note in notes:
            opt.say(f"Note: view {name!r}: {note}{again}")
    paths = [path for of_scene in source.files.values() for path in of_scene]
    extract = preview.osm_beside(Path(paths[0])) if paths and not settings.concepts else None
    if extract is not None:
        again = " (--overwrite replaces this run)" if made else ""
        opt.say(
            f"Note: {extract} lies beside the scene; --osm {as_typed(extract)} would use it to "
            f"guide the search{again}"
        )
