"""Predictions made again: what is finished stays, and a scene that cannot be read is left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from corners import CNN, answer, answered, pixels, table, times, truth
from rasters import write_raster
from searches import label

import owl_geo
from owl_geo import OwlError, Run
from owl_geo.maps.outputs import outputs
from owl_geo.verbs.predict import predict, predictions
from owl_geo.work.cluster import opened

# --- resuming -------------------------------------------------------------------------------------


def test_finished_scenes_are_left_alone_until_answers_are_new(tmp_path) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run, scenes=["b"]).folder
    assert predictions(run).keys() == {"b"}
    first = times(folder)
    summary = predict(run)
    assert (summary.done, summary.skipped) == (("a", "c"), ("b",))
    assert predictions(run).keys() == {"a", "b", "c"}
    now = times(folder)
    assert {name for name, time in first.items() if now[name] == time} >= {
        "probability/b.tif",
        "class/b.tif",
        "patches/b.parquet",
    }
    assert predict(run).skipped == ("a", "b", "c") and times(folder) == now
    assert predict(run, overwrite=True).done == ("a", "b", "c")
    before = pixels(folder)
    answer(run)
    # of another number of answers: the mosaic must not mix them
    assert predict(run, scenes=["a"]).done == ("a",)
    with rasterio.open(folder / "probability.vrt") as dataset:
        assert dataset.crs.to_epsg() == 32631 and dataset.height == 12
    assert predict(run).skipped == ("a",)
    after = pixels(folder)
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before if name.startswith("probability/"))


@pytest.mark.parametrize(
    "file", ["areas.gpkg", "patches.gpkg", "probability/c.tif", "patches/c.parquet"]
)
def test_nothing_is_replaced_where_windows_keeps_a_file_that_is_open(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run).folder
    answer(run)
    before = times(folder)
    change = Path.rename

    def rename(path: Path, to: Path) -> Path:
        if folder / file in (path, to):
            error = PermissionError(13, "in use by another process", str(path))
            error.winerror = 32  # type: ignore[attr-defined]
            raise error
        return change(path, to)

    with monkeypatch.context() as windows:
        windows.setattr(Path, "rename", rename)
        with pytest.raises(OwlError) as raised:
            predict(run)
    assert str(raised.value) == (
        f"cannot write {folder / file}: in use by another process (nothing there was changed); "
        "close it where it is open, for example in QGIS, and run the command again"
    )
    assert times(folder) == before
    assert predict(run).done


def test_settings_that_matter_make_it_anew(tmp_path) -> None:
    run = answered(tmp_path / "run")
    predict(run)
    settings = run.path / "owl.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("batch_size = 6", "batch_size = 9"), encoding="utf-8")
    assert predict(Run(run.path)).skipped == ("a", "b", "c")
    settings.write_text(text.replace('measure = "entropy"', 'measure = "margin"'), encoding="utf-8")
    assert predict(Run(run.path)).done == ("a", "b", "c")
    assert table(run.path / "predictions")["uncertainty"].max() <= 1


class Cut(BaseException):
    """Stands for whatever ends a process."""


def cut_short(output: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """End whatever writes an output before it does."""

    def cut(*_: object) -> None:
        raise Cut

    monkeypatch.setattr(type(outputs()[output]), method, cut)


def test_maps_of_another_model_that_were_cut_short_are_no_longer_up_to_date(tmp_path) -> None:
    """They were: half of a scene's files were of the other model, and so were the hectares."""
    run = answered(tmp_path / "run")
    made = predict(run)
    before = pixels(made.folder)
    settings = run.path / "owl.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('measure = "entropy"', 'measure = "margin"'), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        cut_short("class", "write_scene", patch)
        predict(Run(run.path))
    assert predictions(run).keys() == {"b", "c"}
    settings.write_text(text, encoding="utf-8")
    again = predict(Run(run.path))
    assert (again.done, again.skipped) == (("a",), ("b", "c"))
    assert pixels(again.folder) == before
    assert again.area == made.area


def test_a_layer_of_another_threshold_that_was_cut_short_is_made_again(tmp_path) -> None:
    run = answered(tmp_path / "run")
    made = predict(run, top=20)
    assert len(gpd.read_file(made.patches)) == 20
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        cut_short("areas", "write_whole", patch)
        predict(run, top=30)
    assert len(gpd.read_file(made.patches)) == 30
    assert len(gpd.read_file(predict(run, top=20).patches)) == 20


KILLED = """
import os, signal, sys
from owl_geo.verbs.predict import predict
def progress(done, total):
    if done > 200:  # of 432: the second scene is being read
        os.kill(os.getpid(), signal.SIGKILL)
reports = {"Predicting": progress}
predict(sys.argv[1], device="cpu", report=reports.get)
"""


