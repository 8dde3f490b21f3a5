"""Runs over three scenes with bright corners, answered by a program, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from rasters import ORIGIN, write_raster
from searches import label

import owl_geo
from owl_geo import Run

CNN = {"kind": "cnn"}


def write_scenes(folder: Path, names: tuple[str, ...] = ("a", "b", "c")) -> list[dict[str, Any]]:
    """Scenes of noise with a bright corner, one below the other; c lies in another zone."""
    scenes = []
    for number, name in enumerate(names):
        values = np.random.default_rng(number).random((2, 96, 96)).astype(np.float32)
        values[:, :48, :48] += 2
        crs = "EPSG:32632" if name == "c" else "EPSG:32631"
        x = ORIGIN[0] - 300_000 * (name == "c")
        y = ORIGIN[1] - number * 1000
        place = rasterio.transform.from_origin(x, y, 10, 10)
        path = write_raster(
            folder / f"{number}.tif", values, crs=crs, transform=place, tiled=False, blockysize=8
        )
        scenes.append({"name": name, "path": str(path)})
    return scenes


def answered(path: Path, *, rounds: int = 1, **tables: Any) -> Run:
    """A run over three scenes with all its batches answered: the bright corners are present."""
    source = {
        "kind": "geotiff",
        "patch_size": 8,
        "scenes": write_scenes(path.parent / "scenes"),
        **tables.pop("source", {}),
    }
    base = {"source": source, "loop": {"initial": 12, "batch_size": 6}, "seed": 3}
    run = owl_geo.init(path, {**base, **tables}).run
    for _ in range(rounds):
        answer(run)
    return run


def answer(run: Run) -> None:
    """Ask a batch, and answer all of it."""
    entry = owl_geo.query(run, device="cpu")
    batch = run.batch_path(entry.number)
    label(batch, {patch: truth(patch) for patch in entry.patch_ids})
    owl_geo.ingest(run, [batch], annotator="ana")


def truth(patch: str) -> str:
    _, row, col = patch.rsplit("/", 2)
    return "present" if int(row) < 48 and int(col) < 48 else "absent"


def table(folder: Path) -> pd.DataFrame:
    """What was said of every patch, by patch_id."""
    parts = [pd.read_parquet(path) for path in (folder / "patches").glob("*.parquet")]
    return pd.concat(parts).set_index("patch_id")


def times(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def pixels(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in [*folder.glob("*/*.tif"), *folder.glob("*.vrt")]:
        with rasterio.open(path) as dataset:
            found[str(path.relative_to(folder))] = dataset.read().tobytes()
    return found
