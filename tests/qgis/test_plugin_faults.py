"""What can go wrong with the file: nothing is lost, and one message says what to do."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel, QPushButton

from owl_geo_labeler.batch import open_batch

LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN " + sys.argv[3])
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""

LABEL_AND_WAIT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from qgis.core import QgsApplication
application = QgsApplication([], True)
application.initQgis()
from owl_geo_labeler.batch import open_batch
from owl_geo_labeler.session import Session
from owl_geo_labeler.file_store import FileStore
batch = open_batch(Path(sys.argv[1]))
session = Session(batch.patches, batch.classes, "Ada")
store = FileStore(batch)
for label in ("present", "absent", "unsure"):
    store.write(session.answer(label))
    session.move(1)
store.flush()
print("answered", flush=True)
time.sleep(60)
"""


def lock(path, seconds, how="EXCLUSIVE"):
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path), str(seconds), how],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    return process


def trouble(plugin):
    return plugin.dock.findChild(QLabel, "trouble")


def press_button(iface, text):
    (button,) = [b for b in iface.bar.findChildren(QPushButton) if b.text() == text]
    button.click()
    QTest.qWait(50)


@pytest.mark.parametrize(
    ("seconds", "before"), [(2, False), (2, True), (7, False)], ids=str
)
def test_a_locked_file(seconds, before, plugin, batch, press, labels, messages, wait_until):
    path = batch("binary")
    plugin.open(path)
    if before:
        press("1")
    process = lock(path, seconds)
    store = plugin.labelling.store
    write, waited = store.write, []

    def timed(patch):
        start = time.monotonic()
        write(patch)
        waited.append(time.monotonic() - start)

    store.write = timed
    for key in ("2", "2", "U"):
        start = time.monotonic()
        press(key)
        # with all that the map and the panel do, on a machine that may be busy
        assert time.monotonic() - start < 0.4, "QGIS stood still"
        QTest.qWait(50)
    assert len(waited) == 3 and max(waited) < 0.08, "a key waited for the file"
    wait_until(lambda: store.trouble is not None)
    assert store.n_waiting == 3
    assert sum("locked" in text for text in messages()) == 1
    assert "locked" in trouble(plugin).text()
    assert plugin.labelling.session.n_answered == 3 + before
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    process.wait()
    store.write = write
    assert labels(path)[: 3 + before] == ["absent"] * before + ["present", "present", "unsure"]
    assert trouble(plugin).isHidden()
    assert not any("locked" in text for text in messages())


