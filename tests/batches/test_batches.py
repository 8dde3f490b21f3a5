"""Batches as files: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from chosen import CONCEPTS, chosen_patches
from hypothesis import given
from hypothesis import strategies as st

from owl_geo import schema
from owl_geo.batches import (
    BatchFile,
    IssuedBatch,
    Notes,
    answers_of,
    count_answers,
    read_batch,
    warn_of,
    write_batch,
)
from owl_geo.batches.style import batch_style, decimals_of
from owl_geo.disk import gpkg
from owl_geo.errors import BatchError
from owl_geo.types import Answer, ShownRaster, ShownScene

CLASSES = ("absent", "present")
NOW = datetime(2026, 5, 1, 12, 0, 0, 999, tzinfo=UTC)


def written(path: Path, patches: gpd.GeoDataFrame | None = None, **changes: object) -> Path:
    options = {
        "classes": CLASSES,
        "positive": "present",
        "concepts": CONCEPTS,
        "batch_id": "run-001",
        "round": 1,
    }
    write_batch(path, chosen_patches(6) if patches is None else patches, **{**options, **changes})
    return path


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return written(tmp_path / "batch.gpkg")


def rows(path: Path, query: str, *values: object) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def change(path: Path, statement: str, *values: object) -> None:
    """Edit a file as another program would; the triggers need functions that only GDAL has."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'batch'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute(statement, values)


# --- writing --------------------------------------------------------------------------------------


def test_columns_have_the_order_and_types_of_the_contract(batch: Path) -> None:
    columns = [(row[1], row[2]) for row in rows(batch, "PRAGMA table_info(batch)")]
    assert columns == [
        ("fid", "INTEGER"),
        ("geom", "POLYGON"),
        ("patch_id", "TEXT"),
        ("rank", "INTEGER"),
        ("score", "REAL"),
        ("uncertainty", "REAL"),
        ("relevance", "REAL"),
        ("probability", "REAL"),
        ("land_cover", "TEXT"),
        ("dist_industrial", "REAL"),
        ("urban", "BOOLEAN"),
        ("label", "TEXT"),
        ("annotator", "TEXT"),
        ("comment", "TEXT"),
        ("labelled_at", "TEXT"),
        ("scene", "TEXT"),
        ("scene_crs", "TEXT"),
        ("batch_id", "TEXT"),
        ("round", "INTEGER"),
    ]


def test_values_come_back_and_gaps_are_null(batch: Path) -> None:
    patches = chosen_patches(6)
    table = gpd.read_file(batch, layer="batch")
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["patch_id"].tolist() == patches["patch_id"].tolist()
    np.testing.assert_array_equal(table["score"], patches["score"])
    assert table["urban"].tolist() == patches["urban"].tolist()
    assert table.geometry.geom_equals(patches.geometry).all()
    assert table.crs == "EPSG:32631"
    nulls = rows(
        batch,
        "SELECT rank FROM batch WHERE dist_industrial IS NULL AND probability IS NULL"
        " AND label IS NULL AND annotator IS NULL AND comment IS NULL AND labelled_at IS NULL",
    )
    assert nulls == [(2,)]


