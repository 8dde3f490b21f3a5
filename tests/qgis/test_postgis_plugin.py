"""Labelling in a team's database, in the real program; ana sits at QGIS, ben somewhere else.

tests/plugin/test_store_qgis.py starts this with a server that is up: OWL_QGIS_FOLDER/expected.json has how
to reach it and the run, OWL_CORE_PROGRAM is owl-geo as the store's keeper, this process is ana.
"""

import itertools
import json
import os
import subprocess

import pytest
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.places import SharedPlace, is_shared
from owl_geo_labeler.shared_store import SharedStore
from owl_geo_labeler.store import Trouble
from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QInputDialog, QPushButton

PROGRAM = os.environ["OWL_CORE_PROGRAM"]

AS_BEN = """
import json, sys, psycopg
known = json.loads(sys.argv[1])
try:
    with psycopg.connect(host="127.0.0.1", port=known["port"], dbname=known["database"], user="ben",
                         password=known["password"], autocommit=True) as connection:
        cursor = connection.execute(sys.argv[2])
        print(json.dumps(cursor.fetchall() if cursor.description else []))
except psycopg.Error as error:
    print(json.dumps(str(error).splitlines()[0]))
"""


RUNS = itertools.count()


@pytest.fixture
def run(folder):
    """A fresh run with its first batch published, one of those that were made before."""
    return folder / f"run-{next(RUNS)}"


@pytest.fixture
def as_ben(expected):
    """Run SQL in ben's name; returns rows, or the error's first line."""

    def as_ben(sql):
        done = subprocess.run(
            [os.environ["OWL_CORE_PYTHON"], "-c", AS_BEN, json.dumps(expected), sql],
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)

    return as_ben


@pytest.fixture
def opened(plugin, run):
    """The plugin with the run's batch open, and the batch's view."""
    QgsSettings().setValue("owl_geo_labeler/executable", PROGRAM)
    plugin.open_run(run)
    assert plugin.labelling is not None
    return plugin


