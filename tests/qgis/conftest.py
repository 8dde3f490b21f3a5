"""Fixtures for tests inside QGIS; QGIS's own Python runs them, which has no owl_geo.

tests/plugin starts them and says by environment variables where things lie:
OWL_QGIS_FOLDER holds batches and what is known of them (expected.json), OWL_CORE_PYTHON is the
interpreter that has owl_geo, OWL_CORE_PROGRAM the command owl-geo. The two never meet in one process,
for each brings an SQLite of its own.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsSettings, QgsVectorLayer
from qgis.gui import QgsLayerTreeMapCanvasBridge, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMainWindow, QVBoxLayout, QWidget

sys.path.insert(0, str(Path(__file__).parents[2] / "qgis_plugin"))


@pytest.fixture(scope="session", autouse=True)
def qgis():
    application = QgsApplication([], True)
    application.initQgis()
    yield application
    gc.collect()  # a layer in a cycle would otherwise go after QGIS, which crashes
    application.exitQgis()


@pytest.fixture(autouse=True)
def empty_project(request):
    yield
    if "iface" in request.fixturenames:
        # QGIS 3.22 crashes if a layer goes while it is drawn and its file has gone already
        request.getfixturevalue("iface").canvas.waitWhileRendering()
    QgsProject.instance().clear()


@pytest.fixture(autouse=True)
def home(tmp_path_factory):
    """The home folder, where answers may be rescued to: not that of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "home", lambda: home)
        yield home


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


class Iface:
    """The part of QGIS's interface that the plugin uses, with real widgets."""

    def __init__(self):
        self.window = QMainWindow()
        centre = QWidget(self.window)
        layout = QVBoxLayout(centre)
        self.bar = QgsMessageBar(centre)
        self.canvas = QgsMapCanvas(centre)
        layout.addWidget(self.bar)
        layout.addWidget(self.canvas, 1)
        self.window.setCentralWidget(centre)
        self.window.resize(1280, 900)
        self.bridge = QgsLayerTreeMapCanvasBridge(
            QgsProject.instance().layerTreeRoot(), self.canvas
        )
        QgsProject.instance().crsChanged.connect(self.follow_project)
        self.menu = []
        self.drops = []
        self.active = None
        self.entries = {}  # in the context menu of layers, with the layers that have them

    def follow_project(self):
        self.canvas.setDestinationCrs(QgsProject.instance().crs())

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)

    def addToolBar(self, name):
        return self.window.addToolBar(name)

    def addPluginToMenu(self, menu, action):
        self.menu.append(action)

    def removePluginMenu(self, menu, action):
        self.menu.remove(action)

    def registerCustomDropHandler(self, handler):
        self.drops.append(handler)

    def unregisterCustomDropHandler(self, handler):
        self.drops.remove(handler)

    def setActiveLayer(self, layer):
        self.active = layer

    def activeLayer(self):
        return self.active

    def addCustomActionForLayerType(self, action, menu, kind, all_layers):
        assert not all_layers
        self.entries[action] = []

    def addCustomActionForLayer(self, action, layer):
        self.entries[action].append(layer.name())

    def removeCustomActionForLayerType(self, action):
        del self.entries[action]


@pytest.fixture(scope="session")
def iface(qgis):
    """One window per process: tearing it down and making another crashes QGIS."""
    iface = Iface()
    iface.window.show()
    yield iface
    # widgets first, QGIS after them: the other order crashes at exit
    QgsProject.instance().clear()
    iface.canvas.waitWhileRendering()
    iface.bridge.deleteLater()
    iface.window.close()
    iface.window.deleteLater()
    QTest.qWait(50)


@pytest.fixture
def plugin(iface):
    """The plugin as QGIS loads it, in a clean profile."""
    import owl_geo_labeler

    QgsSettings().remove("owl_geo_labeler")
    QgsSettings().setValue("owl_geo_labeler/annotator", "Ada")
    plugin = owl_geo_labeler.classFactory(iface)
    plugin.initGui()
    yield plugin
    plugin.unload()
    iface.bar.clearWidgets()
    QTest.qWait(20)


@pytest.fixture
def still(iface):
    """Let the map be drawn to its end, before its file goes."""

    def still():
        QTest.qWait(20)
        iface.canvas.waitWhileRendering()

    return still


@pytest.fixture
def wait_until():
    """Let QGIS go on until something holds."""

    def wait_until(holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not happen"
            QTest.qWait(10)

    return wait_until


@pytest.fixture
def press(iface):
    """Send keys to what has the focus, the map at first; ``press("1", "ctrl+Right")``."""

    def press(*keys):
        for key in keys:
            *held, name = key.split("+")
            modifiers = Qt.KeyboardModifiers()
            for word in held:
                modifiers |= {
                    "ctrl": Qt.KeyboardModifier.ControlModifier,
                    "shift": Qt.KeyboardModifier.ShiftModifier,
                }[word]
            target = iface.window.focusWidget() or iface.canvas
            QTest.keyClick(target, getattr(Qt.Key, f"Key_{name}"), modifiers)

    return press


@pytest.fixture
def messages(iface):
    """What stands in the message bar."""
    return lambda: [item.text() for item in iface.bar.items()]


ROWS = """
import json, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
query = "SELECT rank, label, annotator, comment, labelled_at FROM batch WHERE rank ORDER BY rank"
print(json.dumps(connection.execute(query).fetchall()))
"""


@pytest.fixture
def rows(request):
    """Read rank, label, annotator, comment and labelled_at with sqlite3, in another process.

    Answers are written beside the keys, so what is on its way is waited for, unless it cannot go.
    """

    def rows(path):
        if "plugin" in request.fixturenames:
            from owl_geo_labeler.store import Trouble

            labelling = request.getfixturevalue("plugin").labelling
            while labelling is not None and labelling.store.n_waiting:
                if labelling.store.trouble not in (None, Trouble.LOCKED):
                    break
                QTest.qWait(5)
        done = subprocess.run(
            [sys.executable, "-c", ROWS, str(path)], stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)

    return rows


@pytest.fixture
def labels(rows):
    """The labels on disk, in the order of the rank."""
    return lambda path: [row[1] for row in rows(path)]


@pytest.fixture(autouse=True)
def no_error_in_a_slot(monkeypatch):
    """An exception that a signal raised reaches no test by itself, and aborts the process."""
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: seen.append(error))
    yield
    for kind, error, trace in seen:
        raise error.with_traceback(trace)
