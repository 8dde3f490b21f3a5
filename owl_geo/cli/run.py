"""``owl-geo run``: all the rounds that can run without a person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from owl_geo.cli import flags, loop, synthetic
from owl_geo.cli import options as opt
from owl_geo.cli.query import ask
from owl_geo.wording import as_typed, counted, three_digits

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.records import Round
    from owl_geo.settings.config import Settings

_DEFAULT_OUT = Path("owl-run")


@dataclass(frozen=True, kw_only=True)
class _Options(loop.LoopOptions, synthetic.Generator):
    """The options that become settings of a simulated run; None = not given."""


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo run --source synthetic --out demo --seed 7",
    short_help="Run every possible round of a search.",
)
@click.argument("run_path", metavar="[RUN]", required=False, type=opt.LocalPath())
@click.option("--source", type=click.Choice(["synthetic"]), help="Make a simulated run first.")
@click.option(
    "--out",
    type=opt.LocalPath(),
    help="The new run's folder.",
    show_default="owl-run",
    cls=opt.Option,
)
@click.option("--overwrite", is_flag=True, help="Start afresh if --out holds a run.")
@synthetic.generator_options
@loop.loop_options
@opt.device
@opt.cluster
@opt.common
def run(
    run_path: Path | None,
    source: str | None,
    out: Path | None,
    overwrite: bool,
    device: str,
    cluster: str | None,
    **given: Any,
) -> None:
    """Run every possible round.

    With RUN, goes on with that run folder: to the end if it has an oracle, else up to the next
    batch to label. With --source synthetic, makes the run first; the same command continues it
    later, and prints the table of a finished run.
    """
    if run_path is not None and source is not None:
        raise click.UsageError(
            f"give either a run folder or --source synthetic; --out {as_typed(run_path)} names "
            "the folder of a simulated run"
        )
    if run_path is None and source is None:
        raise click.UsageError("give either a run folder or --source synthetic")
    if run_path is not None:
        named = [name for name, value in given.items() if value is not None]
        if named or out or overwrite:
            flag = flags.flag(named[0]) if named else "--out" if out else "--overwrite"
            raise click.UsageError(
                f"{flag} goes with --source; a run's settings are in its owl.toml"
            )
        from owl_geo.run_folder.folder import Run

        opened = Run(run_path)
    else:
        opened = _synthetic(out or _DEFAULT_OUT, overwrite, _Options(**given))
    if opened.settings.oracle is None:
        ask(opened, device, cluster)
    else:
        _search(opened, device, cluster)


def _synthetic(out: Path, overwrite: bool, options: _Options) -> Run:
    """Open the simulated run at ``out``, or make it; RunError if a different one is there."""
    from owl_geo.settings.owl_toml import parse

    values = opt.merge(synthetic.settings(options, options.seed), loop.loop_settings(options))
    with flags.named_in_errors(vars(options)):
        settings = parse(values | {"oracle": {}}, "the options")
    from owl_geo.errors import RunError
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.paths import is_run
    from owl_geo.verbs.init import for_a_new_run, init

    if is_run(out) and not overwrite:
        existing = Run(out)
        # an older owl-geo made a run with the settings as they are given
        either = (for_a_new_run(settings), settings)
        difference, other = (_first_difference(existing.settings, one) for one in either)
        if difference and other:
            raise RunError(
                f"{out} was made with {difference}",
                remedy=(
                    f"go on with `owl-geo run {as_typed(out)}`, choose another --out, or start "
                    "afresh with --overwrite"
                ),
            )
        opt.say(f"Going on with {out}")
        return existing
    summary = init(out, settings, overwrite=overwrite, report=opt.progress)
    opt.say(f"Made {out}: {counted(len(summary.run.patches), 'patch')}, {summary.truth[0]}")
    return summary.run


def _first_difference(old: Settings, new: Settings) -> str:
    """Return the first setting in which two runs differ, such as ``seed = 7, not 42``."""
    before, after = (_flat(s.model_dump(exclude={"run_id"})) for s in (old, new))
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            return f"{name} = {before.get(name)}, not {after.get(name)}"
    return ""


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {}
        flat |= nested or {f"{prefix}{name}": value}
    return flat


def _search(opened: Run, device: str, cluster: str | None) -> None:
    """Run the simulated search to its end, printing a row as each round ends."""
    from owl_geo.evaluation.simulate import simulate
    from owl_geo.work.cluster import opened as opened_cluster

    finished = opened.is_finished()
    click.echo("Round | Labeled | Test AUC")
    click.echo("------+---------+---------")
    for entry in opened.rounds():
        _print_row(entry)
    with opened_cluster(cluster) as workers:
        rounds = simulate(
            opened, device=device, workers=workers, on_round=_print_row, report=opt.progress
        )
    last = rounds[-1].metrics
    labels = counted(last.n_labeled, "label")
    summary = f"Found {last.positives_found:,} {opened.settings.positive} in {labels}"
    if last.positives_found in (0, last.n_labeled):
        opt.say(f"{summary}; the model has seen only one class, so its AUC means nothing")
    elif math.isnan(last.test_auc):
        opt.say(f"{summary}; test AUC is nan: the held-out patches lack one of the classes")
    else:
        opt.say(f"{summary}; fitted on all of them, the test AUC is {three_digits(last.test_auc)}")
    if finished:
        opt.say(f"{opened.path} is finished; nothing was changed")
    else:
        opt.say(f"Details: {opened.path / 'metrics.csv'}")


def _print_row(entry: Round) -> None:
    """Print the row of a round that wrote a batch; before the first one, there were no labels."""
    metrics = entry.metrics
    if metrics.n_labeled and entry.batch_id is not None:
        auc = three_digits(metrics.test_auc)
        click.echo(f"{metrics.round:>5} | {metrics.n_labeled:>7} | {auc:>8}")
