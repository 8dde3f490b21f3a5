"""The owl-geo program from QGIS: the next batch, the algorithms, and the scenes under a batch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsLayerTreeGroup,
    QgsMultiBandColorRenderer,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QFileDialog, QLabel, QPushButton, QToolButton

from owl_geo_labeler import settings
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.pool_grid import pool_grid
from owl_geo_labeler.settings_dialog import SettingsDialog

PROGRAM = os.environ["OWL_CORE_PROGRAM"]


def owl_geo(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def first_round(folder, tmp_path_factory):
    """A run over two scenes in two CRSs, with its first batch."""
    path = tmp_path_factory.mktemp("first") / "run"
    scenes = folder / "scenes"
    owl_geo(
        *("init", path, "--scene", scenes / "east.tif", "--scene", scenes / "west"),
        *("--bands", "blue,green,red,nir", "--patch-size", 16, "--initial", 6, "--batch-size", 4),
    )
    owl_geo("query", path)
    return path


@pytest.fixture
def run(first_round, tmp_path):
    return Path(shutil.copytree(first_round, tmp_path / "run"))


@pytest.fixture
def with_program(plugin):
    QgsSettings().setValue("owl_geo_labeler/executable", PROGRAM)
    return plugin


def click_next(plugin):
    QTest.mouseClick(plugin.dock.footer.next_button, Qt.MouseButton.LeftButton)


def let_it_be_seen(iface):
    """Let a batch that came amid answers be on the map, for as long as it takes to notice."""
    iface.canvas.waitWhileRendering()
    QTest.qWait(600)


def rasters():
    return [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsRasterLayer)
    ]


def point_at(plugin, polygon):
    """Click in the middle of a polygon in the batch's CRS, which is in degrees."""
    canvas = plugin._iface.mapCanvas()
    to_map = QgsCoordinateTransform(
        plugin.labelling.batch.layer.crs(),
        canvas.mapSettings().destinationCrs(),
        QgsProject.instance(),
    )
    plugin.labelling.map.missed.emit(to_map.transform(polygon.centroid().asPoint()))


def answer_beside(plugin, path, press):
    """Answer a place of the pool that no batch asked; return its patch."""
    grid = pool_grid(path)
    asked = {patch.patch_id for patch in plugin.labelling.session.patches}
    asked |= {patch.patch_id for batch in plugin.labelling._beside._older_batches() for patch in batch.patches}
    places = [
        scene._place(i, j)
        for scene in grid._scenes
        for i in range(scene.count[0])
        for j in range(scene.count[1])
    ]
    place = next(place for place in places if place.patch_id not in asked)
    point_at(plugin, place.polygon(plugin.labelling.batch.layer.crs()))
    assert plugin.labelling.session.patch.patch_id == place.patch_id
    press("2")
    return place.patch_id


def test_two_rounds(with_program, run, press, labels, wait_until, messages):
    plugin = with_program
    plugin.open_run(run)
    first = plugin.labelling.batch.path
    assert first == run / "rounds" / "000" / "batch.gpkg"
    press("1", "2", "1", "2", "U", "S")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.path != first, seconds=120)
    second = plugin.labelling.batch.path
    assert second == run / "rounds" / "001" / "batch.gpkg"
    assert labels(first) == ["absent", "present", "absent", "present", "unsure", "skip"]
    assert "likely to be present" in plugin.dock.findChild(object, "why").text()
    press("1", "2", "1", "2")
    # one more beside the batch, and another answer in the older batch
    beside = answer_beside(plugin, second, press)
    (older, *_) = plugin.labelling._beside._older
    point_at(plugin, older.features[older.patches[1].fid].geometry())
    assert plugin.labelling.session.patch.answer.label == "present"
    press("1")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.path != second, seconds=120)
    assert plugin.labelling.batch.round == 2
    assert messages() == []
    assert len(owl_geo("labels", "history", run).splitlines()) == 1 + 12
    assert labels(first)[:2] == ["absent", "absent"]
    assert "present" in owl_geo("labels", "history", run, "--patch", beside)
    assert "noticed" in owl_geo("labels", "history", run, "--patch", beside)


