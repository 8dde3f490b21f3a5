"""A search that starts from what is known: places given to init, or answers before a batch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasters
import searches
import shapely

import owl_geo
from owl_geo import Run, import_answers, ingest, init, query
from owl_geo.cli import _run as owl
from owl_geo.errors import ConfigError, LayerError, RunError

ROWS, SIZE, EDGE = 12, 8, 80.0  # patches a side, pixels, metres
RARE = {(1, 2), (2, 9), (4, 4), (6, 1), (6, 10), (8, 7), (9, 3), (10, 10), (11, 0), (3, 6), (5, 8)}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 12 x 12 patches: three kinds of ground, and a rare one."""
    rng = np.random.default_rng(0)
    row, col = np.mgrid[:ROWS, :ROWS]
    kind = (row // 4 + col // 4) % 3
    kind[tuple(np.array(sorted(RARE)).T)] = 3
    levels = np.array([[300, 900, 500], [900, 400, 500], [500, 500, 900], [800, 800, 200]])
    values = levels[kind].transpose(2, 0, 1).repeat(SIZE, axis=1).repeat(SIZE, axis=2)
    noisy = (values + rng.normal(0, 60, values.shape)).clip(1).astype("uint16")
    return rasters.write_raster(tmp_path_factory.mktemp("scene") / "s.tif", noisy)


def tables(scene: Path, **more: Any) -> Mapping[str, Any]:
    scenes = [{"name": "s", "path": str(scene)}]
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE}
    return {"source": source, "loop": {"initial": 10, "batch_size": 5, "rounds": 4}, **more}


def sites(path: Path, *places: tuple[int, int]) -> Path:
    x, y = rasters.ORIGIN
    points = [shapely.Point(x + EDGE * (c + 0.5), y - EDGE * (r + 0.5)) for r, c in places]
    gpd.GeoDataFrame(geometry=points, crs=rasters.UTM).to_crs(4326).to_file(path)
    return path


def name(row: int, col: int) -> str:
    return f"s/{row * SIZE}/{col * SIZE}"


