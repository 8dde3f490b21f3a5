"""Batches of any kind that a stranger may hand in: all of the answers, or one line and none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from searches import label, make
from strangers import Owl

from owl_geo import Run, ingest, query
from owl_geo.batches import IssuedBatch, answers_of, read_batch
from owl_geo.errors import BatchError


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first batch is answered."""
    run = make(tmp_path_factory.mktemp("answered") / "run")
    batch = run.batch_path(query(run).number)
    ids = run.rounds()[0].patch_ids
    label(batch, {one: ("absent", "present")[n % 2] for n, one in enumerate(ids)})
    with closing(sqlite3.connect(batch)) as connection:
        # its triggers call functions that only GDAL's SQLite has
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.commit()
    return run.path


@pytest.fixture
def batch(answered: Path, tmp_path: Path) -> Path:
    """A copy of the batch, to be changed."""
    path = tmp_path / "batch.gpkg"
    path.write_bytes((answered / "rounds" / "000" / "batch.gpkg").read_bytes())
    return path


@pytest.fixture
def owl(answered: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(answered, capfd)


def change(path: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            text, values = (statement, ()) if isinstance(statement, str) else statement
            connection.execute(text, values)
        connection.commit()


def refused(owl: Owl, batch: Path) -> str:
    """Return why a batch is not taken in, after checking that nothing of it was stored."""
    line = owl("ingest", owl.folder, batch).refusal()
    assert not (owl.folder / "labels.gpkg").exists()
    return line


# --- bytes ----------------------------------------------------------------------------------------


def test_noise_behind_a_good_beginning_is_refused(owl: Owl, batch: Path) -> None:
    rng = np.random.default_rng(1)
    for start in (16, 100, 4096, 20_000):
        content = batch.read_bytes()
        batch.write_bytes(content[:start] + rng.bytes(len(content) - start))
        refused(owl, batch)
        batch.write_bytes(content)


def test_a_batch_that_was_cut_off_anywhere_is_refused(owl: Owl, batch: Path) -> None:
    content = batch.read_bytes()
    for length in range(0, len(content), 4096):
        batch.write_bytes(content[:length])
        refused(owl, batch)


def test_bytes_that_flipped_on_any_page_are_the_same_answers_or_one_line(batch: Path) -> None:
    content = batch.read_bytes()
    good = read_batch(batch).answers["label"].tolist()
    rng = np.random.default_rng(2)
    outcomes = set()
    for page in range(0, len(content), 4096):
        for place in page + rng.integers(0, 4096, 4):
            changed = bytearray(content)
            changed[place] ^= int(rng.integers(1, 256))
            batch.write_bytes(changed)
            try:
                outcomes.add(len(read_batch(batch).answers["label"]) == len(good))
            except BatchError as error:
                assert "\n" not in str(error)
                outcomes.add(False)
    assert outcomes == {True, False}


# --- types and texts ------------------------------------------------------------------------------

TEXTS = ("patch_id", "label", "annotator", "comment", "labelled_at", "batch_id")


@pytest.mark.parametrize("column", TEXTS)
def test_bytes_in_a_column_of_text_are_refused(column: str, owl: Owl, batch: Path) -> None:
    change(batch, (f"UPDATE batch SET {column} = ? WHERE rank = 3", (b"\xff\x00present",)))
    assert f"{column} of patch" in refused(owl, batch)


@pytest.mark.parametrize("column", TEXTS)
def test_text_that_is_no_utf8_is_refused(column: str, owl: Owl, batch: Path) -> None:
    change(batch, f"UPDATE batch SET {column} = CAST(x'ff61' AS TEXT) WHERE rank = 3")
    refused(owl, batch)


@pytest.mark.parametrize("value", [1, 0, 0.5, "", " ", "PRESENT", "present ", "\x00", "1e999"])
def test_a_label_that_is_no_class_is_refused_or_is_none(
    value: object, owl: Owl, batch: Path
) -> None:
    change(
        batch,
        "ALTER TABLE batch RENAME COLUMN label TO old",
        "ALTER TABLE batch ADD COLUMN label",  # without a type, as SQL allows
        "UPDATE batch SET label = old",
        ("UPDATE batch SET label = ? WHERE rank = 2", (value,)),
    )
    if str(value).strip():
        assert "not a label of this run" in refused(owl, batch)
    else:
        answers = read_batch(batch).answers
        assert (answers["label"] == value).sum() == 1


@pytest.mark.parametrize("column", ["comment", "annotator", "labelled_at"])
def test_a_label_in_the_wrong_column_is_pointed_out(column: str, owl: Owl, batch: Path) -> None:
    change(
        batch,
        "UPDATE batch SET label = NULL, annotator = NULL, labelled_at = NULL",
        f"UPDATE batch SET {column} = ' Present' WHERE rank IN (2, 3)",
        f"UPDATE batch SET {column} = 'skip' WHERE rank = 4",
        f"UPDATE batch SET {column} = 'presently a quarry' WHERE rank = 5",
    )
    said = owl("ingest", owl.folder, batch)
    assert f"3 patches have no label, but what looks like one in the column {column}" in said.err
    assert "type the answers into the column label first" in said.done()
    assert not (owl.folder / "labels.gpkg").exists()


def test_a_label_in_the_wrong_column_is_pointed_out_beside_right_ones(batch: Path) -> None:
    change(
        batch, "UPDATE batch SET label = CASE rank WHEN 2 THEN '' ELSE label END, comment = label"
    )
    file = read_batch(batch)
    rows = file.answers.set_index("patch_id")
    (blank,) = rows.index[rows["label"] == ""]
    patches = IssuedBatch(0, rows.geometry)
    _, notes = answers_of(
        file,
        run_batches={rows["batch_id"].iloc[0]: patches},
        classes=("absent", "present"),
        default_annotator="ana",
        now=datetime.now(UTC),
    )
    assert notes.misplaced == (("comment", (blank,)),)


def test_a_rank_that_is_text_does_not_matter(batch: Path) -> None:
    before = read_batch(batch).answers["label"].tolist()
    change(batch, "UPDATE batch SET rank = 'first', score = 'a', round = x'00'")
    assert read_batch(batch).answers["label"].tolist() == before


@pytest.mark.parametrize("column", TEXTS)
def test_ten_megabytes_of_text_are_refused_in_a_short_line(
    column: str, owl: Owl, batch: Path
) -> None:
    change(batch, (f"UPDATE batch SET {column} = ? WHERE rank = 1", ("x" * 10**7,)))
    line = refused(owl, batch)
    assert f"{column} of patch" in line
    assert "10,000,000 characters" in line


@pytest.mark.parametrize("when", ["0000-00-00", "9999-12-31T23:59:59-14:00", "now", "1e9", "\x00"])
def test_a_time_that_is_none_is_refused(when: str, owl: Owl, batch: Path) -> None:
    change(batch, ("UPDATE batch SET labelled_at = ? WHERE rank = 1", (when,)))
    assert "not a time" in refused(owl, batch)


HOSTILE = (
    "'; DROP TABLE labels; --",
    "<img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.org")',
    "[% 1 + 1 %]",
    "tab\tand\nline",
    "\x1b[31mred\x07",
    "\u202eright to left",
    "🦉" * 100,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_of_an_annotator_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    path = run.batch_path(query(run).number)
    ids = run.rounds()[0].patch_ids
    label(path, dict.fromkeys(ids, "absent"), annotator=text)
    with closing(sqlite3.connect(path)) as connection:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            connection.create_function(name, 1, lambda _geometry: None)
        connection.execute("UPDATE batch SET comment = ?", (text,))
        connection.commit()
    ingest(run, [path], annotator="ana")
    history = Run(run.path).labels.history()
    assert set(history["comment"]) == {text}
    assert set(history["annotator"]) == {text.strip()}


@pytest.mark.parametrize("column", ["annotator", "comment"])
def test_text_that_formats_cut_off_is_refused(column: str, owl: Owl, batch: Path) -> None:
    change(batch, (f"UPDATE batch SET {column} = ? WHERE rank = 1", ("seen\x00twice",)))
    assert f"{column} of patch" in (line := refused(owl, batch))
    assert "NUL" in line


def test_names_with_control_characters_stay_in_their_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "run")
    path = run.batch_path(query(run).number)
    ids = run.rounds()[0].patch_ids
    for name in ("ana\nben: 9 labelled", "\x1b[31mred"):
        label(path, dict.fromkeys(ids, "absent"), annotator=name)
        ingest(run, [path], annotator="ana")
    said = Owl(run.path, capfd)("status", run.path).done()
    team = [line.strip() for line in said.splitlines() if "labelled, agrees" in line]
    assert [line.split(f": {len(ids)} labelled, ")[0] for line in team] == [
        "[31mred",
        "ana ben: 9 labelled",
    ]
    assert "\x1b" not in said


# --- tables that are no tables --------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"


def test_a_batch_that_is_a_view_is_refused(owl: Owl, batch: Path) -> None:
    change(
        batch,
        "ALTER TABLE batch RENAME TO real",
        "CREATE VIEW batch AS SELECT * FROM real",
    )
    assert "is not a table" in refused(owl, batch)


@pytest.mark.parametrize("table", ["gpkg_contents", "gpkg_metadata"])
def test_a_view_that_never_ends_is_stopped(table: str, owl: Owl, batch: Path) -> None:
    with closing(sqlite3.connect(batch)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(f"max(x) AS {name}" for name in columns)
    change(batch, f"DROP TABLE {table}", f"CREATE VIEW {table} AS {ENDLESS} {values} FROM c")
    assert "never ends" in refused(owl, batch)


def test_no_value_may_be_of_any_size(owl: Owl, batch: Path) -> None:
    change(
        batch,
        "DROP TABLE gpkg_metadata",
        "CREATE VIEW gpkg_metadata AS SELECT 1 AS id, 'urn:owl-geo:batch' AS md_standard_uri,"
        " hex(zeroblob(400000000)) AS metadata",
    )
    assert "too big" in refused(owl, batch)


def test_a_column_that_is_computed_is_none(owl: Owl, batch: Path) -> None:
    change(
        batch,
        "ALTER TABLE batch RENAME COLUMN comment TO old",
        "ALTER TABLE batch ADD COLUMN comment TEXT AS (hex(zeroblob(400000000)))",
    )
    assert "has no column 'comment'" in refused(owl, batch)


def test_triggers_of_a_batch_do_nothing_when_it_is_read(owl: Owl, batch: Path) -> None:
    change(
        batch,
        "CREATE TRIGGER attack BEFORE UPDATE ON batch BEGIN DELETE FROM batch; END",
        "CREATE TRIGGER more AFTER INSERT ON batch BEGIN SELECT load_extension('x'); END",
    )
    before = batch.read_bytes()
    assert len(read_batch(batch).answers) == 6
    assert batch.read_bytes() == before


def test_a_table_without_row_numbers_is_read(batch: Path) -> None:
    before = read_batch(batch).answers["label"].tolist()
    with closing(sqlite3.connect(batch)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(batch)")]
    names = ", ".join(columns)
    change(
        batch,
        "ALTER TABLE batch RENAME TO old",
        f"CREATE TABLE batch ({names}, PRIMARY KEY (rank)) WITHOUT ROWID",
        f"INSERT INTO batch SELECT {names} FROM old",
    )
    assert read_batch(batch).answers["label"].tolist() == before


def test_a_patch_that_comes_twice_is_refused(owl: Owl, batch: Path) -> None:
    change(batch, "UPDATE batch SET patch_id = (SELECT patch_id FROM batch WHERE rank = 1)")
    assert "twice" in refused(owl, batch)


# --- geometries and CRSs --------------------------------------------------------------------------

BLOBS: dict[str, object] = {
    "nothing": None,
    "a number": 7,
    "text": "POLYGON EMPTY",
    "noise": b"\x00" * 50,
    "a header alone": b"GP\x00\x01\xe6\x10\x00\x00",
    "not-a-number": b"GP\x00\x01\xe6\x10\x00\x00\x01\x01\x00\x00\x00" + b"\xff" * 16,
    "a ring of a billion points": b"GP\x00\x01\xe6\x10\x00\x00\x01\x03\x00\x00\x00\x01\x00\x00\x00"
    + b"\xff\xff\xff\x3f",
}


@pytest.mark.parametrize("name", BLOBS)
def test_a_broken_polygon_is_one_that_was_edited(name: str, batch: Path, answered: Path) -> None:
    change(batch, ("UPDATE batch SET geom = ? WHERE rank = 2", (BLOBS[name],)))
    assert read_batch(batch).answers["label"].notna().all()
    run = Run(answered)
    entry = run.rounds()[0]
    issued = {entry.batch_id: IssuedBatch(0, run.footprints(entry.patch_ids))}
    answers, notes = answers_of(
        read_batch(batch),
        run_batches=issued,
        classes=run.settings.classes,
        default_annotator="ana",
        now=datetime.now(UTC),
    )
    assert len(answers) == 6
    assert notes.edited == (entry.patch_ids[1],)


@pytest.mark.parametrize(
    "definition", ["nonsense", "", 'LOCAL_CS["mine",UNIT["metre",1]]', "(" * 10_000]
)
def test_a_crs_that_leads_nowhere_is_refused(definition: str, owl: Owl, batch: Path) -> None:
    with closing(sqlite3.connect(batch)) as connection:
        (number,) = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
    change(
        batch,
        (
            "UPDATE gpkg_spatial_ref_sys SET organization = 'x', definition = ? WHERE srs_id = ?",
            (definition, number),
        ),
    )
    assert "CRS" in refused(owl, batch)


# --- metadata -------------------------------------------------------------------------------------

METADATA: dict[str, Callable[[], str]] = {
    "deep": lambda: "[" * 100_000 + "]" * 100_000,
    "a list": lambda: "[1, 2]",
    "a number": lambda: "7",
    "classes that are none": lambda: json.dumps({"classes": 5}),
    "classes of numbers": lambda: json.dumps({"classes": [1, 2]}),
    "positive that is none": lambda: json.dumps({"classes": ["a"], "positive": ["a"]}),
    "a number of too many digits": lambda: '{"layout": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_is_damaged_is_refused(name: str, owl: Owl, batch: Path) -> None:
    change(batch, ("UPDATE gpkg_metadata SET metadata = ?", (METADATA[name](),)))
    assert "metadata are damaged" in refused(owl, batch)
