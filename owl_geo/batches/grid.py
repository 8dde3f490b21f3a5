"""The grid of the pool, for the QGIS plugin: which patches there are beside those of a batch."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.types import BoolArray, IntArray

_AT_ONCE = 1_000_000  # patches whose cells are computed together, which bounds the memory for them


class PoolGrids:
    """Where the patches of a pool are; computed once, since it is the same for all batches.

    Args:
        windows: the windows of the patches.
    """

    def __init__(self, windows: PoolWindows) -> None:
        self._patch_size = windows.patch_size
        scenes = [(at, _Scene(scene)) for at, scene in windows.by_scene()]
        every: IntArray | slice = slice(None)  # which takes no memory, and copies nothing
        self._scenes = [(at if len(scenes) > 1 else every, scene) for at, scene in scenes]

    def info(self, may_answer: BoolArray) -> dict[str, Any]:
        """Return JSON values that say where the patches are; see ``schema.GRID_URI``.

        ``may_answer`` ``(n,)`` says which of the windows somebody may answer. Scenes without any
        are left out.
        """
        scenes = [
            scene.info(answerable)
            for at, scene in self._scenes
            if (answerable := may_answer[at]).any()
        ]
        return {"patch_size": self._patch_size, "scenes": scenes}


def grid_info(windows: PoolWindows, may_answer: BoolArray) -> dict[str, Any]:
    """Return JSON values that say where the patches of a pool are; see ``PoolGrids.info``."""
    return PoolGrids(windows).info(may_answer)


class _Scene:
    def __init__(self, windows: Windows) -> None:
        row, step_row, n_rows = _lattice(windows.row_off, windows.patch_size)
        col, step_col, n_cols = _lattice(windows.col_off, windows.patch_size)
        self._n_cells = n_rows * n_cols
        kind = np.int32 if self._n_cells < 2**31 else np.int64
        self._cells = np.empty(len(windows), dtype=kind)
        for start in range(0, len(windows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows = (windows.row_off[part] - row) // step_row
            self._cells[part] = rows * n_cols + (windows.col_off[part] - col) // step_col
        self._fields = {
            "scene": windows.grid.name,
            "crs": windows.grid.crs,
            "transform": list(windows.grid.transform),
            "first": [row, col],
            "step": [step_row, step_col],
            "count": [n_rows, n_cols],
        }

    def info(self, may_answer: BoolArray) -> dict[str, Any]:
        pool = np.zeros(self._n_cells, dtype=bool)
        pool[self._cells] = may_answer
        bits = zlib.compress(np.packbits(pool).tobytes(), 9)
        return {**self._fields, "pool": base64.b64encode(bits).decode("ascii")}


def _lattice(offsets: IntArray, patch_size: int) -> tuple[int, int, int]:
    """Return where offsets start, the largest step that leads to all of them, and how many fit."""
    found = _distinct(offsets)
    step = int(np.gcd.reduce(np.diff(found))) if len(found) > 1 else patch_size
    return int(found[0]), step, int(found[-1] - found[0]) // step + 1


def _distinct(offsets: IntArray) -> IntArray:
    """Return the offsets that there are, ascending; those of millions are not sorted for it."""
    low, high = int(offsets.min()), int(offsets.max())
    if high - low > 10 * len(offsets):
        return np.unique(offsets)
    found = np.zeros(high - low + 1, dtype=bool)
    for start in range(0, len(offsets), _AT_ONCE):
        found[offsets[start : start + _AT_ONCE] - low] = True
    return np.flatnonzero(found) + low