def test_a_file_locked_until_the_end_leaves_the_answers_beside_it(
    plugin, batch, press, labels, messages
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    plugin.unload()
    plugin.initGui()  # so that the fixture can unload it again
    process.kill()
    process.wait()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert any(str(rescued) in text for text in messages())
    assert labels(rescued)[:3] == ["present", "absent", None]


@pytest.mark.parametrize("how", ["the panel", "the layer", "another batch"])
def test_a_lock_that_outlives_the_batch(how, plugin, batch, press, labels, messages, wait_until):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2", "1")
    if how == "the panel":
        plugin.dock.close()
    elif how == "the layer":
        QgsProject.instance().clear()
    else:
        plugin.open(batch("quotes"))
    QTest.qWait(800)
    process.kill()
    process.wait()
    wait_until(lambda: any("all answers are saved" in text for text in messages()))
    assert labels(path)[:3] == ["present", "absent", None]
    assert not list(path.parent.glob("*-answers-*"))


def test_a_batch_that_is_opened_again_while_its_answers_wait(
    plugin, batch, press, labels, wait_until
):
    path = batch("binary")
    plugin.open(path)
    process = lock(path, 30)
    press("2")
    plugin.open(batch("quotes"))
    process.send_signal(signal.SIGSTOP)  # keeps the lock
    QTest.qWait(50)
    assert plugin._lingering._stores
    process.kill()
    process.wait()
    plugin.open(path)
    session = plugin.labelling.session
    assert session.patches[0].answer.label == "present" and session.current == 1
    press("1")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert labels(path)[:3] == ["present", "absent", None]


def test_a_kill_between_two_answers(batch, labels):
    path = batch("binary")
    plugins = os.path.dirname(sys.modules["owl_geo_labeler"].__path__[0])
    process = subprocess.Popen(
        [sys.executable, "-c", LABEL_AND_WAIT, str(path), plugins],
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.stdout.readline() not in ("answered\n", ""):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert labels(path)[:4] == ["present", "absent", "unsure", None]


def test_a_replaced_file_is_noticed_without_a_key(still, plugin, batch, press, messages, wait_until):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    still()
    os.replace(other, path)
    wait_until(lambda: any("was replaced" in text for text in messages()))


def test_answers_go_into_the_file_that_took_the_batchs_place(
    still, plugin, batch, press, labels, messages, iface, wait_until
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    connection = sqlite3.connect(other)
    for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # the R-tree's triggers name them
        connection.create_function(f"ST_{name}", 1, lambda _shape: 0)
    connection.execute(
        "UPDATE batch SET label = 'unsure', labelled_at = '2000-01-01T00:00:00Z'"
        " WHERE rank IN (2, 5)"
    )
    connection.commit()
    connection.close()
    plugin.open(path)
    press("1", "2")
    labels(path)  # waits for them
    still()
    os.replace(other, path)
    press("2")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    assert sum("was replaced" in text for text in messages()) == 1
    assert labels(path)[:5] == [None, "unsure", None, None, "unsure"]
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None)
    assert labels(path)[:5] == ["absent", "present", "present", None, "unsure"]
    assert plugin.labelling.session.patch.rank == 4
    press("1")
    assert labels(path)[3] == "absent"


def test_a_file_that_took_the_batchs_place_and_is_locked(
    still, plugin, batch, press, labels, messages, iface, wait_until
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    plugin.open(path)
    press("1", "2")
    labels(path)  # waits for them
    still()
    os.replace(other, path)
    press("2")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    process = lock(path, 30, "IMMEDIATE")  # it can be read
    press_button(iface, "Open the new file")
    QTest.qWait(800)
    process.kill()
    process.wait()
    wait_until(lambda: labels(path)[:4] == ["absent", "present", "present", None])
    assert [patch.answer.label for patch in plugin.labelling.session.patches[:3]] == labels(path)[:3]
    press("1")
    assert labels(path)[3] == "absent"


READ_REPLACED = """
import json, sys
from owl_geo.batches import read_batch
batch = read_batch(sys.argv[1])
tables = {"rows": batch.answers, "replaced": batch.replaced}
columns = ["patch_id", "label", "annotator", "labelled_at"]
print(json.dumps({name: table[columns].to_numpy().tolist() for name, table in tables.items()}))
"""


@pytest.fixture
def read_replaced():
    """Read the answers of a batch, and those that others replaced, with the core."""

    def read(path):
        command = [os.environ["OWL_CORE_PYTHON"], "-c", READ_REPLACED, str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    return read


def test_a_deleted_file(
    still, plugin, batch, press, labels, messages, iface, read_from_outside, wait_until
):
    path = batch("binary")
    plugin.open(path)
    press("1", "2")
    labels(path)  # waits for them
    still()
    path.unlink()
    press("U")
    wait_until(lambda: any("was deleted" in text for text in messages()))
    assert sum("was deleted" in text for text in messages()) == 1
    press_button(iface, "Save as a new file")
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:4] == ["absent", "present", "unsure", None]
    seen = read_from_outside(rescued)["rows"]
    assert [label for _, label, _ in seen][:3] == ["absent", "present", "unsure"]


def test_answers_of_others_are_in_the_file_that_saves_a_deleted_batch(
    still, plugin, batch, press, messages, iface, wait_until, read_replaced
):
    path = batch("binary")
    plugin.open(path)
    press("1", "2", "U")
    assert plugin.labelling.is_saved()
    QgsSettings().setValue("owl_geo_labeler/annotator", "Ben")
    plugin.open(path)
    plugin.labelling.go_to("1")
    press("2")
    assert plugin.labelling.is_saved()
    plugin.open(path)
    plugin.labelling.go_to("2")
    press("1")
    assert plugin.labelling.is_saved()
    before = read_replaced(path)
    assert [row[1:3] for row in before["replaced"]] == [["absent", "Ada"], ["present", "Ada"]]
    assert [row[1:3] for row in before["rows"]][:3] == [
        ["present", "Ben"],
        ["absent", "Ben"],
        ["unsure", "Ada"],
    ]
    still()
    path.unlink()
    wait_until(lambda: any("was deleted" in text for text in messages()))
    press_button(iface, "Save as a new file")
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert read_replaced(rescued) == before
    plugin.open(rescued)
    session = plugin.labelling.session
    assert (session.n_asked, session.n_answered, session.n_noticed) == (9, 3, 0)


def test_a_file_deleted_after_its_answers_were_saved(still, plugin, batch, press, labels):
    path = batch("binary")
    plugin.open(path)
    press("1", "2")
    labels(path)  # waits for them
    still()
    path.unlink()
    QgsProject.instance().clear()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["absent", "present", None]


def test_a_file_that_was_moved_away_and_came_back(still, plugin, batch, press, labels, wait_until):
    path = batch("binary")
    plugin.open(path)
    away = path.with_name("away.gpkg")
    still()
    path.rename(away)
    press("1")
    still()
    away.rename(path)
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert labels(path)[0] == "absent"


COPY_IN_WAL_MODE = """
import shutil, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE more (n)")
shutil.copy(sys.argv[1], sys.argv[2])
connection.execute("PRAGMA journal_mode = DELETE")
"""


def test_a_copy_that_was_made_while_answers_were_in_the_wal_file(plugin, batch, messages, iface):
    path = batch("binary")
    copy = path.with_name("copy.gpkg")
    subprocess.run([sys.executable, "-c", COPY_IN_WAL_MODE, str(path), str(copy)], check=True)
    plugin.open(path)
    assert not any("which is missing" in text for text in messages())
    iface.bar.clearWidgets()
    plugin.open(copy)
    says = "copy.gpkg-wal, which is missing"
    assert [str(copy) in text for text in messages() if says in text] == [True]


@pytest.mark.parametrize("name", ["label", "patch_id", "labelled_at", "scene"])
def test_a_missing_column(name, plugin, batch, messages):
    path = batch("binary")
    connection = sqlite3.connect(path)
    connection.execute(f"ALTER TABLE batch RENAME COLUMN {name} TO other")
    connection.commit()
    connection.close()
    plugin.open(path)
    (text,) = messages()
    assert f"has no column {name}" in text and str(path) in text
    assert plugin.labelling is None


def test_files_that_are_no_batch(plugin, tmp_path, messages, iface, batch):
    no_info = batch("binary")
    connection = sqlite3.connect(no_info)
    connection.execute("DELETE FROM gpkg_metadata")
    connection.commit()
    connection.close()
    text_file = tmp_path / "text.gpkg"
    text_file.write_text("hello")
    for path, says in (
        (tmp_path / "none.gpkg", "does not exist"),
        (tmp_path, "cannot be read"),
        (text_file, "is not a GeoPackage"),
        (no_info, "does not list its classes"),
    ):
        iface.bar.clearWidgets()
        plugin.open(path)
        (text,) = messages()
        assert says in text


def test_a_read_only_file(plugin, batch, messages, iface):
    path = batch("binary")
    for target, mode in ((path, 0o444), (path.parent, 0o555)):
        iface.bar.clearWidgets()
        before = target.stat().st_mode
        target.chmod(mode)
        if os.access(target, os.W_OK):
            pytest.skip("to this user nothing is read-only")
        plugin.open(path)
        target.chmod(before)
        assert plugin.labelling is None
        assert "is read-only" in messages()[-1]


def test_text_of_strangers_is_shown_as_text(iface, plugin):
    hostile = "<img src='http://example.org'><b>bold</b> & [% 1 + 1 %]"
    plugin._messages.warn(hostile)
    (item,) = iface.bar.items()
    assert item.text() == "&lt;img src='http://example.org'&gt;&lt;b&gt;bold&lt;/b&gt; &amp; [% 1 + 1 %]"
    iface.bar.clearWidgets()


def test_opening_a_batch_prints_no_error(batch, capfd):
    """QGIS 3.44 took a query of the file's metadata for an expression, and said so to the terminal."""
    opened = open_batch(batch("binary"))
    assert (opened.round, opened.classes) == (1, ("absent", "present"))
    assert "ERROR" not in capfd.readouterr().err
