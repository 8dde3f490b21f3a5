"""A search for what changed between two dates, from the options of `init` to the maps."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from in_process import Owl
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasters import ORIGIN, write_raster
from report_page import Page
from searches import label

from owl_geo import Run, add, ingest, init, predict, predict_array, predictions, query, report
from owl_geo.errors import RunError, SourceError
from owl_geo.measures.metrics import roc_auc
from owl_geo.verbs.update import update

SIZE, SIDE = 8, 128  # pixels; 256 patches a scene
NAMES = ("red", "nir")


def ground(seed: int) -> np.ndarray:
    """Fields of very different values, patch by patch, ``(2, SIDE, 2 * SIDE)``."""
    rng = np.random.default_rng(seed)
    fields = rng.uniform(500, 4000, (2, SIDE // SIZE, 2 * SIDE // SIZE))
    pixels = fields.repeat(SIZE, axis=1).repeat(SIZE, axis=2)
    return pixels + rng.normal(0, 60, pixels.shape)


def cleared() -> np.ndarray:
    """Which squares of the ground were cleared, ``(SIDE, 2 * SIDE)``."""
    squares = np.random.default_rng(9).random((SIDE // SIZE, 2 * SIDE // SIZE)) < 0.25
    return squares.repeat(SIZE, axis=0).repeat(SIZE, axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes side by side, and what stood there before, in another CRS, without the north."""
    folder = tmp_path_factory.mktemp("views")
    before = ground(1)
    now = (before * 0.8 + 100 + 500 * cleared()).astype("float32")
    for east, name in enumerate(("a", "b")):
        place = from_origin(ORIGIN[0] + 10 * SIDE * east, ORIGIN[1], 10, 10)
        part = now[:, :, SIDE * east : SIDE * (east + 1)]
        write_raster(folder / f"{name}.tif", part, transform=place, descriptions=NAMES)
    before[:, :SIZE] = np.nan
    write_raster(folder / "plain.tif", before.astype("float32"), descriptions=NAMES)
    (folder / "2019").mkdir()
    with rasterio.open(folder / "plain.tif") as plain:
        warped = WarpedVRT(plain, crs="EPSG:32632", nodata=np.nan)
        rasterio.shutil.copy(warped, folder / "2019" / "all.tif")
    return folder


def settings(folder: Path, **tables: Any) -> dict[str, Any]:
    scenes = [{"name": "a", "path": str(folder / "a.tif")}]
    view = {"scenes": [{"name": "all", "path": str(folder / "2019" / "all.tif")}]}
    return {
        "source": {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE},
        "views": {"before": view},
        "loop": {"initial": 60, "batch_size": 10},
        **tables,
    }


def is_cleared(patches: pd.DataFrame) -> np.ndarray:
    """Which patches of an index were cleared, ``(n,)``."""
    east = np.where(patches["scene"] == "b", SIDE, 0)
    found: np.ndarray = cleared()[patches["row_off"], patches["col_off"] + east]
    return found


def answered(run: Run) -> Run:
    """Answer a batch."""
    entry = query(run)
    rows = run.patches.set_index("patch_id").loc[list(entry.patch_ids)].reset_index()
    words = np.where(is_cleared(rows), "present", "absent")
    label(run.batch_path(entry.number), dict(zip(rows["patch_id"], words, strict=True)))
    ingest(run, [run.batch_path(entry.number)], annotator="ana")
    return Run(run.path)


@pytest.fixture(scope="module")
def known(folder: Path) -> Path:
    """A run with one answered batch, to be copied."""
    path = folder / "known"
    answered(init(path, settings(folder)).run)
    return path


@pytest.fixture
def run(known: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(known, tmp_path / "run"))


