"""Answers beside the batch: to places that somebody noticed, and over somebody else's."""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from in_process import owl  # noqa: F401 - a fixture
from rasters import ORIGIN, coordinates, write_raster
from searches import editing, label

from owl_geo import Run, ingest, init, query, status
from owl_geo.disk import gpkg
from owl_geo.errors import BatchError
from owl_geo.schema import BATCH_INFO_QUERY, GRID_URI

DAY = "2026-03-0{}T10:00:00Z"


def scene(folder: Path) -> Path:
    """A scene of 8 x 8 patches, the last four of which have no pixels."""
    values = coordinates(64, 64, bands=2) + np.uint16(1)
    values[:, 56:, 32:] = 0
    return write_raster(folder / "a.tif", values, nodata=0, descriptions=("red", "nir"))


def made(folder: Path, **tables: Any) -> Run:
    source = {
        "kind": "geotiff",
        "scenes": [{"name": "a", "path": str(scene(folder))}],
        "patch_size": 8,
    }
    loop = {"initial": 6, "batch_size": 4}
    return init(folder / "run", {"source": source, "loop": loop, **tables}).run


def batch_of(run: Run) -> Path:
    return run.batch_path(query(run).number)


def rest(run: Run) -> list[str]:
    """The patches that no batch has asked."""
    asked = {patch for entry in run.rounds() for patch in entry.patch_ids}
    return [patch for patch in run.patches["patch_id"] if patch not in asked]


def notice(batch: Path, run: Run, patch: str, word: str | None, **values: Any) -> None:
    """Add a row without a rank, as the plugin does."""
    row = {"patch_id": patch, "label": word, "annotator": "ana", "labelled_at": DAY.format(1)}
    with editing(batch) as connection:
        # of the first row, as the plugin does: the batch, its round, the scene
        (fixed,) = connection.execute("SELECT batch_id, round FROM batch LIMIT 1").fetchall()
        row |= {"batch_id": fixed[0], "round": fixed[1], "scene": "a"} | values
        known = run.patches["patch_id"].isin([patch]).any()
        polygon = run.footprints([patch]).iloc[0] if known else shapely.box(0, 0, 1, 1)
        row.setdefault("geom", gpkg.to_blobs([polygon], 32631)[0])
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO batch ({names}) VALUES ({marks})", tuple(row.values()))