def test_scenes_are_named_in_the_metadata(tmp_path: Path, batch: Path) -> None:
    stretch = ((0.0, 400.5), (1.0, 2.0), (3.0, 4.0))
    scenes = [
        ShownScene("a", "natural", ("/d/a.tif",), (3, 2, 1), stretch, ("nir", "blue")),
        ShownScene("a", "false", ("/d/n.tif", "/d/a.tif", "/d/a.tif"), (1, 3, 2), stretch, ()),
    ]
    path = written(tmp_path / "scenes.gpkg", scenes=scenes, patch_size=8)
    (text,) = rows(path, schema.BATCH_INFO_QUERY, schema.SHOWN_URI)[0]
    of_all = [[0, 400.5], [1, 2], [3, 4]]
    ways = [
        ("a", "natural", ["/d/a.tif"], [3, 2, 1], of_all, ["nir", "blue"]),
        ("a", "false", ["/d/n.tif", "/d/a.tif", "/d/a.tif"], [1, 3, 2], of_all, []),
    ]
    keys = ("scene", "colours", "paths", "bands", "stretch", "unknown")
    assert json.loads(text) == {"scenes": [dict(zip(keys, way, strict=True)) for way in ways]}
    # one layer, so that QGIS need not ask which table is meant
    assert gpd.list_layers(path)["name"].tolist() == [schema.BATCH_LAYER, "layer_styles"]
    (text,) = rows(path, schema.BATCH_INFO_QUERY, schema.BATCH_INFO_URI)[0]
    assert json.loads(text)["patch_size"] == 8
    # a batch without them is as it always was
    (text,) = rows(batch, schema.BATCH_INFO_QUERY, schema.BATCH_INFO_URI)[0]
    assert "patch_size" not in json.loads(text)
    assert rows(batch, schema.BATCH_INFO_QUERY, schema.SHOWN_URI) == []


def test_no_label_tints_what_is_judged() -> None:
    classes = tuple(f"class {number}" for number in range(8))
    qgis = ElementTree.fromstring(batch_style(("fid", "label"), classes, classes[1], []))
    layers = qgis.findall(".//symbol/layer")
    assert {layer.get("class") for layer in layers} == {"SimpleLine"}

    def line(place: int) -> tuple[str | None, ...]:
        symbol = qgis.findall(".//symbol")[place]
        options = {one.get("name"): one.get("value") for one in symbol.iter("Option")}
        return options["line_color"], options["line_style"]

    colours = [line(place) for place in range(len(classes))]
    assert len(set(colours)) == len(classes)  # where colours repeat, lines are dashed
    assert {style for _, style in colours[:6]} == {"solid"}


def test_concepts_have_words_units_and_decimals_in_plain_qgis() -> None:
    columns = ("fid", "patch_id", "dist_industrial", "slope", "built_up", "label")
    style = batch_style(
        columns,
        CLASSES,
        "present",
        ["dist_industrial", "slope", "built_up"],
        units={"dist_industrial": "m", "built_up": "%"},
        decimals={"dist_industrial": 0, "slope": 1, "built_up": 3},
    )
    qgis = ElementTree.fromstring(style)
    aliases = {one.get("field"): one.get("name") for one in qgis.findall("aliases/alias")}
    assert aliases["dist_industrial"] == "Distance to industrial (m)"
    assert aliases["slope"] == "Slope"
    assert aliases["built_up"] == "Built up (0 to 1)"
    for name, decimals in {"dist_industrial": "0", "slope": "1", "uncertainty": "3"}.items():
        (widget,) = qgis.findall(f".//fieldConfiguration/field[@name='{name}']/editWidget")
        options = {one.get("name"): one.get("value") for one in widget.iter("Option")}
        assert (widget.get("type"), options["Precision"]) == ("Range", decimals)
    tip = qgis.findtext("mapTip") or ""
    assert 'round("dist_industrial", 0)' in tip


@pytest.mark.parametrize(
    ("values", "decimals"),
    [((1234.5, None), 0), ((99.0,), 1), ((-5.0, 0.1), 2), ((0.5, float("nan")), 3), ((), 3)],
)
def test_three_digits_count(values: tuple[float | None, ...], decimals: int) -> None:
    assert decimals_of(values) == decimals


