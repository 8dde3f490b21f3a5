"""The imagery under a batch as the run knows it: colours, brightness, surroundings, frames."""

import shutil
from array import array
from pathlib import Path

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsContrastEnhancement,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication, QEvent, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel, QSlider, QToolButton

from owl_geo_labeler.virtual import on_one_grid, virtual_raster

PIXELS = (191, 127, 63)  # 300, 200 and 100 of 400, as red, green and blue


@pytest.fixture
def opened(plugin, folder, tmp_path):
    """Open a copy of a batch whose patches are 8 pixels of 10 m; its scene lies elsewhere."""

    def opened(name="known"):
        path = Path(shutil.copy(folder / "shown" / f"{name}.gpkg", tmp_path))
        plugin.open(path)
        QTest.qWait(20)
        return path

    return opened


@pytest.fixture
def note(plugin):
    """The line of the panel that answers a key."""
    return lambda: plugin.dock.findChild(QLabel, "note").text()


def scene():
    """The layer of the scene, which the plugin has added."""
    (layer,) = [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if layer.customProperty("owl_geo_scene")
    ]
    return layer


def bands(layer=None):
    renderer = (layer or scene()).renderer()
    return [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]


def brightest():
    return scene().renderer().redContrastEnhancement().maximumValue()


def event(iface, kind, key=Qt.Key.Key_H):
    QCoreApplication.sendEvent(iface.canvas, QKeyEvent(kind, key, Qt.KeyboardModifiers()))


def colours_in(iface, box):
    """The colours that the map shows in the inner half of a box."""
    image = iface.canvas.grab().toImage()
    to_pixel = iface.canvas.getCoordinateTransform()
    box = QgsRectangle(box)
    box.scale(0.5)
    low = to_pixel.transform(box.xMinimum(), box.yMaximum())
    high = to_pixel.transform(box.xMaximum(), box.yMinimum())
    return {
        image.pixelColor(x, y).getRgb()[:3]
        for x in range(int(low.x()), int(high.x()) + 1)
        for y in range(int(low.y()), int(high.y()) + 1)
    }


def test_a_scene_is_shown_as_the_run_knows_it_also_where_the_project_has_it(
    opened, press, folder, plugin
):
    mine = QgsRasterLayer(str(folder / "shown" / "scene.tif"), "mine")
    QgsProject.instance().addMapLayer(mine)
    before = bands(mine)
    path = opened()
    assert bands() == [3, 2, 1] and scene().name() == "scene"
    red = scene().renderer().redContrastEnhancement()
    assert (red.minimumValue(), red.maximumValue()) == (0, 400)
    order = [node.name() for node in QgsProject.instance().layerTreeRoot().findLayers()]
    assert order == ["batch run-known", "scene", "mine"]
    press("F")
    assert bands() == [4, 3, 2]
    assert bands(mine) == before
    plugin.open(path)
    assert bands() == [4, 3, 2]  # the same layer, and only one
    press("F")
    assert bands() == [3, 2, 1]


def test_false_colours_of_files(opened, press):
    opened("files")
    assert bands() == [1, 2, 3]
    press("F")
    assert bands() == [4, 1, 2]
    here = scene().extent().center()
    assert [scene().dataProvider().sample(here, band)[0] for band in (4, 1, 2)] == [400, 300, 200]


def test_without_near_infrared_the_panel_says_why(opened, press, note, plugin):
    opened("no_nir")
    button = plugin.dock.findChild(QToolButton, "false_colours")
    assert not button.isEnabled()
    press("F")
    assert bands() == [3, 2, 1] and not button.isChecked()
    assert note().startswith("no false colours: nothing says which band of scene is near infrared")
    assert "common = { nir = 4 }" in note() and "common = { nir = 4 }" in button.toolTip()


def test_where_nothing_says_what_the_bands_are_that_is_said(opened, messages):
    opened("guess")
    assert bands() == [1, 2, 3]
    assert [text for text in messages() if "are red, green, blue, near infrared: its first" in text]


