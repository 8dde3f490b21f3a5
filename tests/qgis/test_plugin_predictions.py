"""What owl-geo predict writes, in QGIS: styled by itself, below the batch, and as an algorithm."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsGraduatedSymbolRenderer,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QRect, Qt
from qgis.PyQt.QtGui import QColor, QKeyEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QSlider
from test_plugin_beside import Window
from test_plugin_core import PROGRAM, first_round, owl_geo, process, run, tree, with_program

from owl_geo_labeler import schema
from owl_geo_labeler.next_batch import Wanted
from owl_geo_labeler.predictions import show_predictions
from owl_geo_labeler.thumbnails import Thumbnails

__all__ = ["first_round", "run", "with_program"]  # fixtures


@pytest.fixture(scope="session")
def predicted_run(first_round, tmp_path_factory):
    """The run over two scenes in two CRSs, answered, with its maps."""
    run = Path(shutil.copytree(first_round, tmp_path_factory.mktemp("predicted") / "run"))
    answer = "UPDATE batch SET label = CASE rank % 2 WHEN 0 THEN 'absent' ELSE 'present' END"
    code = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as connection:\n"
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        code += f"    connection.create_function('{name}', 1, lambda geometry: None)\n"
    code += "    connection.execute(sys.argv[2])\n"
    batch = run / "rounds" / "000" / "batch.gpkg"
    subprocess.run([sys.executable, "-c", code, str(batch), answer], check=True)
    owl_geo("ingest", run, batch, "--annotator", "Ada")
    owl_geo("predict", run, "--top", 7)
    return run


def test_the_maps_open_styled(predicted_run):
    folder = predicted_run / "predictions"
    raster = QgsRasterLayer(str(folder / "probability.vrt"), "probability")
    assert raster.isValid() and raster.crs().authid() == "EPSG:4326"
    assert [raster.bandName(band) for band in (1, 2)] == [
        "Band 1: probability",
        "Band 2: uncertainty",
    ]
    for name in ("probability.vrt", "probability/east.tif", "probability/west.tif"):
        layer = QgsRasterLayer(str(folder / name), "probability")
        renderer = layer.renderer()
        assert isinstance(renderer, QgsSingleBandPseudoColorRenderer), name
        assert (renderer.classificationMin(), renderer.classificationMax()) == (0, 1)
        items = renderer.shader().rasterShaderFunction().colorRampItemList()
        assert [item.value for item in items] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    for name in ("class.vrt", "class/east.tif"):
        layer = QgsRasterLayer(str(folder / name), "class")
        renderer = layer.renderer()
        assert isinstance(renderer, QgsPalettedRasterRenderer), name
        assert [one.label for one in renderer.classes()] == ["absent", "present"]


def test_the_names_of_classes_stand_in_the_file_itself(predicted_run, tmp_path):
    for name in ("east.tif", "east.tif.aux.xml"):
        shutil.copy(predicted_run / "predictions" / "class" / name, tmp_path)
    layer = QgsRasterLayer(str(tmp_path / "east.tif"), "without a style")
    table = layer.dataProvider().colorTable(1)
    assert [(item.label, item.color.name()) for item in table[:2]] == [
        ("absent", "#56b4e9"),
        ("present", "#d55e00"),
    ]


def test_a_mosaic_shows_the_scenes_values(predicted_run):
    folder = predicted_run / "predictions"
    mosaic = QgsRasterLayer(str(folder / "probability.vrt"), "mosaic")
    for name in ("east", "west"):
        scene = QgsRasterLayer(str(folder / "probability" / f"{name}.tif"), name)
        to_degrees = QgsCoordinateTransform(scene.crs(), mosaic.crs(), QgsProject.instance())
        place = scene.extent().center()
        place.setX(place.x() + scene.rasterUnitsPerPixelX() / 2)
        place.setY(place.y() + scene.rasterUnitsPerPixelY() / 2)
        value, good = scene.dataProvider().sample(place, 1)
        assert good
        assert mosaic.dataProvider().sample(to_degrees.transform(place), 1) == (value, True)


def test_the_maps_lie_below_the_batch(plugin, predicted_run, messages):
    plugin.open_run(predicted_run)
    plugin.show_predictions()
    ((group, *names),) = tree()
    assert group == "run"
    assert names[:3] == [
        plugin.labelling.batch.layer.name(),
        "run: most probable patches",
        "run: probability",
    ]
    assert len(names) > 3  # the scenes' imagery lies beneath
    best = QgsProject.instance().mapLayersByName("run: most probable patches")[0]
    assert isinstance(best, QgsVectorLayer) and best.featureCount() == 7
    assert isinstance(best.renderer(), QgsGraduatedSymbolRenderer)
    assert len(best.renderer().ranges()) == 5
    ranges = best.renderer().ranges()
    for feature in best.getFeatures():
        assert any(one.lowerValue() <= feature["probability"] <= one.upperValue() for one in ranges)
    before = len(QgsProject.instance().mapLayers())
    plugin.show_predictions()
    assert len(QgsProject.instance().mapLayers()) == before
    assert messages() == []


def test_the_next_batch_is_labelled_without_them(plugin, predicted_run, tmp_path, press, messages):
    run = Path(shutil.copytree(predicted_run, tmp_path / "run"))
    owl_geo("query", run)
    plugin.open(run / "rounds" / "000" / "batch.gpkg")
    plugin.show_predictions()
    assert visible() == {"run: most probable patches", "run: probability"}
    plugin.open(run / "rounds" / "000" / "batch.gpkg")
    assert len(visible()) == 2
    plugin.open(run / "rounds" / "001" / "batch.gpkg")
    assert visible() == set()
    (text,) = messages()
    assert "predictions were hidden" in text
    ((_, *names),) = tree()
    assert [name[-3:] for name in names[:2]] == ["001", "000"]
    assert names[2:4] == ["run: most probable patches", "run: probability"]
    plugin.open(run / "rounds" / "000" / "batch.gpkg")
    assert len(messages()) == 1
    plugin.show_predictions()
    assert len(visible()) == 2
    press(*["Right"] * 6)  # which loads the other scene
    ((_, *names),) = tree()
    assert names[2:4] == ["run: most probable patches", "run: probability"]
    assert set(names[4:]) == {"east", "west"}


def test_maps_that_were_loaded_otherwise_are_switched_off_too(plugin, predicted_run, messages):
    path = predicted_run / "predictions" / "class.vrt"
    QgsProject.instance().addMapLayer(QgsRasterLayer(str(path), "class"))
    plugin.open_run(predicted_run)
    (node,) = [n for n in QgsProject.instance().layerTreeRoot().findLayers() if n.name() == "class"]
    assert not node.isVisible()
    assert len(messages()) == 1


def visible():
    """Return the names of the prediction layers that are to be seen."""
    nodes = QgsProject.instance().layerTreeRoot().findLayers()
    return {node.name() for node in nodes if node.isVisible() and node.name().startswith("run: ")}


def test_a_frame_is_not_taken_for_an_answer(plugin, predicted_run):
    plugin.open_run(predicted_run)
    plugin.show_predictions()
    (best,) = QgsProject.instance().mapLayersByName("run: most probable patches")
    frames = [one.symbol().symbolLayer(1).color() for one in best.renderer().ranges()]
    unsure = QColor(schema.UNSURE_COLOUR)
    for frame in frames:
        pairs = zip(frame.getRgb()[:3], unsure.getRgb()[:3])
        assert sum((a - b) ** 2 for a, b in pairs) ** 0.5 > 100, frame.name()


def test_without_maps_the_message_says_how_to_make_them(plugin, run, messages):
    plugin.open_run(run)
    plugin.show_predictions()
    assert "make it with owl-geo predict" in messages()[0]


def test_predict_is_an_algorithm(with_program, predicted_run, tmp_path):
    run = Path(shutil.copytree(predicted_run, tmp_path / "copy"))
    made = process("predict", RUN=str(run), TOP=3)
    folder = run / "predictions"
    assert made == {
        "PROBABILITY": str(folder / "probability.vrt"),
        "PATCHES": str(folder / "patches.gpkg"),
    }
    assert QgsVectorLayer(str(folder / "patches.gpkg"), "best", "ogr").featureCount() == 3


def test_predict_can_load_its_maps(with_program, predicted_run, tmp_path):
    run = Path(shutil.copytree(predicted_run, tmp_path / "copy"))
    registry = QgsApplication.processingRegistry()
    for load, count in ((False, 0), (True, 2)):
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        algorithm = registry.createAlgorithmById("owlgeo:predict")
        _, done = algorithm.run({"RUN": str(run), "LOAD": load}, context, QgsProcessingFeedback())
        assert done and len(context.layersToLoadOnCompletion()) == count


def open_files():
    """Return the paths of the files that this process has open."""
    return [str(path.resolve()) for path in Path("/proc/self/fd").iterdir()]


def test_predict_replaces_no_map_that_is_open(plugin, predicted_run, tmp_path):
    """Windows would keep it. The layers show the new maps as the old ones were shown."""
    run = Path(shutil.copytree(predicted_run, tmp_path / "copy"))
    best, raster = show_predictions(run, None)
    best.renderer().setClassAttribute("uncertainty")
    raster.setOpacity(0.4)
    seen, program = tmp_path / "open", tmp_path / "owl-geo"
    program.write_text(f'#!/bin/sh\nls -l /proc/$PPID/fd > "{seen}"\nexec "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(program))
    assert best.featureCount() == 7
    assert [path for path in open_files() if str(run) in path]
    made = process("predict", RUN=str(run), TOP=3)
    assert isinstance(made, dict), made
    assert str(run) not in seen.read_text()
    assert best.isValid() and best.featureCount() == 3
    assert best.renderer().classAttribute() == "uncertainty"
    assert raster.isValid() and raster.opacity() == 0.4
    (run / "owl.toml").rename(run / "gone.toml")
    assert "make a run with" in process("predict", RUN=str(run), TOP=3)
    assert best.isValid() and raster.isValid()


def test_predict_beside_the_map_opens_its_layers_again(
    with_program, predicted_run, tmp_path, wait_until
):
    run = Path(shutil.copytree(predicted_run, tmp_path / "copy"))
    layers = show_predictions(run, None)
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("owlgeo:predict")
    task = QgsProcessingAlgRunnerTask(algorithm, {"RUN": str(run), "TOP": 3}, context, feedback)
    assert not any(layer.isValid() for layer in layers)
    ended = []
    task.executed.connect(lambda done, results: ended.append(done))
    QgsApplication.taskManager().addTask(task)
    wait_until(lambda: ended == [True], seconds=60)
    assert all(layer.isValid() for layer in layers)
    assert layers[0].featureCount() == 3


def test_predict_leaves_out_a_scene_or_stops(with_program, predicted_run, folder, tmp_path):
    run = Path(shutil.copytree(predicted_run, tmp_path / "copy"))
    shutil.rmtree(run / "predictions")
    scene = folder / "scenes" / "east.tif"
    scene.rename(tmp_path / "elsewhere.tif")
    try:
        assert "east.tif does not exist" in process("predict", RUN=str(run), SKIP=False)
        made = process("predict", RUN=str(run))
    finally:
        (tmp_path / "elsewhere.tif").rename(scene)
    assert isinstance(made, dict), made
    assert made["PATCHES"] == str(run / "predictions" / "patches.gpkg")
    maps = run / "predictions" / "probability"
    assert (maps / "west.tif").exists() and not (maps / "east.tif").exists()


# --- the review ---------------------------------------------------------------------------------


@pytest.fixture
def review(plugin, folder, tmp_path):
    """The only batch of a run, opened: a review of 24 patches; returns its path."""
    path = tmp_path / "search" / "rounds" / "003" / "batch.gpkg"
    path.parent.mkdir(parents=True)
    (tmp_path / "search" / "owl.toml").write_text('[source]\nkind = "geotiff"\n')
    shutil.copy(folder / "shown" / "review.gpkg", path)
    plugin.open(path)
    QTest.qWait(50)
    return path


@pytest.fixture
def told(tmp_path):
    """A program in owl-geo's place that writes down what it is told, and fails."""
    program = tmp_path / "told"
    program.write_text('#!/bin/sh\n[ "$1" = engine ] || echo "$@" >> "$0.txt"\nexit 1\n')
    program.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(program))
    log = program.with_name("told.txt")
    return lambda: log.read_text().splitlines() if log.exists() else []


