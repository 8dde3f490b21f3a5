"""File trouble in the middle of something else: every answer arrives somewhere, and it is said where."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsSettings, QgsVectorLayer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QPushButton
from test_plugin_faults import lock, press_button, trouble

from owl_geo_labeler import rescue as rescues
from owl_geo_labeler.batch import open_batch
from owl_geo_labeler.batch_rows import Row
from owl_geo_labeler.engine import Engine
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.file_store import FileStore
from owl_geo_labeler.next_batch import NextBatch
from owl_geo_labeler.places import SharedPlace
from owl_geo_labeler.session import Answer, Session
from owl_geo_labeler.shared_store import SharedStore
from owl_geo_labeler.store import Trouble


def buttons(iface):
    QTest.qWait(20)  # what was taken away goes
    return [button.text() for button in iface.bar.findChildren(QPushButton) if button.text()]


def replace_by(path, other, **columns):
    """Put another batch in the place of a file, its first row changed."""
    connection = sqlite3.connect(other)
    for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # the R-tree's triggers name them
        connection.create_function(f"ST_{name}", 1, lambda _shape: 0)
    for name, value in columns.items():
        connection.execute(f"UPDATE batch SET {name} = ? WHERE rank = 1", (value,))
    connection.commit()
    connection.close()
    os.replace(other, path)


def refuse_to_save(monkeypatch, *folders):
    """Let no file be written into some folders, as on a full disk; without any, nowhere."""
    written = rescues.save_answers

    def save(path, *arguments):
        if not folders or path.parent in folders:
            raise Problem(f"{path} cannot be written: no space left on device")
        written(path, *arguments)

    monkeypatch.setattr(rescues, "save_answers", save)


# --- a lock that outlives more than the batch -------------------------------------------------------


def test_answers_of_a_batch_whose_layer_has_gone_are_rescued_when_qgis_ends(
    plugin, batch, press, labels
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    QgsProject.instance().clear()
    assert plugin.labelling is None and plugin._lingering._stores
    plugin._on_quit()
    process.kill()
    process.wait()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]


def test_answers_that_wait_never_go_into_another_batch_of_that_name(
    still, plugin, batch, press, labels, messages, wait_until
):
    path = batch("binary")
    other = path.with_name("other.gpkg")
    shutil.copy(batch("quotes"), other)
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    QgsProject.instance().clear()
    still()
    os.replace(other, path)
    process.kill()
    process.wait()
    plugin.open(path)
    QTest.qWait(300)
    assert not any(labels(path))
    assert plugin.labelling.session.n_answered == 0
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    assert sum(str(rescued) in text for text in messages()) == 1


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_file_that_goes_while_its_answers_wait_is_noticed_at_once(
    how, still, plugin, batch, press, labels, messages, wait_until
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    QgsProject.instance().clear()
    still()
    (store,) = plugin._lingering._stores
    if how == "replaced":
        os.replace(other, path)
    else:
        path.unlink()
    wait_until(lambda: plugin._lingering._stores == [])
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    assert sum(str(rescued) in text for text in messages()) == 1
    assert not store._writer.is_alive()
    process.kill()
    process.wait()
    if how == "replaced":
        assert not any(labels(path))
    plugin._on_quit()
    assert len(list(path.parent.glob("binary-answers-*.gpkg"))) == 1


def test_a_file_that_goes_while_its_answers_wait_and_nothing_takes_them_yet(
    still, plugin, batch, press, labels, messages, wait_until, monkeypatch
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    QgsProject.instance().clear()
    still()
    with monkeypatch.context() as full:
        refuse_to_save(full)
        os.replace(other, path)
        wait_until(lambda: any("no space left" in text for text in messages()))
        QTest.qWait(800)
        assert sum("no space left" in text for text in messages()) == 1
    process.kill()
    process.wait()
    plugin._on_quit()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]


def test_a_batch_that_is_opened_again_just_when_its_answers_were_written(
    plugin, batch, press, labels
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    plugin.open(batch("quotes"))
    (store,) = plugin._lingering._stores
    process.kill()
    process.wait()
    assert wait_for(store._writer) and store.n_waiting == 2
    plugin.open(path)
    assert plugin.labelling.session.n_answered == 2 and plugin._lingering._stores == []
    assert labels(path)[:3] == ["present", "absent", None]


def wait_for(writer):
    """Wait until the other thread has written everything, while QGIS stands still."""
    end = time.monotonic() + 10
    while writer._queue and time.monotonic() < end:
        time.sleep(0.01)
    return not writer._queue


def test_two_stores_of_one_file_are_both_rescued(plugin, batch, labels):
    """A batch was closed while it was locked, and then answered from beside a newer one."""
    path = batch("binary")
    process = lock(path, 30)
    for label, rank in (("present", 0), ("absent", 1)):
        opened = replace_layer(path)
        session = Session(opened.patches, opened.classes, "Ada")
        session.go_to(rank)
        store = FileStore(opened, plugin)
        store.write(session.answer(label))
        assert not store.close()
        plugin._lingering.keep(store)
    plugin._lingering.finish()
    process.kill()
    process.wait()
    saved = [labels(rescued)[:2] for rescued in path.parent.glob("binary-answers-*.gpkg")]
    assert sorted(saved, key=str) == [["present", None], [None, "absent"]]


def replace_layer(path):
    """Read a batch that is locked: as it was before, from a copy."""
    copy = path.with_name("copy.gpkg")
    if not copy.exists():
        shutil.copy(path, copy)
    return replace(open_batch(copy), place=path)


# --- what other programs say once a batch is closed ------------------------------------------------


def test_news_of_the_last_batch_do_not_reach_the_panel_of_the_next(plugin, batch):
    plugin.open(batch("binary"))
    store = plugin.labelling.store
    row = Row(plugin.labelling.session.patches[3].fid, "", False, Answer("present", "Grace"))
    plugin.open(batch("quotes"))
    title = plugin.dock._title.text()
    with store._writer._changed:  # the other thread was looking just then
        store._writer._news.append([row])
    store._take()
    QTest.qWait(50)
    assert plugin.dock._title.text() == title
    assert plugin.dock.footer._others.isHidden()


@pytest.mark.parametrize("kind", ["overtaken", "refused"])
def test_an_offer_of_a_closed_batch_goes_with_it(kind, plugin, batch, iface, press, labels):
    path = batch("binary")
    plugin.open(path)
    store, fid = plugin.labelling.store, plugin.labelling.session.patch.fid
    answer = Answer("present", "Ada", None, "2026-01-01T00:00:00Z")
    if kind == "overtaken":
        store.overtaken.emit(fid, answer, replace(answer, label="absent", annotator="Grace"))
    else:
        store.refused.emit(fid, answer, "patch 1 was labelled by Grace")
    assert len(buttons(iface)) == 1
    plugin.open(batch("quotes"))
    assert buttons(iface) == []


def test_a_file_replaced_at_the_last_moment_leaves_one_message(
    still, plugin, batch, press, labels, messages, iface
):
    path = batch("binary")
    shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    still()
    os.replace(path.with_name("other.gpkg"), path)
    press("2", "1")
    plugin.open(batch("quotes"))
    QTest.qWait(300)
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    assert buttons(iface) == []
    (text,) = [text for text in messages() if "binary" in text]
    assert str(rescued) in text


def test_the_button_of_a_message_does_not_outlive_the_plugin(plugin, iface, tmp_path):
    (tmp_path / "owl.toml").write_text("")
    plugin.open_run(tmp_path)
    assert buttons(iface) == ["Make the first batch"]
    plugin.unload()
    assert buttons(iface) == []
    plugin.initGui()  # so that the fixture can unload it again


# --- one trouble upon another ----------------------------------------------------------------------


def test_where_nothing_can_be_written_beside_a_batch_the_home_folder_has_the_answers(
    still, plugin, batch, press, labels, messages, monkeypatch, home
):
    path = batch("binary")
    refuse_to_save(monkeypatch, path.parent)
    plugin.open(path)
    still()
    path.rename(path.with_name("away.gpkg"))
    press("2", "1")
    plugin.open(batch("quotes"))
    (rescued,) = home.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    assert [str(rescued) in text for text in messages() if "binary" in text] == [True]


def test_answers_that_nothing_takes_are_kept_until_something_does(
    still, plugin, batch, press, labels, messages, monkeypatch
):
    path = batch("binary")
    plugin.open(path)
    still()
    path.rename(path.with_name("away.gpkg"))
    press("2", "1")
    with monkeypatch.context() as full:
        refuse_to_save(full)
        plugin.open(batch("quotes"))
        assert any("no space left" in text for text in messages())
        assert not any("was saved as" in text for text in messages())
    plugin._on_quit()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]


def test_a_rescue_never_replaces_another(batch):
    opened = open_batch(batch("binary"))
    paths = []
    for _ in range(3):
        paths.append(rescues.rescue_paths(opened)[0])
        paths[-1].write_bytes(b"")
    assert len(set(paths)) == 3
    folder = opened.path.parent / "run" / "rounds" / "000"
    folder.mkdir(parents=True)
    (folder / "batch.gpkg").write_bytes(b"")
    (folder.parents[1] / "owl.toml").write_text("")
    for path in paths:
        (folder / path.name.replace("binary", "batch")).write_bytes(b"")
    from owl_geo_labeler.run_folder import RunFolder

    assert [path.name for path in RunFolder(folder.parents[1]).batches()] == ["batch.gpkg"]


def test_a_new_file_that_cannot_be_read_yet_is_offered_again(
    still, plugin, batch, press, labels, messages, iface, wait_until
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    still()
    path.with_name("half.gpkg").write_bytes(b"SQLite")  # a copy that is not complete
    os.replace(path.with_name("half.gpkg"), path)
    press("2")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    press_button(iface, "Open the new file")
    assert any("is not a GeoPackage" in text for text in messages())
    os.replace(other, path)
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None)
    assert labels(path)[:2] == ["present", None]


def test_a_deleted_file_that_cannot_be_saved_elsewhere_is_offered_again(
    still, plugin, batch, press, labels, messages, iface, wait_until, monkeypatch
):
    path = batch("binary")
    plugin.open(path)
    still()
    path.unlink()
    press("2")
    wait_until(lambda: any("was deleted" in text for text in messages()))
    with monkeypatch.context() as full:
        refuse_to_save(full)
        press_button(iface, "Save as a new file")
        assert any("no space left" in text for text in messages())
    press_button(iface, "Save as a new file")
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:2] == ["present", None]


def test_a_batch_is_not_left_for_another_that_took_its_place_before_its_answers_are_safe(
    still, plugin, batch, press, labels, messages, iface, wait_until, monkeypatch
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    connection = sqlite3.connect(other)
    renamed = """replace(metadata, '"batch_id": "', '"batch_id": "other-')"""
    connection.execute(f"UPDATE gpkg_metadata SET metadata = {renamed}")
    connection.commit()
    connection.close()
    plugin.open(path)
    still()
    os.replace(other, path)
    press("2", "1")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    with monkeypatch.context() as full:
        refuse_to_save(full)
        press_button(iface, "Open the new file")
        assert any("no space left" in text for text in messages())
        assert not any("were saved as a new file" in text for text in messages())
        assert plugin.labelling.session.n_answered == 2
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None and plugin.labelling.session.n_answered == 0)
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]


def test_a_comment_that_is_being_typed_goes_into_the_new_file_too(
    still, plugin, batch, press, rows, messages, iface, wait_until
):
    path = batch("binary")
    shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    still()
    os.replace(path.with_name("other.gpkg"), path)
    press("2")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    plugin.dock.comment.setText("a road?")  # the button of the message leaves the keyboard there
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None)
    assert [(row[1], row[3]) for row in rows(path)[:2]] == [("present", None), (None, "a road?")]
    assert not list(path.parent.glob("*-answers-*"))


def test_one_trouble_that_ends_does_not_hide_another(plugin, batch, messages, iface):
    plugin.open(batch("binary"))
    labelling = plugin.labelling
    older = FileStore(open_batch(batch("quotes")), labelling)
    labelling._troubles.watch(older)
    older._say(Trouble.LOCKED, "")
    labelling.store._say(Trouble.REFUSED, "disk full")
    labelling.store._say(None, "")
    assert "quotes.gpkg" in trouble(plugin).text() and not trouble(plugin).isHidden()
    assert [text for text in messages() if "quotes.gpkg" in text] != []
    assert not any("all answers are saved" in text for text in messages())
    older._say(None, "")
    assert trouble(plugin).isHidden()
    assert sum("all answers are saved" in text for text in messages()) == 1
    older.close()


def test_waiting_answers_are_rescued_whatever_else_fails_at_the_end(
    plugin, batch, press, labels
):
    first, second = batch("binary"), batch("quotes")
    plugin.open(first)
    process = lock(first, 30)
    press("2")
    plugin.open(second)
    press("1")
    labels(second)

    def fail():
        raise RuntimeError("wrapped C/C++ object has been deleted")

    plugin.labelling._ending.callback(fail)
    with pytest.raises(RuntimeError):
        plugin._on_quit()
    process.kill()
    process.wait()
    (rescued,) = first.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:2] == ["present", None]
    assert not plugin.labelling or not plugin.labelling.store._writer.is_alive()


RESCUE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from qgis.core import QgsApplication
application = QgsApplication([], True)
application.initQgis()
from owl_geo_labeler.batch import open_batch
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.rescue import rescue_answers
batch = open_batch(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hardest = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in range(40_000, 110_000, 4_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hardest))
    try:
        print("saved", rescue_answers(batch, {p.fid: p.answer for p in batch.patches}))
    except Problem as problem:
        print(problem)
"""


