"""More like this: the places of a run that are most like some of its patches."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from embeddings import squares, unit_vectors, write_table
from in_process import Owl
from rasters import write_raster
from searches import label

import owl_geo
from owl_geo import Run
from owl_geo.errors import ConfigError, RunError
from owl_geo.reporting.sections.answers import n_asked
from owl_geo.types import AnyArray

ROWS, COLS = 9, 10
# of each row of the table: 0 and 1 point nearly the same way, 2 is what there is most of
KIND = np.array([0, 2, 1, 2, 2, 2] * (ROWS * COLS // 6))


def patch(row: int) -> str:
    return f"t/{row // COLS}/{row % COLS}"


def kinds(places: pd.DataFrame) -> AnyArray:
    at = [name.split("/")[1:] for name in places["patch_id"]]
    return KIND[[int(row) * COLS + int(col) for row, col in at]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("like")
    rng = np.random.default_rng(0)
    one, other = unit_vectors(2).T
    directions = np.stack([one, one + 0.5 * other, other])
    vectors = directions[KIND] + 0.03 * rng.normal(size=(len(KIND), 64))
    write_table(folder / "t.parquet", vectors.tolist(), squares(ROWS, COLS, 320.0, "OGC:CRS84"))
    source = {"kind": "vectors", "path": str(folder / "t.parquet")}
    model = {"kind": "embedding"}
    return owl_geo.init(folder / "run", {"source": source, "model": model}).run


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    shutil.copytree(made.path, tmp_path / "run")
    return Run(tmp_path / "run")


def test_those_of_the_same_kind_come_first(run: Run) -> None:
    done = owl_geo.like(run, [patch(1)], count=30)
    assert (kinds(done.places) == 2).all()
    assert patch(1) not in set(done.places["patch_id"])
    assert done.places["rank"].tolist() == list(range(1, 31))
    assert (np.diff(done.places["likeness"]) <= 0).all()
    written = gpd.read_file(done.path)
    assert done.path == run.path / "like.gpkg"
    assert written["patch_id"].tolist() == done.places["patch_id"].tolist()
    # the centres are those of the table
    row = int(written["patch_id"][0].split("/")[1]) * COLS
    row += int(written["patch_id"][0].split("/")[2])
    centre = squares(ROWS, COLS, 320.0).centroid.to_crs("EPSG:4326").iloc[row]
    assert written["lon"][0] == pytest.approx(centre.x, abs=1e-5)
    assert written["lat"][0] == pytest.approx(centre.y, abs=1e-5)


def test_what_looks_alike_can_be_left_out(run: Run) -> None:
    plain = owl_geo.like(run, [patch(0)], count=len(KIND)).places
    unlike = owl_geo.like(run, [patch(0)], unlike=[patch(2)], count=len(KIND)).places
    assert not {patch(0), patch(2)} & set(unlike["patch_id"])
    means = [one["likeness"][kinds(one) == 1].mean() for one in (plain, unlike)]
    assert means[1] < 0.6 * means[0]
    assert (kinds(unlike)[:10] == 0).all()


def test_the_command_prints_and_replaces_its_own_file(run: Run, owl: Owl, tmp_path: Path) -> None:
    done = owl("like", run.path, patch(0), "--count", 3, "-q")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 4 and lines[-1] == str(run.path / "like.gpkg")
    rank, likeness, name, *place = lines[0].split()
    assert (rank, name.split("/")[0]) == ("1", "t")
    assert 0.1 < float(likeness) <= 1
    assert (place[0], round(float(place[1].strip(",")))) == ("lon", 3)
    assert (place[2], round(float(place[3]))) == ("lat", 51)
    assert owl("like", run.path, patch(0), "-q").code == 0
    assert len(gpd.read_file(run.path / "like.gpkg")) == 20
    out = tmp_path / "out.gpkg"
    out.write_text("mine")
    refused = owl("like", run.path, patch(0), "--out", out)
    assert refused.code == 1 and f"{out} exists" in refused.err
    assert out.read_text() == "mine"
    assert owl("like", run.path, patch(0), "--out", out, "--overwrite", "-q").code == 0
    refused = owl("like", run.path, patch(0), "--out", tmp_path / "out.geojson")
    assert refused.code == 1 and "must be a GeoPackage; name it out.gpkg" in refused.err


def test_a_patch_that_is_not_there_is_refused(run: Run, owl: Owl) -> None:
    for name, remedy in (
        ("t/0/77", "the nearest is t/0/9"),  # in place, not in spelling
        ("tt/3/4", "the nearest is t/3/4"),
        ("x", "name one as batches do, like t/0/0"),
        ("x/0/0", "name one as batches do, like t/0/0"),
        ("t/0/x", "name one as batches do, like t/0/0"),
        (f"t/0/{'9' * 400}", "name one as batches do, like t/0/0"),
    ):
        with pytest.raises(RunError, match=f"has no patch '{name}'") as caught:
            owl_geo.like(run, [name])
        assert caught.value.remedy == remedy
        history = owl("labels", "history", run.path, "--patch", name)
        assert history.code == 1 and history.err.rstrip().endswith(f"; {remedy}")
    with pytest.raises(RunError, match=r"has no patch '\\udcff'"):  # a word that is not UTF-8
        owl_geo.like(run, [patch(0)], unlike=["\udcff"])
    with pytest.raises(RunError, match="cannot be both like and unlike"):
        owl_geo.like(run, [patch(0)], unlike=[patch(0)])


def test_what_is_no_list_or_no_number_of_places_is_refused(run: Run) -> None:
    for count in (0, -3):
        with pytest.raises(ConfigError, match=f"count is {count}, but must be at least 1"):
            owl_geo.like(run, [patch(0)], count=count)
    with pytest.raises(RunError, match="no patch is named"):
        owl_geo.like(run, [])
    named = f"patches is '{patch(0)}', but it must be a list"
    for ask in (owl_geo.like, owl_geo.more_like):
        with pytest.raises(ConfigError, match=named):
            ask(run, patch(0))
    with pytest.raises(ConfigError, match="unlike is 't/0/1', but it must be a list"):
        owl_geo.like(run, [patch(0)], unlike="t/0/1")
    with pytest.raises(ConfigError, match="annotators is 'ab', but it must be a list"):
        owl_geo.query(run, annotators="ab")
    with pytest.raises(ConfigError, match=r"paths is 'a\.gpkg', but it must be a list"):
        owl_geo.ingest(run, "a.gpkg", annotator="ana")
    with pytest.raises(ConfigError, match=r"paths is 'a\.gpkg', but it must be a list"):
        owl_geo.ingest(run, Path("a.gpkg"), annotator="ana")  # type: ignore[arg-type]


def test_answers_are_shown_and_do_not_matter(run: Run, owl: Owl) -> None:
    before = owl_geo.like(run, [patch(0)])
    assert before.places["label"].isna().all()
    name = before.places["patch_id"][0]
    entry = owl_geo.query(run)
    asked = entry.patch_ids[0]
    label(run.batch_path(entry.number), {asked: "absent"})
    owl_geo.ingest(run, [run.batch_path(entry.number)], annotator="ana")
    after = owl_geo.like(run, [patch(0)], count=len(KIND)).places
    assert after["patch_id"][0] == name
    labels = after.set_index("patch_id")["label"]
    assert labels.dropna().to_dict() == {asked: "absent"}
    assert all(value is None for value in labels.drop(asked))
    shown = owl("like", run.path, patch(0), "--count", len(KIND)).out.splitlines()
    assert [line.split()[-1] for line in shown if asked in line] == ["absent"]
    assert "nan" not in " ".join(shown)


def test_what_is_alike_becomes_the_next_batch(run: Run) -> None:
    right = owl_geo.like(run, [patch(0)], unlike=[patch(2)]).places["patch_id"].tolist()
    entry = owl_geo.more_like(run, [patch(0)], unlike=[patch(2)], size=6)
    assert entry.number == 0 and entry.kind == "like" and not entry.is_review
    assert list(entry.patch_ids) == right[:6]
    assert entry.audit == {}
    assert n_asked(entry) == "6 (like)"  # in the report
    assert owl_geo.more_like(run, [patch(1)]).patch_ids == entry.patch_ids  # it waits
    batch = run.batch_path(0)
    written = gpd.read_file(batch, layer="batch").sort_values("rank")
    assert written["patch_id"].tolist() == right[:6]
    assert (np.diff(written["score"]) <= 0).all() and written["probability"].isna().all()
    label(batch, {right[0]: "present", **dict.fromkeys(right[1:5], "absent")})
    owl_geo.ingest(run, [batch], annotator="ana")
    # of itself, like all targets; what is answered is not asked again
    more = owl_geo.more_like(run, size=4)
    assert not set(more.patch_ids) & set(right[:5])
    assert (kinds(pd.DataFrame({"patch_id": more.patch_ids})) != 2).all()
    probability = gpd.read_file(run.batch_path(1), layer="batch")["probability"]
    assert probability.between(0, 1).all()
    with pytest.raises(RunError, match=r"has no patch 'x'"):
        owl_geo.more_like(run, ["x"])


def test_another_image_of_the_place_itself_is_not_asked(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(500, 700, (2, 32, 32), dtype=np.uint16)
    dates = [write_raster(tmp_path / f"{n}.tif", pixels + n) for n in range(2)]
    scenes = [{"name": path.stem, "path": str(path)} for path in dates]
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": 8, "same_ground": "keep"}
    run = owl_geo.init(tmp_path / "run", {"source": source}).run
    # the place of each is asked in the other scene
    entry = owl_geo.more_like(run, ["1/8/16"], unlike=["1/16/8"], size=20)
    assert len(entry.patch_ids) == 14
    assert not {"1/8/16", "0/8/16", "1/16/8", "0/16/8"} & set(entry.patch_ids)


def test_a_batch_like_others_is_made_by_the_command(run: Run, owl: Owl) -> None:
    refused = owl("like", run.path, "--batch")
    assert refused.code == 1 and "has no patch yet that is answered present" in refused.err
    assert owl("like", run.path).code == 2
    assert owl("like", run.path, patch(0), "--go-on").code == 2
    assert owl("like", run.path, patch(0), "--batch", "--out", "x.gpkg").code == 2
    done = owl("like", run.path, patch(0), "--batch", "--count", 3)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(run.batch_path(0))
    assert "-000-like: 3 patches, the most alike first" in done.err + done.out
    assert len(Run(run.path).rounds()[0].patch_ids) == 3
    again = owl("like", run.path, patch(1), "--batch")
    assert "has no answers yet" in again.err + again.out
    assert "waits as it was made; the patches named" in again.err
    again = owl("like", run.path, "--batch", "--count", 5)
    assert again.code == 1 and "has no patch yet" in again.err  # that is a target
    assert owl("query", run.path, "--go-on").code == 0
    refused = owl("like", run.path, patch(0), "--batch")
    assert refused.code == 1 and "waits for answers" in refused.err
    assert owl("like", run.path, patch(0), "--batch", "--go-on").code == 0
    assert [entry.kind for entry in Run(run.path).rounds()] == ["like", "chosen", "like"]


def test_places_that_are_all_alike_are_searched_without_a_warning(tmp_path: Path) -> None:
    vectors = np.ones((len(KIND), 64))
    write_table(tmp_path / "t.parquet", vectors.tolist(), squares(ROWS, COLS, 320.0, "OGC:CRS84"))
    source = {"kind": "vectors", "path": str(tmp_path / "t.parquet")}
    run = owl_geo.init(tmp_path / "run", {"source": source}).run
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert len(owl_geo.query(run).patch_ids) == 20
        assert np.isfinite(owl_geo.like(run, [patch(0)]).places["likeness"]).all()


def test_what_is_of_another_type_is_refused(run: Run, tmp_path: Path) -> None:
    for call, given in (
        (owl_geo.like, {"patches": 3}),
        (owl_geo.like, {"patches": [3]}),
        (owl_geo.like, {"patches": [patch(0)], "count": "5"}),
        (owl_geo.like, {"patches": [patch(0)], "count": 2.5}),
        (owl_geo.more_like, {"patches": [patch(0)], "size": "5"}),
        (owl_geo.review, {"threshold": "0.5"}),
        (owl_geo.review, {"size": "5"}),
        (owl_geo.predict, {"top": "5"}),
        (owl_geo.predict, {"top": 2.5}),
        (owl_geo.predict, {"threshold": "0.5"}),
        (owl_geo.predict, {"threshold": None}),
        (owl_geo.predict, {"scenes": None}),
        (owl_geo.predict, {"on_error": 3}),
        (owl_geo.query, {"annotators": 3}),
        (owl_geo.ingest, {"paths": [3], "annotator": "ana"}),
        (owl_geo.ingest, {"paths": ["a.gpkg"], "annotator": 3}),
        (owl_geo.add, {"scenes": 3}),
        (owl_geo.add, {"scenes": [3]}),
        (owl_geo.add_class, {"name": 3}),
        (owl_geo.import_answers, {"path": "a.csv", "annotator": 3}),
        (owl_geo.import_answers, {"path": "a.csv", "annotator": "ana", "label": 3}),
    ):
        with pytest.raises(ConfigError, match=r", but it must be a |cannot be a name"):
            call(run, **given)
    assert owl_geo.like(run, [patch(0)], count=np.int64(2), out=tmp_path / "a.gpkg")
