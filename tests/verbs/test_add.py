"""Scenes with a mask of their own join a run only where the run knows what a mask's values mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import ORIGIN, coordinates, make_safe, write_raster

from owl_geo import Run, add, init
from owl_geo.errors import BusyError, RunError
from owl_geo.verbs.update import update

SIZE = 8  # pixels; a scene of 32 pixels has 16 patches
CLEAR, CLOUD = 1, 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenes side by side, each with a mask whose upper half is cloud."""
    for east, name in enumerate("ab"):
        place = from_origin(ORIGIN[0] + 320 * east, ORIGIN[1], 10, 10)
        mask = np.full((1, 32, 32), CLEAR, dtype="uint8")
        mask[:, :16] = CLOUD
        write_raster(tmp_path / f"{name}.tif", coordinates(32, 32), transform=place)
        write_raster(tmp_path / f"{name}_mask.tif", mask, transform=place)
    return tmp_path


def made(folder: Path, scene: dict[str, str], mask_bad: list[int]) -> Run:
    source: dict[str, Any] = {"kind": "geotiff", "patch_size": SIZE, "mask_bad": mask_bad}
    return init(folder / "run", {"source": source | {"scenes": [{"name": "a"} | scene]}}).run


def test_a_mask_joins_masks_of_the_same_values(folder: Path) -> None:
    scene = {"path": str(folder / "a.tif"), "mask": str(folder / "a_mask.tif")}
    run = made(folder, scene, [CLOUD])
    assert len(run.patches) == 8
    done = add(run.path, [str(folder / "b.tif")], masks=[str(folder / "b_mask.tif")])
    assert (done.done, done.patches) == (("b",), 8)
    added = Run(run.path)
    assert added.patches["row_off"].min() == 16  # the clouds above are left out in both
    assert [scene.mask is not None for scene in added.settings.source.scenes] == [True, True]


@pytest.mark.parametrize("mask_bad", [[], [CLOUD]])
def test_a_mask_joins_no_run_whose_scenes_were_given_none(
    mask_bad: list[int], folder: Path
) -> None:
    # a product brings a mask of its own, whose values mask_bad then speaks of
    product = make_safe(folder, "2A", scl=np.full((60, 60), CLEAR, np.uint8))
    scene = str(product) if mask_bad else str(folder / "a.tif")
    run = made(folder, {"path": scene}, mask_bad)
    reason = (
        "speaks of the masks that came with its scenes" if mask_bad else "has no scene with a mask"
    )
    before = (run.path / "owl.toml").read_text(encoding="utf-8")
    with pytest.raises(RunError, match=reason):
        add(run.path, [str(folder / "b.tif")], masks=[str(folder / "b_mask.tif")])
    assert (run.path / "owl.toml").read_text(encoding="utf-8") == before
    assert len(Run(run.path).patches) == len(run.patches)


def test_scaled_values_do_not_join_those_of_a_run_made_without_the_scale(folder: Path) -> None:
    slope = write_raster(
        folder / "slope.tif", np.full((1, 32, 64), 250, "int16"), scales=(0.1,), offsets=(-5.0,)
    )
    concept = {"kind": "raster", "path": str(slope), "reduce": "mean"}
    scenes = [{"name": "a", "path": str(folder / "a.tif")}]
    source = {"kind": "geotiff", "patch_size": SIZE, "scenes": scenes}
    run = init(folder / "run", {"source": source, "concepts": {"slope": concept}}).run
    assert (run.patches["slope"] == 20).all()
    record = json.loads((run.path / "index.json").read_text(encoding="utf-8"))
    del record["scaled"]  # as older versions wrote it
    (run.path / "index.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunError, match=r"made without the scale and offset .*slope\.tif"):
        add(run.path, [str(folder / "b.tif")])
    update(run.path)
    add(run.path, [str(folder / "b.tif")])
    assert (Run(run.path).patches["slope"] == 20).all()


@pytest.mark.parametrize("masked", [False, True])
def test_a_scene_without_a_mask_joins_any_run(masked: bool, folder: Path) -> None:
    mask = {"mask": str(folder / "a_mask.tif")} if masked else {}
    run = made(folder, {"path": str(folder / "a.tif")} | mask, [CLOUD] if masked else [])
    assert add(run.path, [str(folder / "b.tif")]).patches == 16


@pytest.mark.parametrize("read", ["nothing", "record"])
def test_a_run_that_another_command_adds_to_is_not_read_in_halves(read: str, folder: Path) -> None:
    """What was read last was of the larger pool, and the line wanted owl.toml to be restored."""
    run = made(folder, {"path": str(folder / "a.tif")}, [])
    opened = Run(run.path)
    if read == "record":
        assert opened.grids.keys() == {"a"}
    add(run.path, [str(folder / "b.tif")])
    with pytest.raises(BusyError, match=r"changed by another command since it was opened; give"):
        _ = opened.patches
    assert set(Run(run.path).patches["scene"]) == {"a", "b"}


@pytest.mark.parametrize("read", ["nothing", "record"])
def test_a_run_whose_files_were_made_anew_alike_is_read_on(read: str, folder: Path) -> None:
    run = made(folder, {"path": str(folder / "a.tif")}, [])
    opened = Run(run.path)
    if read == "record":
        assert opened.grids.keys() == {"a"}
    update(run.path)
    assert opened.patches.equals(Run(run.path).patches)
