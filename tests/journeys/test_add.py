"""Scenes that are added to a run, and scenes that fail among others."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from in_process import Owl
from rasterio.transform import from_origin
from rasters import ORIGIN, coordinates, write_raster
from scene_windows import pool_at
from searches import label

from owl_geo import Run, add, ingest, init, predict, query, status
from owl_geo.acquisition.relevance import learn_relevance
from owl_geo.concepts.encoding import encode
from owl_geo.disk import atomic
from owl_geo.errors import ConfigError, LayerError, RunError, SourceError
from owl_geo.evaluation.simulate import simulate
from owl_geo.measures.audit import Outlook
from owl_geo.settings.truth import EvaluationSettings
from owl_geo.truth.held_out import Before, hold_out_more
from owl_geo.verbs.update import update

SIZE = 8  # pixels; a scene of 64 pixels has 64 patches


def scene(folder: Path, name: str, east: int = 0, *, bands: int = 2, **options: Any) -> Path:
    """A scene ``east`` scenes to the east of the first; values differ from scene to scene."""
    values = coordinates(64, 64, bands=bands) * 10 + np.uint16(100 * east)
    place = from_origin(ORIGIN[0] + 640 * east, ORIGIN[1], 10, 10)
    descriptions = ("red", "nir", "swir1")[:bands]
    return write_raster(
        folder / f"{name}.tif",
        values,
        **{"transform": place, "descriptions": descriptions} | options,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three scenes side by side, and a layer over them all."""
    for east, name in enumerate("abc"):
        scene(tmp_path / "tiles", name, east)
    x, y = ORIGIN
    boxes = [shapely.box(x + 300, y - 640, x + 900, y), shapely.box(x + 1500, y - 640, x + 1920, y)]
    land = gpd.GeoDataFrame({"use": ["wood", "town"]}, geometry=boxes, crs="EPSG:32631")
    land.to_crs(4326).to_file(tmp_path / "land.gpkg", layer="land")
    return tmp_path


def settings(folder: Path, *names: str, **tables: Any) -> Mapping[str, Any]:
    return {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": n, "path": str(folder / "tiles" / f"{n}.tif")} for n in names],
            "patch_size": SIZE,
        },
        "layers": {"land": {"path": str(folder / "land.gpkg")}},
        "concepts": {
            "use": {"kind": "category", "layer": "land", "column": "use"},
            "far": {"kind": "distance", "layer": "land"},
            "wood": {"kind": "equals", "of": "use", "value": "wood"},
        },
        "loop": {"initial": 6, "batch_size": 4},
        **tables,
    }


def tile(folder: Path, name: str) -> str:
    return str(folder / "tiles" / f"{name}.tif")


def answered(run: Run, path: Path) -> None:
    """Ask a batch and answer it, half of it present."""
    entry = query(run)
    batch = run.batch_path(entry.number)
    label(batch, {p: ("present", "absent")[i % 2] for i, p in enumerate(entry.patch_ids)})
    ingest(Run(path), [batch], annotator="ana")


