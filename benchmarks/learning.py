"""Do the strategies find more? Searches against ground truth, 10 seeds each, paired by seed.

    python -m benchmarks.learning OUT [--seeds 10] [--jobs 2] [--targets a,b] [--strategies a,b]
    python -m benchmarks.learning OUT --batch-size 10 --strategies default
    python -m benchmarks.learning OUT --ablations

The searches run on generated patches with a faint signal and, if the folder OWL_TEST_DATA contains
them, on scenes of North Carolina with four targets, and of Olinda, Lommel and Major TOM with two
each (``benchmarks.targets``). The default is compared with random answers, with the most probable
(``greedy``), and with boosted trees on plain statistics that nobody tuned (``benchmarks.untuned``);
``--strategies`` takes whatever ``owl-geo compare`` does, and ``untuned``. This takes about an hour
of a processor; an interrupted command resumes where it stopped, seed after seed, and one with more
seeds or strategies adds them. Prints what is found once 2, 5, 10 and 20 % of the pool are labelled,
with the measures of the model, and what the default finds over what greedy does; records, summary
and plots go to OUT. With --ablations, each part of the default is switched off by itself instead,
with less data, in ten minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.targets import targets
from owl_geo import init
from owl_geo.cli import cli
from owl_geo.evaluation import plots, report
from owl_geo.evaluation.compare import compare
from owl_geo.evaluation.contestants import Contestant, contestants
from owl_geo.evaluation.curves import measures, percent
from owl_geo.evaluation.searches import Plan
from owl_geo.sources.unopened_synthetic import UnopenedGenerator

BUDGETS = (0.02, 0.05, 0.1, 0.2)  # shares of the pool
_STRATEGIES = "default,greedy,random,untuned"
_UNTUNED = Contestant("untuned", words="boosting", round="benchmarks.untuned:untuned_round")
_GENERATED = {"n_samples": 2000, "image_size": None, "n_bands": None, "signal": 0.5, "seed": None}
_BATCH = 20
_ABLATED = "default,discovery,committee,random-start,no-audit,no-neighbours"


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--targets", help="only these, by name")
    parser.add_argument("--strategies", default=_STRATEGIES)
    parser.add_argument("--batch-size", type=int, default=_BATCH, help="of all but the first batch")
    parser.add_argument("--ablations", action="store_true", help="switch off one part at a time")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.ablations:
        _ablate(options)
        return
    names = options.strategies.split(",")
    chosen = contestants([name for name in names if name != _UNTUNED.name], {})
    plan = Plan(
        folder=options.out / "work",
        runs=made(options.out, options.targets.split(",") if options.targets else None),
        contestants=(*chosen, *([_UNTUNED] if _UNTUNED.name in names else [])),
        seeds=tuple(range(options.seeds)),
        budget=BUDGETS[-1],
        batch_size=options.batch_size,
        initial=_BATCH,
    )
    done = compare(plan, jobs=options.jobs, on_done=_tell)
    write(done, options.out)
    print(table(done))


def _tell(done: int, total: int) -> None:
    print(f"{done} of {total} searches", flush=True)


def made(out: Path, only: list[str] | None = None) -> dict[str, Path]:
    """Make the run of each target that is not there yet; return the runs by name."""
    runs = {}
    data = os.environ.get("OWL_TEST_DATA")
    if data is None:
        print("OWL_TEST_DATA is not set: real imagery is left out")
    else:
        for target in targets(Path(data), out / "truth"):
            if only is None or target.name in only:
                runs[target.name] = out / "runs" / target.name
                if not runs[target.name].exists():
                    _owl_geo("init", str(runs[target.name]), *target.arguments)
    if only is None or "generated" in only:
        runs["generated"] = out / "runs" / "generated"
        if not runs["generated"].exists():
            tables = UnopenedGenerator.named("synthetic", _GENERATED).tables
            init(runs["generated"], {**tables, "oracle": {}})
    return runs


def write(records: pd.DataFrame, out: Path) -> None:
    """Write records, summary and plots of a comparison."""
    baseline = "random" if "random" in set(records["strategy"]) else records["strategy"].iloc[0]
    summary = report.summary(records, baseline, BUDGETS)
    report.write_csv(records, out / "records.csv")
    report.write_csv(summary, out / "summary.csv")
    (out / "summary.md").write_text(report.markdown(summary), encoding="utf-8")
    plots.plot_curves(records, out, baseline=baseline)


def table(records: pd.DataFrame) -> str:
    """Return means over seeds: targets found, AUC, average precision and ECE at each budget."""
    each = measures(records, BUDGETS).reset_index()
    budgets = [percent(budget) for budget in BUDGETS]
    digits = {"found": 1, "auc": 3, "ap": 2, "ece": 2}
    at = ", ".join(budgets)
    head = " ".join(f"{kind} at {at} %".rjust(28) for kind in digits)
    lines = []
    for source, of_source in each.groupby("source", sort=False):
        size = of_source[["targets", "pool"]].mean()
        lines.append(
            f"{source}: {size['targets']:.0f} targets in {size['pool']:.0f} patches "
            f"(means of {of_source['seed'].nunique()} seeds)"
        )
        lines.append(f"{'':<12}{head}")
        for strategy, rows in of_source.groupby("strategy", sort=False):
            mean = rows.mean(numeric_only=True)
            cells = [
                ", ".join(f"{mean[f'{kind}_{name}']:.{n}f}" for name in budgets).rjust(28)
                for kind, n in digits.items()
            ]
            lines.append(f"{strategy:<12}{' '.join(cells)}")
    return "\n".join([*lines, *_over_greedy(each, budgets)])


def _over_greedy(each: pd.DataFrame, budgets: list[str]) -> Iterator[str]:
    """Yield what each strategy finds over what greedy does, by target and in the mean."""
    columns = [f"found_{name}" for name in budgets]
    found = each.groupby(["strategy", "source"])[columns].mean()
    if "greedy" not in found.index:
        return
    at = ", ".join(budgets)
    yield f"found over greedy at {at} %: mean over targets, and the least"
    for strategy in found.index.unique("strategy"):
        ratio = found.loc[strategy] / found.loc["greedy"]
        mean, least = (", ".join(f"{v:.2f}" for v in part) for part in (ratio.mean(), ratio.min()))
        yield f"{strategy:<12}{mean:>28} {least:>28}"


def _ablate(options: argparse.Namespace) -> None:
    to_default = ["--baseline", "default"]
    generated = ["--source", "synthetic", "--signal", "0.5"]
    strategies = f"{_ABLATED},no-concept-head,fixed-relevance"
    _compare(options, "ablated-synthetic", [*generated, *to_default], strategies)
    runs = made(options.out, ["shrubland", "water"])
    if runs:
        named = [f"--run={name}={path}" for name, path in runs.items()]
        sources = [*named, "--budget", "0.1", *to_default]
        _compare(options, "ablated-north_carolina", sources, _ABLATED)


def _compare(options: argparse.Namespace, name: str, sources: list[str], strategies: str) -> None:
    _owl_geo(
        *("compare", str(options.out / f"compare-{name}"), *sources),
        *("--strategies", strategies, "--seeds", str(options.seeds)),
        *("--batch-size", "20", "--jobs", str(options.jobs)),
    )


def _owl_geo(*arguments: str) -> None:
    cli.main(args=list(arguments), prog_name="owl-geo", standalone_mode=False)


if __name__ == "__main__":
    main()
