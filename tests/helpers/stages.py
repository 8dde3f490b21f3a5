"""A small run from its making to its maps: each command, from what it starts and what it makes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from forks import Done, Forks
from rasterio.transform import from_origin
from rasters import ORIGIN, write_raster
from searches import label
from shapely.geometry import box

from owl_geo import Run


@dataclass(frozen=True)
class Stage:
    """A command, what it starts from, and what it makes undisturbed."""

    arguments: tuple[object, ...]
    before: Path | None
    after: Path
    undisturbed: Done


def write_scenes(folder: Path) -> None:
    """Two scenes of 36 patches each side by side, and land with woods in the north."""
    rng = np.random.default_rng(5)
    x, y = ORIGIN
    for number, name in enumerate("ab"):
        values = rng.integers(1, 1000, (2, 48, 48), dtype=np.uint16)
        values[0, :24] += 1000
        place = from_origin(x + number * 480, y, 10, 10)
        write_raster(folder / f"{name}.tif", values, transform=place)
    woods = [box(x, y - 240, x + 240, y), box(x + 240, y - 240, x + 960, y)]
    columns = {"use": ["wood", "wood"], "dense": [None, "wood"]}
    land = gpd.GeoDataFrame(columns, geometry=woods, crs="EPSG:32631")
    land.to_file(folder / "land.gpkg", layer="land")
    (folder / "more.toml").write_text(MORE, encoding="utf-8")


MORE = """
[layers.land]
path = "land.gpkg"
[concepts.use]
kind = "category"
layer = "land"
column = "use"
[training]
epochs = 3
[loop]
initial = 6
batch_size = 4
"""


def make_stages(forks: Forks) -> dict[str, Stage]:
    """Each command once, undisturbed, from what the one before it left."""
    folder = forks.folder
    write_scenes(folder)
    made: dict[str, Stage] = {}

    def stage(name: str, before: Path | None, *arguments: object) -> Path:
        run, after = folder / "run", folder / f"after-{name}"
        shutil.rmtree(run, ignore_errors=True)
        if before is not None:
            shutil.copytree(before, run)
        done = forks.run(*arguments)
        assert done.code == 0, done.err
        run.rename(after)
        made[name] = Stage(arguments, before, after, done)
        return after

    start = ("--bands", "1,2", "--patch-size", 8, "--config", "more.toml", "--model", "cnn")
    new = stage("init", None, "init", "run", "--scene", "a.tif", *start)
    first = stage("query", new, "query", "run")
    answered = folder / "answered"
    shutil.copytree(first, answered)
    patches = Run(answered).rounds()[0].patch_ids
    label(
        answered / "rounds/000/batch.gpkg",
        {patch: ("present", "absent")[k % 2] for k, patch in enumerate(patches)},
    )
    known = stage("ingest", answered, "ingest", "run", "run/rounds/000/batch.gpkg")
    stage("train", known, "query", "run")
    stage("predict", known, "predict", "run")
    stage("add", known, "add", "run", "--scene", "b.tif")
    stage("patches", known, "patches", "run", "run/grid.fgb")
    stage("export", known, "labels", "export", "run", "run/answers.gpkg")
    stage("like", known, "like", "run", "a/0/0")
    stage("classes", known, "classes", "add", "run", "quarry")
    edited = folder / "edited"
    shutil.copytree(known, edited)
    text = (edited / "owl.toml").read_text(encoding="utf-8")
    assert 'column = "use"' in text
    text = text.replace('column = "use"', 'column = "dense"')
    (edited / "owl.toml").write_text(text, encoding="utf-8")
    stage("update", edited, "init", "run", "--update")
    return made


def begin(forks: Forks, stage: Stage) -> Path:
    run = forks.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    for left_over in forks.folder.glob(".*"):  # of an init, beside its place
        shutil.rmtree(left_over)
    if stage.before is not None:
        shutil.copytree(stage.before, run)
    return run
