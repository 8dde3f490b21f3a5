"""Does an earlier date help to find what changed? The sample's clearings, with and without it.

    python -m benchmarks.change [--seeds 10] [--jobs 2]

The same patches, targets and held-out ground for both; searches are paired by seed. Prints how many
of the felled patches are found, and how well held-out patches are ranked, with 95 % t intervals.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from owl_geo import init
from owl_geo.evaluation.compare import compare
from owl_geo.evaluation.contestants import Contestant
from owl_geo.evaluation.searches import Plan

SAMPLE = Path(__file__).parents[1] / "sample_data"
LABELS = (40, 60, 100)


def main() -> None:
    """Search both runs with every seed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.change")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: Path(folder) / name for name in ("without", "with")}
        for name, path in runs.items():
            init(path, _settings(with_view=name == "with"))
        plan = Plan(
            folder=Path(folder) / "compared",
            runs=runs,
            contestants=(Contestant("default"),),
            seeds=tuple(range(options.seeds)),
            budget=0.14,
        )
        records = compare(plan, jobs=options.jobs)
    records = records[records["strategy"] == "default"]
    targets = records["targets"].mean()
    print(f"{options.seeds} seeds, {targets:.1f} targets on average in the pool")
    print(f"{'after labels':<28}{'without':>10}{'with':>10}{'difference':>22}")
    for labels in LABELS:
        row = records[records["n_labeled"] == labels]
        for column, name in (("positives_found", "found"), ("test_auc", "held-out AUC")):
            table = row.pivot(index="seed", columns="source", values=column).astype(float)
            _print(f"{labels}, {name}", table)


def _settings(*, with_view: bool) -> dict[str, object]:
    views = {"before": {"scenes": [{"name": "scene", "path": str(SAMPLE / "scene.tif")}]}}
    return {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "next_year", "path": str(SAMPLE / "next_year.tif")}],
            "patch_size": 16,
        },
        "oracle": {
            "path": str(SAMPLE / "clearings.gpkg"),
            "column": "class",
            "values": {"present": ["felled"]},
            "min_share": 0.1,
        },
        **({"views": views} if with_view else {}),
    }


def _print(name: str, table: pd.DataFrame) -> None:
    difference = (table["with"] - table["without"]).dropna()
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std() / np.sqrt(len(difference))
    means = "".join(f"{table[which].mean():>10.3g}" for which in ("without", "with"))
    print(f"{name:<28}{means}{difference.mean():>+12.3g} ± {half:.2g}")


if __name__ == "__main__":
    main()
