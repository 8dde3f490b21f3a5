"""Answers out of a run and into another, as GeoPackage and CSV, and their history."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import searches
from click.testing import CliRunner, Result
from rasterio.transform import from_origin
from rasters import coordinates, write_raster

from owl_geo import Run, ingest, init, query
from owl_geo.cli import cli
from owl_geo.labels import agreement
from owl_geo.schema import LABELS_COLUMNS

NASTY = '=HYPERLINK("http://x","y"), "quoted"; ünï\n<b>two lines</b> \'); DROP TABLE labels; --'


def owl(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with two annotators' answers, one of them given twice, and a comment."""
    run = searches.make(tmp_path / "run", run_id="known")
    entry = query(run, annotators=["ana", "ben"], overlap=0.5)
    files = run.batch_paths(entry)
    for name, path in files.items():
        ids = [entry.patch_ids[place] for place in entry.team[name or ""]]
        searches.label(
            path,
            dict(zip(ids, ["present", "absent", "unsure", "skip"], strict=False)),
            annotator=name,
        )
        ingest(run, [path], annotator="x")
    first = entry.patch_ids[entry.team["ana"][0]]
    searches.label(files["ana"], {first: "absent"}, annotator="ana")
    with searches.editing(files["ana"]) as connection:
        connection.execute(
            "UPDATE batch SET comment = ?, labelled_at = '2026-04-01T10:00:00Z' WHERE patch_id = ?",
            (NASTY, first),
        )
    ingest(run, [files["ana"]], annotator="x")
    return run


def same_patches(run: Run, path: Path) -> Run:
    return searches.make(path, run_id="another")