def state(path: Path) -> dict[str, bytes]:
    """Every file of a run but its lock."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def test_an_addition_is_what_all_scenes_at_once_would_be(folder: Path) -> None:
    """Patches, concepts and pixels; band statistics alone stay those of the first scenes."""
    init(folder / "one", settings(folder, "a", "b", "c"))
    before = init(folder / "two", settings(folder, "a")).run
    patches, median = before.patches, before.index.statistics.median.tolist()
    done = add(folder / "two", [str(folder / "tiles" / "*.tif")])
    assert (done.done, done.skipped, done.failed) == (("b", "c"), ("a",), ())
    assert done.patches == 128
    one, two = Run(folder / "one"), Run(folder / "two")
    pd.testing.assert_frame_equal(two.patches, one.patches)
    part = two.patches[:64].assign(scene=pd.Categorical(["a"] * 64, ["a"]))  # its only name
    pd.testing.assert_frame_equal(part, patches)
    assert "town" in set(two.patches["use"]) - set(patches["use"])
    read = [gpd.read_parquet(run.path / "patches.parquet") for run in (one, two)]
    assert read[0].geometry.equals(read[1].geometry)
    assert two.index.statistics.median.tolist() == median
    ids = two.patches["patch_id"].iloc[::17].tolist()
    assert np.array_equal(two.source.read(ids), one.source.read(ids))
    assert two.index.parts == (64, 192)


def test_the_second_time_nothing_is_done(folder: Path) -> None:
    init(folder / "r", settings(folder, "a"))
    add(folder / "r", [tile(folder, "b")])
    before = state(folder / "r")
    again = add(Run(folder / "r"), [tile(folder, "b"), f"other={tile(folder, 'a')}"])
    assert (again.done, again.skipped) == ((), ("b", "a"))
    with pytest.raises(ConfigError, match=r"scenes is '.*b\.tif', but it must be a list"):
        add(folder / "r", tile(folder, "b"))
    assert state(folder / "r") == before


def test_answers_rounds_and_a_waiting_batch_stay(folder: Path) -> None:
    path = folder / "r"
    run = init(path, settings(folder, "a")).run
    answered(run, path)
    waits = query(Run(path))
    answers = Run(path).labels.history()
    (path / "owl.toml").write_text(
        "# mine\n" + (path / "owl.toml").read_text() + "\n# to the end\n"
    )
    add(path, [tile(folder, "b"), tile(folder, "c")])
    text = (path / "owl.toml").read_text()
    assert text.startswith("# mine\n")
    assert text.endswith("# to the end\n")
    grown = Run(path)
    pd.testing.assert_frame_equal(grown.labels.history(), answers)
    assert query(grown).batch_id == waits.batch_id  # it waits still
    label(grown.batch_path(1), dict.fromkeys(waits.patch_ids, "absent"))
    ingest(grown, [grown.batch_path(1)], annotator="ana")
    for _ in range(3):
        answered(Run(path), path)
    asked = {patch.split("/")[0] for entry in Run(path).rounds()[2:] for patch in entry.patch_ids}
    assert asked & {"b", "c"}
    assert Run(path).rounds()[2].metrics.n_pool == 192 - 10


def test_what_chance_drew_before_says_nothing_of_new_scenes(folder: Path) -> None:
    path = folder / "r"
    run = init(path, settings(folder, "a", acquisition={"audit_share": 1.0})).run
    answered(run, path)
    answered(Run(path), path)
    assert (status(Run(path)).left or pytest.fail()).n_audit == 10
    add(path, [tile(folder, "b")])
    assert status(Run(path)).left is None
    answered(Run(path), path)
    left = status(Run(path)).left
    assert left is not None
    assert (left.n_audit, left.n_left) == (4, 128 - 14)
    assert np.isnan(Run(path).rounds()[2].metrics.stability)  # other patches are watched
    answered(Run(path), path)
    assert not np.isnan(Run(path).rounds()[3].metrics.stability)


def test_what_the_model_expected_before_says_nothing_of_new_scenes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Outlook | None] = []
    monkeypatch.setattr("owl_geo.verbs.status.hint", lambda *_, outlook: seen.append(outlook))
    path = folder / "r"
    tables = {"acquisition": {"audit_share": 0.5, "candidates": 100}}
    run = init(path, settings(folder, "a", **tables)).run
    for _ in range(2):
        answered(Run(path), path)
    assert run.rounds()[1].expected is not None
    status(Run(path))
    add(path, [tile(folder, "b")])
    status(Run(path))  # no audit of the larger pool, and no hint
    answered(Run(path), path)
    status(Run(path))
    before, after = seen
    assert before is not None
    expected = Run(path).rounds()[2].expected  # of a pool that is larger than what is scored
    assert after is not None and after.expected == expected is not None


def test_a_network_goes_on_though_a_class_is_new(folder: Path) -> None:
    path = folder / "r"
    model = {"kind": "cnn"}
    run = init(path, settings(folder, "a", model=model, training={"epochs": 1})).run
    answered(run, path)
    answered(Run(path), path)
    add(path, [tile(folder, "c")])
    assert len(query(Run(path)).patch_ids) == 4


def test_status_tells_the_odds_that_the_search_goes_by(folder: Path) -> None:
    """A network's concepts stay scaled by the scenes that it began with."""
    tables = {"model": {"kind": "cnn"}, "training": {"epochs": 1}}
    path = init(folder / "run", settings(folder, "a", **tables)).run.path
    answered(Run(path), path)
    add(path, [tile(folder, "c")])
    run = Run(path)
    answered(run, path)
    search = run.search(torch.device("cpu"))
    encoded = search.concepts
    answers = run.answers(run.labels.history(), 0, run.rounds())
    learned = learn_relevance(
        search.concept_table,
        encoded.matrix,
        encoded.names,
        run.settings.acquisition.weights,
        answers.positions,
        answers.labels == search.positive,
    )
    expected = {one.name: one.coefficient for one in learned.explain()}
    found = status(run)
    assert {one.name: one.coefficient for one in found.relevance} == pytest.approx(expected)
    assert encode(search.concept_table).names != encoded.names


