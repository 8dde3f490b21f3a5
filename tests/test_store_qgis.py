"""Start the test that opens a published batch inside QGIS; see test_qgis.py for what it needs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from postgis_server import Server, database_name, new_run, publish_patches
from test_qgis import QGIS_TESTS, qgis_python  # noqa: F401 - a fixture

from owl_geo.labels.database import Database


def test_a_published_batch_in_plain_qgis(
    qgis_python: str,  # noqa: F811
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
) -> None:
    annotators("ana", "ben")
    view = publish_patches(team, new_run(team), tmp_path)
    known = {
        "port": server.port,
        "database": database_name(team),
        "password": server.password,
        "layer": view.partition(".")[2].strip('"'),
        "patch_ids": [f"scene/0/{i * 32}" for i in range(4)],
    }
    (tmp_path / "expected.json").write_text(json.dumps(known), encoding="utf-8")
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    command = [qgis_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["--rootdir", str(QGIS_TESTS), str(QGIS_TESTS / "test_postgis_layer.py")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = {
        **kept,
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OWL_QGIS_FOLDER": str(tmp_path),
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nreturn code {done.returncode}"
