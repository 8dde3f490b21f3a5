"""Runs inside a real QGIS (``--code``): opens a run, says how things stand, ends when asked to.

OWL_DESKTOP_FOLDER holds ``run``; ``state.json`` is written there twice a second, and a file ``quit``
ends QGIS.
"""

import json
import os
import sys
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint, QTimer
from qgis.utils import iface, plugins

FOLDER = Path(os.environ["OWL_DESKTOP_FOLDER"])


def state():
    plugin = plugins.get("owl_geo_labeler")
    if plugin is None or plugin.labelling is None:
        return {"batch": None}
    button = plugin.dock.footer.next_button
    centre = QPoint(button.width() // 2, button.height() // 2)
    centre = button.mapTo(iface.mainWindow(), centre) * iface.mainWindow().devicePixelRatioF()
    return {
        "window": int(iface.mainWindow().winId()),
        "batch": str(plugin.labelling.batch.path),
        "view": plugin.labelling.sight.views.shown,
        "linked": [one.choice.currentText() for one in plugin.linked_dock.maps],
        "answered": plugin.labelling.session.n_answered,
        "waiting": plugin.labelling.store.n_waiting,
        "noticed": plugin.labelling.session.n_noticed,
        "beside": plugin.labelling.session.patch.beside,
        "focus": iface.mainWindow().focusWidget() in (iface.mapCanvas(), plugin.review_dock.gallery),
        "next": [centre.x(), centre.y()] if button.isVisible() else None,
        # others are QGIS's own, such as a font that it misses
        "messages": [i.text() for i in iface.messageBar().items() if i.title() == "owl-geo"],
        "drawing": iface.mapCanvas().isDrawing(),
    }


def tick():
    if (FOLDER / "quit").exists():
        TIMER.stop()
        QgsProject.instance().clear()
        QgsProject.instance().setDirty(False)
        iface.actionExit().trigger()
        return
    partial = FOLDER / "state.partial"
    partial.write_text(json.dumps(state()))
    partial.replace(FOLDER / "state.json")


def begin():
    plugins["owl_geo_labeler"].open_run(FOLDER / "run")
    TIMER.start(200)


def _say(*error):
    sys.__excepthook__(*error)
    (FOLDER / "error.txt").write_text(repr(error[1]))


sys.excepthook = _say
TIMER = QTimer()
TIMER.timeout.connect(tick)
QTimer.singleShot(500, begin)
