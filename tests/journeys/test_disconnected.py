"""A run, its scene or one of its files on a share that is off: never missing, lost or made anew."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from in_process import Owl
from rasters import write_raster
from searches import label
from unreadable import disconnect

from owl_geo import Run
from owl_geo.cli import _run

SAMPLE = Path(__file__).parents[2] / "sample_data"
REASON = os.strerror(errno.EHOSTDOWN)
REMEDY = "check that its drive or share is connected"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene, a layer, and a run that has answers and predictions."""
    folder = tmp_path_factory.mktemp("made") / "share"
    folder.mkdir()
    for name in ("scene.tif", "area.osm"):
        shutil.copyfile(SAMPLE / name, folder / name)
    run = folder / "run"
    options = f"--scene {folder}/scene.tif --osm {folder}/area.osm --patch-size 64 -q"
    assert _run(shlex.split(f"init {run} {options}")) == 0
    assert _run(["query", str(run), "-q"]) == 0
    first, second, third, *_ = Run(run).rounds()[0].patch_ids
    batch = Run(run).batch_path(0)
    label(batch, {first: "present", second: "absent"})
    assert _run(["ingest", str(run), str(batch), "-q"]) == 0
    assert _run(["predict", str(run), "-q"]) == 0
    (folder / "answers.csv").write_text(f"patch_id,label\n{third},absent\n")
    return folder


@pytest.fixture
def share(made: Path, tmp_path: Path) -> Path:
    """The folder, as it was made and where it was made; it is checked to be left so."""
    shutil.copytree(made, tmp_path / "before")
    return made


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


COMMANDS = {
    "status": "status RUN",
    "query": "query RUN",
    "ingest": "ingest RUN RUN/rounds/000/batch.gpkg",
    "predict": "predict RUN",
    "review": "review RUN",
    "report": "report RUN",
    "plot": "plot RUN",
    "export": "labels export RUN OUT/answers.csv",
    "import": "labels import RUN SHARE/answers.csv",
    "patches": "patches RUN OUT/patches.gpkg",
    "update": "init RUN --update",
    "init": "init RUN --scene SHARE/scene.tif --patch-size 64",
    "init again": "init RUN --scene SHARE/scene.tif --patch-size 64 --overwrite",
    "init elsewhere": "init OUT/run --scene SHARE/scene.tif --patch-size 64",
    "pattern": "init OUT/run --scene SHARE/*.tif --patch-size 64",
    "add": "add RUN --scene SHARE/scene.tif",
    "class": "classes add RUN unknown",
    "go on": "run RUN",
}
NEED_ALL_OF_IT = sorted(COMMANDS.keys() - {"init elsewhere", "pattern"})


def refusal(owl: Owl, name: str, share: Path, out: Path) -> str:
    words = COMMANDS[name].replace("RUN", f"{share}/run").replace("SHARE", str(share))
    done = owl(*shlex.split(words.replace("OUT", str(out))))
    assert done.code == 1, done
    (line,) = (line for line in done.err.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_share_that_is_off(
    name: str, share: Path, tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        disconnect(share, off)
        line = refusal(owl, name, share, tmp_path)
    assert line.startswith(f"error: cannot reach {share}/")
    assert line.endswith(f": {REASON}; {REMEDY}")
    assert content(share) == content(tmp_path / "before")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", NEED_ALL_OF_IT)
def test_a_run_that_may_not_be_read(
    name: str, share: Path, tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        disconnect(share / "run", off, errno.EACCES)
        line = refusal(owl, name, share, tmp_path)
    assert f"{share}/run" in line and f": {os.strerror(errno.EACCES)}; " in line
    assert content(share) == content(tmp_path / "before")


# the file, and commands that it is needed for
FILES = {
    "run/owl.toml": ("status", "query", "predict", "update", "init", "init again", "add"),
    "run/index.json": ("status", "query", "ingest", "predict", "update", "add", "class"),
    "run/patches.parquet": ("status", "query", "ingest", "predict", "update", "add"),
    "run/labels.gpkg": (
        *("status", "query", "ingest", "predict", "report", "export", "import", "update"),
        *("init again", "review"),
    ),
    "run/rounds": ("status", "query", "predict", "review", "report", "update"),
    "run/rounds/000/round.json": ("status", "query", "predict", "review", "report", "update"),
    "run/predictions/predictions.json": ("predict",),
    "scene.tif": ("query", "update", "init elsewhere", "pattern"),
    "area.osm": ("update",),
}


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, names in FILES.items() for name in names]
)
def test_a_file_that_cannot_be_reached(
    file: str, name: str, share: Path, tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        disconnect(share / file, off)
        line = refusal(owl, name, share, tmp_path)
    assert f"cannot reach {share / file}: {REASON}; " in line
    assert content(share) == content(tmp_path / "before")


@pytest.mark.parametrize(
    "file", ["", "run", *sorted(FILES.keys() - {"run/predictions/predictions.json"})]
)
def test_the_doctor_says_what_cannot_be_reached(
    file: str, share: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        disconnect(share / file, off)
        done = owl("doctor", share / "run")
    assert f"cannot reach {share / file}".rstrip("/") in done.out
    assert REASON in done.out and "error" not in done.err
    for word in ("missing", "does not exist", "damaged", "reinstall"):
        assert word not in done.out.partition(str(share))[2]


def test_a_scene_in_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(2 * 64 * 64, dtype="uint16").reshape(2, 64, 64)
    for name in ("east", "west"):
        write_raster(tmp_path / name / f"{name}.tif", values)
    options = ("--scene", f"{tmp_path}/*/*.tif", "--patch-size", "8")
    disconnect(tmp_path / "west", monkeypatch, errno.EACCES)
    done = owl("init", tmp_path / "run", *options)
    assert done.code == 0
    assert f"{tmp_path / 'west'} cannot be read (Permission denied), so scenes" in done.err
    assert [scene.name for scene in Run(tmp_path / "run").settings.source.scenes] == ["east"]


def test_a_scene_that_cannot_be_reached_is_skipped_where_that_is_wanted(
    tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(2 * 64 * 64, dtype="uint16").reshape(2, 64, 64)
    for name in ("east", "west"):
        write_raster(tmp_path / f"{name}.tif", values)
    scenes = ("--scene", tmp_path / "east.tif", "--scene", tmp_path / "west.tif")
    disconnect(tmp_path / "west.tif", monkeypatch)
    options = (*scenes, "--patch-size", "8", "--on-error", "skip")
    done = owl("init", tmp_path / "run", *options)
    assert done.code == 3 and f"cannot reach {tmp_path / 'west.tif'}: {REASON}" in done.err
    assert [scene.name for scene in Run(tmp_path / "run").settings.source.scenes] == ["east"]