def gallery_of(plugin):
    return plugin.review_dock.gallery


def says(plugin, name):
    return plugin.review_dock.findChild(QLabel, name).text()


def all_drawn(plugin, wait_until):
    gallery = gallery_of(plugin)
    fids = [gallery.model().patches[row].fid for row in gallery.in_view()]
    wait_until(lambda: all(gallery.picture(fid) is not None for fid in fids))


def test_a_review_is_accepted_and_rejected_by_keys(review, plugin, press, rows, iface):
    gallery = gallery_of(plugin)
    assert plugin.review_dock.isVisible() and iface.window.focusWidget() is gallery
    press("A", "X", "2", "U")
    assert [row[1] for row in rows(review)[:5]] == ["present", "absent", "other", "unsure", None]
    assert {row[2] for row in rows(review)[:4]} == {"Ada"}
    assert gallery.row == 4 and plugin.labelling.session.patch.rank == 5
    assert says(plugin, "answers") == "1 accepted, 2 rejected, 12 open above the threshold"
    press("ctrl+Z")
    assert rows(review)[3][1] is None and gallery.row == 3
    press("Right", "A")
    assert [row[1] for row in rows(review)[3:5]] == [None, "present"]
    assert iface.window.focusWidget() is gallery
    iface.canvas.setFocus()  # the same keys, wherever the analyst has clicked
    press("X", "ctrl+Left", "A")
    assert [row[1] for row in rows(review)[3:6]] == ["present", "present", "absent"]
    assert plugin.dock.findChild(QLabel, "where").text() == ""


