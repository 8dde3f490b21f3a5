"""The grid of a run as a layer: every patch with its concepts, answers and predictions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasters
import searches
import shapely

from owl_geo import Run, ingest, init, patches, predict, query
from owl_geo.cli import _run as owl
from owl_geo.errors import RunError
from owl_geo.maps import grid
from owl_geo.run_folder.records import Round

ANSWERS = ["present", "absent", "unsure", "present", "absent"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Round]:
    """A run whose first batch has answers of two annotators, and whose second has none."""
    run = searches.make(tmp_path_factory.mktemp("patches") / "run")
    entry = query(run)
    path = run.batch_path(0)
    searches.label(path, dict(zip(entry.patch_ids, ANSWERS, strict=False)), annotator="ben")
    ingest(run, [path], annotator="x")
    searches.label(path, {entry.patch_ids[0]: "present"}, annotator="ana")
    ingest(run, [path], annotator="x")
    query(run)
    predict(run, out=run.path / "elsewhere", top=3)
    return run, entry


def read(path: Path) -> gpd.GeoDataFrame:
    if path.suffix == ".parquet":
        return gpd.read_parquet(path).set_index("patch_id")
    layer = "patches" if path.suffix.lower() == ".gpkg" else None
    return gpd.read_file(path, layer=layer).set_index("patch_id")


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    done = patches(run, tmp_path / "a.gpkg")
    assert (done.patches, done.labelled, done.has_model) == (len(run.patches), 0, False)
    layer = read(done.path)
    assert layer.index.tolist() == run.patches["patch_id"].tolist()
    empty = ["label", "annotators", "round", "probability", "uncertainty"]
    assert layer[empty].isna().all(axis=None)
    assert layer.crs == run.crs
    assert layer.geometry.tolist() == run.footprints(layer.index.tolist()).tolist()
    for name in run.settings.concepts:
        assert layer[name].tolist() == run.patches[name].tolist()


def test_answers_and_predictions_of_a_search(searched: tuple[Run, Round], tmp_path: Path) -> None:
    run, entry = searched
    done = patches(run.path, tmp_path / "a.gpkg")
    assert (done.labelled, done.has_model) == (5, True)
    layer = read(done.path)
    first = list(entry.patch_ids)
    assert layer.loc[first[:5], "label"].tolist() == ANSWERS
    assert layer.loc[first[:2], "annotators"].tolist() == ["ana, ben", "ben"]
    asked = {patch: r.number for r in run.rounds() for patch in r.patch_ids}
    assert layer["round"].dropna().astype(int).to_dict() == asked
    assert layer["label"].notna().sum() == layer["annotators"].notna().sum() == 5
    (table,) = (run.path / "elsewhere/patches").glob("*.parquet")
    predicted = pd.read_parquet(table).set_index("patch_id").loc[layer.index]
    for name in ("probability", "uncertainty"):
        assert np.array_equal(layer[name].to_numpy(np.float32), predicted[name].to_numpy())


def test_predictions_that_are_up_to_date_are_not_made_again(
    searched: tuple[Run, Round], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(searched[0].path)
    patches(run, tmp_path / "a.parquet")
    predict(run, top=3)
    monkeypatch.setattr(Run, "search", lambda *_: pytest.fail("pixels are read"))
    patches(run, tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "a.parquet"), read(tmp_path / "b.parquet"))


@pytest.mark.parametrize("suffix", ["geojson", "fgb", "parquet", "csv", "GPKG"])
def test_every_format_says_the_same(
    searched: tuple[Run, Round], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    run, _ = searched
    whole, path = tmp_path / "a.gpkg", tmp_path / f"b.{suffix}"
    patches(run, whole, model=False)
    monkeypatch.setattr(grid, "_ROWS", 7)  # part by part
    patches(run, path, model=False)
    if suffix == "csv":
        table = pd.read_csv(path).set_index("patch_id")
        layer = gpd.GeoDataFrame(table, geometry=shapely.from_wkt(table["WKT"]), crs=4326)
    else:
        layer = read(path)
    expected = read(whole)
    assert set(layer.index) == set(expected.index)  # FlatGeobuf has an order of its own
    layer = layer.loc[expected.index]
    for name in expected.columns.drop("geometry"):
        same = layer[name].isna() & expected[name].isna() | (layer[name] == expected[name])
        if name == "dist_industrial":
            same = np.isclose(layer[name], expected[name])
        assert same.all(), name
    assert layer.crs == (run.crs if suffix not in ("geojson", "csv") else "EPSG:4326")
    apart = layer.to_crs(run.crs).centroid.distance(expected.centroid)
    assert apart.max() < 1e-3


def test_it_opens_coloured_by_label(searched: tuple[Run, Round], tmp_path: Path) -> None:
    path = patches(searched[0], tmp_path / "a.gpkg", model=False).path
    with closing(sqlite3.connect(path)) as connection:
        query_ = "SELECT f_table_name, useAsDefault, styleQML FROM layer_styles"
        ((layer, is_default, style),) = connection.execute(query_).fetchall()
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert (layer, is_default) == ("patches", 1)
    assert 'attr="label"' in style and "Probability of present" in style
    assert ("rtree_patches_geom",) in tables


def test_no_file_is_written_over_unasked(searched: tuple[Run, Round], tmp_path: Path) -> None:
    run, _ = searched
    path = tmp_path / "a.gpkg"
    path.write_text("mine")
    command = ["patches", str(run.path), str(path), "--no-model"]
    assert owl(command) == 1
    with pytest.raises(RunError, match="exists; choose another name, or use --overwrite"):
        patches(run, path)
    assert path.read_text() == "mine"
    assert owl([*command, "--overwrite"]) == 0
    assert len(read(path)) == len(run.patches)
    with pytest.raises(RunError, match="is a folder; name a file"):
        (tmp_path / "b.gpkg").mkdir()
        patches(run, tmp_path / "b.gpkg")
    with pytest.raises(RunError, match=r"not a format for patches; let the name end in \.gpkg, "):
        patches(run, tmp_path / "a.shp")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RunError("no pixels")])
@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "parquet"])
def test_nothing_half_written_stays(
    searched: tuple[Run, Round],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    fault: Any,
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("mine")
    monkeypatch.setattr(grid, "_ROWS", 7)
    batches = grid._batches

    def stopped(*arguments: Any) -> Iterator[Any]:
        made = batches(*arguments)
        yield from (next(made) for _ in range(3))
        raise fault

    monkeypatch.setattr(grid, "_batches", stopped)
    with pytest.raises(fault if isinstance(fault, type) else type(fault)):
        patches(searched[0], path, model=False, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "mine"


def test_scenes_of_two_zones_and_held_out_patches(tmp_path: Path) -> None:
    values = rasters.coordinates(32, 32) + 1
    rasters.write_raster(tmp_path / "a.tif", values)
    rasters.write_raster(tmp_path / "b.tif", values, crs="EPSG:32633")
    scenes = [{"name": n, "path": str(tmp_path / f"{n}.tif")} for n in "ab"]
    truth = gpd.GeoDataFrame(geometry=[shapely.box(500000, 0, 500080, 9e6)], crs="EPSG:32633")
    truth.to_file(tmp_path / "truth.gpkg")
    tables = {
        "source": {"kind": "geotiff", "scenes": scenes, "patch_size": 8},
        "oracle": {"path": str(tmp_path / "truth.gpkg")},
        "concepts": {"held_out": {"kind": "raster", "path": str(tmp_path / "a.tif")}},
        "evaluation": {"split": "random"},
    }
    run = init(tmp_path / "run", tables).run
    layer = read(patches(run, tmp_path / "p.gpkg").path)
    assert layer.crs == "EPSG:4326"
    assert run.truth is not None
    assert layer["held_out"].tolist() == run.truth["held_out"].tolist()
    assert 0 < layer["held_out"].sum() < len(layer)
    assert layer["held_out_"].tolist() == run.patches["held_out"].tolist()
    assert layer["scene_crs"].tolist() == [rasters.UTM] * 16 + ["EPSG:32633"] * 16
    corner = layer.to_crs("EPSG:32633").loc["b/0/0"].geometry.bounds
    assert corner[:2] == pytest.approx((rasters.ORIGIN[0], rasters.ORIGIN[1] - 80), abs=1e-3)
