"""The sample data: what ``owl-geo sample`` leaves and prints works as it stands."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from commands import one_error, owl

from owl_geo import Run
from owl_geo.cli.sample import FILES
from owl_geo.concepts.osm import read_osm

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"


def printed_commands(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  owl-geo ")]


def test_the_printed_commands_make_a_search_and_run_a_trial(tmp_path) -> None:
    folder = tmp_path / "my first search"
    done = owl("sample", folder)
    assert done.returncode == 0, done.stderr
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert made == set(FILES)
    commands = printed_commands(done.stdout)
    assert [command[0] for command in commands] == ["init", "query", "init", "run"]
    for command in commands:
        ran = owl(*command)
        assert ran.returncode == 0, ran.stderr
        assert "warning" not in ran.stderr
    assert len(Run(folder / "search").rounds()) == 1
    trial = Run(folder / "trial")
    assert trial.is_finished()
    found = [entry.metrics.positives_found for entry in trial.rounds()]
    labelled = [entry.metrics.n_labeled for entry in trial.rounds()]
    assert found[labelled.index(60)] >= 5  # chance finds about as many, seldom more than 8
    assert found[labelled.index(100)] >= 20


def test_nothing_is_overwritten(tmp_path) -> None:
    (tmp_path / "truth.gpkg").write_text("mine")
    assert "is not empty; name a new folder" in one_error(owl("sample", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["truth.gpkg"]
    assert (tmp_path / "truth.gpkg").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in one_error(owl("sample", tmp_path / "file" / "below"))


def test_the_wheel_carries_every_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    carried = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in FILES:
        assert carried[f"sample_data/{name}"] == f"owl_geo/_sample/{name}"
        assert (SAMPLE / name).is_file()


def test_the_real_scene_needs_no_option(tmp_path) -> None:
    owl("sample", tmp_path / "first")
    done = owl("init", "first/olinda/search", "--scene", "first/olinda/landsat.tif", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "256 patches of 16 x 16 pixels in EPSG:31985" in done.stdout
    assert "blue, green, red, nir" in done.stdout and "Note" not in done.stdout
    assert owl("query", "first/olinda/search", cwd=tmp_path).returncode == 0


def test_the_scene_says_what_its_bands_are() -> None:
    with rasterio.open(SAMPLE / "scene.tif") as scene:
        assert scene.descriptions == ("blue", "green", "red", "nir")
        assert scene.dtypes[0] == "uint16"
        assert scene.crs.is_projected
        assert scene.block_shapes[0] == (256, 256)
        assert scene.profile["compress"] == "deflate"
        assert scene.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_the_map_has_what_concepts_are_made_of() -> None:
    features, bounds = read_osm(str(SAMPLE / "area.osm"), ["landuse", "waterway", "highway"])
    uses = {"industrial", "residential", "forest", "farmland"}
    assert set(features["landuse"].dropna()) == uses
    assert (features["waterway"] == "river").any()
    assert features["highway"].notna().sum() >= 5
    assert bounds is not None
    assert bounds[0] <= features.total_bounds[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, SAMPLE / "make.py", out], check=True)
    return out


def test_the_maker_makes_what_is_shipped(made: Path) -> None:
    for name in ("scene.tif", "next_year.tif"):
        with rasterio.open(made / name) as one, rasterio.open(SAMPLE / name) as other:
            # another build of the libraries may round a pixel the other way
            assert np.mean(one.read() == other.read()) > 0.999
    for name in ("truth.gpkg", "clearings.gpkg"):
        ours, shipped = (gpd.read_file(folder / name) for folder in (made, SAMPLE))
        assert ours.drop(columns="geometry").equals(shipped.drop(columns="geometry"))
        assert ours.geometry.geom_equals_exact(shipped.geometry, 1e-3).all()
    ours, shipped = ((folder / "area.osm").read_text() for folder in (made, SAMPLE))
    assert len(ours.splitlines()) == len(shipped.splitlines())
