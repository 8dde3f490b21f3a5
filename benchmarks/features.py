"""What the features of a pool cost, against decoding its pixels and doing nothing with them.

    python -m benchmarks.features [OUT] [--patches 100000] [--repeats 3]

Each way runs in turns, in a process of its own: rasterio reads the file by rows of blocks with a
thread for each processor; owl-geo computes the features of all patches, by NumPy and in compiled
loops. Times are medians, on the wall and of the processors, without imports but with the loading of
the loops; memory is the peak of the process. The scene, of 4 uint16 bands, is made in OUT and kept
there for the next time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks.pool import SIDE, peak
from benchmarks.scenes import make_scene
from owl_geo import GeoTiffSource
from owl_geo.features import statistics as spectral
from owl_geo.features.table import feature_table
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.statistics import band_statistics

WAYS = ("decoding alone", "features by NumPy", "features in loops")
GOAL = 1.5  # times decoding


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features")
    parser.add_argument("out", type=Path, nargs="?", help="a folder for the scene")
    parser.add_argument("--patches", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        edge = round(options.patches**0.5)
        scene = out / f"scene-{edge}.tif"
        if not scene.exists():
            make_scene(scene, edge * SIDE)
        costs = {way: [] for way in WAYS}
        kept = Path(scratch)
        for turn in range(options.repeats + 1):
            for way, found in costs.items():
                cost = _in_a_process(scene, way, kept)
                if turn:  # the first fills the system's cache, and compiles the loops
                    found.append(cost)
        apart = _apart(*(kept / str(WAYS.index(way)) for way in WAYS[1:]))
    medians = {
        way: tuple(map(statistics.median, zip(*found, strict=True))) for way, found in costs.items()
    }
    print(f"Features of {edge * edge:,} patches of 4 x {SIDE} x {SIDE} uint16")
    print(f"  {'':<18}  {'seconds':>8}  {'times':>6}  {'processors':>10}  {'times':>6}  {'MB':>6}")
    wall, processors, _ = medians[WAYS[0]]
    for way, (seconds, used, memory) in medians.items():
        print(
            f"  {way:<18}  {seconds:>8.2f}  {seconds / wall:>6.2f}  {used:>10.2f}  "
            f"{used / processors:>6.2f}  {memory:>6.0f}"
        )
    print(f"  features differ by at most {apart:.1e} of their size; the goal is {GOAL} times")


def _apart(*folders: Path) -> float:
    """Return by how much features kept in two folders differ, as a share of 1 plus their size."""
    paths = (next(folder.glob("*.npy")) for folder in folders)
    one, other = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths)
    return float((np.abs(one - other) / (1 + np.abs(one))).max())


def _in_a_process(scene: Path, way: str, kept: Path) -> tuple[float, float, float]:
    """Return seconds on the wall and of the processors, and the peak of the memory in MB."""
    code = "import sys; from benchmarks.features import measure; measure(*sys.argv[1:])"
    arguments = [str(scene), str(WAYS.index(way)), str(kept)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    wall, processors, memory = json.loads(done.stdout)
    return wall, processors, memory


def measure(scene: str, way: str, kept: str) -> None:
    """Do one of ``WAYS`` and print what it took."""
    prepare = [_decoded, _features, _features][int(way)]
    spectral.WORTH_IT = 0 if int(way) == 2 else sys.maxsize
    folder = Path(kept) / way
    shutil.rmtree(folder, ignore_errors=True)  # what is kept is not computed again
    work = prepare(scene, folder)
    started, used = time.perf_counter(), time.process_time()
    work()
    wall, processors = time.perf_counter() - started, time.process_time() - used
    print(json.dumps([wall, processors, peak()]))


def _decoded(path: str, _: Path) -> Callable[[], None]:
    def work() -> None:
        with rasterio.open(path, num_threads="all_cpus") as scene:
            block, side = scene.block_shapes[0][0], scene.height
            for row in range(0, side, block):
                scene.read(window=Window(0, row, side, min(block, side - row)))

    return work


def _features(path: str, kept: Path) -> Callable[[], None]:
    source = GeoTiffSource(path, patch_size=SIDE)
    bands = band_statistics(source, np.random.default_rng(0))
    source = GeoTiffSource(path, patch_size=SIDE, index=source.index)

    def work() -> None:
        feature_table(
            source,
            bands,
            ModelSettings(),
            device="cpu",
            seed=0,
            keep=kept,
            scene_ids=dict.fromkeys(source.grids, "made"),
        )

    return work


if __name__ == "__main__":
    main()