def test_what_a_review_says_is_whole_in_a_narrow_panel(review, plugin, press):
    dock = plugin.review_dock
    press("A", "X")
    dock.setFloating(True)
    dock.resize(450, 400)
    QTest.qWait(50)
    assert dock.width() <= 460
    for name in ("above", "answers"):
        label = dock.findChild(QLabel, name)
        words = label.fontMetrics().boundingRect(
            QRect(0, 0, label.width(), 1000), Qt.TextFlag.TextWordWrap, label.text()
        )
        assert words.height() > label.fontMetrics().height()  # more than a line has room for
        assert label.wordWrap() and words.height() <= label.height()
    dock.setFloating(False)


@pytest.fixture
def window_of(iface):
    """Give QGIS's window a size, until the end of the test."""
    before = iface.window.size()

    def window_of(width, height):
        iface.window.resize(width, height)
        QTest.qWait(50)

    yield window_of
    window_of(before.width(), before.height())


@pytest.mark.parametrize(
    ("size", "edge", "n_rows", "least"),
    [((745, 480), 96, 1, 160), ((960, 640), 96, 2, 220), ((1600, 960), 128, 2, 450)],
    ids=["netbook", "laptop", "desk"],
)
def test_the_map_keeps_its_room_on_a_small_screen(
    size, edge, n_rows, least, plugin, batch, iface, window_of, wait_until
):
    """Sizes are about what QGIS's bars leave of 1024 x 600, 1366 x 768 and 1920 x 1080."""
    window_of(*size)
    plugin.open(batch("shown/review"))
    gallery, dock = gallery_of(plugin), plugin.review_dock
    row = gallery.row_height(edge)
    wait_until(lambda: gallery.edge == edge and gallery.viewport().height() == n_rows * row)
    assert iface.window.centralWidget().height() >= least  # the map, and messages above it
    QTest.qWait(300)  # until it is settled
    iface.window.resizeDocks([dock], [dock.height() + 40], Qt.Orientation.Vertical)
    QTest.qWait(50)
    chosen = dock.height()
    plugin.review()
    assert dock.isHidden()
    plugin.review()
    QTest.qWait(300)
    assert dock.height() == chosen and gallery.edge == edge  # what the user chose stays