def test_a_better_batch_replaces_what_an_older_one_knew(opened):
    opened("no_nir")
    opened("known")
    assert bands() == [3, 2, 1]
    assert scene().customProperty("owl_geo_why_not_false") == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "the scene scene is not at /gone/scene.tif"),
        ("damaged", "damaged.gpkg cannot be read; was the file changed?"),
    ],
)
def test_a_scene_that_cannot_be_shown_is_said_once(name, says, opened, messages, press, labels):
    path = opened(name)
    press("1", "2")
    assert labels(path)[:2] == ["absent", "present"]
    assert len([text for text in messages() if says in text]) == 1


def test_brighter_and_darker_by_keys_until_qgis_ends(opened, press, plugin):
    opened()
    slider = plugin.dock.findChild(QSlider, "brightness")
    press("B", "B")
    assert brightest() == pytest.approx(400 * 0.8**2) and slider.value() == 2
    press("Right")
    assert brightest() == pytest.approx(400 * 0.8**2)
    press("F", "D", "D", "D")
    assert bands() == [4, 3, 2] and brightest() == pytest.approx(400 / 0.8)
    QgsProject.instance().clear()
    opened()
    assert brightest() == pytest.approx(400 / 0.8) and slider.value() == -1
    slider.setValue(slider.minimum())
    press("D")
    assert slider.value() == slider.minimum()


def test_a_contrast_that_the_user_chose_stays_from_batch_to_batch_and_in_the_project(
    opened, press, plugin, tmp_path, still
):
    path = opened()
    press("B")
    assert brightest() == 320  # 400 x 0.8
    mine = scene().renderer().clone()
    for name in ("Red", "Green", "Blue"):
        contrast = QgsContrastEnhancement(getattr(mine, f"{name.lower()}ContrastEnhancement")())
        contrast.setMinimumValue(40)
        contrast.setMaximumValue(200)
        getattr(mine, f"set{name}ContrastEnhancement")(contrast)
    mine.setOpacity(0.5)
    scene().setRenderer(mine)
    plugin.open(Path(shutil.copy(path, tmp_path / "another.gpkg")))
    assert brightest() == 200 and scene().renderer().opacity() == 0.5
    press("F")
    assert bands() == [4, 3, 2] and brightest() == 320  # whose contrast nobody has chosen
    press("F")
    assert brightest() == 200
    press("D")
    assert brightest() == 240  # 40 and 160 / 0.8
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    project.clear()
    still()
    assert project.read(str(tmp_path / "project.qgz"))
    plugin.open(path)
    red = scene().renderer().redContrastEnhancement()
    assert (red.minimumValue(), red.maximumValue()) == (40, 240)


@pytest.mark.parametrize(
    "transform",
    [(5e5, 10, 0, 5.6e6, 0, 10), (5e5, 8, 6, 5.6e6, 6, -8), (5e5, 10, 0, 5.6e6, 0, -10)],
    ids=["south-up", "turned", "north-up"],
)
def test_bands_in_files_of_any_grid_are_where_they_are(transform, tmp_path):
    files = [tmp_path / f"B{number}.tif" for number in (4, 3, 2)]
    place = osr.SpatialReference()
    place.ImportFromEPSG(32631)
    for number, path in enumerate(files):
        file = gdal.GetDriverByName("GTiff").Create(str(path), 64, 48, 1, gdal.GDT_UInt16)
        file.SetProjection(place.ExportToWkt())
        file.SetGeoTransform(transform)
        for row in range(48):
            values = array("H", [10_000 * number + 64 * row + col for col in range(64)])
            file.GetRasterBand(1).WriteRaster(0, row, 64, 1, values.tobytes())
        file = None
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in files]
    assert on_one_grid(rasters)
    layer = QgsRasterLayer(virtual_raster(rasters), "scene", "gdal")
    c, a, b, f, d, e = transform
    for row, col in ((0, 0), (5, 7), (40, 60), (24, 32)):
        x, y = c + a * (col + 0.5) + b * (row + 0.5), f + d * (col + 0.5) + e * (row + 0.5)
        found = [layer.dataProvider().sample(QgsPointXY(x, y), n)[0] for n in (1, 2, 3)]
        assert found == [10_000 * number + 64 * row + col for number in range(3)]
    other = gdal.Open(str(files[2]), gdal.GA_Update)
    other.SetGeoTransform((c, a, b, f + 48 * e, d, -e))  # upside down, on the same ground
    other = None
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in files]
    assert on_one_grid(rasters[:2]) and not on_one_grid(rasters)


