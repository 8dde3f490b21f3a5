"""How long a hand at the map waits for the next batch: in QGIS, with the plugin, from key to paint.

    python -m benchmarks.at_the_map [--rounds 5] [--between 0.5] [--pause 0.5]

A QGIS of its own, on a screen that nobody sees, labels batches of the sample by keys, one in
--between seconds, and asks for the next: with commands, each a process of its own; with an engine
that is asked at once; and with one that is asked --pause seconds after the last answer, which is
what a hand needs to reach the key. Prints medians over the rounds after the first: until the batch
is there, until its first patch may be answered, and how long the first picture of the map takes
after that. A hand that is faster than the cross-validation of the batch before, which an engine
does while people label, waits for it. Needs QGIS with its desktop, and Xvfb; for Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.timing import AS_INSTALLED
from benchmarks.waiting import GOALS, QUIET, SAMPLE
from owl_geo.cli import cli

DRIVE = Path(__file__).with_name("qgis_drive.py")
ROOT = Path(__file__).parents[1]
COMMANDS, AT_ONCE, LATER = "commands", "engine, asked at once", "engine, asked later"
STEPS = {
    "batch": "the batch is there",
    "layer": "its layer is open",
    "answerable": "all: the first patch may be answered",
    "first paint": "then: the map is painted",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.at_the_map")
    parser.add_argument("--rounds", type=int, default=5, help="that are measured")
    parser.add_argument("--between", type=float, default=0.5, help="keys, seconds")
    parser.add_argument("--pause", type=float, default=0.5, help="from last answer to key, seconds")
    options = parser.parse_args()
    missing = [tool for tool in ("qgis", "Xvfb") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} missing: nothing can be measured at the map")
    pauses = {COMMANDS: options.pause, AT_ONCE: 0.0, LATER: options.pause}
    waits = {}
    with tempfile.TemporaryDirectory() as scratch, display() as screen:
        made = Path(scratch) / "run"
        _owl_geo("init", made, "--scene", SAMPLE / "scene.tif", "--patch-size", 16)
        _owl_geo("query", made)
        for way, pause in pauses.items():
            folder = Path(scratch) / way
            folder.mkdir()
            shutil.copytree(made, folder / "run")
            asked = {
                "run": "run",
                "rounds": options.rounds,
                "between": options.between,
                "pause": pause,
            }
            waits[way] = in_qgis(folder, screen, asked, engine=way != COMMANDS)
    medians = {
        way: {step: statistics.median(one[step] for one in rounds) for step in STEPS}
        for way, rounds in waits.items()
    }
    print(f"Next batch of the sample in QGIS, {options.rounds} rounds, milliseconds")
    print(f"  {'':<38}" + "".join(f"{way:>24}" for way in medians))
    for step, words in STEPS.items():
        print(f"  {words:<38}" + "".join(f"{1000 * of[step]:>24.0f}" for of in medians.values()))
    whole = {way: of["answerable"] for way, of in medians.items()}
    for way in (AT_ONCE, LATER):
        print(f"  {f'{way} / commands':<38}{whole[way] / whole[COMMANDS]:>8.3f}")
    met = whole[LATER] <= GOALS["sample"] * whole[COMMANDS] and whole[LATER] <= QUIET
    print(
        f"  goal: {GOALS['sample']:g} of the commands, and {QUIET:g} s on a quiet machine: "
        f"{'met' if met else 'not met'}"
    )


@contextmanager
def display(size: str = "1920x1080") -> Iterator[str]:
    """Yield the name of a separate display, which nobody sees; ``size`` is in pixels."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24"]
    server = subprocess.Popen(
        [*command, "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def in_qgis(
    folder: Path, screen: str, asked: dict[str, object], *, engine: bool
) -> list[dict[str, float]]:
    """Label the run in ``folder`` in a QGIS with a fresh profile; return the waits, in seconds."""
    home = folder / "home"
    _owl_geo("plugin", "install", "--profiles-path", home, "--profile", "b")
    program = folder / "owl-geo"
    refusal = "" if engine else '[ "$1" = engine ] && read line && exit 2\n'
    command = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m owl_geo "$@"'
    program.write_text(f"#!/bin/sh\n{refusal}{command}\n", encoding="utf-8")
    program.chmod(0o755)
    settings = home / "profiles" / "b" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "[PythonPlugins]\nowl_geo_labeler=true\n[app]\naskToSaveMemoryLayers=false\n"
        f"[owl_geo_labeler]\nannotator=benchmark\nexecutable={program}\n",
        encoding="utf-8",
    )
    (folder / "runtime").mkdir(mode=0o700)
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    environment = {
        **AS_INSTALLED,
        "DISPLAY": screen,
        "QT_QPA_PLATFORM": "xcb",
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "OWL_MAP_FOLDER": str(folder),
    }
    words = ["--profiles-path", home, "--profile", "b", "--nologo", "--noversioncheck"]
    done = subprocess.run(
        ["qgis", *map(str, words), "--code", str(DRIVE)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    error, waits = folder / "error.txt", folder / "waits.json"
    if error.exists() or not waits.exists():
        said = error.read_text(encoding="utf-8") if error.exists() else done.stderr[-2000:]
        raise SystemExit(f"QGIS did not get to the end: {said}")
    found: list[dict[str, float]] = json.loads(waits.read_text(encoding="utf-8"))
    return found


def _owl_geo(*arguments: object) -> None:
    words = [*map(str, arguments), "-q"]
    cli.main(args=words, prog_name="owl-geo", standalone_mode=False)


if __name__ == "__main__":
    main()
