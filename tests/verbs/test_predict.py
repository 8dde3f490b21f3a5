"""Predictions of a whole run: they are what the next batch says, as maps, tables and arrays."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from corners import CNN, answer, answered, table, times, truth
from cubes import cube, write_zarr
from filelock import FileLock
from rasters import write_raster
from rio_cogeo import cog_validate
from searches import label, make

import owl_geo
from owl_geo import OwlError
from owl_geo.search.search import Search
from owl_geo.verbs.predict import predict

# --- what it says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "others"),
    [
        ({}, {}),
        ({"head": "forest"}, {"uncertainty": {"members": "ensemble", "ensemble_size": 2}}),
        ({"head": "mlp"}, {}),
        (CNN, {}),
        (CNN, {"uncertainty": {"members": "ensemble", "ensemble_size": 2}}),
    ],
    ids=["committee", "ensemble of heads", "mlp", "cnn", "ensemble of networks"],
)
def test_it_says_what_the_next_batch_says(model, others, tmp_path) -> None:
    run = answered(tmp_path / "run", rounds=2, model=model, **others)
    summary = predict(run, device="cpu")
    assert (summary.done, summary.skipped, summary.failed) == (("a", "b", "c"), (), {})
    said = table(summary.folder)
    assert sorted(said.index) == sorted(run.patches["patch_id"])
    entry = owl_geo.query(run, device="cpu")
    batch = gpd.read_file(run.batch_path(entry.number)).set_index("patch_id")
    for name in ("probability", "uncertainty"):
        found = said.loc[batch.index, name]
        np.testing.assert_allclose(found, batch[name], rtol=2e-4, atol=1e-6)
    # the round that was written learnt the same, and has no other maps
    before = times(summary.folder)
    again = predict(run, device="cpu")
    assert again.skipped == ("a", "b", "c") and times(summary.folder) == before
    redone = predict(run, device="cpu", out=tmp_path / "restored")  # from the model that was kept
    np.testing.assert_allclose(
        table(redone.folder).loc[said.index, "probability"], said["probability"], atol=1e-6
    )


@pytest.mark.parametrize("stride", [8, 4, 12])
def test_maps_and_table_agree(stride, tmp_path) -> None:
    run = answered(tmp_path / "run", source={"stride": stride})
    folder = predict(run).folder
    said = table(folder)
    for scene in ("a", "b", "c"):
        of_probability = folder / "probability" / f"{scene}.tif"
        of_class = folder / "class" / f"{scene}.tif"
        assert cog_validate(of_probability, strict=True) == (True, [], [])
        assert cog_validate(of_class, strict=True) == (True, [], [])
        with rasterio.open(of_probability) as dataset, rasterio.open(of_class) as best:
            assert dataset.crs.to_epsg() == (32632 if scene == "c" else 32631)
            probability, doubt = dataset.read()
            numbers = best.read(1)
            edge = round(dataset.transform.a / 10)
        rows = run.patches[run.patches["scene"] == scene].set_index("patch_id")
        counted = np.zeros_like(probability)
        sums = np.zeros((2, *probability.shape))
        for patch, row in rows.iterrows():
            span = 8 // edge
            first = row["row_off"] // edge, row["col_off"] // edge
            place = tuple(slice(start, start + span) for start in first)
            counted[place] += 1
            sums[0][place] += said.loc[patch, "probability"]
            sums[1][place] += said.loc[patch, "uncertainty"]
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(probability, sums[0] / counted, rtol=1e-5)
            np.testing.assert_allclose(doubt, sums[1] / counted, rtol=1e-5)
        assert np.array_equal(numbers == 255, counted == 0)
        assert np.array_equal(numbers[counted > 0] == 1, probability[counted > 0] > 0.5)
    if stride == 8:
        assert (said["class"] == np.where(said["probability"] > 0.5, "present", "absent")).all()


def test_the_corner_is_found_and_the_best_are_listed(tmp_path) -> None:
    run = answered(
        tmp_path / "run",
        rounds=2,
        layers={},
        concepts={"elevation": {"kind": "raster", "path": str(dem(tmp_path)), "reduce": "mean"}},
    )
    summary = predict(run, top=20)
    best = gpd.read_file(summary.patches, layer="predictions")
    assert list(best)[:6] == ["patch_id", "rank", "probability", "uncertainty", "class", "label"]
    assert list(best)[6:] == ["elevation", "scene", "scene_crs", "geometry"]
    assert best["rank"].tolist() == list(range(1, 21))
    said = table(summary.folder)["probability"]
    assert best["probability"].tolist() == pytest.approx(sorted(said, reverse=True)[:20])
    assert {truth(patch) for patch in best["patch_id"]} == {"present"}
    known = run.labels.current().set_index("patch_id")["label"]
    expected = known.reindex(best["patch_id"])
    assert best["label"].isna().tolist() == expected.isna().tolist()
    assert best["label"].notna().any() and best["label"].dropna().eq("present").all()
    places = run.footprints(best["patch_id"].tolist()).reset_index(drop=True)
    assert best.crs == run.crs
    assert best.geometry.geom_equals_exact(places, 1e-9).all()
    assert dict(zip(best["scene"], best["scene_crs"], strict=True)).get("c", "EPSG:32632") == (
        "EPSG:32632"
    )
    # another number of patches needs no scene to be done again
    before = times(summary.folder / "probability")
    assert predict(run, top=5).skipped == ("a", "b", "c")
    assert len(gpd.read_file(summary.patches)) == 5
    assert len(run.patches) == 432
    predict(run)
    assert len(gpd.read_file(summary.patches)) == 43  # a tenth, unless a number is given
    assert {
        name: time for name, time in times(summary.folder / "probability").items() if ".tif" in name
    } == {name: time for name, time in before.items() if ".tif" in name}


def dem(folder: Path) -> Path:
    values = np.full((1, 400, 400), 7, np.float32)
    return write_raster(folder / "dem.tif", values, pixel=10)


def test_generated_patches_can_be_mapped(tmp_path) -> None:
    run = make(tmp_path / "run", oracle={})
    owl_geo.run(run)  # the last round is a fit on all answers
    folder = predict(str(run.path)).folder
    with rasterio.open(folder / "probability.vrt") as dataset:
        values = dataset.read(1)
    said = table(folder).loc[run.patches["patch_id"], "probability"].to_numpy()
    assert np.array_equal(values.ravel()[: len(said)], said)
    assert np.isnan(values.ravel()[len(said) :]).all()


def test_a_cube_can_be_mapped(tmp_path) -> None:
    values = np.random.default_rng(0).random((2, 96, 96)).astype(np.float32)
    values[:, :48, :48] += 2
    path = write_zarr(tmp_path / "s.zarr", cube(values, south_up=True))
    source = {"kind": "cube", "path": str(path), "patch_size": 8}
    run = owl_geo.init(tmp_path / "run", {"source": source, "loop": {"initial": 12}}).run
    answer(run)
    folder = predict(run, device="cpu").folder
    with rasterio.open(folder / "probability" / "s.tif") as dataset:
        assert dataset.transform.e == 80  # south up, as the cube is
        own = dataset.read(1)
    with rasterio.open(folder / "probability.vrt") as dataset:
        assert dataset.transform.e < 0
        found = dataset.read(1)
    rows = found.shape[0] // own.shape[0]
    assert np.array_equal(found[::rows, ::rows][::-1], own)
    assert own[:6, :6].mean() > own[6:, 6:].mean()


def test_arrays_for_notebooks(tmp_path) -> None:
    import rioxarray  # noqa: F401 - adds .rio

    run = answered(tmp_path / "run")
    with pytest.raises(OwlError, match="make them with `owl-geo predict"):
        owl_geo.predictions(run)
    folder = owl_geo.predict(run.path).folder
    maps = owl_geo.predictions(run.path)
    assert list(maps) == ["a", "b", "c"]
    assert maps["c"].attrs == {
        "scene": "c",
        "classes": ["absent", "present"],
        "positive": "present",
    }
    for scene, dataset in maps.items():
        with rasterio.open(folder / "probability" / f"{scene}.tif") as file:
            assert dataset["probability"].rio.crs == file.crs
            assert dataset["uncertainty"].rio.transform().almost_equals(file.transform)
            assert np.array_equal(dataset["probability"], file.read(1))
    saved = tmp_path / "copy.tif"
    maps["c"]["class"].rio.to_raster(saved)
    with rasterio.open(saved) as file:
        assert (file.nodata, file.crs.to_epsg()) == (255, 32632)


# --- what is refused ------------------------------------------------------------------------------


def test_without_answers_there_is_nothing_to_say(tmp_path) -> None:
    run = make(tmp_path / "run")
    for _ in range(2):
        with pytest.raises(OwlError, match="no answer to learn from yet; label a batch"):
            predict(run)
        owl_geo.query(run)
    entry = run.rounds()[0]
    label(run.batch_path(0), dict.fromkeys(entry.patch_ids, "unsure"))
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    with pytest.raises(OwlError, match="no answer to learn from"):
        predict(run)
    assert not (run.path / "predictions").exists()


def test_answers_of_one_class_are_warned_of(tmp_path, caplog) -> None:
    run = make(tmp_path / "run")
    entry = owl_geo.query(run)
    label(run.batch_path(0), dict.fromkeys(entry.patch_ids, "absent"))
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    said = table(predict(run).folder)
    assert "every answer so far is absent" in caplog.text
    assert said["probability"].nunique() == 1


def test_two_at_once_do_not_meet_and_labelling_goes_on(tmp_path) -> None:
    run = answered(tmp_path / "run")
    folder = predict(run).folder
    with FileLock(folder / ".lock"):
        with pytest.raises(OwlError, match="another owl-geo is writing predictions into"):
            predict(run)
        answer(run)
    with run.locked():
        assert predict(run).done == ("a", "b", "c")


def test_what_is_no_scene_or_no_number(tmp_path) -> None:
    run = answered(tmp_path / "run")
    with pytest.raises(OwlError, match="scene 'd'"):
        predict(run, scenes=["d"])
    with pytest.raises(OwlError, match="--top is 0"):
        predict(run, top=0)
    (tmp_path / "file").touch()
    with pytest.raises(OwlError, match="cannot write"):
        predict(run, out=tmp_path / "file")


def test_a_run_that_goes_while_it_predicts_is_not_made_again(tmp_path, monkeypatch) -> None:
    run = answered(tmp_path / "run").path
    plain = Search.members

    def goes(self, *arguments):
        run.rename(tmp_path / "away")
        return plain(self, *arguments)

    monkeypatch.setattr(Search, "members", goes)
    with pytest.raises(OwlError, match="is gone: it was moved or deleted"):
        predict(run)
    assert not run.exists()
