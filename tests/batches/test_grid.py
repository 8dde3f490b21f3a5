"""What a batch says about the grid of the pool: enough to find any patch from a point."""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
from chosen import CONCEPTS, chosen_patches

from owl_geo import schema
from owl_geo.batches import grid_info, write_batch
from owl_geo.ground.windows import PoolWindows
from owl_geo.types import SceneGrid

TURNED = SceneGrid("turned", "EPSG:32631", (8.0, 6.0, 5e5, 6.0, -8.0, 5.6e6), 100, 64)
PLAIN = SceneGrid("plain", "EPSG:4326", (0.1, 0, 0, 0, -0.1, 50), 40, 40)


def unpacked(scene: dict) -> np.ndarray:
    n_rows, n_cols = scene["count"]
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(scene["pool"])), np.uint8))
    return bits[: n_rows * n_cols].reshape(n_rows, n_cols).astype(bool)


def test_every_window_that_may_be_answered_is_found_at_its_place() -> None:
    windows = PoolWindows(
        {"turned": TURNED, "plain": PLAIN},
        scene=np.array([0, 0, 0, 0, 1, 1]),
        row_off=np.array([16, 16, 32, 64, 8, 8]),
        col_off=np.array([0, 24, 24, 8, 0, 8]),
        patch_size=16,
    )
    may = np.array([True, True, False, True, False, False])
    info = grid_info(windows, may)
    assert json.loads(json.dumps(info)) == info
    assert info["patch_size"] == 16
    (scene,) = info["scenes"]  # the other has nothing to answer
    assert tuple(scene) == schema.GRID_KEYS
    assert (scene["scene"], scene["crs"]) == ("turned", "EPSG:32631")
    assert scene["transform"] == [8.0, 6.0, 5e5, 6.0, -8.0, 5.6e6]
    assert (scene["first"], scene["step"], scene["count"]) == ([16, 0], [16, 8], [4, 4])
    places = np.argwhere(unpacked(scene)) * scene["step"] + scene["first"]
    assert places.tolist() == [[16, 0], [16, 24], [64, 8]]


def test_a_single_patch_is_a_grid_of_one() -> None:
    windows = PoolWindows(
        {"plain": PLAIN},
        scene=np.array([0]),
        row_off=np.array([3]),
        col_off=np.array([5]),
        patch_size=8,
    )
    (scene,) = grid_info(windows, np.array([True]))["scenes"]
    assert (scene["first"], scene["step"], scene["count"]) == ([3, 5], [8, 8], [1, 1])
    assert unpacked(scene).tolist() == [[True]]


def test_a_batch_keeps_the_grid_where_qgis_offers_no_further_table(tmp_path: Path) -> None:
    path = tmp_path / "batch.gpkg"
    options = {"classes": ("absent", "present"), "positive": "present", "concepts": CONCEPTS}
    grid = {"patch_size": 32, "scenes": []}
    write_batch(path, chosen_patches(2), **options, batch_id="run-001", round=1, grid=grid)
    with closing(sqlite3.connect(path)) as connection:
        ((text,),) = connection.execute(schema.BATCH_INFO_QUERY, (schema.GRID_URI,)).fetchall()
        tables = connection.execute("SELECT table_name FROM gpkg_contents").fetchall()
    assert json.loads(text) == grid
    assert {name for (name,) in tables} == {"batch", "layer_styles"}
