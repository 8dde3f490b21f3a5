"""Start the test that opens a published batch inside QGIS; see test_qgis.py for what it needs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import searches
from postgis_server import Server, database_name, new_run, publish_patches
from qgis_tests import CORE_PYTHON, QGIS_TESTS

from owl_geo import query
from owl_geo.labels.administration import register
from owl_geo.labels.database import Database
from owl_geo.verbs.publish import publish

_RUNS = 26  # one for each test of the plugin
# QGIS may be in another root file system than the server; the core's interpreter is in the server's
_EXECUTE = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
ROOT = Path(__file__).parents[2]


def in_qgis(python: str, test: str, folder: Path, known: object, **environment: str) -> None:
    (folder / "expected.json").write_text(json.dumps(known), encoding="utf-8")
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["--rootdir", str(QGIS_TESTS), str(QGIS_TESTS / test)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    kept.pop("PYTHONPATH", None)
    whole = {
        **kept,
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OWL_QGIS_FOLDER": str(folder),
        **environment,
    }
    done = subprocess.run(command, env=whole, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nreturn code {done.returncode}"


def test_a_published_batch_in_plain_qgis(
    qgis_python: str,
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
    in_qgis(qgis_python, "test_postgis_layer.py", tmp_path, known)


def test_the_plugin_labels_in_a_store(
    qgis_python: str,
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
) -> None:
    annotators("ana", "ben")
    url = server.url(database_name(team))
    for number, name in enumerate([*(f"run-{number}" for number in range(_RUNS)), "early"]):
        run = searches.make(tmp_path / name, labels=url, seed=number)  # or all were one run
        settings = run.settings
        register(team, settings.run_id, settings.classes, settings.positive)
        if name != "early":
            publish(run, query(run))
    program = tmp_path / "owl-geo"
    own = " ".join(f'{name}="{value}"' for name, value in server.environment().items())
    program.write_text(
        f'#!/bin/sh\n{own} PYTHONPATH="{ROOT}" exec "{CORE_PYTHON}" -m owl_geo "$@"\n'
    )
    program.chmod(0o700)
    known = {
        "port": server.port,
        "database": database_name(team),
        "password": server.password,
        "control": [CORE_PYTHON, "-c", _EXECUTE, *server.command()],
    }
    in_qgis(
        qgis_python,
        "test_postgis_plugin.py",
        tmp_path,
        known,
        OWL_CORE_PYTHON=CORE_PYTHON,
        OWL_CORE_PROGRAM=str(program),
        **server.environment("ana"),
    )