@pytest.mark.parametrize("way", ["engine", "commands"])
def test_an_answer_that_was_typed_into_the_table_is_of_whoever_labels(
    way, with_program, run, press, wait_until, monkeypatch
):
    plugin = with_program
    if way == "commands":
        monkeypatch.setattr(plugin.rounds._engine, "follow", lambda *_: None)
    plugin.open_run(run)
    layer = plugin.labelling.batch.layer
    fid = plugin.labelling.session.patches[1].fid
    assert layer.startEditing()
    assert layer.changeAttributeValue(fid, layer.fields().indexOf("label"), "present")
    assert layer.commitChanges()
    press("1")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    told = owl_geo("labels", "history", run).splitlines()
    assert len(told) == 3 and all(" Ada " in line for line in told[1:])


@pytest.mark.parametrize("way", ["engine", "commands"])
def test_what_owl_geo_warns_of_is_shown_once(
    way, with_program, run, folder, press, wait_until, messages, monkeypatch
):
    plugin = with_program
    if way == "commands":
        monkeypatch.setattr(plugin.rounds._engine, "follow", lambda *_: None)
    scene = folder / "scenes" / "east.tif"
    before, when = scene.read_bytes(), scene.stat()
    scene.write_bytes(before + b" ")
    try:
        plugin.open_run(run)
        for number in (1, 2):
            press("1", "2")
            click_next(plugin)
            wait_until(lambda: plugin.labelling.batch.round == number, seconds=120)
            told = [text for text in messages() if text.startswith("scene 'east' changed since")]
            assert len(told) == (1 if number == 1 else 0)
            plugin._iface.messageBar().clearWidgets()
    finally:
        scene.write_bytes(before)
        os.utime(scene, ns=(when.st_atime_ns, when.st_mtime_ns))


def test_the_process_that_stays_makes_the_next_batch(with_program, run, press, wait_until):
    """It asks what commands ask; where it is killed, commands go on."""
    plugin = with_program
    twin = Path(shutil.copytree(run, run.parent / "twin"))
    plugin.open_run(run)
    engine, pid = plugin.rounds._engine, plugin.rounds._engine.pid
    press(*"121212")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert engine.pid == pid > 0
    answered = Path("rounds/000/batch.gpkg")
    shutil.copy(run / answered, twin / answered)
    owl_geo("ingest", twin, twin / answered)
    owl_geo("query", twin)
    asked = [json.loads((path / "rounds/001/round.json").read_text()) for path in (run, twin)]
    assert asked[0]["patch_ids"] == asked[1]["patch_ids"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not engine.is_running)
    press(*"1212")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 2, seconds=120)


def test_the_next_batch_is_begun_when_all_is_answered(
    with_program, run, press, wait_until, monkeypatch
):
    plugin = with_program
    plugin.open_run(run)
    asked, plain = [], plugin.rounds._engine.ask
    monkeypatch.setattr(
        plugin.rounds._engine, "ask", lambda *said, **params: asked.append(said[0]) or plain(*said, **params)
    )
    press(*"12121")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert asked == []
    press("2")
    wait_until(lambda: asked == ["foresee"])
    assert not (run / "labels.gpkg").exists()
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert asked == ["foresee", "next"]


def test_a_run_that_cannot_be_read_is_left_to_whoever_asks_for_the_next_batch(plugin, run):
    plugin.open_run(run)
    (run / "owl.toml").write_text("labels = ", encoding="utf-8")
    with pytest.raises(Problem):
        plugin.labelling.run.store()
    plugin.rounds._foresee()  # raises nothing


def test_a_process_that_ends_while_it_is_asked_leaves_the_work_to_commands(
    plugin, run, press, wait_until, messages, tmp_path
):
    """As an owl-geo of another version that has no such process does."""
    program = tmp_path / "owl-geo"
    lines = ("#!/bin/sh", '[ "$1" = engine ] && read line && exit 2', f'exec "{PROGRAM}" "$@"')
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(program))
    plugin.open_run(run)
    press(*"121212")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert messages() == []


def test_qgis_goes_on_while_owl_geo_works(with_program, run, press, wait_until):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    assert not plugin.dock.footer._work.isHidden()
    assert plugin.dock.footer.next_button.isHidden()
    press("2")
    assert plugin.labelling.session.n_answered == 2
    QTest.mouseClick(plugin.dock.footer._work.findChild(QPushButton), Qt.MouseButton.LeftButton)
    wait_until(lambda: plugin.dock.footer._work.isHidden())
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert "2 patches: 1" in owl_geo("status", run)


