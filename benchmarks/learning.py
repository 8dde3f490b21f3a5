"""Do the strategies find more? Searches on ground truth, 10 seeds each, paired with random.

    python -m benchmarks.learning OUT [--seeds 10] [--jobs 2] [--ablations]

On generated patches with faint signal, and, where OWL_TEST_DATA names a folder that has it, on a
Landsat scene of North Carolina with four targets. Half an hour on two processors; a command that
was stopped goes on. Prints the tables of ``owl-geo compare`` and draws its plots into OUT.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from owl_geo.cli import cli

_PEERS = ",".join(f"skactiveml:{name}" for name in ("badge", "typiclust"))
_TARGETS = {  # value in strata.tif, share of a patch that makes it a target
    "developed": ("1", "0.5"),
    "herbaceous": ("3", "0.5"),
    "shrubland": ("4", "0.5"),
    "water": ("6", "0.25"),
}


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ablations", action="store_true", help="each part alone switched off")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    also = ",ablations" if options.ablations else ""
    generated = ["--source", "synthetic", "--n-samples", "2000", "--signal", "0.5"]
    _compare(options, "synthetic", generated, f"baselines,{_PEERS}{also}")
    data = os.environ.get("OWL_TEST_DATA")
    scene = Path(data) / "north_carolina" if data else None
    if scene is None or not scene.is_dir():
        print("OWL_TEST_DATA names no folder with north_carolina/: no comparison on real imagery")
        return
    runs = [f"--run={name}={_made(options.out / name, scene, name)}" for name in _TARGETS]
    # without concepts the shuffled are the default, and concepts alone are a random choice
    strategies = "default,random,uncertainty,greedy,tutorial,skactiveml:badge"
    if options.ablations:
        strategies += ",random-start,no-exploring,no-audit,no-neighbours,diverse-kmeans++"
    _compare(options, "north_carolina", runs, strategies)


def _made(folder: Path, scene: Path, target: str) -> Path:
    """Make the run of one target, unless it is there from before."""
    if not folder.exists():
        bands = ",".join(str(scene / f"lsat7_2000_{band}.tif") for band in (10, 20, 30, 40, 50))
        value, share = _TARGETS[target]
        _owl_geo(
            *("init", str(folder), "--scene", f"nc={bands}", "--patch-size", "8"),
            *("--oracle", str(scene / "strata.tif"), "--oracle-values", value),
            *("--oracle-share", share),
        )
    return folder


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
