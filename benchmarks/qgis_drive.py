"""Runs inside QGIS (``--code``) for ``benchmarks.at_the_map``: labels a run, and times each wait.

OWL_MAP_FOLDER holds ``asked.json``, which says what to do; the times are left in ``waits.json``.
"""

import json
import os
import sys
import time
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface, plugins

FOLDER = Path(os.environ["OWL_MAP_FOLDER"])
ASKED = json.loads((FOLDER / "asked.json").read_text(encoding="utf-8"))
PATIENCE = 300.0  # seconds


def until(holds):
    """Let QGIS work until something holds, and return when that was seen."""
    end = time.perf_counter() + PATIENCE
    while not holds():
        if time.perf_counter() > end:
            raise TimeoutError("QGIS waits for what does not come")
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
    return time.perf_counter()


def pause(seconds):
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() >= end)


def press(key):
    QTest.keyClick(iface.mainWindow().focusWidget() or iface.mapCanvas(), key)


def wait_for_next(plugin):
    """Label the open batch, ask for the next, and return what was waited for, in seconds."""
    session = plugin.labelling.session
    for number in range(len(session.patches)):
        press(Qt.Key.Key_2 if number % 5 == 0 else Qt.Key.Key_1)
        pause(ASKED["between"])
    until(lambda: plugin.labelling.is_saved())
    pause(ASKED["pause"])
    canvas, open_batch, first = iface.mapCanvas(), plugin.open, plugin.labelling.batch.path
    times = {}

    def opening(*given):
        times["came"] = time.perf_counter()
        open_batch(*given)
        times["open"] = time.perf_counter()
        assert plugin.labelling.session.n_answered == 0

    def painted():
        if "open" in times:
            times.setdefault("painted", time.perf_counter())

    plugin.open = opening
    canvas.mapCanvasRefreshed.connect(painted)
    begun = time.perf_counter()
    plugin.dock.footer.next_button.click()
    until(lambda: "painted" in times)
    canvas.mapCanvasRefreshed.disconnect(painted)
    del plugin.open
    assert plugin.labelling.batch.path != first
    return {
        "batch": times["came"] - begun,
        "layer": times["open"] - times["came"],
        "answerable": times["open"] - begun,
        "first paint": times["painted"] - times["open"],
    }


def drive():
    plugin = plugins["owl_geo_labeler"]
    plugin.open_run(FOLDER / ASKED["run"])
    until(lambda: plugin.labelling is not None and not iface.mapCanvas().isDrawing())
    waits = [wait_for_next(plugin) for _ in range(ASKED["rounds"] + 1)]
    # the first round of a process imports what all later ones need
    (FOLDER / "waits.json").write_text(json.dumps(waits[1:]), encoding="utf-8")


def run():
    try:
        drive()
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever started QGIS is told
        (FOLDER / "error.txt").write_text(repr(error), encoding="utf-8")
    QgsProject.instance().clear()
    QgsProject.instance().setDirty(False)
    iface.actionExit().trigger()


sys.excepthook = lambda *error: (FOLDER / "error.txt").write_text(repr(error[1]), encoding="utf-8")
QTimer.singleShot(1000, run)  # QGIS runs this file before its window is there
