"""The index of a pool whose files are replaced at any moment while it is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rasters import coordinates, write_raster

from owl_geo import Run, init, query
from owl_geo.errors import BusyError, RunError
from owl_geo.run_folder import index, patch_table
from owl_geo.run_folder.records import IndexRecord
from owl_geo.verbs.update import update

FILES = ("index.json", "patches.parquet")  # in the order in which they are put in place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of 16 patches, and the files of its index once half of the scene has no data."""
    scene = tmp_path / "a.tif"
    values = coordinates(32, 32)
    write_raster(scene, values, nodata=9999)
    source = {"kind": "geotiff", "patch_size": 8, "scenes": [{"name": "a", "path": str(scene)}]}
    run = init(tmp_path / "run", {"source": source}).run
    assert len(run.patches) == 16
    shutil.copytree(run.path, tmp_path / "before")
    values[:, :16] = 9999
    write_raster(scene, values, nodata=9999)
    assert len(update(run.path).run.patches) == 8
    run.path.rename(tmp_path / "after")
    return tmp_path


class Steps:
    """Counts what reading an index does to files, and replaces some of them in between."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.due: dict[int, Callable[[], None]] = {}
        self.count = 0
        for owner, name in (
            (index, "file_state"),
            (index, "_digest"),
            (IndexRecord, "read"),
            (patch_table, "read"),
        ):
            patch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.due.pop(self.count, lambda: None)()
            self.count += 1
            return work(*arguments)

        return watched


def replace(folder: Path, *names: str) -> None:
    for name in names:
        copy = folder / f"copy-{name}"
        shutil.copyfile(folder / "after" / name, copy)
        copy.replace(folder / "run" / name)


@pytest.mark.parametrize("apart", [0, 1, 2, 3])
def test_an_index_that_is_replaced_while_it_is_read_is_never_of_two_pools(
    apart: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read first was taken for the new one, if it was replaced just behind that."""
    count, at, seen = 1, 0, []
    while at < count:
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(folder / "before", folder / "run")
        run = Run(folder / "run")
        with monkeypatch.context() as patch:
            steps = Steps(patch)
            names = FILES if apart == 0 else FILES[:1]
            steps.due[at] = partial(replace, folder, *names)
            if apart:
                steps.due[at + apart] = partial(replace, folder, *FILES[1:])
            try:
                record, patches = run.index.record, run.patches
            except BusyError:
                seen.append("busy")
            else:
                assert record.parts == (len(patches),), f"replaced at step {at}"
                seen.append("read")
        count, at = max(count, steps.count), at + 1
    assert count > 6
    assert {*seen} == {"busy", "read"}


def test_settings_that_another_process_may_be_at_work_on_are_waited_for(folder: Path) -> None:
    """It advised to run the very command that was running."""
    shutil.copytree(folder / "before", folder / "run")
    toml = folder / "run" / "owl.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace("seed = 42", "seed = 4"), encoding="utf-8")
    with (
        FileLock(folder / "run" / ".lock"),  # as another process holds it
        pytest.raises(BusyError, match=r"seed changed .* another owl-geo is working on .*; wait"),
    ):
        _ = Run(folder / "run").patches
    with pytest.raises(RunError, match="run `owl-geo init") as raised:
        _ = Run(folder / "run").patches
    assert not isinstance(raised.value, BusyError)
    # a command that holds the lock itself says what is wrong
    with pytest.raises(RunError, match="run `owl-geo init"):
        query(folder / "run", go_on=True)
