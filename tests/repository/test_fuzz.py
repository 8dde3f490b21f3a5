"""The fuzzing targets: what once broke one stays mended, and a few hundred new inputs each."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz import targets

ROOT = Path(__file__).parents[2]
_INPUTS = 150


@pytest.mark.parametrize("name", targets.TARGETS)
def test_inputs_that_once_broke_a_target_and_its_seeds_end_well(name: str, tmp_path: Path) -> None:
    code = (
        "import sys, tempfile, logging; from pathlib import Path; from fuzz import targets\n"
        "logging.disable()\n"
        "target = targets.TARGETS[sys.argv[1]](Path(sys.argv[2]))\n"
        "folder = targets.INPUTS / sys.argv[1]\n"
        "kept = [p.read_bytes() for p in sorted(folder.iterdir())] if folder.is_dir() else []\n"
        "for data in [*kept, *target.seeds(), b'']: target.run(data)\n"
        "print(len(kept))\n"
    )
    # in a process of its own: some of the inputs once ended it
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", [name for name in targets.TARGETS if name != "plugin_toml"])
def test_changed_inputs_end_well(name: str, tmp_path: Path) -> None:
    target = targets.TARGETS[name](tmp_path)
    rng = random.Random(7)
    seeds = target.seeds()
    for _ in range(_INPUTS):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 8)):
            place = rng.randrange(len(data) + 1)
            what = rng.random()
            if what < 0.5:
                data[place : place + 1] = rng.randbytes(1)
            elif what < 0.75:
                data[place:place] = rng.randbytes(rng.randint(1, 8))
            else:
                del data[place : place + rng.randint(1, 8)]
        target.run(bytes(data))


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is for Linux only")
def test_a_target_runs_under_atheris(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "stac", "-runs=300", "-seed=1"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 300 runs" in done.stderr