def test_a_full_disk_is_noticed_when_answers_are_rescued(batch, labels, tmp_path):
    """A limit on the size of files fails like a full disk, in a process of its own."""
    path = batch("binary")
    plugins = os.path.dirname(sys.modules["owl_geo_labeler"].__path__[0])
    done = subprocess.run(
        [sys.executable, "-c", RESCUE_ON_A_FULL_DISK, str(path), plugins],
        stdout=subprocess.PIPE,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        text=True,
    )
    lines = done.stdout.splitlines()
    saved = {line.partition(" ")[2] for line in lines if line.startswith("saved")}
    assert len(lines) == 18 and sum("cannot be written" in line for line in lines) == 18 - len(saved)
    assert 0 < len(saved) < 18
    for one in saved:  # QGIS says of some that lack every row that they were written
        assert labels(one) == labels(path)
    assert {str(one) for one in tmp_path.glob("*-answers-*.gpkg")} == saved


def test_a_sitting_is_over_with_its_layer_whatever_fails(plugin, batch, press, labels):
    path = batch("binary")
    plugin.open(path)
    press("2")
    labelling = plugin.labelling

    def fail():
        raise RuntimeError("wrapped C/C++ object has been deleted")

    labelling._ending.callback(fail)
    with pytest.raises(RuntimeError):
        labelling._on_layers_removed([labelling.batch.layer.id()])
    assert plugin.labelling is None and plugin.dock._pages.currentIndex() == 0
    plugin.open(path)
    assert plugin.labelling.session.n_answered == 1
    press("1")
    assert labels(path)[:2] == ["present", "absent"]


