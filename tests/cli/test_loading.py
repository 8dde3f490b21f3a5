"""What a command loads: nothing that takes long to import and is not needed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from searches import label, make

from owl_geo import Run, ingest, query

_LOADED = """
import json, sys
from owl_geo.cli import _run
assert _run(sys.argv[1:]) == 0
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded(*words: object) -> set[str]:
    """Return the packages that a command has loaded at its end, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first batch is answered, with the default model; the next query learns."""
    run = make(tmp_path_factory.mktemp("begun") / "run").path
    entry = query(run)
    batch = Run(run).batch_path(0)
    label(batch, {p: ("absent", "present")[n % 2] for n, p in enumerate(entry.patch_ids)})
    ingest(run, [batch], annotator="ana")
    return run


def test_no_command_with_a_head_loads_torch(begun: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(begun, tmp_path / "run"))
    by_query = loaded("query", run)
    assert "sklearn" in by_query  # it has learnt
    assert "torch" not in by_query
    assert Run(run).rounds()[-1].number == 1


def test_ingest_and_status_load_neither_models_nor_rasters_nor_locks(begun: Path) -> None:
    heavy = {"torch", "sklearn", "scipy", "rasterio", "osmium", "pyogrio", "filelock"}
    assert not heavy & loaded("ingest", begun, begun / "rounds/000/batch.gpkg")
    assert not heavy & loaded("status", begun)


_ENDING = """
import atexit, gc, sys
from owl_geo.cli import main
atexit.register(lambda: print(gc.get_freeze_count(), len(gc.get_objects())))
main(sys.argv[1:])
"""


def test_no_garbage_is_looked_for_when_a_command_ends(begun: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDING, "status", str(begun)],
        capture_output=True,
        text=True,
        check=True,
    )
    left_alone, looked_at = map(int, done.stdout.splitlines()[-1].split())
    assert left_alone > 100 * looked_at