def quality(run: Run) -> float:
    """How well the maps tell apart what was cleared, where the view shows it."""
    maps = predictions(run)
    rows = run.patches[run.patches["row_off"] > 0]
    probability = [
        float(maps[scene]["probability"].values[row // SIZE, col // SIZE])
        for scene, row, col in zip(rows["scene"], rows["row_off"], rows["col_off"], strict=True)
    ]
    return roc_auc(is_cleared(rows), np.array(probability))


def test_typed_from_the_first_word_to_the_map(folder: Path, tmp_path: Path, owl: Owl) -> None:
    words = ["--scene", folder / "a.tif", "--patch-size", SIZE, "--initial", 60]
    words += ["--view", f"before={folder / '2019' / '*.tif'}"]
    path = tmp_path / "run"
    dry = owl("init", path, *words, "--dry-run")
    assert "View:     before: 2 bands of 1 scene\n" in dry.out
    assert not path.exists()
    made = owl("init", path, *words)
    assert made.code == 0, made.err
    assert "View before: 2 bands of 1 scene, shows 94 % of the patches\n" in made.out
    run = answered(Run(path))
    assert owl("predict", path).code == 0
    assert quality(run) > 0.97
    assert owl("add", path, "--scene", folder / "b.tif").out.count("View before: ") == 1
    assert owl("doctor", path).out.count("all views are present and unchanged: before") == 1
    alone = answered(init(tmp_path / "alone", settings(folder, views={})).run)
    predict(alone)
    assert quality(alone) < 0.85  # one date does not tell


def test_added_scenes_have_the_views_too(folder: Path, run: Run) -> None:
    predict(run)
    kept = {path.name: path.stat().st_mtime_ns for path in (run.path / "features").glob("*.npy")}
    before = json.loads((run.path / "index.json").read_text("utf-8"))
    done = add(run.path, [str(folder / "b.tif")])
    assert [str(view) for view in done.views] == [
        "before: 2 bands of 1 scene, shows 94 % of the patches"
    ]
    after = json.loads((run.path / "index.json").read_text("utf-8"))
    assert after["statistics"] == before["statistics"]
    assert after["views"]["before"]["scenes"].keys() == {"a", "b"}
    assert after["views"]["before"]["scenes"]["a"] == before["views"]["before"]["scenes"]["a"]
    grown = Run(run.path)
    predict(grown)
    now = {path.name: path.stat().st_mtime_ns for path in (run.path / "features").glob("*.npy")}
    assert kept.items() <= now.items()  # those of the first scene were not computed again
    assert quality(grown) > 0.95


def test_imagery_in_memory_is_seen_with_the_views(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("rioxarray")
    predict(run)
    with rasterio.open(folder / "a.tif") as dataset:
        pixels = dataset.read()

    def array(x0: float) -> xr.DataArray:
        x = x0 + 10 * (np.arange(SIDE) + 0.5)
        y = ORIGIN[1] - 10 * (np.arange(SIDE) + 0.5)
        coords = {"band": list(NAMES), "y": y, "x": x}
        return xr.DataArray(pixels, dims=("band", "y", "x"), coords=coords).rio.write_crs(
            "EPSG:32631"
        )

    found = predict_array(run, array(ORIGIN[0]))
    own = predictions(run)["a"]
    np.testing.assert_allclose(found["probability"], own["probability"], atol=1e-5)
    assert "the model does without it" not in caplog.text
    away = predict_array(run, array(ORIGIN[0] + 90_000))
    assert np.isfinite(away["probability"]).all()
    assert "view before: 2 bands of 1 scene, shows 0 % of the patches; there the" in caplog.text


def test_a_view_that_changed_or_is_gone_is_named(
    folder: Path, tmp_path: Path, owl: Owl, caplog: pytest.LogCaptureFixture
) -> None:
    view = tmp_path / "view.tif"
    shutil.copy(folder / "plain.tif", view)
    tables = {"before": {"scenes": [{"name": "v", "path": str(view)}]}}
    run = answered(init(tmp_path / "run", settings(folder, views=tables)).run)
    assert predict(run).done == ("a",)
    assert predict(Run(run.path)).skipped == ("a",)
    ids = Run(run.path).scenes.ids
    with rasterio.open(view, "r+") as dataset:
        dataset.write(dataset.read() + 5)
    caplog.clear()
    changed = Run(run.path)
    assert changed.scenes.ids != ids  # the features are made anew
    assert predict(changed).done == ("a",)  # so are the maps
    assert "view 'before' changed since" in caplog.text
    assert "scene 'a' changed" not in caplog.text
    assert "view 'before' has changed since the run was made" in owl("doctor", run.path).out
    view.unlink()
    with pytest.raises(SourceError, match=r"view 'before': .*view\.tif does not exist; put it"):
        _ = Run(run.path).source
    assert owl("query", run.path).err.count("view 'before': ") == 1
    with pytest.raises(SourceError, match=r"view 'before': .*view\.tif does not exist; put it"):
        predict(Run(run.path), on_error="skip", overwrite=True)
    caplog.clear()
    page = Page(report(Run(run.path)))
    assert re.search(r"No pixels can be read: view 'before': .*does not exist; put it", page.text)
    assert "Scene a cannot be read" not in page.text


def test_a_moved_view_is_the_same(folder: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.tif", tmp_path / "new.tif"
    shutil.copy(folder / "plain.tif", old)
    tables = {"before": {"scenes": [{"name": "v", "path": str(old)}]}}
    run = init(tmp_path / "run", settings(folder, views=tables)).run
    os.rename(old, new)  # noqa: PTH104
    toml = run.path / "owl.toml"
    toml.write_text(toml.read_text("utf-8").replace(str(old), str(new)), encoding="utf-8")
    assert len(Run(run.path).source.bands) == 2 + 2 + 2 + 1


def test_settings_of_a_view_in_a_file(folder: Path, tmp_path: Path, owl: Owl) -> None:
    mask = np.zeros((1, SIDE, SIDE), "uint8")
    mask[:, :, : SIDE // 2] = 3
    write_raster(tmp_path / "clouds.tif", mask)
    write_raster(tmp_path / "old.tif", ground(2)[:, :, :SIDE].astype("float32"))
    (tmp_path / "more.toml").write_text(
        '[views.old]\nmask_bad = [3]\nbands = ["2"]\n'
        '[[views.old.scenes]]\nname = "o"\npath = "old.tif"\nmask = "clouds.tif"\n'
    )
    words = ["--scene", folder / "a.tif", "--patch-size", SIZE, "--config", tmp_path / "more.toml"]
    made = owl("init", tmp_path / "run", *words)
    assert "View old: 1 band of 1 scene, shows 50 % of the patches\n" in made.out, made.err
    run = Run(tmp_path / "run")
    assert run.index.statistics.bands == ("red", "nir", "old:band_2", "old:seen")
    place = from_origin(ORIGIN[0] + 9_000, ORIGIN[1], 10, 10)
    far = write_raster(tmp_path / "far.tif", mask, transform=place)
    dry = owl("init", tmp_path / "other", *words, "--view", f"far={far}", "--dry-run")
    assert "view 'far' shows none of the patches" in dry.err
    for view, fault in (
        ("a:b=x.tif", "--views.a:b|'a:b' cannot name a view"),
        ("old", "'old' does not name a view; write NAME=PATH"),
        (f"far={folder / 'gone.tif'}", r"view 'far': .*gone\.tif does not exist"),
    ):
        failed = owl("init", tmp_path / "other", *words, "--view", view)
        assert failed.code == 1
        assert failed.err.count("\n") == 1
        assert pytest.importorskip("re").search(fault, failed.err), failed.err
        assert not (tmp_path / "other").exists()
    made_up = owl("init", tmp_path / "s", "--source", "synthetic", "--view", "a=b.tif")
    assert made_up.code == 2 and "--view goes with --source geotiff" in made_up.err


def test_a_view_can_join_before_anything_is_asked(folder: Path, tmp_path: Path) -> None:
    run = init(tmp_path / "run", settings(folder, views={})).run
    record = json.loads((run.path / "index.json").read_text("utf-8"))
    assert "views" not in record and "origins" not in record["statistics"]
    toml = run.path / "owl.toml"
    plain = toml.read_text("utf-8")
    view = f'[[views.before.scenes]]\nname = "v"\npath = "{folder / "plain.tif"}"\n'
    toml.write_text(plain + view, encoding="utf-8")
    with pytest.raises(RunError, match=r"views changed since the patch"):
        _ = Run(run.path).source
    summary = update(run.path)
    assert [view.name for view in summary.views] == ["before"]
    assert "before:change:nir" in Run(run.path).source.bands
    answered(Run(run.path))
    toml.write_text(plain, encoding="utf-8")
    with pytest.raises(RunError, match="bands cannot change once a batch has been made"):
        update(run.path)


@pytest.mark.parametrize(
    "model", [{"kind": "cnn"}, {"kind": "statistics", "head": "mlp"}], ids=["cnn", "mlp"]
)
def test_networks_see_the_views(model: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    tables = settings(folder, model=model, training={"epochs": 2}, loop={"initial": 8})
    run = answered(init(tmp_path / "run", tables).run)
    query(run)
    learnt = json.loads(next((run.path / "rounds" / "001").glob("*.json")).read_text("utf-8"))
    assert np.isfinite(learnt["metrics"]["train_loss"])


def test_levels_that_are_damaged_are_named(run: Run) -> None:
    path = run.path / "index.json"
    whole = json.loads(path.read_text("utf-8"))
    for damage in ({}, {"before": {**whole["views"]["before"], "fill": [1.0]}}):
        path.write_text(json.dumps({**whole, "views": damage}), encoding="utf-8")
        with pytest.raises(RunError, match=r"index\.json is damaged"):
            _ = Run(run.path).source


def test_scenes_that_are_left_have_their_views(folder: Path, run: Run, tmp_path: Path) -> None:
    b = shutil.copy(folder / "b.tif", tmp_path / "b.tif")
    add(run.path, [str(b)])
    whole = predict(Run(run.path))
    probability = predictions(run)["a"]["probability"].values
    b.unlink()
    assert set(whole.done) == {"a", "b"}
    left = predict(Run(run.path), on_error="skip", overwrite=True)
    assert left.done == ("a",) and list(left.failed) == ["b"]
    np.testing.assert_allclose(predictions(run)["a"]["probability"], probability, atol=1e-6)