def is_rare(patch: str) -> bool:
    _, row, col = patch.split("/")
    return (int(row) // SIZE, int(col) // SIZE) in RARE


def n_rare(patches: tuple[str, ...]) -> int:
    return sum(map(is_rare, patches))


def answer(run: Run, labels: Mapping[str, str], path: Path) -> None:
    path.write_text("patch_id,label\n" + "".join(f"{p},{w}\n" for p, w in labels.items()))
    import_answers(run, path, annotator="ana")


def test_the_first_batch_is_like_the_examples(tmp_path: Path, scene: Path) -> None:
    plain = init(tmp_path / "plain", tables(scene)).run
    typical = query(plain)
    assert n_rare(typical.patch_ids) <= 2
    places = sites(tmp_path / "known.gpkg", (4, 4), (9, 3))
    made = init(tmp_path / "run", tables(scene), examples=places, annotator="ben")
    assert made.examples == ("2 of 2 sites lie in 2 patches",)
    history = made.run.labels.history()
    assert history["patch_id"].tolist() == [name(4, 4), name(9, 3)]
    assert set(history["label"]) == {"present"} and set(history["annotator"]) == {"ben"}
    assert set(history["batch_id"]) == {"examples"}
    assert set(history["comment"]) == {"by location: known.gpkg"}
    first = query(made.run)
    # seven of ten are chosen for it: one is drawn at random, two are typical
    assert n_rare(first.patch_ids) >= 6
    assert first.metrics.n_labeled == first.metrics.positives_found == 2
    batch = gpd.read_file(made.run.batch_path(0), layer="batch")
    assert batch["probability"].isna().all()
    # sites that are imported before the first batch do the same
    init(tmp_path / "late", tables(scene))
    import_answers(tmp_path / "late", places, annotator="ben")
    assert query(tmp_path / "late").patch_ids == first.patch_ids


def test_with_two_classes_the_model_chooses_the_first_batch(tmp_path: Path, scene: Path) -> None:
    run = init(tmp_path / "run", tables(scene)).run
    rare = dict.fromkeys([name(*place) for place in sorted(RARE)[:4]], "present")
    others = dict.fromkeys([name(r, r) for r in (0, 3, 5, 7, 8)], "absent")
    answer(run, rare | others, tmp_path / "a.csv")
    maps = owl_geo.predict(run.path).folder  # before any batch
    first = query(run)
    assert len(first.patch_ids) == 10
    batch = gpd.read_file(run.batch_path(0), layer="batch").set_index("patch_id")
    assert batch["probability"].between(0, 1).all() and batch["uncertainty"].notna().all()
    assert not set(first.patch_ids) & (set(rare) | set(others))
    # the usual strategy: at least four places for the probable, of which seven are left
    assert n_rare(first.patch_ids) >= 4
    assert np.isfinite(first.metrics.train_loss)
    # what is asked agrees with the maps
    predicted = gpd.read_file(maps / "patches.gpkg", layer="predictions").set_index("patch_id")
    both = predicted.index.intersection(batch.index)
    assert len(both) >= 4
    np.testing.assert_allclose(
        predicted.loc[both, "probability"], batch.loc[both, "probability"], atol=1e-6
    )


def test_absence_alone_says_nothing_of_targets(tmp_path: Path, scene: Path) -> None:
    run = init(tmp_path / "run", tables(scene)).run
    answer(run, {name(0, 0): "absent"}, tmp_path / "a.csv")
    first = query(run)
    assert len(first.patch_ids) == 10 and name(0, 0) not in first.patch_ids
    assert gpd.read_file(run.batch_path(0), layer="batch")["probability"].isna().all()


def test_examples_that_come_after_an_unanswered_batch(tmp_path: Path, scene: Path) -> None:
    run = init(tmp_path / "run", tables(scene)).run
    query(run)
    import_answers(run, sites(tmp_path / "k.gpkg", (4, 4), (9, 3)), annotator="ben")
    second = query(Run(run.path), go_on=True)
    assert second.number == 1 and len(second.patch_ids) == 5
    assert n_rare(second.patch_ids) >= 3
    plain = init(tmp_path / "random", tables(scene, acquisition={"strategy": "random"})).run
    query(plain)
    import_answers(plain, tmp_path / "k.gpkg", annotator="ben")
    drawn = query(Run(plain.path), go_on=True)
    assert set(drawn.audit) == set(drawn.patch_ids)  # a random strategy stays one


def test_a_search_from_examples_is_the_same_however_often_it_stops(
    tmp_path: Path, scene: Path
) -> None:
    places = sites(tmp_path / "known.gpkg", (4, 4))
    init(tmp_path / "a", tables(scene), examples=places)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / "a", tmp_path / "b"):
        run = Run(path)
        for _ in range(2):
            entry = query(run if path.name == "a" else Run(path))
            words = {p: "present" if is_rare(p) else "absent" for p in entry.patch_ids}
            searches.label(run.batch_path(entry.number), words)
            ingest(run, [run.batch_path(entry.number)], annotator="ana")
    searches.assert_same_story(tmp_path / "a", tmp_path / "b")
    assert Run(tmp_path / "a").rounds()[1].metrics.positives_found > 3


