"""How long a hand waits for the next batch: two commands, against an engine that stays.

    python -m benchmarks.waiting [OUT] [--patches 100000] [--million] [--rounds 5]

A batch is labelled, its answers are taken in, and the next batch is chosen: by `ingest` and
`query`, each a process of its own, and by one request to `owl-geo engine`, in turns, on copies of
one run. One engine is asked at once. The other is told when the last patch is answered, as the
plugin tells it (`foresee`), and asked --pause seconds later, which is what a hand needs to reach
the key. What an engine does when it has answered, while people label, is counted apart: the
cross-validation, which `query` also does when it has printed the batch's path. It is done for the
sample, for a scene of about --patches patches (0: none), and with --million for one of a million;
scenes are made in OUT and kept there for the next time. Times are medians over the rounds after the
first, on the wall and of the processors; all searches must come out the same. A trace of one more
round says where the engine's time goes. For Linux.
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
from typing import IO, TYPE_CHECKING, Any

from benchmarks.timing import AS_INSTALLED

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run

SAMPLE = Path(__file__).parents[1] / "sample_data"
SIDE = 32  # pixels of a patch of the made scene
GOALS = {"sample": 1 / 20, "large": 1 / 10}  # of both commands' time on the wall
QUIET = 0.5  # seconds in which the sample's next batch is there on a quiet machine
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
    parser.add_argument("--patches", type=int, default=100_000, help="of a further, larger pool")
    parser.add_argument("--million", action="store_true", help="and a pool of a million")
    parser.add_argument("--rounds", type=int, default=5, help="that are measured")
    parser.add_argument("--pause", type=float, default=0.5, help="from last answer to key, seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        sample = ["--scene", SAMPLE / "scene.tif", "--patch-size", "16"]
        sample += ["--osm", SAMPLE / "area.osm"]
        compare("the sample", sample, Path(scratch) / "sample", options.rounds, options.pause)
        for patches in (options.patches, 1_000_000 if options.million else 0):
            if not patches:
                continue
            edge = round(patches**0.5)
            made = ["--scene", _scene(out, edge), "--patch-size", SIDE]
            folder = Path(scratch) / "large"
            compare(f"{edge * edge:,} patches", made, folder, options.rounds, options.pause)
            shutil.rmtree(folder)


def compare(name: str, arguments: list[object], folder: Path, rounds: int, pause: float) -> None:
    """Print what a round takes by commands and by engines, and where an engine's time goes."""
    commands, hasty, kept = folder / "commands", folder / "hasty", folder / "kept"
    run("init", commands, *arguments)
    first = run("query", commands)
    for copy in (hasty, kept):
        shutil.copytree(commands, copy)
    taken: dict[str, list[Cost]] = {}
    with engine() as at_once, engine() as told:
        for asked, path in ((at_once, hasty), (told, kept)):
            asked("open", run=str(path))
            asked.until_quiet(path)
        for number in range(rounds + 1):
            batches = [path / f"rounds/{number:03d}/batch.gpkg" for path in (commands, hasty, kept)]
            for batch in batches:
                label(batch)
            ingested = run("ingest", commands, batches[0], "--annotator", "benchmark")
            its_batch, queried = run_to_its_line("query", commands)
            costs = {
                "ingest": ingested,
                "its batch": its_batch,
                "query": queried,
                "status": run("status", commands),
                "at once": at_once("next", **_next(hasty, batches[1])),
                "after": at_once.until_quiet(hasty),
            }
            told("foresee", **_next(kept, batches[2]))
            time.sleep(pause)
            costs["next"] = told("next", **_next(kept, batches[2]))
            told.until_quiet(kept)
            if number:
                for way, cost in costs.items():
                    taken.setdefault(way, []).append(cost)
        message = statistics.median(told("cancel", id=0).wall for _ in range(20))
    if not _asked(commands) == _asked(hasty) == _asked(kept):
        raise SystemExit("an engine asked other patches than the commands")
    _print(name, first, taken, GOALS["sample" if folder.name == "sample" else "large"], pause)
    trace(kept, message)


def _next(run_path: Path, batch: Path) -> dict[str, object]:
    return {"run": str(run_path), "batches": [str(batch)], "annotator": "benchmark"}