def test_another_crs_takes_the_footprints_and_the_answers_to_degrees(folder: Path) -> None:
    path = folder / "r"
    run = init(path, settings(folder, "a")).run
    answered(run, path)
    asked = run.rounds()[0].patch_ids[0]
    polygon = run.footprints([asked]).to_crs(4326).iloc[0]
    there = {"crs": "EPSG:32632", "transform": from_origin(83_660, 5_716_983, 10, 10)}
    scene(folder / "tiles", "z", **there)
    waits = query(Run(path))  # in metres, and answered afterwards
    add(path, [tile(folder, "z")])
    grown = Run(path)
    assert grown.crs == "EPSG:4326"
    stored = gpd.read_file(path / "labels.gpkg")
    assert stored.crs == "EPSG:4326"
    assert stored.set_index("patch_id").geometry[asked].equals_exact(polygon, 1e-9)
    label(grown.batch_path(1), dict.fromkeys(waits.patch_ids, "absent"))
    ingest(grown, [grown.batch_path(1)], annotator="ana")
    stored = gpd.read_file(path / "labels.gpkg")
    assert len(stored) == 10
    assert shapely.box(*stored.total_bounds).within(shapely.box(2.9, 51, 3.2, 52))
    with sqlite3.connect(path / "labels.gpkg") as connection:
        extent = connection.execute("SELECT min_x, max_y, srs_id FROM gpkg_contents").fetchone()
    connection.close()
    assert extent[0] == pytest.approx(stored.total_bounds[0])
    assert extent[2] == 4326
    answered(Run(path), path)


def test_answers_in_another_crs_than_the_file_are_brought_to_it(folder: Path) -> None:
    """Another process may have changed the file's CRS since this one opened the run."""
    path = folder / "r"
    run = init(path, settings(folder, "a")).run
    answered(run, path)
    old, entry = Run(path), query(Run(path))
    assert old.labels.count() == 6
    footprints = old.footprints(entry.patch_ids)
    scene(folder / "tiles", "z", crs="EPSG:32632", transform=from_origin(83_660, 5_716_983, 10, 10))
    add(path, [tile(folder, "z")])
    label(old.batch_path(1), {entry.patch_ids[0]: "absent"})
    ingest(old, [old.batch_path(1)], annotator="ana")  # opened before, still in metres
    stored = gpd.read_file(path / "labels.gpkg").set_index("patch_id").geometry
    wanted = footprints.to_crs(4326)[entry.patch_ids[0]]
    assert stored[entry.patch_ids[0]].equals_exact(wanted, 1e-9)


# --- with an oracle -------------------------------------------------------------------------------


def test_truth_and_held_out_blocks_of_old_scenes_stay(folder: Path) -> None:
    oracle = {"path": str(folder / "land.gpkg"), "column": "use", "values": {"present": ["town"]}}
    tables = {"oracle": oracle, "evaluation": {"block_size": 2}}
    # only the last scene has a town, so the first alone would be no search at all
    before = init(folder / "r", settings(folder, "a", "c", **tables)).run
    truth = before.truth
    assert truth is not None
    add(folder / "r", [tile(folder, "b")])
    grown = Run(folder / "r").truth
    assert grown is not None
    pd.testing.assert_frame_equal(grown[:128], truth)
    new = grown[128:]
    assert set(new["label"]) == {"absent"}
    assert 0 < new["held_out"].sum() < 64
    # an update after an edit draws no other patches
    path = folder / "r" / "owl.toml"
    path.write_text(path.read_text().replace('value = "wood"', 'value = "town"'))
    update(folder / "r")
    again = Run(folder / "r").truth
    assert again is not None
    pd.testing.assert_frame_equal(again, grown)
    assert Run(folder / "r").index.parts == (128, 192)