def test_killed_between_scenes_it_goes_on_to_the_same(tmp_path) -> None:
    run = answered(tmp_path / "run", model=CNN)
    predict(run, device="cpu", out=tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(run.path)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    folder = run.path / "predictions"
    record = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    assert list(record["scenes"]) == ["a"]
    (folder / "class" / ".scratch-of-the-killed").mkdir(parents=True)
    (folder / "..patches.partial-of-another").mkdir()
    summary = predict(run, device="cpu")
    assert (summary.done, summary.skipped) == (("b", "c"), ("a",))
    assert pixels(folder) == pixels(tmp_path / "whole")
    left_over = [path for path in folder.rglob(".*") if path.name != ".lock"]
    assert left_over == []


@pytest.mark.parametrize("damage", ["{", "[]", '{"scenes": {"a": 3}, "whole": ""}', None])
def test_a_damaged_record_or_a_lost_file_is_made_again(damage: str | None, tmp_path) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run).folder
    before = pixels(folder)
    if damage is None:
        (folder / "class" / "b.tif").unlink()
    else:
        (folder / "predictions.json").write_text(damage)
    assert predict(run).done == (("b",) if damage is None else ("a", "b", "c"))
    assert pixels(folder) == before


def test_a_record_does_not_lead_out_of_its_folder(tmp_path) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run).folder
    victim = write_raster(tmp_path / "victim.tif", np.zeros((1, 4, 4), np.uint8))
    record = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    foreign = {"file": "../../../victim", "made_from": "x"}
    record["scenes"]["no scene of this run"] = foreign
    (folder / "predictions.json").write_text(json.dumps(record), encoding="utf-8")
    predict(run)
    assert victim.exists()


def test_maps_of_a_scene_that_the_run_has_no_more_go(tmp_path) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run).folder
    record = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    record["scenes"]["gone"] = {"file": "gone", "made_from": "x"}
    (folder / "predictions.json").write_text(json.dumps(record), encoding="utf-8")
    for kind in ("probability", "class"):
        (folder / kind / "gone.tif").touch()
    assert predict(run).skipped == ("a", "b", "c")
    assert not list(folder.glob("*/gone*")) and "gone" not in predictions(run)


# --- scenes that cannot be read -------------------------------------------------------------------


def spoil(run: Run, scene: str, how: str) -> None:
    """Take away a scene, or the end of its file: the header still opens."""
    settings = run.settings.source
    assert settings.kind == "geotiff"
    (path,) = (Path(str(one.path)) for one in settings.scenes if one.name == scene)
    if how == "gone":
        path.unlink()
    elif how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        values = np.zeros((2, 96, 104), np.float32)
        write_raster(path, values)


@pytest.fixture
def partly_answered(tmp_path: Path) -> tuple[Run, str]:
    """A network's run in which one scene was never answered; and that scene."""
    run = answered(tmp_path / "run", rounds=0, model=CNN, acquisition={"start": "random"})
    entry = owl_geo.query(run, device="cpu")
    batch = run.batch_path(entry.number)
    label(batch, {p: truth(p) for p in entry.patch_ids if not p.startswith("b/")})
    owl_geo.ingest(run, [batch], annotator="ana")
    return run, "b"


@pytest.mark.parametrize("how", ["gone", "cut", "replaced"])
def test_a_scene_that_cannot_be_read_is_skipped_or_fails(how, partly_answered, tmp_path) -> None:
    run, broken = partly_answered
    whole = predict(run, device="cpu", out=tmp_path / "whole").folder
    spoil(run, broken, how)
    run = Run(run.path)
    with pytest.raises(OwlError) as raised:
        predict(run, device="cpu")
    assert "\n" not in str(raised.value)
    done = predictions(run).keys() if how == "cut" else set()
    assert done == ({"a"} if how == "cut" else set())  # those before it stay
    summary = predict(Run(run.path), device="cpu", on_error="skip")
    assert set(summary.failed) == {broken}
    assert {"gone": "does not exist", "cut": "cannot read", "replaced": "not what it was"}[how] in (
        summary.failed[broken]
    )
    assert summary.skipped == (("a",) if how == "cut" else ())
    good = {"a", "c"}
    assert predictions(run).keys() == good
    for scene in good:
        for kind in ("probability", "class"):
            name = f"{kind}/{scene}.tif"
            with rasterio.open(whole / name) as one, rasterio.open(summary.folder / name) as other:
                np.testing.assert_allclose(one.read(), other.read(), atol=1e-6)
    assert set(gpd.read_file(summary.patches)["scene"]) == good
    text = summary.mosaic.read_text(encoding="utf-8")
    assert "b.vrt" not in text and "a.vrt" in text


