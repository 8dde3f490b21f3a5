"""How long a hand waits for the next batch: two commands, against an engine that stays.

    python -m benchmarks.waiting [OUT] [--patches 100000] [--rounds 5]

A batch is labelled, its answers are taken in, and the next batch is chosen: by `ingest` and
`query`, each a process of its own, and by one request to `owl-geo engine`, in turns, on two copies
of one run. It is done for the sample and for a scene of about --patches patches, which is made in
OUT and kept there for the next time. Times are medians over the rounds after the first, on the wall
and of the processors; both searches must come out the same. For Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SAMPLE = Path(__file__).parents[1] / "sample_data"
SIDE = 32  # pixels of a patch of the made scene
_OWL = [sys.executable, "-m", "owl_geo"]


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    wall: float  # seconds
    processors: float  # seconds
    memory: float  # MB, at most


def main() -> None:
    """Print the comparison for the sample, and for a large pool if there is one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting")
    parser.add_argument("out", type=Path, nargs="?", help="a folder for the scene")
    parser.add_argument("--patches", type=int, default=0, help="of a further, larger pool")
    parser.add_argument("--rounds", type=int, default=5, help="that are measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        sample = ["--scene", SAMPLE / "scene.tif", "--patch-size", "16"]
        sample += ["--osm", SAMPLE / "area.osm"]
        compare("the sample", sample, Path(scratch) / "sample", options.rounds)
        if options.patches:
            edge = round(options.patches**0.5)
            scene = _scene(out, edge)
            made = ["--scene", scene, "--patch-size", SIDE]
            compare(f"{edge * edge:,} patches", made, Path(scratch) / "large", options.rounds)


def compare(name: str, arguments: list[object], folder: Path, rounds: int) -> None:
    """Print what a round takes by commands and by an engine."""
    commands, kept = folder / "commands", folder / "kept"
    run("init", commands, *arguments)
    first = run("query", commands)
    shutil.copytree(commands, kept)
    taken: dict[str, list[Cost]] = {"ingest": [], "query": [], "engine": []}
    with engine() as asked:
        asked("open", run=str(kept))
        for number in range(rounds + 1):
            batches = [path / f"rounds/{number:03d}/batch.gpkg" for path in (commands, kept)]
            for batch in batches:
                label(batch)
            costs = {
                "ingest": run("ingest", commands, batches[0], "--annotator", "benchmark"),
                "query": run("query", commands),
                "engine": asked(
                    "next", run=str(kept), batches=[str(batches[1])], annotator="benchmark"
                ),
            }
            if number:
                for way, cost in costs.items():
                    taken[way].append(cost)
    if _asked(commands) != _asked(kept):
        raise SystemExit("the engine asked other patches than the commands")
    _print(name, first, taken)


def _print(name: str, first: Cost, taken: Mapping[str, list[Cost]]) -> None:
    rows = {way: _median(costs) for way, costs in taken.items()}
    both = Cost(
        rows["ingest"].wall + rows["query"].wall,
        rows["ingest"].processors + rows["query"].processors,
        max(rows["ingest"].memory, rows["query"].memory),
    )
    print(f"From answers to the next batch, {name}: median of {len(taken['engine'])} rounds")
    print(f"  {'':<28}  {'wall':>7}  {'processors':>10}  {'peak memory':>11}")
    for what, cost in (
        ("first query", first),
        ("ingest", rows["ingest"]),
        ("query", rows["query"]),
        ("both commands", both),
        ("engine, next", rows["engine"]),
    ):
        print(
            f"  {what:<28}  {cost.wall:>5.2f} s  {cost.processors:>8.2f} s  {cost.memory:>8.0f} MB"
        )
    wall, processors, memory = (
        getattr(rows["engine"], what) / getattr(both, what)
        for what in ("wall", "processors", "memory")
    )
    print(f"  {'engine / both commands':<28}  {wall:>7.3f}  {processors:>10.3f}  {memory:>11.2f}")
    print(flush=True)


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.processors for cost in costs),
        max(cost.memory for cost in costs),
    )


def run(*words: object) -> Cost:
    """Run a command in a process of its own."""
    begun = time.perf_counter()
    with subprocess.Popen([*_OWL, *map(str, words), "-q"], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"owl-geo {words[0]} failed")
    unit = 1024 if sys.platform != "darwin" else 2**20  # kilobytes, and bytes on macOS
    return Cost(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


@contextmanager
def engine() -> Iterator[Any]:
    """Start an engine; what it yields asks a request and returns its cost."""
    with subprocess.Popen(
        [*_OWL, "engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        source, sink = process.stdout, process.stdin
        assert source is not None and sink is not None

        def ask(method: str, **params: object) -> Cost:
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            used, begun = _used(process.pid), time.perf_counter()
            sink.write(json.dumps(call).encode() + b"\n")
            sink.flush()
            answer = _answer(source)
            wall = time.perf_counter() - begun
            if "error" in answer:
                raise SystemExit(answer["error"]["message"])
            return Cost(wall, _used(process.pid) - used, _peak(process.pid))

        yield ask
        sink.close()


def _answer(source: IO[bytes]) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(source.readline())
        if "method" not in message:
            return message


def _used(pid: int) -> float:
    """Return the processor time of a process, in seconds; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (row for row in status if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def label(batch: Path) -> None:
    """Label a batch as another program would: every third patch is a target."""
    with closing(sqlite3.connect(batch)) as connection, connection:
        # the R-tree's triggers name functions that GDAL brings; for labels none of them is called
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            connection.create_function(name, 1, lambda _geometry: None)
        connection.execute(
            "UPDATE batch SET label = CASE WHEN rank % 3 = 0 THEN 'present' ELSE 'absent' END, "
            "annotator = 'benchmark', labelled_at = '2026-01-01T00:00:00Z'"
        )


def _asked(run_path: Path) -> list[Any]:
    records = sorted(run_path.glob("rounds/*/round.json"))
    return [json.loads(path.read_text(encoding="utf-8"))["patch_ids"] for path in records]


def _scene(out: Path, edge: int) -> Path:
    """Return a scene of ``edge`` x ``edge`` patches, made by another process."""
    path = out / f"scene-{edge}.tif"
    if not path.exists():
        code = "import sys; from pathlib import Path; from benchmarks.scenes import make_scene; "
        code += "make_scene(Path(sys.argv[1]), int(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, str(path), str(edge * SIDE)], check=True)
    return path


if __name__ == "__main__":
    main()
