"""What predict writes: a further output is its room and one line, and all commands know it."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from corners import answered, times
from rio_cogeo import cog_validate
from strangers import Owl

import owl_geo
from owl_geo import Run
from owl_geo.settings.choices import OUTPUTS, Choice


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return answered(tmp_path / "run")


def test_the_command_names_the_files_to_look_at_first(run: Run, owl: Owl) -> None:
    lines = owl("predict", run.path, "--device", "cpu").done().splitlines()
    folder = run.path / "predictions"
    shown = ("probability.vrt", "patches.gpkg", "areas.gpkg")
    assert lines[-3:] == [str(folder / name) for name in shown]
    summary = owl_geo.predict(run)
    assert [summary.mosaic, summary.patches, summary.areas] == summary.shown
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        *("areas.gpkg", "class", "class.qml", "class.vrt", "patches", "patches.gpkg"),
        *("predictions.json", "probability", "probability.qml", "probability.vrt"),
    ]


def test_one_more_map(run: Run, owl: Owl, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = owl_geo.predict(run, device="cpu").folder
    monkeypatch.setitem(OUTPUTS, "trial", Choice("trials:DoubtMap"))
    # the scenes lack it, so they are done again
    said = owl("predict", run.path, "--device", "cpu").done()
    assert "3 done, 0 skipped" in said
    assert said.splitlines()[-1] == str(folder / "trial.vrt")
    assert cog_validate(folder / "trial" / "a.tif", strict=True) == (True, [], [])
    with rasterio.open(folder / "trial.vrt") as dataset:
        assert dataset.descriptions == ("doubt",)
        values = dataset.read(1)
    assert (values != 255).any()
    assert (folder / "trial.qml").exists()
    maps = owl_geo.predictions(run)["a"]
    assert list(maps) == ["probability", "uncertainty", "class", "doubt"]
    expected = (maps["uncertainty"] * 100).round()
    np.testing.assert_array_equal(maps["doubt"], expected.fillna(255))
    # it is kept while nothing changes, and made again where it is gone
    before = times(folder)
    assert "0 done, 3 skipped" in owl("predict", run.path, "--device", "cpu").done()
    assert times(folder) == before
    (folder / "trial" / "b.tif").unlink()
    assert "1 done, 2 skipped" in owl("predict", run.path, "--device", "cpu").done()
    assert (folder / "trial" / "b.tif").exists()


def test_a_map_goes_with_its_scene(run: Run, owl: Owl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS, "trial", Choice("trials:DoubtMap"))
    folder = owl_geo.predict(run, device="cpu").folder
    (run.path.parent / "scenes" / "1.tif").unlink()
    ended = owl("predict", run.path, "--on-error", "skip", "--overwrite", "--device", "cpu")
    assert (ended.code, "b" in ended.err) == (3, True)
    left = {path.name for path in folder.glob("*/*.tif")}
    assert "b.tif" not in left and "a.tif" in left


def test_one_more_file_over_all_scenes(run: Run, owl: Owl, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = owl_geo.predict(run, device="cpu").folder
    monkeypatch.setitem(OUTPUTS, "trial", Choice("trials:Listing"))
    before = times(folder / "probability")
    assert "0 done, 3 skipped" in owl("predict", run.path, "--device", "cpu").done()
    best = gpd.read_file(folder / "patches.gpkg", layer="predictions")["patch_id"]
    assert (folder / "trial.txt").read_text(encoding="utf-8").split() == best.tolist()
    assert {n: t for n, t in times(folder / "probability").items() if ".tif" in n} == {
        n: t for n, t in before.items() if ".tif" in n
    }
