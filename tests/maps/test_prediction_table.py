"""The predictions for every patch of a scene, written and read a part at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from owl_geo.errors import RunError
from owl_geo.maps import patches

CLASSES = ("absent", "present")


@pytest.fixture
def positions() -> np.ndarray:
    return np.array([1, 2, 4, 5, 7])


@pytest.fixture
def path(tmp_path: Path, positions: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(patches, "_ROWS", 2)
    present = np.array([0.1, 0.9, 0.4, 0.7, 0.2], np.float32)
    patches.write_table(
        tmp_path / "a.parquet",
        pd.Series([f"s/0/{col}" for col in range(8)]),
        positions,
        np.stack([1 - present, present], axis=1),
        np.arange(5, dtype=np.float32),
        classes=CLASSES,
        positive="present",
    )
    return tmp_path / "a.parquet"


def test_others_read_all_patches(path: Path) -> None:
    table = pd.read_parquet(path)
    assert table["patch_id"].tolist() == ["s/0/1", "s/0/2", "s/0/4", "s/0/5", "s/0/7"]
    assert table["class"].tolist() == ["absent", "present", "absent", "present", "absent"]
    assert table["probability"].dtype == table["uncertainty"].dtype == np.float32


def test_parts_say_where_their_patches_are(path: Path, positions: np.ndarray) -> None:
    parts = list(patches.read_table(path, positions))
    assert [at.tolist() for at, _ in parts] == [[1, 2], [4, 5], [7]]
    whole = pd.concat([part for _, part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(whole, pd.read_parquet(path, columns=list(whole)))


@pytest.mark.parametrize("damage", ["shorter", "longer", "gone", "broken"])
def test_damage_is_told(damage: str, path: Path, positions: np.ndarray) -> None:
    positions = {"shorter": positions[:4], "longer": np.append(positions, 8)}.get(damage, positions)
    if damage == "gone":
        path.unlink()
    if damage == "broken":
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"a\.parquet is damaged"):
        list(patches.read_table(path, positions))
