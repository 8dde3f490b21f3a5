"""The views of a batch in the scene's place: by key, by button, and for as long as a key is held."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsLayerTreeGroup,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.gui import QgsRubberBand
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QPoint, Qt
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
    plugin.labelling.sight.views._seconds = lambda: clock[0]
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
    views = plugin.labelling.sight.views
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


def test_a_held_key_that_qt_takes_for_many_is_one(opened, plugin, iface, wait_until, monkeypatch):
    """On a slow X11, the release and the press of a repetition come apart; both have one time."""
    # a busy machine may draw for longer than the keys usually wait
    monkeypatch.setattr("owl_geo_labeler.keys._WAIT_MS", 300)
    _, clock = opened
    views = plugin.labelling.sight.views
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
    QTest.qWait(320)
    assert views.shown == "height"


def test_labelling_goes_on_and_the_next_patch_shows_the_scene(opened, plugin, press, labels, iface):
    path, clock = opened
    event(iface, QEvent.Type.KeyPress)
    press("2")
    assert labels(path)[0] == "present"
    assert plugin.labelling.session.patch.rank == 2
    assert plugin.labelling.sight.views.shown is None
    clock[0] += 1
    event(iface, QEvent.Type.KeyRelease)
    assert plugin.labelling.sight.views.shown is None
    press("V")
    assert plugin.labelling.sight.views.shown == "before"
    press("ctrl+Z")
    assert labels(path)[0] is None


def test_the_button_shows_the_next_view(opened, plugin):
    button = plugin.dock.findChild(QToolButton, "next_view")
    for name in ("before", "height", "many", None):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert plugin.labelling.sight.views.shown == name


def test_of_many_rasters_only_those_around_the_patch_are_loaded(opened, plugin, press):
    def loaded():
        names = {node.name() for node in views_group().children()}
        return {int(name[10:]) for name in names if name.startswith("many: ")}

    press("V", "V", "V")
    assert plugin.labelling.sight.views.shown == panel(plugin) == "many"
    assert loaded() == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    press("Right", "Right", "Right")
    assert len(loaded()) == 9
    press("V", "V", "V")
    assert loaded() == {0, 1, 2, 4, 5, 6, 8, 9, 10} | {3, 7, 11}


def test_it_says_where_a_view_has_no_image(opened, plugin, press, iface):
    views = plugin.labelling.sight.views
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
    assert plugin.labelling.sight.views.shown is None


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
    assert plugin.labelling.sight.views.shown == "height"


def test_a_view_that_was_handed_on_is_found_beside_the_batch(plugin, folder, tmp_path, press):
    path = Path(shutil.copy(folder / "views" / "batch.gpkg", tmp_path))
    shutil.copy(folder / "views" / "scene.tif", tmp_path)
    shutil.copy(folder / "views" / "old.tif", tmp_path / "0.tif")
    plugin.open(path)
    press("V", "V")
    assert plugin.labelling.sight.views.shown == "gone"
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
    assert plugin.labelling.sight.views.shown is None
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
    assert plugin.labelling.sight.views.names == []


# --- linked maps ----------------------------------------------------------------------------------


@pytest.fixture
def linked(opened, plugin, press, wait_until, iface):
    """The linked maps, opened by their key over the batch that has views."""
    wait_until(lambda: ground(iface.canvas)[2] == 1500)
    press("L")
    assert plugin.linked.is_open
    yield plugin.linked_dock
    iface.canvas.setRotation(0)


def middle(canvas):
    canvas.waitWhileRendering()
    image = canvas.grab().toImage()
    return image.pixelColor(image.width() // 2, image.height() // 2).getRgb()[:3]


def ground(canvas):
    """Centre and ground across the shorter side, in whole units of the CRS."""
    size = canvas.mapSettings().outputSize()
    across = canvas.mapUnitsPerPixel() * min(size.width(), size.height())
    return round(canvas.center().x()), round(canvas.center().y()), round(across)


def choose(one, text):
    one.choice.setCurrentIndex(one.choice.findText(text))
    one.choice.activated.emit(one.choice.currentIndex())


def layer_names(one):
    return [layer.name() for layer in one.canvas.layers()]


def moves(canvas):
    seen = []
    canvas.extentsChanged.connect(lambda: seen.append(1))
    return seen


def test_a_view_beside_the_map_shows_the_same_ground(linked, plugin, iface, wait_until, press):
    (one,) = linked.maps
    assert one.choice.currentText() == "before"
    assert layer_names(one) == ["batch run-001", "before"]
    # frames go while H is held
    (band,) = [item for item in one.canvas.scene().items() if isinstance(item, QgsRubberBand)]
    outlined = plugin.labelling.map.outlined_patch
    assert band.isVisible() and band.asGeometry().boundingBox() == outlined.boundingBox()
    plugin.labelling.sight._frames.hide()
    wait_until(lambda: layer_names(one) == ["before"])
    assert not band.isVisible()
    plugin.labelling.sight._frames.show()
    wait_until(lambda: layer_names(one) == ["batch run-001", "before"])
    assert band.isVisible()
    wait_until(lambda: close_to(middle(one.canvas), BEFORE))
    QTest.qWait(20)
    assert ground(one.canvas) == ground(iface.canvas)
    press("Right")
    QTest.qWait(20)
    assert ground(one.canvas) == ground(iface.canvas)
    # to and fro, rotated and in another CRS, a move is one move of each map
    for lead, follow in ((iface.canvas, one.canvas), (one.canvas, iface.canvas)) * 2:
        counts = moves(lead), moves(follow)
        lead.zoomByFactor(0.5)
        assert list(map(len, counts)) == [1, 1]
        assert ground(lead) == ground(follow)
        lead.setRotation(lead.rotation() + 30)
        assert follow.rotation() == lead.rotation()
        assert ground(lead) == ground(follow)
        crs = "EPSG:3857" if lead is iface.canvas else "EPSG:32631"
        QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(crs))
        assert follow.mapSettings().destinationCrs().authid() == crs
        assert ground(lead) == ground(follow)
    assert plugin.labelling.session.patch.rank == 2
    press("L")
    assert not linked.isVisible() and one.canvas.layers() == []


@pytest.mark.parametrize("least, area", [(300, "Right"), (700, "Bottom")])
def test_linked_maps_go_below_the_map_where_a_window_is_narrow(
    least, area, opened, plugin, press, wait_until, iface
):
    iface.canvas.setMinimumWidth(least)  # of the map, as QGIS's own window has one
    QTest.qWait(50)
    try:
        press("L")
        wanted = getattr(Qt.DockWidgetArea, f"{area}DockWidgetArea")
        assert iface.window.dockWidgetArea(plugin.linked_dock) == wanted
        (one,) = plugin.linked_dock.maps
        wait_until(lambda: one.canvas.width() >= 200)
        if area == "Bottom":  # where the main map keeps its half
            wait_until(lambda: iface.canvas.height() >= plugin.linked_dock.height())
    finally:
        iface.canvas.setMinimumWidth(0)


def test_a_linked_map_shows_what_its_list_says(linked, plugin, folder, press, wait_until):
    basemap = QgsRasterLayer(str(folder / "views" / "H_B4.tif"), "aerial photo")
    QgsProject.instance().addMapLayer(basemap)
    QgsProject.instance().layerTreeRoot().findLayer(basemap.id()).setItemVisibilityChecked(False)
    (one,) = linked.maps
    texts = ["scene", "before", "gone", "height", "many", "aerial photo"]
    wait_until(lambda: [one.choice.itemText(n) for n in range(one.choice.count())] == texts)
    for text in ("aerial photo", "scene", "height"):
        choose(one, text)
        assert layer_names(one)[1:] == [text]
    choose(one, "gone")
    assert layer_names(one) == ["batch run-001"]
    assert linked.findChild(QLabel, "owl_geo_caption").text() == "gone: no image here"
    # a further map begins with what none shows yet, and each goes by its own list
    QTest.mouseClick(linked.findChild(QToolButton, "linked_add"), Qt.MouseButton.LeftButton)
    choose(one, "aerial photo")
    assert [layer_names(one)[1:] for one in linked.maps] == [["aerial photo"], ["before"]]
    QgsProject.instance().removeMapLayer(basemap.id())
    assert layer_names(one) == ["batch run-001"]
    wait_until(lambda: one.canvas.findChild(QLabel, "owl_geo_caption").text() == "aerial photo is not here")
    QTest.mouseClick(one.findChild(QToolButton, "linked_remove"), Qt.MouseButton.LeftButton)
    (one,) = linked.maps
    assert one.choice.currentText() == "before"
    # of many rasters, those around the patch
    choose(one, "many")

    def shown():
        return {int(name[10:]) for name in layer_names(one)[1:]}

    near = {0, 1, 2, 4, 5, 6, 8, 9, 10}
    assert shown() == near
    press("Right", "Right", "Right")
    assert shown() == near | {3, 7, 11}


def test_linked_maps_label_are_remembered_and_go_with_the_batch(
    linked, plugin, iface, batch, labels, opened, wait_until
):
    (one,) = linked.maps
    QTest.mouseClick(one.canvas.viewport(), Qt.MouseButton.LeftButton)
    assert iface.window.focusWidget() is iface.canvas
    place = one.canvas.getCoordinateTransform().transform(QgsPointXY(500_480, 5_599_840))
    point = QPoint(round(place.x()), round(place.y()))
    QTest.mouseClick(one.canvas.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert plugin.labelling.session.patch.rank == 2
    # a dock that is a window of its own gets the keys itself
    QTest.keyClick(linked, Qt.Key.Key_2)
    assert labels(opened[0])[:2] == [None, "present"]
    choose(one, "height")
    plugin.open(batch("binary"))
    assert not linked.isVisible() and linked.maps == []
    plugin.open(opened[0])
    assert linked.isVisible()
    assert [one.choice.currentText() for one in linked.maps] == ["height"]
    linked.close()
    plugin.open(opened[0])
    assert not linked.isVisible()
    linked.toggleViewAction().trigger()
    wait_until(lambda: [one.choice.currentText() for one in linked.maps] == ["height"])
    canvas = linked.maps[0].canvas
    QgsProject.instance().clear()
    assert canvas.layers() == [] and plugin.labelling is None
    wait_until(lambda: not linked.isVisible())
    assert linked.maps == [] and not linked.toggleViewAction().isEnabled()
    plugin.linked.switch()
    linked.show()  # as QGIS does at its start if it was open at the end
    wait_until(lambda: not linked.isVisible())


def test_what_is_remembered_of_linked_maps_may_be_damaged(plugin, iface):
    settings = plugin._settings
    for text in ("", "[]", "7", '{"run": 1}', '{"run": [true, 3]}', "null"):
        QgsSettings().setValue("owl_geo_labeler/linked_maps", text)
        assert settings.linked_maps("run") == (False, [])
    for number in range(31):
        settings.set_linked_maps(f"run{number}", True, ["scene"])
    assert settings.linked_maps("run30") == (True, ["scene"])
    assert settings.linked_maps("run0") == (False, [])