def test_answers_given_while_owl_geo_works_arrive_with_the_next_round_at_the_latest(
    with_program, run, press, wait_until, iface
):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    wait_until(lambda: "Learning" in plugin.dock.footer._work_says.text(), seconds=120)
    press("2", "2")
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    let_it_be_seen(iface)
    press("1")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 2, seconds=120)
    assert "4 patches: 2" in owl_geo("status", run)


def test_the_map_of_a_new_project_is_in_the_scenes_crs(plugin, run, iface, wait_until):
    plugin.open_run(run)
    patch = plugin.labelling.session.patch
    assert plugin.labelling.batch.layer.crs().authid() == "EPSG:4326"
    assert iface.canvas.mapSettings().destinationCrs().authid() == patch.scene_crs
    wait_until(lambda: 600 < iface.canvas.extent().height() < 2000)


def test_the_cores_own_error_line_is_shown(with_program, run, press, wait_until, messages):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    settings = run / "owl.toml"
    settings.write_text(settings.read_text().replace("patch_size = 16", "patch_siez = 16"))
    click_next(plugin)
    wait_until(lambda: messages(), seconds=120)
    (text,) = messages()
    assert "patch_siez" in text and "did you mean" in text
    assert plugin.labelling.batch.round == 0


def test_the_next_batch_comes_from_the_program_that_installed_the_plugin(
    plugin, run, press, monkeypatch, tmp_path, wait_until, messages
):
    owl_geo("plugin", "install", "--profiles-path", tmp_path, "--profile", "t")
    told = tmp_path / "profiles/t/python/plugins/owl_geo_labeler/program.txt"
    monkeypatch.setattr(settings, "_INSTALLED", told)
    monkeypatch.setenv("PATH", "")
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1 or messages(), seconds=120)
    assert messages() == []


def test_without_a_program_the_message_says_what_to_set(
    plugin, run, press, messages, labels, monkeypatch, iface
):
    monkeypatch.setenv("PATH", "")
    plugin.open_run(run)
    press("1")
    assert labels(plugin.labelling.batch.path)[0] == "absent"
    for _ in range(2):
        click_next(plugin)
        (text,) = messages()
        assert text == "owl-geo was not found; choose it in Settings"
        assert asked_for_settings(plugin, iface, monkeypatch) == 1


def asked_for_settings(plugin, iface, monkeypatch):
    """Press each button Settings in the message bar; returns how often the dialog came."""
    asked = []
    monkeypatch.setattr(SettingsDialog, "exec", lambda _dialog: asked.append(1) or 0)
    for item in iface.bar.items():
        for button in item.findChildren(QPushButton):
            if button.text() == "Settings…":
                button.click()
    QTest.qWait(20)
    assert iface.bar.items() == []
    return len(asked)


@pytest.fixture
def dialog(plugin, iface):
    dialog = SettingsDialog(plugin._settings, iface.window)
    dialog.show()
    yield dialog
    dialog.close()
    dialog.deleteLater()


def test_a_folder_is_taken_for_the_program_in_it(plugin, dialog):
    dialog.program.setFilePath(str(Path(PROGRAM).parents[1]))
    dialog.accept()
    assert not dialog.isVisible()
    assert plugin._settings.chosen_executable == PROGRAM


def test_a_folder_without_owl_geo_is_refused(plugin, dialog, tmp_path):
    for path, says in ((tmp_path, "is a folder without owl-geo"), (tmp_path / "x", "does not exist")):
        dialog.program.setFilePath(str(path))
        dialog.accept()
        assert dialog.isVisible() and dialog.problem.isVisible()
        assert dialog.problem.text() == f"{path} {says}"
    assert plugin._settings.chosen_executable == ""
    dialog.program.setFilePath("")
    dialog.accept()
    assert not dialog.isVisible()


def test_a_program_that_is_none_is_said(
    plugin, run, press, messages, wait_until, tmp_path, iface, monkeypatch
):
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/python\n")
    broken.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(broken))
    plugin.open_run(run)
    press("1")
    for _ in range(2):
        click_next(plugin)
        wait_until(lambda: plugin.dock.footer._work.isHidden())
        (text,) = messages()
        assert "cannot be started" in text
    assert asked_for_settings(plugin, iface, monkeypatch) == 1