def test_a_review_takes_the_room_that_a_window_gets(plugin, batch, iface, window_of, wait_until):
    """It may be opened while QGIS's window is still to be as large as the screen."""
    window_of(745, 480)
    plugin.open(batch("shown/review"))
    gallery = gallery_of(plugin)
    wait_until(lambda: gallery.viewport().height() == gallery.row_height(96))
    window_of(1600, 960)
    wait_until(lambda: gallery.viewport().height() == 2 * gallery.row_height(128))
    dock = plugin.review_dock
    QTest.qWait(300)  # until it is settled
    iface.window.resizeDocks([dock], [dock.height() + 40], Qt.Orientation.Vertical)
    QTest.qWait(300)
    edge = gallery.edge
    window_of(745, 480)
    QTest.qWait(300)
    assert gallery.edge == edge  # what the user chose stays


def test_an_answer_is_said_where_there_is_room_for_it(review, plugin, press):
    gallery = gallery_of(plugin)
    patch = plugin.labelling.session.patch
    press("A")
    metrics = gallery.fontMetrics()
    whole = f"✓ {patch.answer.label}"
    assert gallery.said(patch, "", 1000) == whole
    assert gallery.said(patch, "", metrics.horizontalAdvance(whole) - 1) == "✓"
    assert gallery.said(patch, "Benedikt", metrics.horizontalAdvance("✓ Bened…")) == "✓ Bened…"


