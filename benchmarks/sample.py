"""What the default search finds in the sample data, compared with random choice.

    python -m benchmarks.sample OUT [--seeds 10] [--jobs 2]

Runs ``owl-geo compare``, with the truth in place of an annotator and searches paired by seed, then
prints the contaminated patches found after 60 and 100 labels, with 95 % t intervals. ``shuffled``
has the concepts of other patches, ``no-concept-head`` a model that does not see them: both show
what the concepts are worth. This takes about five minutes on two processors; an interrupted command
resumes where it stopped.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from owl_geo.cli import cli

SAMPLE = Path(__file__).parents[1] / "sample_data"
_STRATEGIES = "default,random,shuffled,no-concept-head"
_LABELS = (60, 100)


def main() -> None:
    """Run the comparison and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sample")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    trial = options.out / "sample"
    if not trial.exists():
        _owl_geo(
            *("init", str(trial), "--scene", str(SAMPLE / "scene.tif"), "--patch-size", "16"),
            *("--osm", str(SAMPLE / "area.osm"), "--oracle", str(SAMPLE / "truth.gpkg")),
            *("--oracle-column", "class", "--oracle-values", "contaminated"),
            *("--oracle-share", "0.1"),
        )
    pool = 816  # patches that are not held out; the budget ends at the last of _LABELS
    _owl_geo(
        *("compare", str(options.out / "compare"), "--run", str(trial), "-q"),
        *("--strategies", _STRATEGIES, "--seeds", str(options.seeds), "--initial", "20"),
        *("--batch-size", "20", "--budget", f"{_LABELS[-1] / pool:.4f}"),
        *("--jobs", str(options.jobs)),
    )
    records = pd.read_csv(options.out / "compare" / "records.csv")
    print(f"\nContaminated patches found, {options.seeds} seeds:")
    for n in _LABELS:
        found = _found(records, n)
        cells = [f"{name} {_interval(found[name])}" for name in _STRATEGIES.split(",")]
        gain = _interval(found["default"] - found["random"])
        print(f"  after {n} labels: {', '.join(cells)}; default - random {gain}")


def _found(records: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the targets found after ``n`` labels, a row per seed and a column per strategy."""
    rows = records[records["n_labeled"] == n]
    return rows.pivot_table(index="seed", columns="strategy", values="positives_found")


def _interval(values: pd.Series) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.1f} +- {half:.1f}"


def _owl_geo(*arguments: str) -> None:
    cli.main(args=list(arguments), prog_name="owl-geo", standalone_mode=False)


if __name__ == "__main__":
    main()