def test_on_the_command_line(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = sites(tmp_path / "known.gpkg", (4, 4), (40, 3))
    command = ["init", str(tmp_path / "run"), "--scene", str(scene), "--patch-size", "8"]
    command += ["--examples", f"{places}|layername=known"]
    assert owl([*command, "--dry-run"]) == 0
    assert f"Examples: {places}" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert owl(command) == 0
    out = capsys.readouterr().out
    assert "Examples:\n  1 of 2 sites lies in 1 patch\n  1 site outside the pool" in out
    # what a file holds is not lost with the run, but an answer given since would be
    assert owl([*command, "--overwrite"]) == 0
    answer(Run(tmp_path / "run"), {name(0, 0): "absent"}, tmp_path / "a.csv")
    assert owl([*command, "--overwrite"]) == 1
    assert "holds 1 answer by people" in capsys.readouterr().err


def test_mistakes_leave_nothing_behind(tmp_path: Path, scene: Path) -> None:
    far = sites(tmp_path / "far.gpkg", (90, 90))
    with pytest.raises(LayerError, match=f"lies in no patch of {tmp_path / 'run'};"):
        init(tmp_path / "run", tables(scene), examples=far)
    table = tmp_path / "answers.csv"
    table.write_text("patch_id,label\ns/0/0,present\n")
    with pytest.raises(ConfigError, match=r"holds answers to patches.*labels import"):
        init(tmp_path / "run", tables(scene), examples=table)
    for text in ("", "name,kind\na,b\n"):
        table.write_text(text)
        with pytest.raises(ConfigError, match=r"has no coordinates, such as lon and lat"):
            init(tmp_path / "run", tables(scene), examples=table)
    table.write_text("easting,northing\n500100,5600000\n")
    with pytest.raises(LayerError, match=r"has no CRS; .* with owl-geo labels import --crs EPSG"):
        init(tmp_path / "run", tables(scene), examples=table)
    with pytest.raises(LayerError, match=r"far\.gpk does not exist; did you mean 'far\.gpkg'"):
        init(tmp_path / "run", tables(scene), examples=tmp_path / "far.gpk")
    with pytest.raises(ConfigError, match="owl-geo store init"):
        team = tables(scene, labels="postgresql://host/db")
        init(tmp_path / "run", team, examples=far)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "far.gpkg"]
    assert owl(["init", str(tmp_path / "s"), "--source", "synthetic", "--examples", str(far)]) == 2


def test_examples_in_utf_16_are_read_where_a_mark_tells(tmp_path: Path, scene: Path) -> None:
    (place,) = gpd.read_file(sites(tmp_path / "known.gpkg", (4, 4))).geometry
    text = f"lon\tlat\n{place.x!r}\t{place.y!r}\n"
    path = tmp_path / "known.csv"
    path.write_text(text, encoding="utf-16")
    made = init(tmp_path / "first", tables(scene), examples=path)
    assert made.run.labels.history()["patch_id"].tolist() == [name(4, 4)]
    path.write_text(text, encoding="utf-16-le")
    with pytest.raises(LayerError, match=r"cannot read .*without a byte-order mark does"):
        init(tmp_path / "run", tables(scene), examples=path)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_tests_hold_all_examples_is_not_made(tmp_path: Path, scene: Path) -> None:
    truth = sites(tmp_path / "truth.gpkg", *RARE)
    settings = tables(
        scene,
        oracle={"path": str(truth)},
        evaluation={"split": "random", "test_share": 0.99},
    )
    with pytest.raises((LayerError, RunError), match="held out"):
        init(tmp_path / "run", settings, examples=sites(tmp_path / "k.gpkg", (4, 4)))


def test_a_raster_of_several_classes_is_no_example(tmp_path: Path, scene: Path) -> None:
    classes = np.ones((1, ROWS * SIZE, ROWS * SIZE), dtype="uint8")
    classes[0, :SIZE, :SIZE] = 0
    path = rasters.write_raster(tmp_path / "classes.tif", classes)
    with pytest.raises(ConfigError, match=r"is a raster, not points, lines or polygons"):
        init(tmp_path / "run", tables(scene), examples=path)
    assert not (tmp_path / "run").exists()


def test_an_osm_file_is_no_example(tmp_path: Path, scene: Path) -> None:
    path = tmp_path / "area.osm"
    path.write_text('<osm version="0.6"><node id="1" lat="51" lon="3"/></osm>', encoding="utf-8")
    with pytest.raises(ConfigError, match="is an OSM file") as error:
        init(tmp_path / "run", tables(scene), examples=path)
    assert "labels import" in error.value.remedy
    assert not (tmp_path / "run").exists()
