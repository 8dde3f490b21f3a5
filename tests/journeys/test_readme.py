"""Every command and every line of Python in README, typed as they stand, section by section."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import pandas as pd
import pytest
import rasterio
from postgis_server import Server
from rasters import write_raster
from searches import label

import owl_geo
from owl_geo import Run
from owl_geo.cli import _run as owl

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0].lower(): part.partition("\n")[2] for part in README.split("\n## ")[1:]
}
BY_OTHERS = {
    "two commands": "what checks this repository calls them",
    "five minutes on the sample data": "test_tutorial types them",
}


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], flags=re.DOTALL)


def commands(section: str) -> list[list[list[str]]]:
    """Return the commands of each block."""
    found = []
    for block in blocks(section, "sh"):
        lines = block.replace("\\\n", " ").splitlines()
        found.append([words for line in lines if (words := shlex.split(line, comments=True))])
    return found


def type_in(typed: list[list[str]], swapped: dict[str, str] | None = None) -> None:
    """Type commands in this folder; a batch is labelled before it is ingested."""
    assert typed
    for program, *given in typed:
        assert program == "owl-geo"
        words = [(swapped or {}).get(word, word) for word in given]
        if words[0] == "ingest":
            for batch in words[2:]:
                answer(Path(batch))
        assert owl(words) == 0, words


def answer(batch: Path) -> None:
    patches = gpd.read_file(batch, layer="batch")["patch_id"]
    some = {p: "absent" if i % 3 else "present" for i, p in enumerate(patches)}
    label(batch, some, annotator=None)


def answer_a_batch() -> None:
    batch = Run("RUN").batch_path(owl_geo.query("RUN").number)
    answer(batch)
    owl_geo.ingest("RUN", [batch], annotator="ana")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scene and the extract that README names, and this one gone into."""
    monkeypatch.chdir(tmp_path)
    cut_scene(tmp_path / "S2.tif", 0, 512)
    with osmium.SimpleWriter(str(tmp_path / "area.osm.pbf")) as writer:
        for thing in osmium.FileProcessor(str(SAMPLE / "area.osm")):
            writer.add(thing)
    return tmp_path


def cut_scene(path: Path, start: int, stop: int) -> None:
    """Write columns of the sample's scene, with Sentinel-2's names for the bands."""
    with rasterio.open(SAMPLE / "scene.tif") as scene:
        pixels = scene.read(window=((0, scene.height), (start, stop)))
        transform = scene.transform @ rasterio.Affine.translation(start, 0)
        crs = scene.crs.to_string()
    names = ("B2", "B3", "B4", "B8")
    write_raster(path, pixels, crs=crs, transform=transform, descriptions=names)


def test_no_section_is_left_out() -> None:
    with_commands = {name for name in SECTIONS if blocks(name, "sh")}
    assert with_commands == {*BY_OTHERS, *TYPED_HERE}


def test_your_own_scene(here: Path) -> None:
    for typed in commands("your own scene"):
        type_in(typed)
    run = Run(here / "RUN")
    assert len(run.rounds()) == 2
    assert (run.path / "predictions" / "probability.vrt").is_file()
    assert (run.path / "report.html").is_file()
    assert list((here / "pictures").glob("*.png"))


def test_a_comparison_with_random_labels(here: Path) -> None:
    rng = np.random.default_rng(3)
    truth = np.kron(rng.choice([4, 6], (12, 12), p=[0.7, 0.3]), np.ones((8, 8))).astype("uint8")
    write_raster(here / "landcover.tif", truth[None])
    for band in (10, 20, 30, 40, 50):
        pixels = rng.normal(100 + truth, 1, (1, 96, 96)).astype("float32")
        write_raster(here / "landsat" / f"lsat7_{band}.tif", pixels)
    (typed,) = commands("does it find more than labelling at random?")
    assert typed[-1][-2:] == ["--seeds", "10"]
    type_in(typed, {"10": "2"})
    table = (here / "OUT" / "summary.md").read_text(encoding="utf-8")
    assert "random" in table and "uncertainty" in table


def test_many_scenes(here: Path) -> None:
    for number, name in enumerate(("north/a", "south/b")):
        cut_scene(here / "tiles" / f"{name}.tif", 128 * number, 128 * number + 128)
    ((first, *rest),) = commands("many scenes")
    type_in([first])
    cut_scene(here / "tiles" / "2026-05-03.tif", 256, 384)
    answer_a_batch()
    type_in(rest)
    assert set(owl_geo.predictions("RUN")) == {"a", "b", "2026-05-03"}


def test_a_team_with_files(here: Path) -> None:
    assert owl(["init", "RUN", "--scene", "S2.tif"]) == 0
    type_in(commands("a team")[0])
    assert len(gpd.read_file("answers.gpkg")) == 24  # four of twenty patches by both


def test_a_team_with_a_database(
    here: Path, server: Server, keeper: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWL_GEO_NEW_PASSWORD", server.password)
    address = server.url(server.new_database())
    type_in(commands("a team")[1], {"postgresql://maps.example.org/owl": address})
    with server.connect(address.rpartition("/")[2], "ana") as ana:
        layer = f"batch_{Run(here / 'RUN').settings.run_id}-000"
        assert len(ana.execute(f'SELECT 1 FROM owl_geo."{layer}"').fetchall()) == 20


def test_a_cluster(here: Path) -> None:
    distributed = pytest.importorskip("distributed")
    assert owl(["init", "RUN", "--scene", "S2.tif"]) == 0
    answer_a_batch()
    (typed,) = commands("a cluster")
    with distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster:
        type_in(typed, {"tcp://10.0.0.5:8786": cluster.scheduler_address})
    assert (here / "RUN" / "predictions" / "probability.vrt").is_file()


TYPED_HERE = {
    "your own scene",
    "does it find more than labelling at random?",
    "many scenes",
    "a team",
    "a cluster",
}


def test_the_lines_of_python(here: Path) -> None:
    """Each statement on its own; the batch is labelled as soon as there is one."""
    names: dict[str, Any] = {
        "probabilities": np.array([[0.9, 0.1], [0.4, 0.6]] * 10),
        "concepts": pd.DataFrame({"urban": [True, False] * 10, "near_industrial": False}),
    }
    (block,) = blocks("from python", "python")
    for statement in ast.parse(block).body:
        exec(compile(ast.unparse(statement), "README.md", "exec"), names)
        if isinstance(statement, ast.Assign) and ast.unparse(statement).startswith("batch"):
            answer(names["batch"])
    assert owl_geo.predictions("RUN")["S2"]["probability"].dims == ("y", "x")
