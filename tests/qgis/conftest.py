"""Fixtures for tests inside QGIS; QGIS's own Python runs them, which has no owl_geo.

tests/test_qgis.py starts them and says by environment variables where things lie:
OWL_QGIS_FOLDER holds batches and what is known of them (expected.json), OWL_CORE_PYTHON is the
interpreter that has owl_geo. The two never meet in one process, for each brings an SQLite of its own.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsVectorLayer


@pytest.fixture(scope="session", autouse=True)
def qgis():
    application = QgsApplication([], True)
    application.initQgis()
    yield application
    application.exitQgis()


@pytest.fixture(autouse=True)
def empty_project():
    yield
    QgsProject.instance().clear()


@pytest.fixture(scope="session")
def folder():
    return Path(os.environ["OWL_QGIS_FOLDER"])


@pytest.fixture(scope="session")
def expected(folder):
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def batch(folder, tmp_path):
    """Call with a name to get a fresh copy of that batch."""
    return lambda name: Path(shutil.copy(folder / f"{name}.gpkg", tmp_path))


@pytest.fixture
def open_layer():
    """Open a batch as a user does: the project holds the layer, its embedded style is applied."""

    def open_layer(path):
        layer = QgsVectorLayer(f"{path}|layername=batch", path.stem, "ogr")
        assert layer.isValid()
        QgsProject.instance().addMapLayer(layer)
        return layer

    return open_layer


READ = """
import json, sys
from owl_geo.batches import read_batch
batch = read_batch(sys.argv[1])
rows = batch.answers[["patch_id", "label", "comment"]].astype(object)
print(json.dumps({"classes": batch.classes, "rows": rows.to_numpy().tolist()}))
"""


@pytest.fixture
def read_from_outside():
    """Read a batch with the core, in a process of its own."""

    def read(path):
        done = subprocess.run(
            [os.environ["OWL_CORE_PYTHON"], "-c", READ, str(path)],
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)

    return read