SLOW = """#!/bin/sh
if [ "$1" = query ]; then
  echo "warning: nothing of note" >&2
  printf 'Scoring: 20 of 100 (20 %%), about 10 s left\\nScor' >&2
  until [ -e "$0.go" ]; do sleep 0.05; done
  printf 'ing: 60 of 100 (60 %%), about 5 s left\\nNext: label it\\n' >&2
  until [ -e "$0.end" ]; do sleep 0.05; done
  exit 1
fi
"""


def test_the_panel_says_how_far_the_work_is(plugin, run, press, wait_until, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text(SLOW)
    slow.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(slow))
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    line = plugin.dock.findChild(QLabel, "progress")
    wait_until(lambda: line.text() == "Scoring: 20 of 100 (20 %), about 10 s left")
    assert "Learning" in plugin.dock.footer._work_says.text()
    QTest.qWait(50)
    height = plugin.dock.footer._work.height()
    (tmp_path / "slow.go").touch()
    wait_until(lambda: line.text() == "Scoring: 60 of 100 (60 %), about 5 s left")
    QTest.qWait(50)
    assert plugin.dock.footer._work.height() == height
    (tmp_path / "slow.end").touch()
    wait_until(lambda: plugin.dock.footer._work.isHidden())
    assert line.text() == ""


def test_the_core_does_not_inherit_qgiss_python(plugin, monkeypatch):
    from owl_geo_labeler.core import environment

    for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA"):
        monkeypatch.setenv(name, "/nowhere")
    assert not {"PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA"} & set(environment().keys())


def test_a_run_opens_at_its_newest_batch_with_open_patches(with_program, run, press, wait_until):
    plugin = with_program
    plugin.open_run(run)
    press("1", "2")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    press("1", "2", "1", "2")
    plugin.open_run(run)
    assert plugin.labelling.batch.round == 0
    press("1", "1", "1", "1")
    plugin.open_run(run)
    assert plugin.labelling.batch.round == 1
    assert plugin.labelling.session.is_done


def test_a_run_without_a_batch_offers_the_first(with_program, tmp_path, iface, messages, wait_until):
    plugin = with_program
    run = tmp_path / "synthetic"
    owl_geo("init", run, "--source", "synthetic", "--n-samples", 40, "--initial", 3)
    plugin.open_run(run)
    assert "has no batch yet" in messages()[0]
    (button,) = [b for b in iface.bar.findChildren(QPushButton) if "first batch" in b.text()]
    button.click()
    wait_until(lambda: not plugin.dock.footer._work.isHidden())
    lines = ("trouble", "others", "where", "note", "done")
    assert [name for name in lines if not plugin.dock.findChild(object, name).isHidden()] == []
    wait_until(lambda: plugin.labelling is not None, seconds=120)
    assert len(plugin.labelling.session.patches) == 3
    assert rasters() == []
    QTest.qWait(20)
    assert messages() == []
    why = plugin.dock.findChild(object, "why").text()
    assert "<b>Dist industrial</b>" in why  # as form and table call it


def test_a_batch_that_was_handed_on_asks_for_its_run(
    with_program, run, press, messages, monkeypatch, tmp_path, wait_until
):
    plugin = with_program
    copy = shutil.copy(run / "rounds" / "000" / "batch.gpkg", tmp_path / "handed_on.gpkg")
    plugin.open(Path(copy))
    assert messages() == [] and rasters()  # the batch says where its scenes are
    press("1")
    for answer, says in ((tmp_path, "is not a run folder"), (None, "")):
        monkeypatch.setattr(
            QFileDialog, "getExistingDirectory", lambda *_, answer=answer: str(answer or "")
        )
        click_next(plugin)
        assert any(says in text for text in messages())
        assert plugin.labelling.batch.path == Path(copy)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(run))
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)


def test_a_folder_that_is_no_run(plugin, tmp_path, messages):
    plugin.open_run(tmp_path)
    assert "is not a run folder: it has no owl.toml" in messages()[0]


def test_of_a_folder_around_a_run_the_run_is_named(plugin, run, messages):
    plugin.open_run(run.parent)
    assert messages()[0] == f"{run.parent} is not a run folder; open the one inside it: run"


