"""The benchmark of strategies: its targets, its untuned contestant, and that it can go on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasters import write_raster
from searches import make

from owl_geo.search.choosing import choose
from owl_geo.search.records import Answers, class_numbers

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks are run from the checkout's root, so their package is found there."""
    monkeypatch.syspath_prepend(str(ROOT))


def scene(path: Path) -> Path:
    """A scene of four squares of ground, one of them small, that differ in all bands."""
    rng = np.random.default_rng(0)
    kinds = np.zeros((128, 128), dtype=int)
    kinds[:64, 64:], kinds[64:, :64], kinds[100:120, 100:120] = 1, 2, 3
    values = np.array([[300, 900], [1500, 400], [600, 2500], [4000, 5000]])[kinds]
    noisy = values + rng.normal(0, 20, values.shape)
    return write_raster(path, np.moveaxis(noisy, -1, 0).astype(np.uint16), nodata=0)


def test_targets_are_made_of_the_imagery(tmp_path: Path) -> None:
    from benchmarks.targets import nearest, write_classes

    image, truth = scene(tmp_path / "scene.tif"), tmp_path / "truth.tif"
    write_classes([image], truth)
    with rasterio.open(truth) as raster, rasterio.open(image) as pixels:
        classes = raster.read(1)
        assert (raster.transform, raster.crs) == (pixels.transform, pixels.crs)
    assert set(np.unique(classes)) == set(range(10))
    # the classes tell the kinds of ground apart, but for their edges
    assert not set(classes[10:50, 10:50].flat) & set(classes[10:50, 80:120].flat)
    again = tmp_path / "again.tif"
    write_classes([image], again)
    with rasterio.open(again) as raster:
        assert (raster.read(1) == classes).all()
    shares = [(classes == number).reshape(16, 8, 16, 8).mean(axis=(1, 3)) for number in range(10)]
    for share, prevalence in ((0.25, 0.25), (0.5, 0.02)):
        chosen = nearest(truth, 8, share, prevalence)
        gaps = [abs((one >= share).mean() - prevalence) for one in shares]
        assert gaps[chosen] == min(gaps)


def test_scenes_that_are_not_there_are_left_out(tmp_path: Path, capsys) -> None:
    from benchmarks.targets import targets

    assert list(targets(tmp_path, tmp_path / "made")) == []
    said = capsys.readouterr().out
    for name in ("north_carolina", "olinda", "lommel", "majortom"):
        assert f"there is no {name}/ in OWL_TEST_DATA" in said


def test_a_comparison_of_the_benchmark_goes_on(tmp_path: Path, monkeypatch, capsys) -> None:
    from benchmarks import learning

    run = make(tmp_path / "run", oracle={}, source={"n_samples": 120, "signal": 1.0})
    monkeypatch.setattr(learning, "made", lambda *_: {"trial": run.path})
    monkeypatch.setattr(learning, "_BATCH", 8)
    out = tmp_path / "out"

    def compared(seeds: int) -> tuple[pd.DataFrame, str]:
        command = ["learning", str(out), "--seeds", str(seeds), "--jobs", "1"]
        monkeypatch.setattr(sys, "argv", command)
        learning.main()
        return pd.read_csv(out / "records.csv"), capsys.readouterr().out

    records, said = compared(1)
    assert set(records["strategy"]) == {"default", "greedy", "random", "untuned"}
    assert "5 of 5 searches" in said
    when = {path: path.stat().st_mtime_ns for path in out.rglob("searches/*/*/0.csv")}
    assert len(when) == 5
    more, said = compared(2)
    assert said.startswith("5 of 10 searches")
    assert {path: path.stat().st_mtime_ns for path in when} == when
    first = more[more["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, records, check_dtype=False)
    assert "found over greedy at 2, 5, 10, 20 %" in said
    assert "ece at 2, 5, 10, 20 %" in said


def test_the_nearest_class_is_the_one_that_as_many_patches_hold(tmp_path: Path) -> None:
    """Not the one that covers as much of the ground."""
    from benchmarks.targets import nearest

    classes = np.full((1, 40, 40), 2, dtype=np.uint8)  # 25 patches of 8 x 8
    classes[0, :8] = 0  # all of 5 patches, a fifth of the ground
    classes[0, 8:, :] = np.where(np.arange(32)[:, None] % 8 < 5, 1, 2)  # 5 of 8 rows of the others
    truth = write_raster(tmp_path / "truth.tif", classes)
    assert nearest(truth, 8, 0.5, 0.8) == 1  # on half of the ground
    assert nearest(truth, 8, 0.5, 0.2) == 0
    assert nearest(truth, 8, 0.7, 0.5) == 0  # no patch holds as much of the second


def test_the_untuned_search_begins_as_the_default_and_asks_the_probable(tmp_path: Path) -> None:
    from benchmarks.untuned import untuned_round

    run = make(tmp_path / "run", oracle={}, source={"n_samples": 200, "signal": 1.0})
    search = run.search("cpu")
    first = untuned_round(search, search.learner(), Answers.none(), 0, ask=True).batch
    same = choose(search, search.learner(), Answers.none(), 0)
    assert first is not None
    np.testing.assert_array_equal(first.positions, same.positions)
    asked = np.flatnonzero(search.askable(Answers.none()))[:60]
    labels = class_numbers(search.settings.classes, search.truth["label"].iloc[asked])
    answers = Answers(asked, labels, np.ones(60, dtype=bool), asked)
    outcome = untuned_round(search, search.learner(), answers, 1, ask=True)
    batch = outcome.batch
    assert batch is not None
    assert outcome.test is not None
    assert outcome.test.auc > 0.7  # it has learnt something
    count = len(batch.positions)
    assert batch.audited.sum() == count - round(0.8 * count)
    assert not set(batch.positions.tolist()) & set(asked.tolist())
    probable = batch.terms.probability[~batch.audited]
    assert (np.diff(probable) <= 0).all()
    assert probable.min() >= batch.terms.probability[batch.audited].max()
    # without a target, nothing is probable, and the whole batch is drawn
    others = answers.labels != search.positive
    few = Answers(asked[others], labels[others], others[others], asked[others])
    blind = untuned_round(search, search.learner(), few, 1, ask=True).batch
    assert blind is not None
    assert blind.audited.all()
