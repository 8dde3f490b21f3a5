"""The index of a large pool: made without an object for each name, and searched without sorting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from owl_geo.errors import SourceError
from owl_geo.ground.windows import Windows
from owl_geo.sources import base
from owl_geo.types import SceneGrid


def index() -> pd.DataFrame:
    row, col = np.divmod(np.arange(60), 10)
    windows = [
        Windows(
            SceneGrid(name, "EPSG:32631", (10, 0, 0, 0, -10, 0), 32, 32),
            row_off=row * 2,
            col_off=col * 2,
            patch_size=2,
        )
        for name in ("a/b", "é")
    ]
    return base.build_index(windows, {"valid_fraction": np.ones(120)})


def test_a_large_index_is_that_of_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    right = index()
    monkeypatch.setattr(base, "_MANY", 7)
    pd.testing.assert_frame_equal(index(), right)


def test_patches_are_found_by_their_offsets_or_else_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "_MANY", 7)
    table = index()
    wanted = [119, 0, 73, 73]
    names = table["patch_id"].iloc[wanted].tolist()
    assert base.positions_of(table, names).tolist() == wanted
    assert base.find_positions(table, ["é/0/0", "é/0/1", "x", ""]).tolist() == [60, -1, -1, -1]
    assert base.find_positions(table, []).tolist() == []
    with pytest.raises(SourceError, match="no patch 'é/1/1' in the index of 120 patches"):
        base.positions_of(table, ["é/0/0", "é/1/1"])
    table["patch_id"] = [f"patch {number}" for number in range(120)]
    assert base.positions_of(table, ["patch 7", "patch 90"]).tolist() == [7, 90]