def test_a_search_that_has_finished_is_said_to_be_that(folder: Path, owl: Owl) -> None:
    truth = {"path": str(folder / "land.gpkg"), "column": "use", "values": {"present": ["wood"]}}
    loop = {"initial": 10, "rounds": 1, "batch_size": 10}
    run = init(folder / "r", settings(folder, "a", oracle=truth, loop=loop)).run
    commands = (
        ("init", run.path, "--update"),
        ("add", run.path, "--scene", tile(folder, "b")),
    )
    assert owl(*commands[0]).out.endswith(f"Next: owl-geo run {run.path}\n")
    simulate(run)
    for words in commands:
        assert owl(*words).out.endswith("Next: nothing, the search has finished\n")


@pytest.mark.parametrize("split", ["blocks", "random"])
def test_later_patches_are_held_out_at_the_same_rate(split: str) -> None:
    rng = np.random.default_rng(0)
    side = np.arange(4) * 8
    rows, cols = (part.ravel() for part in np.meshgrid(side, side, indexing="ij"))
    index = pd.concat(
        [pd.DataFrame({"scene": f"s{i}", "row_off": rows, "col_off": cols}) for i in range(500)]
    )
    chosen = EvaluationSettings(split=split, block_size=4)  # type: ignore[arg-type]
    pool, none = pool_at(index, 8), np.empty(0, dtype=bool)
    empty = Before(pool.take(np.empty(0, np.int64)), none, none)
    held, tested = hold_out_more(pool, empty, chosen, rng)
    assert held.mean() == pytest.approx(0.2, abs=0.05)
    assert np.array_equal(held, tested)  # nothing overlaps
    if split == "blocks":
        assert set(held.reshape(500, 16).sum(axis=1)) == {0, 16}  # a scene is a block


# --- what is killed -------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


def test_killed_while_it_computes_the_run_is_as_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(folder / "r", settings(folder, "a"))
    before = state(folder / "r")

    def killed(*_: Any) -> None:
        raise Killed

    for place in ("owl_geo.run_folder.patch_table.write", "owl_geo.disk.atomic._flush"):
        with monkeypatch.context() as patched:
            patched.setattr(place, killed)
            with pytest.raises(Killed):
                add(folder / "r", [tile(folder, "b")])
        assert state(folder / "r") == before
    left_over = folder / "r" / ".adding.partial"  # of a process that could not clean up
    left_over.mkdir()
    (left_over / "owl.toml").write_text("half")
    assert len(Run(folder / "r").patches) == 64
    assert add(folder / "r", [tile(folder, "b")]).done == ("b",)
    assert len(Run(folder / "r").patches) == 128


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_killed_while_files_move_the_next_command_moves_the_rest(
    moved: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "r"
    oracle = {"path": str(folder / "land.gpkg"), "column": "use", "values": {"present": ["wood"]}}
    init(path, settings(folder, "a", oracle=oracle))
    shutil.copytree(path, folder / "whole")
    add(folder / "whole", [tile(folder, "b")])
    replace, done = Path.replace, 0

    def killed_at(self: Path, target: Path) -> Path:
        nonlocal done
        if self.parent.name == ".adding":
            if done == moved:
                raise Killed
            done += 1
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed_at)
        with pytest.raises(Killed):
            add(path, [tile(folder, "b")])
    assert (path / ".adding").is_dir()
    assert status(Run(path)).patches == 128
    assert not (path / ".adding").exists()
    assert state(path) == state(folder / "whole")
    assert add(path, [tile(folder, "b")]).skipped == ("b",)