@pytest.mark.parametrize("size", [(745, 480), (1600, 960)], ids=["netbook", "desk"])
def test_no_text_of_a_review_moves_anything(size, plugin, batch, iface, window_of, press, wait_until):
    window_of(*size)
    plugin.open(batch("shown/review"))
    gallery, dock = gallery_of(plugin), plugin.review_dock
    wait_until(lambda: gallery.viewport().height() % gallery.gridSize().height() == 0)
    QTest.qWait(300)

    def places():
        parts = [gallery, iface.canvas, *dock.findChildren(QLabel), *dock.findChildren(QSlider)]
        return [(part.pos(), part.size()) for part in parts]

    before = places()
    plugin.review_dock.show_above(1, 24, 0.1)
    press("A", "X", "U", "Comma", "Period", "Right")
    plugin.review_dock.set_threshold(0.0)
    press("ctrl+Z")
    QTest.qWait(50)
    assert places() == before


def test_arrows_go_through_rows_and_columns(review, plugin, press):
    gallery, across = gallery_of(plugin), gallery_of(plugin).columns
    assert 2 < across < 12
    press("Down", "Right")
    assert gallery.row == across + 1
    press("Up", "Left", "Left", "Up")
    assert gallery.row == 0
    press("End", "Right", "Down")
    assert gallery.row == 23
    press("PageUp")
    assert gallery.row == 23 - gallery.page
    press("Home")
    assert gallery.row == 0
    QTest.mouseClick(
        gallery.viewport(),
        Qt.MouseButton.LeftButton,
        pos=gallery.visualRect(gallery.model().index(2, 0)).center(),
    )
    assert plugin.labelling.session.patch.rank == 3


def test_the_threshold_says_how_much_reaches_it_and_frames_that(review, plugin, press):
    gallery, patches = gallery_of(plugin), gallery_of(plugin).model().patches
    assert says(plugin, "above") == "0.500 or more: 16 of 24 patches, 10.2 ha"
    assert [patch for patch in patches if gallery.frame(patch)] == patches[:16]
    plugin.review_dock.findChild(QSlider, "threshold").setValue(0)
    # the last two share half of their ground
    assert says(plugin, "above").endswith(": 24 of 24 patches, 15.1 ha")
    plugin.review_dock.set_threshold(0.94)
    assert says(plugin, "above") == "0.940 or more: 1 of 24 patches, 0.64 ha"
    press("shift+Period", "Comma", "Comma", "Comma")  # French keyboards have it on Shift
    assert says(plugin, "above").startswith("0.920 or more: 2 of 24")
    press("X")
    assert gallery.frame(patches[0])[0] == schema.label_colours(("absent", "other", "present"))["absent"]
    assert says(plugin, "answers") == "0 accepted, 1 rejected, 1 open above the threshold"


