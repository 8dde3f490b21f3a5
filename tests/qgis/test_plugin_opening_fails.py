"""A batch whose opening fails half-way: nothing of it is left, and it can be opened again."""

import threading

import pytest
from qgis.core import QgsProject
from qgis.gui import QgsRubberBand
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from test_plugin_deleted_rows import hold_back
from test_plugin_faults import lock

from owl_geo_labeler import labelling as labellings
from owl_geo_labeler import plugin as plugins
from owl_geo_labeler import sight as sights
from owl_geo_labeler.dock import LabelDock
from owl_geo_labeler.file_store import FileStore
from owl_geo_labeler.labelling import Labelling
from owl_geo_labeler.linked import LinkedMaps
from owl_geo_labeler.session import Session

PLACES = {
    "session": (labellings, "Session"),
    "beside": (labellings, "Beside"),
    "map": (labellings, "PatchMap"),
    "whereabouts": (labellings, "Whereabouts"),
    "imagery": (sights, "Imagery"),
    "views": (sights, "Views"),
    "panel": (LabelDock, "begin"),
    "controls": (labellings, "Controls"),
    "store": (labellings, "FileStore"),
    "others": (labellings, "Others"),
    "show": (Labelling, "_show"),
    "linked": (LinkedMaps, "begin"),
    "review": (plugins, "Review"),
    "active": (None, "setActiveLayer"),
}
WITH_ANSWERS = {**PLACES, "unanswered": (Session, "move_to_unanswered")}


class Broken(Exception):
    """What no part of the plugin expects."""


def fail(*_arguments, **_named):
    raise Broken


def wires(plugin, iface):
    """How much listens to what outlives a sitting."""
    dock, project, canvas = plugin.dock, QgsProject.instance(), iface.canvas
    heard = [
        dock.receivers(signal)
        for signal in (dock.answered, dock.moved, dock.commented, dock.visibilityChanged)
    ]
    heard.append(project.receivers(project.layersWillBeRemoved))
    heard.append(project.receivers(project.layersAdded))
    heard.append(canvas.receivers(canvas.mapToolSet))
    heard.append(canvas.receivers(canvas.extentsChanged))
    heard.append(QApplication.instance().receivers(QApplication.instance().focusChanged))
    heard.append(sum(isinstance(item, QgsRubberBand) for item in canvas.scene().items()))
    heard.append(sum("owl-geo" in thread.name for thread in threading.enumerate()))
    return heard


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_left_of_it(place, plugin, batch, press, iface, labels, monkeypatch):
    path = batch("shown/review" if place == "review" else "binary")
    plugin.open(batch("quotes"))
    plugin._close_labelling()
    QTest.qWait(50)
    before = wires(plugin, iface)
    owner, name = PLACES[place]
    with monkeypatch.context() as broken:
        broken.setattr(owner or iface, name, fail)
        with pytest.raises(Broken):
            plugin.open(path)
        QTest.qWait(50)
        assert plugin.labelling is None and plugin._review is None
        assert plugin.dock._pages.currentIndex() == 0
        assert wires(plugin, iface) == before
    plugin.open(path)
    press("A" if place == "review" else "2")
    assert plugin.labelling.session.n_answered == 1
    plugin.labelling.undo()
    assert plugin.labelling.session.n_answered == 0
    plugin.labelling.redo()
    assert labels(path)[:2] == ["present", None]


def test_a_failure_while_another_batch_is_open(plugin, batch, press, labels, monkeypatch):
    first = batch("binary")
    plugin.open(first)
    press("2")
    plugin.dock.comment.setText("a road?")
    second = batch("quotes")
    with monkeypatch.context() as broken:
        broken.setattr(sights, "Views", fail)
        with pytest.raises(Broken):
            plugin.open(second)
    QTest.qWait(50)
    assert labels(first)[:2] == ["present", None]
    plugin.open(second)
    assert all(patch.answer.comment is None for patch in plugin.labelling.session.patches)
    assert labels(second)[0] is None


@pytest.mark.parametrize("place", ["views", "others", "show", "unanswered"])
def test_answers_that_wait_survive_it(
    place, plugin, batch, press, labels, monkeypatch, wait_until
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    plugin.open(batch("quotes"))
    (store,) = plugin._lingering._stores
    store._writer._put = hold_back  # the answers still wait when the batch is opened
    process.kill()
    process.wait()
    with monkeypatch.context() as broken:
        broken.setattr(*WITH_ANSWERS[place], fail)
        with pytest.raises(Broken):
            plugin.open(path)
    del store._writer._put
    wait_until(lambda: labels(path)[:3] == ["present", "absent", None])
    assert not list(path.parent.glob("*-answers-*"))


@pytest.mark.parametrize("owner, name", [(Session, "correct"), (FileStore, "known"), (FileStore, "put")])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_answers_that_wait_survive_a_failure_among_them(
    owner, name, nth, plugin, batch, press, labels, monkeypatch, wait_until
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1", "U")
    plugin.open(batch("quotes"))
    (store,) = plugin._lingering._stores
    store._writer._put = hold_back
    process.kill()
    process.wait()
    works, calls = getattr(owner, name), []

    def fail_once(*arguments):
        calls.append(name)
        if len(calls) == nth:
            raise Broken
        return works(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, fail_once)
        with pytest.raises(Broken):
            plugin.open(path)
    del store._writer._put
    wait_until(lambda: labels(path)[:4] == ["present", "absent", "unsure", None])
    wait_until(lambda: not plugin._lingering._stores)
    assert not list(path.parent.glob("*-answers-*"))
    plugin.open(path)
    assert plugin.labelling.session.n_answered == 3
