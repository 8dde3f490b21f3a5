"""Runs the plugin on PyQt6, as QGIS 4 does, with stand-ins for QGIS. Not a test of the suite.

    python -m venv /tmp/qt6 && /tmp/qt6/bin/pip install PyQt6
    /tmp/qt6/bin/python tests/qgis/on_pyqt6.py [PICTURE.png]

PyQt6 is real, and so is what the plugin has of widgets, keys, signals and processes: panel, linked
maps, review, settings, labelling without a map, the engine. Of QGIS, only what these need is imitated: a class
takes any call and gives any name. What depends on QGIS itself (layers, providers, what is drawn) is not
run here. It prints what ran, and ends with the first thing that fails.
"""

from __future__ import annotations

import enum
import importlib
import os
import sys
import tempfile
import time
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6 import QtCore, QtGui, QtWidgets  # noqa: E402
from PyQt6.QtCore import QEvent, QObject, QPointF, QSize, Qt, pyqtSignal  # noqa: E402
from PyQt6.QtTest import QTest  # noqa: E402

PLUGIN = Path(__file__).parents[2] / "qgis_plugin" / "owl_geo_labeler"


class AnyKind(type):
    """A class whose every name is another such class."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyKind(name, (Any,), {})


class Any(metaclass=AnyKind):
    """Takes any call, and gives itself."""

    def __init__(self, *_args, **_named):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_args, **_named: self


class Settings:
    """QgsSettings, for as long as this runs."""

    kept = {"owl_geo_labeler/annotator": "Ada"}

    def value(self, name, default=None):
        return self.kept.get(name, default)

    def setValue(self, name, value):
        self.kept[name] = value


class Project(QObject):
    """QgsProject without layers."""

    layersAdded = pyqtSignal(list)
    layersRemoved = pyqtSignal(list)
    layersWillBeRemoved = pyqtSignal(list)
    one = None

    @classmethod
    def instance(cls):
        cls.one = cls.one or cls()
        return cls.one

    def layerTreeRoot(self):
        return Tree()

    def mapLayers(self):
        return {}


class Tree(Any):
    def findLayers(self):
        return []

    def findLayer(self, _layer):
        return None


class Rectangle:
    def __init__(self, side=1500.0):
        self.side = side

    @classmethod
    def fromCenterAndSize(cls, _centre, width, _height):
        return cls(width)

    def isEmpty(self):
        return False


class MapSettings(Any):
    def __init__(self, canvas):
        self.canvas = canvas

    def outputSize(self):
        return self.canvas.size()

    def destinationCrs(self):
        return "a CRS"


class Canvas(QtWidgets.QGraphicsView):
    """QgsMapCanvas with an extent, layers and signals, which draws nothing."""

    extentsChanged = pyqtSignal()
    rotationChanged = pyqtSignal(float)
    destinationCrsChanged = pyqtSignal()
    layersChanged = pyqtSignal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setScene(QtWidgets.QGraphicsScene(self))
        self._layers, self._extent, self._tool = [], Rectangle(), None

    def layers(self):
        return list(self._layers)

    def setLayers(self, layers):
        self._layers = list(layers)
        self.layersChanged.emit()

    def extent(self):
        return self._extent

    def setExtent(self, extent):
        self._extent = extent
        self.extentsChanged.emit()

    def mapUnitsPerPixel(self):
        return self._extent.side / min(self.width(), self.height())

    def center(self):
        return QPointF(0, 0)

    def rotation(self):
        return 0.0

    def mapSettings(self):
        return MapSettings(self)

    def canvasColor(self):
        return QtGui.QColor("white")

    def setMapTool(self, tool):
        self._tool = tool

    def mapTool(self):
        return self._tool

    def __getattr__(self, name):
        if name in ("refresh", "stopRendering", "enableAntiAliasing", "unsetMapTool") or (
            name.startswith("set") and name.endswith(("Enabled", "Color"))
        ):
            return lambda *_args: None
        raise AttributeError(name)


class Band(QtWidgets.QGraphicsRectItem):
    def __init__(self, canvas, _kind):
        super().__init__()
        canvas.scene().addItem(self)

    def setSymbol(self, _symbol):
        pass

    def setToGeometry(self, _geometry, _crs):
        pass


class Tool(QObject):
    class Flag(enum.Flag):
        EditTool = 2

    def __init__(self, canvas):
        super().__init__(canvas)

    def flags(self):
        return self.Flag(0)


class FileWidget(QtWidgets.QWidget):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit(self)

    def lineEdit(self):
        return self._line

    def setFilePath(self, path):
        self._line.setText(path)

    def filePath(self):
        return self._line.text()


REAL = {
    "QgsSettings": Settings,
    "QgsProject": Project,
    "QgsRectangle": Rectangle,
    "QgsCsException": type("QgsCsException", (Exception,), {}),
    "QgsProcessingException": type("QgsProcessingException", (Exception,), {}),
    "QgsMapCanvas": Canvas,
    "QgsRubberBand": Band,
    "QgsMapTool": Tool,
    "QgsMapToolPan": Tool,
    "QgsFileWidget": FileWidget,
    "QgsPointXY": QPointF,
    "NULL": None,
}


def stand_in(name, values=None):
    """Put a module there that has some names, and for all others a class that takes anything."""
    module = types.ModuleType(name)
    module.__dict__.update(values or {})
    module.__getattr__ = lambda word: AnyKind(word, (Any,), {})
    module.__path__ = []
    sys.modules[name] = module
    return module


def stand_in_for_qgis():
    """As QGIS 4 has it: qgis.PyQt is PyQt6, with QAction and QShortcut among the widgets as well."""
    for name in ("qgis", "osgeo"):
        stand_in(name)
    for name in ("qgis.core", "qgis.gui"):
        stand_in(name, REAL)
    stand_in("qgis.PyQt")
    for name, module in (
        ("QtCore", QtCore),
        ("QtGui", QtGui),
        ("QtWidgets", QtWidgets),
    ):
        sys.modules[f"qgis.PyQt.{name}"] = module
    QtWidgets.QAction, QtWidgets.QShortcut = QtGui.QAction, QtGui.QShortcut
    sys.path.insert(0, str(PLUGIN.parent))


def import_all():
    names = sorted(path.stem for path in PLUGIN.glob("*.py") if path.stem != "__init__")
    for name in names:
        importlib.import_module(f"owl_geo_labeler.{name}")
    return f"{len(names)} modules imported"


def patches():
    from owl_geo_labeler.session import Patch

    return [
        Patch(n, f"scene/0/{32 * n}", n, "scene", "EPSG:32631", {"probability": 0.1 * n})
        for n in range(1, 5)
    ]


def label_by_keys(window):
    """The panel shows a session, and its keys and buttons answer."""
    from owl_geo_labeler.dock import LabelDock
    from owl_geo_labeler.keys import LabelKeys
    from owl_geo_labeler.session import Session
    from owl_geo_labeler.why import why_lines

    classes = ("absent", "present")
    session, dock, canvas = Session(patches(), classes, "Ada"), LabelDock(window), Canvas(window)
    window.setCentralWidget(canvas)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    dock.begin("Batch run-001, round 1", classes, session.n_asked, True)
    dock.map_panel.offer_views(["2019"])
    dock.map_panel.show_view("2019", True)
    dock.footer.set_where("Keys go to: Layers. F8 brings them back.")
    keys, held = LabelKeys([canvas, dock], window), []

    def answer(label):
        session.answer(label)
        session.move_to_unanswered(1)
        dock.show_session(session, why_lines(session.patch, 4, "present", ()), True)

    dock.answered.connect(answer)
    for place, label in enumerate(classes, 1):
        keys.bind(getattr(Qt.Key, f"Key_{place}"), lambda label=label: answer(label))
    keys.bind(Qt.Key.Key_Z, session.undo, ctrl=True, repeats=True)
    keys.bind(Qt.Key.Key_H, lambda: held.append("down"), released=lambda: held.append("up"))
    window.show()
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_2)
    QTest.keyClick(canvas, Qt.Key.Key_1)
    labels = [patch.answer.label for patch in session.patches]
    assert labels == ["present", "absent", None, None], labels
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.patches[1].answer.label is None
    QTest.keyPress(canvas, Qt.Key.Key_H)
    QTest.keyRelease(canvas, Qt.Key.Key_H)
    QTest.qWait(120)
    assert held == ["down", "up"], held
    button = dock.findChild(QtWidgets.QPushButton, "answer_unsure")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert session.counts()["unsure"] == 1
    comment = dock.findChild(QtWidgets.QLineEdit, "comment")
    comment.setFocus()
    QTest.keyClicks(comment, "12")
    assert comment.text() == "12" and session.n_answered == 2
    QTest.keyClick(comment, Qt.Key.Key_Return)
    return dock, canvas


def link_maps(window, dock, canvas):
    """The linked maps open, follow in both directions, and close."""
    from owl_geo_labeler.linked import LinkedMaps
    from owl_geo_labeler.linked_dock import LinkedDock
    from owl_geo_labeler.settings import PluginSettings

    class PatchMap(QObject):
        outlined = pyqtSignal()
        outlined_patch = None

    views = types.SimpleNamespace(names=["2019"], layers=lambda _name: ["layer"])
    batch = types.SimpleNamespace(place=Path("batch.gpkg"), layer=Any())
    linked_dock = LinkedDock(window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, linked_dock)
    linked = LinkedMaps(linked_dock, canvas, PluginSettings(), dock, window)
    linked.begin(batch, None, PatchMap(window), views)
    linked.switch()
    QTest.qWait(100)
    (one,) = linked_dock.maps
    assert linked_dock.isVisible() and one.choice.currentText() == "2019"
    canvas.setExtent(Rectangle(700.0))
    assert abs(one.canvas.extent().side - 700) < 1
    one.canvas.setExtent(Rectangle(300.0))
    assert abs(canvas.extent().side - 300) < 1
    return linked, linked_dock


class NoPictures(QObject):
    """Thumbnails of which none is drawn yet."""

    drawn = pyqtSignal(int)

    def picture(self, fid):
        return None

    def want(self, fids, edge):
        self.wanted = list(fids)


def review_predictions(window, canvas):
    """The panel of a review: frames, names and tips, threshold, and the room that it takes."""
    from owl_geo_labeler.gallery import PatchModel
    from owl_geo_labeler.review_dock import ReviewDock
    from owl_geo_labeler.session import Answer, Patch, Session

    patches = [
        Patch(n, f"s/0/{n}", n, "s", "EPSG:4326", {"probability": 1 - n / 20}, Answer(), False)
        for n in range(1, 9)
    ]
    patches[1].answer = Answer("absent", "Grace & Co", None, "2026-01-01T00:00:00Z")
    dock = ReviewDock(window)
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    dock.hide()
    model, pictures = PatchModel(Session(patches, ("absent", "present"), "Ada"), dock), NoPictures()
    dock.gallery.begin(model, pictures, ("absent", "present"), "present")
    dock.begin("present", "absent", 0.6, 8, 12.0)
    dock.open_below(canvas)
    QTest.qWait(400)
    dock.set_threshold(0.8)
    dock.show_above(4, 8, 6.0)
    dock.show_answers(0, 1, 3, False)
    dock.gallery.show_patch(1)
    tip = model.data(model.index(1, 0), Qt.ItemDataRole.ToolTipRole)
    assert "absent (Grace &amp; Co)" in tip, tip
    assert not dock.grab().isNull() and pictures.wanted
    row = dock.gallery.gridSize().height()
    assert dock.gallery.viewport().height() >= row, (dock.gallery.viewport().height(), row)
    dock.gallery.end()
    window.removeDockWidget(dock)


def ask_settings(window):
    from owl_geo_labeler.settings import PluginSettings
    from owl_geo_labeler.settings_dialog import SettingsDialog

    dialog = SettingsDialog(PluginSettings(), window)
    dialog.annotator.setText("Grace")
    QtCore.QTimer.singleShot(50, dialog.accept)
    assert dialog.exec() == QtWidgets.QDialog.DialogCode.Accepted
    assert PluginSettings().annotator == "Grace"


def run_a_program():
    """A process says how far it is and ends; one that is not there is said."""
    from owl_geo_labeler.core import CoreProcess

    heard = []
    code = "import sys; print('out'); sys.stderr.write('error: it is wrong\\n'); sys.exit(%d)"
    for program, arguments in (
        (sys.executable, ["-c", code % 0]),
        (sys.executable, ["-c", code % 1]),
        ("/gone/owl-geo", []),
    ):
        process = CoreProcess(program)
        for name in ("done", "failed", "unstarted"):
            getattr(process, name).connect(lambda text, name=name: heard.append((name, text)))
        n = len(heard)
        process.start(arguments)
        end = time.monotonic() + 20
        while len(heard) == n:
            assert time.monotonic() < end
            QTest.qWait(10)
    assert heard[:2] == [("done", "out\n"), ("failed", "it is wrong")], heard
    assert heard[2][0] == "unstarted", heard


def main(picture):
    stand_in_for_qgis()
    raised = []
    sys.excepthook = lambda *error: (raised.append(error), sys.__excepthook__(*error))
    application = QtWidgets.QApplication([])
    print("Qt", QtCore.QT_VERSION_STR, "PyQt", QtCore.PYQT_VERSION_STR)
    print(import_all())
    window = QtWidgets.QMainWindow()
    window.resize(QSize(1024, 740))
    dock, canvas = label_by_keys(window)
    print("panel, keys and buttons")
    linked, linked_dock = link_maps(window, dock, canvas)
    print("linked maps")
    if picture:
        dock.footer.set_trouble("another program has locked batch.gpkg; carry on")
        QTest.qWait(50)
        window.grab().save(picture)
    review_predictions(window, canvas)
    print("review")
    linked.end()
    QTest.qWait(20)
    assert not linked_dock.isVisible() and linked_dock.maps == []
    dock.end()
    ask_settings(window)
    print("settings")
    run_a_program()
    print("processes")
    QtCore.QCoreApplication.sendEvent(dock, QEvent(QEvent.Type.Close))
    window.close()
    application.processEvents()
    assert not raised, "an exception in a slot"
    print("all of it ran")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(sys.argv[1] if len(sys.argv) > 1 else "")
