"""Do the strategies find more? Searches against ground truth, 10 seeds each, paired by seed.

    python -m benchmarks.learning OUT [--seeds 10] [--jobs 2] [--ablations]

The searches run on generated patches with a faint signal and, if the folder OWL_TEST_DATA contains
it, on a Landsat scene of North Carolina with four targets. This takes about three quarters of an
hour on two processors; an interrupted command resumes where it stopped. With --ablations, each part
of the default is switched off by itself instead, with less data, in ten minutes. Prints the tables
of ``owl-geo compare`` and writes its plots to OUT.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from owl_geo.cli import cli

_PEERS = ",".join(f"skactiveml:{name}" for name in ("badge", "typiclust"))
TARGETS = {  # value in strata.tif, share of a patch that makes it a target
    "developed": ("1", "0.5"),
    "herbaceous": ("3", "0.5"),
    "shrubland": ("4", "0.5"),
    "water": ("6", "0.25"),
}


_ABLATED = "default,discovery,committee,random-start,no-audit,no-neighbours"


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ablations", action="store_true", help="switch off one part at a time")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = os.environ.get("OWL_TEST_DATA")
    scene = Path(data) / "north_carolina" if data else None
    if scene is None or not scene.is_dir():
        print("there is no north_carolina/ in OWL_TEST_DATA: real imagery is left out")
        scene = None
    (_ablate if options.ablations else _strategies)(options, scene)


def _strategies(options: argparse.Namespace, scene: Path | None) -> None:
    generated = ["--source", "synthetic", "--n-samples", "2000", "--signal", "0.5"]
    _compare(options, "synthetic", generated, f"baselines,{_PEERS}")
    if scene is not None:
        runs = [f"--run={name}={_made(options.out / name, scene, name)}" for name in TARGETS]
        # without concepts, shuffled equals the default, and concepts-only equals a random choice
        strategies = "default,discovery,random,uncertainty,greedy,tutorial,skactiveml:badge"
        _compare(options, "north_carolina", runs, strategies)


def _ablate(options: argparse.Namespace, scene: Path | None) -> None:
    to_default = ["--baseline", "default"]
    generated = ["--source", "synthetic", "--signal", "0.5"]
    strategies = f"{_ABLATED},no-concept-head,fixed-relevance"
    _compare(options, "ablated-synthetic", [*generated, *to_default], strategies)
    if scene is not None:
        targets = ("shrubland", "water")
        runs = [f"--run={name}={_made(options.out / name, scene, name)}" for name in targets]
        runs += ["--budget", "0.1", *to_default]
        _compare(options, "ablated-north_carolina", runs, _ABLATED)


def _made(folder: Path, scene: Path, target: str) -> Path:
    """Make the run of one target, unless it already exists."""
    if not folder.exists():
        bands = ",".join(str(scene / f"lsat7_2000_{band}.tif") for band in (10, 20, 30, 40, 50))
        value, share = TARGETS[target]
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
