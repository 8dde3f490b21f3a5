"""The grid of the pool, for the QGIS plugin: which patches there are beside those of a batch."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.types import BoolArray, IntArray


def grid_info(windows: PoolWindows, may_answer: BoolArray) -> dict[str, Any]:
    """Return JSON values that say where the patches of a pool are; see ``schema.GRID_URI``.

    ``may_answer`` ``(n,)`` says which of the windows somebody may answer. Scenes without any are
    left out.
    """
    scenes = [
        _scene(scene, may_answer[positions])
        for positions, scene in windows.by_scene()
        if may_answer[positions].any()
    ]
    return {"patch_size": windows.patch_size, "scenes": scenes}


def _scene(windows: Windows, may_answer: BoolArray) -> dict[str, Any]:
    row, step_row, n_rows = _lattice(windows.row_off, windows.patch_size)
    col, step_col, n_cols = _lattice(windows.col_off, windows.patch_size)
    pool = np.zeros((n_rows, n_cols), dtype=bool)
    at = (windows.row_off - row) // step_row, (windows.col_off - col) // step_col
    pool[at] = may_answer
    bits = zlib.compress(np.packbits(pool.ravel()).tobytes(), 9)
    return {
        "scene": windows.grid.name,
        "crs": windows.grid.crs,
        "transform": list(windows.grid.transform),
        "first": [row, col],
        "step": [step_row, step_col],
        "count": [n_rows, n_cols],
        "pool": base64.b64encode(bits).decode("ascii"),
    }


def _lattice(offsets: IntArray, patch_size: int) -> tuple[int, int, int]:
    """Return where offsets start, the largest step that leads to all of them, and how many fit."""
    found = np.unique(offsets)
    step = int(np.gcd.reduce(np.diff(found))) if len(found) > 1 else patch_size
    return int(found[0]), step, int(found[-1] - found[0]) // step + 1
