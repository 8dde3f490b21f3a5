"""What owl-geo predict writes, in QGIS: styled by itself, below the batch, and as an algorithm."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsGraduatedSymbolRenderer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel
from test_plugin_core import first_round, owl_geo, process, run, tree, with_program

from owl_geo_labeler import schema

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
    """An open review of 24 patches; returns its path."""
    path = Path(shutil.copy(folder / "shown" / "review.gpkg", tmp_path))
    plugin.open(path)
    QTest.qWait(50)
    return path


def shown_rank(plugin):
    return plugin.labelling.session.patch.rank


def says(plugin, name):
    return plugin.review_dock.findChild(QLabel, name).text()


def test_a_review_is_accepted_and_rejected_by_keys(review, plugin, press, rows, iface):
    gallery = plugin.review_dock.gallery
    assert plugin.review_dock.isVisible() and iface.window.focusWidget() is gallery
    press("A", "X", "2", "U")
    assert [row[1] for row in rows(review)[:5]] == ["present", "absent", "other", "unsure", None]
    assert {row[2] for row in rows(review)[:4]} == {"Ada"}
    assert gallery.row == 4 and shown_rank(plugin) == 5
    assert says(plugin, "answers") == "1 accepted, 2 rejected, 12 open above the threshold"
    press("ctrl+Z")
    assert rows(review)[3][1] is None and gallery.row == 3
    assert iface.window.focusWidget() is gallery
    press("Right", "A")
    assert [row[1] for row in rows(review)[3:5]] == [None, "present"]
