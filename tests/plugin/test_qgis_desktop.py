"""The whole circle in a real QGIS desktop: label, next batch, label again, by keys and mouse.

Skips where QGIS's desktop, Xvfb, xdotool or ImageMagick are missing, unless OWL_REQUIRE_QGIS=1 is
set. OWL_QGIS_PICTURES names a folder that keeps the screenshots.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qgis_tests import CORE_PYTHON
from rasters import coordinates, write_raster

from owl_geo import init

ROOT = Path(__file__).parents[2]
DRIVE = Path(__file__).parents[1] / "qgis" / "desktop_drive.py"
TOOLS = ("qgis", "Xvfb", "xdotool", "import")
SCREEN = os.environ.get("OWL_QGIS_SCREEN", "1920x1080")


def owl_geo(*arguments: object) -> str:
    command = [sys.executable, "-m", "owl_geo", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen of its own."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        message = f"{', '.join(missing)} missing: no test in a QGIS desktop"
        if os.environ.get("OWL_REQUIRE_QGIS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    reading, writing = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        f"{SCREEN}x24",
        "-nolisten",
        "tcp",
    ]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run over one scene with its first batch, and a fresh profile with the plugin installed."""
    scene, old = (
        write_raster(tmp_path / f"{name}.tif", values, descriptions=("B2", "B3", "B4"))
        for name, values in (
            ("scene", coordinates(192, 192)),
            ("old", coordinates(192, 192)[:, ::-1]),
        )
    )
    init(
        tmp_path / "run",
        {
            "source": {
                "kind": "geotiff",
                "patch_size": 16,
                "common": {"blue": 1, "green": 2, "red": 3},  # else a message asks for it
                "scenes": [{"name": "scene", "path": str(scene)}],
            },
            "views": {"before": {"scenes": [{"name": "old", "path": str(old)}]}},
            "loop": {"initial": 4, "batch_size": 3},
        },
    )
    owl_geo("query", tmp_path / "run")
    program = tmp_path / "owl-geo"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{CORE_PYTHON}" -m owl_geo "$@"\n')
    program.chmod(0o755)
    owl_geo("plugin", "install", "--profiles-path", tmp_path / "home", "--profile", "t")
    ini = tmp_path / "home" / "profiles" / "t" / "QGIS" / "QGIS3.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text(
        "[PythonPlugins]\nowl_geo_labeler=true\n"
        "[app]\naskToSaveMemoryLayers=false\n"
        f"[owl_geo_labeler]\nannotator=Ada\nexecutable={program}\n"
        + os.environ.get("OWL_QGIS_INI", "")
    )
    return tmp_path


class Desktop:
    """A running QGIS: keys and clicks go in, its state and its screen come out."""

    def __init__(self, display: str, folder: Path) -> None:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.folder = folder
        self.environment = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "XDG_RUNTIME_DIR": str(runtime),
            "HOME": str(folder / "home"),
            "LC_ALL": "C.UTF-8",
            "OWL_DESKTOP_FOLDER": str(folder),
        }
        command = ["qgis", "--profiles-path", str(folder / "home"), "--profile", "t", "--nologo"]
        command += ["--noversioncheck", "--code", str(DRIVE)]
        self._log = (folder / "qgis.log").open("wb")
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=self._log, stderr=self._log
        )

    def state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def wait(self, holds: Callable[[dict[str, Any]], object], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not holds(self.state()):
            error = self.folder / "error.txt"
            assert not error.exists(), error.read_text()
            assert self.process.poll() is None, (self.folder / "qgis.log").read_text()
            assert time.monotonic() < end, f"it did not happen: {self.state()}"
            time.sleep(0.1)

    def xdotool(self, *arguments: object) -> str:
        command = ["xdotool", *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def focus(self) -> None:
        """Give QGIS's window the screen and the keyboard; there is no window manager to do it."""
        window = self.state()["window"]
        self.xdotool("windowmove", window, 0, 0)
        self.xdotool("windowsize", window, *SCREEN.split("x"))
        self.xdotool("windowfocus", window)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.xdotool("key", key)
            time.sleep(0.1)

    def click_next(self) -> None:
        state = self.state()
        x, y = state["next"]
        self.xdotool("mousemove", "--window", state["window"], x, y, "click", 1)

    def picture(self, name: str) -> None:
        folder = Path(os.environ.get("OWL_QGIS_PICTURES", self.folder))
        time.sleep(1)
        command = ["import", "-window", "root", str(folder / f"{name}.png")]
        subprocess.run(command, env=self.environment, check=True)

    def end(self) -> int:
        (self.folder / "quit").touch()
        try:
            return self.process.wait(60)
        finally:
            self._log.close()


@pytest.fixture
def desktop(display: str, folder: Path) -> Iterator[Desktop]:
    desktop = Desktop(display, folder)
    yield desktop
    if desktop.process.poll() is None:
        desktop.process.kill()
        desktop.process.wait()


def labels(batch: object) -> list[str | None]:
    with closing(sqlite3.connect(f"file:{batch}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT label FROM batch WHERE rank ORDER BY rank").fetchall()
    return [row[0] for row in rows]


def test_two_rounds_by_keyboard(desktop: Desktop) -> None:
    desktop.wait(lambda state: state.get("batch"))
    first = desktop.state()["batch"]
    desktop.focus()
    desktop.wait(lambda state: state["focus"] and not state["drawing"])
    desktop.press("1", "2", "ctrl+z", "u")
    desktop.wait(lambda state: state["answered"] == 2 and not state["waiting"])
    assert labels(first) == ["absent", "unsure", None, None]
    desktop.picture("half")
    desktop.press("2", "2")
    desktop.wait(lambda state: state["answered"] == 4 and not state["waiting"])
    assert labels(first) == ["absent", "unsure", "present", "present"]
    desktop.picture("end")
    desktop.press("v")
    desktop.wait(lambda state: state["view"] == "before" and not state["drawing"])
    desktop.picture("before")
    desktop.press("v")
    desktop.wait(lambda state: state["view"] is None)
    desktop.xdotool("keydown", "v")
    desktop.wait(lambda state: state["view"] == "before")
    time.sleep(1)  # as long as a key repeats itself
    assert desktop.state()["view"] == "before"
    desktop.xdotool("keyup", "v")
    desktop.wait(lambda state: state["view"] is None)
    desktop.click_next()
    desktop.wait(lambda state: state["batch"] != first or state["messages"])
    assert desktop.state()["messages"] == []
    second = desktop.state()["batch"]
    desktop.wait(lambda state: state["focus"])
    desktop.press("2", "1", "s")
    desktop.wait(lambda state: state["answered"] == 3 and not state["waiting"])
    assert labels(second) == ["present", "absent", "skip"]
    desktop.press("l")  # open until the end of QGIS, whose exit code tells a crash
    desktop.wait(lambda state: state["linked"] == ["before"] and not state["drawing"])
    desktop.picture("second")
    assert desktop.end() == 0, (desktop.folder / "qgis.log").read_text()
    assert "4 patches" in owl_geo("status", desktop.folder / "run")
