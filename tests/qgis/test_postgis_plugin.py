"""Labelling in a team's database, in the real program; ana sits at QGIS, ben somewhere else.

tests/plugin/test_store_qgis.py starts this with a server that is up: OWL_QGIS_FOLDER/expected.json has how
to reach it and the run, OWL_CORE_PROGRAM is owl-geo as the store's keeper, this process is ana.
"""

import itertools
import json
import os
import socket
import subprocess
from dataclasses import replace

import pytest
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.places import SharedPlace, is_shared
from owl_geo_labeler.reach import Reach, said_in
from owl_geo_labeler.session import Answer
from owl_geo_labeler.shared_batch import is_unanswered
from owl_geo_labeler.shared_store import SharedStore
from owl_geo_labeler.store import Trouble
from qgis.core import QgsProject, QgsSettings, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QInputDialog, QPushButton

PROGRAM = os.environ["OWL_CORE_PROGRAM"]

QUERY = """
import json, sys, psycopg
known = json.loads(sys.argv[1])
try:
    with psycopg.connect(host="127.0.0.1", port=known["port"], dbname=known["database"],
                         user=sys.argv[3], password=known["password"], autocommit=True) as connection:
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

    return lambda sql: query(expected, sql, "ben")


def query(known, sql, user):
    done = subprocess.run(
        [os.environ["OWL_CORE_PYTHON"], "-c", QUERY, json.dumps(known), sql, user],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def as_keeper(known, sql):
    assert query(known, sql, "keeper") == []


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


def test_a_review_is_opened_in_the_database(opened, run, press, wait_until, messages, as_ben):
    press("R")
    (text,) = messages()
    assert "the newest batch has no answers yet" in text
    n = len(opened.labelling.session.patches)
    press(*("12" * n)[:n])
    first = opened.labelling.batch.place
    owl_geo("review", run, "--threshold=0.01", "--to-store")
    press("R")
    place = opened.labelling.batch.place
    assert place != first and opened.labelling.batch.is_review
    assert opened.labelling.run.path == run and opened.review_dock.isVisible()
    press("A")
    assert [["ana"]] == as_ben(f"SELECT annotator FROM {view(opened)} WHERE label IS NOT NULL")
    assert opened.labelling.session.n_answered == 1


def test_a_batch_with_answers_in_the_database_is_not_left_without_any(
    opened, press, messages, monkeypatch
):
    asked = []
    monkeypatch.setattr(opened.rounds, "_ask_core", lambda *values: asked.append(values[2]))
    press("1", "R")
    assert messages() == [] and [(one.what, one.leaves) for one in asked] == [("review", False)]
    press("M")
    assert messages() == [] and [one.what for one in asked] == ["review", "like"]


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
    assert not is_unanswered(SharedPlace.parse(address).with_layer("batch_nowhere"))


def test_an_answer_of_another_is_theirs_again_after_undo(opened, press, as_ben, iface):
    answer = f"UPDATE {view(opened)} SET lease = 'take over', label = 'absent' WHERE rank = 1"
    assert as_ben(answer) == []
    press("2")
    press_button(iface, "Take over")
    query = f"SELECT label, annotator FROM {view(opened)} WHERE rank = 1"
    assert as_ben(query) == [["present", "ana"]]
    press("ctrl+Z")
    assert as_ben(query) == [["absent", "ben"]]
    first = opened.labelling.session.patches[0].answer
    assert (first.label, first.annotator) == ("absent", "ben")
    status = owl_geo("status", opened.labelling.run.path)
    assert "1 patch: 1 absent" in status and "disputed" not in status


def test_what_was_typed_to_a_refused_answer_comes_with_it(opened, press, as_ben, iface):
    assert as_ben(f"UPDATE {view(opened)} SET lease = 'take over' WHERE rank <= 2") == []
    opened.labelling.take_comment("beside the road")  # without a label yet
    press_button(iface, "Take over")
    query = f"SELECT label, annotator, comment FROM {view(opened)} WHERE rank = {{}}"
    opened.labelling.store.look()
    assert opened.labelling.session.patches[0].answer.comment == "beside the road"
    opened.labelling.session.go_to(1)
    opened.labelling.session.patch.answer = Answer(comment="50% 'sure'")
    opened.labelling.show_anew()
    press("2")
    assert as_ben(query.format(2)) == [[None, None, None]]
    QTest.qWait(20)
    press_button(iface, "Take over")
    assert as_ben(query.format(2)) == [["present", "ana", "50% 'sure'"]]


def test_a_transaction_of_the_layer_keeps_no_answer_back(opened, press, as_ben):
    project, layer = QgsProject.instance(), opened.labelling.batch.layer
    project.setAutoTransaction(True)
    try:
        assert layer.startEditing()
        press("2")
        query = f"SELECT label, annotator FROM {view(opened)} WHERE rank = 1"
        assert as_ben(query) == [["present", "ana"]]
        assert layer.rollBack()
        assert as_ben(query) == [["present", "ana"]]
    finally:
        project.setAutoTransaction(False)


def test_a_filter_on_the_layer_hides_no_patch_from_the_panel(opened, run, press, as_ben):
    layer = opened.labelling.batch.layer
    n = len(opened.labelling.session.patches)
    assert layer.setSubsetString('"rank" > 2')
    press("1")
    assert as_ben(f"UPDATE {view(opened)} SET label = 'absent' WHERE rank = 4") == []
    assert layer.setSubsetString("false")
    opened.labelling.store.look()
    assert opened.labelling.session.n_answered == 2
    opened.open_run(run)
    assert opened.labelling.batch.layer is layer and layer.subsetString() == "false"
    assert len(opened.labelling.session.patches) == n
    assert opened.labelling.session.n_answered == 2


def test_a_layer_that_the_user_added_is_labelled(plugin, run, expected, press):
    address = SharedPlace.parse(owl_geo("query", run, "--to-store").splitlines()[-1])
    uri = address.uri(address.layer, "geom", "fid")
    uri.setUsername("ana")
    uri.setPassword(expected["password"])
    uri.setUseEstimatedMetadata(True)
    uri.setSrid("32631")
    layer = QgsVectorLayer(uri.uri(False), "mine", "postgres")
    QgsProject.instance().addMapLayer(layer)
    plugin.open_run(run)
    assert plugin.labelling.batch.layer is layer and layer.name() == "mine"
    press("1")
    assert plugin.labelling.store.n_waiting == 0


def test_a_server_that_hangs_holds_no_key_up(opened, press, as_ben, wait_until, monkeypatch):
    store = opened.labelling.store
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        with monkeypatch.context() as patch:
            patch.setattr(store._reach, "_at", silent.getsockname())
            press("2")
            assert store.trouble is Trouble.OFFLINE and store.n_waiting == 1
            begun = store._rests_until
            press("1")  # is not tried before the window was free for a while
            assert store._rests_until == begun and store.n_waiting == 2
            store.look()
    wait_until(lambda: store.n_waiting == 0)
    query = f"SELECT label FROM {view(opened)} WHERE rank <= 2 ORDER BY rank"
    assert as_ben(query) == [["present"], ["absent"]]


def test_a_right_that_was_taken_away(opened, run, press, wait_until):
    store = opened.labelling.store
    owl_geo("store", "annotator", run, "ana", "--revoke")
    try:
        press("2")
        assert store.trouble is Trouble.REFUSED
        text = opened.dock.footer._trouble.text()
        assert "permission denied" in text and "whoever looks after the database" in text
    finally:
        owl_geo("store", "annotator", run, "ana")
    wait_until(lambda: store.n_waiting == 0)


def test_a_row_that_was_deleted_in_the_database(
    opened, run, press, expected, messages, home
):
    patch = opened.labelling.session.patch.patch_id
    rows = f"FROM owl_geo.tasks WHERE batch_id = '{opened.labelling.batch.batch_id}'"
    as_keeper(expected, f"DELETE {rows} AND patch_id = '{patch}'")
    press("2", "1")
    opened.labelling.store.look()
    assert f"{patch} was deleted" in messages()[-1] and "present" in messages()[-1]
    assert not opened.labelling.stores.is_saved
    opened._close_labelling()
    (rescued,) = home.glob("*-answers-*.gpkg")
    assert "1 new, 1 known before" in owl_geo("ingest", run, rescued)


def test_a_server_that_is_down_or_refuses_is_said_in_one_line(
    plugin, run, expected, messages, monkeypatch
):
    server(expected, "stop", "-m", "immediate")
    try:
        plugin.open_run(run)
        assert "cannot be read; check that the address is right" in messages()[-1]
        assert plugin.labelling is None and "SELECT" not in messages()[-1]
    finally:
        server(expected, "start")
    place = SharedPlace.parse(owl_geo("query", run, "--to-store").splitlines()[-1])
    monkeypatch.setenv("PGPASSWORD", "wrong")
    plugin.open(replace(place, user="ben"))
    assert 'password authentication failed for user "ben"' in messages()[-1]
    assert plugin.labelling is None


@pytest.mark.parametrize(
    "text, said",
    [
        ("PostGIS error while changing attributes: ERROR:  no right  \nCONTEXT:  x", "no right"),
        ("PostGIS error: FEHLER:  keine Berechtigung für Sicht b\n", "keine Berechtigung für Sicht b"),
        ("PostGIS error while changing attributes: no result buffer", None),
    ],
)
def test_what_a_server_says_in_any_language(text, said):
    assert said_in(text) == said


def test_a_server_that_cannot_be_asked_is_taken_to_respond():
    for place in ("postgresql:///?service=owl", "postgresql:///db?host=/run/postgresql"):
        assert Reach(SharedPlace.parse(place)).responds()
    assert Reach(SharedPlace.parse("postgresql://127.0.0.1:1/db")).responds()  # nobody was there
