"""The index of a run as it is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from owl_geo.ground.windows import PoolWindows
from owl_geo.run_folder import patch_table
from owl_geo.types import SceneGrid


def test_columns_of_text_lie_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of one in many pieces is looked for through all of them."""
    monkeypatch.setattr(patch_table, "_ROWS", 2)
    grid = SceneGrid("s", "EPSG:32631", (10.0, 0.0, 5e5, 0.0, -10.0, 5e6), 1, 5)
    patches = pd.DataFrame(
        {
            "patch_id": [f"s/0/{col}" for col in range(5)],
            "scene": ["s"] * 5,
            "row_off": np.zeros(5, dtype=np.int64),
            "col_off": np.arange(5),
        }
    )
    path = tmp_path / "patches.parquet"
    patch_table.write(path, patches, PoolWindows.from_index(patches, {"s": grid}, 1))
    read = patch_table.read(path)
    pd.testing.assert_frame_equal(read.astype({"scene": str}), patches)
    pieces = getattr(read["patch_id"].array, "_pa_array", None)
    assert pieces is None or pieces.num_chunks == 1  # older pandas has objects in one array


def test_the_name_of_a_scene_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row group has a dictionary of its own; the order is that of the index."""
    monkeypatch.setattr(patch_table, "_ROWS", 2)
    grids = {
        name: SceneGrid(name, "EPSG:32631", (10.0, 0.0, 5e5, 0.0, -10.0, 5e6), 1, 4)
        for name in ("b", "a")
    }
    scene, col = ["b", "b", "b", "a", "a"], [0, 1, 2, 0, 1]
    patches = pd.DataFrame(
        {
            "patch_id": [f"{name}/0/{at}" for name, at in zip(scene, col, strict=True)],
            "scene": scene,
            "row_off": np.zeros(5, dtype=np.int64),
            "col_off": col,
        }
    )
    path = tmp_path / "patches.parquet"
    patch_table.write(path, patches, PoolWindows.from_index(patches, grids, 1))
    read = patch_table.read(path)["scene"]
    assert read.tolist() == scene
    assert read.cat.categories.tolist() == read.unique().tolist() == ["b", "a"]
    assert read.cat.codes.dtype == np.int8