def test_closer_and_wider_by_keys_and_kept(opened, press, plugin, iface, wait_until):
    def across():
        return iface.canvas.extent().height() / 10

    opened()
    wait_until(lambda: across() == pytest.approx(150, abs=1))
    press("Plus")
    wait_until(lambda: across() == pytest.approx(100, abs=1))
    press("Minus", "shift+Underscore")
    wait_until(lambda: across() == pytest.approx(200, abs=1))
    slider = plugin.dock.findChild(QSlider, "context")
    assert "200 pixels across" in slider.toolTip()
    slider.setValue(0)
    wait_until(lambda: across() == pytest.approx(16, abs=1))
    press("Equal")
    opened("no_nir")
    wait_until(lambda: across() == pytest.approx(16, abs=1))


def test_frames_leave_all_colours_as_they_are_and_hide_while_h_is_held(
    opened, press, plugin, iface, still, wait_until
):
    opened()
    press("1", "2", "U", "Left", "Left", "Left")
    boxes = [plugin.labelling.map.box(patch.fid) for patch in plugin.labelling.session.patches]
    still()
    wait_until(lambda: colours_in(iface, boxes[0]) == {PIXELS})
    assert all(colours_in(iface, box) == {PIXELS} for box in boxes)
    node = QgsProject.instance().layerTreeRoot().findLayer(plugin.labelling.batch.layer.id())
    outline = plugin.labelling.map._band
    for key in (1, 2):  # twice, as it comes back
        event(iface, QEvent.Type.KeyPress)
        assert not node.isVisible() and not outline.isVisible()
        event(iface, QEvent.Type.KeyRelease)
        assert node.isVisible() and outline.isVisible()
    node.setItemVisibilityChecked(False)
    event(iface, QEvent.Type.KeyPress)
    event(iface, QEvent.Type.KeyRelease)
    assert not node.isVisible()  # whoever has hidden it
    node.setItemVisibilityChecked(True)
    event(iface, QEvent.Type.KeyPress)
    press("2")  # an answer goes on to a patch with its frame
    assert node.isVisible() and outline.isVisible()


def test_the_whole_batch_by_a_key_and_back(opened, press, plugin, iface, wait_until):
    opened()
    wait_until(lambda: iface.canvas.extent().height() == pytest.approx(1500, abs=10))
    near = iface.canvas.extent()
    press("O")
    whole = plugin.labelling.batch.layer.extent()
    assert iface.canvas.extent().contains(whole)
    assert iface.canvas.extent().height() < 1.5 * whole.width()
    press("O")
    wait_until(lambda: iface.canvas.extent() == near)
    press("O", "Right")
    wait_until(lambda: iface.canvas.extent().height() == pytest.approx(near.height()))


def test_a_comment_and_the_next_batch_by_keys(opened, press, plugin, rows, note):
    path = opened()
    wanted = []
    plugin.dock.footer.next_wanted.disconnect()
    plugin.dock.footer.next_wanted.connect(lambda: wanted.append(1))
    press("C")
    QTest.keyClicks(plugin.dock.comment, "1 by the river")
    press("Return")
    assert rows(path)[0][:4] == [1, None, None, "1 by the river"]
    QTest.qWait(10)
    assert plugin.labelling.session.patch.rank == 1  # Return ended the comment, and nothing else
    press("2", "1", "1", "Return")
    assert wanted == []
    assert note() == "patches without an answer: 1; the button for the next batch leaves them"
    press("1", "Return")
    assert wanted == [1]
