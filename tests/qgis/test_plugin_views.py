"""The views of a batch in the scene's place: by key, by button, and for as long as a key is held."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from qgis.core import QgsLayerTreeGroup, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QEvent, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel, QLineEdit, QToolButton

from owl_geo_labeler.run_folder import RunFolder
from owl_geo_labeler.views import Views

# what is drawn, as red, green and blue
BEFORE, HEIGHT = (255, 0, 127), (255, 127, 0)


@pytest.fixture
def opened(plugin, folder, tmp_path, wait_until, iface):
    """Open a copy of the batch that has views; returns its path."""
    path = Path(shutil.copy(folder / "views" / "batch.gpkg", tmp_path))
    shutil.copy(folder / "views" / "scene.tif", tmp_path)
    plugin.open(path)
    QTest.qWait(50)
    plugin.labelling.views._seconds = lambda: clock[0]
    clock = [0.0]
    return path, clock


@pytest.fixture
def colour(iface):
    """The colour in the middle of the map."""

    def colour():
        image = iface.canvas.grab().toImage()
        return image.pixelColor(image.width() // 2, image.height() // 2).getRgb()[:3]

    return colour


@pytest.fixture
def drawn(colour, wait_until):
    """Wait until the middle of the map has a colour."""
    return lambda wanted: wait_until(lambda: close_to(colour(), wanted))


def close_to(one, other):
    return all(abs(a - b) <= 2 for a, b in zip(one, other))


def event(iface, kind, repeats=False, time=0):
    event = QKeyEvent(kind, Qt.Key.Key_V, Qt.KeyboardModifiers(), "v", repeats)
    event.setTimestamp(time)
    QCoreApplication.sendEvent(iface.canvas, event)


def views_group():
    (group,) = [
        group
        for group in QgsProject.instance().layerTreeRoot().findGroups(True)
        if group.name() == "Views"
    ]
    return group


def caption(iface):
    label = iface.canvas.findChild(QLabel, "owl_geo_caption")
    return label.text() if label.isVisible() else ""


def panel(plugin):
    return plugin.dock.findChild(QLabel, "view").text()


def test_the_views_are_layers_below_the_batch_and_hidden(opened, plugin, messages):
    group = views_group()
    assert [node.name() for node in group.children()] == ["before", "height"]
    assert not any(node.itemVisibilityChecked() for node in group.children())
    parent = group.parent()
    names = [node.name() for node in parent.children()]
    assert names == ["batch run-001", "Views", "scene"]
    (text,) = messages()
    assert "the view gone is not at /gone/0.tif" in text and "(2 more" in text


def test_v_goes_round_without_moving_the_map(opened, plugin, iface, press, colour, drawn, wait_until):
    # 150 pixels of 10 m, and drawn
    wait_until(lambda: 1490 < iface.canvas.extent().height() < 1510 and max(colour()) < 20)
    extent = iface.canvas.extent()
    assert (panel(plugin), caption(iface)) == ("scene", "")
    for name, wanted in (("before", BEFORE), ("height", HEIGHT)):
        press("V")
        drawn(wanted)
        assert panel(plugin) == caption(iface) == name
        assert iface.canvas.extent() == extent
    press("V", "V")
    wait_until(lambda: max(colour()) < 20)
    assert (panel(plugin), caption(iface)) == ("scene", "")
    assert iface.canvas.extent() == extent
    assert plugin.labelling.session.patch.rank == 1


def test_held_down_it_flickers(opened, plugin, iface):
    _, clock = opened
    views = plugin.labelling.views
    for _ in range(2):
        event(iface, QEvent.Type.KeyPress)
        for _ in range(5):  # as X11 reports a key that is held
            event(iface, QEvent.Type.KeyRelease, repeats=True)
            event(iface, QEvent.Type.KeyPress, repeats=True)
            assert views.shown == "before"
        clock[0] += 1
        event(iface, QEvent.Type.KeyRelease)
        assert views.shown is None
    event(iface, QEvent.Type.KeyPress)
    clock[0] += 0.1
    event(iface, QEvent.Type.KeyRelease)
    assert views.shown == "before"
    # from a view it flickers to the next, and back to that view
    event(iface, QEvent.Type.KeyPress)
    assert views.shown == "height"
    clock[0] += 1
    event(iface, QEvent.Type.KeyRelease)
    assert views.shown == "before"


def test_a_held_key_that_qt_takes_for_many_is_one(opened, plugin, iface, wait_until):
    """On a slow X11, the release and the press of a repetition come apart; both have one time."""
    _, clock = opened
    views = plugin.labelling.views
    event(iface, QEvent.Type.KeyPress, time=1000)
    for time in (1500, 1530, 1560):
        clock[0] += 1
        event(iface, QEvent.Type.KeyRelease, time=time)
        QTest.qWait(5)
        event(iface, QEvent.Type.KeyPress, time=time)
        assert views.shown == "before"
    event(iface, QEvent.Type.KeyRelease, time=1600)
    wait_until(lambda: views.shown is None)
    # pressed again soon after, the first press counts
    event(iface, QEvent.Type.KeyPress, time=1700)
    event(iface, QEvent.Type.KeyRelease, time=1720)
    event(iface, QEvent.Type.KeyPress, time=1760)
    assert views.shown == "height"
    event(iface, QEvent.Type.KeyRelease, time=1790)
    QTest.qWait(100)
    assert views.shown == "height"


def test_labelling_goes_on_and_the_next_patch_shows_the_scene(opened, plugin, press, labels, iface):
    path, clock = opened
    event(iface, QEvent.Type.KeyPress)
    press("2")
    assert labels(path)[0] == "present"
    assert plugin.labelling.session.patch.rank == 2
    assert plugin.labelling.views.shown is None
    clock[0] += 1
    event(iface, QEvent.Type.KeyRelease)
    assert plugin.labelling.views.shown is None
    press("V")
    assert plugin.labelling.views.shown == "before"
    press("ctrl+Z")
    assert labels(path)[0] is None


def test_the_button_shows_the_next_view(opened, plugin):
    button = plugin.dock.findChild(QToolButton, "next_view")
    for name in ("before", "height", "many", None):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert plugin.labelling.views.shown == name


def test_of_many_rasters_only_those_around_the_patch_are_loaded(opened, plugin, press):
    def loaded():
        names = {node.name() for node in views_group().children()}
        return {int(name[10:]) for name in names if name.startswith("many: ")}

    press("V", "V", "V")
    assert plugin.labelling.views.shown == panel(plugin) == "many"
    assert loaded() == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    press("Right", "Right", "Right")
    assert len(loaded()) == 9
    press("V", "V", "V")
    assert loaded() == {0, 1, 2, 4, 5, 6, 8, 9, 10} | {3, 7, 11}


def test_it_says_where_a_view_has_no_image(opened, plugin, press, iface):
    views = plugin.labelling.views
    press("V")
    views._box.set(0, 0, 1, 1)
    assert not views.is_here
    press("V", "V", "V", "V")
    assert panel(plugin) == caption(iface) == "before: no image here"


def test_v_while_typing_is_a_letter(opened, plugin):
    comment = plugin.dock.findChild(QLineEdit, "comment")
    comment.setFocus()
    QTest.keyClicks(comment, "v V")
    assert comment.text() == "v V"
    assert plugin.labelling.views.shown is None


def test_what_the_user_changes_in_the_layer_tree_does_no_harm(opened, plugin, press, drawn):
    root = QgsProject.instance().layerTreeRoot()
    (scene,) = [node for node in root.findLayers() if node.name() == "scene"]
    scene.setItemVisibilityChecked(False)
    views_group().setItemVisibilityChecked(False)
    press("V")
    drawn(BEFORE)
    press("V", "V", "V")
    assert not scene.itemVisibilityChecked()  # it was hidden before
    (before,) = [node for node in root.findLayers() if node.name() == "before"]
    QgsProject.instance().removeMapLayer(before.layerId())
    press("V")
    drawn(BEFORE)
    root.findGroup("Views").parent().removeChildNode(root.findGroup("Views"))
    press("V", "V", "V")
    QTest.qWait(20)
    press("V")
    drawn(BEFORE)


def test_closing_shows_the_scene_and_opening_again_finds_the_layers(opened, plugin, press):
    path, _ = opened
    press("V")
    plugin._close_labelling()
    root = QgsProject.instance().layerTreeRoot()
    visible = {n.name(): n.itemVisibilityChecked() for n in root.findLayers()}
    assert visible["scene"] and not visible["before"]
    n = len(QgsProject.instance().mapLayers())
    plugin.open(path)
    press("V", "V")
    assert len(QgsProject.instance().mapLayers()) == n
    assert plugin.labelling.views.shown == "height"


def test_a_view_that_was_handed_on_is_found_beside_the_batch(plugin, folder, tmp_path, press):
    path = Path(shutil.copy(folder / "views" / "batch.gpkg", tmp_path))
    shutil.copy(folder / "views" / "scene.tif", tmp_path)
    shutil.copy(folder / "views" / "old.tif", tmp_path / "0.tif")
    plugin.open(path)
    press("V", "V")
    assert plugin.labelling.views.shown == "gone"
    gone = [layer for layer in QgsProject.instance().mapLayers().values() if "gone" in layer.name()]
    assert [layer.name() for layer in gone] == ["gone: 0"]


def test_a_teams_batch_has_its_views_in_the_run_folder(plugin, folder, tmp_path, messages):
    rounds = tmp_path / "run" / "rounds" / "002"
    rounds.mkdir(parents=True)
    (tmp_path / "run" / "owl.toml").touch()
    shared = SimpleNamespace(path=None, round=2)
    run = RunFolder(tmp_path / "run")
    assert Views(shared, run, None, plugin._messages).names == []
    shutil.copy(folder / "views" / "batch.gpkg", rounds / "batch_ada.gpkg")
    assert Views(shared, run, None, plugin._messages).names == ["before", "gone", "height", "many"]
    assert Views(shared, None, None, plugin._messages).names == []


def test_without_views_nothing_is_offered(plugin, batch, press, messages):
    plugin.open(batch("binary"))
    QTest.qWait(20)
    assert not plugin.dock.findChild(QToolButton, "next_view").isVisible()
    press("V")
    assert plugin.labelling.views.shown is None
    groups = QgsProject.instance().layerTreeRoot().findGroups(True)
    assert not [group for group in groups if isinstance(group, QgsLayerTreeGroup) and group.name() == "Views"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("path", "<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"),
        ("path", ""),
        ("path", "/a.tif\n/b.tif"),
        ("bands", "1,2"),
        ("bands", "0"),
        ("bands", "red"),
        ("stretch", "1 2 3"),
        ("stretch", "nan 1"),
        ("stretch", "2 1,0 1,0 1"),
    ],
)
def test_a_table_that_makes_no_sense_is_said(plugin, folder, tmp_path, messages, column, value):
    path = Path(shutil.copy(folder / "views" / "batch.gpkg", tmp_path))
    shutil.copy(folder / "views" / "scene.tif", tmp_path)
    table = QgsVectorLayer(f"{path}|layername=views", "views", "ogr")
    row = next(table.getFeatures())
    provider = table.dataProvider()
    assert provider.changeAttributeValues({row.id(): {table.fields().indexOf(column): value}})
    del table, provider
    plugin.open(path)
    assert plugin.labelling is not None
    assert any("the views of" in text and "cannot be read" in text for text in messages())
    assert plugin.labelling.views.names == []
