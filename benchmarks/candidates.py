"""What is lost and gained when a round scores only part of a large pool.

    python -m benchmarks.candidates [--patches 20000] [--seeds 10]

Runs the same search with all patches scored and with a tenth of them, near the answers or drawn at
random; results are paired by seed, with 95 % t intervals.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

from owl_geo.evaluation.simulate import simulate
from owl_geo.settings import owl_toml
from owl_geo.verbs.init import init

_ROUNDS, _BATCH = 10, 20


def main() -> None:
    """Print targets found and seconds per round for both ways, and the difference in targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.candidates")
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    models = {"statistics": {}, "cnn": {"kind": "cnn"}}
    print(
        f"{_ROUNDS} rounds of {_BATCH} in {options.patches:,} synthetic patches, "
        f"{options.seeds} seeds"
    )
    for name, model in models.items():
        found, seconds = (np.empty((2, options.seeds)) for _ in range(2))
        for seed in range(options.seeds):
            for way, candidates in enumerate((0, options.patches // 10)):
                found[way, seed], seconds[way, seed] = _searched(
                    options.patches, seed, model, candidates
                )
        lost = found[0] - found[1]
        half = stats.t.ppf(0.975, len(lost) - 1) * lost.std(ddof=1) / len(lost) ** 0.5
        print(
            f"  {name:<11} all: {found[0].mean():6.1f} found, {seconds[0].mean():5.2f} s/round; "
            f"a tenth: {found[1].mean():6.1f} found, {seconds[1].mean():5.2f} s; "
            f"lost {lost.mean():.1f} +- {half:.1f}"
        )


def _searched(n: int, seed: int, model: dict[str, str], candidates: int) -> tuple[float, float]:
    """Return the targets found, and the median seconds per round after the first two."""
    values = {
        "seed": seed,
        "source": {
            "kind": "synthetic",
            "n_samples": n,
            "image_size": 8,
            "seed": seed,
            "signal": 0.5,
        },
        "model": model,
        "acquisition": {"candidates": candidates},
        "loop": {"initial": _BATCH, "rounds": _ROUNDS, "batch_size": _BATCH},
        "evaluation": {"test_share": 0.0},
        "oracle": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        run = init(Path(folder) / "run", owl_toml.parse(values, "the benchmark")).run
        rounds = [entry.metrics for entry in simulate(run, device="cpu")]
    return rounds[-1].positives_found, float(np.median([entry.seconds for entry in rounds[2:]]))


if __name__ == "__main__":
    main()