def _print(
    name: str, first: Cost, taken: Mapping[str, list[Cost]], goal: float, pause: float
) -> None:
    rows = {way: _median(costs) for way, costs in taken.items()}
    both = Cost(
        rows["ingest"].wall + rows["query"].wall,
        rows["ingest"].processors + rows["query"].processors,
        max(rows["ingest"].memory, rows["query"].memory),
    )
    print(f"From answers to the next batch, {name}: median of {len(taken['next'])} rounds")
    print(f"  {'':<28}  {'wall':>7}  {'processors':>10}  {'peak memory':>11}")
    for what, cost in (
        ("first query", first),
        ("ingest", rows["ingest"]),
        ("query, until its path", rows["its batch"]),
        ("query, to its end", rows["query"]),
        ("both commands", both),
        ("status", rows["status"]),
        ("engine, next at once", rows["at once"]),
        (f"engine, next {pause:g} s later", rows["next"]),
        ("engine, while people label", rows["after"]),
    ):
        print(
            f"  {what:<28}  {cost.wall:>5.2f} s  {cost.processors:>8.2f} s  {cost.memory:>8.0f} MB"
        )
    for what, way in (("at once", "at once"), (f"{pause:g} s later", "next")):
        wall, processors, memory = (
            getattr(rows[way], kind) / getattr(both, kind) for kind in vars(both)
        )
        print(
            f"  {f'next {what} / commands':<28}  {wall:>7.3f}  {processors:>10.3f}  {memory:>11.2f}"
        )
    wall = rows["next"].wall / both.wall
    print(f"  goal: {goal:g} of both commands on the wall: {'met' if wall <= goal else 'not met'}")
    if goal == GOALS["sample"]:
        met = "met" if rows["next"].wall <= QUIET else "not met"
        print(f"  goal: {QUIET:g} s on a quiet machine: {met}")
    print(flush=True)


def trace(run_path: Path, message: float) -> None:
    """Do one more round in this process, and print what each step of it takes."""
    from owl_geo.batches import writing
    from owl_geo.batches.grid import PoolGrids
    from owl_geo.engine import engine as kept
    from owl_geo.labels import GeoPackageLabels
    from owl_geo.run_folder.folder import Run
    from owl_geo.run_folder.journal import Journal
    from owl_geo.run_folder.kept import KeptRun
    from owl_geo.search import rounds
    from owl_geo.search.search import Search
    from owl_geo.verbs import advance, batch_files
    from owl_geo.work.progress import silent

    watch = _Watch()
    steps: tuple[tuple[str, Any, str], ...] = (
        ("what others changed", KeptRun, "refresh"),
        ("answers to come", kept, "expected_history"),
        ("answers in", kept, "ingest_into"),
        ("answers so far", GeoPackageLabels, "history"),
        ("answers so far", Run, "answers"),
        ("fit", Search, "learn"),
        ("scores", Search, "members"),
        ("choice", rounds, "by_strategy"),
        ("patches that are followed", Search, "watched"),
        ("colours of the scenes", advance, "shown_scenes"),
        ("where else one may answer", PoolGrids, "info"),
        ("rows of the batch", batch_files, "_table"),
        ("style", writing, "batch_style"),
        ("file", batch_files, "write_batch"),
        ("round on the disk", Journal, "publish"),
    )
    with kept.Engine(run_path) as asked:
        for _ in range(2):  # a process's first round has to import things
            batch = _answerable(asked.run)
            label(batch)
            asked.ingest([batch], annotator="benchmark")
            asked.query(prepare=False)
            asked.measure()
        for name, owner, function in steps:
            watch.wrap(name, owner, function)
        try:
            batch = _answerable(asked.run)
            label(batch)
            with watch.of("ahead"):
                asked.foresee([batch], annotator="benchmark")
                asked._ahead.wait(silent)  # of the thread, so that no step falls into the pause
            with watch.of("next"):
                asked.ingest([batch], annotator="benchmark")
                asked.query(prepare=False)
        finally:
            watch.unwrap()
    print(f"  {'a trace of one round':<28}  {'done ahead':>10}  {'next':>9}")
    print(f"  {'message':<28}  {'':>10}  {1000 * message:>6.1f} ms")
    for name in dict.fromkeys((*(name for name, _, _ in steps), "the rest", "all")):
        ahead, then = (watch.taken[stage].get(name, 0.0) for stage in ("ahead", "next"))
        print(f"  {name:<28}  {1000 * ahead:>7.1f} ms  {1000 * then:>6.1f} ms")
    print(flush=True)


