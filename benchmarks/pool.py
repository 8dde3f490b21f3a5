"""Time and memory that init, query and predict take for 10,000 to a million patches.

    python -m benchmarks.pool [OUT] [--patches 1000000] [--polygons 100000]

There is one tiled, compressed scene of 4 uint16 bands per size, made in OUT (4 GB for a million
patches) and kept there for the next time. Each command runs in its own process, as people run it;
its wall time, including the start, and its peak memory are printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.scenes import make_polygons, make_scene
from owl_geo import Run
from owl_geo.labels import Answer

SIDE = 32  # pixels of a patch
_LABELLED = "2026-01-01T00:00:00Z"


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool")
    parser.add_argument("out", type=Path, nargs="?", help="a folder for the scenes")
    parser.add_argument("--patches", type=int, default=100_000, help="the largest pool")
    parser.add_argument(
        "--polygons", type=int, default=10_000, help="for the concepts of the largest pool"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        curve(out, options.patches, options.polygons, Path(scratch))


def curve(out: Path, most: int, polygons: int, scratch: Path) -> None:
    """Measure pools of 10,000 patches, about three times as many, and so on up to ``most``.

    The number of polygons grows with the patches, so that the work per patch stays the same.
    """
    print("Commands by size of the pool: seconds per process, and its peak memory in MB")
    print(
        f"  {'patches':>9}  {'init':>12}  {'first query':>12}  {'next query':>12}  {'predict':>12}"
    )
    patches = 10_000
    while patches <= 1.1 * most:
        edge = round(patches**0.5)
        scene = out / f"scene-{edge}.tif"
        if not scene.exists():
            make_scene(scene, edge * SIDE)
        arguments: list[str] = []
        if polygons:
            n = max(round(polygons * edge**2 / most), 10)
            layer = make_polygons(out / f"polygons-{edge}-{n}.gpkg", edge * SIDE, n)
            arguments = ["--osm", str(layer)]
        run = scratch / f"run-{edge}"
        cells = [measured("init", run, "--scene", scene, *arguments)]
        cells.append(measured("query", run))
        answer(Run(run))
        cells.append(measured("query", run))
        answer(Run(run))
        cells.append(measured("predict", run))
        row = "  ".join(f"{seconds:6.1f} {memory:5.0f}" for seconds, memory in cells)
        print(f"  {edge * edge:>9,}  {row}", flush=True)
        patches = round(patches * 10**0.5)


def measured(command: str, *arguments: object) -> tuple[float, float]:
    """Run an owl-geo command and return the seconds it took and its peak memory in MB."""
    code = (
        "import sys; from benchmarks.pool import peak; from owl_geo.cli import cli; "
        "cli.main(sys.argv[1:], standalone_mode=False); print(peak())"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, command, "-q", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, float(done.stdout.split()[-1])


def peak() -> float:
    """Return the peak memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, where getrusage also counts the parent's memory
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 1024 if sys.platform != "darwin" else 2**20  # kilobytes, and bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def answer(run: Run) -> None:
    """Answer the newest batch like an annotator who finds a target in every third patch."""
    entry = run.rounds()[-1]
    assert entry.batch_id is not None
    rng = np.random.default_rng(entry.number)
    answers = [
        Answer(
            patch_id=patch,
            label="present" if rng.random() < 1 / 3 else "absent",
            annotator="benchmark",
            labelled_at=_LABELLED,
            batch_id=entry.batch_id,
            round=entry.number,
        )
        for patch in entry.patch_ids
    ]
    run.labels.append(answers, run.footprints(entry.patch_ids))


if __name__ == "__main__":
    main()