def test_pictures_are_drawn_beside_the_keys_and_in_view_first(review, plugin, press, wait_until):
    thumbnails, gallery = plugin._review._thumbnails, gallery_of(plugin)
    order = []
    thumbnails.drawn.connect(order.append)
    plugin._review._draw_anew()
    press("A", "X")  # nothing is drawn yet
    assert plugin.labelling.session.n_answered == 2 and order == []
    all_drawn(plugin, wait_until)
    rows = [gallery.model().rows[fid] for fid in order]
    seen = gallery.in_view()
    assert set(rows[: len(seen) - 2]) <= set(seen) and rows[0] in (0, 1)


def test_a_picture_is_what_the_map_shows(review, plugin, press, wait_until):
    def centre(n):
        image = gallery_of(plugin).picture(gallery_of(plugin).model().patches[n].fid).image
        return image.pixelColor(image.width() // 2, image.height() // 2).getRgb()[:3]

    def width(n):
        return gallery_of(plugin).picture(gallery_of(plugin).model().patches[n].fid).outline.boundingRect().width()

    all_drawn(plugin, wait_until)
    for n in range(8):
        assert centre(n) == pytest.approx([10 * n / 400 * 255] * 3, abs=1.5)
        assert width(n) == pytest.approx(1 / plugin.labelling.map.context)
    press("Plus", "Plus", "B")
    all_drawn(plugin, wait_until)
    assert width(3) == pytest.approx(1 / plugin.labelling.map.context)
    assert width(3) > 8 / 150  # closer than before
    assert centre(7) == pytest.approx([70 / (400 * 0.8) * 255] * 3, abs=1.5)


def test_pictures_of_scenes_that_are_not_on_the_map(plugin, run, wait_until):
    """And in another CRS, where a patch is still a square; of one that is gone there is none."""
    plugin.open_run(run)
    batch, imagery = plugin.labelling.batch, plugin.labelling.sight.imagery
    on_map = {patch.scene for patch in batch.patches if imagery._seen.get(patch.scene)}
    other = next(patch for patch in batch.patches if patch.scene not in on_map)
    before = len(QgsProject.instance().mapLayers())
    thumbnails = Thumbnails(batch, imagery, 2.0)
    thumbnails.want([other.fid], 64)
    wait_until(lambda: not thumbnails.is_working)
    picture = thumbnails.picture(other.fid)
    box = picture.outline.boundingRect()
    for value, wanted in ((box.left(), 0.25), (box.top(), 0.25), (box.width(), 0.5)):
        assert value == pytest.approx(wanted, abs=0.01)
    assert picture.image.width() == 64 and len(QgsProject.instance().mapLayers()) == before
    image = picture.image
    imagery.set_brightness(4)
    thumbnails.draw_anew(2.0)
    imagery._aside["lost"] = None
    other.scene, lost = "lost", other.scene
    thumbnails.want([other.fid], 64)
    wait_until(lambda: not thumbnails.is_working)
    assert thumbnails.picture(other.fid).image is None
    other.scene = lost
    thumbnails.draw_anew(2.0)
    thumbnails.want([other.fid], 64)
    wait_until(lambda: not thumbnails.is_working)
    assert thumbnails.picture(other.fid).image != image
    thumbnails.close()


def test_the_review_is_hidden_and_shown_by_a_key_and_goes_with_its_batch(
    review, plugin, press, iface, batch
):
    press("R")
    assert not plugin.review_dock.isVisible() and iface.window.focusWidget() is iface.canvas
    press("A", "X", "Right")
    assert plugin.labelling.session.n_answered == 0 and plugin.labelling.session.patch.rank == 2
    press("R")
    assert plugin.review_dock.isVisible() and gallery_of(plugin).row == 1
    plugin.open(batch("binary"))
    QTest.qWait(20)
    assert not plugin.review_dock.isVisible() and gallery_of(plugin).model() is None
    press("A")
    assert plugin.labelling.session.n_answered == 0


def test_a_review_says_who_else_answered_what(review, plugin, press, rows, wait_until):
    other = Window(review, "Grace & Co")
    model, gallery = gallery_of(plugin).model(), gallery_of(plugin)
    for store in (plugin.labelling.store, other.store):
        store._watch.stop()
    other.answer("absent")
    press("A", "A")
    assert rows(review)[0][1:3] == ["absent", "Grace & Co"]
    assert rows(review)[1][1:3] == ["present", "Ada"]
    first, second = (model.patches[row] for row in (0, 1))
    assert (model.other(first), model.other(second)) == ("Grace & Co", "")
    tip, text = Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole
    said = [model.data(model.index(row, 0), text) for row in (0, 1)]
    assert said[0].endswith(", absent (Grace & Co)") and said[1].endswith(", present")
    assert "absent (Grace &amp; Co)" in model.data(model.index(0, 0), tip)
    assert gallery.frame(first)[0] == schema.label_colours(("absent", "other", "present"))["absent"]
    other.store.close()


def test_outlines_are_hidden_while_frames_are(review, plugin, iface):
    for kind, wanted in ((QEvent.Type.KeyPress, False), (QEvent.Type.KeyRelease, True)):
        event = QKeyEvent(kind, Qt.Key.Key_H, Qt.KeyboardModifiers(), "h")
        QCoreApplication.sendEvent(gallery_of(plugin), event)
        assert gallery_of(plugin).has_outlines is wanted


def test_maps_have_an_entry_that_opens_the_review_that_was_begun(
    review, plugin, iface, folder, tmp_path, batch
):
    maps = review.parents[2] / "predictions"
    maps.mkdir()
    shutil.copy(folder / "shown" / "review.tif", maps / "probability.tif")
    plugin.open(batch("binary"))
    for path in (maps / "probability.tif", folder / "shown" / "scene.tif"):
        layer = QgsRasterLayer(str(path), path.stem)
        QgsProject.instance().addMapLayer(layer)
        iface.setActiveLayer(layer)
    ((action, names),) = iface.entries.items()
    assert names == ["probability"]
    action.trigger()
    assert plugin.labelling.batch.path != review  # another layer is the active one
    iface.setActiveLayer(QgsProject.instance().mapLayersByName("probability")[0])
    action.trigger()
    assert plugin.labelling.batch.path == review and plugin.review_dock.isVisible()


def with_classes(path, classes, positive):
    """Change what a batch says its classes are."""
    connection = sqlite3.connect(path)
    ((number, text),) = connection.execute(
        "SELECT id, metadata FROM gpkg_metadata WHERE md_standard_uri = ?", (schema.BATCH_INFO_URI,)
    )
    info = json.dumps({**json.loads(text), "classes": list(classes), "positive": positive})
    connection.execute("UPDATE gpkg_metadata SET metadata = ? WHERE id = ?", (info, number))
    connection.commit()
    connection.close()
    return path


def test_a_review_with_one_class_has_nothing_to_reject_with(plugin, batch, press, rows, messages):
    path = with_classes(batch("shown/review"), ["present"], "present")
    plugin.open(path)
    reject = plugin.review_dock.findChild(QPushButton, "reject")
    assert not reject.isEnabled() and "no other class" in reject.toolTip()
    press("A", "X", "U")
    assert [row[1] for row in rows(path)[:3]] == ["present", "unsure", None]
    assert "1 accepted, 0 rejected" in says(plugin, "answers")
    press("ctrl+Z", "ctrl+Z")
    assert messages() == []
    plugin.open(batch("quotes"))
    plugin.open(with_classes(batch("shown/review"), ["absent", "present"], "present"))
    assert reject.isEnabled() and "absent" in reject.toolTip()
    press("X")
    assert rows(path)[0][1] == "absent"


def test_a_review_of_a_class_without_a_key(plugin, batch, press, rows, messages):
    names = [f"kind {n}" for n in range(12)]
    path = with_classes(batch("shown/review"), names, names[-1])
    plugin.open(path)
    press("A", "X", "9")
    assert [row[1] for row in rows(path)[:4]] == ["kind 11", "kind 0", "kind 8", None]
    assert messages() == []


@pytest.mark.parametrize(
    ("classes", "positive"), [([], "present"), (["absent"], "present"), (["a", "a"], "a")]
)
def test_classes_that_make_no_sense(classes, positive, plugin, batch, messages):
    plugin.open(with_classes(batch("shown/review"), classes, positive))
    (text,) = messages()
    assert "does not list its classes" in text and plugin.labelling is None


def test_a_review_without_answers_can_be_left(review, plugin, press, told, wait_until, messages):
    plugin.rounds._engine.close()
    QTest.mouseClick(plugin.dock.footer.next_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: messages())
    assert told() == [f"ingest {review.parents[2]} {review} --annotator Ada"]  # which fails here
    plugin.rounds._ask_core(review.parents[2], [], Wanted(leaves=True))
    wait_until(lambda: len(told()) == 2)
    assert told()[1] == f"query {review.parents[2]} --go-on"
    wait_until(lambda: plugin.rounds._work is None)


def test_a_batch_without_answers_is_left_only_when_that_is_wanted(
    plugin, run, press, told, wait_until, messages, iface
):
    plugin.open_run(run)
    plugin.rounds._engine.close()
    press("R")
    (text,) = messages()
    assert "the newest batch has no answers yet" in text and told() == []
    (button,) = iface.bar.items()[0].findChildren(QPushButton)
    button.click()
    wait_until(lambda: told())
    assert told() == [f"ingest {run} {plugin.labelling.batch.path} --annotator Ada"]
    wait_until(lambda: plugin.rounds._work is None)
    plugin.rounds._ask_core(run, [], Wanted("review", leaves=True))
    wait_until(lambda: len(told()) == 2)
    assert told()[1] == f"review {run} --threshold=0.3 --size=1000 --go-on"
    wait_until(lambda: plugin.rounds._work is None)


def test_a_batch_like_the_patch_in_view_is_asked_for(plugin, run, press, told, wait_until, iface):
    plugin.open_run(run)
    plugin.rounds._engine.close()
    press("M")
    assert told() == []
    (button,) = iface.bar.items()[0].findChildren(QPushButton)
    assert button.text() == "Leave it for more like this"
    wanted = Wanted("like", leaves=True, patches=("scene/0/32",))
    assert wanted.params() == {"patches": ["scene/0/32"], "batch": True, "go_on": True}
    plugin.rounds._ask_core(run, [], wanted)
    wait_until(lambda: told())
    assert told() == [f"like {run} scene/0/32 --batch --go-on"]
    wait_until(lambda: plugin.rounds._work is None)


def test_a_batch_like_the_patch_in_view_is_made_by_the_engine(
    with_program, predicted_run, tmp_path, press, wait_until, messages
):
    plugin = with_program
    run = Path(shutil.copytree(predicted_run, tmp_path / "run"))
    plugin.open_run(run)
    first = plugin.labelling.batch.path
    press("M")
    wait_until(lambda: plugin.labelling.batch.path != first or messages(), seconds=120)
    assert messages() == [] and plugin.labelling.batch.batch_id.endswith("-001-like")


def test_a_review_is_made_by_the_engine(
    with_program, predicted_run, tmp_path, press, wait_until, messages
):
    plugin = with_program
    run = Path(shutil.copytree(predicted_run, tmp_path / "run"))
    plugin.open_run(run)
    press("R")
    wait_until(lambda: plugin.labelling.batch.is_review or messages(), seconds=120)
    assert messages() == [] and plugin.labelling.batch.path == run / "rounds" / "001" / "batch.gpkg"
    values = [patch.why["probability"] for patch in gallery_of(plugin).model().patches]
    assert values == sorted(values, reverse=True) and min(values) >= 0.3
    assert plugin.rounds._engine.is_running