def owl_geo(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def view(plugin):
    return f'owl_geo."{plugin.labelling.batch.place.layer}"'


def press_button(iface, text):
    (button,) = [b for b in iface.bar.findChildren(QPushButton) if b.text() == text]
    button.click()


def rank(plugin):
    return plugin.labelling.session.patch.rank


def server(expected, *words):
    subprocess.run([*expected["control"], *words], check=True, stdout=subprocess.DEVNULL, cwd="/")


def test_answers_are_in_the_database_at_once_in_the_name_of_the_role(opened, press, as_ben):
    assert isinstance(opened.labelling.store, SharedStore)
    assert "for ana" in opened.dock._title.text()
    press("2", "1", "U")
    query = f"SELECT rank, label, annotator FROM {view(opened)} WHERE rank <= 4 ORDER BY rank"
    assert as_ben(query) == [
        [1, "present", "ana"],
        [2, "absent", "ana"],
        [3, "unsure", "ana"],
        [4, None, None],
    ]
    press("ctrl+Z")
    assert as_ben(query)[2] == [3, None, None]
    assert opened.labelling.session.n_answered == 2


def test_the_layer_is_on_the_map_in_its_style(opened, iface):
    layer = opened.labelling.batch.layer
    assert QgsProject.instance().mapLayer(layer.id()) is layer
    assert layer.renderer().classAttribute() == "label"
    assert iface.active is layer


def test_what_is_looked_at_is_taken_and_given_back(opened, press, as_ben):
    take = f"UPDATE {view(opened)} SET lease = 'take' WHERE rank = {{}}"
    assert "is being labelled by ana until" in as_ben(take.format(1))
    press("Right")
    assert as_ben(take.format(1)) == []
    assert "is being labelled by ana until" in as_ben(take.format(2))
    opened._close_labelling()
    assert as_ben(take.format(2)) == []


def test_what_another_labels_is_passed_over_and_may_be_taken_over(
    plugin, run, as_ben, press, iface, messages
):
    plugin.open_run(run)
    here = view(plugin)
    plugin._close_labelling()
    assert as_ben(f"UPDATE {here} SET lease = 'take' WHERE rank IN (1, 3)") == []
    plugin.open_run(run)
    assert rank(plugin) == 2
    press("1")
    assert rank(plugin) == 4
    press("Left")
    assert rank(plugin) == 3
    assert "is being labelled by ben until" in messages()[-1]
    press("Right")
    QTest.qWait(20)
    assert not [text for text in messages() if "is being labelled" in text]  # of what was shown
    press("Left")
    QTest.qWait(20)
    press_button(iface, "Take over")
    press("2")
    assert as_ben(f"SELECT label, annotator FROM {here} WHERE rank = 3") == [["present", "ana"]]


def test_what_others_answer_is_seen(opened, press, as_ben):
    session = opened.labelling.session
    assert as_ben(f"UPDATE {view(opened)} SET label = 'present' WHERE rank = 2") == []
    opened.labelling.store.look()
    assert session.n_answered == 1
    assert session.patches[1].answer.annotator == "ben"
    press("1")
    assert rank(opened) == 3
    press("ctrl+Z")  # ana's own, and not ben's
    assert session.n_answered == 1
    assert as_ben(f"SELECT rank, label FROM {view(opened)} WHERE label IS NOT NULL") == [
        [2, "present"]
    ]


def test_an_answer_that_comes_too_late_is_refused_and_said(opened, press, as_ben, iface, messages):
    take_over = f"UPDATE {view(opened)} SET lease = 'take over' WHERE rank = 1"
    answer = f"UPDATE {view(opened)} SET label = 'absent' WHERE rank = 1"
    assert as_ben(take_over) == [] and as_ben(answer) == []
    press("2")
    assert "was labelled by ben" in messages()[-1]
    first = opened.labelling.session.patches[0].answer
    assert (first.label, first.annotator) == ("absent", "ben")
    assert opened.labelling.store.n_waiting == 0
    press_button(iface, "Take over")
    query = f"SELECT label, annotator FROM {view(opened)} WHERE rank = 1"
    assert as_ben(query) == [["present", "ana"]]


def test_when_all_that_is_left_is_others_it_is_said(opened, press, as_ben, messages):
    assert as_ben(f"UPDATE {view(opened)} SET lease = 'take' WHERE rank > 1") == []
    press("1")
    assert "others are labelling everything that is left" in messages()[-1]
    assert rank(opened) == 1


def test_the_server_may_go_away_in_the_middle(opened, press, as_ben, expected, wait_until):
    store = opened.labelling.store
    press("1")
    server(expected, "stop", "-m", "immediate")
    try:
        press("2", "2")
        assert store.trouble is Trouble.OFFLINE
        assert store.n_waiting == 2
        assert "does not respond" in opened.dock.footer._trouble.text()
    finally:
        server(expected, "start")
    wait_until(lambda: store.n_waiting == 0)
    assert store.trouble is None
    query = f"SELECT label, annotator FROM {view(opened)} WHERE rank <= 3 ORDER BY rank"
    assert as_ben(query) == [["absent", "ana"], ["present", "ana"], ["present", "ana"]]


def test_what_cannot_be_stored_goes_into_a_file_that_ingest_takes(
    opened, run, press, expected, home
):
    place = view(opened)
    server(expected, "stop", "-m", "immediate")
    try:
        press("2", "1")
        opened._close_labelling()
    finally:
        server(expected, "start")
    (rescued,) = home.glob("*-answers-*.gpkg")
    assert "2 new" in owl_geo("ingest", run, rescued)
    assert place


def test_two_rounds(opened, run, press, wait_until, messages):
    first = opened.labelling.batch.place
    n = len(opened.labelling.session.patches)
    press(*("12" * n)[:n])
    QTest.mouseClick(opened.dock.footer.next_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: opened.labelling.batch.place != first, seconds=120)
    assert opened.labelling.batch.round == 1
    assert opened.labelling.run is not None
    assert messages() == []
    press("1")
    assert f"{n + 1} patches" in owl_geo("status", run)


def test_a_batch_that_is_not_published_yet(plugin, folder, messages, iface, wait_until):
    QgsSettings().setValue("owl_geo_labeler/executable", PROGRAM)
    plugin.open_run(folder / "early")
    assert "no batch has been published" in messages()[-1]
    press_button(iface, "Make the next batch")
    wait_until(lambda: plugin.labelling is not None, seconds=120)
    assert plugin.labelling.batch.round == 0


def test_without_the_run_folder(plugin, run, monkeypatch, press, as_ben, messages):
    address = owl_geo("query", run, "--to-store").splitlines()[-1]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (f"  {address} ", True))
    plugin.choose_shared()
    assert plugin.labelling.run is None
    press("2")
    assert as_ben(f"SELECT annotator FROM {view(plugin)} WHERE rank = 1") == [["ana"]]
    plugin.next_batch()
    assert any("no newer batch has been published yet" in text for text in messages())
    owl_geo("query", run, "--to-store")
    plugin.next_batch()
    assert plugin.labelling.batch.round == 1
    plugin._close_labelling()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (address.partition("?")[0], True))
    plugin.choose_shared()
    assert plugin.labelling.batch.round >= 0


@pytest.mark.parametrize(
    "text", ["postgresql://ana:geheim@h/db?layer=x", "postgresql://h/db?password=geheim&layer=x"]
)
def test_a_password_in_the_address_is_refused_and_not_shown(text):
    with pytest.raises(Problem) as caught:
        SharedPlace.parse(text)
    assert "leave the password out" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_addresses():
    place = SharedPlace.parse("postgresql://ana@[::1]:5433/my%20db?schema=owl_geo&layer=batch_a-000")
    assert place == SharedPlace("::1", "5433", "my db", "ana", "", "batch_a-000")
    assert SharedPlace.parse("postgresql:///?service=owl&layer=b").service == "owl"
    assert SharedPlace.parse("postgresql:///db?host=/run/postgresql").host == "/run/postgresql"
    for text in ("", "http://h/db", "postgresql://h:port/db", "batch.gpkg"):
        with pytest.raises(Problem):
            SharedPlace.parse(text)
    assert not is_shared("/home/ana/batch.gpkg")


def test_a_layer_that_is_not_there(plugin, run, messages):
    address = owl_geo("query", run, "--to-store").splitlines()[-1]
    plugin.open(SharedPlace.parse(address).with_layer("batch_nowhere"))
    assert plugin.labelling is None
    assert "there is no batch batch_nowhere" in messages()[-1]
