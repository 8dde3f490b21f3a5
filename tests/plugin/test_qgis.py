"""Start the tests that run inside QGIS, with batches written here.

OWL_QGIS_PYTHON names the Python that has QGIS, /usr/bin/python3 by default; without QGIS the test
skips, unless OWL_REQUIRE_QGIS=1 is set. OWL_QGIS_PICTURE=map.png keeps the rendered map.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chosen import CONCEPTS
from pyproj import CRS
from qgis_tests import BATCHES, CORE_PYTHON, QGIS_TESTS

from owl_geo.batches import write_batch
from owl_geo.ground.windows import PoolWindows
from owl_geo.maps.grid import GridLayer, write_grid
from owl_geo.types import IntArray, SceneGrid, ShownRaster


def grid_of_nine() -> tuple[GridLayer, list[tuple[IntArray, pd.DataFrame]]]:
    """Nine patches, the first two of them answered."""
    grid = SceneGrid("scene", "EPSG:32631", (10.0, 0.0, 5e5, 0.0, -10.0, 5.6e6), 96, 96)
    place = np.arange(9)
    windows = PoolWindows(
        {"scene": grid},
        scene=place * 0,
        row_off=place // 3 * 32,
        col_off=place % 3 * 32,
        patch_size=32,
    )
    concepts = pd.DataFrame({"urban": place % 2 == 1, "a <b>": place * 1.5})
    known = pd.DataFrame({"patch_id": windows.ids, "scene": "scene", "scene_crs": grid.crs})
    known["label"] = pd.Series(["present", "absent", *[None] * 7], dtype=object)
    known["annotators"] = pd.Series(["ana, ben", "ben", *[None] * 7], dtype=object)
    known["round"] = pd.Series([0, 1, *[pd.NA] * 7], dtype="Int64")
    known[["probability", "uncertainty"]] = 0.25, np.nan
    known["held_out"] = place == 8
    layer = GridLayer(windows, concepts, ("absent", "present"), "present", CRS(grid.crs))
    return layer, [(place, known)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Batches of all sorts, and expected.json that says what they hold."""
    expected = {}
    for name, (classes, patches) in BATCHES.items():
        write_batch(
            tmp_path / f"{name}.gpkg",
            patches,
            classes=classes,
            positive=classes[1],
            concepts=CONCEPTS,
            batch_id="run-001",
            round=1,
            # one of them has views, which plain QGIS must not mind
            views=[ShownRaster("before", ("/gone.tif",), (1,), ((0.0, 1.0),))] * (name == "many"),
        )
        expected[name] = {
            "classes": classes,
            "patch_ids": patches["patch_id"].tolist(),
            "crs": patches.crs.to_string(),
        }
    write_grid(tmp_path / "grid.gpkg", *grid_of_nine())
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return tmp_path


def test_batches_in_plain_qgis(qgis_python: str, folder: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    # away from this project's own pytest settings, which ask for a newer pytest
    command = [qgis_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["--rootdir", str(QGIS_TESTS), str(QGIS_TESTS / "test_plain_qgis.py")]
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OWL_QGIS_FOLDER": str(folder),
        "OWL_CORE_PYTHON": CORE_PYTHON,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    # a crash while QGIS shuts down shows only in the return code
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nreturn code {done.returncode}"
