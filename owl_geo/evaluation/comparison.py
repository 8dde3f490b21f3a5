"""A comparison of strategies from their names to tables and plots, for commands and scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from owl_geo.disk.atomic import writing_file
from owl_geo.errors import ConfigError, brief, check_number, check_text, check_texts
from owl_geo.evaluation import plots
from owl_geo.evaluation import report as tables
from owl_geo.evaluation.compare import compare as do_searches
from owl_geo.evaluation.contestants import NEEDS_CONCEPTS, Contestant, contestants
from owl_geo.evaluation.searches import Plan
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.work.progress import Reporter, silent

_BASELINES = "baselines"
_SHOWN = (0.05, 0.1, 0.2, 0.5)  # budgets in the summary, beside the last one


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, which is in its folder too."""

    records: pd.DataFrame  # a row per round of each search: ``evaluation.curves.COLUMNS``
    summary: pd.DataFrame  # a row per run, strategy and budget, with intervals of 95 %
    plots: tuple[Path, ...]
    left_out: tuple[str, ...]  # of the baselines, those that need concepts where no run has any


def compare(
    out: Path | str,
    runs: Mapping[str, AnyRun],
    *,
    strategies: Sequence[str] = (_BASELINES,),
    own: Mapping[str, Path | str] | None = None,
    seeds: Sequence[int] = range(10),
    budget: float = 0.2,
    initial: int | None = None,
    batch_size: int | None = None,
    baseline: str = "random",
    jobs: int = 1,
    svg: bool = False,
    overwrite: bool = False,
    report: Reporter = silent,
) -> Comparison:
    """Compare strategies on runs with an oracle, every strategy with every seed.

    Writes records.csv, summary.csv, summary.md, and plots of discovery and learning into ``out``.
    The same call goes on with a stopped comparison; it may name more seeds or strategies.

    Args:
        out: a folder.
        runs: runs or their folders, by the names that they have in tables and plots.
        strategies: names of strategies or groups of them.
        own: further strategies, by name: files with the tables of owl.toml that differ.
        seeds: of the searches.
        budget: patches that are asked, as a share of the pool, above 0 and up to 1.
        initial: patches in the first batch; None = the run's own.
        batch_size: patches in the others; None = the run's own.
        baseline: the strategy that the others are compared with.
        jobs: searches at the same time. With more than one, a script that calls this guards what
            it does by ``if __name__ == "__main__":``, since each process imports it.
        svg: draw the plots as SVG too.
        overwrite: redo all searches.
        report: told of the progress.

    Raises ConfigError for unknown strategies or invalid settings, RunError for a run without an
    oracle, a folder that holds another comparison, or a search that failed; those done are kept.
    """
    check_texts("strategies", strategies)
    check_text("baseline", baseline)
    check_number("budget", budget)
    for name, given in (("initial", initial), ("batch_size", batch_size), ("jobs", jobs)):
        if given is not None:
            check_number(name, given, whole=True)
    _check_seeds(seeds)
    if not isinstance(runs, Mapping) or not runs:
        raise ConfigError(
            f"runs is {brief(runs)}, but it must give runs their names",
            remedy="write {'mine': 'RUN'}",
        )
    if own is not None and not isinstance(own, Mapping):
        raise ConfigError(
            f"own is {brief(own)}, but it must give files their names",
            remedy="write {'mine': 'FILE.toml'}",
        )
    for name in runs:
        check_text("the name of a run", name)
        if not may_name_a_run(name):
            raise ConfigError(
                f"{name!r} cannot name a run in a comparison",
                remedy="choose a name without slashes, backslashes and colons",
            )
    out, folders = Path(out), {name: Run.of(run).path for name, run in runs.items()}
    own_files = {name: Path(path) for name, path in (own or {}).items()}
    chosen, left_out = _chosen(strategies, own_files, baseline, folders)
    plan = Plan(
        folder=out / "work",
        runs=folders,
        contestants=chosen,
        seeds=tuple(dict.fromkeys(seeds)),
        budget=budget,
        batch_size=batch_size,
        initial=initial,
    )
    records = do_searches(plan, jobs=jobs, overwrite=overwrite, on_done=report("Searches"))
    budgets = [share for share in _SHOWN if share < budget] + [budget]
    summary = tables.summary(records, baseline, budgets)
    tables.write_csv(records, out / "records.csv")
    tables.write_csv(summary, out / "summary.csv")
    with writing_file(out / "summary.md") as partial:
        partial.write_text(tables.markdown(summary), encoding="utf-8")
    drawn = plots.plot_curves(records, out, baseline=baseline, svg=svg)
    drawn += plots.plot_differences(records, out, baseline=baseline, svg=svg)
    return Comparison(records, summary, tuple(drawn), left_out)


def _check_seeds(seeds: object) -> None:
    """Raise ConfigError unless seeds are listed; their own values are checked with the settings."""
    if isinstance(seeds, int):
        raise ConfigError(
            f"seeds is {seeds}, but it must be a list", remedy=f"write range({seeds})"
        )
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise ConfigError(f"seeds is {brief(seeds)}, but it must be a list of whole numbers")


def may_name_a_run(name: str) -> bool:
    """Return whether a text can name a run, and so a folder within that of the comparison."""
    return bool(name.strip(".")) and not set(name) & set("/\\:")


def _chosen(
    strategies: Sequence[str], own: Mapping[str, Path], baseline: str, runs: Mapping[str, Path]
) -> tuple[tuple[Contestant, ...], tuple[str, ...]]:
    """Return the contestants, the baseline among them, and the names of those that are left out."""
    chosen = contestants(strategies, own)
    if baseline not in [one.name for one in chosen]:
        chosen = (*contestants([baseline], {}), *chosen)
    if _BASELINES not in strategies or any(Run(path).settings.concepts for path in runs.values()):
        return chosen, ()
    asked_for = {*strategies, baseline}
    idle = [one.name for one in chosen if one.name in NEEDS_CONCEPTS and one.name not in asked_for]
    return tuple(one for one in chosen if one.name not in idle), tuple(idle)