def test_views_are_named_in_a_table_of_attributes(tmp_path: Path, batch: Path) -> None:
    views = [
        ShownRaster("before", ("/a/it's.tif",), (3, 2, 1), ((0.25, 9), (-1, 2.5), (1e-7, 123456))),
        ShownRaster("before", ("/a/B4.jp2", "/a/B3.jp2", "/a/B2.jp2"), (1, 1, 1), ((0, 1),) * 3),
        ShownRaster("height", ("/vsicurl/https://x.org/dem.tif",), (2,), ((-3, 8),)),
    ]
    path = written(tmp_path / "views.gpkg", views=views)
    assert rows(path, "SELECT name, path, bands, stretch FROM views ORDER BY fid") == [
        ("before", "/a/it's.tif", "3,2,1", "0.25 9,-1 2.5,1e-07 123456"),
        ("before", "/a/B4.jp2\n/a/B3.jp2\n/a/B2.jp2", "1,1,1", "0 1,0 1,0 1"),
        ("height", "/vsicurl/https://x.org/dem.tif", "2", "-3 8"),
    ]
    kinds = "SELECT data_type FROM gpkg_contents WHERE table_name = 'views'"
    assert rows(path, kinds) == [("attributes",)]
    assert rows(batch, kinds) == []
    # the rest of the file is as it was
    for table in ("batch", "layer_styles", "gpkg_metadata", "gpkg_extensions"):
        names = [row[1] for row in rows(path, f"PRAGMA table_info({table})")]
        query = f"SELECT {', '.join(n for n in names if n != 'update_time')} FROM {table}"
        assert rows(path, query) == rows(batch, query)
    pd.testing.assert_frame_equal(read_batch(path).answers, read_batch(batch).answers)
    assert pyogrio.list_layers(path).tolist()[0] == ["batch", "Polygon"]


def test_a_boolean_concept_keeps_its_type_with_gaps(tmp_path: Path) -> None:
    patches = chosen_patches(3)
    patches["urban"] = pd.Series([True, None, False], dtype=object)
    path = written(tmp_path / "b.gpkg", patches)
    assert rows(path, "SELECT urban FROM batch ORDER BY rank") == [(1,), (None,), (0,)]
    assert ("urban", "BOOLEAN") in [row[1:3] for row in rows(path, "PRAGMA table_info(batch)")]


def test_the_file_is_geopackage_1_3_with_a_spatial_index(batch: Path) -> None:
    assert rows(batch, "PRAGMA user_version") == [(10300,)]
    assert pyogrio.read_info(batch, layer="batch")["capabilities"]["fast_spatial_filter"]
    assert rows(batch, "SELECT count(*) FROM rtree_batch_geom") == [(6,)]
    contents = rows(batch, "SELECT table_name, data_type FROM gpkg_contents ORDER BY 1")
    assert contents == [("batch", "features"), ("layer_styles", "attributes")]


def test_it_stands_alone_in_its_folder(batch: Path) -> None:
    assert [entry.name for entry in batch.parent.iterdir()] == ["batch.gpkg"]


def test_other_programs_find_the_classes_in_the_metadata(batch: Path) -> None:
    query, uri = schema.BATCH_INFO_QUERY, schema.BATCH_INFO_URI
    info = json.loads(rows(batch, query, uri)[0][0])
    assert info == {
        "layout": 1,
        "batch_id": "run-001",
        "round": 1,
        "classes": ["absent", "present"],
        "positive": "present",
    }
    assert tuple(info) == schema.BATCH_INFO_KEYS
    assert rows(batch, "SELECT reference_scope, table_name FROM gpkg_metadata_reference") == [
        ("table", "batch")
    ]


def test_a_batch_is_never_written_over(batch: Path) -> None:
    before = batch.read_bytes()
    with pytest.raises(BatchError, match=r"batch\.gpkg exists; a batch is never overwritten"):
        written(batch)
    assert batch.read_bytes() == before


def test_nothing_is_left_of_a_batch_that_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"cannot write the batch .*No such file or directory"):
        written(tmp_path / "missing" / "batch.gpkg")
    assert list(tmp_path.iterdir()) == []


FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from test_batches import written
from owl_geo.errors import BatchError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in range(4096, 200_000, 12_288):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    path = Path(sys.argv[1]) / f"{limit}.gpkg"
    try:
        written(path)
    except BatchError as error:
        assert "\\n" not in str(error)
        print("refused")
    else:
        print("written", path.name)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_full_disk_leaves_no_half_batch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "helpers")},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "refused" and lines[-1] != "refused"
    names = {line.split()[1] for line in lines if line != "refused"}
    assert {entry.name for entry in tmp_path.iterdir()} == names
    for name in names:
        assert len(read_batch(tmp_path / name).answers) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a", "b\x07")}, "QGIS cannot show"),
        ({"concepts": ("Score",)}, "'Score' would be a second column"),
        ({"concepts": ("urban", "URBAN")}, "'URBAN' would be a second column"),
        ({"concepts": ("forest",)}, "no column 'forest'"),
    ],
)
def test_what_makes_no_batch_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    patches = chosen_patches(2)
    patches["Score"] = patches["URBAN"] = 1.0
    with pytest.raises(BatchError, match=message):
        written(tmp_path / "b.gpkg", patches, **changes)


def test_a_patch_chosen_twice_is_refused(tmp_path: Path) -> None:
    twice = chosen_patches(3).iloc[[0, 1, 1]]
    with pytest.raises(BatchError, match="'scene/0/32' was chosen twice"):
        written(tmp_path / "b.gpkg", twice)


# --- style ----------------------------------------------------------------------------------------


def test_the_style_is_the_layers_default(batch: Path) -> None:
    found = rows(
        batch,
        "SELECT styleQML FROM layer_styles WHERE useAsDefault = 1 AND f_table_name = 'batch'"
        " AND f_geometry_column = 'geom' AND f_table_schema = ''",
    )
    style = ElementTree.fromstring(found[0][0])
    values = [category.get("value") for category in style.iter("category")]
    assert values == ["absent", "present", "unsure", "skip", ""]
    assert '"score"' not in style.findtext("mapTip")  # by which an audit's patch could be told


def test_the_form_names_every_reason_for_the_choice(batch: Path) -> None:
    with closing(sqlite3.connect(batch)) as connection:
        (qml,) = connection.execute("SELECT styleQML FROM layer_styles").fetchone()
    titles = {
        alias.get("field"): alias.get("name") for alias in ElementTree.fromstring(qml).iter("alias")
    }
    reasons = {column.name: column.title for column in schema.WHY_COLUMNS}
    assert {name: titles[name] for name in reasons} == {
        **reasons,
        "probability": "Probability of present",
    }


def test_the_form_of_a_batch_without_a_newer_column() -> None:
    columns = ["patch_id", "rank", "score", *schema.BATCH_COLUMNS_AFTER]
    style = ElementTree.fromstring(batch_style(columns, CLASSES, "present", []))
    shown = [field.get("name") for field in style.iter("attributeEditorField")]
    assert sorted(shown) == sorted(columns)


printable = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


classes = printable.filter(lambda name: name not in schema.RESERVED_LABELS)


@given(st.lists(classes, min_size=2, max_size=20, unique=True), printable)
def test_any_class_name_makes_a_well_formed_style(names: list[str], concept: str) -> None:
    columns = [*schema.BATCH_COLUMNS_BEFORE, concept, *schema.BATCH_COLUMNS_AFTER]
    style = ElementTree.fromstring(batch_style(columns, tuple(names), names[-1], [concept]))
    values = [category.get("value") for category in style.iter("category")]
    assert values == [*names, "unsure", "skip", ""]
    shown = [entry.get("name") for entry in style.findall(".//Option[@name='map']/Option/Option")]
    assert shown == ["(not answered)", *names, "unsure", "skip"]
    looks = {
        ElementTree.tostring(symbol).split(b">", 1)[1] for symbol in style.findall(".//symbol")
    }
    assert len(looks) == len(names) + 3


# --- reading --------------------------------------------------------------------------------------


def test_a_batch_is_read_as_it_was_written(batch: Path) -> None:
    found = read_batch(batch)
    assert (found.path, found.classes, found.positive) == (batch, CLASSES, "present")
    assert found.crs == "EPSG:32631" == found.answers.crs
    assert found.answers["patch_id"].tolist() == chosen_patches(6)["patch_id"].tolist()
    assert found.answers["label"].isna().all()
    assert found.answers.geometry.geom_equals(chosen_patches(6).geometry).all()