def test_the_scenes_lie_under_the_batch_in_natural_colours(plugin, run, press, folder):
    plugin.open_run(run)
    press(*["Right"] * 6)
    layers = {layer.name(): layer for layer in rasters()}
    assert set(layers) == {"east", "west"}
    ((group, first, *scenes),) = tree()
    assert (group, first) == ("run", plugin.labelling.batch.layer.name())
    assert sorted(scenes) == ["east", "west"]
    for layer in layers.values():
        renderer = layer.renderer()
        assert isinstance(renderer, QgsMultiBandColorRenderer)
        stretch = renderer.redContrastEnhancement()
        assert stretch.minimumValue() < stretch.maximumValue()
    east = layers["east"].renderer()
    assert (east.redBand(), east.greenBand(), east.blueBand()) == (3, 2, 1)
    west = layers["west"]
    assert west.crs().authid() == "EPSG:32630"
    red = QgsRasterLayer(str(folder / "scenes" / "west" / "T31_B04.tif"), "red")
    point = west.extent().center()
    assert west.dataProvider().sample(point, 1) == red.dataProvider().sample(point, 1)
    assert west.extent() == red.extent()


def tree(group=None):
    """Return the layer tree from the top: names of layers, and lists of a group and what it holds."""
    group = group or QgsProject.instance().layerTreeRoot()
    return [
        [node.name(), *tree(node)] if isinstance(node, QgsLayerTreeGroup) else node.name()
        for node in group.children()
    ]


@pytest.fixture(scope="session")
def second_round(first_round, tmp_path_factory):
    run = Path(shutil.copytree(first_round, tmp_path_factory.mktemp("second") / "run"))
    owl_geo("query", run, "--go-on")
    return run


@pytest.fixture
def two_rounds(second_round, tmp_path):
    """A run with two batches that wait."""
    run = Path(shutil.copytree(second_round, tmp_path / "run"))
    return [run / "rounds" / f"{number:03}" / "batch.gpkg" for number in range(2)]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_batches_of_a_run_share_a_group(plugin, two_rounds, newest_first):
    for path in reversed(two_rounds) if newest_first else two_rounds:
        plugin.open(path)
    ((name, *layers),) = tree()
    assert name == "run"
    assert [layer[-3:] for layer in layers[:2]] == ["001", "000"]
    assert set(layers[2:]) <= {"east", "west"}
    assert not any(node.isExpanded() for node in QgsProject.instance().layerTreeRoot().findLayers())


def test_what_the_user_placed_or_switched_off_stays_so(plugin, two_rounds):
    root = QgsProject.instance().layerTreeRoot()
    plugin.open(two_rounds[0])
    node = root.findLayer(plugin.labelling.batch.layer.id())
    node.setItemVisibilityChecked(False)
    group = node.parent()
    group.setName("mine")
    folder = root.insertGroup(0, "folder")
    folder.addChildNode(group.clone())
    root.removeChildNode(group)
    plugin.open(two_rounds[1])
    ((outer, inner),) = tree()
    assert outer == "folder"
    assert [inner[0], inner[1][-3:], inner[2][-3:]] == ["mine", "001", "000"]
    old = root.findLayers()[1]
    assert not old.itemVisibilityChecked()
    clone = old.clone()
    root.insertChildNode(0, clone)
    old.parent().removeChildNode(old)
    plugin.open(two_rounds[0])
    assert tree()[0][-3:] == "000"
    assert not root.findLayers()[0].itemVisibilityChecked()


class Slow(QObject):
    """A next batch that comes when the test says so."""

    progressed, done = pyqtSignal(str, str), pyqtSignal(object)
    warned, failed, unstarted = pyqtSignal(str), pyqtSignal(str), pyqtSignal(str)

    def __init__(self, *_arguments):
        super().__init__()
        Slow.last = self

    def start(self):
        pass

    def cancel(self):
        self.failed.emit("stopped")


