"""What a command writes where it is told never replaces the files that a run consists of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from in_process import Owl
from searches import label

import owl_geo
from owl_geo import Run
from owl_geo.errors import ConfigError, RunError
from owl_geo.verbs.import_answers import import_answers

GENERATED = {"kind": "synthetic", "n_samples": 40, "image_size": 8, "seed": 1}
FILES = (
    *("labels.gpkg", "owl.toml", "patches.parquet", "index.json", "metrics.csv"),
    *("rounds/000/batch.gpkg", "rounds/000/more.gpkg", "features/more.gpkg"),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = owl_geo.init(tmp_path / "run", {"source": GENERATED, "loop": {"initial": 10}}).run
    entry = owl_geo.query(run)
    batch = run.batch_path(entry.number)
    words = ["absent", "present"] * 5
    label(batch, dict(zip(entry.patch_ids, words, strict=True)))
    owl_geo.ingest(run, [batch], annotator="ana")
    return run


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_a_run_is_replaced(name: str, run: Run, owl: Owl, tmp_path: Path) -> None:
    before = contents(run.path)
    patch = run.patches["patch_id"].iloc[0]
    (tmp_path / "link").symlink_to(run.path)
    for target in (run.path / name, tmp_path / "link" / name):
        done = owl("like", run.path, patch, "--out", target, "--overwrite", "-q")
        assert done.code == 1
        assert f"{target} is one of the files of the run {run.path}, which" in done.err
    with pytest.raises(RunError, match="which no output replaces"):
        owl_geo.report(run, run.path / name, overwrite=True)
    if Path(name).suffix == ".gpkg":
        for words in (("patches",), ("labels", "export")):
            done = owl(*words, run.path, run.path / name, "--overwrite", "-q")
            assert done.code == 1
            assert "which no output replaces; choose another name" in done.err
    assert contents(run.path) == before


@pytest.mark.parametrize("name", ["rounds", "rounds/000", "features", "features/maps"])
@pytest.mark.parametrize("command", ["predict", "plot"])
def test_nothing_is_written_among_them(command: str, name: str, run: Run, owl: Owl) -> None:
    before = contents(run.path)
    done = owl(command, run.path, "--out", run.path / name, "-q")
    assert done.code == 1
    assert f"{run.path / name} is one of the files of the run {run.path}, which" in done.err
    assert contents(run.path) == before


def test_other_files_may_lie_in_a_run(run: Run, owl: Owl) -> None:
    patch = run.patches["patch_id"].iloc[0]
    for _ in range(2):
        for words in (
            ("like", run.path, patch, "--out", run.path / "mine.gpkg", "--overwrite"),
            ("labels", "export", run.path, run.path / "mine" / "rounds" / "a.csv", "--overwrite"),
        ):
            assert owl(*words, "-q").code == 0, words


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_a_name_that_is_no_text_is_one_line(run: Run, tmp_path: Path) -> None:
    patch = run.patches["patch_id"].iloc[0]
    for write in (
        lambda: owl_geo.like(run, [patch], out=tmp_path / "x\udcff.gpkg"),
        lambda: owl_geo.patches(run, tmp_path / "x\udcff.parquet"),
        lambda: owl_geo.predict(run, out=tmp_path / "x\udcff"),
    ):
        with pytest.raises(RunError, match="its name is not text in UTF-8; choose another") as told:
            write()
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["a\nb", " ", "\udcff", ""])
def test_an_annotator_needs_a_name(name: str, run: Run, tmp_path: Path) -> None:
    batch = run.batch_path(0)
    sites = tmp_path / "sites.csv"
    sites.write_text("patch_id,label\n" + f"{run.patches['patch_id'].iloc[-1]},present\n")
    before = len(run.labels.history())
    with pytest.raises(ConfigError, match="cannot be a name"):
        owl_geo.ingest(run, [batch], annotator=name)
    with pytest.raises(ConfigError, match="cannot be a name"):
        import_answers(run, sites, annotator=name)
    assert len(run.labels.history()) == before
