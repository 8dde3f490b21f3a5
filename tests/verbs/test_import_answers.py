"""Tables of answers: what is in the wrong column, taken back, or said twice."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import rasters
import searches
import shapely

from owl_geo import Run, import_answers, ingest, init, query, status
from owl_geo.cli.ingest import stored_line
from owl_geo.errors import BatchError, LayerError
from owl_geo.labels.exchange import write_answers

SIZE = 8
NAMES = ["s/0/0", "s/0/8", "s/8/0"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = rasters.write_raster(tmp_path / "s.tif", rasters.coordinates(64, 64) + 1)
    scenes = [{"name": "s", "path": str(path)}]
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE}
    return init(tmp_path / "run", {"source": source}).run


def table(folder: Path, **columns: list[str]) -> Path:
    path = folder / "answers.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("column", ["comment", "annotator"])
def test_labels_in_another_column_are_told(run: Run, tmp_path: Path, caplog, column: str) -> None:
    given = ["Present", "dark", ""]
    path = table(tmp_path, patch_id=NAMES, label=["", "absent", ""], **{column: given})
    done = import_answers(run, path, annotator="ana")
    assert (done.counts, done.unanswered, done.misplaced) == ({"absent": 1}, 2, 1)
    assert f"1 patch has no label, but what looks like one in the column {column}" in caplog.text
    assert "s/0/0" in caplog.text


@pytest.mark.parametrize("suffix", [".gpkg", ".csv"])
def test_answers_in_an_archive_are_no_places(run: Run, tmp_path: Path, suffix: str) -> None:
    """GDAL would open their footprints, and each would be a target."""
    import_answers(run, table(tmp_path, patch_id=NAMES, label=["absent"] * 3), annotator="ana")
    exported = tmp_path / f"exported{suffix}"
    write_answers(exported, run.labels.history(), run.footprints(NAMES))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(exported, exported.name)
    path = f"/vsizip/{tmp_path}/all.zip/{exported.name}"
    with pytest.raises(BatchError, match="holds answers to patches") as caught:
        import_answers(run, path, annotator="ben")
    assert str(caught.value).startswith(path)
    assert "unpack it" in caught.value.remedy
    assert set(run.labels.history()["annotator"]) == {"ana"}


def test_places_in_an_archive_are_places(run: Run, tmp_path: Path) -> None:
    x, y = rasters.ORIGIN
    place = gpd.GeoDataFrame(geometry=[shapely.Point(x + 1, y - 1)], crs=rasters.UTM)
    place.to_file(tmp_path / "sites.gpkg", layer="labels")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "sites.gpkg", "sites.gpkg")
    import_answers(run, f"/vsizip/{tmp_path}/all.zip/sites.gpkg", annotator="ana")
    assert run.labels.current()[["patch_id", "label"]].to_numpy().tolist() == [["s/0/0", "present"]]


def test_an_address_without_a_server_is_no_file_of_answers(run: Run) -> None:
    address = "http://127.0.0.1:9/sites.gpkg"
    with pytest.raises(LayerError, match=f"cannot read the layer {address}"):
        import_answers(run, address, annotator="ana")


def test_answers_taken_back_are_counted(run: Run, tmp_path: Path) -> None:
    times = [f"2026-01-01T00:00:0{second}Z" for second in range(3)]
    path = table(tmp_path, patch_id=NAMES, label=["present"] * 3, labelled_at=times)
    import_answers(run, path, annotator="ana")
    times = [time.replace("2026", "2027") for time in times]
    path = table(tmp_path, patch_id=NAMES, label=["", "absent", ""], labelled_at=times)
    done = import_answers(run, path, annotator="ana")
    assert (done.counts, done.unanswered, done.withdrawn) == ({"absent": 1}, 0, 2)
    assert "1 absent, 0 unanswered, 2 withdrawn; 3 new" in stored_line(done)
    assert Run(run.path).labels.current()["patch_id"].tolist() == ["s/0/8"]


def test_rows_without_times_that_contradict_each_other_are_told(
    run: Run, tmp_path: Path, caplog
) -> None:
    names = [*NAMES, "s/0/0", "s/0/8"]
    given = ["present", "absent", "absent", "absent", "absent"]
    done = import_answers(run, table(tmp_path, patch_id=names, label=given), annotator="ana")
    assert "1 patch has different labels by one person, for example 's/0/0'" in caplog.text
    assert done.unchanged == 1
    current = Run(run.path).labels.current().set_index("patch_id")["label"]
    assert current["s/0/0"] == "absent"
    caplog.clear()
    path = table(tmp_path, patch_id=names, label=given, annotator=["a", "a", "a", "b", "b"])
    import_answers(run, path, annotator="ana")
    assert "different labels" not in caplog.text


def test_a_batch_whose_patches_were_all_imported_waits_no_more(run: Run, tmp_path: Path) -> None:
    first = query(run)
    *most, last = first.patch_ids
    given = ["absent", *["present"] * (len(most) - 1)]
    import_answers(run, table(tmp_path, patch_id=most, label=given), annotator="ana")
    assert query(run).number == 0  # it asks for one more
    assert status(run).next_step == "label"
    import_answers(run, table(tmp_path, patch_id=[last], label=["skip"]), annotator="ben")
    assert (status(run).waiting, status(run).next_step) == ((), "query")
    second = query(run)
    assert second.number == 1
    assert not {*second.patch_ids} & {*first.patch_ids}
    assert query(run).number == 1  # and now it is the second that waits


def test_an_answer_from_before_a_batch_is_none_to_it(run: Run, tmp_path: Path) -> None:
    ids = run.patches["patch_id"].tolist()[:20]
    given = ["present", "absent"] * 10
    import_answers(run, table(tmp_path, patch_id=ids, label=given), annotator="ana")
    import_answers(run, table(tmp_path, patch_id=ids, label=given[1:] + given[:1]), annotator="ben")
    first = query(run)  # all of them tie, and are asked again, first of all
    again = tuple(patch for patch in first.patch_ids if patch in ids)
    assert len(again) > 10
    assert run.waits(replace(first, patch_ids=again)) == [run.batch_path(0)]


def test_names_that_differ_in_case_or_spaces_are_told_once(
    run: Run, tmp_path: Path, caplog
) -> None:
    entry = query(run, annotators=["ana", "José"])
    path = run.batch_paths(entry)["ana"]
    searches.label(path, {entry.patch_ids[place]: "absent" for place in entry.team["ana"]}, "Ana ")
    done = ingest(run, [path], annotator="eve")
    assert done[0].new == len(entry.team["ana"])
    assert "the annotators 'Ana' and 'ana' differ in nothing but case or spaces" in caplog.text
    caplog.clear()
    ingest(run, [path], annotator="eve")
    names = ["Jose\u0301", "bo", "B o"]
    table_ = table(tmp_path, patch_id=NAMES, label=["absent"] * 3, annotator=names)
    import_answers(run, table_, annotator="eve")
    said = [line for line in caplog.messages if "differ in nothing" in line]
    assert [line.partition("annotators ")[2].partition(" differ")[0] for line in said] == [
        "'Jose\u0301' and 'José'",
        "'B o' and 'bo'",
    ]
    is_open = ~run.patches["patch_id"].isin(run.labels.history()["patch_id"])
    free = run.patches["patch_id"][is_open].iloc[-1]
    place = run.footprints([free]).to_crs(4326).iloc[0].centroid
    sites = tmp_path / "sites.csv"
    sites.write_text(f"lon,lat\n{place.x},{place.y}\n")
    caplog.clear()
    import_answers(run, table_, annotator="eve")
    assert "differ in nothing" not in caplog.text
    import_answers(run, sites, annotator="BO")
    assert f"{sites}: the annotators 'BO' and 'bo' differ" in caplog.text


@pytest.mark.parametrize("name", ["b.shp", "b.geojson", "b.fgb", "mine.gpkg"])
def test_a_batch_that_a_gis_saved_in_another_format(run: Run, tmp_path: Path, name: str) -> None:
    """A Shapefile cuts ``labelled_at`` to ten letters; rows move, and so does the CRS."""
    batch = run.batch_path(query(run).number)
    rows = gpd.read_file(batch, layer="batch")
    labels = ["present", "absent", None] + ["unsure"] * (len(rows) - 3)
    time = "2026-01-31T12:00:00Z"
    rows = rows.assign(label=labels, annotator="ana", labelled_at=time)
    rows.loc[2, "labelled_at"] = None
    saved = tmp_path / name
    rows.iloc[::-1].to_crs(4326).to_file(saved)
    done = import_answers(run, saved, annotator="ben")
    n = len(rows)
    assert (done.new, done.unanswered, done.elsewhere) == (n - 1, 1, 0)
    history = run.labels.history().set_index("patch_id")
    said = dict(zip(rows["patch_id"], labels, strict=True))
    assert history["label"].to_dict() == {k: v for k, v in said.items() if v is not None}
    assert {*history["annotator"]} == {"ana"} and {*history["labelled_at"]} == {time}
    assert {*history["batch_id"]} == {rows["batch_id"][0]}
    assert import_answers(run, saved, annotator="ben").new == 0


@pytest.mark.parametrize("given", [{"column": "label"}, {"label": "present"}])
def test_options_take_a_saved_batch_for_sites(run: Run, tmp_path: Path, given: dict) -> None:
    batch = gpd.read_file(run.batch_path(query(run).number), layer="batch")
    batch.assign(label="present", annotator="ana").to_file(tmp_path / "b.shp")
    done = import_answers(run, tmp_path / "b.shp", annotator="ben", **given)
    assert done.placed is not None and {*run.labels.history()["annotator"]} == {"ben"}


def test_a_batch_with_only_some_of_its_columns(run: Run, tmp_path: Path) -> None:
    """It is no batch any more, and as a table it has all that it needs."""
    rows = gpd.read_file(run.batch_path(query(run).number), layer="batch").assign(label="absent")
    saved = tmp_path / "some.gpkg"
    rows[["patch_id", "label", "geometry"]].to_file(saved, layer="batch")
    with pytest.raises(BatchError, match=r"no column 'annotator'.*`owl-geo labels import RUN .*`"):
        ingest(run, [saved], annotator="ana")
    assert import_answers(run, saved, annotator="ana").counts == {"absent": len(rows)}