@pytest.mark.parametrize("who", ["Ada", "Ben"])
def test_what_was_answered_while_the_next_batch_was_made_is_not_asked_again(
    with_program, two_rounds, press, rows, iface, monkeypatch, who
):
    from owl_geo_labeler import rounds

    monkeypatch.setattr(rounds, "NextBatch", Slow)
    plugin, (first, second) = with_program, two_rounds
    monkeypatch.setattr(plugin.rounds._engine, "follow", lambda *_: None)
    shutil.copy(first, second)  # which asks all that the first one left, and a patch once more
    plugin._settings.annotator = "Ada"
    plugin.open(first)
    press("1")
    click_next(plugin)
    press("2")
    press("C")
    QTest.keyClicks(iface.window.focusWidget(), "a comment")
    press("Return", "2", "ctrl+Z")
    plugin._settings.annotator = who
    Slow.last.done.emit(second)
    assert plugin.labelling.batch.path == second
    plugin.labelling.stores.flush()
    answers = [row[1:] for row in rows(second)]
    assert rows(first)[1][1:3] == ["present", "Ada"]
    assert answers[0] == answers[2] == [None] * 4
    assert answers[1] == (rows(first)[1][1:] if who == "Ada" else [None] * 4)
    assert plugin.labelling.session.patch.rank == 1
    assert not plugin.labelling.session.can_undo
    press("1")  # nobody has seen the patch yet
    assert rows(second)[0][1] is None
    let_it_be_seen(iface)
    press("1")
    assert rows(second)[0][1:3] == ["absent", who]
    assert plugin.labelling.session.patch.rank == (3 if who == "Ada" else 2)


def test_answers_in_one_run_are_not_carried_into_another(with_program, two_rounds, monkeypatch, press):
    from owl_geo_labeler import rounds

    monkeypatch.setattr(rounds, "NextBatch", Slow)
    plugin, (first, second) = with_program, two_rounds
    monkeypatch.setattr(plugin.rounds._engine, "follow", lambda *_: None)
    other = Path(shutil.copytree(first.parents[2], first.parents[3] / "other"))
    plugin.open(first)
    plugin.rounds.make(other)
    press("2")
    assert plugin.rounds.late_answers == {}


def test_old_batches_are_hidden_once_and_shown_when_opened(plugin, two_rounds, monkeypatch):
    from owl_geo_labeler import layer_tree

    def visible():
        nodes = QgsProject.instance().layerTreeRoot().findLayers()
        return [n.itemVisibilityChecked() for n in nodes if n.name().startswith("batch ")]

    first, second = two_rounds
    plugin.open(first)
    plugin.open(second)
    assert visible() == [True, True]
    monkeypatch.setattr(layer_tree, "_SHOWN_BATCHES", 1)
    plugin.open(second)
    assert visible() == [True, False]
    QgsProject.instance().layerTreeRoot().findLayers()[1].setItemVisibilityChecked(True)
    plugin.open(second)
    assert visible() == [True, True]  # somebody wants to see it
    QgsProject.instance().layerTreeRoot().findLayers()[1].setItemVisibilityChecked(False)
    plugin.open(first)
    assert visible() == [True, True]
    plugin.open(second)
    assert visible() == [True, False]


def test_the_group_of_a_run_that_was_moved_takes_its_next_batch(plugin, two_rounds):
    run = two_rounds[0].parents[2]
    plugin.open(two_rounds[0])
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    group.setCustomProperty("owl_geo_run", str(run.with_name("before")))  # as in a saved project
    plugin.open(two_rounds[1])
    (named,) = tree()
    assert [layer[-3:] for layer in named[1:3]] == ["001", "000"]
    group.setCustomProperty("owl_geo_run", str(run.parent))  # of another run, which is there
    third = shutil.copytree(two_rounds[1].parent, run / "rounds" / "002") / "batch.gpkg"
    plugin.open(third)
    assert len(tree()) == 2


def bands(name):
    (layer,) = QgsProject.instance().mapLayersByName(name)
    renderer = layer.renderer()
    return [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]


def test_f_switches_between_true_and_false_colours(plugin, two_rounds, press):
    button = plugin.dock.findChild(QToolButton, "false_colours")
    plugin.open(two_rounds[0])
    press(*["Right"] * 6)
    assert (bands("east"), bands("west")) == ([3, 2, 1], [1, 2, 3])
    press("F")
    assert button.isChecked()
    assert (bands("east"), bands("west")) == ([4, 3, 2], [4, 1, 2])
    QgsProject.instance().clear()
    plugin.open(two_rounds[1])
    press(*["Right"] * 4)
    assert button.isChecked()
    assert {name: bands(name) for name in ("east", "west") if QgsProject.instance().mapLayersByName(name)} in (
        {"east": [4, 3, 2], "west": [4, 1, 2]},
        {"east": [4, 3, 2]},
        {"west": [4, 1, 2]},
    )
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    press("Right")
    assert not button.isChecked()
    assert all(bands(layer.name()) in ([3, 2, 1], [1, 2, 3]) for layer in rasters())