def _answerable(opened: Run) -> Path:
    return opened.batch_path(len(opened.rounds()) - 1)


class _Watch:
    """Measures functions on the wall, in stages.

    What one takes within another counts for itself alone; ``all`` is the whole of a stage.
    """

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, float]] = {}  # seconds, by stage and name
        self._stage = ""
        self._within: list[float] = []  # seconds of the functions within each that is running
        self._wrapped: list[tuple[Any, str, Any]] = []

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what runs in the block as of a stage."""
        self._stage, begun = stage, time.perf_counter()
        own = self.taken.setdefault(stage, {})
        yield
        whole = time.perf_counter() - begun
        own["the rest"] = whole - sum(own.values())
        own["all"] = whole

    def wrap(self, name: str, owner: Any, function: str) -> None:
        """Measure a function of a module or a class, under a name."""
        plain = getattr(owner, function)

        def measured(*arguments: Any, **options: Any) -> Any:
            self._within.append(0.0)
            begun = time.perf_counter()
            try:
                return plain(*arguments, **options)
            finally:
                spent, inner = time.perf_counter() - begun, self._within.pop()
                own = self.taken[self._stage]
                own[name] = own.get(name, 0.0) + spent - inner
                if self._within:
                    self._within[-1] += spent

        self._wrapped.append((owner, function, plain))
        setattr(owner, function, measured)

    def unwrap(self) -> None:
        """Put back what was measured."""
        for owner, function, plain in reversed(self._wrapped):
            setattr(owner, function, plain)


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.processors for cost in costs),
        max(cost.memory for cost in costs),
    )


def run(*words: object) -> Cost:
    """Run a command in a process of its own."""
    begun = time.perf_counter()
    with _started(*words, output=subprocess.DEVNULL) as process:
        return _ended(process, begun)


def run_to_its_line(*words: object) -> tuple[Cost, Cost]:
    """Run a command that goes on after its first line; return the cost until then, and of all."""
    begun = time.perf_counter()
    with _started(*words, output=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        said = Cost(time.perf_counter() - begun, _used(process.pid), _peak(process.pid))
        process.stdout.read()
        return said, _ended(process, begun)


def _started(*words: object, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_OWL, *map(str, words), "-q"], stdout=output, env=AS_INSTALLED)


def _ended(process: subprocess.Popen[bytes], begun: float) -> Cost:
    """Wait for the end of a command that began then."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args} failed")
    unit = 1024 if sys.platform != "darwin" else 2**20  # kilobytes, and bytes on macOS
    return Cost(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


@contextmanager
def engine() -> Iterator[_Asked]:
    """Start an engine, to be asked."""
    with subprocess.Popen(
        [*_OWL, "engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=AS_INSTALLED
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        yield _Asked(process.pid, process.stdout, process.stdin)
        process.stdin.close()


@dataclass(frozen=True)
class _Asked:
    """An engine, as a program sees it."""

    pid: int
    source: IO[bytes]
    sink: IO[bytes]

    def __call__(self, method: str, **params: object) -> Cost:
        """Ask a request, and return what it took until the answer was there."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        used, begun = _used(self.pid), time.perf_counter()
        self.sink.write(json.dumps(call).encode() + b"\n")
        self.sink.flush()
        answer = _answer(self.source)
        wall = time.perf_counter() - begun
        if "error" in answer:
            raise SystemExit(answer["error"]["message"])
        return Cost(wall, _used(self.pid) - used, _peak(self.pid))

    def until_quiet(self, run_path: Path) -> Cost:
        """Wait until it does nothing, and every round is measured; return what that took."""
        used, begun = _used(self.pid), time.perf_counter()
        quiet, before, since = begun, used, begun
        while quiet - since < _IDLE or _unmeasured(run_path):
            time.sleep(_TICK)
            quiet, now = time.perf_counter(), _used(self.pid)
            if now > before:
                before, since = now, quiet
        return Cost(since - begun, before - used, _peak(self.pid))


_TICK, _IDLE = 0.02, 0.3  # seconds between two looks, and without work that mean that it is done


def _unmeasured(run_path: Path) -> bool:
    newest = max(run_path.glob("rounds/*/round.json"), default=None)
    if newest is None or (newest.parent / "later.json").exists():
        return False
    return "unmeasured" in json.loads(newest.read_text(encoding="utf-8"))


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