@pytest.mark.parametrize("ending", ["gpkg", "csv", "CSV"])
def test_there_and_back_is_the_same_history(run: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"answers é.{ending}"
    done = owl("labels", "export", run.path, path)
    n = run.labels.count()
    assert done.exit_code == 0 and done.output == f"{path}: {n} answers\n"
    other = same_patches(run, tmp_path / "other")
    done = owl("labels", "import", other.path, path)
    assert done.exit_code == 0, done.output
    assert f"{n} new, 0 known before" in done.output
    pd.testing.assert_frame_equal(
        other.labels.history().drop(columns="seq"), run.labels.history().drop(columns="seq")
    )
    assert NASTY in set(other.labels.history()["comment"])
    assert f"0 new, {n} known" in owl("labels", "import", other.path, path).output
    assert f"0 new, {n} known" in owl("labels", "import", run.path, path).output


def test_what_stands_in_the_files(run: Run, tmp_path: Path) -> None:
    packed, listed = tmp_path / "a.gpkg", tmp_path / "a.csv"
    for path in (packed, listed):
        assert owl("labels", "export", run.path, path).exit_code == 0
    frame = gpd.read_file(packed, layer="labels")
    assert list(frame.columns) == [*LABELS_COLUMNS, "geometry"]
    assert frame.crs == run.crs
    ids = frame["patch_id"].tolist()
    assert frame.geometry.tolist() == run.footprints(ids).tolist()
    rows = list(csv.DictReader(listed.open(encoding="utf-8", newline="")))
    assert list(rows[0]) == [*LABELS_COLUMNS, "wkt"]
    places = gpd.GeoSeries.from_wkt([row["wkt"] for row in rows], crs="EPSG:4326")
    apart = places.to_crs(run.crs).centroid.distance(
        run.footprints(ids).reset_index(drop=True).centroid
    )
    assert apart.max() < 1e-3


def test_one_answer_is_counted_in_the_singular(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    entry = query(run)
    searches.label(run.batch_path(0), {entry.patch_ids[0]: "present"})
    ingest(run, [run.batch_path(0)], annotator="x")
    for words, what in (((), "answer"), (("--consensus",), "label")):
        path = tmp_path / f"{what}.csv"
        assert owl("labels", "export", run.path, path, *words).output == f"{path}: 1 {what}\n"


def test_consensus_is_one_label_per_patch(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    done = owl("labels", "export", run.path, path, "--consensus")
    table = pd.read_csv(path)
    assert list(table.columns) == ["patch_id", "label", "annotator", "wkt"]
    current = run.labels.current()
    assert table["patch_id"].tolist() == current["patch_id"].tolist()
    assert f"{len(current)} labels" in done.output
    other = same_patches(run, tmp_path / "other")
    owl("labels", "import", other.path, path, "--annotator", "team")
    assert set(other.labels.history()["annotator"]) == {"consensus"}
    assert set(other.labels.history()["batch_id"]) == {"import"}


def test_a_consensus_is_no_annotator_of_its_own(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    before = agreement(run.labels.history())
    owl("labels", "export", run.path, path, "--consensus")
    assert owl("labels", "import", run.path, path).exit_code == 0
    after = agreement(run.labels.history())
    assert before is not None and after is not None
    assert (repr(after.fleiss), after.pairs) == (repr(before.fleiss), before.pairs)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_table_with_semicolons(tmp_path: Path, encoding: str, quote: str) -> None:
    run = searches.make(tmp_path / "run")
    path, patch = tmp_path / "excel.csv", run.patches["patch_id"].iloc[0]
    header = ";".join(f"{quote}{name}{quote}" for name in ("patch_id", "label", "comment"))
    path.write_text(f'{header}\r\n{patch};present;"1,5; sure"\r\n', encoding=encoding)
    assert "1 present" in owl("labels", "import", run.path, path).output
    assert run.labels.history()["comment"].tolist() == ["1,5; sure"]


def test_no_ties_and_folders_in_the_place_of_files(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    told = owl("labels", "history", run.path, "--disputed").output
    assert told == "no patch has a tie between labels\n"
    (tmp_path / "x.csv").mkdir()
    for verb in ("import", "export"):
        done = owl("labels", verb, run.path, tmp_path / "x.csv")
        assert done.exit_code == 1 and "x.csv is a folder; name" in done.output


def test_a_file_is_not_written_over_unasked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine", encoding="utf-8")
    done = owl("labels", "export", run.path, path)
    assert done.exit_code == 1 and "exists; choose another name" in done.output
    assert path.read_text(encoding="utf-8") == "mine"
    assert owl("labels", "export", run.path, path, "--overwrite").exit_code == 0
    assert "patch_id" in path.read_text(encoding="utf-8")
    packed = tmp_path / "a.gpkg"
    for flags in ([], ["--overwrite"]):
        assert owl("labels", "export", run.path, packed, *flags).exit_code == 0
    assert len(gpd.read_file(packed)) == run.labels.count()


def test_a_run_without_answers(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    for name in ("a.csv", "a.gpkg"):
        done = owl("labels", "export", run.path, tmp_path / name)
        assert done.output == f"{tmp_path / name}: 0 answers\n", done.output
        assert "0 new" in owl("labels", "import", run.path, tmp_path / name).output
    assert owl("labels", "history", run.path).output == "no answers\n"


def test_what_was_known_before_the_search_is_learnt(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    ids = run.patches["patch_id"].tolist()
    known = tmp_path / "known.csv"
    known.write_text(
        "patch_id,label\n"
        + "".join(f"{p},{w}\n" for p, w in zip(ids, ["present", "absent"] * 5, strict=False)),
        encoding="utf-8-sig",
    )
    assert "5 absent, 5 present" in owl("labels", "import", run.path, known).output
    entry = query(run)
    assert entry.metrics.n_labeled == 10 and entry.metrics.positives_found == 5
    assert not set(entry.patch_ids) & set(ids[:10])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patch_id,lable\n{0},present\n", "no column 'label'; did you mean 'lable'?"),
        (
            "patch_id,label\n{0},presnt\n",
            "is labelled 'presnt', which is not a label of this run; did you mean",
        ),
        ("patch_id,label\nelsewhere/0/0,present\n", "no patch 'elsewhere/0/0'"),
        ("patch_id,label\n,present\n", "1 row with an answer has no patch_id"),
        ("patch_id,label,labelled_at\n{0},present,yesterday\n", "'yesterday', which is not a time"),
        ("patch_id,label,round\n{0},present,first\n", "round of patch"),
        ("", "no column 'patch_id'"),
        ("patch_id,label\n{0},present,and\n", "line 2 has 3 values, the header 2"),
        ("\x00\x01\x02", "it has NUL bytes"),
    ],
)
def test_what_cannot_be_brought_in(tmp_path: Path, text: str, says: str) -> None:
    run = searches.make(tmp_path / "run")
    path = tmp_path / "a.csv"
    good = run.patches["patch_id"].iloc[0]
    path.write_text(text.replace("{0}", good), encoding="utf-8")
    done = owl("labels", "import", run.path, path)
    assert done.exit_code == 1, done.output
    assert says in done.output and len(done.output.splitlines()) == 1
    assert run.labels.count() == 0


def test_files_of_another_kind(run: Run, tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes("patch_id,label,comment\np,present,schön\n".encode("latin-1"))
    text = tmp_path / "text.gpkg"
    text.write_text("patch_id,label\n")
    batch = next(iter(run.batch_paths(run.rounds()[0]).values()))
    for path, says in (
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path / "a.xlsx", "does not exist"),
        (tmp_path, "is a folder; name the file in it"),
        (latin, "invalid start byte; save it as CSV in UTF-8"),
        (text, "a text file, not a GeoPackage"),
        (batch, f"no layer 'labels'; it has batch; read a batch with `owl-geo ingest {run.path} "),
    ):
        done = owl("labels", "import", run.path, path)
        assert done.exit_code == 1 and says in done.output, done.output
    assert owl("labels", "export", run.path, tmp_path / "a.shp").exit_code == 1


def test_history_shows_who_said_what(run: Run) -> None:
    told = owl("labels", "history", run.path).output.splitlines()
    history = run.labels.history()
    assert len(told) == 1 + len(history)  # a comment of two lines stays on one
    assert sum(line.startswith("*") for line in told) == len(history) - 1
    assert np.sum(["ben" in line for line in told]) == (history["annotator"] == "ben").sum()
    only = owl("labels", "history", run.path, "--annotator", "ben", "--last", 2).output.splitlines()
    assert len(only) == 3 and all("ben" in line for line in only[1:])
    disputed = owl("labels", "history", run.path, "--disputed").output.splitlines()
    assert 1 < len(disputed) < len(told)
    wrong = owl("labels", "history", run.path, "--annotator", "bne")
    assert wrong.exit_code == 1 and "did you mean 'ben'?" in wrong.output
    assert owl("labels", "history", run.path, "--patch", "x/0/0").exit_code == 1


def test_answers_to_patches_that_test_the_model_are_left_out(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run", oracle={})
    held_out = run.truth["held_out"].to_numpy(dtype=bool)
    tests, others = (run.truth["patch_id"][rows].tolist() for rows in (held_out, ~held_out))
    table = pd.DataFrame({"patch_id": tests[:3] + others[:2], "label": "present"})
    path = tmp_path / "answers.csv"
    table.to_csv(path, index=False)
    shown = owl("labels", "import", run.path, path)
    assert "2 present, 0 unanswered, 3 left out because they test the model; 2 new" in shown.output
    assert run.labels.history()["patch_id"].tolist() == others[:2]


def test_a_time_that_is_still_to_come_is_warned_of(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    patch = run.patches["patch_id"].iloc[0]
    path = tmp_path / "answers.csv"
    path.write_text(f"patch_id,label,labelled_at\n{patch},present,2099-01-01T00:00:00Z\n")
    shown = owl("labels", "import", run.path, path)
    assert f"warning: {path}: labelled_at of '{patch}' is in the future" in shown.output
    assert "1 present, 0 unanswered; 1 new" in shown.output


def over(folder: Path, name: str, *scenes: tuple[str, float], crs: str = "EPSG:32631") -> Run:
    """A run over scenes of 640 m, each with its name and where it begins; a third is answered."""
    paths = {
        scene: write_raster(
            folder / f"{name}-{scene}.tif",
            coordinates(64, 64) + 1,
            crs=crs,
            transform=from_origin(x, 5_000_000, 10, 10),
        )
        for scene, x in scenes
    }
    source = {
        "kind": "geotiff",
        "scenes": [{"name": scene, "path": str(path)} for scene, path in paths.items()],
        "patch_size": 8,
    }
    run = init(folder / name, {"source": source}).run
    table = folder / "answers.csv"
    ids = run.patches["patch_id"].tolist()[::3]
    labels = ["absent", "present", "skip"] * len(ids)
    pd.DataFrame({"patch_id": ids, "label": labels[: len(ids)]}).to_csv(table, index=False)
    assert owl("labels", "import", run.path, table).exit_code == 0
    return run


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:32632"])
def test_a_file_that_was_copied_from_a_run_over_other_ground_is_refused(
    crs: str, tmp_path: Path
) -> None:
    here = over(tmp_path, "here", ("a", 500_000), ("b", 510_000))
    there = over(tmp_path, "there", ("a", 500_000), ("b", 600_000))
    if crs != "EPSG:32631":
        there = over(tmp_path, "zone", ("a", 500_000), ("b", 510_000), crs=crs)
    own = here.path / "labels.gpkg"
    own.rename(tmp_path / "own.gpkg")
    shutil.copy(there.path / "labels.gpkg", own)
    before = own.read_bytes()
    for words in (
        ("status", here.path),
        ("query", here.path),
        ("predict", here.path),
        ("report", here.path),
        ("labels", "export", here.path, tmp_path / "export.gpkg"),
        ("labels", "import", here.path, tmp_path / "answers.csv"),
    ):
        told = owl(*words)
        assert told.exit_code == 1, words
        assert f"{own} has answers on other ground, where " in told.output
        assert f"is elsewhere than in {here.path}; restore" in told.output
        assert len(told.output.splitlines()) == 1
    assert own.read_bytes() == before
    # the way out that the line names
    foreign = own.rename(tmp_path / "foreign.gpkg")
    told = owl("labels", "import", here.path, foreign)
    shared = [p for p in Run(there.path).labels.history()["patch_id"] if p.startswith("a/")]
    assert told.exit_code == int(crs != "EPSG:32631"), told.output
    if crs == "EPSG:32631":
        assert Run(here.path).labels.history()["patch_id"].tolist() == shared


def test_a_file_from_a_run_over_the_same_ground_is_its_own(tmp_path: Path) -> None:
    here = over(tmp_path, "here", ("a", 500_000))
    there = over(tmp_path, "there", ("a", 500_020))  # less than half a patch away
    shutil.copy(there.path / "labels.gpkg", here.path / "labels.gpkg")
    assert owl("status", here.path).exit_code == 0


def test_polygons_that_were_moved_in_the_file_do_not_make_it_another_run_s(tmp_path: Path) -> None:
    run = over(tmp_path, "run", ("a", 500_000))
    with searches.editing(run.path / "labels.gpkg") as connection:
        rows = connection.execute("SELECT fid, geom FROM labels ORDER BY fid").fetchall()
        last = rows[-1][1]
        connection.execute("UPDATE labels SET geom = ? WHERE fid = ?", (last, rows[0][0]))
        connection.execute("UPDATE labels SET geom = NULL WHERE fid = ?", (rows[1][0],))
        connection.execute("UPDATE labels SET geom = 'x' WHERE fid = ?", (rows[2][0],))
    told = owl("status", run.path)
    assert told.exit_code == 0, told.output
