"""Kinds of concept that owl-geo does not have go through a whole search."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import geopandas as gpd
import pytest
import trial_concepts
from rasters import coordinates, write_raster
from searches import label
from strangers import Owl
from trial_concepts import write_list

from owl_geo import Run, ingest
from owl_geo.errors import ConfigError
from owl_geo.reporting import words
from owl_geo.settings import owl_toml

CONCEPTS = """
[concepts.height]
kind = "listed"
path = "heights.csv"
[concepts.middle]
kind = "between"
of = "height"
low = 10
high = 19
[acquisition.weights]
middle = 3
"""


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


@pytest.fixture
def kinds() -> Iterator[None]:
    with trial_concepts.registered():
        yield


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    ids = [f"scene/{row}/{col}" for row in range(0, 64, 8) for col in range(0, 64, 8)]
    write_list(tmp_path / "heights.csv", ids)
    (tmp_path / "more.toml").write_text(CONCEPTS, encoding="utf-8")
    return write_raster(tmp_path / "scene.tif", coordinates(64, 64, 2))


def test_they_are_there_for_the_test_only(kinds: None) -> None:
    values = {"source": {"kind": "synthetic"}, "concepts": {"a": {"kind": "between", "of": "b"}}}
    with pytest.raises(ConfigError, match="no concept 'b' above it"):
        owl_toml.parse(values, "test")
    near = {**values, "concepts": {"a": {"kind": "betwen", "of": "b"}}}
    with pytest.raises(ConfigError, match=r"known: 'category', .*'between', 'listed'$"):
        owl_toml.parse(near, "test")


def test_a_search_over_them(kinds: None, scene: Path, owl: Owl) -> None:
    said = owl.init(scene, "--config", owl.folder / "more.toml", "--initial", 12).done()
    assert "height: min 0, median 31.5, max 63 m, missing 0" in said
    assert "middle: yes 10 (15.6 %)" in said
    run = Run(owl.folder / "run")
    assert run.patches.set_index("patch_id")["height"]["scene/8/16"] == 10.0
    for number in range(2):
        path = owl("query", run.path, "-q").done().strip()
        batch = gpd.read_file(path, layer="batch")
        assert batch["middle"].tolist() == batch["height"].between(10, 19).tolist()
        answers = ("present", "absent")
        label(Path(path), {p: answers[i % 2] for i, p in enumerate(batch["patch_id"])})
        ingest(run, [path], annotator=f"ana{number}")
    said = owl("status", run.path).done()
    assert "middle" in said
    owl("predict", run.path, "--device", "cpu").done()
    owl("report", run.path, "--out", owl.folder / "report.html").done()
    assert "middle" in (owl.folder / "report.html").read_text(encoding="utf-8")
    assert words.value(12.0, run.settings.concepts["height"]) == "12 m"


def test_the_file_that_one_reads_is_known_to_all(kinds: None, scene: Path, owl: Owl) -> None:
    owl.init(scene, "--config", owl.folder / "more.toml").done()
    path = owl.folder / "heights.csv"
    assert Run(owl.folder / "run").settings.named_files("concepts") == [
        ("concepts.height.path", str(path))  # it began beside the file of --config
    ]
    path.unlink()
    assert f"{path} does not exist" in owl("doctor", owl.folder / "run").out
    dry = owl(
        "init",
        owl.folder / "other",
        "--scene",
        scene,
        "--config",
        owl.folder / "more.toml",
        "--dry-run",
    )
    assert dry.refusal().startswith(f"error: concepts.height: {path} does not exist")
    assert "cannot be read" in owl("init", owl.folder / "run", "--update").refusal()


def test_one_that_does_not_fit_what_it_is_made_of(kinds: None, owl: Owl, scene: Path) -> None:
    (owl.folder / "more.toml").write_text(
        CONCEPTS.replace('of = "height"', 'of = "self"')
        + '[concepts.self]\nkind = "listed"\npath = "heights.csv"\n',
        encoding="utf-8",
    )
    line = owl.init(scene, "--config", owl.folder / "more.toml").refusal()
    assert "concepts.middle: no concept 'self' above it" in line
    (owl.folder / "more.toml").write_text(
        CONCEPTS + '[concepts.again]\nkind = "between"\nof = "middle"\n', encoding="utf-8"
    )
    line = owl.init(scene, "--config", owl.folder / "more.toml").refusal()
    assert "concepts.again: between compares a number, but 'middle' is a yes/no" in line


def test_the_documentation_has_them(kinds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    page = import_module("hooks").settings()
    assert "## [concepts.NAME], kind between" in page
    assert "A number that a CSV file gives for each patch." in page