@pytest.mark.parametrize("name", ["a batch.gpkg", "50%.gpkg", "a#b?c=d&e.gpkg", "Łódź 村.gpkg"])
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    assert len(read_batch(written(tmp_path / name)).answers) == 6


def test_a_crs_without_a_code_comes_back(tmp_path: Path) -> None:
    crs = "+proj=laea +lat_0=10 +lon_0=7 +ellps=GRS80"
    path = written(tmp_path / "b.gpkg", chosen_patches(2, crs=crs))
    assert read_batch(path).crs == crs


def test_reading_changes_nothing_and_sees_what_an_editor_has_committed(batch: Path) -> None:
    before = batch.read_bytes()
    with closing(sqlite3.connect(batch)) as editor:
        for (name,) in editor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'batch'"
        ).fetchall():
            editor.execute(f'DROP TRIGGER "{name}"')
        editor.execute("PRAGMA journal_mode = WAL")
        editor.execute("UPDATE batch SET label = 'present' WHERE rank = 1")
        editor.commit()
        editor.execute("UPDATE batch SET label = 'absent' WHERE rank = 2")
        assert batch.with_name("batch.gpkg-wal").exists()
        assert read_batch(batch).answers["label"].tolist()[:2] == ["present", None]
        editor.rollback()
    assert batch.read_bytes() != before
    before = batch.read_bytes()
    read_batch(batch)
    assert batch.read_bytes() == before