def test_without_imagery_there_are_no_false_colours(plugin, press, batch):
    plugin.open(batch("binary"))
    press("F")
    button = plugin.dock.findChild(QToolButton, "false_colours")
    assert not button.isEnabled() and not button.isChecked()


def test_the_stretch_of_a_scene_is_the_same_from_patch_to_patch(plugin, two_rounds, press):
    def stretches():
        found = {}
        for layer in rasters():
            red = layer.renderer().redContrastEnhancement()
            found[layer.name()] = red.minimumValue(), red.maximumValue()
        return found

    plugin.open(two_rounds[0])
    press(*["Right"] * 6)
    first = stretches()
    for path in two_rounds:
        plugin.open(path)
        for _ in range(6):
            assert stretches() == first
            press("Right")
    press("B")
    brighter = stretches()
    assert all(brighter[name][1] < high for name, (_, high) in first.items())
    assert all(brighter[name][0] == low for name, (low, _) in first.items())
    press("D", "D")
    assert all(stretches()[name][1] > high for name, (_, high) in first.items())


def test_a_batch_shows_its_scenes_whatever_owl_toml_names_since(plugin, run, press, messages):
    settings = run / "owl.toml"
    settings.write_text(settings.read_text().replace("east.tif", "gone.tif"))
    plugin.open_run(run)
    press(*["Right"] * 6, *["Left"] * 6)
    assert {layer.name() for layer in rasters()} == {"east", "west"}
    assert messages() == []


# --- Processing -----------------------------------------------------------------------------------


def process(name, **parameters):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"owlgeo:{name}")
    assert algorithm.shortHelpString()
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    results, done = algorithm.run(parameters, context, feedback)
    return results if done else feedback.textLog()


def known_sites(folder):
    """Points in the middle of the second patch and in none, in degrees, of which no file exists."""
    layer = QgsVectorLayer("Point?crs=EPSG:4326&field=sort:string", "sites", "memory")
    scene = QgsRasterLayer(str(folder / "scenes" / "east.tif"), "east")
    to_degrees = QgsCoordinateTransform(scene.crs(), layer.crs(), QgsProject.instance())
    pixel = scene.rasterUnitsPerPixelX()
    corner = QgsPointXY(scene.extent().xMinimum(), scene.extent().yMaximum())
    for sort, right in (("site", 24), ("other", 40)):
        feature = QgsFeature(layer.fields())
        point = to_degrees.transform(corner.x() + right * pixel, corner.y() - 8 * pixel)
        feature.setGeometry(QgsGeometry.fromPointXY(point))
        feature.setAttributes([sort])
        assert layer.dataProvider().addFeature(feature)
    return layer


def test_the_algorithms_do_a_whole_round(with_program, tmp_path, folder, batch):
    run = tmp_path / "made"
    sites = QgsProject.instance().addMapLayer(known_sites(folder))
    assert sites.setSubsetString("sort = 'site'")
    made = process(
        "createrun",
        SCENES=[str(folder / "scenes" / "east.tif")],
        BANDS="blue,green,red",
        PATCH_SIZE=16,
        INITIAL=3,
        EXAMPLES=sites.id(),
        RUN=str(run),
    )
    assert made == {"RUN": str(run)}
    query = "SELECT patch_id, label FROM labels"
    code = f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('{query}').fetchall())"
    known = subprocess.run(
        [sys.executable, "-c", code, str(run / "labels.gpkg")], capture_output=True, text=True
    )
    assert known.stdout.strip() == "[('east/0/16', 'present')]"
    path = Path(process("nextbatch", RUN=str(run))["BATCH"])
    assert path == run / "rounds" / "000" / "batch.gpkg"
    assert "3 unanswered" in process("ingest", RUN=str(run), BATCH=str(path))["SUMMARY"]
    assert "is batch 'run-001' of another run" in process(
        "ingest", RUN=str(run), BATCH=str(batch("binary"))
    )


