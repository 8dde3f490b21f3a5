"""A store that nobody has heard of: every command works with it, or refuses in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from in_process import Done, Owl
from memory_stores import MemoryLabels
from rasterio.transform import from_origin
from rasters import coordinates, write_raster
from searches import assert_same_story, label, make

from owl_geo import Run, add, init
from owl_geo.errors import ConfigError
from owl_geo.evaluation.simulate import simulate
from owl_geo.settings.stores import STORES
from owl_geo.verbs.ingest import ingest
from owl_geo.verbs.query import query

pytestmark = pytest.mark.usefixtures("memory_stores")


def refused(done: Done) -> str:
    assert (done.code, done.out) == (1, ""), done
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    return done.err.removeprefix("error: ").rstrip()


def made(owl: Owl, path: Path, address: str) -> Done:
    words = ("init", path, "--source", "synthetic", "--n-samples", 60, "--image-size", 8)
    done = owl(*words, "--initial", 6, "--batch-size", 4, "--labels", address)
    assert done.code == 0, done.err
    return done


def test_a_store_that_only_keeps_answers(tmp_path: Path, owl: Owl) -> None:
    path, batch = tmp_path / "run", tmp_path / "run" / "rounds" / "000" / "batch.gpkg"
    assert made(owl, path, "memory://desk").out.endswith(f"Next: owl-geo query {path}\n")

    no_layers = (
        "the label store memory://desk has no layers to label in; label the batch's file, then "
        f"read it with `owl-geo ingest {path} BATCH`"
    )
    assert refused(owl("query", path, "--to-store")) == no_layers
    assert Run(path).rounds() == []  # before the work, not after it
    assert owl("query", path, "-q").out == f"{batch}\n"
    assert refused(owl("query", path, "--to-store")) == no_layers
    assert f"label {batch}, then owl-geo ingest" in owl("status", path).out

    for words in (("init",), ("annotator", "ana"), ("annotator", "ana", "--revoke"), ("status",)):
        name, *further = words
        assert refused(owl("store", name, path, *further)) == (
            "the label store memory://desk has nothing to set up or administer; go on with "
            f"`owl-geo query {path}`"
        )

    first, second, *_ = Run(path).rounds()[0].patch_ids
    label(batch, {first: "present", second: "absent"})
    for outcome in ("2 new, 0 known before", "0 new, 2 known before"):
        done = owl("ingest", path, batch)
        assert done.code == 0 and outcome in done.out, done.err
    assert not (path / "labels.gpkg").exists()
    assert owl("query", path, "-q").code == 0
    assert Run(path).rounds()[1].metrics.n_labeled == 2

    assert owl("labels", "history", path).out.count("ana") == 2
    exported = tmp_path / "answers.gpkg"
    assert owl("labels", "export", path, exported).code == 0
    assert "0 new, 2 known before" in owl("labels", "import", path, exported).out
    assert owl("predict", path, "-q").code == 0
    assert owl("report", path, "-q").code == 0
    assert owl("init", path, "--update").code == 0
    assert "answers in memory://desk: 2" in owl("doctor", path).out
    again = ("init", path, "--source", "synthetic", "--labels", "memory://desk", "--overwrite")
    assert refused(owl(*again)).startswith(
        "memory://desk holds 2 answers by people, which --overwrite"
    )
    assert Run(path).labels.count() == 2


def test_a_store_with_layers_and_administration_of_its_own(
    tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    assert made(owl, path, "studio://west").out.endswith(f"Next: owl-geo store init {path}\n")
    run_id = Run(path).settings.run_id
    assert owl("store", "init", path, "-q").out == f"studio://west has run {run_id}\n"
    again = owl("store", "init", path, "-q")
    assert again.out == f"studio://west has run {run_id} already, with 0 answers\n"
    monkeypatch.setenv("OWL_GEO_NEW_PASSWORD", "open")
    assert owl("store", "annotator", path, "ana").out == "ana may label in studio://west\n"

    layer = f"batch_{run_id}-000"
    asked = owl("query", path, "--to-store")
    assert asked.code == 0, asked.err
    *_, how, address = asked.out.splitlines()
    assert (how, address) == (f"In QGIS: the studio's {layer}", f"studio://west#{layer}")
    assert f"label the layer that owl-geo query {path} --to-store names" in owl("status", path).out
    assert owl("store", "status", path).out == (
        f"Store:      studio://west, run {run_id}\n"
        "Annotators: ana\n"
        "Answers:    none\n"
        f"Batches:    {layer}: 6 patches, 0 answered\n"
        "Leases:     none\n"
    )
    assert owl("store", "annotator", path, "ana", "--revoke").code == 0
    assert "Annotators: none yet\n" in owl("store", "status", path).out


@pytest.mark.parametrize("address", ["memory://desk", "studio://west"])
def test_a_search_in_it_is_the_same_search(tmp_path: Path, address: str) -> None:
    file = make(tmp_path / "file", oracle={})
    stored = make(tmp_path / "stored", oracle={}, labels=address)
    for run in (file, stored):
        simulate(run)
    assert stored.labels.count() == 18 and not (stored.path / "labels.gpkg").exists()
    assert_same_story(file.path, stored.path)


def test_answers_of_a_file_that_it_lacks_are_brought_over(tmp_path: Path, owl: Owl) -> None:
    run = make(tmp_path / "run")
    label(run.batch_path(0), dict.fromkeys(query(run).patch_ids[:2], "present"))
    ingest(run, [run.batch_path(0)], annotator="x")
    text = (run.path / "owl.toml").read_text()
    (run.path / "owl.toml").write_text(f'labels = "memory://desk"\n{text}')
    file = run.path / "labels.gpkg"
    for words in (("query",), ("status",)):
        assert refused(owl(*words, run.path)) == (
            f"{file} holds 2 answers that memory://desk lacks; run `owl-geo labels import "
            f"{run.path} {file}`, or move the file away"
        )
    assert "2 new" in owl("labels", "import", run.path, file).out
    assert owl("query", run.path).code == 0


def test_it_is_told_when_the_pool_grows_into_another_crs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reprojected = []
    monkeypatch.setattr(MemoryLabels, "reproject", lambda store: reprojected.append(store.place))
    for name, crs in (("a", "EPSG:32631"), ("b", "EPSG:32631"), ("z", "EPSG:32632")):
        place = from_origin(500_000 + 320 * "abz".index(name), 5_650_000, 10, 10)
        write_raster(tmp_path / f"{name}.tif", coordinates(32, 32), crs=crs, transform=place)
    first = {"name": "a", "path": str(tmp_path / "a.tif")}
    source = {"kind": "geotiff", "patch_size": 8, "scenes": [first]}
    run = init(tmp_path / "run", {"source": source, "labels": "memory://desk"}).run
    add(run.path, [str(tmp_path / "b.tif")])
    assert reprojected == []
    add(run.path, [str(tmp_path / "z.tif")])
    assert reprojected == ["memory://desk"]


def test_an_address_of_no_registered_store_is_refused_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path / "run", labels="memory://desk")
    monkeypatch.delitem(STORES, "memory")
    with pytest.raises(
        ConfigError,
        match="not an address of PostgreSQL, postgresql://HOST/DB or studio, studio://NAME",
    ):
        Run(run.path)


def test_a_kind_of_store_is_imported_where_a_run_names_it(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    code = (
        "import sys\n"
        "from owl_geo import Run, query\n"
        "run = Run(sys.argv[1])\n"
        "query(run)\n"
        "assert run.labels.count() == 0\n"
        "assert not {'psycopg', 'sqlalchemy', 'owl_geo.labels.postgis'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, run.path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
