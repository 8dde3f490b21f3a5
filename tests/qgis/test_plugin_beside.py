"""Answers beside the batch, other windows on it, and where clicks and keys go."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsGeometry, QgsPointXY
from qgis.gui import QgsMapToolEdit, QgsMapToolPan
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QLabel, QLineEdit, QPushButton

from owl_geo_labeler.batch import count_unanswered, is_untouched, open_batch
from owl_geo_labeler.file_store import FileStore
from owl_geo_labeler.pool_grid import Nothing, SceneLattice
from owl_geo_labeler.session import Session
from owl_geo_labeler.store import Trouble


@pytest.fixture
def run(folder, tmp_path):
    return Path(shutil.copytree(folder / "beside", tmp_path / "run"))


@pytest.fixture
def opened(plugin, run):
    """The newest batch of the run, seven patches of two rows; sixteen are in both batches."""
    plugin.open_run(run)
    assert plugin.labelling.batch.round == 1
    return run / "rounds" / "001" / "batch.gpkg"


@pytest.fixture
def click(plugin, iface):
    """Click on a point of the map."""

    def click(x, y):
        QTest.qWait(20)
        canvas = iface.canvas
        canvas.setCenter(QgsPointXY(x, y))
        place = canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
        button = Qt.MouseButton.LeftButton
        QTest.mouseClick(canvas.viewport(), button, pos=place.toQPointF().toPoint())

    return click


@pytest.fixture
def says(plugin):
    """The text of a line of the panel; empty while it is hidden."""

    def says(name):
        label = plugin.dock.findChild(QLabel, name)
        return "" if label.isHidden() else label.text()

    return says


def middle(row, col):
    """The middle of a patch of the scene, as x and y."""
    return 500_000 + 10 * col + 160, 5_600_000 - 10 * row - 160


QUERY = """
import json, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(json.dumps(connection.execute(sys.argv[2]).fetchall()))
"""


def read(plugin, path, query):
    """Ask the file with sqlite3, in another process, once nothing is on its way."""
    while plugin.labelling is not None and plugin.labelling.store.n_waiting:
        QTest.qWait(5)
    done = subprocess.run(
        [sys.executable, "-c", QUERY, str(path), query], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def noticed(plugin, path):
    columns = "patch_id, label, annotator, scene, scene_crs, batch_id, round"
    return read(plugin, path, f"SELECT {columns} FROM batch WHERE rank IS NULL AND geom IS NOT NULL")


def test_a_place_beside_the_batch_is_answered(plugin, opened, click, press, says, run):
    session = plugin.labelling.session
    click(*middle(128, 0))
    assert session.patch.patch_id == "scene/128/0" and session.patch.beside
    assert "Noticed" in plugin.dock._place.text()
    assert says("note") == ""
    press("2")
    # back to where the analyst was; the batch itself has no answer yet
    assert session.current == 0 and session.n_answered == 0
    assert plugin.dock.progress.answered.text() == "0 of 7 answered, 1 noticed"
    row = ["scene/128/0", "present", "Ada", "scene", "EPSG:32631", "run-001", 1]
    assert noticed(plugin, opened) == [row]
    layer = plugin.labelling.batch.layer
    (shown,) = [f for f in layer.getFeatures() if f["patch_id"] == "scene/128/0"]
    box = QgsGeometry.fromWkt("POLYGON((5e5 5598720, 500320 5598720, 500320 5598400, 5e5 5598400, 5e5 5598720))")
    assert shown.geometry().equals(box)
    assert shown["label"] == "present"
    # undo and redo reach it, and a click shows it again
    press("ctrl+Z")
    assert session.patch.patch_id == "scene/128/0"
    assert [row[1] for row in noticed(plugin, opened)] == [None]
    press("ctrl+shift+Z")
    assert [row[1] for row in noticed(plugin, opened)] == ["present"]
    press("Left")
    click(*middle(128, 0))
    press("1")
    assert [row[1] for row in noticed(plugin, opened)] == ["absent"]
    assert plugin.dock.progress.answered.text() == "0 of 7 answered, 1 noticed"
    # it is there when the batch is opened again
    plugin.open(opened)
    assert plugin.labelling.session.n_noticed == 1
    assert plugin.labelling.session.n_asked == 7
    click(*middle(128, 0))
    press("2")
    assert [row[1] for row in noticed(plugin, opened)] == ["present"]
    assert plugin.labelling.session.patch.rank == 1


def test_a_batch_whose_only_answer_was_undone_can_be_left_by_a_button(
    plugin, opened, click, press, iface
):
    click(*middle(128, 0))
    press("2", "ctrl+Z")
    assert [row[1] for row in noticed(plugin, opened)] == [None]
    press("R")
    said = "the newest batch has no answers yet"
    (item,) = [item for item in iface.bar.items() if said in item.text()]
    assert [button.text() for button in item.findChildren(QPushButton)] == ["Leave it and review"]


def test_empty_text_is_no_answer(plugin, run, press):
    paths = [run / "rounds" / number / "batch.gpkg" for number in ("000", "001")]
    for path in paths:
        with sqlite3.connect(path) as connection:
            for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
                connection.create_function(name, 1, lambda _geometry: None)
            connection.execute("UPDATE batch SET label = '', annotator = '', comment = ''")
        connection.close()
    assert count_unanswered(paths[0]) == 9 and is_untouched(paths[0])
    assert count_unanswered(paths[1]) == 7 and is_untouched(paths[1])
    plugin.open(paths[1])
    press(*"1212121")
    assert plugin.labelling.session.is_done and plugin.labelling.is_saved()
    assert not is_untouched(paths[1])
    plugin.open_run(run)  # whose newest batch is done
    assert plugin.labelling.batch.path == paths[0]


def test_a_place_of_a_scene_that_is_turned(plugin, opened, click, press):
    # the middle of turned/0/32, rows down and columns to the right of a turned pixel
    click(503_000 + 8 * 48 + 6 * 16, 5_600_000 + 6 * 48 - 8 * 16)
    assert plugin.labelling.session.patch.patch_id == "turned/0/32"
    press("2")
    read(plugin, opened, "SELECT 1")
    layer = plugin.labelling.batch.layer
    (row,) = [f for f in layer.getFeatures() if f["patch_id"] == "turned/0/32"]
    pixels = ((0, 32), (0, 64), (32, 64), (32, 32))
    corners = {(503_000 + 8 * c + 6 * r, 5_600_000 + 6 * c - 8 * r) for r, c in pixels}
    assert {(p.x(), p.y()) for p in row.geometry().asPolygon()[0]} == corners


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((490_000, 5_600_000), "no scene of the run is there"),
        ((500_000 + 1950, 5_600_000 - 10), "no whole patch of the run is there"),
        (middle(160, 160), "that place cannot be answered"),
    ],
)
def test_a_click_where_nothing_can_be_answered(plugin, opened, click, press, says, place, line):
    before = plugin.labelling.session.patch
    click(*place)
    assert says("note").startswith(line)
    assert plugin.labelling.session.patch is before
    press("Right")
    assert says("note") == ""


def test_a_batch_of_an_older_version_says_that_it_knows_no_grid(plugin, batch, click, says):
    plugin.open(batch("binary"))
    click(*middle(320, 320))
    assert "does not say what other patches there are" in says("note")


def test_overlapping_patches_and_gaps_between_them():
    def lattice(step, pool=b"\xff\xff"):
        return SceneLattice("s", "", (1, 0, 0, 0, -1, 0), (0, 0), (step, step), (4, 4), pool, 8)

    def at(lattice, row, col):
        found = lattice.near(col, -row)
        return found if isinstance(found, Nothing) else found[1].patch_id

    assert at(lattice(4), 6.5, 9.5) == "s/4/4"
    assert at(lattice(4), 5.5, 9.5) == "s/0/4"
    assert at(lattice(4), 0.5, 19.5) == "s/0/12"
    assert at(lattice(4), 0.5, 40) is Nothing.OUTSIDE
    assert at(lattice(12), 0.5, 10) is Nothing.EDGE
    # the nearest that may be answered
    assert at(lattice(4, b"\xff\x00"), 12.5, 0.5) is Nothing.NOT_IN_POOL
    assert at(lattice(4, b"\xff\x00"), 9, 0.5) == "s/4/0"


def test_an_answer_of_an_older_batch_is_changed_there(plugin, run, click, press, rows, says):
    first, second = (run / "rounds" / number / "batch.gpkg" for number in ("000", "001"))
    plugin.open(first)
    press("1", "1", "2")
    plugin.open(second)
    session = plugin.labelling.session
    click(*middle(0, 32))
    assert session.patch.patch_id == "scene/0/32"
    assert session.patch.answer.label == "absent"
    assert plugin.dock._place.text() == "<b>Patch of an older batch</b>"
    press("2")
    assert session.current == 0 and not session.patch.beside
    assert plugin.dock.progress.answered.text() == "0 of 7 answered"
    assert plugin.labelling.is_saved()
    assert [row[1] for row in rows(first)][:4] == ["absent", "present", "present", None]
    assert [row[1] for row in rows(second)] == [None] * 7
    assert plugin.labelling.stores.changed_batches == [first]
    press("ctrl+Z")
    assert plugin.labelling.is_saved()
    assert [row[1] for row in rows(first)][:3] == ["absent", "absent", "present"]
    # a patch that the older batch left open is a place like any other
    press("Left")
    click(*middle(64, 0))
    assert session.patch.patch_id == "scene/64/0" and session.patch.older is None


def test_the_files_of_older_batches_are_let_go(
    plugin, opened, run, click, press, batch, wait_until
):
    def is_open(path):
        files = Path("/proc/self/fd")
        return any(os.path.realpath(file) == str(path) for file in files.iterdir())

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux says which files a process has open")
    first = run / "rounds" / "000" / "batch.gpkg"
    file = gdal.OpenEx(str(first), gdal.OF_UPDATE)
    file.ExecuteSQL("UPDATE batch SET label = 'absent'")
    del file
    click(*middle(0, 32))
    press("2")
    assert plugin.labelling.is_saved() and is_open(first)
    sitting = plugin.labelling
    writers = [store._writer for store in sitting.stores.all]
    for writer in writers:
        writer._stamp = None
        writer.look()
    plugin.open(batch("binary"))
    assert not any(writer.is_alive() for writer in writers)  # GDAL would crash when QGIS ends
    wait_until(lambda: not is_open(first))
    assert sitting.stores.changed_batches == [first]  # and the run is told of it with the next batch
    assert first in plugin.rounds._opened


def test_the_nearest_unanswered_patch(plugin, opened, click, press, iface, says):
    session = plugin.labelling.session
    QTest.qWait(20)
    iface.canvas.setCenter(QgsPointXY(*middle(96, 64)))
    press("N")
    assert session.patch.patch_id == "scene/96/64"
    press("1")
    QTest.qWait(20)
    iface.canvas.setCenter(QgsPointXY(*middle(96, 60)))
    press("N")
    assert session.patch.patch_id == "scene/96/32"
    for _ in range(6):
        press("1")
    press("N")
    assert says("note") == "every other patch of the batch is answered"


def test_the_panel_says_where_clicks_and_keys_go(plugin, opened, press, iface, says):
    assert says("where") == ""
    pan = QgsMapToolPan(iface.canvas)
    iface.canvas.setMapTool(pan)
    assert "Clicks on the map go to: Pan" in says("where") and "F8" in says("where")
    panel = QDockWidget("Layers", iface.window)
    field = QLineEdit(panel)
    panel.setWidget(field)
    iface.window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, panel)
    iface.window.activateWindow()
    field.setFocus()
    QApplication.processEvents()
    assert "Keys go to: Layers" in says("where")
    plugin.take_back()
    QApplication.processEvents()
    assert says("where") == ""
    assert plugin.labelling.map.takes_clicks
    press("2")
    assert plugin.labelling.session.n_answered == 1
    (action,) = [a for a in iface.menu if a.text() == "Label with clicks and keys"]
    assert action.shortcut().toString() == "F8"
    panel.deleteLater()


class Digitising(QgsMapToolEdit):
    """A tool that edits a layer, and has keys of its own."""

    def __init__(self, canvas):
        super().__init__(canvas)
        self.keys = []

    def keyPressEvent(self, event):
        self.keys.append(event.key())


def test_keys_over_the_map_are_those_of_a_tool_that_edits_a_layer(
    plugin, opened, press, iface, says
):
    session = plugin.labelling.session
    press("2")
    tool = Digitising(iface.canvas)
    iface.canvas.setMapTool(tool)
    iface.window.activateWindow()
    QApplication.processEvents()
    assert "Keys go to: " in says("where") and "F8" in says("where")
    press("ctrl+Z", "1", "Return")
    assert session.n_answered == 1 and session.can_undo
    assert tool.keys[-3:] == [Qt.Key.Key_Z, Qt.Key.Key_1, Qt.Key.Key_Return]
    plugin.take_back()
    QApplication.processEvents()
    assert says("where") == ""
    press("ctrl+Z")
    assert session.n_answered == 0


class Window:
    """Another window on the same batch, with an analyst of its own."""

    def __init__(self, path, name):
        self.batch = open_batch(path)
        self.session = Session(self.batch.patches, self.batch.classes, name)
        self.store = FileStore(self.batch)

    def answer(self, label):
        self.store.write(self.session.answer(label))
        assert self.store.flush()
        self.session.move(1)


def test_a_second_window_says_that_there_is_a_first(plugin, run, says):
    path = run / "rounds" / "001" / "batch.gpkg"
    first = Window(path, "Grace")
    plugin.open(path)
    assert "also open in another window" in says("others")
    first.store.close()
    plugin.open(path)
    assert says("others") == ""


def test_answers_of_another_window_are_shown(plugin, opened, says, wait_until):
    other = Window(opened, "Grace")
    assert other.store.opened_by  # this window was there before
    other.answer("present")
    wait_until(lambda: plugin.labelling.session.patches[0].answer.annotator == "Grace")
    assert says("others") == "Others are answering this batch too: Grace (1)."
    assert plugin.labelling.session.n_answered == 1
    other.store.close()


def test_no_answer_is_overwritten_unread(plugin, opened, press, labels, messages, iface, says):
    other = Window(opened, "Grace")
    for store in (plugin.labelling.store, other.store):
        store._watch.stop()  # so that it cannot be noticed before
    other.answer("present")
    press("1")
    assert labels(opened)[0] == "present"
    session = plugin.labelling.session
    assert session.patches[0].answer.label == "present"
    assert session.current == 1  # the next key is for what the map shows
    assert [text for text in messages() if "both answers are kept" in text]
    kept = "SELECT patch_id, label, annotator FROM batch WHERE geom IS NULL"
    assert read(plugin, opened, kept) == [["scene/64/32", "absent", "Ada"]]
    (button,) = [
        b for b in iface.bar.findChildren(QPushButton) if b.text() == "Replace with absent"
    ]
    button.click()
    assert labels(opened)[0] == "absent"
    assert read(plugin, opened, kept)[1] == ["scene/64/32", "present", "Grace"]
    press("ctrl+Z", "ctrl+shift+Z", "ctrl+Z")  # what is taken back is nobody's answer
    assert labels(opened)[0] == "present"
    assert len(read(plugin, opened, kept)) == 2
    press("ctrl+shift+Z")
    assert labels(opened)[0] == "absent"
    # the other window, which has not seen that, does not overwrite it either
    other.session.go_to(0)
    other.store.write(other.session.answer("unsure"))
    other.store.flush()
    assert labels(opened)[0] == "absent"
    other.store.close()
    plugin.open(opened)
    assert len(plugin.labelling.session.patches) == 7


def test_the_same_place_noticed_in_two_windows_is_one_row(plugin, opened, click, press, wait_until):
    other = Window(opened, "Grace")
    click(*middle(128, 0))
    patch = plugin.labelling.session.patch
    press("2")
    assert len(noticed(plugin, opened)) == 1
    twin = other.session.patches[other.session.add(type(patch)(**{**vars(patch), "fid": -9}))]
    twin.answer = type(patch.answer)("absent", "Grace", None, "2026-01-01T00:00:00Z")
    other.store.write(twin)
    other.store.flush()
    assert [row[1] for row in noticed(plugin, opened)] == ["present"]
    other.store.close()


def test_places_that_another_window_noticed_appear(plugin, opened, wait_until, click):
    other = Window(opened, "Grace")
    click(*middle(128, 32))
    patch = plugin.labelling.session.patch
    twin = other.session.patches[other.session.add(type(patch)(**{**vars(patch), "fid": -9}))]
    twin.answer = type(patch.answer)("absent", "Grace", None, "2026-01-01T00:00:00Z")
    plugin.labelling.move(1)
    other.store.write(twin)
    wait_until(lambda: plugin.labelling.session.n_noticed == 1)
    other.store.close()


LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")  # others may read
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def locked(opened):
    """Another program that holds the lock until it is killed."""
    command = [sys.executable, "-c", LOCK, str(opened)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("raises", [False, True], ids=["codes", "exceptions"])
def test_a_noticed_place_waits_for_a_lock_like_all_answers(
    raises, plugin, opened, locked, click, press, batch, wait_until
):
    if raises:  # another plugin may have told GDAL to
        gdal.UseExceptions()
    try:
        click(*middle(128, 0))
        press("2", "1")
        wait_until(lambda: plugin.labelling.store.trouble is Trouble.LOCKED)
        plugin.open(batch("binary"))
        plugin.open(opened)
        session = plugin.labelling.session
        assert session.n_noticed == 1 and session.n_answered == 1
        assert session.current == 1
        locked.kill()
        locked.wait()
        wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    finally:
        gdal.DontUseExceptions()
    assert [row[:2] for row in noticed(plugin, opened)] == [["scene/128/0", "present"]]
    assert read(plugin, opened, "SELECT label FROM batch WHERE rank = 1") == [["absent"]]


def test_noticed_places_are_in_the_file_that_saves_a_deleted_batch(
    still, plugin, opened, click, press, read_from_outside
):
    click(*middle(128, 0))
    press("2", "1")
    noticed(plugin, opened)  # waits for it
    still()
    opened.unlink()
    plugin.open(opened.parents[1] / "000" / "batch.gpkg")
    (rescued,) = opened.parent.glob("batch-answers-*.gpkg")
    assert [row[:2] for row in noticed(plugin, rescued)] == [["scene/128/0", "present"]]
    rows = {patch: label for patch, label, _ in read_from_outside(rescued)["rows"]}
    assert rows["scene/128/0"] == "present" and rows["scene/64/32"] == "absent"


# --- a file that is replaced, locked or gone, and what lies beside a batch --------------------------


def rank_one(path):
    """Answer a batch's first patch in somebody else's name."""
    file = gdal.OpenEx(str(path), gdal.OF_UPDATE)
    file.ExecuteSQL("UPDATE batch SET label = 'absent', annotator = 'Grace' WHERE rank = 1")
    del file


@pytest.mark.parametrize("kind", ["overtaken", "saved elsewhere"])
def test_a_replaced_file_where_a_noticed_place_is_no_answer_of_ours(
    kind, still, plugin, opened, click, press, read_from_outside, wait_until, iface
):
    copy = shutil.copy(opened, opened.with_name("copy.gpkg"))
    other = Window(opened, "Ada") if kind == "overtaken" else None
    click(*middle(128, 0))
    patch = plugin.labelling.session.patch
    if other is not None:  # the same annotator in another window, a moment before
        plugin.labelling.store._watch.stop()
        twin = other.session.patches[other.session.add(type(patch)(**{**vars(patch), "fid": -9}))]
        twin.answer = type(patch.answer)("absent", "Ada", None, "2026-01-01T00:00:00Z")
        other.store.write(twin)
        other.store.flush()
        other.store.close()
    press("2", "1")
    noticed(plugin, opened)  # waits for them
    store = plugin.labelling.store
    still()
    if other is None:
        away = opened.rename(opened.with_name("away.gpkg"))
        store._look()
        press_button(iface, "Save as a new file")
        away.unlink()
        press("2")
    else:
        assert store.rows.keys() - store.given.keys()
    os.replace(copy, opened)
    wait_until(lambda: store.trouble is Trouble.REPLACED or store._look())
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None and not plugin.labelling.store.trouble)
    label = [[1, "absent"]] if other is not None else [[2, "present"]]
    assert read(plugin, opened, "SELECT rank, label FROM batch WHERE label > ''") == label


def press_button(iface, text):
    (button,) = [b for b in iface.bar.findChildren(QPushButton) if b.text() == text]
    button.click()
    QTest.qWait(50)


@pytest.mark.parametrize("then", ["is opened", "is locked until the end", "is deleted"])
def test_an_answer_to_an_older_batch_that_waits(
    then, still, plugin, opened, run, click, press, wait_until
):
    first = run / "rounds" / "000" / "batch.gpkg"
    rank_one(first)
    (place,) = read(plugin, first, "SELECT patch_id FROM batch WHERE rank = 1")
    click(*middle(*map(int, place[0].split("/")[1:])))
    session = plugin.labelling.session
    assert session.patch.older == first
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    press("2")
    if then == "is opened":
        plugin.open(first)
        assert plugin.labelling.session.patches[0].answer.label == "present"
    elif then == "is locked until the end":
        plugin._on_quit()
    else:
        still()
        first.rename(first.with_name("away.gpkg"))
        plugin.open(opened)
    process.kill()
    process.wait()
    if then == "is opened":
        wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    else:
        (first,) = first.parent.glob("batch-answers-*.gpkg")
    mine = "SELECT label, annotator FROM batch WHERE rank = 1"
    assert read(plugin, first, mine) == [["present", "Ada"]]


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3, 4, 5, 6])
def test_places_that_wait_for_a_lock_are_not_taken_for_each_other(
    fails_at, plugin, opened, click, press, batch, wait_until, monkeypatch
):
    """Also where opening the batch again fails at one of the six answers that wait; 0: at none."""
    click(*middle(128, 0))
    press("1")
    noticed(plugin, opened)  # the first place is in the file
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(opened)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    click(*middle(128, 32))
    press("2")
    click(*middle(128, 64))
    press("2", "ctrl+Z", "ctrl+shift+Z")
    click(*middle(128, 32))
    press("1")
    click(*middle(128, 0))
    press("2")
    plugin.open(batch("binary"))
    put, calls = FileStore.put, []

    def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise ZeroDivisionError
        put(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(FileStore, "put", fail_once)
        with pytest.raises(ZeroDivisionError) if fails_at else nullcontext():
            plugin.open(opened)
    assert len(calls) == 6 + (fails_at > 0)
    if fails_at:
        assert plugin.labelling is None
        plugin.open(opened)
    assert plugin.labelling.session.n_noticed == 3
    process.kill()
    process.wait()
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    found = sorted(row[:2] for row in noticed(plugin, opened))
    assert found == [["scene/128/0", "present"], ["scene/128/32", "absent"], ["scene/128/64", "present"]]