def test_a_new_run_has_the_patch_size_that_suits_its_scene(with_program, tmp_path, folder):
    scene, run = folder / "scenes" / "east.tif", tmp_path / "made"
    process("createrun", SCENES=[str(scene)], RUN=str(run))
    alone = tmp_path / "alone"
    subprocess.run([PROGRAM, "init", alone, "--scene", scene], check=True)
    sizes = {
        line
        for one in (run, alone)
        for line in (one / "owl.toml").read_text().splitlines()
        if line.startswith("patch_size")
    }
    assert len(sizes) == 1 and sizes != {"patch_size = 32"}


def test_examples_that_are_no_layer_are_refused(with_program, tmp_path, folder):
    scene, sites = str(folder / "scenes" / "east.tif"), str(tmp_path / "sites.gpkg")
    said = process("createrun", SCENES=[scene], EXAMPLES=sites, RUN=str(tmp_path / "made"))
    assert f"{sites} is not a vector layer" in said and not (tmp_path / "made").exists()


def test_an_algorithm_fails_with_one_line(with_program, tmp_path):
    assert "no run folder at" in process("nextbatch", RUN=str(tmp_path / "none"))


@pytest.fixture(scope="session")
def dealt_out(first_round, tmp_path_factory):
    run = Path(shutil.copytree(first_round, tmp_path_factory.mktemp("dealt") / "run"))
    owl_geo("query", run, "--go-on", "--annotators", "Ada,Ben", "--overlap", "0.5")
    return run


@pytest.fixture
def team_run(dealt_out, tmp_path):
    """A run whose second batch is dealt out to Ada and Ben; round 0 is left unanswered."""
    return Path(shutil.copytree(dealt_out, tmp_path / "run"))


def test_each_of_a_team_gets_the_own_part(with_program, team_run, press, rows, wait_until, messages):
    plugin = with_program
    folder = team_run / "rounds" / "001"
    (folder / "batch-Ada-answers-20260101T000000Z.gpkg").write_bytes(b"")  # a rescued file is no batch
    plugin.open_run(team_run)
    assert plugin.labelling.batch.path == folder / "batch-Ada.gpkg"
    n = len(plugin.labelling.session.patches)
    press(*"1" * n)
    assert {row[2] for row in rows(folder / "batch-Ada.gpkg")} == {"Ada"}
    click_next(plugin)  # Ben has not answered
    wait_until(lambda: messages(), seconds=120)
    assert "nothing to label for Ada" in messages()[0] and "Ben" in messages()[0]
    assert plugin.labelling.batch.path == folder / "batch-Ada.gpkg"
    assert f"{n} patches: {n} absent" in owl_geo("status", team_run)


def test_copies_that_a_cloud_drive_made_are_not_opened_and_count_all_the_same(
    with_program, team_run, press, rows, wait_until, messages
):
    plugin, folder = with_program, team_run / "rounds" / "001"
    mine, theirs = folder / "batch-Ada.gpkg", folder / "batch-Ben.gpkg"
    copy = Path(shutil.copy(mine, folder / "batch-Ada (conflicted copy).gpkg"))
    shutil.copy(theirs, folder / "batch-Ben (1).gpkg")
    plugin.open(copy)
    press("2")
    rows(copy)
    plugin.open_run(team_run)
    assert plugin.labelling.batch.path == mine
    n = len(plugin.labelling.session.patches)
    press("Right", *"1" * (n - 1))
    rows(mine)
    plugin.open_run(team_run)
    assert plugin.labelling.batch.path == mine  # whose first patch is left
    click_next(plugin)
    wait_until(lambda: messages(), seconds=120)
    assert f"{n} patches: {n - 1} absent, 1 present" in owl_geo("status", team_run)


def test_answers_in_somebody_elses_part_are_theirs(with_program, team_run, press, rows):
    plugin = with_program
    path = team_run / "rounds" / "001" / "batch-Ben.gpkg"
    plugin.open(path)
    assert "for Ben" in plugin.dock._title.text()
    press("2")
    assert rows(path)[0][2] == "Ben"
    press("ctrl+Z")
    assert rows(path)[0][1:3] == [None, "Ben"]


def test_who_is_not_of_the_team_is_told(plugin, team_run, messages):
    QgsSettings().setValue("owl_geo_labeler/annotator", "Eve")
    for path in (team_run / "rounds" / "000").iterdir():
        path.unlink()
    plugin.open_run(team_run)
    assert plugin.labelling is None
    assert "are for Ada, Ben" in messages()[0]
