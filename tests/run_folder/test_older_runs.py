"""Run folders that an older version made: they open, go on, and give the batches that it gave.

``made_before/`` holds two small simulated searches after two of their four batches, and
``went_on.json`` what the version that made them went on to ask.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from owl_geo import Run, status
from owl_geo.evaluation.simulate import simulate

MADE_BEFORE = Path(__file__).parent / "made_before"

WENT_ON = json.loads((MADE_BEFORE / "went_on.json").read_text(encoding="utf-8"))


@pytest.fixture(params=["default", "tutorial"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def older(name: str, tmp_path: Path) -> Run:
    with zipfile.ZipFile(MADE_BEFORE / f"{name}.zip") as archive:
        archive.extractall(tmp_path / "run")
    return Run(tmp_path / "run")


def test_it_opens_as_it_was(name: str, older: Run) -> None:
    assert len(older.patches) == 48
    assert older.scenes.ids == {"synthetic": WENT_ON[name]["scene_id"]}
    assert older.scenes.changed == {}
    assert len(older.rounds()[1].watched) == 48  # written as a digit each
    assert status(older).batches == 2


def test_it_goes_on_as_it_would_have(name: str, older: Run) -> None:
    simulate(older)
    rounds = older.rounds()
    # sets: a network's scores differ between versions of torch, by less than a patch's rank or two
    assert [set(entry.patch_ids) for entry in rounds[2:4]] == [*map(set, WENT_ON[name]["batches"])]
    auc = pd.read_csv(older.path / "metrics.csv")["test_auc"][1:]
    assert auc.tolist() == pytest.approx(WENT_ON[name]["test_auc"], abs=1e-6)
    # it compares with what the older version watched
    assert 0 <= rounds[2].metrics.stability <= 1