def test_a_batch_knows_the_pool_but_for_what_tests_the_model(tmp_path: Path) -> None:
    boxes = gpd.GeoDataFrame({"v": ["1"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32631")
    x, y = ORIGIN
    boxes.geometry = [shapely.box(x, y - 640, x + 320, y)]
    boxes.to_file(tmp_path / "truth.gpkg", layer="truth")
    oracle = {"path": str(tmp_path / "truth.gpkg"), "column": "v", "values": {"present": ["1"]}}
    run = made(tmp_path, oracle=oracle, evaluation={"block_size": 2})
    batch = batch_of(run)
    with closing(sqlite3.connect(batch)) as connection:
        ((text,),) = connection.execute(BATCH_INFO_QUERY, (GRID_URI,)).fetchall()
    (grid,) = json.loads(text)["scenes"]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(grid["pool"])), np.uint8)
    rows, cols = np.nonzero(np.unpackbits(bits).reshape(8, 8))
    places = {f"a/{row * 8}/{col * 8}" for row, col in zip(rows, cols, strict=True)}
    truth = run.truth
    assert truth is not None and truth["held_out"].any()
    assert places == set(truth["patch_id"][~truth["held_out"]])
    assert not any(place.startswith(("a/56/32", "a/56/56")) for place in places)
    # an answer to one that tests the model is left out, and counted
    held_out = truth["patch_id"][truth["held_out"]].iloc[0]
    notice(batch, run, held_out, "present")
    notice(batch, run, next(patch for patch in rest(run) if patch in places), "absent")
    (done,) = ingest(run, [batch], annotator="x")
    assert (done.counts, done.noticed, done.held_out, done.new) == ({"absent": 1}, 1, 1, 1)
    assert held_out not in set(run.labels.history()["patch_id"])


def test_noticed_places_are_answers_like_all_others(tmp_path: Path, owl) -> None:  # noqa: F811
    run = made(tmp_path)
    first = batch_of(run)
    one, two, three = rest(run)[:3]
    notice(first, run, one, "present", comment="seen beside")
    notice(first, run, two, None)  # taken back
    (done,) = ingest(run, [first], annotator="x")
    assert (done.counts, done.noticed, done.unanswered) == ({"present": 1}, 1, 6)
    history = run.labels.history()
    assert history[["patch_id", "label", "batch_id", "round", "comment"]].values.tolist() == [
        [one, "present", "noticed", 0, "seen beside"]
    ]
    # that alone does not answer the batch
    assert query(run).number == 0
    label(first, {run.rounds()[0].patch_ids[0]: "absent"})
    notice(first, run, three, "present")
    shown = owl("ingest", run.path, first).out
    assert "1 absent, 2 present (2 noticed beside the batch), 5 unanswered; 2 new" in shown
    (again,) = ingest(run, [first], annotator="x")
    assert (again.new, again.unchanged) == (0, 3)
    entry = query(run)
    assert entry.number == 1 and entry.metrics.n_labeled == 3
    assert entry.metrics.positives_found == 2
    assert not {one, three} & set(entry.patch_ids)


def test_a_noticed_place_that_is_not_of_the_run(tmp_path: Path) -> None:
    run = made(tmp_path)
    batch = batch_of(run)
    notice(batch, run, "a/56/32", "present")  # has no pixels
    with pytest.raises(BatchError, match="not among the patches of the run: 'a/56/32'"):
        ingest(run, [batch], annotator="x")


def test_noticed_places_are_never_taken_for_the_audit(tmp_path: Path) -> None:
    run = made(tmp_path, acquisition={"audit_share": 1.0})
    first = batch_of(run)
    drawn, other, *_ = run.rounds()[0].patch_ids
    label(first, {other: "absent"})
    ingest(run, [first], annotator="x")
    assert status(run).left.n_audit == 1
    # one that an audit drew in vain, and one that none drew
    second = batch_of(run)
    beside = rest(run)[0]
    for patch in (drawn, beside):
        notice(second, run, patch, "present")
    ingest(run, [second], annotator="x")
    left = status(run).left
    assert (left.n_audit, left.n_found, left.n_answered) == (1, 2, 3)


# an empty polygon, as QGIS writes it for a row without one where it saves a batch to another file
EMPTY = bytes.fromhex("47500011 777f0000 01 03000000 00000000")


@pytest.mark.parametrize("polygon", [None, EMPTY], ids=["none", "empty"])
def test_a_replaced_answer_of_another_stays_in_the_history(
    polygon: bytes | None, tmp_path: Path
) -> None:
    run = made(tmp_path)
    batch = batch_of(run)
    patch = run.rounds()[0].patch_ids[0]
    label(batch, {patch: "present"}, "bob")
    notice(batch, run, patch, "absent", geom=polygon)
    (done,) = ingest(run, [batch], annotator="x")
    assert (done.counts, done.replaced, done.new) == ({"present": 1}, 1, 2)
    history = run.labels.history()
    assert history[["label", "annotator", "batch_id"]].values.tolist() == [
        ["absent", "ana", f"{run.settings.run_id}-000"],
        ["present", "bob", f"{run.settings.run_id}-000"],
    ]


def test_an_answer_that_is_changed_in_an_older_batch_counts(tmp_path: Path) -> None:
    run = made(tmp_path)
    first = batch_of(run)
    patch, other, *_ = run.rounds()[0].patch_ids
    label(first, {patch: "absent", other: "absent"})
    ingest(run, [first], annotator="x")
    second = batch_of(run)
    with editing(first) as connection:
        change = "UPDATE batch SET label = 'present', labelled_at = ? WHERE patch_id = ?"
        connection.execute(change, (DAY.format(5), patch))
    done = ingest(run, [second, first], annotator="x")
    assert [one.new for one in done] == [0, 1]
    current = run.labels.current().set_index("patch_id")["label"]
    assert (current[patch], current[other]) == ("present", "absent")