def test_a_cluster_writes_the_same_without_a_scene_that_is_gone(partly_answered, tmp_path) -> None:
    pytest.importorskip("distributed")
    run, broken = partly_answered
    spoil(run, broken, "gone")
    threads, cluster = tmp_path / "threads", tmp_path / "cluster"
    predict(Run(run.path), device="cpu", on_error="skip", out=threads)
    with opened("local") as workers:
        predict(Run(run.path), device="cpu", on_error="skip", out=cluster, workers=workers)
    assert pixels(cluster) == pixels(threads) != {}


def test_an_old_map_of_a_scene_that_fails_is_no_more(partly_answered) -> None:
    run, broken = partly_answered
    folder = predict(run, device="cpu").folder
    spoil(run, broken, "cut")
    summary = predict(Run(run.path), device="cpu", on_error="skip", overwrite=True)
    assert summary.failed.keys() == {broken} and summary.done == ("a", "c")
    assert not list(folder.glob(f"*/{broken}.*"))


def test_what_was_cut_short_of_a_scene_that_fails_now_goes(partly_answered) -> None:
    run, _ = partly_answered
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        cut_short("class", "write_scene", patch)
        predict(run, scenes=["b"])
    folder = run.path / "predictions"
    assert (folder / "probability/b.tif").exists()
    spoil(run, "b", "gone")
    assert predict(Run(run.path), on_error="skip").failed.keys() == {"b"}
    assert not (folder / "probability/b.tif").exists()


def test_a_model_cannot_learn_from_a_scene_that_is_gone(tmp_path) -> None:
    run = answered(tmp_path / "run", model=CNN)
    first = run.labels.current()["patch_id"].iloc[0]
    spoil(run, first.split("/")[0], "gone")
    with pytest.raises(OwlError, match="model cannot be learnt: "):
        predict(Run(run.path), device="cpu", on_error="skip")


def test_features_that_are_kept_need_no_scene(tmp_path) -> None:
    """Unless its file looks like another one, by size or time."""
    run = answered(tmp_path / "run", rounds=2)
    folder = predict(run).folder
    before = pixels(folder)
    path = next(Path(str(one.path)) for one in run.settings.source.scenes if one.name == "b")
    raw, state = path.read_bytes(), path.stat()
    half = len(raw) // 2
    path.write_bytes(raw[:half] + raw[half - 4096 : -4096])  # other pixels, unnoticed
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert predict(Run(run.path), overwrite=True).done == ("a", "b", "c")
    assert pixels(folder) == before
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    predict(Run(run.path), overwrite=True)
    assert pixels(folder)["probability/b.tif"] != before["probability/b.tif"]


def test_answers_in_a_scene_that_is_gone_still_teach(tmp_path) -> None:
    run = answered(tmp_path / "run", rounds=2)
    before = pixels(predict(run).folder)
    path = next(Path(str(one.path)) for one in run.settings.source.scenes if one.name == "b")
    assert run.labels.current()["patch_id"].str.startswith("b/").any()
    path.unlink()
    made = predict(Run(run.path), on_error="skip", overwrite=True)
    assert made.done == ("a", "c")
    assert list(made.failed) == ["b"]
    after = pixels(made.folder)
    assert {name: after[name] for name in before if "b." not in name and "/" in name} == {
        name: before[name] for name in before if "b." not in name and "/" in name
    }


# --- the command ----------------------------------------------------------------------------------


def owl(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "owl_geo", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(partly_answered) -> None:
    run, broken = partly_answered
    spoil(run, broken, "cut")
    failed = owl("predict", run.path, "--device", "cpu")
    assert (failed.returncode, failed.stdout) == (1, "")
    # where it takes long, progress stands between
    changed, line = (t for t in failed.stderr.splitlines() if t.startswith(("warning:", "error:")))
    assert changed.startswith(f"warning: scene '{broken}' changed since")
    assert line.startswith(f"error: scene '{broken}': cannot read")
    done = owl("predict", run.path, "--on-error", "skip", "--device", "cpu")
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"warning: failed: scene '{broken}': cannot read")
    folder = run.path / "predictions"
    counts, area, *paths = done.stdout.splitlines()
    assert counts == "1 done, 1 skipped (up to date), 1 failed"
    assert area.startswith("present: ") and " ha in " in area
    assert paths == [
        str(folder / "probability.vrt"),
        str(folder / "patches.gpkg"),
        str(folder / "areas.gpkg"),
    ]
    quiet = owl("predict", run.path, "--scene", "a", "--scene", "c", "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout.splitlines() == paths