# --- opening ----------------------------------------------------------------------------------------


def test_a_batch_opened_again_shows_the_comment_that_was_being_typed(plugin, batch, rows):
    path = batch("binary")
    plugin.open(path)
    plugin.dock.comment.setText("a road?")
    plugin.open(path)
    assert plugin.labelling.session.patches[0].answer.comment == "a road?"
    QTest.qWait(1300)  # it looks for the answers of others
    assert plugin.dock.footer._others.isHidden()
    assert rows(path)[0][3] == "a road?"


def test_a_comment_of_somebody_else_is_not_taken_for_a_new_one(plugin, batch, press, rows):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    given = {"label": "present", "annotator": "Grace", "labelled_at": "2026-01-01T00:00:00Z"}
    replace_by(path, other, comment=" a road,\nor a river ", **given)
    plugin.open(path)
    plugin.labelling.go_to("1")
    press("Right", "Left", "Right")
    assert not plugin.labelling.session.can_undo
    assert rows(path)[0] == [1, "present", "Grace", " a road,\nor a river ", given["labelled_at"]]


def test_a_layer_whose_file_was_missing_does_not_keep_the_batch_from_opening(plugin, batch):
    path = batch("binary")
    away = path.rename(path.with_name("away.gpkg"))
    layer = QgsVectorLayer(f"{path}|layername=batch", "binary", "ogr")
    assert not layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    away.rename(path)
    plugin.open(path)
    assert plugin.labelling is not None