def test_files_are_replaced_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(Killed), atomic.replacing_files(tmp_path, ".w") as new:
        (new / "a").write_text("new")
        raise Killed
    assert (tmp_path / "a").read_text() == "old"
    with atomic.replacing_files(tmp_path, ".w") as new:
        (new / "a").write_text("new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "new")]


# --- scenes that fail -----------------------------------------------------------------------------


def bad_scenes(folder: Path) -> None:
    """Beside a good one: one cut short, one of other bands, one far away, one that is no image."""
    scene(folder / "tiles", "short", 3, nodata=1, descriptions=())  # the header comes first then
    whole = folder / "tiles" / "short.tif"
    whole.write_bytes(whole.read_bytes()[:8000])
    scene(folder / "tiles", "bands", 3, bands=3, descriptions=("x", "y", "z"))
    scene(folder / "tiles", "away", transform=from_origin(ORIGIN[0], 1_000_000, 10, 10))
    (folder / "tiles" / "text.tif").write_text("no image")


def reasons(summary: Any) -> dict[str, str]:
    for one in summary.failed:
        assert "\n" not in one.reason
        assert one.reason.startswith((f"scene {one.name!r}", f"{one.name}: "))
        assert not one.reason.startswith(f"{one.name}: scene {one.name!r}")  # named once
    return {one.name: one.reason for one in summary.failed}


def test_skip_leaves_out_what_fails_and_says_why(folder: Path) -> None:
    bad_scenes(folder)
    names = ["text", "a", "short", "bands", "away", "b"]
    made = init(folder / "r", settings(folder, *names), on_error="skip")
    why = reasons(made)
    assert set(why) == {"text", "short", "bands", "away"}
    assert "cannot open" in why["text"]
    assert "cannot read" in why["short"]
    assert "no band 'red'" in why["bands"]
    assert "outside every layer" in why["away"]
    assert [one.name for one in made.run.settings.source.scenes] == ["a", "b"]
    other = init(folder / "good", settings(folder, "a", "b")).run
    pd.testing.assert_frame_equal(made.run.patches, other.patches)
    assert made.run.crs == other.crs
    assert made.run.index.statistics.median.tolist() == other.index.statistics.median.tolist()
    query(made.run)


def test_fail_is_the_default_and_leaves_nothing(folder: Path) -> None:
    bad_scenes(folder)
    with pytest.raises(SourceError, match=r"cannot open .*text\.tif"):
        init(folder / "r", settings(folder, "a", "text"))
    assert not (folder / "r").exists()
    with pytest.raises(SourceError, match="all 2 scenes failed; the first: "):
        init(folder / "r", settings(folder, "text", "short"), on_error="skip")
    with pytest.raises(LayerError, match="covers none of the scenes"):
        init(folder / "r", settings(folder, "away"), on_error="skip")


def test_a_network_keeps_the_concepts_of_the_scenes_that_it_began_with(folder: Path) -> None:
    """What other scenes brought it has not seen: an update looks at what it has."""
    tables = {"model": {"kind": "cnn"}, "training": {"epochs": 1}}
    path = init(folder / "run", settings(folder, "a", **tables)).run.path
    answered(Run(path), path)
    add(path, [tile(folder, "c")])
    answered(Run(path), path)
    toml = path / "owl.toml"
    before = toml.read_text()
    toml.write_text(before.replace('value = "wood"', 'value = "town"'))  # is nowhere in a
    with pytest.raises(RunError, match=r"cnn has learnt .* cannot change: wood lost"):
        update(path)
    toml.write_text(before)
    assert query(Run(path), go_on=True).number == 2
    land = gpd.read_file(folder / "land.gpkg", layer="land")
    land.assign(use=land["use"].replace("town", "city")).to_file(folder / "land.gpkg", layer="land")
    update(path)  # a has no town, and no city either
    assert set(Run(path).patches["use"]) == {"wood", "city", "unknown"}
    assert query(Run(path), go_on=True).number == 3


def test_an_addition_skips_and_fails_as_well(folder: Path) -> None:
    bad_scenes(folder)
    path = folder / "r"
    init(path, settings(folder, "a"))
    before = state(path)
    for name, said in [
        ("text", "cannot open"),
        ("short", "cannot read"),
        ("bands", "no band"),
        ("away", "outside every layer"),
    ]:
        with pytest.raises(SourceError, match=said):
            add(path, [tile(folder, "b"), tile(folder, name)])
        assert state(path) == before
    done = add(path, [str(folder / "tiles" / "*.tif")], on_error="skip")
    assert done.done == ("b", "c")
    assert done.skipped == ("a",)
    assert set(reasons(done)) == {"text", "short", "bands", "away"}
    again = add(path, [str(folder / "tiles" / "*.tif")], on_error="skip")
    assert again.done == ()
    assert again.skipped == ("a", "b", "c")
    assert len(again.failed) == 4
    with pytest.raises(SourceError, match="all 2 scenes failed"):
        add(path, [tile(folder, "text"), tile(folder, "away")], on_error="skip")


@pytest.mark.parametrize("masked", [False, True])
def test_a_scene_that_was_cut_off_is_noticed_where_no_pixel_can_be_missing(
    masked: bool, folder: Path
) -> None:
    """A scan reads the bands only where their pixels may be missing, which no value says here."""
    masks: dict[str, Any] = {}
    made = settings(folder, "a")
    if masked:
        for east, name in enumerate("abc"):
            place = from_origin(ORIGIN[0] + 640 * east, ORIGIN[1], 10, 10)
            clear = np.zeros((1, 64, 64), "uint8")
            write_raster(folder / "masks" / f"{name}.tif", clear, transform=place)
        made["source"]["mask_bad"] = [1]
        made["source"]["scenes"][0]["mask"] = str(folder / "masks" / "a.tif")
        masks = {"masks": [str(folder / "masks" / "{name}.tif")]}
    cut = scene(folder / "tiles", "b", 1, descriptions=())  # the header comes first then
    cut.write_bytes(cut.read_bytes()[:-100])
    run = init(folder / "r", made).run
    before = state(run.path)
    with pytest.raises(SourceError, match=r"scene 'b': cannot read .*b\.tif, rows 56 to 64"):
        add(run.path, [tile(folder, "b"), tile(folder, "c")], **masks)
    assert state(run.path) == before
    done = add(run.path, [tile(folder, "b"), tile(folder, "c")], on_error="skip", **masks)
    assert (done.done, set(reasons(done))) == (("c",), {"b"})
    scenes = settings(folder, "a", "b", "c")
    whole = init(folder / "s", scenes, on_error="skip")
    assert set(reasons(whole)) == {"b"}


def test_new_patches_without_contrast_are_said_to_be_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They look like missing data, of which ``init`` warns too."""
    values = coordinates(64, 64, bands=2) + np.uint16(1)
    values[:, :32] = 0
    place = from_origin(ORIGIN[0] + 640, ORIGIN[1], 10, 10)
    write_raster(folder / "tiles" / "b.tif", values, transform=place, descriptions=("red", "nir"))
    run = init(folder / "r", settings(folder, "a")).run
    assert "in every pixel" not in caplog.text
    add(run.path, [tile(folder, "b")])
    assert "32 of 64 patches that were looked at, for example b/0/0, are 0 in every" in caplog.text


def test_new_scenes_whose_values_measure_another_thing_are_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = init(folder / "r", settings(folder, "a")).run
    for east, (name, factor) in enumerate((("b", 1), ("c", -1e-3)), start=1):
        values = (coordinates(64, 64, bands=2) + 1.0) * factor
        place = from_origin(ORIGIN[0] + 640 * east, ORIGIN[1], 10, 10)
        path = folder / "tiles" / f"{name}.tif"
        names = ("red", "nir")
        write_raster(path, values.astype("float32"), transform=place, descriptions=names)
        add(run.path, [tile(folder, name)])
        assert ("and the run (" in caplog.text and "decibels" in caplog.text) == (name == "c")


def test_a_scene_without_a_usable_patch_is_done_too(folder: Path) -> None:
    """It need not be looked at again every night."""
    path = folder / "r"
    init(path, settings(folder, "a"))
    write_raster(
        folder / "tiles" / "night.tif",
        np.zeros((2, 64, 64), dtype="uint16"),
        nodata=0,
        descriptions=("red", "nir"),
    )
    done = add(path, [tile(folder, "night")])
    assert (done.done, done.patches) == (("night",), 0)
    assert add(path, [tile(folder, "night")]).skipped == ("night",)
    run = Run(path)
    assert run.index.parts == (64,)
    assert len(query(run).patch_ids) == 6


@pytest.mark.parametrize(
    ("source", "words", "options", "said"),
    [
        ("synthetic", ["b.tif"], {}, "which cannot grow; make a new run"),
        ("geotiff", ["b=elsewhere.tif", "a=other.tif"], {}, "a scene 'a' already"),
        ("geotiff", ["{b}"], {"masks": ["m.tif"]}, "has no scene with a mask"),
    ],
)
def test_what_cannot_be_added(
    source: str, words: list[str], options: dict[str, Any], said: str, folder: Path
) -> None:
    if source == "synthetic":
        init(folder / "r", {"source": {"kind": "synthetic", "n_samples": 20, "image_size": 8}})
    else:
        init(folder / "r", settings(folder, "a"))
    with pytest.raises((RunError, SourceError), match=said):
        add(folder / "r", [word.format(b=tile(folder, "b")) for word in words], **options)


def test_an_edited_owl_toml_is_not_gone_over(folder: Path) -> None:
    init(folder / "r", settings(folder, "a"))
    path = folder / "r" / "owl.toml"
    path.write_text(path.read_text().replace("min_valid = 0.9", "min_valid = 0.5"))
    with pytest.raises(RunError, match=r"toml: source\.min_valid changed since the patch index"):
        add(folder / "r", [tile(folder, "b")])


def test_scenes_written_inline_are_added_to(folder: Path) -> None:
    init(folder / "r", settings(folder, "a"))
    path = folder / "r" / "owl.toml"
    text = path.read_text()
    start = text.index("[[source.scenes]]")
    stop = text.index("\n[", start)
    inline = f'scenes = [{{ name = "a", path = "{tile(folder, "a")}" }}] # one line\n'
    path.write_text(text[:start].replace("[source]\n", f"[source]\n{inline}") + text[stop:])
    add(folder / "r", [tile(folder, "b")])
    assert "# one line" in path.read_text()
    assert [one.name for one in Run(folder / "r").settings.source.scenes] == ["a", "b"]


def test_the_features_of_old_scenes_are_not_computed_again(folder: Path) -> None:
    path = folder / "r"
    query(init(path, settings(folder, "a")).run)
    before = {file.name: file.stat().st_mtime_ns for file in (path / "features").glob("*.npy")}
    assert before
    batch = Run(path).batch_path(0)
    label(batch, dict.fromkeys(Run(path).rounds()[0].patch_ids, "absent"))
    ingest(Run(path), [batch], annotator="ana")
    add(path, [tile(folder, "b")])
    query(Run(path))
    after = {file.name: file.stat().st_mtime_ns for file in (path / "features").glob("*.npy")}
    assert before.items() < after.items()


# --- what tells scenes apart ----------------------------------------------------------------------


def test_a_scene_is_told_by_what_decides_its_pixels(folder: Path) -> None:
    run: Run = init(folder / "r", settings(folder, "a", "b")).run
    ids = run.scenes.ids
    assert ids["a"] != ids["b"]
    add(folder / "r", [tile(folder, "c")])
    grown = Run(folder / "r")
    assert {name: grown.scenes.ids[name] for name in "ab"} == ids
    scene(folder / "tiles", "b", 1, nodata=3)  # written anew
    assert Run(folder / "r").scenes.ids["a"] == ids["a"]
    assert Run(folder / "r").scenes.ids["b"] != ids["b"]
    other = settings(folder, "a")
    other["source"]["stride"] = 4  # type: ignore[index]
    assert init(folder / "other", other).run.scenes.ids["a"] != ids["a"]


def test_a_word_that_says_nothing_of_failures_is_refused(folder: Path) -> None:
    path = folder / "r"
    with pytest.raises(ConfigError, match="on_error is 'skpi'"):
        init(path, settings(folder, "a"), on_error="skpi")
    assert not path.exists()
    run = init(path, settings(folder, "a")).run
    answered(run, path)
    before = state(path)
    with pytest.raises(ConfigError, match="on_error is 'skpi'"):
        add(path, [tile(folder, "b")], on_error="skpi")
    with pytest.raises(ConfigError, match="on_error is 'skpi'") as caught:
        predict(run, on_error="skpi")
    assert caught.value.remedy == "did you mean 'skip'?"
    assert state(path) == before
