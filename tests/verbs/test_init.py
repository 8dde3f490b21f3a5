"""What ``init`` finds out before anybody labels a patch."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
import torch
from affine import Affine
from click.testing import CliRunner
from rasters import coordinates, write_raster
from searches import make
from torchvision.models import efficientnet_b0, resnet18

from owl_geo import query
from owl_geo.cli import cli
from owl_geo.errors import ConfigError
from owl_geo.schema import BATCH_INFO_QUERY, SHOWN_URI


def test_weights_of_another_network_are_refused_at_once(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    torch.save(efficientnet_b0().state_dict(), weights)
    model = {"kind": "resnet18", "weights": str(weights)}
    with pytest.raises(ConfigError, match="these are not weights of resnet18"):
        make(tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()
    torch.save(resnet18().state_dict(), weights)
    run = make(tmp_path / "run", model=model)
    assert query(run, device="cpu").number == 0


def test_what_bands_are_is_said_once_and_written_into_every_batch(tmp_path: Path) -> None:
    values = coordinates(128, 96, bands=4)
    scene = write_raster(tmp_path / "scene.tif", values, descriptions=("", "", "", "swir16"))
    path = tmp_path / "run"
    done = CliRunner().invoke(
        cli, ["init", str(path), "--scene", str(scene), "--common", "nir=4, red=1"]
    )
    assert done.exit_code == 0, done.output
    written = tomllib.loads((path / "owl.toml").read_text("utf-8"))
    assert written["source"]["common"] == {"nir": "4", "red": "1"}
    query(path, device="cpu")
    batch = path / "rounds" / "000" / "batch.gpkg"
    with closing(sqlite3.connect(batch)) as connection:
        ((text,),) = connection.execute(BATCH_INFO_QUERY, (SHOWN_URI,)).fetchall()
    (way,) = json.loads(text)["scenes"]
    assert (way["colours"], way["bands"]) == ("first", [1, 2, 3])
    assert way["unknown"] == ["green", "blue"]


@pytest.mark.parametrize(
    ("crs", "columns", "step", "note"),
    [
        (
            "EPSG:4326",
            400,
            1.0,
            "goes 400 degrees round the Earth, so the pool has the ground of 40 ",
        ),
        (
            "EPSG:4326",
            370,
            1.0,
            "goes 370 degrees round the Earth, so the pool has the ground of 10 ",
        ),
        ("EPSG:4326", 360, 1.0, None),
        ("EPSG:4326", 361, 1.0, None),  # the first column again, as of grids of nodes
        (
            "EPSG:3857",
            440,
            100_000.0,
            "degrees round the Earth, so the pool has the ground of 35.26 ",
        ),
        ("EPSG:32632", 400, 10.0, None),
    ],
)
def test_ground_at_both_ends_of_a_scene_is_said(
    tmp_path: Path, crs: str, columns: int, step: float, note: str | None
) -> None:
    transform = Affine(step, 0, -step * columns / 2, 0, -step, 30 * step)
    values = coordinates(30, columns)
    scene = write_raster(tmp_path / "scene.tif", values, crs=crs, transform=transform)
    words = ["init", str(tmp_path / "run"), "--scene", str(scene), "--patch-size", "10"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert ("of them twice; cut it to 360 degrees first" in said) == (note is not None)
    assert note is None or note in said


@pytest.mark.parametrize("words", ["nir", "nir=", "nir=4,nir=3"])
def test_what_does_not_say_which_band_something_is(tmp_path: Path, words: str) -> None:
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "run"), "--common", words])
    assert done.exit_code == 2
    assert "does not say which band something is: nir=4,red=1" in done.output
