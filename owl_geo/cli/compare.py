"""``owl-geo compare``: strategies against each other, on known truth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from owl_geo.cli import flags, synthetic
from owl_geo.cli import options as opt
from owl_geo.settings.choices import STRATEGY_GROUPS, listed

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run

_SYNTHETIC = "synthetic"


def _named(text: str, parameter: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise click.BadParameter(f"{text!r} is not NAME=PATH", param_hint=parameter)
    return name, Path(path)


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo compare OUT --run TRIAL --seeds 10 --jobs 4",
    short_help="Compare strategies on runs with an oracle.",
)
@click.argument("out", metavar="OUT", type=opt.LocalPath())
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="[NAME=]RUN",
    help="A run with an oracle; its settings are the default strategy. Repeat for more.",
)
@click.option("--source", type=click.Choice([_SYNTHETIC]), help="Compare on generated patches too.")
@click.option(
    "--strategies",
    default="baselines",
    show_default=True,
    help=f"Comma-separated strategies or groups: {listed(STRATEGY_GROUPS)}.",
)
@click.option(
    "--with",
    "own",
    multiple=True,
    metavar="NAME=FILE.toml",
    help="Your own strategy: the tables of owl.toml that differ. Repeat for more.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Searches per strategy and run.",
)
@click.option(
    "--first-seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the first search; the others count up from it.",
)
@click.option(
    "--budget", type=float, default=0.2, show_default=True, help="Labels, as a share of the pool."
)
@click.option(
    "--initial",
    type=click.IntRange(1),
    help="Patches in the first batch.",
    show_default="the run's",
    cls=opt.Option,
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Patches per round.",
    show_default="the run's",
    cls=opt.Option,
)
@click.option(
    "--baseline", default="random", show_default=True, help="The strategy to compare with."
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Searches that run at the same time.",
    show_default="one per processor",
    cls=opt.Option,
)
@click.option("--svg", is_flag=True, help="Draw the plots as SVG too.")
@click.option("--overwrite", is_flag=True, help="Start afresh if OUT holds a comparison.")
@synthetic.generator_options
@opt.common
def compare(
    out: Path,
    runs: tuple[str, ...],
    source: str | None,
    strategies: str,
    own: tuple[str, ...],
    seeds: int,
    first_seed: int,
    budget: float,
    initial: int | None,
    batch_size: int | None,
    baseline: str,
    jobs: int | None,
    svg: bool,
    overwrite: bool,
    **generator: Any,
) -> None:
    """Compare strategies on runs with an oracle, every strategy with every seed.

    Writes into OUT: records.csv (a row per round of each search), summary.csv, summary.md, and
    plots of discovery and learning. The same command goes on with a stopped comparison; it may
    name more seeds or strategies.
    """
    from owl_geo.evaluation.comparison import compare as compare_strategies
    from owl_geo.evaluation.contestants import contestants
    from owl_geo.evaluation.report import table

    opt.check_folder(out)
    named = [name for name in synthetic.GENERATOR if generator[name] is not None]
    if named and source is None:
        raise click.UsageError(f"{flags.flag(named[0])} goes with --source synthetic")
    if not runs and source is None:
        raise click.UsageError("give --run RUN, or --source synthetic")
    words = [word.strip() for word in strategies.split(",") if word.strip()]
    own_files = dict(_named(text, "--with") for text in own)
    contestants([*words, baseline], own_files)  # before patches are generated
    sources = _runs(runs)
    if source is not None:
        if _SYNTHETIC in sources:
            raise click.UsageError(
                "a run is named 'synthetic', like the source; give it another name with NAME=RUN"
            )
        sources[_SYNTHETIC] = _generated(out, synthetic.Generator(**generator), overwrite).path
    done = compare_strategies(
        out,
        sources,
        strategies=words,
        own=own_files,
        seeds=range(first_seed, first_seed + seeds),
        budget=budget,
        initial=initial,
        batch_size=batch_size,
        baseline=baseline,
        jobs=jobs or os.cpu_count() or 1,
        svg=svg,
        overwrite=overwrite,
        report=opt.progress,
    )
    click.echo(table(done.summary))
    if done.left_out:
        opt.say(f"Left out because no run has concepts: {', '.join(done.left_out)}")
    opt.say(f"Plots: {', '.join(str(path) for path in done.plots)}")
    opt.say(f"Details: {out / 'records.csv'}, {out / 'summary.csv'}, {out / 'summary.md'}")


def _runs(texts: tuple[str, ...]) -> dict[str, Path]:
    """Return the runs by name: the text before ``=``, else the name of the folder."""
    from owl_geo.evaluation.comparison import may_name_a_run

    paths: dict[str, Path] = {}
    for text in texts:
        if "=" in text and not Path(text).exists():
            name, path = _named(text, "--run")
        else:
            name, path = Path(text).resolve().name, Path(text)
        if not may_name_a_run(name):
            raise click.UsageError(f"{name!r} cannot name a run in OUT; write NAME={path}")
        if name in paths:
            raise click.UsageError(f"two runs are named {name!r}; write NAME=RUN")
        paths[name] = path
    return paths


def _generated(out: Path, generator: synthetic.Generator, overwrite: bool) -> Run:
    """Make the run of generated patches, or open the one from an earlier comparison."""
    from owl_geo.errors import RunError
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.paths import is_run
    from owl_geo.settings.owl_toml import parse
    from owl_geo.verbs.init import init

    run_path = out / _SYNTHETIC
    values = synthetic.settings(generator, seed=None)
    with flags.named_in_errors(vars(generator)):
        settings = parse(values | {"oracle": {}}, "the options")
    if is_run(run_path) and not overwrite:
        existing = Run(run_path)
        if existing.settings.source != settings.source:
            raise RunError(
                f"{run_path} was made with other generated patches",
                remedy="choose another OUT, or use --overwrite",
            )
        return existing
    return init(run_path, settings, overwrite=overwrite).run