def test_a_second_batch_is_not_asked_for_while_one_is_made(plugin, tmp_path, iface):
    QgsSettings().setValue("owl_geo_labeler/executable", sys.executable)
    (tmp_path / "owl.toml").write_text("")
    plugin.open_run(tmp_path)
    plugin.open_run(tmp_path)
    plugin.rounds._work = work = NextBatch("owl-geo", tmp_path, [], "Ada", plugin.rounds._engine, False, plugin)
    for button in iface.bar.findChildren(QPushButton):
        if button.text() == "Make the first batch":
            button.click()
    assert plugin.rounds._work is work


# --- a database, an engine --------------------------------------------------------------------------


def test_a_database_that_goes_while_its_batch_opens(batch, monkeypatch):
    opened = open_batch(batch("binary"))

    class Nothing:
        def fields(self):
            return opened.layer.fields()

        def dataProvider(self):
            return self

        def getFeatures(self, _request):
            return iter(())

    place = SharedPlace("127.0.0.1", "1", "db", "ada", "", "batch_a-000")  # where nobody is
    store = SharedStore(replace(opened, place=place, layer=Nothing()))
    assert store.current() == {patch.fid: patch.answer for patch in opened.patches}


@pytest.mark.parametrize("reply", [{}, {"error": {}}, {"error": "no"}, {"result": None}, {"result": {}}])
def test_an_engine_that_says_something_odd_does_not_leave_the_work_undone(reply, tmp_path, monkeypatch):
    engine = Engine()
    monkeypatch.setattr(Engine, "is_running", True)
    work = NextBatch("/none/owl-geo", tmp_path, [], "Ada", engine)
    ended = []
    work.done.connect(ended.append)
    work.failed.connect(ended.append)
    work.unstarted.connect(ended.append)
    work.start()

    class Process:
        def readAllStandardOutput(self):
            return json.dumps({"id": work._asked, **reply}).encode() + b"\n"

        def __getattr__(self, _name):
            return lambda *_: True

    engine._process = Process()
    engine._read()
    for _ in range(100):
        if ended:
            break
        QTest.qWait(20)
    assert len(ended) == 1
