"""Answers that another program has edited in the store: read as they are meant, or refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from postgis_server import Server, database_name
from searches import label, make

from owl_geo import Run, ingest, query
from owl_geo.cli import _run as owl
from owl_geo.errors import RunError
from owl_geo.labels.administration import register
from owl_geo.labels.database import Database

REMEDY = "correct it where it was edited, or restore it"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose first batch is answered by ana."""
    made = make(tmp_path / "run")
    asked = query(made).patch_ids
    label(made.batch_path(0), dict(zip(asked, ["present", "absent"] * 3, strict=True)))
    ingest(made, [made.batch_path(0)], annotator="ana")
    return Run(made.path)


def edit(run: Run, change: str) -> None:
    with closing(sqlite3.connect(run.path / "labels.gpkg")) as connection, connection:
        connection.execute(f"UPDATE labels SET {change}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "label = 'Present' WHERE fid = 3",
            "answer 3 is labelled 'Present', which is not a label of this run; did you mean "
            "'present'? known: absent, present, unsure, skip",
        ),
        ("label = x'41' WHERE fid = 3", "answer 3 has b'A' as label, which is not text"),
        ("patch_id = NULL WHERE fid = 3", "answer 3 has no patch_id"),
        ("annotator = NULL WHERE fid = 3", "answer 3 has no annotator"),
        ("batch_id = NULL WHERE fid = 3", "answer 3 has no batch_id"),
        ("comment = x'ff' WHERE fid = 3", r"answer 3 has b'\xff' as comment, which is not text"),
        ("round = NULL WHERE fid = 3", "answer 3 has no round"),
        ("round = 1.5 WHERE fid = 3", "answer 3 has 1.5 as round, which is not a whole number"),
        (
            "labelled_at = 'yesterday' WHERE fid = 3",
            "answer 3 has 'yesterday' as labelled_at, which is not a time",
        ),
    ],
)
@pytest.mark.parametrize("command", ["status", "query", "predict"])
def test_what_is_no_answer_any_more_is_named(
    command: str, change: str, said: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(run, change)
    assert owl([command, str(run.path)]) == 1
    assert capsys.readouterr().err == f"error: {run.path / 'labels.gpkg'}: {said}; {REMEDY}\n"


def test_an_answer_to_a_patch_that_is_not_in_the_pool_is_named(run: Run) -> None:
    edit(run, "patch_id = 'elsewhere/0/0' WHERE fid = 3")
    said = r"labels.gpkg has an answer to another pool's patch: no patch 'elsewhere/0/0'"
    with pytest.raises(RunError, match=said):
        query(run)


def test_an_edited_label_and_another_way_of_writing_a_time_count(run: Run) -> None:
    edit(run, "label = 'absent', labelled_at = '2026-05-01T10:00:00.000' WHERE fid = 1")
    edit(run, "label = NULL WHERE fid = 2")
    assert run.labels.current().set_index("seq")["label"].to_dict() == {
        **{1: "absent", 3: "present", 4: "absent", 5: "present", 6: "absent"}
    }


def test_what_was_replaced_may_have_a_label_of_a_class_that_is_no_more(run: Run) -> None:
    edit(
        run, "label = 'hole', patch_id = (SELECT patch_id FROM labels WHERE fid = 2) WHERE fid = 1"
    )
    assert 1 not in run.labels.current()["seq"].tolist()


@pytest.mark.parametrize("stored", ["0001-01-01T00:00:00Z", "1-01-01T00:00:00Z"])
def test_a_program_s_time_of_nothing_is_the_oldest(run: Run, stored: str) -> None:
    """What .NET writes for no time; a version of owl-geo stored it without the zeros."""
    edit(run, f"labelled_at = '{stored}' WHERE fid = 2")
    edit(run, "patch_id = (SELECT patch_id FROM labels WHERE fid = 2) WHERE fid = 1")
    current = run.labels.current().set_index("patch_id")["label"]
    assert current[run.labels.history()["patch_id"][1]] == "present"  # by answer 1, of 2026
    assert owl(["status", str(run.path)]) == 0


def test_a_run_lives_on_with_a_time_of_nothing_in_a_batch(run: Run) -> None:
    entry = query(run)
    path = run.batch_path(entry.number)
    label(path, dict.fromkeys(entry.patch_ids, "present"))
    with closing(sqlite3.connect(path)) as connection, connection:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            connection.create_function(name, 1, lambda _geometry: None)
        connection.execute("UPDATE batch SET labelled_at = '0001-01-01T00:00:00'")
    ingest(run, [path], annotator="ana")
    assert set(run.labels.history()["labelled_at"]) == {
        "0001-01-01T00:00:00Z",
        "2026-03-01T10:00:00Z",
    }
    assert len(run.labels.current()) == 6 + len(entry.patch_ids)


def test_a_label_that_the_owner_of_a_database_added_is_looked_at_too(
    server: Server, team: Database, tmp_path: Path
) -> None:
    run = make(tmp_path / "run", labels=team.url)
    register(team, run.settings.run_id, run.settings.classes, run.settings.positive)
    patch = run.patches["patch_id"].iloc[0]
    ground = run.footprints([patch]).to_crs(4326).iloc[0].wkt
    with server.connect(database_name(team)) as connection:
        connection.execute(
            "INSERT INTO owl_geo.answers (run_id, patch_id, label, annotator, labelled_at, moment,"
            " batch_id, round, geom) VALUES (%s, %s, 'Absent', 'ana', '2026-05-01T10:00:00Z',"
            " now(), 'x', 0, ST_GeomFromText(%s, 4326))",
            (run.settings.run_id, patch, ground),
        )
    with pytest.raises(RunError, match="answer 1 is labelled 'Absent', which is not a label"):
        query(run)