CUT_OFF = """
import os, sqlite3, sys
editor = sqlite3.connect(sys.argv[1])
editor.execute("PRAGMA cache_size = 1")
editor.execute("CREATE TABLE filler (text TEXT)")
editor.execute("BEGIN")
editor.executemany("INSERT INTO filler VALUES (?)", [("x" * 500,)] * 2000)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_an_edit_that_was_cut_off_is_said_and_left_to_qgis(batch: Path) -> None:
    subprocess.run([sys.executable, "-c", CUT_OFF, str(batch)], check=False)
    with pytest.raises(BatchError, match="an edit that was interrupted; open it once in QGIS"):
        read_batch(batch)


def no_batch(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.gpkg"
    if kind == "text":
        path.write_text("patch_id,label\n", encoding="utf-8")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", "b")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "sqlite":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE batch (label)")
    elif kind == "truncated":
        whole = written(tmp_path / "whole.gpkg").read_bytes()
        path.write_bytes(whole[: len(whole) // 3])
    elif kind == "layer":
        chosen_patches(2).to_file(path, layer="patches", driver="GPKG")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "does not exist"),
        ("text", "is a text file, not a GeoPackage"),
        ("zip", "is a zip archive, not a GeoPackage"),
        ("empty", "is an empty file, not a GeoPackage"),
        ("folder", "is a folder"),
        ("sqlite", "is an SQLite database, not a GeoPackage"),
        ("truncated", "cannot read .*malformed"),
        ("layer", "has no layer 'batch'; it has patches"),
    ],
)
def test_what_is_no_batch_is_named(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(BatchError, match=message) as caught:
        read_batch(no_batch(tmp_path, kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE batch RENAME COLUMN label TO Labels", "no column 'label'.*mean 'Labels'"),
        ("UPDATE batch SET patch_id = 'scene/0/0'", "has 'scene/0/0' twice"),
        ("UPDATE batch SET patch_id = ' ' WHERE rank > 4", "2 rows have no patch_id"),
        ("UPDATE gpkg_metadata SET metadata = '[1'", "classes in its metadata are damaged"),
        ("UPDATE batch SET patch_id = NULL WHERE rank = 1", "1 row has no patch_id"),
    ],
)
def test_a_damaged_table_is_refused(batch: Path, statement: str, message: str) -> None:
    change(batch, statement)
    with pytest.raises(BatchError, match=message):
        read_batch(batch)


def test_a_copy_saved_by_another_program_is_read(batch: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    gpd.read_file(batch, layer="batch").to_crs(4326).to_file(copy, layer="batch", driver="GPKG")
    found = read_batch(copy)
    assert found.classes == () and found.positive is None
    assert len(found.answers) == 6


def test_a_batch_exported_under_another_layer_name_is_read(batch: Path, tmp_path: Path) -> None:
    change(batch, "UPDATE batch SET label = 'present', annotator = 'ana' WHERE rank = 2")
    exported = tmp_path / "exported.gpkg"
    table = gpd.read_file(batch, layer="batch")
    table.to_file(exported, layer="my answers", driver="GPKG")
    chosen_patches(2).to_file(exported, layer="notes", driver="GPKG")
    pd.testing.assert_frame_equal(
        pd.DataFrame(read_batch(exported).answers.drop(columns="geometry")),
        pd.DataFrame(read_batch(batch).answers.drop(columns="geometry")),
    )
    table.to_file(exported, layer="once more", driver="GPKG")
    with pytest.raises(BatchError, match="no layer 'batch'; it has my answers, notes, once more"):
        read_batch(exported)


@given(st.lists(st.floats(-1e7, 1e7), min_size=4, max_size=4), st.sampled_from([0, 4326, 100000]))
def test_geometry_blobs_come_back(box: list[float], srs_id: int) -> None:
    polygon = shapely.box(*box)
    assert gpkg.from_blobs(gpkg.to_blobs([polygon], srs_id))[0] == polygon


def test_what_is_no_geometry_blob_is_none() -> None:
    broken = [None, b"", b"GP", b"GP\x00\x01\x00\x00\x00\x00", b"GP\x00\x01\x00\x00\x00\x00rest", 3]
    assert gpkg.from_blobs(broken).tolist() == [None] * 6


# --- answers --------------------------------------------------------------------------------------


def take_in(path: Path | BatchFile, **changes: object) -> tuple[list[Answer], Notes]:
    patches = chosen_patches(6).set_index("patch_id")
    options = {
        "run_batches": {"run-001": IssuedBatch(round=1, footprints=patches.geometry)},
        "classes": CLASSES,
        "default_annotator": "ann",
        "now": NOW,
    }
    options |= changes
    batch = read_batch(path)
    answers, notes = answers_of(batch, **options)
    warn_of(batch, answers, notes, options["now"])
    return answers, notes


def test_rows_with_a_label_become_answers(batch: Path) -> None:
    change(batch, "UPDATE batch SET label = 'present', comment = ' a mill ' WHERE rank = 2")
    change(
        batch,
        "UPDATE batch SET label = 'unsure', annotator = 'bo', labelled_at = ? WHERE rank = 5",
        "2026-04-01T14:00:00.25+02:00",
    )
    change(batch, "UPDATE batch SET label = '  ', comment = 'hm' WHERE rank = 3")
    answers, notes = take_in(batch)
    assert answers == [
        Answer(
            "scene/0/32", "present", "ann", "2026-05-01T12:00:00Z", "run-001", 1, "a mill", False
        ),
        Answer("scene/32/0", "unsure", "bo", "2026-04-01T12:00:00Z", "run-001", 1, None, True),
    ]
    assert count_answers(batch) == len(answers)
    left = ("scene/0/0", "scene/0/64", "scene/0/96", "scene/32/32")
    blank = tuple((patch, "run-001", "ann") for patch in left)
    assert notes == Notes(blank=blank, unstamped=1, edited=())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2026-04-01T12:00:00Z", "2026-04-01T12:00:00Z"),
        ("2026-04-01 12:00:00", "2026-04-01T12:00:00Z"),
        ("2026-04-01T01:30:00+05:30", "2026-03-31T20:00:00Z"),
        ("2026-04-01", "2026-04-01T00:00:00Z"),
    ],
)
def test_times_are_kept_as_utc(batch: Path, text: str, kept: str) -> None:
    change(batch, "UPDATE batch SET label = 'skip', labelled_at = ? WHERE rank = 1", text)
    assert take_in(batch)[0][0].labelled_at == kept


def test_now_may_be_of_any_zone(batch: Path) -> None:
    change(batch, "UPDATE batch SET label = 'skip' WHERE rank = 1")
    local = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert take_in(batch, now=local)[0][0].labelled_at == "2026-05-01T12:00:00Z"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SET batch_id = 'other-007'", "is batch 'other-007' of another run; .*'run-001'"),
        ("SET batch_id = NULL", "is batch None of another run"),
        (
            "SET patch_id = 'x/' || rank",
            "patches of batch 'run-001': 'x/1', 'x/2', 'x/3' and 3 more; rem",
        ),
        ("SET label = 'Present' WHERE rank = 2", "'scene/0/32'.*'Present'.*did you mean 'present'"),
        ("SET label = 'present ' WHERE rank = 2", "'present ', which is not a label"),
        (
            "SET label = 'x' WHERE rank < 4",
            "'x', which is not a label.* .and 2 more.; known: absent",
        ),
        (
            "SET label = 'skip', labelled_at = 'today'",
            "'scene/0/0' is 'today', .*not a time",
        ),
        (
            "SET label = 'skip', labelled_at = '9999-12-31T23:00:00-05:00'",
            "-05:00', .*not a time",
        ),
        ("SET label = 'skip', labelled_at = '0001-01-01T00:00:00+05:00'", "not a time"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(batch: Path, statement: str, message: str) -> None:
    change(batch, f"UPDATE batch {statement}")
    with pytest.raises(BatchError, match=message) as caught:
        take_in(batch)
    assert "\n" not in str(caught.value)


def test_a_run_without_batches_says_so(batch: Path) -> None:
    with pytest.raises(BatchError, match="this run has none yet"):
        take_in(batch, run_batches={})


def test_an_edited_polygon_is_only_noted(batch: Path, caplog: pytest.LogCaptureFixture) -> None:
    moved, srs_id = shapely.box(5e5 + 1, 5.6e6 - 320, 5e5 + 321, 5.6e6), 32631
    blob = gpkg.to_blobs([moved], srs_id)[0]
    change(batch, "UPDATE batch SET geom = ?, label = 'absent' WHERE rank = 1", blob)
    change(batch, "UPDATE batch SET geom = NULL WHERE rank = 2")
    with caplog.at_level(logging.WARNING, logger="owl_geo"):
        answers, notes = take_in(batch)
    assert [answer.patch_id for answer in answers] == ["scene/0/0"]
    assert notes.edited == ("scene/0/0", "scene/0/32")
    assert "'scene/0/0', 'scene/0/32' was edited" in caplog.text


def test_a_copy_in_another_crs_is_not_an_edit(batch: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gpkg"
    gpd.read_file(batch, layer="batch").to_crs(4326).to_file(copy, layer="batch", driver="GPKG")
    assert take_in(copy)[1].edited == ()


def test_where_file_or_run_has_no_crs_the_coordinates_are_compared_as_they_are(batch: Path) -> None:
    own = chosen_patches(6).set_index("patch_id").geometry
    without = IssuedBatch(round=1, footprints=own.set_crs(None, allow_override=True))
    assert take_in(batch, run_batches={"run-001": without})[1].edited == ()
    change(batch, "UPDATE gpkg_geometry_columns SET srs_id = -1")
    assert read_batch(batch).crs is None
    for issued in (without, IssuedBatch(round=1, footprints=own)):
        assert take_in(batch, run_batches={"run-001": issued})[1].edited == ()
    moved = gpkg.to_blobs([shapely.box(0, 0, 1, 1)], -1)[0]
    change(batch, "UPDATE batch SET geom = ? WHERE rank = 1", moved)
    assert take_in(batch)[1].edited == ("scene/0/0",)


def test_a_copied_file_is_the_same_batch(batch: Path, tmp_path: Path) -> None:
    change(batch, "UPDATE batch SET label = 'present'")
    copy = Path(shutil.copy(batch, tmp_path / "from a colleague.gpkg"))
    assert take_in(copy)[0] == take_in(batch)[0]
